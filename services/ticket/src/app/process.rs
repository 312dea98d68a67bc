//! Staged processes that requests follow (T-22).

use std::sync::Arc;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_clock::IdSource;
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
use super::{App, Call, Error, Page, merge, one_more, resource_audit};
use crate::domain::{
    Named, NamedFile, NeedKind, Policy, Process, ProcessActor, ProcessCommand, ProcessNeed,
    ProcessRefusal, ProcessTemplate, Refusal, Value, decide_process, explain_process,
    start_process,
};
use crate::encode::process as encode;
use crate::store;
use crate::store::process_list::ProcessQuery;

/// A page of processes ends with the one that makes it this long, in bytes: the usual client takes 4 MiB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;
/// So many are read at once.
const READ_AT_ONCE: usize = 10;

/// A process with the policy version by which it is judged.
pub(crate) struct Judged {
    pub(crate) process: Process,
    pub(super) version: Arc<Version<Policy>>,
}

impl Judged {
    pub(super) fn template(&self) -> Result<&ProcessTemplate, Error> {
        template_of(&self.version.policy, &self.process)
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
        let event = encode::changed(&told, "StartProcess", &process.runs);
        let next = process.next_fire_at();
        let entry =
            NewEntry { before: None, after: (&process, &told), action: "StartProcess", event };
        append(work.conn(), &self.ids, &call.by, entry).await?;
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
        let ids = store::process_list::list(&mut conn, &query).await?;
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
        let now = self.now();
        let explained = explain_process(&judged.process, judged.template()?, calendar, now)
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
        self.settle_process(work.conn(), &mut judged, &place, (now, false)).await?;
        if place.is_merged() && !matches!(command, ProcessCommand::Cancel { .. }) {
            let missing = vec![ProcessNeed::new(NeedKind::UnmergedTicket, "ticket")];
            return Err(ProcessRefusal::Lacking { command: command.name(), missing }.into());
        }
        let command = looked_up(work.conn(), ticket, command).await?;
        let name = command.name();
        let (template, calendar) = (judged.template()?, judged.version.policy.calendar());
        let actor = actor(&call.caller);
        let after = decide_process(&judged.process, (template, calendar), command, &actor, now)?;
        let both = (&judged.process, &after);
        let told = save(work.conn(), &self.ids, &call.by, both, template, name).await?;
        let answer = work.commit(told).await?;
        self.learning_timers.expect(after.next_fire_at());
        Ok(answer)
    }

    /// Why a command on a ticket was refused, with what its process lacks where that is why (T-09), and the ticket that is
    /// handled instead where it is merged.
    pub(super) async fn refused(&self, conn: &mut PgConnection, refusal: Refusal) -> Error {
        match refusal {
            Refusal::ProcessRuns { process, state, command, stages, .. } => {
                let missing = self.lacks(conn, process).await;
                let refusal = |missing| {
                    Error::from(Refusal::ProcessRuns { process, state, command, stages, missing })
                };
                missing.map_or_else(|error| error, refusal)
            }
            other => merge::refused(conn, other).await,
        }
    }

    /// What the running stages of a process lack.
    async fn lacks(&self, conn: &mut PgConnection, id: Uuid) -> Result<Vec<ProcessNeed>, Error> {
        let found = store::process::find(conn, id).await?.ok_or_else(|| not_found(id))?;
        let judged = self.judged_process(conn, found).await?;
        let (process, template) = (&judged.process, judged.template()?);
        Ok(process.running().flat_map(|run| process.missing(template, run)).collect())
    }

    pub(super) async fn judged_process(
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
}

fn actor(caller: &Caller) -> ProcessActor {
    let roles = caller.roles().map(str::to_owned).collect();
    ProcessActor { subject: caller.subject().into(), roles }
}

/// The template of a process in the policy that judges it.
pub(super) fn template_of<'a>(
    policy: &'a Policy,
    process: &Process,
) -> Result<&'a ProcessTemplate, Error> {
    let template = policy.process(&process.template);
    template.ok_or_else(|| Error::Defect("the template of a process does not exist".to_owned()))
}

/// The command with what it names on the ticket, which this transaction has locked.
async fn looked_up(
    conn: &mut PgConnection,
    ticket: Uuid,
    command: ProcessCommand,
) -> Result<ProcessCommand, Error> {
    Ok(match command {
        ProcessCommand::RecordAnswer { stage, message, .. } => {
            let said = match message {
                Named { ticket: of, id } if of == ticket => {
                    store::process::said(conn, ticket, id).await?
                }
                _ => None,
            };
            ProcessCommand::RecordAnswer { stage, message, said }
        }
        ProcessCommand::RecordDocument { stage, document, reference, file: Some(named) } => {
            let state = match named.file {
                Named { ticket: of, id } if of == ticket => {
                    let found = store::attachment::find(conn, ticket, id).await?;
                    found.map(|attachment| attachment.state())
                }
                _ => None,
            };
            let file = Some(NamedFile { state, ..named });
            ProcessCommand::RecordDocument { stage, document, reference, file }
        }
        command => command,
    })
}

/// Writes what became of a process that this transaction has locked, and tells it.
pub(super) async fn save(
    conn: &mut PgConnection,
    ids: &IdSource,
    by: &Provenance,
    (before, after): (&Process, &Process),
    template: &ProcessTemplate,
    action: &'static str,
) -> Result<pb::Process, Error> {
    let told = encode::resource(after, template);
    // Runs are only ever added.
    let begun = after.runs.get(before.runs.len()..).unwrap_or_default();
    let event = encode::changed(&told, action, begun);
    store::process::update(conn, before, after).await?;
    let before = Some(encode::resource(before, template));
    let entry = NewEntry { before, after: (after, &told), action, event };
    append(conn, ids, by, entry).await?;
    Ok(told)
}

/// What the journal learns of a process.
pub(super) struct NewEntry<'a> {
    pub(super) before: Option<pb::Process>,
    pub(super) after: (&'a Process, &'a pb::Process),
    pub(super) action: &'static str,
    pub(super) event: PublicEvent,
}

pub(super) async fn append(
    conn: &mut PgConnection,
    ids: &IdSource,
    by: &Provenance,
    NewEntry { before, after: (process, told), action, event }: NewEntry<'_>,
) -> Result<(), Error> {
    let (before, after) = resource_audit::changed(before.as_ref(), told)?;
    let entry = Entry {
        by,
        event_id: ids.uuid(),
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

fn unknown_template() -> Error {
    let fault = "is no process template of the ticket's policy";
    Error::Invalid("template", Fault::new("UNKNOWN", fault, "工单适用的制度中没有此流程模板"))
}

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Process", name: encode::name(id) }
}
