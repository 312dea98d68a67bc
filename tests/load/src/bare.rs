//! A gRPC server with nothing in it: the reference for reads.
//!
//! It answers `TicketService.GetTicket` with tonic and sqlx as they come: no token, no permission, no deadline, no limit, no
//! trace, no gateway. The statement is the ticket context's own, and so is the answer, byte for byte.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use jiff_sqlx::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_postgres::PgSettings;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The ticket context's statement.
pub const GET_TICKET: &str = include_str!("../../../services/ticket/src/store/ticket_get.sql");

type Times = (
    Timestamp,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<Timestamp>,
);
type Fulfilment = (Option<Timestamp>, Option<String>, Option<Timestamp>);
type Json = Option<serde_json::Value>;
type Notes = (i16, Json, Json, Json, Option<Uuid>, Json, Option<String>);
type VerdictRecord = (i16, i32, String, String, String, Timestamp, Option<Timestamp>);
type ClockRecord = (String, String, i32, Times, Fulfilment, Json, Notes);

/// Serves until the process ends.
///
/// # Errors
/// When the address is taken.
pub async fn serve(listen: SocketAddr, database_url: &str) -> anyhow::Result<()> {
    let pool = kefu_postgres::connect(&PgSettings::new(database_url))?;
    let server = tonic::transport::Server::builder().add_service(Bare(pool));
    Ok(server.serve(listen).await?)
}

#[derive(Clone)]
struct Bare(PgPool);

impl NamedService for Bare {
    const NAME: &'static str = "kefu.ticket.v1.TicketService";
}

impl tower::Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
            Ok(grpc.unary(service, request).await)
        })
    }
}

impl tonic::server::UnaryService<pb::GetTicketRequest> for Bare {
    type Response = pb::Ticket;
    type Future = BoxFuture<'static, Result<Response<pb::Ticket>, Status>>;

    fn call(&mut self, request: Request<pb::GetTicketRequest>) -> Self::Future {
        let pool = self.0.clone();
        Box::pin(async move {
            let name = request.into_inner().name;
            let id = name.strip_prefix("tickets/").and_then(|id| Uuid::try_parse(id).ok());
            let id = id.ok_or_else(|| Status::invalid_argument("name"))?;
            let row = sqlx::query(AssertSqlSafe(GET_TICKET)).bind(id).fetch_optional(&pool).await;
            let row = row.map_err(|error| Status::internal(error.to_string()))?;
            let row = row.ok_or_else(|| Status::not_found("name"))?;
            let ticket = ticket(&row).map_err(|error| Status::internal(error.to_string()))?;
            Ok(Response::new(ticket))
        })
    }
}

/// The columns by their names, which say what the compiler checks of some.
fn ticket(row: &PgRow) -> Result<pb::Ticket, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let optional = |column: &str| {
        Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(column)?.unwrap_or_default())
    };
    let at = |column: &str| Ok::<_, sqlx::Error>(time(row.try_get(column)?));
    let id = |column: &str, collection: &str| {
        let id: Option<Uuid> = row.try_get(column)?;
        Ok::<_, sqlx::Error>(id.map(|id| format!("{collection}/{id}")).unwrap_or_default())
    };
    let policy_version = id("policy_version_id", "ticketPolicyVersions")?;
    let customer = id("customer_id", "customers")?;
    let contact = id("contact_id", "contacts")?;
    let state = number(&STATES, &text("state")?);
    let since: Option<Timestamp> = row.try_get("state_since: Timestamp")?;
    let clocks: Vec<ClockRecord> = row.try_get("clocks!: Vec<ClockRecord>")?;
    let verdicts: Vec<VerdictRecord> = row.try_get("verdicts!: Vec<VerdictRecord>")?;
    let escalations: Vec<(String, i16, i16, i32, String, Timestamp)> =
        row.try_get("escalations!: Vec<EscalationRecord>")?;
    Ok(pb::Ticket {
        name: id("id", "tickets")?,
        number: text("number")?,
        org_unit: text("org_unit")?,
        kind: number(&KINDS, &text("kind")?),
        channel: number(&CHANNELS, &text("channel")?),
        contact: if contact.is_empty() { contact } else { format!("{customer}/{contact}") },
        customer,
        complainant: optional("complainant")?,
        severity: row.try_get::<i16, _>("severity")?.into(),
        occur_time: at("occurred_at: Timestamp")?,
        subject: text("subject")?,
        description: text("description")?,
        category: text("category")?,
        product: text("product")?,
        tags: row.try_get("tags")?,
        customer_grade: optional("customer_grade")?,
        priority: number(&PRIORITIES, &text("priority")?),
        first_contact_owner: text("first_contact_owner")?,
        handler: optional("handler")?,
        receiver_level: row.try_get::<i16, _>("receiver_level")?.into(),
        cycle: row.try_get("cycle")?,
        state,
        solution: optional("solution")?,
        resolve_time: at("solved_at: Timestamp")?,
        first_response_time: at("first_responded_at: Timestamp")?,
        close_time: if state == pb::TicketState::Closed as i32 { time(since) } else { None },
        create_time: at("created_at: Timestamp")?,
        update_time: at("updated_at: Timestamp")?,
        clocks: clocks.into_iter().map(|record| clock(record, &policy_version)).collect(),
        verdicts: verdicts
            .into_iter()
            .map(|(value, cycle, source, recorded_by, comment, recorded_at, given_at)| {
                pb::Verdict {
                    value: value.into(),
                    cycle,
                    source: number(&["call", "survey"], &source),
                    recorded_by,
                    comment,
                    record_time: time(Some(recorded_at)),
                    give_time: time(given_at.or(Some(recorded_at))),
                }
            })
            .collect(),
        escalations: escalations
            .into_iter()
            .map(|(cause, from, to, cycle, reason, escalated_at)| pb::Escalation {
                cause: number(&CAUSES, &cause),
                from_level: from.into(),
                to_level: to.into(),
                cycle,
                reason,
                escalate_time: time(Some(escalated_at)),
            })
            .collect(),
        promise_version: policy_version.clone(),
        policy_version,
        etag: kefu_rpc::Etag::of_revision(row.try_get("revision")?).to_string(),
        ..pb::Ticket::default()
    })
}

fn clock(record: ClockRecord, policy_version: &str) -> pb::Clock {
    let (rule, kind, cycle, times, fulfilment, pauses, (round, .., answerable)) = record;
    let (fulfilled_at, fulfiller, recorded_at) = fulfilment;
    let (started, due, _, _, breached_at, cancelled_at) = times;
    let state = if cancelled_at.is_some() {
        pb::ClockState::Cancelled
    } else if breached_at.is_some() {
        pb::ClockState::Breached
    } else if fulfilled_at.is_some() {
        pb::ClockState::Met
    } else if due.is_none() && pauses.is_some() {
        pb::ClockState::Paused
    } else {
        pb::ClockState::Running
    };
    pb::Clock {
        rule,
        kind: number(&CLOCKS, &kind),
        cycle,
        state: state.into(),
        start_time: time(Some(started)),
        due_time: time(due),
        fulfill_time: time(fulfilled_at),
        breach_time: time(breached_at),
        fulfiller: fulfiller.unwrap_or_default(),
        fulfill_record_time: time(recorded_at),
        policy_version: policy_version.to_owned(),
        round: round.into(),
        // What the product knows of pauses that were none.
        paused_duration: Some(prost_types::Duration::default()),
        breach_answerable: answerable.unwrap_or_default(),
        ..pb::Clock::default()
    }
}

const KINDS: [&str; 4] = ["complaint", "inquiry", "request", "suggestion"];
const CHANNELS: [&str; 10] =
    ["phone", "sms", "letter", "fax", "mail", "chat", "web", "messenger", "visit", "counter"];
const STATES: [&str; 9] = [
    "registered",
    "in_progress",
    "waiting",
    "resolved",
    "result_fed_back",
    "reopened",
    "executive_review",
    "closed",
    "cancelled",
];
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];
const CAUSES: [&str; 8] =
    ["breach", "verdict", "manager", "step", "authority", "handler", "trigger", "merge"];
const CLOCKS: [&str; 5] =
    ["first_response", "resolution", "result_feedback", "call_back", "progress_update"];

/// The number of a word in an enumeration whose first word has number 1.
fn number(words: &[&str], word: &str) -> i32 {
    let place = words.iter().position(|known| *known == word);
    place.and_then(|place| i32::try_from(place + 1).ok()).unwrap_or_default()
}

fn time(at: Option<Timestamp>) -> Option<prost_types::Timestamp> {
    at.map(|at| kefu_rpc::to_proto_timestamp(at.to_jiff()))
}
