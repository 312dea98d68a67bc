//! Table `handling_record`: what was put on record while a ticket was handled.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{HandlingChange, Supervision, Ticket};

/// What was put on record, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Content {
    /// An attempt to reach the customer.
    ContactAttempt { channel: String, at: Timestamp, reached: bool, note: String, counts: bool },
    /// An internal meeting.
    Meeting { at: Timestamp, participants: Vec<String>, decisions: String },
    /// A finding.
    Finding { finding: String },
    /// A handling form.
    HandlingForm { form: u32, opinion: String, decision: String },
    /// A decision of the executives.
    ExecutiveDecision { decision: String, outcome: String },
    /// Something about a supervision: `instruction`, `urging`, `answer` or `conclusion`.
    SupervisionNote {
        supervision: u32,
        note: String,
        text: String,
        urging: u32,
        answer_by: Option<Timestamp>,
    },
}

impl Content {
    /// What a change of `ticket`, as it left it, puts on record; none where its table is another one.
    pub(crate) fn of(ticket: &Ticket, change: &HandlingChange) -> Option<Self> {
        let supervision = ticket.handling.supervisions;
        let said = |note: &str, text: &str| Self::SupervisionNote {
            supervision,
            note: note.to_owned(),
            text: text.to_owned(),
            urging: 0,
            answer_by: None,
        };
        let begun = |supervision: &Supervision| Self::SupervisionNote {
            supervision: supervision.number,
            note: "instruction".to_owned(),
            text: supervision.instruction.clone(),
            urging: 0,
            answer_by: Some(supervision.answer_by),
        };
        Some(match change {
            HandlingChange::Attempted(attempt) => Self::ContactAttempt {
                channel: attempt.channel.code().to_owned(),
                at: attempt.at,
                reached: attempt.reached,
                note: attempt.note.clone(),
                counts: attempt.counts,
            },
            HandlingChange::Met { at, participants, decisions } => Self::Meeting {
                at: *at,
                participants: participants.clone(),
                decisions: decisions.clone(),
            },
            HandlingChange::Found { finding } => Self::Finding { finding: finding.clone() },
            HandlingChange::FormCompleted { form, opinion, decision } => Self::HandlingForm {
                form: *form,
                opinion: opinion.clone(),
                decision: decision.clone(),
            },
            HandlingChange::ExecutivesDecided { decision, outcome } => Self::ExecutiveDecision {
                decision: decision.clone(),
                outcome: outcome.code().to_owned(),
            },
            HandlingChange::Supervised(supervision) => begun(supervision),
            HandlingChange::Reported { supervision, .. } => begun(supervision.as_ref()?),
            HandlingChange::Urged { number, text, answer_by } => Self::SupervisionNote {
                supervision,
                note: "urging".to_owned(),
                text: text.clone(),
                urging: *number,
                answer_by: *answer_by,
            },
            HandlingChange::Pushed { number, text } => Self::SupervisionNote {
                supervision: 0,
                note: "urging".to_owned(),
                text: text.clone(),
                urging: *number,
                answer_by: None,
            },
            HandlingChange::Answered { answer } => said("answer", answer),
            HandlingChange::SupervisionEnded { conclusion, .. } => said("conclusion", conclusion),
            _ => return None,
        })
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::ContactAttempt { .. } => "contact_attempt",
            Self::Meeting { .. } => "meeting",
            Self::Finding { .. } => "finding",
            Self::HandlingForm { .. } => "handling_form",
            Self::ExecutiveDecision { .. } => "executive_decision",
            Self::SupervisionNote { .. } => "supervision_note",
        }
    }

    /// As it is stored.
    pub(crate) fn json(&self) -> Result<Value, StoreError> {
        read("handling_record.content", serde_json::to_value(self))
    }
}

/// Puts something on record: by whom and when.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    (ticket, customer): (&Ticket, Option<Uuid>),
    content: &Content,
    (by, at): (&str, Timestamp),
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO handling_record (id, ticket_id, customer_id, cycle, kind, content, recorded_by, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        ticket.id,
        customer,
        read("handling_record.cycle", i32::try_from(ticket.cycle))?,
        content.kind(),
        content.json()?,
        by,
        at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Something on record.
#[derive(Debug)]
pub(crate) struct RecordRow {
    pub(crate) id: Uuid,
    pub(crate) cycle: i32,
    content: Value,
    pub(crate) recorded_by: String,
    pub(crate) recorded_at: jiff_sqlx::Timestamp,
}

impl RecordRow {
    /// What it is.
    pub(crate) fn content(&self) -> Result<Content, StoreError> {
        read("handling_record.content", serde_json::from_value(self.content.clone()))
    }
}

/// What is on record of a ticket after one of them, oldest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    ticket: Uuid,
    after: Option<(Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<RecordRow>, StoreError> {
    let (at, id) = after.unzip();
    Ok(sqlx::query_as!(
        RecordRow,
        r#"SELECT id, cycle, content, recorded_by, recorded_at AS "recorded_at: jiff_sqlx::Timestamp"
           FROM handling_record
           WHERE ticket_id = $1 AND ($2::timestamptz IS NULL OR (recorded_at, id) > ($2, $3::uuid))
           ORDER BY recorded_at, id
           LIMIT $4"#,
        ticket,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
