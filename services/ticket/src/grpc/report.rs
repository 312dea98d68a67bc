//! `kefu.ticket.v1.ReportService`.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::report_service_server::ReportService;
use kefu_rpc::{Fault, RequestContext, Violations};
use tonic::{Request, Response, Status};

use super::status::status;
use super::{Grpc, values, work_order};
use crate::app::report::{ReportFormat, ReportOrder, ReportPeriod};
use crate::domain::{TicketKind, iso_week};

/// The most kinds that can be asked for.
const MAX_KINDS: usize = 10;
/// How many categories, products and shops are told apart if the caller does not say.
const TOP: u32 = 20;
/// At most.
const MAX_TOP: u32 = 200;

#[tonic::async_trait]
impl ReportService for Grpc {
    async fn get_complaint_report(
        &self,
        request: Request<pb::GetComplaintReportRequest>,
    ) -> Result<Response<pb::ComplaintReport>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let order = order(&mut violations, request.get_ref());
        let order = violations.finish(order)?;
        let report =
            Box::pin(self.app.complaint_report(context.caller(), &order, context.deadline()));
        report.await.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn render_complaint_report(
        &self,
        request: Request<pb::RenderComplaintReportRequest>,
    ) -> Result<Response<pb::RenderComplaintReportResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let asked = violations.required("report", message.report.as_ref());
        let asked = asked
            .and_then(|report| violations.within("report", |violations| order(violations, report)));
        let format = violations.enumeration("format", message.format).and_then(format);
        let code = &message.language_code;
        let language = work_order::language(&mut violations, code, context.language());
        let ((asked, format), language) = violations.finish(asked.zip(format).zip(language))?;
        let asked = ReportOrder { compare: true, ..asked };
        let (caller, deadline) = (context.caller(), context.deadline());
        let document =
            Box::pin(self.app.render_complaint_report(caller, &asked, format, language, deadline));
        document.await.map(Response::new).map_err(|error| status(&context, error))
    }
}

fn order(
    violations: &mut Violations,
    message: &pb::GetComplaintReportRequest,
) -> Option<ReportOrder> {
    let org_unit = values::org_unit(violations, "org_unit", &message.org_unit);
    let period = period(violations, message);
    let as_of = violations.optional_time("as_of_time", message.as_of_time);
    let mut kinds = Vec::new();
    if violations.at_most("kinds", message.kinds.len(), MAX_KINDS) {
        for (index, kind) in message.kinds.iter().enumerate() {
            kinds.extend(values::kind(violations, &format!("kinds[{index}]"), *kind));
        }
    }
    if kinds.is_empty() {
        kinds.push(TicketKind::Complaint);
    }
    let top = match u32::try_from(message.top) {
        Ok(0) => Some(TOP),
        Ok(top) if top <= MAX_TOP => Some(top),
        _ => {
            let fault = Fault::new(
                "OUT_OF_RANGE",
                "must be 0 (meaning 20) to 200",
                "须为 0（即 20）至 200",
            );
            violations.add("top", fault);
            None
        }
    };
    Some(ReportOrder {
        org_unit: org_unit?,
        period: period?,
        as_of: as_of?,
        kinds,
        top: top?,
        compare: message.compare,
    })
}

fn period(
    violations: &mut Violations,
    message: &pb::GetComplaintReportRequest,
) -> Option<ReportPeriod> {
    let (start, end) = (message.start_time, message.end_time);
    let named = !message.week.is_empty();
    if named && (start.is_some() || end.is_some()) {
        let fault = "must not be set together with start_time and end_time";
        violations.add("week", Fault::new("CONFLICT", fault, "不能与开始时间、结束时间同时填写"));
        return None;
    }
    if named {
        let week = iso_week(&message.week);
        if week.is_none() {
            violations.add(
                "week",
                Fault::malformed(
                    "a week that there is, e.g. `2026-W10`",
                    "存在的周，例如 `2026-W10`",
                ),
            );
        }
        return week.map(ReportPeriod::Week);
    }
    if start.is_none() && end.is_none() {
        return Some(ReportPeriod::ThisWeek);
    }
    let start = violations.time("start_time", start);
    let end = violations.time("end_time", end);
    between(violations, start?, end?)
}

fn between(violations: &mut Violations, start: Timestamp, end: Timestamp) -> Option<ReportPeriod> {
    if end <= start {
        let fault = "must be after start_time";
        violations
            .add("end_time", Fault::new("NOT_AFTER_START", fault, "结束时间必须晚于开始时间"));
        return None;
    }
    Some(ReportPeriod::Between(start, end))
}

fn format(format: pb::ReportFormat) -> Option<ReportFormat> {
    Some(match format {
        pb::ReportFormat::Unspecified => return None,
        pb::ReportFormat::Xlsx => ReportFormat::Xlsx,
        pb::ReportFormat::Html => ReportFormat::Html,
    })
}
