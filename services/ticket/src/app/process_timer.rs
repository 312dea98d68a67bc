//! What comes to its time in a process: warnings, breaches, steps of escalation (T-07, T-22).

use std::sync::Arc;

use jiff::Timestamp;
use kefu_journal::Provenance;
use kefu_policy::Version;
use sqlx::PgConnection;
use uuid::Uuid;

use super::change;
use super::process::{Judged, NewEntry, append, save};
use super::ticket::not_found as no_ticket;
use super::timer::Fired;
use super::{App, Error};
use crate::domain::{
    Notice, Policy, Raise, ReceiverLevel, RunAlarm, StageClock, Standing, Subject, Ticket,
    Violation, ViolationState, notice_process, raise_by_stage,
};
use crate::encode::process as encode;
use crate::store;
use crate::store::process::Place;

impl App {
    /// Puts on record what came to its time in a process, in one transaction.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub(super) async fn fire_process_timer(&self, id: Uuid) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let Some(ticket) = store::process::ticket_of(&mut tx, id).await? else {
            return Ok(Fired::Nothing);
        };
        let Some(place) = store::process::try_lock(&mut tx, ticket).await? else {
            return Ok(Fired::Busy);
        };
        let Some(process) = store::process::find(&mut tx, id).await? else {
            return Ok(Fired::Nothing);
        };
        let mut judged = self.judged_process(&mut tx, process).await?;
        let settled = self.settle_process(&mut tx, &mut judged, &place, (self.now(), true)).await?;
        if !settled {
            // What was to be looked at and has nothing to put on record is not to be looked at for ever.
            store::process::rearm(&mut tx, &judged.process).await?;
            tx.commit().await?;
            return Ok(Fired::Nothing);
        }
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }

    /// Puts on record what came to its time in a process whose ticket this transaction has locked; whether there was something.
    pub(super) async fn settle_process(
        &self,
        conn: &mut PgConnection,
        judged: &mut Judged,
        place: &Place,
        (now, is_timer): (Timestamp, bool),
    ) -> Result<bool, Error> {
        let by = Provenance::system("timers");
        let mut settled = false;
        if let Standing::Over(_) = place.standing()? {
            // What was due before the ticket ended was due, however late somebody looks.
            let ended = (place.since().min(now), false);
            settled |= self.ring_process(conn, judged, place, (&by, ended)).await?;
        }
        settled |= self.catch_up_process(conn, judged, place, (&by, now)).await?;
        settled |= self.ring_process(conn, judged, place, (&by, (now, is_timer))).await?;
        Ok(settled)
    }

    /// A ticket that this transaction has locked, after what came to its time in its process. To be called before a command
    /// looks at the ticket, so that it does not matter when a timer comes: what ends the process makes no breach undone (T-07).
    pub(super) async fn after_its_process(
        &self,
        conn: &mut PgConnection,
        (ticket, version): (Ticket, Arc<Version<Policy>>),
        now: Timestamp,
    ) -> Result<(Ticket, Arc<Version<Policy>>), Error> {
        let running = ticket.process.as_ref().map(|running| running.id);
        let Some(running) = running else { return Ok((ticket, version)) };
        let found = store::process::find(conn, running).await?;
        let found = found.filter(|process| process.next_fire_at().is_some_and(|at| at < now));
        let Some(process) = found else { return Ok((ticket, version)) };
        let place = store::process::lock(conn, ticket.id).await?;
        let place = place.ok_or_else(|| no_ticket(ticket.id))?;
        let mut judged = self.judged_process(conn, process).await?;
        self.settle_process(conn, &mut judged, &place, (now, false)).await?;
        // It may have been raised.
        let row = store::ticket::find(conn, ticket.id).await?;
        Ok(self.judged(conn, row.ok_or_else(|| no_ticket(ticket.id))?).await?)
    }

    /// Puts on record what came to its time in a process by `now`; whether there was something.
    async fn ring_process(
        &self,
        conn: &mut PgConnection,
        judged: &mut Judged,
        place: &Place,
        (by, (now, is_timer)): (&Provenance, (Timestamp, bool)),
    ) -> Result<bool, Error> {
        let mut settled = false;
        let mut level = place.receiver_level()?;
        while let Some((noticed, notice)) = notice_process(&judged.process, now, is_timer) {
            store::process::update(conn, &judged.process, &noticed).await?;
            let rung = self.rings(judged, notice, place, level);
            let raised = self.raise(conn, judged, &rung, (notice.at, now)).await?;
            if let Some(violation) = &rung.violation {
                store::violation::insert(conn, violation).await?;
            }
            let told = encode::resource(&noticed, judged.template()?);
            let run = noticed.runs.get(notice.run);
            let stage = run.map(|run| &*run.stage).unwrap_or_default();
            let notify = raised.or(rung.notify);
            let (action, event) = match notice.alarm {
                RunAlarm::Warn => ("WarnProcessStage", encode::warned(&told, stage)),
                RunAlarm::Breach => {
                    let violation = rung.violation.as_ref().map(|violation| violation.id);
                    let event = encode::breached(&told, stage, violation, (notify, raised));
                    ("BreachProcessStage", event)
                }
                RunAlarm::Step(place) => {
                    let step = run.and_then(|run| run.steps.get(place));
                    let step = step.map(|step| &*step.name).unwrap_or_default();
                    let event = encode::escalated(&told, (stage, step), (rung.notify, raised));
                    ("EscalateProcessStage", event)
                }
            };
            let entry = NewEntry {
                before: Some(judged.resource()?),
                after: (&noticed, &told),
                action,
                event,
            };
            append(conn, &self.ids, by, entry).await?;
            level = raised.unwrap_or(level).max(level);
            judged.process = noticed;
            settled = true;
        }
        Ok(settled)
    }

    /// A process follows its ticket in the transaction of what happened to that, see [`process_follow`](super::process_follow).
    /// One from before that was so follows when somebody next looks at it.
    async fn catch_up_process(
        &self,
        conn: &mut PgConnection,
        judged: &mut Judged,
        place: &Place,
        (by, now): (&Provenance, Timestamp),
    ) -> Result<bool, Error> {
        let standing = place.standing()?;
        let at = match &standing {
            Standing::Held(hold) => hold.since,
            Standing::Going | Standing::Over(_) => now,
        };
        let (template, calendar) = (judged.template()?, judged.version.policy.calendar());
        let subject: Subject = by.actor.as_str().into();
        let next = judged.process.follow((template, calendar), &standing, &subject, at);
        let Some(next) = next? else { return Ok(false) };
        let both = (&judged.process, &next);
        save(conn, &self.ids, by, both, template, standing.action()).await?;
        judged.process = next;
        Ok(true)
    }

    /// What comes of an alarm by the template.
    fn rings(&self, judged: &Judged, notice: Notice, place: &Place, level: ReceiverLevel) -> Rung {
        let policy = &judged.version.policy;
        let next = level.raised(policy.top_level());
        let nothing =
            Rung { raise: Raise::No, notify: None, reason: String::new(), violation: None };
        let Some(run) = judged.process.runs.get(notice.run) else { return nothing };
        let Some(clock) = clock_of(judged, &run.stage) else { return nothing };
        let raise = clock.raise(run, notice.alarm);
        let stage = &run.stage;
        let (notify, reason) = match notice.alarm {
            RunAlarm::Warn => (None, String::new()),
            RunAlarm::Breach => {
                let reason = format!(
                    "Stage {stage} of its process was due at {at}. / 流程环节 {stage} 应于 {at} 前完成。",
                    at = notice.at
                );
                (Some(next), reason)
            }
            RunAlarm::Step(place) => {
                let step = clock.step(run, place);
                let name = step.map(|step| &*step.name).unwrap_or_default();
                let reason = format!(
                    "Stage {stage} of its process: step {name} of its escalation. / 流程环节 {stage}：升级步骤 {name}。"
                );
                (step.and_then(|step| step.notify), reason)
            }
        };
        Rung { raise, notify, reason, violation: self.broken(judged, (clock, notice), place) }
    }

    /// Raises the ticket where that comes of an alarm; to which level it was raised.
    async fn raise(
        &self,
        conn: &mut PgConnection,
        judged: &Judged,
        rung: &Rung,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<Option<ReceiverLevel>, Error> {
        if rung.raise == Raise::No {
            return Ok(None);
        }
        let id = judged.process.ticket;
        let row = store::ticket::find(conn, id).await?;
        let row = row.ok_or_else(|| Error::Defect("a process is without a ticket".to_owned()))?;
        let (ticket, version) = self.judged(conn, row).await?;
        let asked = (rung.raise, rung.reason.clone());
        let (changes, raised) = raise_by_stage(&ticket, &version.policy, asked, at, now);
        let by = Provenance::system("timers");
        Box::pin(change::record(conn, &self.ids, ticket, &changes, &by)).await?;
        Ok(raised)
    }

    /// The violation that a breach proposes, if any: against whoever answers for the ticket.
    fn broken(
        &self,
        judged: &Judged,
        (clock, notice): (&StageClock, Notice),
        place: &Place,
    ) -> Option<Violation> {
        let (process, policy) = (&judged.process, &judged.version.policy);
        let run = process.runs.get(notice.run).filter(|_| notice.alarm == RunAlarm::Breach)?;
        let rule = policy.violation(clock.violation.as_deref()?)?;
        let evidence =
            format!("{}: stage {} was due at {}", encode::name(process.id), run.stage, notice.at);
        let at = process.updated_at.max(notice.at);
        Some(Violation {
            id: self.ids.uuid(),
            ticket: Some(process.ticket),
            work_order: None,
            shift: None,
            customer: process.customer,
            org_unit: process.org_unit.clone(),
            proposed: rule.broken(
                place.answerable.as_str().into(),
                evidence,
                notice.at,
                judged.version.id,
            ),
            reporter: None,
            state: ViolationState::Proposed,
            created_at: at,
            updated_at: at,
            revision: 1,
        })
    }
}

/// What comes of an alarm beside the record of it.
struct Rung {
    raise: Raise,
    /// Which level is told.
    notify: Option<ReceiverLevel>,
    /// Why the ticket is raised, in both languages.
    reason: String,
    violation: Option<Violation>,
}

/// The clock of a stage on the route that the process takes.
fn clock_of<'a>(judged: &'a Judged, stage: &str) -> Option<&'a StageClock> {
    let template = judged.version.policy.process(&judged.process.template)?;
    let (_, stage) = template.stage(stage)?;
    stage.clock(template.route(&judged.process.agreed))
}
