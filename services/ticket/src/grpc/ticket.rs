//! `kefu.ticket.v1.TicketService`.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_service_server::TicketService;
use kefu_rpc::{Fault, Mask, PageQuery, RequestContext, TextRule, Violations, to_proto_timestamp};
use tonic::{Request, Response, Status};

use super::status::status;
use super::values::DetailChanges;
use super::{
    Grpc, Target, correction, decode, delivery, message, page_size, queue, target, text, values,
    violation, watch,
};
use crate::app::{Call, registration::NewRegistration};
use crate::domain::{Command, Route, Severity, Ticket};
use crate::encode::ticket as encode;
use crate::store::history::HistoryRow;
use crate::store::ticket_list::TicketQuery;

const COLLECTION: &str = "tickets";
/// What the customer is told where something else can be told instead.
const TOLD: TextRule = TextRule::paragraphs(20_000);

impl Grpc {
    /// The rest of every command on a ticket.
    async fn command(
        &self,
        context: &RequestContext,
        action: &'static str,
        target: Target,
        command: impl FnOnce(&Ticket) -> Command,
    ) -> Result<Response<pb::Ticket>, Status> {
        let Target { call, id, etag } = target;
        let answer = self.app.command(&call, action, id, etag, command).await;
        answer.map(Response::new).map_err(|error| status(context, error))
    }
}

/// The commands that say one text about a ticket: decode, and hand over.
macro_rules! command {
    ($self:ident, $request:ident, $method:literal, |$violations:ident, $message:ident| $decode:expr) => {{
        let context = RequestContext::of(&$request);
        let mut $message = $request.into_inner();
        let request_id = std::mem::take(&mut $message.request_id);
        let mut $violations = context.violations();
        let common = (&*$message.name, &*$message.etag, &*request_id);
        let method = concat!("kefu.ticket.v1.TicketService/", $method);
        let target = target(&context, &mut $violations, (method, COLLECTION), common, &$message);
        let command: Option<Command> = $decode;
        let (target, command) = $violations.finish(target.zip(command))?;
        $self.command(&context, concat!("ticket.", $method), target, |_| command).await
    }};
}

/// What is said to the customer, if asked for sent, and in spite of forbidden phrases (T-14).
fn said_to_customer(command: Command, route: Option<Route>, overriding: bool) -> Command {
    let command = match route {
        Some(route) => Command::Send { command: Box::new(command), route },
        None => command,
    };
    if overriding { Command::OverridePhrases(Box::new(command)) } else { command }
}

#[tonic::async_trait]
impl TicketService for Grpc {
    async fn create_ticket(
        &self,
        request: Request<pb::CreateTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let method = crate::app::intake::METHOD;
        let call = Call::of(&context, &mut violations, method, &request_id, &message);
        let ticket = message.ticket.as_ref();
        let new = registration(&mut violations, "ticket", ticket, self.app.now());
        let new = violations.finish(new)?;
        let answer = self.app.create_ticket(&call, new).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_ticket(
        &self,
        request: Request<pb::GetTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "tickets");
        let id = violations.finish(id)?;
        let ticket = self.app.get_ticket(context.caller(), "ticket.GetTicket", id).await;
        let ticket = ticket.map_err(|error| status(&context, error))?;
        let mut answer = encode::resource(&ticket);
        let named = self.app.name_survivor(id, &mut answer).await;
        named.map_err(|error| status(&context, error))?;
        Ok(Response::new(answer))
    }

    async fn list_tickets(
        &self,
        request: Request<pb::ListTicketsRequest>,
    ) -> Result<Response<pb::ListTicketsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let customer =
            values::optional_id(&mut violations, "customer", &message.customer, "customers");
        let filter = queue::filter(&mut violations, "filter", &message.filter);
        let mut query =
            PageQuery::new("ticket.ListTickets").field(&message.org_unit).field(&message.customer);
        if !message.filter.is_empty() {
            query = query.field(&message.filter);
        }
        let (query, states) =
            decode::states(&mut violations, query, &message.states, values::state);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let decoded = org_unit.zip(customer).zip(filter);
        let ((org_unit, customer), filter) = violations.finish(decoded)?;
        let asked =
            TicketQuery { org_unit: org_unit.to_string(), states, customer, after, limit: 0 };
        let caller = context.caller();
        let page = if filter.is_empty() {
            self.app.list_tickets(caller, &org_unit, asked, size).await
        } else {
            Box::pin(self.app.filter_tickets(caller, &org_unit, asked, &filter, size)).await
        };
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListTicketsResponse {
            tickets: page.items.iter().map(encode::resource).collect(),
            next_page_token: decode::next(&query, page.next),
        }))
    }

    async fn update_ticket(
        &self,
        request: Request<pb::UpdateTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        const METHOD: &str = "kefu.ticket.v1.TicketService/UpdateTicket";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let mask = message.update_mask.take();
        let mask = Mask::decode(&mut violations, mask, &DetailChanges::CHANGEABLE);
        let decoded = violations.required("ticket", message.ticket.as_ref()).and_then(|ticket| {
            violations.within("ticket", |violations| {
                let id = violations.resource_id("name", &ticket.name, "tickets");
                let etag = violations.etag("etag", &ticket.etag);
                let changes = DetailChanges::decode(violations, ticket, &mask);
                Some((id?, etag?, changes))
            })
        });
        let (id, etag, changes) = violations.finish(decoded)?;
        let target = Target { call, id, etag };
        self.command(&context, "ticket.UpdateTicket", target, |ticket| Command::UpdateDetails {
            details: changes.onto(&ticket.details),
        })
        .await
    }

    async fn correct_ticket(
        &self,
        request: Request<pb::CorrectTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        Box::pin(correction::correct(self, request)).await
    }

    async fn tag_ticket(
        &self,
        request: Request<pb::TagTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "TagTicket", |violations, message| {
            let add = values::tags(&mut violations, "add", &message.add);
            let remove = values::tags(&mut violations, "remove", &message.remove);
            if message.add.is_empty() && message.remove.is_empty() {
                let english = "must have at least one tag, or `remove` must";
                let fault = Fault::new("REQUIRED", english, "至少添加或删除一个标签");
                violations.add("add", fault);
            }
            for (index, tag) in remove.iter().enumerate() {
                if add.contains(tag) {
                    let fault =
                        Fault::new("CONTRADICTORY", "is to be added, too", "同时要求添加该标签");
                    violations.add(&format!("remove[{index}]"), fault);
                }
            }
            Some(Command::Tag { add, remove })
        })
    }

    async fn respond_ticket(
        &self,
        request: Request<pb::RespondTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        let now = self.app.now();
        command!(self, request, "RespondTicket", |violations, message| {
            let said = text(&mut violations, "message", &message.message, values::LONG_TEXT);
            let sent_at = values::past_time(&mut violations, "send_time", message.send_time, now);
            let overriding = message.override_forbidden_phrases;
            let route = delivery::route(&mut violations, message.delivery.as_ref());
            said.zip(sent_at).zip(route).map(|((message, sent_at), route)| {
                said_to_customer(Command::Respond { message, sent_at }, route, overriding)
            })
        })
    }

    async fn pause_ticket(
        &self,
        request: Request<pb::PauseTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "PauseTicket", |violations, message| {
            let code = std::mem::take(&mut message.pause_reason);
            let recipient = delivery::recipient(&mut violations, &message.reminder_recipient);
            text(&mut violations, "reason", &message.reason, values::REASON)
                .zip(recipient)
                .map(|(reason, recipient)| Command::Pause { reason, code, recipient })
        })
    }

    async fn resume_ticket(
        &self,
        request: Request<pb::ResumeTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "ResumeTicket", |violations, message| Some(Command::Resume))
    }

    async fn resolve_ticket(
        &self,
        request: Request<pb::ResolveTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "ResolveTicket", |violations, message| {
            text(&mut violations, "solution", &message.solution, values::LONG_TEXT)
                .map(|solution| Command::Resolve { solution })
        })
    }

    async fn feed_back_ticket(
        &self,
        request: Request<pb::FeedBackTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "FeedBackTicket", |violations, message| {
            let overriding = message.override_forbidden_phrases;
            let route = delivery::route(&mut violations, message.delivery.as_ref());
            let said = text(&mut violations, "message", &message.message, values::LONG_TEXT);
            said.zip(route).map(|(message, route)| {
                said_to_customer(Command::FeedBack { message }, route, overriding)
            })
        })
    }

    async fn record_verdict(
        &self,
        request: Request<pb::RecordVerdictRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "RecordVerdict", |violations, message| {
            let value = message.value;
            text(&mut violations, "comment", &message.comment, values::COMMENT)
                .map(|comment| Command::RecordVerdict { value, comment })
        })
    }

    async fn escalate_ticket(
        &self,
        request: Request<pb::EscalateTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "EscalateTicket", |violations, message| {
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| Command::Escalate { reason })
        })
    }

    async fn cancel_ticket(
        &self,
        request: Request<pb::CancelTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "CancelTicket", |violations, message| {
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| Command::Cancel { reason })
        })
    }

    async fn announce_delay(
        &self,
        request: Request<pb::AnnounceDelayRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "AnnounceDelay", |violations, message| {
            let rule = std::mem::take(&mut message.rule);
            let reason = text(&mut violations, "reason", &message.reason, values::REASON);
            let new_due = violations.time("new_due_time", message.new_due_time);
            let said = text(&mut violations, "message", &message.message, TOLD);
            let overriding = message.override_forbidden_phrases;
            let route = delivery::route(&mut violations, message.delivery.as_ref());
            let known = reason.zip(new_due).zip(said).zip(route);
            known.map(|(((reason, new_due), said), route)| {
                let message = Some(said);
                let command = Command::AnnounceDelay { rule, new_due, reason, message };
                said_to_customer(command, route, overriding)
            })
        })
    }

    async fn assess_ticket(
        &self,
        request: Request<pb::AssessTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        const METHOD: &str = "kefu.ticket.v1.TicketService/AssessTicket";
        const ACTION: &str = "ticket.AssessTicket";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let common = (&*message.name, &*message.etag, &*request_id);
        let target = target(&context, &mut violations, (METHOD, COLLECTION), common, &message);
        let reason = text(&mut violations, "reason", &message.reason, values::REASON);
        let severity = violations.range("severity", message.severity, 1, 3);
        let command = reason.zip(severity.and_then(Severity::from_number));
        let command = command.map(|(reason, severity)| Command::Assess { severity, reason });
        let (target, command) = violations.finish(target.zip(command))?;
        if !message.validate_only {
            return self.command(&context, ACTION, target, |_| command).await;
        }
        let Target { id, etag, .. } = target;
        let preview = self.app.preview(context.caller(), ACTION, id, etag, command).await;
        preview.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn explain_deadline(
        &self,
        request: Request<pb::ExplainDeadlineRequest>,
    ) -> Result<Response<pb::ExplainDeadlineResponse>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "tickets");
        let id = violations.finish(id)?;
        let explanations = self.app.explain_deadline(context.caller(), id).await;
        let explanations = explanations.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ExplainDeadlineResponse { explanations }))
    }

    async fn list_ticket_history(
        &self,
        request: Request<pb::ListTicketHistoryRequest>,
    ) -> Result<Response<pb::ListTicketHistoryResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, "tickets");
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListTicketHistory").field(&message.parent);
        let after: Option<i64> = violations.page_token("page_token", &message.page_token, &query);
        let id = violations.finish(id)?;
        let after = after.unwrap_or_default();
        let page = self.app.list_ticket_history(context.caller(), id, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListTicketHistoryResponse {
            entries: page.items.into_iter().map(history).collect(),
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn list_ticket_messages(
        &self,
        request: Request<pb::ListTicketMessagesRequest>,
    ) -> Result<Response<pb::ListTicketMessagesResponse>, Status> {
        message::list(self, request).await
    }

    async fn add_ticket_note(
        &self,
        request: Request<pb::AddTicketNoteRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "AddTicketNote", |violations, message| {
            text(&mut violations, "note", &message.note, values::LONG_TEXT)
                .map(|note| Command::AddNote { note })
        })
    }

    async fn render_message_template(
        &self,
        request: Request<pb::RenderMessageTemplateRequest>,
    ) -> Result<Response<pb::RenderMessageTemplateResponse>, Status> {
        message::render(self, request).await
    }

    async fn list_violations(
        &self,
        request: Request<pb::ListViolationsRequest>,
    ) -> Result<Response<pb::ListViolationsResponse>, Status> {
        violation::list(self, request).await
    }

    type WatchTicketsStream = watch::Stream;

    async fn watch_tickets(
        &self,
        request: Request<pb::WatchTicketsRequest>,
    ) -> Result<Response<watch::Stream>, Status> {
        watch::start(self, request).await
    }
}

pub(super) fn registration(
    violations: &mut Violations,
    field: &str,
    ticket: Option<&pb::Ticket>,
    now: Timestamp,
) -> Option<NewRegistration> {
    let ticket = violations.required(field, ticket)?;
    violations.within(field, |violations| {
        let org_unit = values::org_unit(violations, "org_unit", &ticket.org_unit);
        let kind = values::kind(violations, "kind", ticket.kind);
        let channel = values::channel(violations, "channel", ticket.channel);
        let complainant = values::complainant(violations, ticket);
        let severity = values::severity(violations, "severity", ticket.severity);
        let occurred_at = values::past_time(violations, "occur_time", ticket.occur_time, now);
        let details = values::details(violations, ticket);
        let amount = values::amount(violations, ticket);
        let complainant_type =
            violations.text("complainant_type", &ticket.complainant_type, values::CODE);
        Some(NewRegistration {
            amount: amount?,
            complainant_type: Some(complainant_type).filter(|code| !code.is_empty()),
            org_unit: org_unit?,
            kind: kind?,
            channel: channel?,
            complainant: complainant?,
            severity: severity?,
            occurred_at: occurred_at?,
            details,
        })
    })
}

fn history(row: HistoryRow) -> pb::TicketHistoryEntry {
    let json = |value: Option<serde_json::Value>| value.map(|v| v.to_string()).unwrap_or_default();
    pb::TicketHistoryEntry {
        revision: row.revision,
        action: row.action,
        actor: row.actor,
        origin: row.origin,
        occur_time: Some(to_proto_timestamp(row.occurred_at.to_jiff())),
        before_json: json(row.before),
        after_json: json(row.after),
    }
}
