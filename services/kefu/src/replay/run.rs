//! Doing again what was done then: every call in global order of time, and every deadline in between at its own time.
//!
//! Between two calls the clock stands still once, at the last deadline that passes there, until the timers have fired. That
//! is enough: the ticket context lets each alarm ring as of its own time and in order of time, however many are due at once
//! (T-07), so a stop at each of them would put the same on record, only slower.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use kefu_api::clock::v1::{GetTimeRequest, SetTimeRequest};
use kefu_api::customer::v1::{CreateOrgUnitRequest, OrgUnit as OrgUnitMessage};
use kefu_api::policy::v1::LocalizedText;
use kefu_api::ticket::v1::{
    ClockState, ComplaintReport, CreateTicketRequest, FeedBackTicketRequest,
    GetComplaintReportRequest, PauseTicketRequest, ResolveTicketRequest, RespondTicketRequest,
    ResumeTicketRequest, Ticket,
};
use kefu_clock::IdSource;
use tonic::{Code, Response, Status};

use super::mapping::Plan;
use super::read::{Case, Input, Malformed, What};
use crate::client::{Client, explain, failed};
use crate::policy;

/// How long to wait before a call is made again that may be, and how often.
const RETRY: (Duration, u32) = (Duration::from_millis(200), 50);

/// Who makes the calls.
pub trait Callers {
    /// A client for whoever the file names; an empty name is nobody in particular.
    ///
    /// # Errors
    /// When there is no token for it.
    fn client(&mut self, actor: &str) -> anyhow::Result<Client>;
}

/// One caller for everybody.
impl Callers for Client {
    fn client(&mut self, _: &str) -> anyhow::Result<Client> {
        Ok(self.clone())
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The ticket context's own report over the whole time.
    pub report: ComplaintReport,
    /// Rows that could not be read, and rows that the mesh refused.
    pub malformed: Vec<Malformed>,
    /// How many promises fell due while the file played.
    pub deadlines: u64,
    /// The time of the first registration and of the last step.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// When a file begins: a manual clock must not show anything later.
pub fn begins(input: &Input) -> Option<Timestamp> {
    input.cases.iter().map(|case| case.registered).min()
}

/// Replays a file through the gateway. The mesh must have been started with a manual clock that shows a time before
/// [`begins`]; the callers need the roles `admin`, `clerk`, `handler` and `operator` in the root of the org unit.
///
/// # Errors
/// When the mesh cannot be reached, the clock is not a manual one or too late, or a call fails for another reason than
/// what the row says.
pub async fn replay(
    input: &Input,
    plan: &Plan,
    callers: &mut impl Callers,
    ids: &IdSource,
    progress: &ProgressBar,
) -> anyhow::Result<Replayed> {
    let client = callers.client("")?;
    let now = now(&client).await?;
    if let Some(first) = begins(input) {
        anyhow::ensure!(now <= first, "the clock shows {now}, but the file begins at {first}");
    }
    prepare(&client, plan, ids).await?;
    let mut run = Run {
        plan,
        client,
        ids,
        now,
        names: HashMap::new(),
        refused: HashSet::new(),
        deadlines: Deadlines::default(),
        passed: 0,
        malformed: input.malformed.clone(),
    };
    let order = order(&input.cases);
    let span = order.first().zip(order.last()).map(|(first, last)| (first.at, last.at));
    progress.set_length(order.len() as u64);
    for moment in &order {
        run.until(moment.at).await?;
        let Some(case) = input.cases.get(moment.case) else { continue };
        let client = callers.client(moment.actor(case))?;
        Box::pin(run.act(&client, moment, case)).await?;
        progress.inc(1);
        if progress.position().is_multiple_of(64) {
            progress.set_message(moment.at.to_zoned(plan.time_zone.clone()).date().to_string());
        }
    }
    progress.finish_and_clear();
    run.set_time(run.now, false).await?;
    run.malformed.sort_by_key(|malformed| malformed.line);
    let report = run.report(span).await?;
    Ok(Replayed { report, malformed: run.malformed, deadlines: run.passed, span })
}

/// One call at its time: the registration of a case, or one of its steps.
struct Moment {
    at: Timestamp,
    case: usize,
    step: Option<usize>,
}

impl Moment {
    fn actor<'a>(&self, case: &'a Case) -> &'a str {
        match self.step.and_then(|step| case.steps.get(step)) {
            Some(step) => &step.actor,
            None => &case.registrar,
        }
    }
}

/// All calls in order of time; of one time, in the order of the file, and of one case, as they follow each other.
fn order(cases: &[Case]) -> Vec<Moment> {
    let mut order = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        order.push(Moment { at: case.registered, case: index, step: None });
        for (number, step) in case.steps.iter().enumerate() {
            order.push(Moment { at: step.at, case: index, step: Some(number) });
        }
    }
    order.sort_by_key(|moment| moment.at);
    order
}

/// When promises of tickets fall due, as the tickets themselves say.
#[derive(Default)]
struct Deadlines {
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    running: HashMap<usize, Vec<Timestamp>>,
}

impl Deadlines {
    /// Notes what a ticket promises now.
    fn note(&mut self, case: usize, ticket: &Ticket) {
        let running = ticket.clocks.iter().filter(|clock| clock.state() == ClockState::Running);
        let due = running.filter_map(|clock| kefu_rpc::timestamp(&clock.due_time?).ok());
        let due: Vec<Timestamp> = due.collect();
        self.queue.extend(due.iter().map(|at| Reverse((*at, case))));
        self.running.insert(case, due);
    }

    /// Takes out the deadlines before `limit`; the last one at which a promise still runs, and how many of these there are.
    fn pass(&mut self, limit: Timestamp) -> (Option<Timestamp>, u64) {
        let (mut last, mut count) = (None, 0);
        while let Some(&Reverse((at, case))) = self.queue.peek().filter(|next| next.0.0 < limit) {
            self.queue.pop();
            let running = self.running.get_mut(&case);
            // An entry may be left over from before the promise was kept, or be there twice.
            if let Some((index, running)) =
                running.and_then(|all| Some((all.iter().position(|due| *due == at)?, all)))
            {
                running.swap_remove(index);
                (last, count) = (Some(at), count + 1);
            }
        }
        (last, count)
    }
}

struct Run<'a> {
    plan: &'a Plan,
    client: Client,
    ids: &'a IdSource,
    now: Timestamp,
    /// The tickets' names, by case.
    names: HashMap<usize, String>,
    refused: HashSet<usize>,
    deadlines: Deadlines,
    passed: u64,
    malformed: Vec<Malformed>,
}

impl Run<'_> {
    /// Moves the clock to `at`, by way of the last deadline before it: there it stands still until the timers have fired
    /// and all contexts know it. What is due at the very instant waits: what is done at a deadline is in time (T-07).
    async fn until(&mut self, at: Timestamp) -> anyhow::Result<()> {
        let (last, count) = self.deadlines.pass(at);
        if let Some(due) = last {
            self.set_time(due.max(self.now), false).await?;
            self.passed += count;
        }
        if at > self.now { self.set_time(at, true).await } else { Ok(()) }
    }

    async fn set_time(&mut self, at: Timestamp, skip_settle: bool) -> anyhow::Result<()> {
        let time = Some(kefu_rpc::to_proto_timestamp(at));
        retrying(async || self.client.clock().set_time(SetTimeRequest { time, skip_settle }).await)
            .await
            .map_err(failed(format!("setting the clocks to {at}")))?;
        self.now = at;
        Ok(())
    }

    /// Makes one call. What the mesh refuses because of what the row says is noted; later steps of that case are left out.
    async fn act(&mut self, client: &Client, moment: &Moment, case: &Case) -> anyhow::Result<()> {
        if self.refused.contains(&moment.case) {
            return Ok(());
        }
        let request_id = self.ids.uuid().to_string();
        let step = moment.step.and_then(|step| case.steps.get(step));
        let line = step.map_or(case.line, |step| step.line);
        let outcome = match step {
            None => {
                let request = CreateTicketRequest { ticket: Some(self.ticket(case)), request_id };
                retrying(async || client.tickets().create_ticket(request.clone()).await).await
            }
            Some(step) => {
                let Some(name) = self.names.get(&moment.case) else { return Ok(()) };
                call(client, name.clone(), &step.what, request_id).await
            }
        };
        match outcome {
            Ok(ticket) => {
                let ticket = ticket.into_inner();
                self.deadlines.note(moment.case, &ticket);
                self.names.insert(moment.case, ticket.name);
                Ok(())
            }
            Err(status) if is_about_the_row(&status) => {
                self.refused.insert(moment.case);
                self.malformed.push(Malformed { line, reason: explain(&status) });
                Ok(())
            }
            Err(status) => Err(failed(format!("line {line}"))(status)),
        }
    }

    fn ticket(&self, case: &Case) -> Ticket {
        Ticket {
            org_unit: self.plan.org_unit.to_string(),
            kind: self.plan.kind.into(),
            channel: self.plan.channel.into(),
            subject: case.subject.clone(),
            description: case.description.clone(),
            complainant: case.complainant.clone(),
            tags: case.tags.clone(),
            ..Ticket::default()
        }
    }

    async fn report(
        &self,
        span: Option<(Timestamp, Timestamp)>,
    ) -> anyhow::Result<ComplaintReport> {
        let (start, last) = span.unwrap_or((self.now, self.now));
        let end = last.checked_add(SignedDuration::from_secs(1))?;
        let request = GetComplaintReportRequest {
            org_unit: self.plan.org_unit.to_string(),
            start_time: Some(kefu_rpc::to_proto_timestamp(start)),
            end_time: Some(kefu_rpc::to_proto_timestamp(end)),
            kinds: vec![self.plan.kind.into()],
            ..GetComplaintReportRequest::default()
        };
        let report = self.client.reports().get_complaint_report(request).await;
        Ok(report.map_err(failed("the report"))?.into_inner())
    }
}

async fn call(
    client: &Client,
    name: String,
    what: &What,
    request_id: String,
) -> Result<Response<Ticket>, Status> {
    let etag = String::new();
    match what.clone() {
        What::Answer(message) => {
            let request =
                RespondTicketRequest { name, message, etag, request_id, ..Default::default() };
            retrying(async || client.tickets().respond_ticket(request.clone()).await).await
        }
        What::Wait(reason) => {
            let request = PauseTicketRequest {
                name,
                reason,
                etag,
                request_id,
                ..PauseTicketRequest::default()
            };
            retrying(async || client.tickets().pause_ticket(request.clone()).await).await
        }
        What::Resume => {
            let request = ResumeTicketRequest { name, etag, request_id };
            retrying(async || client.tickets().resume_ticket(request.clone()).await).await
        }
        What::Resolve(solution) => {
            let request = ResolveTicketRequest { name, solution, etag, request_id };
            retrying(async || client.tickets().resolve_ticket(request.clone()).await).await
        }
        What::Tell(message) => {
            let request =
                FeedBackTicketRequest { name, message, etag, request_id, ..Default::default() };
            retrying(async || client.tickets().feed_back_ticket(request.clone()).await).await
        }
    }
}

/// Makes a call again that found nobody, or nobody with time. Its request id makes that safe.
async fn retrying<T>(
    mut call: impl AsyncFnMut() -> Result<Response<T>, Status>,
) -> Result<Response<T>, Status> {
    let (pause, times) = RETRY;
    for _ in 1..times {
        match call().await {
            Err(status)
                if matches!(
                    status.code(),
                    Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
                ) =>
            {
                tokio::time::sleep(pause).await;
            }
            outcome => return outcome,
        }
    }
    call().await
}

/// Whether a refusal is the row's own fault.
fn is_about_the_row(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange)
}

async fn now(client: &Client) -> anyhow::Result<Timestamp> {
    let answer = client.clock().get_time(GetTimeRequest {}).await;
    let answer = answer.map_err(|status| match status.code() {
        Code::Unimplemented => {
            anyhow::anyhow!("that mesh goes by the machine's clock; start it with --clock manual:…")
        }
        _ => failed("reading the clock")(status),
    })?;
    let time = answer.into_inner().time.context("the clock shows no time")?;
    kefu_rpc::timestamp(&time).map_err(|_| anyhow::anyhow!("the clock shows no time"))
}

/// Makes the org unit, with those above it, and applies the policy to it.
async fn prepare(client: &Client, plan: &Plan, ids: &IdSource) -> anyhow::Result<()> {
    let mut units: Vec<_> = plan.org_unit.ancestors().collect();
    units.reverse();
    units.push(plan.org_unit.clone());
    for unit in units {
        let title = LocalizedText { en: unit.to_string(), zh: unit.to_string() };
        let request = CreateOrgUnitRequest {
            org_unit: Some(OrgUnitMessage {
                path: unit.to_string(),
                title: Some(title),
                ..OrgUnitMessage::default()
            }),
            request_id: ids.uuid().to_string(),
        };
        match retrying(async || client.org_units().create_org_unit(request.clone()).await).await {
            Err(status) if status.code() != Code::AlreadyExists => {
                return Err(failed(format!("making the org unit {unit}"))(status));
            }
            _ => {}
        }
    }
    policy::apply(client, &plan.pack, &plan.org_unit, None, |_| ids.uuid()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use kefu_api::ticket::v1::Clock;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ticket(due: &[i64]) -> Ticket {
        let clocks = due.iter().map(|due| Clock {
            state: ClockState::Running.into(),
            due_time: Some(kefu_rpc::to_proto_timestamp(at(*due))),
            ..Clock::default()
        });
        Ticket { clocks: clocks.collect(), ..Ticket::default() }
    }

    #[test]
    fn t07_no_deadline_that_still_runs_is_passed_over() {
        let mut deadlines = Deadlines::default();
        deadlines.note(0, &ticket(&[10, 30]));
        deadlines.note(1, &ticket(&[20, 40]));
        assert_eq!(deadlines.pass(at(10)), (None, 0), "what is due then waits");
        assert_eq!(deadlines.pass(at(11)), (Some(at(10)), 1));
        deadlines.note(0, &ticket(&[30]));
        deadlines.note(1, &ticket(&[]));
        assert_eq!(deadlines.pass(at(100)), (Some(at(30)), 1), "an answer ends a promise");
        assert_eq!(deadlines.pass(at(100)), (None, 0));
    }
}
