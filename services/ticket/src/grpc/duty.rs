//! `kefu.ticket.v1.DutyService` (T-25).

use jiff::{SignedDuration, Timestamp};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::duty_service_server::DutyService;
use kefu_rpc::{Fault, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::team::staff;
use super::{Grpc, page_size, values};
use crate::app::Call;
use crate::app::duty::{NewAbsence, Period};
use crate::encode::team as encode;
use crate::store::duty::RosterShift;

/// The most shifts that are put into a roster at once.
const MAX_SHIFTS: usize = 2_000;
const LONGEST_SHIFT: SignedDuration = SignedDuration::from_hours(48);
const LONGEST_ROSTER: SignedDuration = SignedDuration::from_hours(100 * 24);
const LONGEST_ABSENCE: SignedDuration = SignedDuration::from_hours(366 * 24);
const REASON: TextRule = TextRule::paragraphs(500);

/// From `start_time` to `end_time`, not longer than `most`.
fn period(
    violations: &mut Violations,
    (start, end): (Option<prost_types::Timestamp>, Option<prost_types::Timestamp>),
    most: SignedDuration,
) -> Option<Period> {
    let from = violations.time("start_time", start);
    let to = violations.time("end_time", end);
    let (from, to) = from.zip(to)?;
    in_order(violations, from, to, most).then_some((from, to))
}

fn in_order(
    violations: &mut Violations,
    from: Timestamp,
    to: Timestamp,
    most: SignedDuration,
) -> bool {
    let sound = to > from && to.duration_since(from) <= most;
    if !sound {
        let hours = most.as_hours();
        let description = format!("must be after `start_time`, by at most {hours} hours");
        let chinese = format!("必须晚于开始时间且不超过 {hours} 小时");
        violations.add("end_time", Fault::new("OUT_OF_RANGE", description, chinese));
    }
    sound
}

fn optional_staff(violations: &mut Violations, field: &str, value: &str) -> Option<Option<String>> {
    if value.is_empty() { Some(None) } else { staff(violations, field, value).map(Some) }
}

fn shifts(
    violations: &mut Violations,
    shifts: &[pb::RosterShift],
    whole: Option<Period>,
) -> Option<Vec<RosterShift>> {
    if !violations.at_most("shifts", shifts.len(), MAX_SHIFTS) {
        return None;
    }
    let mut decoded = Vec::with_capacity(shifts.len());
    for (index, shift) in shifts.iter().enumerate() {
        violations.item("shifts", index, |violations| {
            let staff = staff(violations, "staff", &shift.staff);
            let times = (shift.start_time, shift.end_time);
            let (from, to) = period(violations, times, LONGEST_SHIFT)?;
            if whole.is_some_and(|(start, end)| from < start || from >= end) {
                let description = "must lie in the period that is replaced";
                let fault = Fault::new("OUT_OF_RANGE", description, "必须在所替换的时间段内");
                violations.add("start_time", fault);
            }
            decoded.push(RosterShift { staff: staff?, from, to });
            Some(())
        });
    }
    decoded.sort_unstable();
    let twice =
        decoded.windows(2).any(|pair| pair[0].staff == pair[1].staff && pair[1].from < pair[0].to);
    if twice {
        let description = "must not give anybody two shifts at the same time";
        violations.add("shifts", Fault::new("OVERLAP", description, "同一人员的班次重叠"));
    }
    Some(decoded)
}

fn new_absence(violations: &mut Violations, absence: &pb::Absence) -> Option<NewAbsence> {
    let who = staff(violations, "staff", &absence.staff);
    let substitute = staff(violations, "substitute", &absence.substitute);
    let from = violations.optional_time("start_time", absence.start_time);
    let to = violations.time("end_time", absence.end_time);
    if let Some((Some(from), to)) = from.zip(to) {
        in_order(violations, from, to, LONGEST_ABSENCE);
    }
    let reason = violations.text("reason", &absence.reason, REASON);
    let (staff, substitute) = who.zip(substitute)?;
    if staff == substitute {
        let description = "must be somebody else";
        violations.add("substitute", Fault::new("SAME", description, "代理人不能是本人"));
    }
    Some(NewAbsence { staff, from: from?, to: to?, substitute, reason })
}

#[tonic::async_trait]
impl DutyService for Grpc {
    async fn list_roster_shifts(
        &self,
        request: Request<pb::ListRosterShiftsRequest>,
    ) -> Result<Response<pb::ListRosterShiftsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let team = violations.resource_id("team", &message.team, "teams");
        let times = (message.start_time, message.end_time);
        let period = period(&mut violations, times, LONGEST_ROSTER);
        let size = page_size(&mut violations, message.page_size);
        let mut query = PageQuery::new("ticket.ListRosterShifts").field(&message.team);
        if let Some((from, to)) = period {
            query = query.field(from.to_string()).field(to.to_string());
        }
        let after: Option<(i64, String)> =
            violations.page_token("page_token", &message.page_token, &query);
        let after =
            after.and_then(|(at, staff)| Some((Timestamp::from_microsecond(at).ok()?, staff)));
        let (team, period) = violations.finish(team.zip(period))?;
        let page = self.app.list_roster_shifts(context.caller(), team, period, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let next = page.next.map(|(at, staff)| query.token(&(at.as_microsecond(), staff)));
        Ok(Response::new(pb::ListRosterShiftsResponse {
            shifts: page.items.iter().map(encode::shift).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn update_roster(
        &self,
        request: Request<pb::UpdateRosterRequest>,
    ) -> Result<Response<pb::UpdateRosterResponse>, Status> {
        const METHOD: &str = "kefu.ticket.v1.DutyService/UpdateRoster";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let team = violations.resource_id("team", &message.team, "teams");
        let times = (message.start_time, message.end_time);
        let period = period(&mut violations, times, LONGEST_ROSTER);
        let etag = violations.etag("etag", &message.etag);
        let shifts = shifts(&mut violations, &message.shifts, period);
        let decoded = team.zip(period).zip(etag).zip(shifts);
        let (((team, period), etag), shifts) = violations.finish(decoded)?;
        let answer = self.app.update_roster(&call, team, etag, period, shifts).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn set_presence(
        &self,
        request: Request<pb::SetPresenceRequest>,
    ) -> Result<Response<pb::Presence>, Status> {
        const METHOD: &str = "kefu.ticket.v1.DutyService/SetPresence";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let staff = optional_staff(&mut violations, "staff", &message.staff);
        let until = violations.optional_time("until", message.until);
        if message.until.is_some() && !message.present {
            let description = "must be unset for somebody who is not there";
            violations.add("until", Fault::new("NOT_ALLOWED", description, "离岗时不得填写"));
        }
        let (staff, until) = violations.finish(staff.zip(until))?;
        let answer = self.app.set_presence(&call, staff, message.present, until).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_presence(
        &self,
        request: Request<pb::GetPresenceRequest>,
    ) -> Result<Response<pb::Presence>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let staff = optional_staff(&mut violations, "staff", &request.get_ref().staff);
        let staff = violations.finish(staff)?;
        let answer = self.app.get_presence(context.caller(), staff).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn create_absence(
        &self,
        request: Request<pb::CreateAbsenceRequest>,
    ) -> Result<Response<pb::Absence>, Status> {
        const METHOD: &str = "kefu.ticket.v1.DutyService/CreateAbsence";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let absence = violations.required("absence", message.absence.as_ref());
        let new = absence.and_then(|absence| {
            violations.within("absence", |violations| new_absence(violations, absence))
        });
        let new = violations.finish(new)?;
        let answer = self.app.create_absence(&call, new).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn close_absence(
        &self,
        request: Request<pb::CloseAbsenceRequest>,
    ) -> Result<Response<pb::Absence>, Status> {
        const METHOD: &str = "kefu.ticket.v1.DutyService/CloseAbsence";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let id = violations.resource_id("name", &message.name, "absences");
        let etag = violations.etag("etag", &message.etag);
        let (id, etag) = violations.finish(id.zip(etag))?;
        let answer = self.app.close_absence(&call, id, etag).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_absences(
        &self,
        request: Request<pb::ListAbsencesRequest>,
    ) -> Result<Response<pb::ListAbsencesResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let times = (message.start_time, message.end_time);
        let period = period(&mut violations, times, LONGEST_ABSENCE);
        let size = page_size(&mut violations, message.page_size);
        let mut query = PageQuery::new("ticket.ListAbsences").field(&message.org_unit);
        if let Some((from, to)) = period {
            query = query.field(from.to_string()).field(to.to_string());
        }
        let after: Option<(i64, Uuid)> =
            violations.page_token("page_token", &message.page_token, &query);
        let after = after.and_then(|(at, id)| Some((Timestamp::from_microsecond(at).ok()?, id)));
        let (org_unit, period) = violations.finish(org_unit.zip(period))?;
        let page = self.app.list_absences(context.caller(), &org_unit, period, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let next = page.next.map(|(at, id)| query.token(&(at.as_microsecond(), id)));
        Ok(Response::new(pb::ListAbsencesResponse {
            absences: page.items.iter().map(encode::absence).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}
