//! Where a ticket or a work order belongs, and which policy version judges it.

use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

/// Its place.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) ticket: Option<Uuid>,
    pub(crate) work_order: Option<Uuid>,
    pub(crate) customer: Option<Uuid>,
    pub(crate) org_unit: String,
    pub(crate) policy_version: Uuid,
}

/// That of a ticket, kept as it is to the end of the transaction: what is put on record beside it has the customer that it has,
/// whoever corrects that meanwhile (T-01).
pub(crate) async fn ticket(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Judged>, StoreError> {
    Ok(sqlx::query_as!(
        Judged,
        r#"SELECT id AS "ticket?", NULL::uuid AS work_order, customer_id AS customer, org_unit,
                  policy_version_id AS policy_version
           FROM ticket WHERE id = $1 FOR SHARE"#,
        id
    )
    .fetch_optional(conn)
    .await?)
}

/// That of a work order, with the ticket that it serves, kept like a ticket's.
pub(crate) async fn work_order(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Judged>, StoreError> {
    Ok(sqlx::query_as!(
        Judged,
        r#"SELECT ticket_id AS ticket, id AS "work_order?", customer_id AS customer, dispatch_centre AS org_unit,
                  policy_version_id AS policy_version
           FROM work_order WHERE id = $1 FOR SHARE"#,
        id
    )
    .fetch_optional(conn)
    .await?)
}
