//! `kefu.ticket.v1.ShiftService` (T-17).

use std::collections::BTreeSet;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::shift_service_server::ShiftService;
use kefu_rpc::{Fault, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};

use super::status::status;
use super::work_order::language;
use super::{Grpc, Target, decode, page_size, values};
use crate::app::Call;
use crate::app::shift::{NewShift, ShiftStep};
use crate::domain::{MAX_MEMBERS, ShiftState, Subject};
use crate::encode::shift as encode;
use crate::store::shift::ShiftQuery;

const COLLECTION: &str = "shifts";
const STAFF: TextRule = TextRule::line(200).required();

#[tonic::async_trait]
impl ShiftService for Grpc {
    async fn plan_shift(
        &self,
        request: Request<pb::PlanShiftRequest>,
    ) -> Result<Response<pb::Shift>, Status> {
        creation!(request, "ShiftService" / "PlanShift", shift by fresh, |call, new| {
            self.app.plan_shift(&call, new)
        })
    }

    async fn update_shift(
        &self,
        request: Request<pb::UpdateShiftRequest>,
    ) -> Result<Response<pb::Shift>, Status> {
        const METHOD: &str = "kefu.ticket.v1.ShiftService/UpdateShift";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let shift = message.shift.unwrap_or_default();
        let decoded = violations.within("shift", |violations| {
            let id = violations.resource_id("name", &shift.name, COLLECTION);
            let etag = violations.etag("etag", &shift.etag);
            let members = members(violations, &shift.members);
            let leader = violations.take("leader", STAFF.apply(&shift.leader));
            id.zip(etag).zip(members.zip(leader))
        });
        let ((id, etag), (members, leader)) = violations.finish(decoded)?;
        let step = ShiftStep::Crew(members, leader.into());
        let answer = self.app.shift_step(&call, id, etag, step).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn render_shift_handover(
        &self,
        request: Request<pb::RenderShiftHandoverRequest>,
    ) -> Result<Response<pb::RenderShiftHandoverResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("name", &message.name, COLLECTION);
        let language = language(&mut violations, &message.language_code, context.language());
        let (id, language) = violations.finish(id.zip(language))?;
        let html = self.app.render_shift_handover(context.caller(), id, language).await;
        let html = html.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::RenderShiftHandoverResponse { html }))
    }

    async fn get_shift(
        &self,
        request: Request<pb::GetShiftRequest>,
    ) -> Result<Response<pb::Shift>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, COLLECTION);
        let id = violations.finish(id)?;
        let answer = self.app.get_shift(context.caller(), id).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_shifts(
        &self,
        request: Request<pb::ListShiftsRequest>,
    ) -> Result<Response<pb::ListShiftsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let centre = values::org_unit(&mut violations, "dispatch_centre", &message.dispatch_centre);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListShifts").field(&message.dispatch_centre);
        let (query, states) = decode::states(&mut violations, query, &message.states, shift_state);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let centre = violations.finish(centre)?;
        let asked = ShiftQuery { centre: centre.to_string(), states, after, limit: 0 };
        let page = self.app.list_shifts(context.caller(), &centre, asked, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListShiftsResponse {
            shifts: page.items.iter().map(encode::resource).collect(),
            next_page_token: decode::next(&query, page.next),
        }))
    }

    async fn get_shift_list(
        &self,
        request: Request<pb::GetShiftListRequest>,
    ) -> Result<Response<pb::GetShiftListResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("name", &message.name, COLLECTION);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.GetShiftList").field(&message.name);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let id = violations.finish(id)?;
        let list = self.app.shift_list(context.caller(), id, after, size).await;
        let (page, frozen) = list.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::GetShiftListResponse {
            work_orders: page.items.iter().map(encode::line).collect(),
            next_page_token: decode::next(&query, page.next),
            frozen,
        }))
    }

    async fn set_unfinished_reason(
        &self,
        request: Request<pb::SetUnfinishedReasonRequest>,
    ) -> Result<Response<pb::UnfinishedWorkOrder>, Status> {
        named_command!(
            request, "ShiftService" / "SetUnfinishedReason" of COLLECTION,
            |violations, message| {
                let order = violations.resource_id("work_order", &message.work_order, "workOrders");
                order.zip(violations.take("reason", values::REASON.apply(&message.reason)))
            },
            |target, (order, reason)| {
                let Target { call, id, etag } = &target;
                self.app.set_unfinished_reason(call, (*id, *etag), order, &reason)
            }
        )
    }

    async fn submit_shift_list(
        &self,
        request: Request<pb::SubmitShiftListRequest>,
    ) -> Result<Response<pb::Shift>, Status> {
        named_command!(
            request, "ShiftService" / "SubmitShiftList" of COLLECTION,
            |violations, message| Some(ShiftStep::Submit),
            |target, step| self.app.shift_step(&target.call, target.id, target.etag, step)
        )
    }

    async fn sign_shift_handover(
        &self,
        request: Request<pb::SignShiftHandoverRequest>,
    ) -> Result<Response<pb::Shift>, Status> {
        named_command!(
            request, "ShiftService" / "SignShiftHandover" of COLLECTION,
            |violations, message| {
                let incoming = &message.incoming_shift;
                values::optional_id(&mut violations, "incoming_shift", incoming, COLLECTION)
                    .map(|incoming| incoming.map_or(ShiftStep::SignOut, ShiftStep::SignIn))
            },
            |target, step| self.app.shift_step(&target.call, target.id, target.etag, step)
        )
    }
}

fn fresh(violations: &mut Violations, shift: &pb::Shift) -> Option<NewShift> {
    let centre = values::org_unit(violations, "dispatch_centre", &shift.dispatch_centre);
    let starts = violations.time("start_time", shift.start_time);
    let ends = violations.time("end_time", shift.end_time);
    let members = members(violations, &shift.members);
    let leader = violations.take("leader", STAFF.apply(&shift.leader));
    Some(NewShift {
        centre: centre?,
        starts: starts?,
        ends: ends?,
        members: members?,
        leader: leader?.into(),
    })
}

/// At least one, each once.
fn members(violations: &mut Violations, names: &[String]) -> Option<Vec<Subject>> {
    if names.is_empty() {
        violations.add("members", Fault::required());
        return None;
    }
    if !violations.at_most("members", names.len(), MAX_MEMBERS) {
        return None;
    }
    let mut known = BTreeSet::new();
    let mut members = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let field = format!("members[{index}]");
        let name: Option<Subject> = violations.take(&field, STAFF.apply(name)).map(Subject::from);
        if let Some(name) = &name
            && !known.insert(name.clone())
        {
            violations.add(&field, Fault::new("GIVEN_TWICE", "is given twice", "重复"));
        }
        members.push(name);
    }
    members.into_iter().collect()
}

fn shift_state(state: pb::ShiftState) -> Option<ShiftState> {
    Some(match state {
        pb::ShiftState::Unspecified => return None,
        pb::ShiftState::Planned => ShiftState::Planned,
        pb::ShiftState::Listed => ShiftState::Listed,
        pb::ShiftState::SignedOut => ShiftState::SignedOut,
        pb::ShiftState::HandedOver => ShiftState::HandedOver,
    })
}
