//! A service on a database of its own with a neighbour whose feed it reads, and callers with tokens.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kefu_api::clock::v1::SetTimeRequest;
use kefu_api::clock::v1::clock_service_client::ClockServiceClient;
use kefu_api::customer::v1::{ContactChanged, CustomerChanged, OrgUnitChanged, StandingChanged};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::attachment_service_client::AttachmentServiceClient;
use kefu_api::ticket::v1::automation_service_client::AutomationServiceClient;
use kefu_api::ticket::v1::bulk_service_client::BulkServiceClient;
use kefu_api::ticket::v1::clock_ledger_service_client::ClockLedgerServiceClient;
use kefu_api::ticket::v1::corrective_action_service_client::CorrectiveActionServiceClient;
use kefu_api::ticket::v1::delivery_service_client::DeliveryServiceClient;
use kefu_api::ticket::v1::duty_service_client::DutyServiceClient;
use kefu_api::ticket::v1::handling_service_client::HandlingServiceClient;
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
use kefu_api::ticket::v1::viewer_service_client::ViewerServiceClient;
use kefu_api::ticket::v1::violation_service_client::ViolationServiceClient;
use kefu_api::ticket::v1::work_order_service_client::WorkOrderServiceClient;
use kefu_clock::{Clock as _, IdSource, ManualClock, SharedClock};
use kefu_identity::{Authenticator, AuthenticatorOptions, Authorizer, Caller, Minter, role};
use kefu_journal::{Entry, Provenance, PublicEvent, append};
use kefu_postgres::testing::{TestContext, TestDatabase};
use kefu_rpc::{ChannelOptions, Transport, to_proto_timestamp};
use kefu_service::{
    Context, Dependencies, Peers, Running, ServiceToken, StartOptions, start_in_process,
};
use kefu_ticket::TicketContext;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::neighbour::Neighbour;
use crate::pack::{policy, text};

/// Monday morning, ten o'clock in Shanghai.
pub const START: &str = "2026-03-02T02:00:00Z";

/// A service, its neighbour, its database and its clock.
pub struct World {
    pub database: TestContext,
    /// As the service's own role.
    pub pool: PgPool,
    /// The neighbour's, whose journal is the feed.
    pub neighbour_pool: PgPool,
    pub clock: ManualClock,
    pub shared_clock: SharedClock,
    pub minter: Arc<Minter>,
    pub authorizer: Arc<Authorizer>,
    /// By which the service calls the neighbour.
    token: Arc<tempfile::NamedTempFile>,
    neighbour: Transport,
    pub neighbours: Option<Running>,
    pub replicas: Vec<Running>,
    /// The operator's file with the ways out.
    delivery: Option<tempfile::NamedTempFile>,
    /// Where the bytes of attachments are.
    pub files: tempfile::TempDir,
    ids: IdSource,
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

/// A caller with one token.
#[derive(Clone)]
pub struct Desk {
    pub tickets: TicketServiceClient<Signed>,
    pub policies: TicketPolicyServiceClient<Signed>,
    pub reports: ReportServiceClient<Signed>,
    pub ledger: ClockLedgerServiceClient<Signed>,
    pub orders: WorkOrderServiceClient<Signed>,
    pub handling: HandlingServiceClient<Signed>,
    pub routing: RoutingServiceClient<Signed>,
    pub teams: TeamServiceClient<Signed>,
    pub duty: DutyServiceClient<Signed>,
    pub penalties: ViolationServiceClient<Signed>,
    pub actions: CorrectiveActionServiceClient<Signed>,
    pub suggestions: SuggestionServiceClient<Signed>,
    pub shifts: ShiftServiceClient<Signed>,
    pub processes: ProcessServiceClient<Signed>,
    pub queues: QueueServiceClient<Signed>,
    pub views: SavedViewServiceClient<Signed>,
    pub deliveries: DeliveryServiceClient<Signed>,
    pub automation: AutomationServiceClient<Signed>,
    pub attachments: AttachmentServiceClient<Signed>,
    pub bulk: BulkServiceClient<Signed>,
    pub viewers: ViewerServiceClient<Signed>,
    pub links: TicketLinkServiceClient<Signed>,
    pub clock: ClockServiceClient<Signed>,
}

impl World {
    /// One replica, a neighbour, a small company and a policy for all of it.
    pub async fn new() -> Self {
        Self::of(Self::empty().await).await
    }

    /// The same, with an operator's file of ways out.
    pub async fn sending(config: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        Self::of(Self::empty_with(Some(file)).await).await
    }

    async fn of(world: Self) -> Self {
        for path in [
            "group",
            "group/north",
            "group/north/riverside",
            "group/south",
            "group/south/riverside",
        ] {
            world.org_unit(path).await;
        }
        world.settle().await;
        world.admin().apply("group", policy()).await.unwrap();
        world
    }

    /// One replica, a neighbour and no company.
    pub async fn empty() -> Self {
        Self::empty_with(None).await
    }

    async fn empty_with(delivery: Option<tempfile::NamedTempFile>) -> Self {
        let migrators = TicketContext::migrators();
        let database = TestDatabase::context(&migrators, TicketContext::NAME).await.unwrap();
        let others = TestDatabase::context(&Neighbour::migrators(), Neighbour::NAME).await.unwrap();
        let clock = ManualClock::new(START.parse().unwrap());
        let shared_clock: SharedClock = Arc::new(clock.clone());
        let minter = Minter::generate("https://kefu.test", "kefu", Arc::clone(&shared_clock));
        let minter = Arc::new(minter.unwrap());
        let authorizer = Arc::new(Authorizer::with_defaults().unwrap());
        let neighbour_pool = others.pool().unwrap();
        let caller = Caller::staff("service/ticket", "kefu".parse().unwrap(), [role::SERVICE]);
        let own = minter.mint(&caller, SignedDuration::from_hours(24 * 3_650)).unwrap();
        let token = Arc::new(tempfile::NamedTempFile::new().unwrap());
        std::fs::write(token.path(), own).unwrap();
        let pool = neighbour_pool.clone();
        let deps = dependencies(&minter, &clock, &authorizer, pool, &token, None);
        let (running, neighbour) = start::<Neighbour>(deps).await;
        let mut world = Self {
            pool: database.pool().unwrap(),
            database,
            neighbour_pool,
            ids: IdSource::new(Arc::clone(&shared_clock)),
            clock,
            shared_clock,
            minter,
            authorizer,
            token,
            neighbour,
            neighbours: Some(running),
            replicas: Vec::new(),
            delivery,
            files: tempfile::tempdir().unwrap(),
        };
        world.start_replica().await;
        world
    }

    /// Another replica over the same database.
    pub async fn start_replica(&mut self) {
        let pool = self.database.pool().unwrap();
        let neighbour = Some(self.neighbour.clone());
        let (clock, authorizer) = (&self.clock, &self.authorizer);
        let mut deps = dependencies(&self.minter, clock, authorizer, pool, &self.token, neighbour);
        deps.delivery_file = self.delivery.as_ref().map(|file| file.path().to_owned());
        deps.attachment_store = self.files.path().to_str().map(ToOwned::to_owned);
        let (running, _) = start::<TicketContext>(deps).await;
        self.replicas.push(running);
    }

    /// The way to a replica over a socket.
    pub fn transport(&self, replica: usize) -> Transport {
        remote(&self.replicas[replica])
    }

    /// A token as a header.
    pub fn bearer(&self, subject: &str, org_unit: &str, role: &str) -> MetadataValue<Ascii> {
        let caller = Caller::staff(subject, org_unit.parse().unwrap(), [role]);
        let token = self.minter.mint(&caller, SignedDuration::from_hours(24 * 3_650)).unwrap();
        format!("Bearer {token}").parse().unwrap()
    }

    pub fn desk_at(&self, replica: usize, subject: &str, org_unit: &str, role: &str) -> Desk {
        self.signed_in(replica, self.bearer(subject, org_unit, role))
    }

    /// Somebody with a token of his own.
    pub fn desk_with(&self, token: MetadataValue<Ascii>) -> Desk {
        self.signed_in(0, token)
    }

    fn signed_in(&self, replica: usize, token: MetadataValue<Ascii>) -> Desk {
        let transport = self.transport(replica);
        let token = Bearer(Some(token));
        Desk {
            tickets: TicketServiceClient::with_interceptor(transport.clone(), token.clone()),
            policies: TicketPolicyServiceClient::with_interceptor(transport.clone(), token.clone()),
            reports: ReportServiceClient::with_interceptor(transport.clone(), token.clone()),
            ledger: ClockLedgerServiceClient::with_interceptor(transport.clone(), token.clone()),
            orders: WorkOrderServiceClient::with_interceptor(transport.clone(), token.clone()),
            handling: HandlingServiceClient::with_interceptor(transport.clone(), token.clone()),
            routing: RoutingServiceClient::with_interceptor(transport.clone(), token.clone()),
            teams: TeamServiceClient::with_interceptor(transport.clone(), token.clone()),
            duty: DutyServiceClient::with_interceptor(transport.clone(), token.clone()),
            penalties: ViolationServiceClient::with_interceptor(transport.clone(), token.clone()),
            actions: CorrectiveActionServiceClient::with_interceptor(
                transport.clone(),
                token.clone(),
            ),
            suggestions: SuggestionServiceClient::with_interceptor(
                transport.clone(),
                token.clone(),
            ),
            shifts: ShiftServiceClient::with_interceptor(transport.clone(), token.clone()),
            processes: ProcessServiceClient::with_interceptor(transport.clone(), token.clone()),
            queues: QueueServiceClient::with_interceptor(transport.clone(), token.clone()),
            views: SavedViewServiceClient::with_interceptor(transport.clone(), token.clone()),
            deliveries: DeliveryServiceClient::with_interceptor(transport.clone(), token.clone()),
            automation: AutomationServiceClient::with_interceptor(transport.clone(), token.clone()),
            attachments: AttachmentServiceClient::with_interceptor(
                transport.clone(),
                token.clone(),
            ),
            bulk: BulkServiceClient::with_interceptor(transport.clone(), token.clone()),
            viewers: ViewerServiceClient::with_interceptor(transport.clone(), token.clone()),
            links: TicketLinkServiceClient::with_interceptor(transport.clone(), token.clone()),
            clock: ClockServiceClient::with_interceptor(transport, token),
        }
    }

    pub fn desk(&self, subject: &str, org_unit: &str, role: &str) -> Desk {
        self.desk_at(0, subject, org_unit, role)
    }

    pub fn admin(&self) -> Desk {
        self.desk("admin", "group", role::ADMIN)
    }

    pub fn clerk(&self) -> Desk {
        self.desk("clerk", "group", role::CLERK)
    }

    pub fn manager(&self) -> Desk {
        self.desk("manager", "group", role::MANAGER)
    }

    pub fn quality(&self) -> Desk {
        self.desk("quality", "group", role::QUALITY)
    }

    /// Moves the clock and waits for what that causes.
    pub async fn set_time(&self, time: &str) {
        self.move_to(time.parse().unwrap()).await;
    }

    /// Moves the clock by some hours and waits for what that causes.
    pub async fn pass_hours(&self, hours: i64) {
        self.move_to(self.clock.now() + SignedDuration::from_hours(hours)).await;
    }

    async fn move_to(&self, time: Timestamp) {
        let time = Some(to_proto_timestamp(time));
        let request = SetTimeRequest { time, skip_settle: false };
        self.desk("operator", "group", role::OPERATOR).clock.set_time(request).await.unwrap();
    }

    /// Waits until the feed has been read.
    pub async fn settle(&self) {
        self.move_to(self.clock.now()).await;
    }

    /// Puts an event into the feed. The aggregate is named by a number.
    pub async fn tell<M: prost::Message + prost::Name>(
        &self,
        aggregate_type: &str,
        aggregate: u128,
        revision: i64,
        event: &M,
    ) {
        let by = Provenance::system("neighbour");
        let entry = Entry {
            by: &by,
            event_id: self.ids.uuid(),
            occurred_at: self.clock.now(),
            aggregate_type,
            aggregate_id: Uuid::from_u128(aggregate),
            revision,
            action: "Tell",
            org_unit: "group",
            customer_id: None,
            before: None,
            after: None,
            event: Some(PublicEvent::of(event)),
        };
        let mut conn = self.neighbour_pool.acquire().await.unwrap();
        append(&mut conn, &[entry]).await.unwrap();
    }

    pub async fn org_unit(&self, path: &str) {
        let title = Some(text(path, "单元"));
        let event = OrgUnitChanged { path: path.into(), title };
        self.tell("org_unit", self.ids.uuid().as_u128(), 1, &event).await;
    }

    /// A customer with one contact; both have the number in their ids.
    pub async fn customer(&self, number: u128) -> String {
        let customer = customer(number);
        let event = CustomerChanged {
            customer: customer.clone(),
            org_unit: "group".into(),
            ..CustomerChanged::default()
        };
        self.tell("customer", number, 1, &event).await;
        let event = ContactChanged {
            contact: contact(number),
            customer: customer.clone(),
            ..ContactChanged::default()
        };
        self.tell("contact", number, 1, &event).await;
        customer
    }

    /// Tells of a grade. There is one standing per customer and revision here.
    pub async fn grade(&self, number: u128, department: &str, grade: &str, revision: i64) {
        let event = StandingChanged {
            customer: customer(number),
            department: department.into(),
            product_line: String::new(),
            grade: grade.into(),
        };
        self.tell("standing", number, revision, &event).await;
    }

    /// How many rows a statement counts.
    pub async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }
}

fn dependencies(
    minter: &Arc<Minter>,
    clock: &ManualClock,
    authorizer: &Arc<Authorizer>,
    pool: PgPool,
    token: &tempfile::NamedTempFile,
    neighbour: Option<Transport>,
) -> Dependencies {
    let shared: SharedClock = Arc::new(clock.clone());
    let options = AuthenticatorOptions::new(minter.issuer(), minter.audience());
    let keys = minter.key_source();
    let peers = neighbour.map(|transport| [("customer", transport.clone()), ("survey", transport)]);
    Dependencies {
        database: Some(pool),
        clock: clock.clone().into(),
        ids: Arc::new(IdSource::new(Arc::clone(&shared))),
        authenticator: Arc::new(Authenticator::new(options, keys, Arc::clone(&shared)).unwrap()),
        authorizer: Arc::clone(authorizer),
        peers: peers.into_iter().flatten().collect::<Peers>(),
        token: ServiceToken::from_file(token.path().into()),
        wake: Arc::default(),
        delivery_file: None,
        attachment_store: None,
        shutdown: tokio_util::sync::CancellationToken::new(),
    }
}

async fn start<C: Context>(deps: Dependencies) -> (Running, Transport) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = StartOptions { listener: Some(listener), ..StartOptions::default() };
    let running = start_in_process::<C>(deps, options).await.unwrap();
    running.ready().await.unwrap();
    let transport = remote(&running);
    (running, transport)
}

fn remote(running: &Running) -> Transport {
    let address = running.address().unwrap();
    Transport::remote(&format!("http://{address}"), &ChannelOptions::default()).unwrap()
}

impl Desk {
    pub async fn apply(
        &mut self,
        org_unit: &str,
        policy: pb::TicketPolicy,
    ) -> Result<pb::TicketPolicyVersion, Status> {
        let request = pb::ApplyTicketPolicyRequest {
            org_unit: org_unit.into(),
            policy: Some(policy),
            ..Default::default()
        };
        self.policies.apply_ticket_policy(request).await.map(tonic::Response::into_inner)
    }

    pub async fn create(&mut self, ticket: pb::Ticket) -> pb::Ticket {
        self.try_create(ticket, String::new()).await.unwrap()
    }

    pub async fn try_create(
        &mut self,
        ticket: pb::Ticket,
        request_id: String,
    ) -> Result<pb::Ticket, Status> {
        let request = pb::CreateTicketRequest { ticket: Some(ticket), request_id };
        self.tickets.create_ticket(request).await.map(tonic::Response::into_inner)
    }

    pub async fn get(&mut self, name: &str) -> pb::Ticket {
        let request = pb::GetTicketRequest { name: name.into() };
        self.tickets.get_ticket(request).await.unwrap().into_inner()
    }

    pub async fn respond(&mut self, name: &str) -> Result<pb::Ticket, Status> {
        let request = pb::RespondTicketRequest {
            name: name.into(),
            message: "我们正在处理".into(),
            ..Default::default()
        };
        self.tickets.respond_ticket(request).await.map(tonic::Response::into_inner)
    }

    pub async fn resolve(&mut self, name: &str) -> Result<pb::Ticket, Status> {
        let request = pb::ResolveTicketRequest {
            name: name.into(),
            solution: "已更换电机".into(),
            ..Default::default()
        };
        self.tickets.resolve_ticket(request).await.map(tonic::Response::into_inner)
    }

    pub async fn feed_back(&mut self, name: &str) -> Result<pb::Ticket, Status> {
        let request = pb::FeedBackTicketRequest {
            name: name.into(),
            message: "电梯已修好".into(),
            ..Default::default()
        };
        self.tickets.feed_back_ticket(request).await.map(tonic::Response::into_inner)
    }

    pub async fn verdict(&mut self, name: &str, value: i32) -> Result<pb::Ticket, Status> {
        let request = pb::RecordVerdictRequest { name: name.into(), value, ..Default::default() };
        self.tickets.record_verdict(request).await.map(tonic::Response::into_inner)
    }

    /// Answered, solved, told.
    pub async fn handle(&mut self, name: &str) -> pb::Ticket {
        self.respond(name).await.unwrap();
        self.resolve(name).await.unwrap();
        self.feed_back(name).await.unwrap()
    }

    pub async fn history(&mut self, name: &str) -> Vec<pb::TicketHistoryEntry> {
        let request = pb::ListTicketHistoryRequest { parent: name.into(), ..Default::default() };
        self.tickets.list_ticket_history(request).await.unwrap().into_inner().entries
    }

    pub async fn violations(&mut self, org_unit: &str) -> Vec<pb::Violation> {
        let request = pb::ListViolationsRequest { org_unit: org_unit.into(), ..Default::default() };
        self.tickets.list_violations(request).await.unwrap().into_inner().violations
    }
}

pub fn customer(number: u128) -> String {
    format!("customers/{}", Uuid::from_u128(number))
}

pub fn contact(number: u128) -> String {
    format!("customers/{0}/contacts/{0}", Uuid::from_u128(number))
}

/// A complaint with no more than it needs.
pub fn complaint(org_unit: &str, subject: &str) -> pb::Ticket {
    pb::Ticket {
        org_unit: org_unit.into(),
        kind: pb::TicketKind::Complaint.into(),
        channel: pb::TicketChannel::Phone.into(),
        subject: subject.into(),
        ..pb::Ticket::default()
    }
}

pub fn clock<'a>(ticket: &'a pb::Ticket, rule: &str, cycle: i32) -> &'a pb::Clock {
    let found = ticket.clocks.iter().find(|clock| clock.rule == rule && clock.cycle == cycle);
    found.unwrap()
}

/// An id that nobody has used.
pub fn request_id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

pub fn at(time: &str) -> Option<prost_types::Timestamp> {
    Some(to_proto_timestamp(time.parse().unwrap()))
}

/// The paths of the wrong fields.
pub fn violations(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations.into_iter().map(|violation| violation.field).collect()
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
