//! Tickets as a line of a list shows them: a row each, without what hangs on it (AIP-157, T-23).

use jiff_sqlx::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{Channel, Priority, StateName, TicketKind};

/// A line of a list. What it means stands at [`Ticket`](crate::domain::Ticket).
#[derive(Debug)]
pub struct BasicTicket {
    pub(crate) id: Uuid,
    pub(crate) number: String,
    pub(crate) revision: i64,
    pub(crate) org_unit: String,
    pub(crate) kind: TicketKind,
    pub(crate) channel: Channel,
    pub(crate) customer: Option<Uuid>,
    pub(crate) contact: Option<Uuid>,
    pub(crate) complainant: Option<String>,
    pub(crate) complainant_type: Option<String>,
    pub(crate) subject: String,
    pub(crate) category: String,
    pub(crate) severity: i16,
    pub(crate) tags: Vec<String>,
    pub(crate) product: String,
    pub(crate) order_reference: String,
    pub(crate) shop: String,
    pub(crate) state: StateName,
    pub(crate) priority: Priority,
    pub(crate) customer_grade: Option<String>,
    pub(crate) receiver_level: i16,
    pub(crate) cycle: i32,
    pub(crate) first_contact_owner: String,
    pub(crate) handler: Option<String>,
    pub(crate) team: Option<Uuid>,
    pub(crate) owner: Option<String>,
    pub(crate) amount_cents: Option<i64>,
    pub(crate) currency: Option<String>,
    pub(crate) created_at: jiff::Timestamp,
    pub(crate) updated_at: jiff::Timestamp,
}

/// The tickets with these ids, in no order: one statement.
pub(crate) async fn find_many(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<BasicTicket>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, number, revision, org_unit, kind, channel, customer_id, contact_id, complainant, complainant_type, subject,
                  category, severity, tags, product, order_reference, shop, state, priority, customer_grade, receiver_level, cycle,
                  first_contact_owner, handler, team_id, owner, amount_cents, currency,
                  created_at AS "created_at: Timestamp", updated_at AS "updated_at: Timestamp"
           FROM ticket WHERE id = ANY ($1)"#,
        ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(BasicTicket {
                id: row.id,
                number: row.number,
                revision: row.revision,
                org_unit: row.org_unit,
                kind: read("ticket.kind", row.kind.parse())?,
                channel: read("ticket.channel", row.channel.parse())?,
                customer: row.customer_id,
                contact: row.contact_id,
                complainant: row.complainant,
                complainant_type: row.complainant_type,
                subject: row.subject,
                category: row.category,
                severity: row.severity,
                tags: row.tags,
                product: row.product,
                order_reference: row.order_reference,
                shop: row.shop,
                state: read("ticket.state", row.state.parse())?,
                priority: read("ticket.priority", row.priority.parse())?,
                customer_grade: row.customer_grade,
                receiver_level: row.receiver_level,
                cycle: row.cycle,
                first_contact_owner: row.first_contact_owner,
                handler: row.handler,
                team: row.team_id,
                owner: row.owner,
                amount_cents: row.amount_cents,
                currency: row.currency,
                created_at: row.created_at.to_jiff(),
                updated_at: row.updated_at.to_jiff(),
            })
        })
        .collect()
}
