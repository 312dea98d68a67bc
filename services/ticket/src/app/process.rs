//! Staged processes that requests follow (T-22).

use std::sync::Arc;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Entry, Provenance, PublicEvent};
use kefu_policy::Version;
use kefu_rpc::{Etag, Fault};
use prost::Message as _;
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::customer_of;
use super::error::check_etag;
use super::ticket::not_found as no_ticket;
use super::timer::Fired;
use super::{App, Call, Error, Page, one_more, resource_audit};
use crate::domain::{
    NeedKind, Notice, Policy, Process, ProcessActor, ProcessCommand, ProcessNeed, ProcessRefusal,
    ProcessTemplate, RunAlarm, Value, Violation, ViolationState, cancel_with_ticket,
    decide_process, explain_process, notice_process, start_process,
};
use crate::encode::process as encode;
use crate::store;
use crate::store::process::{Place, ProcessQuery};

/// A page of processes ends with the one that makes it this long, in bytes: the usual client takes 4 MiB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;
/// So many are read at once.
const READ_AT_ONCE: usize = 10;

/// A process with the policy version by which it is judged.
pub(crate) struct Judged {
    pub(crate) process: Process,
    version: Arc<Version<Policy>>,
}

impl Judged {
    fn template(&self) -> Result<&ProcessTemplate, Error> {
        let template = self.version.policy.process(&self.process.template);
        template.ok_or_else(|| Error::Defect("the template of a process does not exist".to_owned()))
    }

    pub(crate) fn resource(&self) -> Result<pb::Process, Error> {
        Ok(encode::resource(&self.process, self.template()?))
    }
}

impl App {
    /// Starts a process for a ticket.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`] for an unknown template, [`Error::ProcessRefused`],
    /// [`Error::AlreadyExists`] while another one is under way, [`Error::RequestIdReused`].
    pub async fn start_process(
        &self,
        call: &Call,
        ticket: Uuid,
        template: &str,
        values: Vec<(String, Value)>,
    ) -> Result<pb::Process, Error> {
        const ACTION: &str = "ticket.StartProcess";
        let mut work = self.begin(call).await?;
        let place = store::process::lock(work.conn(), ticket).await?;
        let place = place.ok_or_else(|| no_ticket(ticket))?;
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &place.org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let row = store::ticket::find(work.conn(), ticket).await?;
        let row = row.ok_or_else(|| no_ticket(ticket))?;
        let (ticket, version) = self.judged(work.conn(), row).await?;
        let policy = &version.policy;
        let known = policy.process(template).ok_or_else(unknown_template)?;
        let now = work.now();
        let process = start_process(
            (self.ids.uuid(), version.id),
            &ticket,
            customer_of(&ticket),
            (known, policy.calendar()),
            values,
            (&actor(&call.caller), now),
        )?;
        if !store::process::insert(work.conn(), &process).await? {
            let other = store::process::running_of(work.conn(), ticket.id).await?;
            let name = encode::name(other.unwrap_or_default());
            return Err(Error::AlreadyExists { kind: "kefu.dev/Process", name });
        }
        let told = encode::resource(&process, known);
        let event = encode::changed(&told, "StartProcess");
        let next = process.next_fire_at();
        let by = work.by();
        self.record_process(work.conn(), by, None, (&process, &told), ("StartProcess", event))
            .await?;
        let answer = work.commit(told).await?;
        self.learning_timers.expect(next);
        Ok(answer)
    }

    /// One process.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_process(&self, caller: &Caller, id: Uuid) -> Result<pb::Process, Error> {
        let mut conn = self.read().await?;
        let found = store::process::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, "ticket.GetProcess", &found.org_unit)?;
        self.judged_process(&mut conn, found).await?.resource()
    }

    /// Those at and below an org unit, newest first. A page ends where it is full or long.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_processes(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: ProcessQuery,
        size: u32,
    ) -> Result<Page<pb::Process, (Timestamp, Uuid)>, Error> {
        self.allow(caller, "ticket.ListProcesses", org_unit)?;
        let mut conn = self.read().await?;
        let query = ProcessQuery { limit: one_more(size), ..query };
        let ids = store::process::list(&mut conn, &query).await?;
        let room = usize::try_from(size).unwrap_or(usize::MAX);
        let (mut items, mut last, mut bytes) = (Vec::new(), None, 0);
        for some in ids.chunks(READ_AT_ONCE) {
            for process in store::process::find_many(&mut conn, some).await? {
                if items.len() == room || bytes >= MAX_PAGE_BYTES {
                    return Ok(Page { items, next: last });
                }
                last = Some((process.created_at, process.id));
                let told = self.judged_process(&mut conn, process).await?.resource()?;
                bytes += told.encoded_len();
                items.push(told);
            }
        }
        Ok(Page { items, next: None })
    }

    /// How the deadlines of a process came about.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn explain_process_deadlines(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<Vec<pb::ProcessDeadline>, Error> {
        let mut conn = self.read().await?;
        let found = store::process::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, "ticket.ExplainProcessDeadlines", &found.org_unit)?;
        let judged = self.judged_process(&mut conn, found).await?;
        let calendar = judged.version.policy.calendar();
        let explained = explain_process(&judged.process, judged.template()?, calendar)
            .map_err(|error| Error::Defect(format!("explaining a deadline: {error}")))?;
        Ok(explained.iter().map(|found| encode::deadline(found, judged.version.id)).collect())
    }

    /// Does what a command asks of a process, in one transaction under the lock of its ticket. What came to its time before is
    /// put on record first, so that it does not matter when a timer comes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`],
    /// [`Error::ProcessRefused`].
    pub async fn process_command(
        &self,
        call: &Call,
        permission: &'static str,
        (id, etag): (Uuid, Option<Etag>),
        message: Option<(Uuid, Uuid)>,
        command: ProcessCommand,
    ) -> Result<pb::Process, Error> {
        let mut work = self.begin(call).await?;
        let ticket = store::process::ticket_of(work.conn(), id).await?;
        let ticket = ticket.ok_or_else(|| not_found(id))?;
        let place = store::process::lock(work.conn(), ticket).await?;
        let place = place.ok_or_else(|| no_ticket(ticket))?;
        if let Err(denied) = self.allow_at(&call.caller, permission, &place.org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        // Read after the lock, by a statement of its own: what waited for the lock sees what it waited for.
        let found = store::process::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        check_etag(etag, found.revision)?;
        let mut judged = self.judged_process(work.conn(), found).await?;
        let now = work.now();
        if place.is_cancelled && !matches!(command, ProcessCommand::Cancel { .. }) {
            let missing = vec![ProcessNeed::new(NeedKind::OpenTicket, "ticket")];
            return Err(ProcessRefusal::Lacking { command: command.name(), missing }.into());
        }
        self.settle(work.conn(), &mut judged, &place, (now, false)).await?;
        let command = match command {
            ProcessCommand::RecordAnswer { stage, .. } => {
                let message = message.filter(|(of, _)| *of == ticket);
                let said = match message {
                    Some((_, message)) => {
                        store::process::said(work.conn(), ticket, message).await?
                    }
                    None => None,
                };
                ProcessCommand::RecordAnswer { stage, said }
            }
            command => command,
        };
        let name = command.name();
        let (template, calendar) = (judged.template()?, judged.version.policy.calendar());
        let after = decide_process(
            &judged.process,
            (template, calendar),
            command,
            &actor(&call.caller),
            now,
        )?;
        store::process::update(work.conn(), &judged.process, &after).await?;
        let told = encode::resource(&after, template);
        let before = encode::resource(&judged.process, template);
        let event = encode::changed(&told, name);
        let by = work.by();
        self.record_process(work.conn(), by, Some(before), (&after, &told), (name, event)).await?;
        let answer = work.commit(told).await?;
        self.learning_timers.expect(after.next_fire_at());
        Ok(answer)
    }

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
        if !self.settle(&mut tx, &mut judged, &place, (self.now(), true)).await? {
            return Ok(Fired::Nothing);
        }
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }

    /// Puts on record what came to its time; whether there was something. A process whose ticket was cancelled ends instead.
    async fn settle(
        &self,
        conn: &mut PgConnection,
        judged: &mut Judged,
        place: &Place,
        (now, is_timer): (Timestamp, bool),
    ) -> Result<bool, Error> {
        let by = Provenance::system("timers");
        let mut settled = false;
        if place.is_cancelled && is_timer && judged.process.end.is_none() {
            let ended = cancel_with_ticket(&judged.process, &by.actor.as_str().into(), now);
            store::process::update(conn, &judged.process, &ended).await?;
            let told = encode::resource(&ended, judged.template()?);
            let event = encode::changed(&told, CANCEL_WITH_TICKET);
            let before = Some(judged.resource()?);
            self.record_process(conn, &by, before, (&ended, &told), (CANCEL_WITH_TICKET, event))
                .await?;
            judged.process = ended;
            settled = true;
        }
        while let Some((noticed, notice)) = notice_process(&judged.process, now, is_timer) {
            store::process::update(conn, &judged.process, &noticed).await?;
            let violation = self.broken(judged, notice, place);
            if let Some(violation) = &violation {
                store::violation::insert(conn, violation).await?;
            }
            let told = encode::resource(&noticed, judged.template()?);
            let run = noticed.runs.get(notice.run);
            let stage = run.map(|run| &*run.stage).unwrap_or_default();
            let (action, event) = match notice.alarm {
                RunAlarm::Warn => ("WarnProcessStage", encode::warned(&told, stage)),
                RunAlarm::Breach => {
                    let violation = violation.map(|violation| violation.id);
                    ("BreachProcessStage", encode::breached(&told, stage, violation))
                }
            };
            let before = Some(judged.resource()?);
            self.record_process(conn, &by, before, (&noticed, &told), (action, event)).await?;
            judged.process = noticed;
            settled = true;
        }
        Ok(settled)
    }

    /// The violation that a breach proposes, if any: against whoever answers for the ticket.
    fn broken(&self, judged: &Judged, notice: Notice, place: &Place) -> Option<Violation> {
        let (process, policy) = (&judged.process, &judged.version.policy);
        let template = policy.process(&process.template)?;
        let run = process.runs.get(notice.run).filter(|_| notice.alarm == RunAlarm::Breach)?;
        let (_, stage) = template.stage(&run.stage)?;
        let clock = stage.clock(template.route(&process.agreed))?;
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

    async fn judged_process(
        &self,
        conn: &mut PgConnection,
        process: Process,
    ) -> Result<Judged, Error> {
        let version = self.version(conn, process.policy_version).await?;
        let version = version.ok_or_else(|| {
            Error::Defect("the policy version of a process does not exist".to_owned())
        })?;
        Ok(Judged { process, version })
    }

    async fn record_process(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        before: Option<pb::Process>,
        (process, told): (&Process, &pb::Process),
        (action, event): (&str, PublicEvent),
    ) -> Result<(), Error> {
        let (before, after) = resource_audit::changed(before.as_ref(), told)?;
        let entry = Entry {
            by,
            event_id: self.ids.uuid(),
            occurred_at: process.updated_at,
            aggregate_type: "process",
            aggregate_id: process.id,
            revision: process.revision,
            action,
            org_unit: &process.org_unit,
            customer_id: process.customer,
            before,
            after,
            event: Some(event),
        };
        Ok(kefu_journal::append(conn, &[entry]).await?)
    }
}

/// What the timers do, in the journal.
const CANCEL_WITH_TICKET: &str = "CancelWithTicket";

fn actor(caller: &Caller) -> ProcessActor {
    let roles = caller.roles().map(str::to_owned).collect();
    ProcessActor { subject: caller.subject().into(), roles }
}

fn unknown_template() -> Error {
    let fault = "is no process template of the ticket's policy";
    Error::Invalid("template", Fault::new("UNKNOWN", fault, "工单适用的制度中没有此流程模板"))
}

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Process", name: encode::name(id) }
}
