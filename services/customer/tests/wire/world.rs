//! A service on a database of its own, and callers with tokens.

use std::sync::Arc;

use jiff::SignedDuration;
use kefu_api::{
    customer::v1::{
        Contact, CreateCustomerRequest, CreateOrgUnitRequest, Customer, CustomerPolicy,
        CustomerType, Grade, LawfulBasis, OrgUnit,
        customer_policy_service_client::CustomerPolicyServiceClient,
        customer_service_client::CustomerServiceClient,
        org_unit_service_client::OrgUnitServiceClient,
    },
    policy::v1::LocalizedText,
};
use kefu_clock::{IdSource, ManualClock, SharedClock};
use kefu_customer::CustomerContext;
use kefu_identity::{Authenticator, AuthenticatorOptions, Authorizer, Caller, Minter, role};
use kefu_postgres::testing::{TestContext, TestDatabase};
use kefu_rpc::{ChannelOptions, Transport};
use kefu_service::{
    Context as _, Dependencies, Peers, Running, ServiceToken, StartOptions, start_in_process,
};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// Monday morning in Shanghai.
const START: &str = "2026-03-02T02:00:00Z";

/// A service, its database and its clock.
pub struct World {
    pub database: TestContext,
    /// As the service's own role.
    pub pool: PgPool,
    pub clock: ManualClock,
    pub shared_clock: SharedClock,
    pub minter: Arc<Minter>,
    pub authorizer: Arc<Authorizer>,
    replicas: Vec<Running>,
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
    pub org_units: OrgUnitServiceClient<Signed>,
    pub customers: CustomerServiceClient<Signed>,
    pub policies: CustomerPolicyServiceClient<Signed>,
}

impl World {
    /// One replica and an empty database.
    pub async fn empty() -> Self {
        let migrators = CustomerContext::migrators();
        let database = TestDatabase::context(&migrators, CustomerContext::NAME).await.unwrap();
        let clock = ManualClock::new(START.parse().unwrap());
        let shared_clock: SharedClock = Arc::new(clock.clone());
        let minter = Minter::generate("https://kefu.test", "kefu", Arc::clone(&shared_clock));
        let mut world = Self {
            pool: database.pool().unwrap(),
            database,
            clock,
            shared_clock,
            minter: Arc::new(minter.unwrap()),
            authorizer: Arc::new(Authorizer::with_defaults().unwrap()),
            replicas: Vec::new(),
        };
        world.start_replica().await;
        world
    }

    /// One replica and a small company.
    pub async fn new() -> Self {
        let world = Self::empty().await;
        let mut admin = world.admin();
        for path in [
            "group",
            "group/north",
            "group/north/riverside",
            "group/north/sales",
            "group/south",
            "group/south/riverside",
            "group-x",
        ] {
            if path == "group-x" {
                world.desk("root", path, role::ADMIN).create_org_unit(path, "别家").await;
            } else {
                admin.create_org_unit(path, "单元").await;
            }
        }
        world
    }

    /// Another replica over the same database.
    pub async fn start_replica(&mut self) {
        let options = AuthenticatorOptions::new(self.minter.issuer(), self.minter.audience());
        let keys = self.minter.key_source();
        let clock = Arc::clone(&self.shared_clock);
        let deps = Dependencies {
            database: Some(self.database.pool().unwrap()),
            clock: self.clock.clone().into(),
            ids: Arc::new(IdSource::new(Arc::clone(&clock))),
            authenticator: Arc::new(Authenticator::new(options, keys, clock).unwrap()),
            authorizer: Arc::clone(&self.authorizer),
            peers: Peers::default(),
            token: ServiceToken::none(),
            wake: Arc::default(),
            delivery_file: None,
            attachment_store: None,
            shutdown: tokio_util::sync::CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = StartOptions { listener: Some(listener), ..StartOptions::default() };
        let replica = start_in_process::<CustomerContext>(deps, options).await.unwrap();
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
        let token = self.minter.mint(&caller, SignedDuration::from_hours(24 * 3_650)).unwrap();
        format!("Bearer {token}").parse().unwrap()
    }

    fn connect(&self, replica: usize, token: Option<MetadataValue<Ascii>>) -> Desk {
        let transport = self.transport(replica);
        let token = Bearer(token);
        Desk {
            org_units: OrgUnitServiceClient::with_interceptor(transport.clone(), token.clone()),
            customers: CustomerServiceClient::with_interceptor(transport.clone(), token.clone()),
            policies: CustomerPolicyServiceClient::with_interceptor(transport, token),
        }
    }

    pub fn desk(&self, subject: &str, org_unit: &str, role: &str) -> Desk {
        self.connect(0, Some(self.bearer(subject, org_unit, role)))
    }

    pub fn desk_at(&self, replica: usize, subject: &str, org_unit: &str, role: &str) -> Desk {
        self.connect(replica, Some(self.bearer(subject, org_unit, role)))
    }

    pub fn anonymous(&self) -> Desk {
        self.connect(0, None)
    }

    pub fn admin(&self) -> Desk {
        self.desk("admin", "group", role::ADMIN)
    }

    pub fn manager(&self) -> Desk {
        self.desk("manager", "group", role::MANAGER)
    }

    /// How many rows a table has.
    pub async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }
}

impl Desk {
    pub async fn create_org_unit(&mut self, path: &str, zh: &str) -> OrgUnit {
        let title = Some(text("", zh));
        let org_unit = Some(OrgUnit { path: path.into(), title, ..OrgUnit::default() });
        let request = CreateOrgUnitRequest { org_unit, request_id: String::new() };
        self.org_units.create_org_unit(request).await.unwrap().into_inner()
    }

    pub async fn register(&mut self, customer: Customer) -> Customer {
        self.try_register(registration(customer)).await.unwrap()
    }

    pub async fn try_register(
        &mut self,
        request: CreateCustomerRequest,
    ) -> Result<Customer, Status> {
        self.customers.create_customer(request).await.map(tonic::Response::into_inner)
    }

    /// Applies a ladder from now on.
    pub async fn apply_ladder(&mut self, org_unit: &str, grades: &[&str]) -> String {
        let request = kefu_api::customer::v1::ApplyCustomerPolicyRequest {
            org_unit: org_unit.into(),
            policy: Some(ladder(grades)),
            ..Default::default()
        };
        self.policies.apply_customer_policy(request).await.unwrap().into_inner().name
    }
}

pub fn text(en: &str, zh: &str) -> LocalizedText {
    LocalizedText { en: en.into(), zh: zh.into() }
}

pub fn ladder(grades: &[&str]) -> CustomerPolicy {
    let grade = |code: &&str| Grade {
        code: (*code).into(),
        title: Some(text(code, "")),
        visible_to_customer: true,
    };
    CustomerPolicy {
        code: "graded-accounts".into(),
        title: Some(text("Graded accounts", "客户分级管理制度")),
        grades: grades.iter().map(grade).collect(),
    }
}

/// A customer of an org unit with no more than it needs.
pub fn customer(org_unit: &str, name: &str) -> Customer {
    Customer {
        org_unit: org_unit.into(),
        customer_type: CustomerType::Organization.into(),
        display_name: name.into(),
        lawful_basis: LawfulBasis::Contract.into(),
        ..Customer::default()
    }
}

pub fn contact(name: &str) -> Contact {
    Contact { display_name: name.into(), ..Contact::default() }
}

pub fn registration(customer: Customer) -> CreateCustomerRequest {
    CreateCustomerRequest { customer: Some(customer), ..CreateCustomerRequest::default() }
}

/// An id that nobody has used.
pub fn request_id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
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
