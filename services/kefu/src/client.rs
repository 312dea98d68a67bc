//! The mesh as a client sees it: one address and a token.

use std::fmt::Write as _;

use anyhow::Context as _;
use kefu_api::clock::v1::clock_service_client::ClockServiceClient;
use kefu_api::customer::v1::customer_policy_service_client::CustomerPolicyServiceClient;
use kefu_api::customer::v1::customer_service_client::CustomerServiceClient;
use kefu_api::customer::v1::org_unit_service_client::OrgUnitServiceClient;
use kefu_api::gateway::v1::gateway_service_client::GatewayServiceClient;
use kefu_api::survey::v1::survey_policy_service_client::SurveyPolicyServiceClient;
use kefu_api::survey::v1::survey_service_client::SurveyServiceClient;
use kefu_api::ticket::v1::attachment_service_client::AttachmentServiceClient;
use kefu_api::ticket::v1::corrective_action_service_client::CorrectiveActionServiceClient;
use kefu_api::ticket::v1::delivery_service_client::DeliveryServiceClient;
use kefu_api::ticket::v1::duty_service_client::DutyServiceClient;
use kefu_api::ticket::v1::process_service_client::ProcessServiceClient;
use kefu_api::ticket::v1::queue_service_client::QueueServiceClient;
use kefu_api::ticket::v1::report_service_client::ReportServiceClient;
use kefu_api::ticket::v1::routing_service_client::RoutingServiceClient;
use kefu_api::ticket::v1::saved_view_service_client::SavedViewServiceClient;
use kefu_api::ticket::v1::shift_service_client::ShiftServiceClient;
use kefu_api::ticket::v1::suggestion_service_client::SuggestionServiceClient;
use kefu_api::ticket::v1::team_service_client::TeamServiceClient;
use kefu_api::ticket::v1::ticket_link_service_client::TicketLinkServiceClient;
use kefu_api::ticket::v1::ticket_policy_service_client::TicketPolicyServiceClient;
use kefu_api::ticket::v1::ticket_service_client::TicketServiceClient;
use kefu_api::ticket::v1::violation_service_client::ViolationServiceClient;
use kefu_api::ticket::v1::work_order_service_client::WorkOrderServiceClient;
use kefu_rpc::{ChannelOptions, Transport};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// A token that goes with every call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// The way to the gateway with a token on every call.
pub type Signed = InterceptedService<Transport, Bearer>;

/// Clients of every service, through the gateway, as one caller.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    bearer: Bearer,
}

impl Client {
    /// A client of the gateway at `address`, e.g. `http://127.0.0.1:50050`. It connects with the first call.
    ///
    /// # Errors
    /// When the address or the token is none.
    pub fn new(address: &str, token: &str) -> anyhow::Result<Client> {
        let transport = Transport::remote(address, &ChannelOptions::default())
            .with_context(|| format!("{address} is no address like http://127.0.0.1:50050"))?;
        Client::over(transport, token)
    }

    /// The same over a connection that is there already.
    ///
    /// # Errors
    /// When the token cannot be put into a header.
    pub fn over(transport: Transport, token: &str) -> anyhow::Result<Client> {
        let mut header: MetadataValue<Ascii> =
            format!("Bearer {}", token.trim()).parse().context("the token is no token")?;
        header.set_sensitive(true);
        Ok(Client { transport, bearer: Bearer(header) })
    }

    /// The same connection as another caller.
    ///
    /// # Errors
    /// When the token cannot be put into a header.
    pub fn as_caller(&self, token: &str) -> anyhow::Result<Client> {
        Client::over(self.transport.clone(), token)
    }

    fn signed(&self) -> Signed {
        InterceptedService::new(self.transport.clone(), self.bearer.clone())
    }

    /// The company's tree.
    pub fn org_units(&self) -> OrgUnitServiceClient<Signed> {
        OrgUnitServiceClient::new(self.signed())
    }

    /// Archives, contacts, standings.
    pub fn customers(&self) -> CustomerServiceClient<Signed> {
        CustomerServiceClient::new(self.signed())
    }

    /// Customer policies.
    pub fn customer_policies(&self) -> CustomerPolicyServiceClient<Signed> {
        CustomerPolicyServiceClient::new(self.signed())
    }

    /// Tickets.
    pub fn tickets(&self) -> TicketServiceClient<Signed> {
        TicketServiceClient::new(self.signed())
    }

    /// Ticket policies.
    pub fn ticket_policies(&self) -> TicketPolicyServiceClient<Signed> {
        TicketPolicyServiceClient::new(self.signed())
    }

    /// Reports.
    pub fn reports(&self) -> ReportServiceClient<Signed> {
        ReportServiceClient::new(self.signed())
    }

    /// Who handles what, and why.
    pub fn routing(&self) -> RoutingServiceClient<Signed> {
        RoutingServiceClient::new(self.signed())
    }

    /// Teams.
    pub fn teams(&self) -> TeamServiceClient<Signed> {
        TeamServiceClient::new(self.signed())
    }

    /// Rosters, presence and absence.
    pub fn duty(&self) -> DutyServiceClient<Signed> {
        DutyServiceClient::new(self.signed())
    }

    /// What is on its way out.
    pub fn deliveries(&self) -> DeliveryServiceClient<Signed> {
        DeliveryServiceClient::new(self.signed())
    }

    /// Work orders.
    pub fn work_orders(&self) -> WorkOrderServiceClient<Signed> {
        WorkOrderServiceClient::new(self.signed())
    }

    /// Violations.
    pub fn violations(&self) -> ViolationServiceClient<Signed> {
        ViolationServiceClient::new(self.signed())
    }

    /// Root causes, corrective actions and product holds.
    pub fn corrective_actions(&self) -> CorrectiveActionServiceClient<Signed> {
        CorrectiveActionServiceClient::new(self.signed())
    }

    /// Staged processes.
    pub fn processes(&self) -> ProcessServiceClient<Signed> {
        ProcessServiceClient::new(self.signed())
    }

    /// Files of tickets.
    pub fn attachments(&self) -> AttachmentServiceClient<Signed> {
        AttachmentServiceClient::new(self.signed())
    }

    /// Suggestions.
    pub fn suggestions(&self) -> SuggestionServiceClient<Signed> {
        SuggestionServiceClient::new(self.signed())
    }

    /// Duplicates, merges and mass complaints.
    pub fn ticket_links(&self) -> TicketLinkServiceClient<Signed> {
        TicketLinkServiceClient::new(self.signed())
    }

    /// Shifts.
    pub fn shifts(&self) -> ShiftServiceClient<Signed> {
        ShiftServiceClient::new(self.signed())
    }

    /// Queues and search.
    pub fn queues(&self) -> QueueServiceClient<Signed> {
        QueueServiceClient::new(self.signed())
    }

    /// Queues under names.
    pub fn saved_views(&self) -> SavedViewServiceClient<Signed> {
        SavedViewServiceClient::new(self.signed())
    }

    /// Invitations and answers.
    pub fn surveys(&self) -> SurveyServiceClient<Signed> {
        SurveyServiceClient::new(self.signed())
    }

    /// Survey policies.
    pub fn survey_policies(&self) -> SurveyPolicyServiceClient<Signed> {
        SurveyPolicyServiceClient::new(self.signed())
    }

    /// The gateway's own aggregates.
    pub fn gateway(&self) -> GatewayServiceClient<Signed> {
        GatewayServiceClient::new(self.signed())
    }

    /// The manual clocks of the mesh.
    pub fn clock(&self) -> ClockServiceClient<Signed> {
        ClockServiceClient::new(self.signed())
    }
}

/// What a refusal says, in one line for a person: the message and every field that is wrong.
pub fn explain(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let details = status.get_error_details();
    let fields = details.bad_request().map(|bad| bad.field_violations.as_slice());
    for violation in fields.unwrap_or_default() {
        // Writing to a string does not fail.
        let _ = write!(text, "; {}: {}", violation.field, violation.description);
    }
    if text.is_empty() {
        text = format!("{:?}", status.code());
    }
    text
}

/// For `map_err`: an error that says what was tried and every field that is wrong.
pub fn failed(what: impl Into<String>) -> impl FnOnce(Status) -> anyhow::Error {
    let what = what.into();
    move |status| anyhow::anyhow!("{what}: {}", explain(&status))
}
