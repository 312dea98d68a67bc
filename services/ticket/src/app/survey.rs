//! Verdicts that customers give themselves, by answering a survey (T-13, S-08).

use jiff::Timestamp;
use kefu_api::survey::v1::CallBackAnswered;
use kefu_journal::{Entry, Provenance};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::placement::Hold;
use super::{App, Error, change, placement};
use crate::domain::{Actor, Command, Refusal, What, decide};
use crate::store;

/// The kind of thing that an answer is in this context's journal.
const ANSWER: &str = "survey_answer";

impl App {
    /// Takes the verdict from an answer, within the transaction that moves the feed's cursor. Every answer is put on
    /// record once: one about a cycle that is over, or was judged already, is no verdict, but the ticket's history has it,
    /// and it may open the ticket again (T-13). A second delivery changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`]; then the event is tried again.
    pub(crate) async fn take_answer(
        &self,
        conn: &mut PgConnection,
        answer: Uuid,
        ticket: Uuid,
        event: &CallBackAnswered,
    ) -> Result<Option<Timestamp>, Error> {
        if store::ticket::lock(conn, ticket).await?.is_none() {
            tracing::warn!(%answer, %ticket, "an answer is about a ticket that does not exist");
            return Ok(None);
        }
        if store::history::exists(conn, ANSWER, answer).await? {
            return Ok(None);
        }
        let Some(row) = store::ticket::find(conn, ticket).await? else { return Ok(None) };
        let (ticket, version) = self.judged(conn, row).await?;
        let submitted_at = event.submit_time.as_ref().and_then(|at| kefu_rpc::timestamp(at).ok());
        let command = Command::TakeSurveyVerdict {
            cycle: u32::try_from(event.ticket_cycle).unwrap_or_default(),
            value: event.verdict,
            comment: event.comment.clone(),
            submitted_at,
        };
        let now = self.now();
        let cycle = ticket.cycle;
        let decided = decide(&ticket, &version.policy, command, &Actor::SURVEY, now);
        let (mut changes, ignored) = match decided {
            Ok(changes) => {
                let seen = changes.iter().any(|change| {
                    change.verdict().is_some() || matches!(change.what, What::AnsweredLate(_))
                });
                (changes, (!seen).then(|| "nobody was asked about that cycle".to_owned()))
            }
            // A refusal would be the same for ever, and the answers behind this one would wait for it.
            Err(refusal) => (Vec::new(), Some(why(&refusal))),
        };
        let by = Provenance::system("survey");
        let judged = (&ticket, &version.policy);
        let following =
            Box::pin(placement::reroute(conn, judged, &changes, (now, Hold::Team))).await?;
        changes.extend(following);
        let late = changes.iter().any(|change| matches!(change.what, What::AnsweredLate(_)));
        let ticket = change::record(conn, &self.ids, ticket, &changes, &by).await?;
        placement::take_turn(conn, &changes).await?;
        let entry = Entry {
            by: &by,
            event_id: self.ids.uuid(),
            occurred_at: now,
            aggregate_type: ANSWER,
            aggregate_id: answer,
            revision: 1,
            action: match (&ignored, late) {
                (Some(_), _) => "IgnoreAnswer",
                (None, true) => "NoteLateAnswer",
                (None, false) => "TakeAnswer",
            },
            org_unit: &ticket.org_unit,
            customer_id: change::customer_of(&ticket),
            before: None,
            after: Some(json!({
                "ticket": ticket.id, "invitation": event.invitation, "asked_about_cycle": event.ticket_cycle,
                "cycle": cycle, "verdict": event.verdict, "comment": event.comment, "ignored": ignored,
                "submitted_at": submitted_at.map(|at| at.to_string()),
            })),
            event: None,
        };
        kefu_journal::append(conn, &[entry]).await?;
        Ok(ticket.next_fire_at())
    }
}

fn why(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Fields(faults) => {
            let faults: Vec<_> = faults
                .iter()
                .map(|fault| format!("{} {}", fault.path, fault.description))
                .collect();
            faults.join("; ")
        }
        other => other.to_string(),
    }
}
