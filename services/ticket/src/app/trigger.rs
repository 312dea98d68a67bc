//! Triggers at work: when … if … then (T-26).
//!
//! The journal is read in its order. What an event's triggers do, that they did it, and how far the journal has been read
//! are one transaction, and the cursor is moved by compare-and-set: so of any number of replicas one acts, once, and after a
//! crash either all of it is there or none. What a trigger changes is an event again; it goes on in the chain of the event
//! that the trigger ran after, and in a chain each trigger acts once at most.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Provenance, Recorded};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::{self, customer_of};
use super::outbox::{self, Letter};
use super::placement::{self, Hold};
use super::ticket::not_found;
use super::trigger_event::{Happened, Told};
use super::{App, Error, Page, one_more};
use crate::domain::{
    Actor, AssignCause, Automated, DeliveryContent, Doing, Outgoing, Refusal, Ticket, Trigger,
    TriggerOutcome, automate,
};
use crate::encode::ticket as encode;
use crate::store;
use crate::store::trigger::{Run, RunCursor, TroubleQuery};

/// How the actor of what a trigger did begins.
const BY_TRIGGER: &str = "system/trigger/";
/// The time for which runs are counted.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Of what other systems are told: names are added with a new one, none is changed.
const PAYLOAD_VERSION: u32 = 2;
/// The longest explanation that is kept, in characters.
const MAX_DETAIL: usize = 500;

/// How far the triggers of an event have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ran {
    /// Somebody else has moved the cursor.
    Elsewhere,
    /// All that were to.
    All,
    /// Those before this place.
    UpTo(usize),
}

/// Where in its chain an event stands.
#[derive(Clone, Copy, Debug)]
struct Link {
    root: Uuid,
    depth: u32,
}

impl App {
    /// Those of the events after which a trigger of the ticket's policy may run: two statements, however many they are.
    pub(crate) async fn triggering(
        &self,
        events: &[Arc<Recorded>],
    ) -> Result<Vec<Happened>, Error> {
        let known: Vec<Happened> = events.iter().filter_map(Happened::of).collect();
        if known.is_empty() {
            return Ok(known);
        }
        let tickets: BTreeSet<Uuid> = known.iter().map(|happened| happened.ticket).collect();
        let tickets: Vec<Uuid> = tickets.into_iter().collect();
        let mut conn = self.read().await?;
        let versions: BTreeMap<Uuid, Uuid> =
            store::trigger::versions(&mut conn, &tickets).await?.into_iter().collect();
        let mut triggering = Vec::new();
        for happened in known {
            let Some(id) = versions.get(&happened.ticket) else { continue };
            let version = self.version(&mut conn, *id).await?;
            // A version that is not there fails where that can be put on record.
            let may = version.is_none_or(|version| {
                version.policy.automation().triggers_on(&happened.events).next().is_some()
            });
            triggering.extend(may.then_some(happened));
        }
        Ok(triggering)
    }

    /// Moves the cursor over what no trigger runs after. False means that somebody else has moved it.
    pub(crate) async fn skip_events(&self, from: &str, to: &str) -> Result<bool, Error> {
        let mut conn = self.read().await?;
        Ok(from == to || store::trigger::advance(&mut conn, from, to).await?)
    }

    /// Runs the triggers of an event and moves the cursor over it. False means that somebody else has moved it; then
    /// nothing has happened. A ticket that cannot be worked on keeps no other waiting: that is put on record, too.
    ///
    /// # Errors
    /// When the database is away or too slow, or others were at the ticket at the same time.
    pub(crate) async fn run_triggers(
        &self,
        from: &str,
        to: &str,
        happened: &Happened,
    ) -> Result<bool, Error> {
        let mut begin = 0;
        loop {
            match Box::pin(self.try_triggers((from, to), happened, begin)).await {
                Ok(Ran::UpTo(place)) => begin = place,
                Ok(ran) => return Ok(ran == Ran::All),
                // A lock that somebody held for long is free sooner or later, too.
                Err(Error::Store(error)) if error.is_transient() => {
                    return Err(Error::Store(error));
                }
                Err(error) => {
                    let ticket = happened.ticket;
                    tracing::error!(%ticket, %error, "the triggers of an event cannot be run");
                    return self.give_up(from, to, happened).await;
                }
            }
        }
    }

    /// Runs them from one on, in one transaction as far as one of them distributes: two teams in one transaction would be locked
    /// in the order of the triggers, and others who move tickets between the two in theirs.
    async fn try_triggers(
        &self,
        (from, to): (&str, &str),
        happened: &Happened,
        begin: usize,
    ) -> Result<Ran, Error> {
        let recorded = &happened.recorded;
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if !store::trigger::advance(&mut tx, from, to).await? {
            return Ok(Ran::Elsewhere);
        }
        let id = happened.ticket;
        store::ticket::lock(&mut tx, id).await?.ok_or_else(|| not_found(id))?;
        let row = store::ticket::find(&mut tx, id).await?.ok_or_else(|| not_found(id))?;
        let (mut ticket, version) = self.judged(&mut tx, row).await?;
        let link = link(&mut tx, recorded).await?;
        let ran = store::trigger::ran(&mut tx, link.root).await?;
        let told = happened.told()?;
        let (mut assigned, mut rest) = (false, None);
        let triggers = version.policy.automation().triggers_on(&happened.events);
        for (place, trigger) in triggers.enumerate().skip(begin) {
            if ran.iter().any(|name| **name == *trigger.name) {
                continue;
            }
            let team = match ticket.team.filter(|_| trigger.condition.asks_for_team()) {
                Some(team) => store::placement::code(&mut tx, team).await?,
                None => None,
            };
            if !trigger.condition.holds(&ticket, team.as_deref(), &told.occurred) {
                continue;
            }
            let assigns = trigger.then.iter().any(|step| step.assigns().is_some());
            if assigns && assigned {
                rest = Some(place);
                break;
            }
            assigned |= assigns;
            let actor = Actor::Trigger(trigger.name.clone());
            let now = self.now().max(ticket.updated_at);
            let automation = version.policy.automation();
            let since = now.checked_sub(HOUR).unwrap_or(now);
            let most = automation.max_per_hour();
            let done = if link.depth >= automation.max_depth() {
                Err((TriggerOutcome::TooDeep, String::new()))
            } else if store::trigger::acted_since(&mut tx, id, &trigger.name, since, most).await?
                >= most
            {
                Err((TriggerOutcome::TooOften, String::new()))
            } else {
                let judged = (&ticket, &version.policy);
                let cause = (AssignCause::Trigger, "");
                let at = (now, Hold::Team);
                let placed = placement::place(&mut tx, judged, &trigger.then, cause, at).await?;
                let doing = Doing {
                    actor: &actor,
                    by_manager: false,
                    now,
                    customer_name: None,
                    route: None,
                    placed: placed.as_ref(),
                    occurred: Some(&told.occurred),
                };
                automate(&ticket, &version.policy, &trigger.then, doing)
                    .map_err(|(step, refusal)| (TriggerOutcome::Refused, refused(step, &refusal)))
            };
            let before = ticket.revision;
            let (outcome, detail) = match done {
                Err(refused) => refused,
                Ok(done) => {
                    let by = Provenance {
                        actor: actor.subject().to_string(),
                        traceparent: recorded.traceparent.clone(),
                        ..Provenance::default()
                    };
                    let acting = (&by, trigger, happened, &told);
                    ticket = self.act(&mut tx, ticket, done, acting, now).await?;
                    (TriggerOutcome::Acted, String::new())
                }
            };
            let run = Run {
                root_event: link.root,
                rule: trigger.name.to_string(),
                event: recorded.event_id,
                ticket: id,
                customer: customer_of(&ticket),
                org_unit: ticket.org_unit.clone(),
                depth: link.depth,
                outcome,
                detail,
                revisions: (before, ticket.revision),
                at: now,
            };
            store::trigger::insert(&mut tx, &run).await?;
        }
        if rest.is_some() {
            // Not over the event yet: whoever goes on after a crash finds which of them have run.
            store::trigger::advance(&mut tx, to, from).await?;
        }
        tx.commit().await?;
        self.tail.wake();
        self.outbox.wake();
        self.mass_answers.wake();
        self.timers.expect(ticket.next_fire_at());
        Ok(rest.map_or(Ran::All, Ran::UpTo))
    }

    /// Puts on record what a trigger does.
    async fn act(
        &self,
        conn: &mut PgConnection,
        ticket: Ticket,
        done: Automated,
        (by, trigger, happened, told): (&Provenance, &Trigger, &Happened, &Told),
        now: Timestamp,
    ) -> Result<Ticket, Error> {
        let ticket = change::record(conn, &self.ids, ticket, &done.changes, by).await?;
        placement::take_turn(conn, &done.changes).await?;
        for outgoing in done.outgoing {
            let rule = Some(trigger.name.to_string());
            let (adapter, letter) = match outgoing {
                Outgoing::Notice { adapter, to, text } => {
                    let content = DeliveryContent::Notice;
                    let (message, body, recipient) = (None, Some(text), to.to_string());
                    (adapter, Letter { content, message, rule, recipient, body })
                }
                Outgoing::Event(adapter) => {
                    let content = DeliveryContent::Event;
                    let body = Some(payload(&ticket, trigger, happened, told));
                    let recipient = String::new();
                    (adapter, Letter { content, message: None, rule, recipient, body })
                }
            };
            let asked = (by.actor.as_str().into(), now);
            let delivery = outbox::delivery(self.ids.uuid(), &ticket, &adapter, letter, asked);
            outbox::put(conn, &self.ids, by, &delivery).await?;
        }
        Ok(ticket)
    }

    /// Moves the cursor over an event whose triggers cannot be run, and says so.
    async fn give_up(&self, from: &str, to: &str, happened: &Happened) -> Result<bool, Error> {
        let recorded = &happened.recorded;
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if !store::trigger::advance(&mut tx, from, to).await? {
            return Ok(false);
        }
        let link = link(&mut tx, recorded).await?;
        let id = happened.ticket;
        let version = store::trigger::versions(&mut tx, &[id]).await?;
        for (_, version) in version {
            let Some(version) = self.version(&mut tx, version).await? else { continue };
            for trigger in version.policy.automation().triggers_on(&happened.events) {
                let run = Run {
                    root_event: link.root,
                    rule: trigger.name.to_string(),
                    event: recorded.event_id,
                    ticket: id,
                    customer: recorded.customer_id,
                    org_unit: recorded.org_unit.clone(),
                    depth: link.depth,
                    outcome: TriggerOutcome::Failed,
                    detail: "the ticket cannot be worked on; the log of the service says why"
                        .to_owned(),
                    revisions: (recorded.revision, recorded.revision),
                    at: self.now(),
                };
                store::trigger::insert(&mut tx, &run).await?;
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    /// What triggers did to a ticket, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_trigger_runs(
        &self,
        caller: &Caller,
        id: Uuid,
        after: Option<RunCursor>,
        size: u32,
    ) -> Result<Page<Run, RunCursor>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ListTriggerRuns", id).await?;
        let runs = store::trigger::list(&mut conn, id, after, one_more(size)).await?;
        Ok(Page::of(runs, size, |last| (last.at, last.root_event, last.rule.clone())))
    }
}

impl App {
    /// The triggers that should have acted at and below an org unit and did not, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_troubled_trigger_runs(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: TroubleQuery,
        size: u32,
    ) -> Result<Page<Run, RunCursor>, Error> {
        self.allow(caller, "ticket.ListTroubledTriggerRuns", org_unit)?;
        let mut conn = self.read().await?;
        let query = TroubleQuery { limit: one_more(size), ..query };
        let runs = store::trigger::troubled(&mut conn, &query).await?;
        Ok(Page::of(runs, size, |last| (last.at, last.root_event, last.rule.clone())))
    }
}

/// What a trigger changed goes on in its chain; anything else begins one.
async fn link(conn: &mut PgConnection, recorded: &Recorded) -> Result<Link, Error> {
    let cause = if recorded.actor.starts_with(BY_TRIGGER) {
        store::trigger::cause(conn, recorded.aggregate_id, recorded.revision).await?
    } else {
        None
    };
    Ok(match cause {
        Some((root, depth)) => Link { root, depth: depth + 1 },
        None => Link { root: recorded.event_id, depth: 0 },
    })
}

fn refused(step: usize, refusal: &Refusal) -> String {
    let why = match refusal {
        Refusal::Fields(faults) => {
            let told: Vec<String> = faults
                .iter()
                .map(|fault| format!("{} {}", fault.path, fault.description))
                .collect();
            told.join("; ")
        }
        other => other.to_string(),
    };
    format!("then[{step}]: {why}").chars().take(MAX_DETAIL).collect()
}

/// What another system learns, as documented at `DeliveryService`: what the public event tells, and nothing that was noted
/// internally.
fn payload(ticket: &Ticket, trigger: &Trigger, happened: &Happened, told: &Told) -> String {
    let recorded = &happened.recorded;
    json!({
        "type": recorded.event_type,
        "timestamp": recorded.occurred_at.to_string(),
        "version": PAYLOAD_VERSION,
        "data": {
            "facts": told.facts,
            "event": recorded.event_id,
            "trigger": &*trigger.name,
            "ticket": encode::name(ticket.id),
            "number": ticket.number,
            "org_unit": ticket.org_unit,
            "customer": customer_of(ticket).map(|id| format!("customers/{id}")),
            "kind": ticket.kind.code(),
            "channel": ticket.channel.code(),
            "category": ticket.details.category,
            "tags": ticket.details.tags,
            "state": ticket.state.name().code(),
            "severity": ticket.severity.number(),
            "priority": ticket.priority.code(),
            "receiver_level": ticket.receiver_level.number(),
            "cycle": ticket.cycle,
            "revision": recorded.revision,
        },
    })
    .to_string()
}
