//! Carrying what is said on parents to their children (T-04): from child to child, each in a transaction of its own that
//! moves the place. Whoever dies in between goes on there; any number of replicas may carry, one at a time, and of each
//! parent one answer at a time, in the order in which they were given.

use std::time::Duration;

use jiff::SignedDuration;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Entry, Provenance};
use kefu_postgres::StoreError;
use kefu_rpc::Deadline;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::mass_answer::{Named, rendered, spoken};
use super::ticket::not_found;
use super::{App, Error, change};
use crate::domain::{
    Actor, Command, MassOutcome, MassPurpose, MessageTemplate, Refusal, State, decide, of_level,
};
use crate::store;
use crate::store::mass_answer::MassAnswerRow;

/// The system's name for who carries them.
const CARRIER: &str = "mass-answers";
/// How long the customer context may take to tell a name.
const NAME_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long an answer waits for the customer context to tell a name; then it goes without. Whoever waits for it longer waits
/// for the answer, and with him everybody after him and every later answer of the parent.
const NAME_PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// The longest detail of a result, in characters.
const MAX_DETAIL: usize = 500;
/// Why a solution is not put on record where whoever solved the parent may solve nothing.
const NOT_THERE: &str = "whoever solved the parent may not put a solution on record in this org unit / \
     处理上级工单的人无权在本组织单元登记处理方案";
/// The name of a trigger's actor begins with this.
const TRIGGER: &str = "system/trigger/";

/// What became of one look at a mass answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// A child was seen to; there may be more.
    On,
    /// There is none left.
    Finished,
    /// Somebody else carries it.
    Busy,
}

impl App {
    /// Carries a mass answer to its next child.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away, [`Error::CustomerUnavailable`] where a name is needed: then it waits, for a
    /// while.
    pub(crate) async fn carry(&self, id: Uuid) -> Result<Carried, Error> {
        let mut conn = self.read().await?;
        let Some(answer) = store::mass_answer::find(&mut conn, id).await? else {
            return Ok(Carried::Finished);
        };
        let expected = store::mass_answer::next_child(&mut conn, &answer).await?;
        drop(conn);
        match Box::pin(self.carry_to(&answer, expected)).await {
            // It is somebody else's ticket since its customer's name was asked for.
            Err(Error::Conflict) => Ok(Carried::On),
            Err(error) if !is_transient(&error) => {
                // What fails the same way every time keeps no other child waiting, nor any later answer.
                tracing::error!(mass_answer = %id, child = ?expected, %error, "an answer does not reach a child");
                self.fail(id, expected).await
            }
            other => other,
        }
    }

    async fn carry_to(
        &self,
        answer: &MassAnswerRow,
        expected: Option<Uuid>,
    ) -> Result<Carried, Error> {
        let wording = expected.and_then(|_| wording(answer).transpose()).transpose()?;
        let mut name = Named::default();
        if let (Some(child), Some(wording)) = (expected, &wording) {
            let mut conn = self.read().await?;
            let row = store::ticket::find(&mut conn, child).await?;
            let row = row.ok_or_else(|| not_found(child))?;
            let (ticket, _) = self.judged(&mut conn, row).await?;
            drop(conn);
            let deadline = Deadline::default().at_most(NAME_TIMEOUT);
            name = match self.name_for(&ticket, wording, deadline).await {
                Err(Error::CustomerUnavailable) if self.is_out_of_patience(answer) => {
                    tracing::warn!(mass_answer = %answer.id, %child, "an answer goes without the customer's name");
                    Named::default()
                }
                named => named?,
            };
        }
        self.settle_next(answer.id, expected, wording.as_ref(), &name).await
    }

    fn is_out_of_patience(&self, answer: &MassAnswerRow) -> bool {
        self.now().duration_since(answer.created_at.to_jiff()) >= NAME_PATIENCE
    }

    async fn settle_next(
        &self,
        id: Uuid,
        expected: Option<Uuid>,
        wording: Option<&MessageTemplate>,
        name: &Named,
    ) -> Result<Carried, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let Some(answer) = store::mass_answer::lock(&mut tx, id).await? else {
            return Ok(Carried::Busy);
        };
        let Some(child) = store::mass_answer::next_child(&mut tx, &answer).await? else {
            self.finish(&mut tx, &answer).await?;
            tx.commit().await?;
            return Ok(Carried::Finished);
        };
        if Some(child) != expected {
            // Somebody else was faster.
            return Ok(Carried::On);
        }
        store::ticket::lock(&mut tx, child).await?;
        let (outcome, alarm) = match store::mass_answer::concerns(&mut tx, &answer, child).await? {
            false => (None, None),
            true => {
                let (outcome, detail, alarm) =
                    self.reach(&mut tx, &answer, child, wording, name).await?;
                (Some((outcome, detail)), alarm)
            }
        };
        let told = outcome.as_ref().map(|(outcome, detail)| (*outcome, detail.as_str()));
        store::mass_answer::advance(&mut tx, &answer, child, told, self.now()).await?;
        tx.commit().await?;
        self.tail.wake();
        self.outbox.wake();
        self.timers.expect(alarm);
        Ok(Carried::On)
    }

    /// Says it on a child that is locked; what became of it, why, and when its clocks ring next.
    async fn reach(
        &self,
        conn: &mut PgConnection,
        answer: &MassAnswerRow,
        child: Uuid,
        wording: Option<&MessageTemplate>,
        name: &Named,
    ) -> Result<(MassOutcome, String, Option<jiff::Timestamp>), Error> {
        let none = |outcome| Ok((outcome, String::new(), None));
        let row = store::ticket::find(conn, child).await?.ok_or_else(|| not_found(child))?;
        let (ticket, version) = self.judged(conn, row).await?;
        let policy = &version.policy;
        if ticket.state.is_final() {
            return none(MassOutcome::Ended);
        }
        let purpose = answer.purpose()?;
        if purpose == MassPurpose::Solution && !answer.demanded && !policy.links().resolve_children
        {
            return none(MassOutcome::Offered);
        }
        let route = match answer.adapter {
            None => None,
            Some(_) => match store::link::route(conn, child).await? {
                None => return none(MassOutcome::NoRecipient),
                route => route,
            },
        };
        let name = name.on(&ticket)?;
        let message = match wording.map(|wording| rendered(wording, &ticket, policy, name)) {
            None => answer.body.clone(),
            Some(Ok(message)) => message,
            Some(Err(refusal)) => return Ok((MassOutcome::Refused, why(&refusal), None)),
        };
        // It was said when it was said on the parent, however long it took to get here (T-07). Only whoever was dissatisfied
        // meanwhile hears what is sent to him in his new cycle, and so now.
        let sent_at = answer.sent_at.to_jiff();
        let carried = route.is_none() || sent_at >= ticket.cycle_started_at;
        let command = match (purpose, &ticket.state) {
            (MassPurpose::Solution, _) => Command::Resolve { solution: message },
            (MassPurpose::Result, State::Resolved(_)) => {
                spoken(Command::FeedBack { message, sent_at: None }, route)
            }
            _ => spoken(Command::Respond { message, sent_at: None }, route),
        };
        let command = match carried {
            true => Command::Carry { command: Box::new(command), sent_at },
            false => command,
        };
        // He solves and overrides on the child what he could there himself, and no more.
        let speaker = speaker(answer)?;
        let org_unit: OrgUnit = ticket
            .org_unit
            .parse()
            .map_err(|error| StoreError::corrupt("ticket.org_unit", error))?;
        let may =
            |action| speaker.as_ref().filter(|it| self.authorizer.permits(it, action, &org_unit));
        let solves = may("ticket.ResolveTicket");
        // Answers need the parent's org unit only; a solution makes him the handler.
        if purpose == MassPurpose::Solution && speaker.is_some() && solves.is_none() {
            return Ok((MassOutcome::Refused, NOT_THERE.to_owned(), None));
        }
        let roles = solves.into_iter().flat_map(Caller::roles);
        if let Err(refusal) = of_level(&ticket, policy, &command, roles) {
            return Ok((MassOutcome::Refused, why(&refusal), None));
        }
        let overriding = answer.overriding && may("ticket.OverrideForbiddenPhrases").is_some();
        let command = match overriding {
            true => Command::OverridePhrases(Box::new(command)),
            false => command,
        };
        let actor = match answer.answered_by.strip_prefix(TRIGGER) {
            Some(trigger) => Actor::Trigger(trigger.into()),
            None => Actor::staff(answer.answered_by.as_str()),
        };
        let changes = match decide(&ticket, policy, command, &actor, self.now()) {
            Ok(changes) => changes,
            Err(refusal) => return Ok((MassOutcome::Refused, why(&refusal), None)),
        };
        let by = Provenance {
            actor: answer.answered_by.clone(),
            actor_org_unit: answer.actor_org_unit.clone(),
            origin: answer.origin.clone(),
            request_id: String::new(),
            traceparent: answer.traceparent.clone(),
        };
        let ticket = change::record(conn, &self.ids, ticket, &changes, &by).await?;
        Ok((MassOutcome::Reached, String::new(), ticket.next_fire_at()))
    }

    async fn fail(&self, id: Uuid, child: Option<Uuid>) -> Result<Carried, Error> {
        let Some(child) = child else { return Ok(Carried::Busy) };
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let Some(answer) = store::mass_answer::lock(&mut tx, id).await? else {
            return Ok(Carried::Busy);
        };
        if store::mass_answer::next_child(&mut tx, &answer).await? == Some(child) {
            let outcome = Some((MassOutcome::Failed, ""));
            store::mass_answer::advance(&mut tx, &answer, child, outcome, self.now()).await?;
            tx.commit().await?;
        }
        Ok(Carried::On)
    }

    async fn finish(&self, conn: &mut PgConnection, answer: &MassAnswerRow) -> Result<(), Error> {
        let now = self.now();
        store::mass_answer::finish(conn, answer.id, now).await?;
        let by = Provenance::system(CARRIER);
        let after = json!({ "reached": answer.reached, "unreached": answer.unreached });
        let entry = Entry {
            by: &by,
            event_id: self.ids.uuid(),
            occurred_at: now,
            aggregate_type: "mass_answer",
            aggregate_id: answer.id,
            revision: 2,
            action: "FinishMassAnswer",
            org_unit: &answer.org_unit,
            customer_id: answer.customer_id,
            before: None,
            after: Some(after),
            event: None,
        };
        Ok(kefu_journal::append(conn, &[entry]).await?)
    }
}

/// Whether the same may succeed later.
fn is_transient(error: &Error) -> bool {
    match error {
        Error::Store(error) => error.is_transient(),
        Error::CustomerUnavailable => true,
        _ => false,
    }
}

/// Whoever gave the answer, with the roles that he had then; none where a trigger did.
fn speaker(answer: &MassAnswerRow) -> Result<Option<Caller>, StoreError> {
    if answer.actor_org_unit.is_empty() {
        return Ok(None);
    }
    let home: OrgUnit = answer
        .actor_org_unit
        .parse()
        .map_err(|error| StoreError::corrupt("mass_answer.actor_org_unit", error))?;
    let roles = answer.roles.iter().map(String::as_str);
    Ok(Some(Caller::staff(answer.answered_by.as_str(), home, roles)))
}

/// The pieces of a personal answer.
fn wording(answer: &MassAnswerRow) -> Result<Option<MessageTemplate>, Error> {
    if !answer.personal {
        return Ok(None);
    }
    let wording = MessageTemplate::free(&answer.body);
    wording.map(Some).map_err(|faults| StoreError::corrupt("mass_answer.body", faults.len()).into())
}

/// Why a child does not take it, for people.
fn why(refusal: &Refusal) -> String {
    let why = match refusal {
        Refusal::Fields(faults) => {
            let told = faults.iter().map(|fault| format!("{} {}", fault.path, fault.description));
            told.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    };
    why.chars().take(MAX_DETAIL).collect()
}
