//! Table `ticket`, and the ticket put together from all its tables.

use std::sync::Arc;

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::clock::{self, ClockRecord};
use super::clock_terms::{self, Versions};
use super::escalation::{self, EscalationRecord};
use super::verdict::{self, VerdictRecord};
use super::{column, known, read};
use super::{custom_field, follow_up, handling, links, outbound, routing};
use crate::domain::{
    Amount, Complainant, Details, Issued, Open, Policy, ReceiverLevel, Severity, Solution, State,
    StateName, Ticket,
};

/// A ticket as it is stored. How long its promises are stands in the policy version that it names.
#[derive(Debug)]
pub(crate) struct TicketRow {
    pub(crate) id: Uuid,
    pub(crate) number: String,
    pub(crate) revision: i64,
    pub(crate) policy_version_id: Uuid,
    pub(crate) promise_version_id: Option<Uuid>,
    pub(crate) org_unit: String,
    pub(crate) kind: String,
    pub(crate) channel: String,
    pub(crate) customer_id: Option<Uuid>,
    pub(crate) contact_id: Option<Uuid>,
    pub(crate) complainant: Option<String>,
    pub(crate) severity: i16,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) subject: String,
    pub(crate) description: String,
    pub(crate) category: String,
    pub(crate) product: String,
    pub(crate) order_reference: String,
    pub(crate) shop: String,
    pub(crate) tags: Vec<String>,
    pub(crate) custom_fields: Option<serde_json::Value>,
    pub(crate) customer_grade: Option<String>,
    pub(crate) priority: String,
    pub(crate) first_contact_owner: String,
    pub(crate) team_id: Option<Uuid>,
    pub(crate) owner: Option<String>,
    pub(crate) distribution: Option<String>,
    pub(crate) amount_cents: Option<i64>,
    pub(crate) currency: Option<String>,
    pub(crate) complainant_type: Option<String>,
    pub(crate) links: Option<serde_json::Value>,
    pub(crate) handler: Option<String>,
    pub(crate) cycle_handlers: Vec<String>,
    pub(crate) receiver_level: i16,
    pub(crate) cycle: i32,
    pub(crate) cycle_started_at: Timestamp,
    pub(crate) state: String,
    pub(crate) state_since: Option<Timestamp>,
    pub(crate) state_by: Option<String>,
    pub(crate) state_reason: Option<String>,
    pub(crate) resume_to: Option<String>,
    pub(crate) resume_since: Option<Timestamp>,
    pub(crate) follow_up: Option<serde_json::Value>,
    pub(crate) handling: Option<serde_json::Value>,
    pub(crate) outbound: Option<serde_json::Value>,
    pub(crate) solution: Option<String>,
    pub(crate) solved_by: Option<String>,
    pub(crate) solved_at: Option<Timestamp>,
    pub(crate) first_responded_at: Option<Timestamp>,
    pub(crate) first_resolved_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) clocks: Vec<ClockRecord>,
    pub(crate) verdicts: Vec<VerdictRecord>,
    pub(crate) escalations: Vec<EscalationRecord>,
    pub(crate) process: Option<ProcessRecord>,
}

/// The process that is under way for a ticket, and the stages that are.
pub(crate) type ProcessRecord = (Uuid, Vec<String>);

impl TicketRow {
    /// The org unit to which it is on its way (T-11).
    pub(crate) fn receiving_unit(&self) -> Option<&str> {
        handling::receiving_unit(self.handling.as_ref())
    }

    /// The policy versions beside the one that judges it: mostly none.
    pub(crate) fn other_versions(&self) -> Result<Vec<Uuid>, StoreError> {
        clock_terms::versions(self.promise_version_id, &self.clocks)
    }

    /// The ticket, judged by the policy version that it names, `registered`; `others` has the [`other_versions`](Self::other_versions).
    pub(crate) fn into_ticket(
        self,
        registered: &Policy,
        others: &[Arc<dyn Issued>],
    ) -> Result<Ticket, StoreError> {
        let versions = Versions { registered, others };
        let solution = match (self.solution, self.solved_by, self.solved_at) {
            (None, None, None) => None,
            (Some(text), Some(by), Some(at)) => {
                Some(Solution { text, by: by.into(), at: at.to_jiff() })
            }
            _ => return Err(StoreError::corrupt("ticket.solution", "is not whole")),
        };
        let name: StateName = read("ticket.state", self.state.parse())?;
        let since = self.state_since.map(Timestamp::to_jiff);
        let state = match name {
            StateName::Waiting => State::Waiting {
                reason: known("ticket.state_reason", self.state_reason)?,
                since: known("ticket.state_since", since)?,
                resume_to: open(
                    read("ticket.resume_to", self.resume_to.unwrap_or_default().parse())?,
                    self.resume_since.map(Timestamp::to_jiff),
                )?,
                follow_up: follow_up::follow_up(self.follow_up.as_ref())?,
            },
            StateName::Resolved => State::Resolved(known("ticket.solution", solution.clone())?),
            StateName::ResultFedBack => State::ResultFedBack {
                solution: known("ticket.solution", solution.clone())?,
                by: known("ticket.state_by", self.state_by)?.into(),
                at: known("ticket.state_since", since)?,
            },
            StateName::Closed => State::Closed {
                solution: known("ticket.solution", solution.clone())?,
                at: known("ticket.state_since", since)?,
            },
            StateName::Cancelled => State::Cancelled {
                reason: known("ticket.state_reason", self.state_reason)?,
                by: known("ticket.state_by", self.state_by)?.into(),
                at: known("ticket.state_since", since)?,
            },
            StateName::Merged => State::Merged(Box::new(links::merged(
                self.links.as_ref(),
                known("ticket.state_reason", self.state_reason)?,
                known("ticket.state_by", self.state_by)?.into(),
                known("ticket.state_since", since)?,
            )?)),
            open_state => State::Open(open(open_state, since)?),
        };
        // Of an earlier cycle's solution only the last is kept here, until the next one takes its place.
        let rejected_solution = if state.solution().is_some() { None } else { solution };
        let merged_at = if name == StateName::Merged { since } else { None };
        let complainant = match (self.customer_id, self.complainant) {
            (Some(customer), _) => Complainant::Customer { customer, contact: self.contact_id },
            (None, Some(name)) => Complainant::Unregistered { name },
            (None, None) => Complainant::Anonymous,
        };
        let mut ticket = Ticket {
            id: self.id,
            number: self.number,
            policy_version: self.policy_version_id,
            promises: versions.terms(self.promise_version_id)?,
            org_unit: self.org_unit,
            kind: read("ticket.kind", self.kind.parse())?,
            channel: read("ticket.channel", self.channel.parse())?,
            complainant,
            severity: known("ticket.severity", Severity::from_number(self.severity.into()))?,
            occurred_at: self.occurred_at.map(Timestamp::to_jiff),
            details: Details {
                subject: self.subject,
                description: self.description,
                category: self.category,
                product: self.product,
                order_reference: self.order_reference,
                shop: self.shop,
                tags: self.tags,
                fields: custom_field::values(self.custom_fields)?,
            },
            customer_grade: self.customer_grade,
            priority: read("ticket.priority", self.priority.parse())?,
            first_contact_owner: self.first_contact_owner.into(),
            team: self.team_id,
            owner: self.owner.map(Into::into),
            distribution: routing::distribution(
                "ticket.distribution",
                self.distribution.as_deref(),
            )?,
            amount: self
                .amount_cents
                .zip(self.currency)
                .map(|(cents, currency)| Amount { cents, currency }),
            complainant_type: self.complainant_type,
            handler: self.handler.map(Into::into),
            cycle_handlers: self.cycle_handlers.into_iter().map(Into::into).collect(),
            receiver_level: level("ticket.receiver_level", self.receiver_level)?,
            cycle: read("ticket.cycle", u32::try_from(self.cycle))?,
            cycle_started_at: self.cycle_started_at.to_jiff(),
            state,
            rejected_solution,
            first_response_at: self.first_responded_at.map(Timestamp::to_jiff),
            first_resolved_at: self.first_resolved_at.map(Timestamp::to_jiff),
            clocks: self
                .clocks
                .into_iter()
                .map(|record| clock::entry(record, &versions, merged_at))
                .collect::<Result<_, _>>()?,
            verdicts: self.verdicts.into_iter().map(verdict::verdict).collect::<Result<_, _>>()?,
            escalations: self
                .escalations
                .into_iter()
                .map(escalation::escalation)
                .collect::<Result<_, _>>()?,
            handling: handling::handling(self.handling)?,
            links: links::links(self.links.as_ref())?,
            outbound: outbound::outbound(self.outbound)?,
            // Whoever knows by which version it is judged says so.
            process: None,
            revision: self.revision,
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
        };
        ticket.look_for_fields(registered);
        Ok(ticket)
    }
}

pub(super) fn open(name: StateName, since: Option<jiff::Timestamp>) -> Result<Open, StoreError> {
    let since = || known("ticket.state_since", since);
    Ok(match name {
        StateName::Registered => Open::Registered,
        StateName::InProgress => Open::InProgress { since: since()? },
        StateName::Reopened => Open::Reopened { since: since()? },
        StateName::ExecutiveReview => Open::ExecutiveReview { since: since()? },
        other => return Err(StoreError::corrupt("ticket.resume_to", other)),
    })
}

pub(super) fn level(column: &str, number: i16) -> Result<ReceiverLevel, StoreError> {
    known(column, ReceiverLevel::from_number(number.into()))
}

/// The ticket with this id: one statement.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<TicketRow>, StoreError> {
    Ok(sqlx::query_file_as!(TicketRow, "src/store/ticket_get.sql", id).fetch_optional(conn).await?)
}

/// The tickets with these ids, in no order: one statement.
pub(crate) async fn find_many(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<TicketRow>, StoreError> {
    let rows = sqlx::query_file_as!(TicketRow, "src/store/ticket_get_many.sql", ids);
    Ok(rows.fetch_all(conn).await?)
}

/// Locks the ticket for this transaction, the first thing that every change does, and tells its org unit. Whatever is
/// read after this is what the last change left.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT org_unit FROM ticket WHERE id = $1 FOR NO KEY UPDATE", id)
        .fetch_optional(conn)
        .await?)
}

/// The same for a worker, of the tickets at which nobody else is. Waits for nobody, so it can take several.
pub(crate) async fn lock_free(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT id FROM ticket WHERE id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED",
        ids
    );
    Ok(locked.fetch_all(conn).await?)
}

/// Writes how urgent a ticket is that this transaction has locked.
pub(crate) async fn save_priority(
    conn: &mut PgConnection,
    ticket: &Ticket,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket SET priority = $2 WHERE id = $1",
        ticket.id,
        ticket.priority.code()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what may have changed of the ticket's own row, which must still be at `revision`.
pub(crate) async fn update(
    conn: &mut PgConnection,
    ticket: &Ticket,
    revision: i64,
) -> Result<(), StoreError> {
    let solution = ticket.solution();
    let columns = StateColumns::of(&ticket.state);
    let handlers: Vec<&str> = ticket.cycle_handlers.iter().map(|handler| &**handler).collect();
    let updated = sqlx::query!(
        "UPDATE ticket SET
             revision = $3, subject = $4, description = $5, category = $6, product = $7, tags = $8, handler = $9,
             cycle_handlers = $10, receiver_level = $11, cycle = $12, cycle_started_at = $13, state = $14,
             state_since = $15, state_by = $16, state_reason = $17, resume_to = $18, resume_since = $19,
             solution = $20, solved_by = $21, solved_at = $22, first_responded_at = $23, first_resolved_at = $24,
             updated_at = $25, links = $26, order_reference = $27, shop = $28
         WHERE id = $1 AND revision = $2",
        ticket.id,
        revision,
        ticket.revision,
        ticket.details.subject,
        ticket.details.description,
        ticket.details.category,
        ticket.details.product,
        &ticket.details.tags,
        ticket.handler.as_deref(),
        &handlers as _,
        i16::from(ticket.receiver_level.number()),
        read("ticket.cycle", i32::try_from(ticket.cycle))?,
        ticket.cycle_started_at.to_sqlx() as _,
        ticket.state.name().code(),
        columns.since.map(|at| at.to_sqlx()) as _,
        columns.by,
        columns.reason,
        columns.resume.map(|open| open.name().code()),
        columns.resume.and_then(|open| open.since()).map(|at| at.to_sqlx()) as _,
        solution.map(|solution| solution.text.as_str()),
        solution.map(|solution| &*solution.by),
        solution.map(|solution| solution.at.to_sqlx()) as _,
        ticket.first_response_at.map(|at| at.to_sqlx()) as _,
        ticket.first_resolved_at.map(|at| at.to_sqlx()) as _,
        ticket.updated_at.to_sqlx() as _,
        links::links_json(ticket),
        ticket.details.order_reference,
        ticket.details.shop,
    )
    .execute(conn)
    .await?
    .rows_affected();
    if updated == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt("a ticket changed although it was locked".to_owned()))
    }
}

/// Writes the revisions and receiver levels of tickets of which nothing else in their own rows has changed; each must still
/// be at the revision that comes with it.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    tickets: &[(&Ticket, i64)],
) -> Result<(), StoreError> {
    if tickets.is_empty() {
        return Ok(());
    }
    let updated = sqlx::query!(
        "UPDATE ticket SET
             revision = moved.revision, receiver_level = moved.receiver_level, updated_at = moved.updated_at
         FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::smallint[], $5::timestamptz[])
             AS moved (id, before, revision, receiver_level, updated_at)
         WHERE ticket.id = moved.id AND ticket.revision = moved.before",
        &column!(tickets, |(ticket, _)| ticket.id),
        &column!(tickets, |(_, before)| *before),
        &column!(tickets, |(ticket, _)| ticket.revision),
        &column!(tickets, |(ticket, _)| i16::from(ticket.receiver_level.number())),
        &column!(tickets, |(ticket, _)| ticket.updated_at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?
    .rows_affected();
    if usize::try_from(updated) == Ok(tickets.len()) {
        Ok(())
    } else {
        Err(StoreError::Corrupt("a ticket changed although it was locked".to_owned()))
    }
}

/// What a state carries, by column.
#[derive(Default)]
struct StateColumns<'a> {
    since: Option<jiff::Timestamp>,
    by: Option<&'a str>,
    reason: Option<&'a str>,
    resume: Option<&'a Open>,
}

impl<'a> StateColumns<'a> {
    fn of(state: &'a State) -> Self {
        let none = Self::default();
        match state {
            State::Open(open) => Self { since: open.since(), ..none },
            State::Waiting { reason, since, resume_to, .. } => {
                Self { since: Some(*since), reason: Some(reason), resume: Some(resume_to), ..none }
            }
            State::Resolved(solution) => Self { since: Some(solution.at), ..none },
            State::ResultFedBack { by, at, .. } => Self { since: Some(*at), by: Some(by), ..none },
            State::Closed { at, .. } => Self { since: Some(*at), ..none },
            State::Cancelled { reason, by, at } => {
                Self { since: Some(*at), by: Some(by), reason: Some(reason), ..none }
            }
            State::Merged(merged) => Self {
                since: Some(merged.at),
                by: Some(&merged.by),
                reason: Some(&merged.reason),
                ..none
            },
        }
    }
}
