//! `kefu.ticket.v1.AutomationService` (T-26).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_service_server::AutomationService;
use kefu_rpc::{Fault, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, delivery, page_size, values};
use crate::app::Call;
use crate::app::macros::MacroCall;
use crate::domain::TriggerOutcome;
use crate::encode::automation as encode;
use crate::store::trigger::{RunCursor, TroubleQuery};

/// The most outcomes that one query asks for.
const MAX_OUTCOMES: usize = 8;
/// Why a trigger may not have acted.
const TROUBLES: [TriggerOutcome; 4] = [
    TriggerOutcome::Refused,
    TriggerOutcome::TooDeep,
    TriggerOutcome::TooOften,
    TriggerOutcome::Failed,
];

/// The code of a macro; which ones there are is the policy's matter.
const MACRO: TextRule = TextRule::line(63).required();

#[tonic::async_trait]
impl AutomationService for Grpc {
    async fn apply_macro(
        &self,
        request: Request<pb::ApplyMacroRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        const METHOD: &str = "kefu.ticket.v1.AutomationService/ApplyMacro";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let id = violations.resource_id("name", &message.name, "tickets");
        let etag = violations.etag("etag", &message.etag);
        let code = violations.take("macro", MACRO.apply(&message.r#macro));
        let route = delivery::route(&mut violations, message.delivery.as_ref());
        let decoded = id.zip(etag).zip(code.zip(route));
        let ((id, etag), (code, route)) = violations.finish(decoded)?;
        let asked = MacroCall { code, route, validate_only: message.validate_only };
        let answer = Box::pin(self.app.apply_macro(&call, id, etag, &asked)).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_trigger_runs(
        &self,
        request: Request<pb::ListTriggerRunsRequest>,
    ) -> Result<Response<pb::ListTriggerRunsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, "tickets");
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListTriggerRuns").field(&message.parent);
        let after = place(&mut violations, &message.page_token, &query);
        let id = violations.finish(id)?;
        let page = self.app.list_trigger_runs(context.caller(), id, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let next =
            page.next.map(|(at, root, rule)| query.token(&(at.as_microsecond(), root, rule)));
        Ok(Response::new(pb::ListTriggerRunsResponse {
            trigger_runs: page.items.iter().map(encode::run).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn list_troubled_trigger_runs(
        &self,
        request: Request<pb::ListTroubledTriggerRunsRequest>,
    ) -> Result<Response<pb::ListTroubledTriggerRunsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let from = violations.optional_time("from_time", message.from_time);
        let before = violations.optional_time("before_time", message.before_time);
        if let (Some(Some(from)), Some(Some(before))) = (from, before)
            && before <= from
        {
            let words = ("must be later than `from_time`", "须晚于 `from_time`");
            violations.add("before_time", Fault::new("OUT_OF_RANGE", words.0, words.1));
        }
        let at = |time: Option<Option<Timestamp>>| {
            time.flatten().map_or(i64::MIN, Timestamp::as_microsecond).to_be_bytes()
        };
        let mut query = PageQuery::new("ticket.ListTroubledTriggerRuns")
            .field(&message.org_unit)
            .field(at(from))
            .field(at(before));
        let mut outcomes: Vec<TriggerOutcome> = Vec::new();
        if violations.at_most("outcomes", message.outcomes.len(), MAX_OUTCOMES) {
            for (index, outcome) in message.outcomes.iter().enumerate() {
                query = query.field(outcome.to_be_bytes());
                let path = format!("outcomes[{index}]");
                if *outcome == i32::from(pb::TriggerOutcome::Acted) {
                    let words = ("is listed by ticket", "已执行的请按工单查询");
                    violations.add(&path, Fault::new("OUT_OF_RANGE", words.0, words.1));
                    continue;
                }
                let outcome = violations.enumeration(&path, *outcome).and_then(outcome_of);
                // Each once: one that is named twice is not listed twice.
                outcomes.extend(outcome.filter(|outcome| !outcomes.contains(outcome)));
            }
        }
        if message.outcomes.is_empty() {
            outcomes = TROUBLES.to_vec();
        }
        let after = place(&mut violations, &message.page_token, &query);
        let (org_unit, (from, before)) = violations.finish(org_unit.zip(from.zip(before)))?;
        let unit = org_unit.to_string();
        let asked = TroubleQuery { org_unit: unit, outcomes, from, before, after, limit: 0 };
        let page =
            self.app.list_troubled_trigger_runs(context.caller(), &org_unit, asked, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let next =
            page.next.map(|(at, root, rule)| query.token(&(at.as_microsecond(), root, rule)));
        Ok(Response::new(pb::ListTroubledTriggerRunsResponse {
            trigger_runs: page.items.iter().map(encode::run).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}

/// Where a page begins.
fn place(violations: &mut Violations, token: &str, query: &PageQuery) -> Option<RunCursor> {
    let (at, root, rule): (i64, Uuid, String) =
        violations.page_token("page_token", token, query)?;
    Some((Timestamp::from_microsecond(at).ok()?, root, rule))
}

fn outcome_of(outcome: pb::TriggerOutcome) -> Option<TriggerOutcome> {
    match outcome {
        pb::TriggerOutcome::Unspecified | pb::TriggerOutcome::Acted => None,
        pb::TriggerOutcome::Refused => Some(TriggerOutcome::Refused),
        pb::TriggerOutcome::TooDeep => Some(TriggerOutcome::TooDeep),
        pb::TriggerOutcome::TooOften => Some(TriggerOutcome::TooOften),
        pb::TriggerOutcome::Failed => Some(TriggerOutcome::Failed),
    }
}
