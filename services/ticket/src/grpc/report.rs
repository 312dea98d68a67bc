//! `kefu.ticket.v1.ReportService`.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::report_service_server::ReportService;
use kefu_rpc::{Fault, RequestContext};
use tonic::{Request, Response, Status};

use super::status::status;
use super::{Grpc, values};
use crate::domain::TicketKind;

/// The most kinds that can be asked for.
const MAX_KINDS: usize = 10;

#[tonic::async_trait]
impl ReportService for Grpc {
    async fn get_complaint_report(
        &self,
        request: Request<pb::GetComplaintReportRequest>,
    ) -> Result<Response<pb::ComplaintReport>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let period = match (message.start_time, message.end_time) {
            (None, None) => Some(None),
            (start, end) => {
                let start = violations.time("start_time", start);
                let end = violations.time("end_time", end);
                let period = start.zip(end);
                if period.is_some_and(|(start, end)| end <= start) {
                    let fault = "must be after start_time";
                    violations.add(
                        "end_time",
                        Fault::new("NOT_AFTER_START", fault, "结束时间必须晚于开始时间"),
                    );
                }
                period.map(Some)
            }
        };
        let mut kinds = Vec::new();
        if violations.at_most("kinds", message.kinds.len(), MAX_KINDS) {
            for (index, kind) in message.kinds.iter().enumerate() {
                kinds.extend(values::kind(&mut violations, &format!("kinds[{index}]"), *kind));
            }
        }
        if kinds.is_empty() {
            kinds.push(TicketKind::Complaint);
        }
        let (org_unit, period) = violations.finish(org_unit.zip(period))?;
        let report = self.app.complaint_report(context.caller(), &org_unit, period, kinds).await;
        report.map(Response::new).map_err(|error| status(&context, error))
    }
}
