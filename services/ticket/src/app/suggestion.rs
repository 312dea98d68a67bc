//! Suggestions for improvement (T-21).

use std::collections::BTreeMap;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Entry, Provenance, PublicEvent};
use kefu_rpc::Etag;
use sqlx::PgConnection;
use uuid::Uuid;

use super::addressee::Addressee;
use super::error::check_etag;
use super::timer::Fired;
use super::{App, Call, Error, Page, one_more, resource_audit};
use crate::domain::{
    StepRefusal, Subject, Suggestion, SuggestionState, decide_suggestion, remind, submit_suggestion,
};
use crate::encode::suggestion as encode;
use crate::store;
use crate::store::suggestion::{DrawnFrom, SuggestionQuery};

/// Who may decide in the place of a decision maker.
const OVERRULE: &str = "ticket.OverruleSuggestion";
/// What the timers do, in the journal.
const REMIND: &str = "RemindSuggestion";

/// What is suggested.
#[derive(Clone, Debug)]
pub struct NewSuggestion {
    /// Whose matter it is.
    pub org_unit: OrgUnit,
    /// From which tickets.
    pub tickets: Vec<Uuid>,
    /// In a line.
    pub title: String,
    /// What and why.
    pub body: String,
    /// Who has to decide.
    pub decision_maker: Subject,
}

impl App {
    /// Submits a suggestion.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::StepRefused`] for tickets that the caller does not see or that
    /// are merged, and for one that its proposer would decide, [`Error::RequestIdReused`].
    pub async fn submit_suggestion(
        &self,
        call: &Call,
        new: NewSuggestion,
    ) -> Result<pb::Suggestion, Error> {
        if let Err(lacking) = self.allow_in(call, "ticket.SubmitSuggestion", &new.org_unit).await {
            return self.or_answered(call, lacking).await;
        }
        let mut work = self.begin(call).await?;
        let tickets = store::suggestion::tickets(work.conn(), &new.tickets).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        self.check_tickets(&call.caller, &new.tickets, &tickets)?;
        unmerged(work.conn(), &new.tickets, &tickets).await?;
        let now = work.now();
        let policies = self.policies.current(work.conn()).await?;
        let due = match policies.effective(&new.org_unit, now) {
            None => None,
            Some(version) => {
                let policy = &version.policy;
                let within = policy.learning().suggestion_decision_within;
                within.map(|target| policy.calendar().due_at(now, target)).transpose().map_err(
                    |error| Error::Defect(format!("the decision on a suggestion: {error}")),
                )?
            }
        };
        let suggestion = submit_suggestion(Suggestion {
            id: self.ids.uuid(),
            org_unit: new.org_unit.to_string(),
            tickets: new.tickets,
            title: new.title,
            body: new.body,
            proposer: call.caller.subject().into(),
            decision_maker: new.decision_maker,
            decisions: Vec::new(),
            due,
            reminded: None,
            created_at: now,
            updated_at: now,
            revision: 1,
        })?;
        store::suggestion::insert(work.conn(), &suggestion).await?;
        let by = work.by();
        let change = ("SubmitSuggestion", encode::submitted as Tell);
        let told = self.record_suggestion(work.conn(), by, None, &suggestion, change).await?;
        let answer = work.commit(told).await?;
        self.learning_timers.expect(suggestion.next_fire_at());
        Ok(answer)
    }

    /// All wrong ones are named. Whether there is one that he may not see is not told.
    fn check_tickets(
        &self,
        caller: &Caller,
        asked: &[Uuid],
        found: &[DrawnFrom],
    ) -> Result<(), Error> {
        let units: BTreeMap<Uuid, &str> =
            found.iter().map(|ticket| (ticket.id, &*ticket.org_unit)).collect();
        let seen = |id: &Uuid| {
            let unit = units.get(id);
            unit.is_some_and(|unit| self.allow_at(caller, "ticket.GetTicket", unit).is_ok())
        };
        let unseen = asked.iter().enumerate().filter(|(_, id)| !seen(id));
        let faults: Vec<_> = unseen
            .map(|(index, _)| {
                let path = format!("suggestion.tickets[{index}]");
                let words = ("names no ticket that the caller may see", "工单不存在或无权查看");
                crate::domain::Fault {
                    reason: "NOT_FOUND",
                    ..crate::domain::Fault::new(path, words)
                }
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(StepRefusal::Fields(faults).into()) }
    }

    /// One suggestion; its proposer, its decision maker and whoever stands in for that one may always read it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_suggestion(&self, caller: &Caller, id: Uuid) -> Result<pb::Suggestion, Error> {
        const ACTION: &str = "ticket.GetSuggestion";
        let mut conn = self.read().await?;
        let found = store::suggestion::find(&mut conn, id).await?;
        let suggestion = found.ok_or_else(|| not_found(id))?;
        let concerned = [&suggestion.proposer, &suggestion.decision_maker];
        let own = concerned.iter().any(|staff| ***staff == *caller.subject())
            || self.decides_for(&mut conn, caller, &suggestion).await?;
        match caller.org_unit().filter(|_| own) {
            Some(home) => self.allow(caller, ACTION, home)?,
            None => self.allow_at(caller, ACTION, &suggestion.org_unit)?,
        }
        Ok(encode::resource(&suggestion))
    }

    /// Whether somebody stands in for the decision maker, who is absent: nothing waits for somebody who is away (T-25).
    async fn decides_for(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        suggestion: &Suggestion,
    ) -> Result<bool, Error> {
        let maker = &suggestion.decision_maker;
        Ok(store::duty::stands_in(conn, maker, caller.subject(), self.now()).await?)
    }

    /// Those at and below an org unit, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_suggestions(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        (query, whose): (SuggestionQuery, Addressee),
        size: u32,
    ) -> Result<Page<Suggestion, (Timestamp, Uuid)>, Error> {
        self.allow_addressed(caller, "ticket.ListSuggestions", org_unit, &whose)?;
        let mut conn = self.read().await?;
        let decision_makers = whose.names(&mut conn, caller, query.now).await?;
        let query = SuggestionQuery { limit: one_more(size), decision_makers, ..query };
        let found = store::suggestion::list(&mut conn, &query).await?;
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// Decides on a suggestion, in one transaction. A reminder that was due before is put on record first, so that it does
    /// not matter when a timer comes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`],
    /// [`Error::StepRefused`].
    pub async fn decide_suggestion(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        decision: (SuggestionState, String, Option<Timestamp>),
    ) -> Result<pb::Suggestion, Error> {
        const ACTION: &str = "ticket.DecideSuggestion";
        let mut work = self.begin(call).await?;
        if !store::suggestion::lock(work.conn(), id).await? {
            return Err(not_found(id));
        }
        // Read after the lock, by a statement of its own: what waited for the lock sees what it waited for.
        let found = store::suggestion::find(work.conn(), id).await?;
        let mut before = found.ok_or_else(|| not_found(id))?;
        let caller = &call.caller;
        let stands_in = self.decides_for(work.conn(), caller, &before).await?;
        let named = stands_in || *caller.subject() == *before.decision_maker;
        let may = match caller.org_unit().filter(|_| named) {
            Some(home) => self.allow(caller, ACTION, home).map(|()| stands_in),
            None => self
                .allow_at(caller, ACTION, &before.org_unit)
                .map(|()| self.allow_at(caller, OVERRULE, &before.org_unit).is_ok()),
        };
        let in_place = match may {
            Ok(in_place) => in_place,
            Err(denied) => return work.answered().await?.ok_or(denied),
        };
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, before.revision)?;
        let now = work.now();
        if let Some(reminded) = remind(&before, now, false) {
            self.record_reminder(work.conn(), &before, &reminded).await?;
            before = reminded;
        }
        let actor: Subject = caller.subject().into();
        let after = decide_suggestion(&before, decision, (&actor, in_place), now)?;
        store::suggestion::update(work.conn(), &before, &after).await?;
        let by = work.by();
        let change = ("DecideSuggestion", encode::decided as Tell);
        let told = self.record_suggestion(work.conn(), by, Some(&before), &after, change).await?;
        let answer = work.commit(told).await?;
        self.learning_timers.expect(after.next_fire_at());
        Ok(answer)
    }

    /// Puts on record that a decision is due and has not come, in one transaction.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub(super) async fn fire_suggestion_timer(&self, id: Uuid) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if !store::suggestion::try_lock(&mut tx, id).await? {
            return Ok(Fired::Busy);
        }
        let Some(suggestion) = store::suggestion::find(&mut tx, id).await? else {
            return Ok(Fired::Nothing);
        };
        let Some(reminded) = remind(&suggestion, self.now(), true) else {
            return Ok(Fired::Nothing);
        };
        self.record_reminder(&mut tx, &suggestion, &reminded).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }

    async fn record_reminder(
        &self,
        conn: &mut PgConnection,
        before: &Suggestion,
        reminded: &Suggestion,
    ) -> Result<(), Error> {
        store::suggestion::update(conn, before, reminded).await?;
        let by = Provenance::system("timers");
        let change = (REMIND, encode::reminded as Tell);
        self.record_suggestion(conn, &by, Some(before), reminded, change).await?;
        Ok(())
    }

    async fn record_suggestion(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        before: Option<&Suggestion>,
        after: &Suggestion,
        (action, tell): (&'static str, Tell),
    ) -> Result<pb::Suggestion, Error> {
        let told = encode::resource(after);
        let (old, new) = resource_audit::changed(before.map(encode::resource).as_ref(), &told)?;
        let entry = Entry {
            by,
            event_id: self.ids.uuid(),
            occurred_at: after.updated_at,
            aggregate_type: "suggestion",
            aggregate_id: after.id,
            revision: after.revision,
            action,
            org_unit: &after.org_unit,
            customer_id: None,
            before: old,
            after: new,
            event: Some(tell(&told)),
        };
        kefu_journal::append(conn, &[entry]).await?;
        Ok(told)
    }
}

/// Passes if none of the tickets, which this transaction has locked, is merged; else all that are, with where to go instead.
async fn unmerged(
    conn: &mut PgConnection,
    asked: &[Uuid],
    found: &[DrawnFrom],
) -> Result<(), Error> {
    let mut merged = Vec::new();
    for id in asked {
        if found.iter().any(|ticket| ticket.id == *id && ticket.merged) {
            merged.push((*id, store::merge::survivor(conn, *id).await?));
        }
    }
    let command = "SubmitSuggestion";
    if merged.is_empty() { Ok(()) } else { Err(StepRefusal::Merged { command, merged }.into()) }
}

/// What others learn of a change.
type Tell = fn(&pb::Suggestion) -> PublicEvent;

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Suggestion", name: encode::name(id) }
}
