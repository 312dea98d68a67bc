//! `kefu.ticket.v1.ClockLedgerService` (T-05, T-06, T-11).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::clock_ledger_service_server::ClockLedgerService;
use kefu_policy::Policy as _;
use kefu_rpc::{Fault, PageQuery, RequestContext, Violations};
use prost::Message as _;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, Target, page_size, target, text, values};
use crate::app::Call;
use crate::app::clock_ledger::{PreviewCursor, Previewed, RecomputeCall};
use crate::domain::Policy;
use crate::encode::clock_ledger as encode;

/// Where policy versions are.
const VERSIONS: &str = "ticketPolicyVersions";

#[tonic::async_trait]
impl ClockLedgerService for Grpc {
    async fn recompute_clocks(
        &self,
        request: Request<pb::RecomputeClocksRequest>,
    ) -> Result<Response<pb::RecomputeClocksResponse>, Status> {
        const METHOD: &str = "kefu.ticket.v1.ClockLedgerService/RecomputeClocks";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let common = (&*message.name, &*message.etag, &*request_id);
        let target = target(&context, &mut violations, (METHOD, "tickets"), common, &message);
        let version = &message.policy_version;
        let version = values::optional_id(&mut violations, "policy_version", version, VERSIONS);
        let reason = text(&mut violations, "reason", &message.reason, values::REASON);
        let decoded = violations.finish(target.zip(version).zip(reason))?;
        let ((Target { call, id, etag }, version), reason) = decoded;
        let validate_only = message.validate_only;
        let asked = RecomputeCall { id, etag, version, reason, validate_only };
        let answer = self.app.recompute_clocks(&call, asked).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn simulate_transfer(
        &self,
        request: Request<pb::SimulateTransferRequest>,
    ) -> Result<Response<pb::SimulateTransferResponse>, Status> {
        const METHOD: &str = "kefu.ticket.v1.ClockLedgerService/SimulateTransfer";
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, "", &message);
        let id = violations.resource_id("name", &message.name, "tickets");
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let (id, org_unit) = violations.finish(id.zip(org_unit))?;
        let answer = self.app.simulate_transfer(&call, id, &org_unit).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn preview_policy_change(
        &self,
        request: Request<pb::PreviewPolicyChangeRequest>,
    ) -> Result<Response<pb::PreviewPolicyChangeResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let body = message.policy.as_ref().map(|policy| policy.encode_to_vec());
        // A page of another policy is not the next page of this one.
        let query = PageQuery::new("ticket.PreviewPolicyChange")
            .field(&message.org_unit)
            .field(&message.policy_version)
            .field(body.unwrap_or_default());
        let after: Option<PreviewCursor> =
            violations.page_token("page_token", &message.page_token, &query);
        let asked = previewed(&mut violations, &message);
        let (org_unit, asked) = violations.finish(org_unit.zip(asked))?;
        let caller = context.caller();
        let answer = self.app.preview_policy_change(caller, &org_unit, asked, after, size).await;
        let (mut answer, next) = answer.map_err(|error| status(&context, error))?;
        answer.next_page_token = next.map(|next| query.token(&next)).unwrap_or_default();
        Ok(Response::new(answer))
    }

    async fn list_policy_rollouts(
        &self,
        request: Request<pb::ListPolicyRolloutsRequest>,
    ) -> Result<Response<pb::ListPolicyRolloutsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListPolicyRollouts").field(&message.org_unit);
        let after: Option<(Timestamp, Uuid)> =
            violations.page_token("page_token", &message.page_token, &query);
        let org_unit = violations.finish(org_unit)?;
        let page = self.app.list_policy_rollouts(context.caller(), &org_unit, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListPolicyRolloutsResponse {
            rollouts: page.items.iter().map(encode::rollout).collect(),
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }
}

/// Exactly one of a policy, without a fault, and a version.
fn previewed(
    violations: &mut Violations,
    message: &pb::PreviewPolicyChangeRequest,
) -> Option<Previewed> {
    match (&message.policy, message.policy_version.is_empty()) {
        (Some(policy), true) => {
            let policy =
                violations.within("policy", |violations| Policy::decode(policy, violations));
            policy.map(|policy| Previewed::Proposed(Box::new(policy)))
        }
        (None, false) => {
            let version =
                violations.resource_id("policy_version", &message.policy_version, VERSIONS);
            version.map(Previewed::Version)
        }
        (Some(_), false) => {
            violations.add(
                "policy_version",
                Fault::new(
                    "CONFLICT",
                    "must be empty where `policy` is set",
                    "已给出 policy 时须为空",
                ),
            );
            None
        }
        (None, true) => {
            violations.add("policy", Fault::required());
            None
        }
    }
}
