//! A service on a database of its own beside the feeds that it reads, and callers with tokens.

use std::io::Write as _;
use std::sync::Arc;

use jiff::SignedDuration;
use kefu_api::{
    clock::v1::{SettleRequest, clock_service_client::ClockServiceClient},
    customer::v1::{ContactChanged, OrgUnitChanged},
    policy::v1::LocalizedText,
    survey::v1::{
        Answer, ApplySurveyPolicyRequest, GetInvitationRequest, Invitation,
        IssueInvitationTokenRequest, ListInvitationsRequest, Questionnaire, Scale, ScalePolarity,
        SubmitAnswerRequest, SurveyPolicy, SurveyPolicyVersion, TicketCallBack,
        survey_policy_service_client::SurveyPolicyServiceClient,
        survey_service_client::SurveyServiceClient,
    },
    ticket::v1::{
        TicketCancelled, TicketClosed, TicketCorrected, TicketReopened, TicketResultFedBack,
        TicketState, TicketSummary, Verdict,
    },
};
use kefu_clock::{Clock as _, IdSource, ManualClock, SharedClock};
use kefu_identity::{Authenticator, AuthenticatorOptions, Authorizer, Caller, Minter, role};
use kefu_journal::PublicEvent;
use kefu_postgres::testing::{TestContext, TestDatabase};
use kefu_rpc::{ChannelOptions, Transport};
use kefu_service::{
    Context as _, Dependencies, Peers, Running, ServiceToken, StartOptions, start_in_process,
};
use kefu_survey::SurveyContext;
use sqlx::PgPool;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::upstream::{Customers, Tickets, Upstream};

/// Monday morning in Shanghai.
const START: &str = "2026-03-02T02:00:00Z";
/// How long an invitation of these tests may be answered.
pub const EXPIRE_AFTER: SignedDuration = SignedDuration::from_hours(72);

/// A service, its database, its clock and its neighbours.
pub struct World {
    pub database: TestContext,
    /// As the service's own role.
    pub pool: PgPool,
    pub clock: ManualClock,
    pub shared_clock: SharedClock,
    pub tickets: Upstream,
    pub customers: Upstream,
    minter: Minter,
    deps: Dependencies,
    pub replicas: Vec<Running>,
    _service_token: NamedTempFile,
}

/// Adds a token, if there is one.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

type Signed = InterceptedService<Transport, Bearer>;

/// A caller with one token, or none.
#[derive(Clone)]
pub struct Desk {
    pub surveys: SurveyServiceClient<Signed>,
    pub policies: SurveyPolicyServiceClient<Signed>,
    clocks: ClockServiceClient<Signed>,
}

impl World {
    /// One replica, a small company, and no policy.
    pub async fn bare() -> Self {
        let migrators = SurveyContext::migrators();
        let database = TestDatabase::context(&migrators, SurveyContext::NAME).await.unwrap();
        let clock = ManualClock::new(START.parse().unwrap());
        let shared_clock: SharedClock = Arc::new(clock.clone());
        let minter = Minter::generate("https://kefu.test", "kefu", Arc::clone(&shared_clock));
        let minter = minter.unwrap();
        let service = Caller::staff("service/survey", "kefu".parse().unwrap(), [role::SERVICE]);
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(mint(&minter, &service).as_bytes()).unwrap();
        let options = AuthenticatorOptions::new(minter.issuer(), minter.audience());
        let authenticator =
            Authenticator::new(options, minter.key_source(), Arc::clone(&shared_clock));
        let mut deps = Dependencies {
            database: None,
            clock: clock.clone().into(),
            ids: Arc::new(IdSource::new(Arc::clone(&shared_clock))),
            authenticator: Arc::new(authenticator.unwrap()),
            authorizer: Arc::new(Authorizer::with_defaults().unwrap()),
            peers: Peers::default(),
            token: ServiceToken::from_file(file.path().to_owned()),
            wake: Arc::default(),
            delivery_file: None,
            attachment_store: None,
            shutdown: tokio_util::sync::CancellationToken::new(),
        };
        let tickets = Upstream::start::<Tickets>(&deps, &clock).await;
        let customers = Upstream::start::<Customers>(&deps, &clock).await;
        deps.peers = [("ticket", tickets.transport()), ("customer", customers.transport())]
            .into_iter()
            .collect();
        let mut world = Self {
            pool: database.pool().unwrap(),
            database,
            clock,
            shared_clock,
            tickets,
            customers,
            minter,
            deps,
            replicas: Vec::new(),
            _service_token: file,
        };
        for unit in ["group", "group/north", "group/north/riverside", "group/south", "group-x"] {
            let title = Some(text("", "单元"));
            let event = PublicEvent::of(&OrgUnitChanged { path: unit.into(), title });
            world.customers.tell(("org_unit", world.id()), 1, event).await;
        }
        world.start_replica().await;
        world.settle().await;
        world
    }

    /// The same with a policy for the whole group.
    pub async fn new() -> Self {
        let world = Self::bare().await;
        world.apply("group", policy(1, 5)).await;
        world
    }

    /// Another replica over the same database.
    pub async fn start_replica(&mut self) {
        let deps = Dependencies {
            database: Some(self.database.pool().unwrap()),
            ids: Arc::new(IdSource::new(Arc::clone(&self.shared_clock))),
            wake: Arc::default(),
            delivery_file: None,
            attachment_store: None,
            shutdown: tokio_util::sync::CancellationToken::new(),
            ..self.deps.clone()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = StartOptions { listener: Some(listener), ..StartOptions::default() };
        let replica = start_in_process::<SurveyContext>(deps, options).await.unwrap();
        replica.ready().await.unwrap();
        self.replicas.push(replica);
    }

    /// The way to a replica over a socket.
    pub fn transport(&self, replica: usize) -> Transport {
        let address = self.replicas[replica].address().unwrap();
        Transport::remote(&format!("http://{address}"), &ChannelOptions::default()).unwrap()
    }

    /// A token as a header.
    pub fn bearer(&self, subject: &str, org_unit: &str, role: &str) -> MetadataValue<Ascii> {
        let caller = Caller::staff(subject, org_unit.parse().unwrap(), [role]);
        format!("Bearer {}", mint(&self.minter, &caller)).parse().unwrap()
    }

    fn connect(&self, replica: usize, token: Option<MetadataValue<Ascii>>) -> Desk {
        let transport = self.transport(replica);
        let token = Bearer(token);
        Desk {
            surveys: SurveyServiceClient::with_interceptor(transport.clone(), token.clone()),
            policies: SurveyPolicyServiceClient::with_interceptor(transport.clone(), token.clone()),
            clocks: ClockServiceClient::with_interceptor(transport, token),
        }
    }

    pub fn desk(&self, subject: &str, org_unit: &str, role: &str) -> Desk {
        self.connect(0, Some(self.bearer(subject, org_unit, role)))
    }

    pub fn anonymous(&self) -> Desk {
        self.connect(0, None)
    }

    pub fn anonymous_at(&self, replica: usize) -> Desk {
        self.connect(replica, None)
    }

    pub fn manager(&self) -> Desk {
        self.desk("manager", "group", role::MANAGER)
    }

    pub fn id(&self) -> Uuid {
        self.deps.ids.uuid()
    }

    /// Waits until all that was caused has happened, in every replica.
    pub async fn settle(&self) {
        for replica in 0..self.replicas.len() {
            let token = self.bearer("operator", "group", role::OPERATOR);
            let mut desk = self.connect(replica, Some(token));
            desk.clocks.settle(SettleRequest {}).await.unwrap();
        }
    }

    /// Sets the clock forward and waits until all that this causes has happened.
    pub async fn pass(&self, time: SignedDuration) {
        self.clock.advance(time).unwrap();
        self.settle().await;
    }

    pub async fn apply(&self, org_unit: &str, policy: SurveyPolicy) -> SurveyPolicyVersion {
        let request = ApplySurveyPolicyRequest {
            org_unit: org_unit.into(),
            policy: Some(policy),
            ..ApplySurveyPolicyRequest::default()
        };
        let mut admin = self.desk("admin", "group", role::ADMIN);
        admin.policies.apply_survey_policy(request).await.unwrap().into_inner()
    }

    /// A ticket of which nothing was told yet.
    pub fn ticket(&self, org_unit: &str) -> Ticket {
        let (id, customer, contact) = (self.id(), self.id(), self.id());
        Ticket {
            id,
            revision: 0,
            contact_id: contact,
            summary: TicketSummary {
                ticket: format!("tickets/{id}"),
                number: "T-2026-000001".into(),
                org_unit: org_unit.into(),
                customer: format!("customers/{customer}"),
                contact: format!("customers/{customer}/contacts/{contact}"),
                cycle: 1,
                handler: "wang.fang".into(),
                first_contact_owner: "zhao.min".into(),
                ..TicketSummary::default()
            },
        }
    }

    /// Tells that a ticket's result was fed back, and does not wait.
    pub async fn feed_back(&self, ticket: &mut Ticket) {
        ticket.summary.state = TicketState::ResultFedBack.into();
        let event = TicketResultFedBack { ticket: Some(ticket.summary.clone()) };
        self.tell_of(ticket, PublicEvent::of(&event)).await;
    }

    pub async fn close(&self, ticket: &mut Ticket) {
        let verdict = Some(Verdict { value: 2, cycle: ticket.summary.cycle, ..Verdict::default() });
        let event = TicketClosed {
            ticket: Some(ticket.summary.clone()),
            verdict,
            ..TicketClosed::default()
        };
        self.tell_of(ticket, PublicEvent::of(&event)).await;
    }

    /// Tells that a ticket was closed because the customer could not be reached.
    pub async fn close_unasked(&self, ticket: &mut Ticket) {
        let event = TicketClosed {
            ticket: Some(ticket.summary.clone()),
            verdict: None,
            reason: "三次回访均未接通".into(),
            ..TicketClosed::default()
        };
        self.tell_of(ticket, PublicEvent::of(&event)).await;
    }

    /// The same where a dissatisfied answer may still open it again.
    pub async fn close_reopenable(&self, ticket: &mut Ticket) {
        let event = TicketClosed {
            ticket: Some(ticket.summary.clone()),
            reason: "三次回访均未接通".into(),
            reopen_until_time: Some(kefu_rpc::to_proto_timestamp(self.clock.now())),
            ..TicketClosed::default()
        };
        self.tell_of(ticket, PublicEvent::of(&event)).await;
    }

    /// Tells that a closed ticket was reopened by somebody: its next cycle begins.
    pub async fn reopen_closed(&self, ticket: &mut Ticket) {
        ticket.summary.cycle += 1;
        let event = TicketReopened {
            ticket: Some(ticket.summary.clone()),
            verdict: None,
            reason: "客户来电".into(),
        };
        self.tell_of(ticket, PublicEvent::of(&event)).await;
    }

    /// Tells that a ticket is open again: its next cycle begins.
    pub async fn reopen(&self, ticket: &mut Ticket) {
        let verdict = Some(Verdict { value: 4, cycle: ticket.summary.cycle, ..Verdict::default() });
        ticket.summary.cycle += 1;
        let event = TicketReopened {
            ticket: Some(ticket.summary.clone()),
            verdict,
            ..TicketReopened::default()
        };
        self.tell_of(ticket, PublicEvent::of(&event)).await;
    }

    pub async fn cancel(&self, ticket: &mut Ticket) {
        let summary = Some(ticket.summary.clone());
        let event = TicketCancelled { ticket: summary, reason: "登记错误".into() };
        self.tell_of(ticket, PublicEvent::of(&event)).await;
    }

    /// Tells that a ticket is of somebody else, who has the number, and does not wait.
    pub async fn correct(&self, ticket: &mut Ticket, number: u128) {
        let id = Uuid::from_u128(number);
        ticket.contact_id = id;
        let previous = (ticket.summary.customer.clone(), ticket.summary.contact.clone());
        ticket.summary.customer = format!("customers/{id}");
        ticket.summary.contact = format!("customers/{id}/contacts/{id}");
        let event = TicketCorrected {
            ticket: Some(ticket.summary.clone()),
            fields: vec!["customer".into(), "contact".into()],
            previous_customer: previous.0,
            previous_contact: previous.1,
            reason: "登记时选错了客户".into(),
            ..TicketCorrected::default()
        };
        self.tell_of(ticket, PublicEvent::of(&event)).await;
    }

    async fn tell_of(&self, ticket: &mut Ticket, event: PublicEvent) {
        ticket.revision += 1;
        self.tickets.tell(("ticket", ticket.id), ticket.revision, event).await;
    }

    /// Tells which channels a contact has closed, and does not wait.
    pub async fn close_channels(&self, ticket: &Ticket, revision: i64, channels: &[&str]) {
        let event = PublicEvent::of(&ContactChanged {
            contact: ticket.summary.contact.clone(),
            customer: ticket.summary.customer.clone(),
            display_name: "李伟".into(),
            preferred_channel: String::new(),
            do_not_contact_channels: channels.iter().map(ToString::to_string).collect(),
        });
        self.customers.tell(("contact", ticket.contact_id), revision, event).await;
    }

    /// The invitations about a ticket, newest first.
    pub async fn invitations(&self, ticket: &Ticket) -> Vec<Invitation> {
        let request = ListInvitationsRequest {
            org_unit: "group".into(),
            ticket: ticket.summary.ticket.clone(),
            ..ListInvitationsRequest::default()
        };
        self.manager().surveys.list_invitations(request).await.unwrap().into_inner().invitations
    }

    /// A ticket whose result was fed back, and the one invitation about it.
    pub async fn invited(&self, org_unit: &str) -> (Ticket, Invitation) {
        let mut ticket = self.ticket(org_unit);
        self.feed_back(&mut ticket).await;
        self.settle().await;
        let [invitation] = self.invitations(&ticket).await.try_into().unwrap();
        (ticket, invitation)
    }

    /// The same, with a token.
    pub async fn issued(&self, org_unit: &str) -> (Ticket, Invitation, String) {
        let (ticket, invitation) = self.invited(org_unit).await;
        let token = self.manager().issue(&invitation.name).await.unwrap();
        (ticket, invitation, token)
    }

    /// How many rows a statement counts.
    pub async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }

    pub fn now(&self) -> prost_types::Timestamp {
        kefu_rpc::to_proto_timestamp(self.clock.now())
    }
}

/// A ticket as its context tells of it.
#[derive(Clone)]
pub struct Ticket {
    pub id: Uuid,
    pub contact_id: Uuid,
    pub revision: i64,
    pub summary: TicketSummary,
}

impl Desk {
    pub async fn get(&mut self, name: &str) -> Invitation {
        let request = GetInvitationRequest { name: name.into() };
        self.surveys.get_invitation(request).await.unwrap().into_inner()
    }

    pub async fn issue(&mut self, name: &str) -> Result<String, Status> {
        let request = IssueInvitationTokenRequest { name: name.into(), request_id: String::new() };
        Ok(self.surveys.issue_invitation_token(request).await?.into_inner().token)
    }

    pub async fn answer(&mut self, token: &str, verdict: i32) -> Result<Answer, Status> {
        self.submit(submission(token, verdict)).await
    }

    pub async fn submit(&mut self, request: SubmitAnswerRequest) -> Result<Answer, Status> {
        self.surveys.submit_answer(request).await.map(Response::into_inner)
    }
}

fn mint(minter: &Minter, caller: &Caller) -> String {
    minter.mint(caller, SignedDuration::from_hours(24 * 3_650)).unwrap()
}

pub fn submission(token: &str, verdict: i32) -> SubmitAnswerRequest {
    SubmitAnswerRequest { token: token.into(), verdict, ..SubmitAnswerRequest::default() }
}

pub fn text(en: &str, zh: &str) -> LocalizedText {
    LocalizedText { en: en.into(), zh: zh.into() }
}

/// Asks for a verdict from `min` to `max`.
pub fn policy(min: i32, max: i32) -> SurveyPolicy {
    let questionnaire = Questionnaire {
        title: Some(text("Call-back", "回访")),
        question: Some(text("Are you content with the result?", "您对处理结果满意吗？")),
        scale: Some(Scale {
            min,
            max,
            polarity: ScalePolarity::LowIsGood.into(),
            labels: Vec::new(),
        }),
    };
    SurveyPolicy {
        code: "franchise-complaints".into(),
        title: Some(text("Franchise complaints", "加盟商投诉管理制度")),
        ticket_call_back: Some(TicketCallBack {
            campaign: "ticket-call-back".into(),
            questionnaire: Some(questionnaire),
            expire_after: Some(prost_types::Duration { seconds: EXPIRE_AFTER.as_secs(), nanos: 0 }),
        }),
    }
}

/// An id that nobody has used.
pub fn request_id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

/// The paths of the wrong fields, sorted.
pub fn violations(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    let bad = status.get_details_bad_request().unwrap();
    let mut fields: Vec<_> = bad.field_violations.into_iter().map(|found| found.field).collect();
    fields.sort();
    fields
}

/// The stable reason.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// An entry of the reason's metadata.
pub fn metadata(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info();
    info.and_then(|info| info.metadata.get(key).cloned()).unwrap_or_default()
}
