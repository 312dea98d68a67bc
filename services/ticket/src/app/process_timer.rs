//! What comes to its time in a process: warnings, breaches, steps of escalation (T-07, T-22).

use jiff::Timestamp;
use kefu_journal::Provenance;
use sqlx::PgConnection;
use uuid::Uuid;

use super::process::{Judged, NewEntry, append, save};
use super::timer::Fired;
use super::{App, Error, change, placement};
use crate::domain::{
    Notice, ProcessRefusal, Raise, ReceiverLevel, RunAlarm, StageClock, Standing, Subject, Text,
    Violation, ViolationState, late_stage, notice_process, raise_by_stage,
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
        let mut settled = self.catch_up_process(conn, judged, place, (&by, now)).await?;
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
            append(conn, &self.ids, &by, entry).await?;
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
        let Some(next) = next.map_err(|_| ProcessRefusal::NoDeadline)? else { return Ok(false) };
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
            RunAlarm::Breach => (Some(next), said_late(judged, place, stage, notice.at)),
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
        let (mut changes, raised) = raise_by_stage(&ticket, &version.policy, asked, at, now);
        let judged = (&ticket, &version.policy);
        changes.extend(Box::pin(placement::reroute(conn, judged, &changes, now)).await?);
        let by = Provenance::system("timers");
        Box::pin(change::record(conn, &self.ids, ticket, &changes, &by)).await?;
        placement::take_turn(conn, &changes).await?;
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
        let evidence = said_late(judged, place, &run.stage, notice.at);
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

/// That a stage was not done in time, in words.
fn said_late(judged: &Judged, place: &Place, stage: &str, due: Timestamp) -> String {
    let policy = &judged.version.policy;
    let called = |code: &str| Text::new(code, code);
    let template = policy.process(&judged.process.template);
    let process =
        template.map_or_else(|| called(&judged.process.template), |of| of.title().clone());
    let stage = template
        .and_then(|of| Some(of.stage(stage)?.1.title.clone()))
        .unwrap_or_else(|| called(stage));
    late_stage(policy, &place.number, (&process, &stage), due)
}

/// The clock of a stage on the route that the process takes.
fn clock_of<'a>(judged: &'a Judged, stage: &str) -> Option<&'a StageClock> {
    let template = judged.version.policy.process(&judged.process.template)?;
    let (_, stage) = template.stage(stage)?;
    stage.clock(template.route(&judged.process.agreed))
}
