//! Pages of tickets.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::clock::ClockRecord;
use super::escalation::EscalationRecord;
use super::ticket::{ProcessRecord, TicketRow};
use super::verdict::VerdictRecord;
use crate::domain::StateName;

/// Which tickets, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct TicketQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// In one of these states; empty means any.
    pub(crate) states: Vec<StateName>,
    /// Of this customer only.
    pub(crate) customer: Option<Uuid>,
    /// Older than this one.
    pub(crate) after: Option<(jiff::Timestamp, Uuid)>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// The newest tickets that the query asks for, newest first: one statement.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &TicketQuery,
) -> Result<Vec<TicketRow>, StoreError> {
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let (at, id) = query.after.unzip();
    let at = at.map(|at| at.to_sqlx());
    Ok(match query.customer {
        None => {
            sqlx::query_file_as!(
                TicketRow,
                "src/store/ticket_list.sql",
                query.org_unit,
                at as _,
                id as _,
                &states as _,
                query.limit,
            )
            .fetch_all(conn)
            .await?
        }
        Some(customer) => {
            sqlx::query_file_as!(
                TicketRow,
                "src/store/ticket_list_customer.sql",
                query.org_unit,
                at as _,
                id as _,
                &states as _,
                query.limit,
                customer,
            )
            .fetch_all(conn)
            .await?
        }
    })
}
