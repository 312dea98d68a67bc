//! `kefu.ticket.v1.DeliveryService` (T-14, T-26).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::delivery_service_server::DeliveryService;
use kefu_rpc::{Failure, PageQuery, Precondition, Reason, RequestContext, TextRule, Violations};
use prost::Message;
use tonic::{Code, Request, Response, Status};

use super::status::status;
use super::{Grpc, decode, page_size, values};
use crate::app::Call;
use crate::app::delivery::DeliveryCommand;
use crate::domain::{DeliveryRefusal, DeliveryState, MAX_RECIPIENT, Route};
use crate::encode::delivery as encode;
use crate::store::delivery::DeliveryQuery;

/// The most states that a list can be asked for: each twice.
const MAX_STATES: usize = 8;
/// The code of an adapter; which ones there are is the policy's matter.
const ADAPTER: TextRule = TextRule::line(63).required();
const RECIPIENT: TextRule = TextRule::line(MAX_RECIPIENT).required();

/// How something is to be sent; `Some(None)` where it is not.
#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
pub(super) fn route(
    violations: &mut Violations,
    route: Option<&pb::DeliveryRoute>,
) -> Option<Option<Route>> {
    let Some(route) = route else { return Some(None) };
    violations.within("delivery", |violations| {
        let adapter = violations.take("adapter", ADAPTER.apply(&route.adapter));
        let recipient = violations.take("recipient", RECIPIENT.apply(&route.recipient));
        Some(Some(Route { adapter: adapter?, recipient: recipient? }))
    })
}

/// To whom a reminder goes; `Some(None)` where nobody is named.
#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
pub(super) fn recipient(violations: &mut Violations, recipient: &str) -> Option<Option<String>> {
    if recipient.is_empty() {
        return Some(None);
    }
    violations.take("reminder_recipient", RECIPIENT.apply(recipient)).map(Some)
}

impl Grpc {
    async fn delivery_command(
        &self,
        context: &RequestContext,
        mut violations: Violations,
        (method, action): (&'static str, &'static str),
        (name, etag, request_id): (&str, &str, &str),
        (message, command): (&impl Message, Option<DeliveryCommand>),
    ) -> Result<Response<pb::Delivery>, Status> {
        let call = Call::of(context, &mut violations, method, request_id, message);
        let id = violations.resource_id("name", name, "deliveries");
        let etag = violations.etag("etag", etag);
        let ((id, etag), command) = violations.finish(id.zip(etag).zip(command))?;
        let answer = self.app.delivery_command(&call, action, id, etag, command).await;
        answer.map(Response::new).map_err(|error| status(context, error))
    }
}

#[tonic::async_trait]
impl DeliveryService for Grpc {
    async fn get_delivery(
        &self,
        request: Request<pb::GetDeliveryRequest>,
    ) -> Result<Response<pb::Delivery>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "deliveries");
        let id = violations.finish(id)?;
        let delivery = self.app.get_delivery(context.caller(), id).await;
        let delivery = delivery.map_err(|error| status(&context, error))?;
        Ok(Response::new(encode::resource(&delivery)))
    }

    async fn list_deliveries(
        &self,
        request: Request<pb::ListDeliveriesRequest>,
    ) -> Result<Response<pb::ListDeliveriesResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let ticket = values::optional_id(&mut violations, "ticket", &message.ticket, "tickets");
        let mut query =
            PageQuery::new("ticket.ListDeliveries").field(&message.org_unit).field(&message.ticket);
        let mut states: Vec<DeliveryState> = Vec::new();
        if violations.at_most("states", message.states.len(), MAX_STATES) {
            for (index, state) in message.states.iter().enumerate() {
                query = query.field(state.to_be_bytes());
                let state = violations.enumeration(&format!("states[{index}]"), *state);
                // Each once: a state that is named twice is not listed twice.
                let state = state.and_then(delivery_state);
                states.extend(state.filter(|state| !states.contains(state)));
            }
        }
        if message.states.is_empty() {
            states = DeliveryState::ALL.to_vec();
        }
        let after = decode::after(&mut violations, &message.page_token, &query);
        let (org_unit, ticket) = violations.finish(org_unit.zip(ticket))?;
        let asked =
            DeliveryQuery { org_unit: org_unit.to_string(), states, ticket, after, limit: 0 };
        let page = self.app.list_deliveries(context.caller(), &org_unit, asked, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListDeliveriesResponse {
            deliveries: page.items.iter().map(encode::resource).collect(),
            next_page_token: decode::next(&query, page.next),
        }))
    }

    async fn retry_delivery(
        &self,
        request: Request<pb::RetryDeliveryRequest>,
    ) -> Result<Response<pb::Delivery>, Status> {
        const METHOD: &str = "kefu.ticket.v1.DeliveryService/RetryDelivery";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let target = (&*message.name, &*message.etag, &*request_id);
        let named = (METHOD, "ticket.RetryDelivery");
        let asked = (&message, Some(DeliveryCommand::Retry));
        self.delivery_command(&context, context.violations(), named, target, asked).await
    }

    async fn cancel_delivery(
        &self,
        request: Request<pb::CancelDeliveryRequest>,
    ) -> Result<Response<pb::Delivery>, Status> {
        const METHOD: &str = "kefu.ticket.v1.DeliveryService/CancelDelivery";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let reason = violations.take("reason", values::REASON.apply(&message.reason));
        let target = (&*message.name, &*message.etag, &*request_id);
        let named = (METHOD, "ticket.CancelDelivery");
        let asked = (&message, reason.map(|reason| DeliveryCommand::Cancel { reason }));
        self.delivery_command(&context, violations, named, target, asked).await
    }
}

fn delivery_state(state: pb::DeliveryState) -> Option<DeliveryState> {
    Some(match state {
        pb::DeliveryState::Unspecified => return None,
        pb::DeliveryState::Pending => DeliveryState::Pending,
        pb::DeliveryState::Sent => DeliveryState::Sent,
        pb::DeliveryState::Parked => DeliveryState::Parked,
        pb::DeliveryState::Cancelled => DeliveryState::Cancelled,
    })
}

/// Why a person cannot do that with a delivery.
pub(super) fn refused(context: &RequestContext, refusal: DeliveryRefusal) -> Status {
    let (kind, state) = match refusal {
        DeliveryRefusal::Ended => ("NOT_ENDED", "ENDED"),
        DeliveryRefusal::InFlight => ("NOT_IN_FLIGHT", "IN_FLIGHT"),
    };
    let lack = Precondition::new(kind, "delivery", refusal.to_string(), refusal.chinese());
    Failure::new(Code::FailedPrecondition, Reason::IllegalState, refusal.to_string())
        .metadata("state", state)
        .preconditions(context.language(), [lack])
        .into_status()
}
