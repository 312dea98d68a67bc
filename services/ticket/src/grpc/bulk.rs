//! `kefu.ticket.v1.BulkService` (T-23). A ticket's part of a bulk goes through the handler of its own method, with what the
//! whole call brought along; so whatever a call for one ticket checks, decodes, does and answers, each of many does too.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt as _;
use kefu_api::error::v1::Reason;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_service_server::AutomationService;
use kefu_api::ticket::v1::bulk_service_server::BulkService;
use kefu_api::ticket::v1::handling_service_server::HandlingService;
use kefu_api::ticket::v1::routing_service_server::RoutingService;
use kefu_api::ticket::v1::run_bulk_request::Command as Part;
use kefu_api::ticket::v1::ticket_service_server::TicketService;
use kefu_rpc::{Deadline, Failure, Fault, RequestContext, Violations};
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, values};
use crate::app::Call;
use crate::app::bulk::request_id_of;
use crate::encode::ticket as encode;

/// The most tickets of one bulk.
const MOST: usize = 200;
/// The most that are worked on at once: a few of the connections, so that others get theirs.
const AT_ONCE: usize = 4;
/// What of the time is kept for the answer: a tenth, within these bounds.
const RESERVE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// For each kind of command: what it is sent as, and which handler does it.
macro_rules! parts {
    ($($part:ident => $service:ident :: $method:ident),* $(,)?) => {
        /// What names the ticket and the request in a command.
        fn common(part: &mut Part) -> (&mut String, &mut String, &mut String) {
            match part {
                $(Part::$part(one) => (&mut one.name, &mut one.etag, &mut one.request_id),)*
            }
        }

        /// Does a command that is whole, by the handler of its own method.
        async fn run(grpc: &Grpc, by: &By, part: Part) -> Result<Response<pb::Ticket>, Status> {
            match part {
                $(Part::$part(one) => $service::$method(grpc, by.request(one)).await,)*
            }
        }
    };
}

parts! {
    Assign => RoutingService::assign_ticket,
    Tag => TicketService::tag_ticket,
    Assess => TicketService::assess_ticket,
    Respond => TicketService::respond_ticket,
    AddNote => TicketService::add_ticket_note,
    ApplyMacro => AutomationService::apply_macro,
    Pause => TicketService::pause_ticket,
    Resume => TicketService::resume_ticket,
    Escalate => TicketService::escalate_ticket,
    Cancel => TicketService::cancel_ticket,
    Close => HandlingService::close_ticket,
    Transfer => HandlingService::transfer_ticket,
    FeedBack => TicketService::feed_back_ticket,
    Resolve => TicketService::resolve_ticket,
    AnnounceDelay => TicketService::announce_delay,
}

/// Who asks, and until when each part has to be done.
struct By {
    metadata: MetadataMap,
    extensions: Extensions,
    deadline: Deadline,
}

impl By {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut extensions = self.extensions.clone();
        extensions.insert(self.deadline);
        Request::from_parts(self.metadata.clone(), extensions, message)
    }
}

/// The field in which a command is.
fn field(part: &Part) -> &'static str {
    match part {
        Part::Assign(_) => "assign",
        Part::Tag(_) => "tag",
        Part::Assess(_) => "assess",
        Part::Respond(_) => "respond",
        Part::AddNote(_) => "add_note",
        Part::ApplyMacro(_) => "apply_macro",
        Part::Pause(_) => "pause",
        Part::Resume(_) => "resume",
        Part::Escalate(_) => "escalate",
        Part::Cancel(_) => "cancel",
        Part::Close(_) => "close",
        Part::Transfer(_) => "transfer",
        Part::FeedBack(_) => "feed_back",
        Part::Resolve(_) => "resolve",
        Part::AnnounceDelay(_) => "announce_delay",
    }
}

fn only_shows(part: &Part) -> bool {
    match part {
        Part::Assess(one) => one.validate_only,
        Part::ApplyMacro(one) => one.validate_only,
        _ => false,
    }
}

/// One ticket of a bulk.
struct Item {
    id: Uuid,
    etag: String,
}

fn items(violations: &mut Violations, items: &[pb::BulkItem]) -> Option<Vec<Item>> {
    if items.is_empty() {
        let fault = Fault::new("REQUIRED", "must name at least one ticket", "至少指定一张工单");
        violations.add("items", fault);
        return None;
    }
    if !violations.at_most("items", items.len(), MOST) {
        return None;
    }
    let (mut seen, mut found) = (HashSet::new(), Vec::with_capacity(items.len()));
    for (index, item) in items.iter().enumerate() {
        let path = |field: &str| format!("items[{index}].{field}");
        let id = violations.resource_id(&path("ticket"), &item.ticket, "tickets");
        let etag = violations.etag(&path("etag"), &item.etag);
        if id.is_some_and(|id| !seen.insert(id)) {
            violations.add(&path("ticket"), Fault::new("DUPLICATE", "is given twice", "重复"));
        }
        found.extend(id.zip(etag).map(|(id, _)| Item { id, etag: item.etag.clone() }));
    }
    Some(found)
}

/// The command, without what the items have.
fn template(violations: &mut Violations, part: Option<&mut Part>) -> Option<Part> {
    let Some(part) = part else {
        let fault = Fault::new("REQUIRED", "must be one of the known commands", "必须指定命令");
        violations.add("command", fault);
        return None;
    };
    let mut wrong = |field: String| {
        let fault = "must be unset: the items have it";
        violations.add(&field, Fault::new("NOT_ALLOWED", fault, "不得填写：由各项给出"));
    };
    let path = field(part);
    if only_shows(part) {
        wrong(format!("{path}.validate_only"));
    }
    let (name, etag, request_id) = common(part);
    for (field, value) in [("name", name), ("etag", etag), ("request_id", request_id)] {
        if !value.is_empty() {
            wrong(format!("{path}.{field}"));
        }
    }
    Some(part.clone())
}

/// The deadline of the parts, so that there is time left to answer for the whole.
fn deadline_of_parts(whole: Deadline) -> Deadline {
    let Some(left) = whole.remaining() else { return whole };
    let reserve = (left / 10).clamp(RESERVE.0, RESERVE.1);
    whole.at_most(left.saturating_sub(reserve))
}

/// Why there is no answer for a ticket.
fn out_of_time(reached: bool) -> Status {
    let message = if reached {
        "it was under way when time was up, and may have been done or not"
    } else {
        "time was up before it was begun"
    };
    Failure::new(Code::DeadlineExceeded, Reason::DeadlineExceeded, message)
        .metadata("reached", reached.to_string())
        .into_status()
}

/// What a ticket's call answered.
fn result(ticket: Uuid, answer: Result<pb::Ticket, Status>) -> pb::BulkResult {
    let ticket = encode::name(ticket);
    match answer {
        Ok(done) => pb::BulkResult {
            ticket,
            status: Some(pb::ItemStatus::default()),
            state: done.state,
            etag: done.etag,
        },
        Err(refused) => {
            // The bytes are a `google.rpc.Status`, which an ItemStatus reads.
            let status = pb::ItemStatus::decode(refused.details()).unwrap_or_default();
            let status = pb::ItemStatus {
                code: refused.code().into(),
                message: refused.message().to_owned(),
                ..status
            };
            pb::BulkResult { ticket, status: Some(status), ..Default::default() }
        }
    }
}

#[tonic::async_trait]
impl BulkService for Grpc {
    async fn run_bulk(
        &self,
        request: Request<pb::RunBulkRequest>,
    ) -> Result<Response<pb::RunBulkResponse>, Status> {
        const METHOD: &str = "kefu.ticket.v1.BulkService/RunBulk";
        let context = RequestContext::of(&request);
        let (metadata, extensions, mut message) = request.into_parts();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let items = items(&mut violations, &message.items);
        let part = template(&mut violations, message.command.as_mut());
        let ((org_unit, items), part) = violations.finish(org_unit.zip(items).zip(part))?;
        let begun = Box::pin(self.app.begin_bulk(&call, &org_unit)).await;
        begun.map_err(|error| status(&context, error))?;
        let deadline = deadline_of_parts(context.deadline());
        let by = By { metadata, extensions, deadline };
        let done = futures::stream::iter(items).map(|Item { id, etag }| {
            let (mut part, by, call) = (part.clone(), &by, &call);
            async move {
                if by.deadline.remaining().is_some_and(|left| left.is_zero()) {
                    return result(id, Err(out_of_time(false)));
                }
                let (name, seen, request_id) = common(&mut part);
                (*name, *seen) = (encode::name(id), etag);
                *request_id = request_id_of(call, id).map(|id| id.to_string()).unwrap_or_default();
                let answer = Box::pin(run(self, by, part));
                let answer = match by.deadline.0 {
                    None => answer.await,
                    // Dropping the handler's future drops its transaction, which Postgres then rolls back.
                    Some(at) => match tokio::time::timeout_at(at.into(), answer).await {
                        Ok(answer) => answer,
                        Err(_) => Err(out_of_time(true)),
                    },
                };
                result(id, answer.map(Response::into_inner))
            }
        });
        let results: Vec<pb::BulkResult> = done.buffered(AT_ONCE).collect().await;
        let is_done = |result: &&pb::BulkResult| {
            result.status.as_ref().is_some_and(|status| status.code == i32::from(Code::Ok))
        };
        let done = results.iter().filter(is_done).count();
        let done_count = i32::try_from(done).unwrap_or(i32::MAX);
        Ok(Response::new(pb::RunBulkResponse { results, done_count }))
    }
}
