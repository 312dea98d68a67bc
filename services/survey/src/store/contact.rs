//! Table `contact_copy`.

use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::contact::Contact;

/// What is known of a contact, locked until the transaction ends: whoever invites it. One of which the feed has not told yet
/// gets its row now, for there is nothing else to lock.
pub async fn hold(
    conn: &mut PgConnection,
    id: Uuid,
    customer: Uuid,
) -> Result<Contact, StoreError> {
    let do_not_contact = sqlx::query_scalar!(
        "INSERT INTO contact_copy (id, customer_id, do_not_contact, revision) VALUES ($1, $2, '{}', 0)
         ON CONFLICT (id) DO UPDATE SET revision = contact_copy.revision
         RETURNING do_not_contact",
        id,
        customer,
    )
    .fetch_one(conn)
    .await?;
    Ok(Contact { do_not_contact })
}

/// Keeps a contact, locked until the transaction ends. Whether it was news: a repeated or overtaken revision changes nothing.
pub async fn upsert(
    conn: &mut PgConnection,
    id: Uuid,
    customer: Uuid,
    contact: &Contact,
    revision: i64,
) -> Result<bool, StoreError> {
    let news = sqlx::query!(
        "INSERT INTO contact_copy (id, customer_id, do_not_contact, revision) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE
         SET customer_id = excluded.customer_id, do_not_contact = excluded.do_not_contact,
             revision = excluded.revision
         WHERE contact_copy.revision < excluded.revision",
        id,
        customer,
        &contact.do_not_contact,
        revision,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(news == 1)
}
