//! A mesh with a small company in it, and what all tests ask of it.

use std::fmt;

use jiff::Timestamp;
use kefu::client::Client;
use kefu::database::{ContextName, Databases};
use kefu_harness::Mesh;
use kefu_identity::role;
use kefu_postgres::testing::TestDatabase;
use kefu_rpc::{ChannelOptions, Transport};
use sqlx::{Connection as _, PgConnection};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::company;

/// How the four services run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    OneProcess,
    Processes,
}

/// A mesh, and a company that has its rules.
pub struct World {
    pub mesh: Mesh,
}

impl World {
    pub async fn start(way: Way) -> Self {
        let mesh = match way {
            Way::OneProcess => Mesh::start().await.unwrap(),
            Way::Processes => Mesh::start_processes().await.unwrap(),
        };
        Self::with(mesh).await
    }

    /// Gives a mesh that is there its company.
    pub async fn with(mesh: Mesh) -> Self {
        let world = Self { mesh };
        company::found(&world.admin()).await;
        world.mesh.clock().settle().await.unwrap();
        world
    }

    /// Somebody with one role in the whole group, whose name is the role.
    pub fn client(&self, role: &str) -> Client {
        self.client_at(role, "group")
    }

    pub fn client_at(&self, role: &str, org_unit: &str) -> Client {
        self.mesh.client(&self.mesh.token(role, org_unit))
    }

    pub fn admin(&self) -> Client {
        self.client(role::ADMIN)
    }

    pub fn clerk(&self) -> Client {
        self.client(role::CLERK)
    }

    pub fn manager(&self) -> Client {
        self.client(role::MANAGER)
    }

    pub fn quality(&self) -> Client {
        self.client(role::QUALITY)
    }

    /// The way to the gateway without a token.
    pub fn nobody(&self) -> Transport {
        connect(&self.mesh.address().to_string())
    }

    pub async fn set_time(&self, time: &str) {
        self.mesh.clock().set(instant(time)).await.unwrap();
    }

    /// How many rows a statement counts in a context's schema, as the context's own role.
    pub async fn count(&self, context: ContextName, statement: &'static str) -> i64 {
        let mut conn = self.open(context).await;
        let count = sqlx::query_scalar(statement).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        count
    }

    pub async fn open(&self, context: ContextName) -> PgConnection {
        let url = &self.mesh.databases().of(context).application;
        PgConnection::connect(url).await.unwrap()
    }

    /// How many changes there are on record in each context, and how many requests are remembered.
    pub async fn on_record(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for context in ContextName::ALL {
            counts.push(self.count(context, "SELECT count(*) FROM journal").await);
            counts.push(self.count(context, "SELECT count(*) FROM request").await);
        }
        counts
    }
}

/// Fresh databases for a mesh that a test starts by itself.
pub async fn databases() -> Databases {
    let [customer, ticket, survey] = ContextName::ALL.map(|context| async move {
        TestDatabase::context(&context.migrators(), context.as_str()).await.unwrap().urls
    });
    Databases::new(customer.await, ticket.await, survey.await)
}

pub fn connect(address: &str) -> Transport {
    Transport::remote(&format!("http://{address}"), &ChannelOptions::default()).unwrap()
}

/// An instant by its text.
pub fn instant(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// An instant as the API has it.
pub fn at(time: &str) -> Option<prost_types::Timestamp> {
    Some(kefu_rpc::to_proto_timestamp(instant(time)))
}

/// A request id by a number.
pub fn request_id(number: u128) -> String {
    // The nil UUID is none.
    Uuid::from_u128(number + 1).to_string()
}

/// A request with a header.
pub fn with_header<T>(message: T, name: &'static str, value: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(name, value.parse().unwrap());
    request
}

/// A request with a token, which need not be a good one.
pub fn bearing<T>(token: &str, message: T) -> Request<T> {
    with_header(message, "authorization", &format!("Bearer {token}"))
}

/// Why something was refused, for comparison as a whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub reason: String,
    pub fields: Vec<String>,
}

impl Refusal {
    pub fn new(code: Code, reason: &str, fields: &[&str]) -> Self {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Self { code, reason: reason.to_owned(), fields }
    }

    /// Fields that are wrong, in any order.
    pub fn fields(fields: &[&str]) -> Self {
        Self::new(Code::InvalidArgument, "FIELDS_INVALID", fields)
    }

    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.clone());
        let mut fields: Vec<_> =
            violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect();
        fields.sort();
        let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
        Self { code: status.code(), reason, fields }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {:?}", self.code, self.reason, self.fields)
    }
}

/// What a call was refused with.
pub fn refused<T: fmt::Debug>(answer: Result<Response<T>, Status>) -> Refusal {
    Refusal::of(&answer.unwrap_err())
}

/// What an error says beside its reason.
pub fn metadata(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info();
    info.and_then(|info| info.metadata.get(key).cloned()).unwrap_or_default()
}
