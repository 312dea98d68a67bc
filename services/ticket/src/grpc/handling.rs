//! `kefu.ticket.v1.HandlingService` (T-09 to T-13, T-15).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::handling_service_server::HandlingService;
use kefu_identity::OrgUnit;
use kefu_rpc::{Fault, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, Target, delivery, page_size, target, text, values};
use crate::app::Error;
use crate::domain::{ExecutiveOutcome, HandlingCommand, PlanItem, Receiving};
use crate::encode::handling as encode;
use crate::store::supervision::SupervisionQuery;

const COLLECTION: &str = "tickets";
const NOTE: TextRule = TextRule::paragraphs(2_000).required();
const REPORT: TextRule = TextRule::paragraphs(5_000).required();
const MESSAGE: TextRule = TextRule::paragraphs(20_000);
const WHO: TextRule = TextRule::line(200).required();
const WHAT: TextRule = TextRule::paragraphs(1_000).required();
const TEAM: TextRule = TextRule::line(63);
/// So many entries a list of a request may have.
const MOST: usize = 50;

/// Every command: decode, and hand over. What is decoded is the command and whether it is said in spite of forbidden phrases.
macro_rules! command {
    ($self:ident, $request:ident, $method:literal, |$violations:ident, $message:ident| $decode:expr) => {
        command!($self, $request, $method, false, |$violations, $message| $decode)
    };
    ($self:ident, $request:ident, $method:literal, $overriding:expr, |$violations:ident, $message:ident| $decode:expr) => {{
        let context = RequestContext::of(&$request);
        let mut $message = $request.into_inner();
        let request_id = std::mem::take(&mut $message.request_id);
        let mut $violations = context.violations();
        let common = (&*$message.name, &*$message.etag, &*request_id);
        let method = concat!("kefu.ticket.v1.HandlingService/", $method);
        let target = target(&context, &mut $violations, (method, COLLECTION), common, &$message);
        let command: Option<HandlingCommand> = $decode;
        let (target, command) = $violations.finish(target.zip(command))?;
        let Target { call, id, etag } = target;
        let action = concat!("ticket.", $method);
        let answer = $self.app.handle(&call, action, (id, etag), command, $overriding).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }};
}

#[tonic::async_trait]
impl HandlingService for Grpc {
    async fn record_contact_attempt(
        &self,
        request: Request<pb::RecordContactAttemptRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        let now = self.app.now();
        command!(self, request, "RecordContactAttempt", |violations, message| {
            violations.required("attempt", message.attempt.as_ref()).and_then(|attempt| {
                violations.within("attempt", |violations| {
                    let channel = values::channel(violations, "channel", attempt.channel);
                    let at =
                        values::past_time(violations, "attempt_time", attempt.attempt_time, now);
                    let note = text(violations, "note", &attempt.note, NOTE);
                    Some(HandlingCommand::RecordAttempt {
                        channel: channel?,
                        at: at?,
                        reached: attempt.reached,
                        note: note?,
                    })
                })
            })
        })
    }

    async fn close_ticket(
        &self,
        request: Request<pb::CloseTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "CloseTicket", |violations, message| {
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| HandlingCommand::Close { reason })
        })
    }

    async fn reopen_ticket(
        &self,
        request: Request<pb::ReopenTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "ReopenTicket", |violations, message| {
            let dissatisfied = message.customer_dissatisfied;
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| HandlingCommand::Reopen { reason, dissatisfied })
        })
    }

    async fn transfer_ticket(
        &self,
        request: Request<pb::TransferTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "TransferTicket", |violations, message| {
            let to = receiver(&mut violations, &message.to_org_unit);
            let team = team(&mut violations, &message.to_team);
            let note = text(&mut violations, "handover_note", &message.handover_note, REPORT);
            to.zip(team).zip(note).map(|((to, team), note)| HandlingCommand::Transfer {
                to: to.map(|to| to.to_string()),
                team: Some(team).filter(|team| !team.is_empty()),
                note,
            })
        })
    }

    async fn accept_transfer(
        &self,
        request: Request<pb::AcceptTransferRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        let overriding = request.get_ref().override_forbidden_phrases;
        command!(self, request, "AcceptTransfer", overriding, |violations, message| {
            let route = delivery::route(&mut violations, message.delivery.as_ref());
            let said = text(&mut violations, "message", &message.message, MESSAGE);
            said.zip(route).map(|(message, route)| {
                let message = Some(message).filter(|message| !message.is_empty());
                let receiving = Receiving::default();
                HandlingCommand::AcceptTransfer { message, route, receiving }
            })
        })
    }

    async fn return_transfer(
        &self,
        request: Request<pb::ReturnTransferRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "ReturnTransfer", |violations, message| {
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| HandlingCommand::ReturnTransfer { reason })
        })
    }

    async fn withdraw_transfer(
        &self,
        request: Request<pb::WithdrawTransferRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "WithdrawTransfer", |violations, message| {
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| HandlingCommand::WithdrawTransfer { reason })
        })
    }

    async fn complete_handling_form(
        &self,
        request: Request<pb::CompleteHandlingFormRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "CompleteHandlingForm", |violations, message| {
            violations.required("form", message.form.as_ref()).and_then(|form| {
                violations.within("form", |violations| {
                    let number = violations.range("form", form.form, 0, i32::MAX);
                    let opinion = text(violations, "opinion", &form.opinion, REPORT);
                    let decision = text(violations, "decision", &form.decision, REPORT);
                    Some(HandlingCommand::CompleteForm {
                        form: u32::try_from(number?).ok()?,
                        opinion: opinion?,
                        decision: decision?,
                    })
                })
            })
        })
    }

    async fn decide_executive_review(
        &self,
        request: Request<pb::DecideExecutiveReviewRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "DecideExecutiveReview", |violations, message| {
            violations.required("decision", message.decision.as_ref()).and_then(|decided| {
                violations.within("decision", |violations| {
                    let decision =
                        text(violations, "decision", &decided.decision, values::LONG_TEXT);
                    let outcome =
                        violations.enumeration("outcome", decided.outcome).and_then(outcome);
                    Some(HandlingCommand::DecideReview { decision: decision?, outcome: outcome? })
                })
            })
        })
    }

    async fn set_handling_plan(
        &self,
        request: Request<pb::SetHandlingPlanRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        let now = self.app.now();
        command!(self, request, "SetHandlingPlan", |violations, message| {
            let items = plan_items(&mut violations, &message.items);
            let agreement = match message.agreement.as_ref() {
                None => Some(None),
                Some(found) => agreement(&mut violations, found, now).map(Some),
            };
            let known = items.zip(agreement);
            known.map(|(items, agreement)| HandlingCommand::SetPlan { items, agreement })
        })
    }

    async fn agree_handling_plan(
        &self,
        request: Request<pb::AgreeHandlingPlanRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        let now = self.app.now();
        command!(self, request, "AgreeHandlingPlan", |violations, message| {
            violations
                .required("agreement", message.agreement.as_ref())
                .and_then(|found| agreement(&mut violations, found, now))
                .map(|(how, at)| HandlingCommand::AgreePlan { how, at })
        })
    }

    async fn complete_plan_item(
        &self,
        request: Request<pb::CompletePlanItemRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "CompletePlanItem", |violations, message| {
            let item = violations.range("item", message.item, 1, i32::MAX);
            let item = item.and_then(|item| u32::try_from(item).ok());
            item.map(|item| HandlingCommand::CompleteItem { item })
        })
    }

    async fn record_meeting(
        &self,
        request: Request<pb::RecordMeetingRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        let now = self.app.now();
        command!(self, request, "RecordMeeting", |violations, message| {
            violations.required("meeting", message.meeting.as_ref()).and_then(|meeting| {
                violations.within("meeting", |violations| {
                    let at = violations.past_time("meet_time", meeting.meet_time, now);
                    let participants = participants(violations, &meeting.participants);
                    let decisions = text(violations, "decisions", &meeting.decisions, REPORT);
                    Some(HandlingCommand::RecordMeeting {
                        at: at?,
                        participants: participants?,
                        decisions: decisions?,
                    })
                })
            })
        })
    }

    async fn record_finding(
        &self,
        request: Request<pb::RecordFindingRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "RecordFinding", |violations, message| {
            violations.required("finding", message.finding.as_ref()).and_then(|finding| {
                text(&mut violations, "finding.finding", &finding.finding, REPORT)
                    .map(|finding| HandlingCommand::RecordFinding { finding })
            })
        })
    }

    async fn supervise_ticket(
        &self,
        request: Request<pb::SuperviseTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "SuperviseTicket", |violations, message| {
            let instruction = text(&mut violations, "instruction", &message.instruction, NOTE);
            let answer_by = violations.time("answer_due_time", message.answer_due_time);
            instruction.zip(answer_by).map(|(instruction, answer_by)| HandlingCommand::Supervise {
                instruction,
                answer_by,
            })
        })
    }

    async fn urge_ticket(
        &self,
        request: Request<pb::UrgeTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "UrgeTicket", |violations, message| {
            let said = text(&mut violations, "text", &message.text, NOTE);
            let answer_by = violations.optional_time("answer_due_time", message.answer_due_time);
            said.zip(answer_by).map(|(text, answer_by)| HandlingCommand::Urge {
                text,
                answer_by,
                first_contact: false,
            })
        })
    }

    async fn answer_supervision(
        &self,
        request: Request<pb::AnswerSupervisionRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "AnswerSupervision", |violations, message| {
            text(&mut violations, "answer", &message.answer, REPORT)
                .map(|answer| HandlingCommand::AnswerSupervision { answer })
        })
    }

    async fn end_supervision(
        &self,
        request: Request<pb::EndSupervisionRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        command!(self, request, "EndSupervision", |violations, message| {
            text(&mut violations, "conclusion", &message.conclusion, NOTE)
                .map(|conclusion| HandlingCommand::EndSupervision { conclusion })
        })
    }

    async fn get_handling_plan(
        &self,
        request: Request<pb::GetHandlingPlanRequest>,
    ) -> Result<Response<pb::HandlingPlan>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "tickets");
        let id = violations.finish(id)?;
        let plan = self.app.handling_plan(context.caller(), id).await;
        let (ticket, items) = plan.map_err(|error| status(&context, error))?;
        Ok(Response::new(encode::plan(&ticket, &items, self.app.now())))
    }

    async fn list_handling_records(
        &self,
        request: Request<pb::ListHandlingRecordsRequest>,
    ) -> Result<Response<pb::ListHandlingRecordsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, "tickets");
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListHandlingRecords").field(&message.parent);
        let after = cursor(&mut violations, &message.page_token, &query);
        let id = violations.finish(id)?;
        let page = self.app.list_handling_records(context.caller(), id, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let records: Result<Vec<_>, _> =
            page.items.iter().map(|row| encode::record(id, row)).collect();
        Ok(Response::new(pb::ListHandlingRecordsResponse {
            records: records.map_err(|error| status(&context, Error::Store(error)))?,
            next_page_token: token(&query, page.next),
        }))
    }

    async fn list_transfers(
        &self,
        request: Request<pb::ListTransfersRequest>,
    ) -> Result<Response<pb::ListTransfersResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListTransfers").field(&message.org_unit);
        let after = cursor(&mut violations, &message.page_token, &query);
        let org_unit = violations.finish(org_unit)?;
        let page = self.app.list_transfers(context.caller(), &org_unit, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let pending = |(ticket, transfer): &(Uuid, _)| encode::pending(*ticket, transfer);
        Ok(Response::new(pb::ListTransfersResponse {
            transfers: page.items.iter().map(pending).collect(),
            next_page_token: token(&query, page.next),
        }))
    }

    async fn list_supervisions(
        &self,
        request: Request<pb::ListSupervisionsRequest>,
    ) -> Result<Response<pb::ListSupervisionsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListSupervisions")
            .field(&message.org_unit)
            .field([u8::from(message.overdue)]);
        let after = cursor(&mut violations, &message.page_token, &query);
        let org_unit = violations.finish(org_unit)?;
        let asked = SupervisionQuery {
            org_unit: org_unit.to_string(),
            overdue_at: Some(self.app.now()).filter(|_| message.overdue),
            after,
            limit: 0,
        };
        let page = self.app.list_supervisions(context.caller(), &org_unit, asked, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let supervisions = page.items.iter().map(|(ticket, org_unit, supervision)| {
            encode::supervision(*ticket, org_unit, supervision)
        });
        Ok(Response::new(pb::ListSupervisionsResponse {
            supervisions: supervisions.collect(),
            next_page_token: token(&query, page.next),
        }))
    }

    async fn list_overdue_plan_items(
        &self,
        request: Request<pb::ListOverduePlanItemsRequest>,
    ) -> Result<Response<pb::ListOverduePlanItemsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListOverduePlanItems").field(&message.org_unit);
        let after: Option<(i64, Uuid, i16)> =
            violations.page_token("page_token", &message.page_token, &query);
        let after = after
            .and_then(|(at, id, place)| Some((Timestamp::from_microsecond(at).ok()?, id, place)));
        let org_unit = violations.finish(org_unit)?;
        let page = self.app.list_overdue_plan_items(context.caller(), &org_unit, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let now = self.app.now();
        let next = page.next.map(|(at, id, place)| query.token(&(at.as_microsecond(), id, place)));
        Ok(Response::new(pb::ListOverduePlanItemsResponse {
            items: page.items.iter().map(|row| encode::item(row, now)).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}

fn cursor(
    violations: &mut Violations,
    page_token: &str,
    query: &PageQuery,
) -> Option<(Timestamp, Uuid)> {
    let after: Option<(i64, Uuid)> = violations.page_token("page_token", page_token, query);
    after.and_then(|(at, id)| Some((Timestamp::from_microsecond(at).ok()?, id)))
}

fn token(query: &PageQuery, next: Option<(Timestamp, Uuid)>) -> String {
    next.map(|(at, id)| query.token(&(at.as_microsecond(), id))).unwrap_or_default()
}

#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
fn receiver(violations: &mut Violations, org_unit: &str) -> Option<Option<OrgUnit>> {
    if org_unit.is_empty() {
        return Some(None);
    }
    values::org_unit(violations, "to_org_unit", org_unit).map(Some)
}

fn team(violations: &mut Violations, code: &str) -> Option<String> {
    let code = text(violations, "to_team", code, TEAM)?;
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if code.bytes().all(sound) {
        return Some(code);
    }
    violations.add(
        "to_team",
        Fault::malformed("lower-case letters, digits and `-`", "小写字母、数字和“-”"),
    );
    None
}

fn outcome(outcome: pb::ExecutiveOutcome) -> Option<ExecutiveOutcome> {
    Some(match outcome {
        pb::ExecutiveOutcome::Unspecified => return None,
        pb::ExecutiveOutcome::Handle => ExecutiveOutcome::Handle,
        pb::ExecutiveOutcome::Solution => ExecutiveOutcome::Solution,
    })
}

fn plan_items(violations: &mut Violations, items: &[pb::PlanItem]) -> Option<Vec<PlanItem>> {
    if !violations.at_most("items", items.len(), MOST) {
        return None;
    }
    if items.is_empty() {
        violations.add("items", Fault::required());
    }
    let decoded: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            violations.item("items", index, |violations| {
                let who = text(violations, "who", &item.who, WHO);
                let what = text(violations, "what", &item.what, WHAT);
                let due = violations.time("due_time", item.due_time);
                Some(PlanItem { who: who?, what: what?, due: due? })
            })
        })
        .collect();
    decoded.into_iter().collect()
}

/// How the customer agreed, and when if not now.
fn agreement(
    violations: &mut Violations,
    agreement: &pb::PlanAgreement,
    now: Timestamp,
) -> Option<(String, Option<Timestamp>)> {
    violations.within("agreement", |violations| {
        let how = text(violations, "how", &agreement.how, values::REASON);
        let at = values::past_time(violations, "agree_time", agreement.agree_time, now);
        how.zip(at)
    })
}

fn participants(violations: &mut Violations, names: &[String]) -> Option<Vec<String>> {
    if names.is_empty() {
        violations.add("participants", Fault::required());
        return None;
    }
    if !violations.at_most("participants", names.len(), MOST) {
        return None;
    }
    let name = |(index, name): (usize, &String)| {
        text(violations, &format!("participants[{index}]"), name, WHO)
    };
    let names: Vec<_> = names.iter().enumerate().map(name).collect();
    names.into_iter().collect()
}
