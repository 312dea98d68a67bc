//! Three fakes and a gateway before them.

use std::{net::SocketAddr, sync::Arc};

use http::uri::PathAndQuery;
use jiff::SignedDuration;
use kefu_clock::{IdSource, ManualClock, SharedClock};
use kefu_gateway::Gateway;
use kefu_identity::{Authenticator, AuthenticatorOptions, Authorizer, Caller, Minter};
use kefu_rpc::{ChannelOptions, Transport};
use kefu_service::{Dependencies, Running, ServiceToken, StartOptions, start_in_process};
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::fake::Fake;

pub const GET_TICKET: &str = "/kefu.ticket.v1.TicketService/GetTicket";
pub const LIST_TICKETS: &str = "/kefu.ticket.v1.TicketService/ListTickets";
pub const WATCH_TICKETS: &str = "/kefu.ticket.v1.TicketService/WatchTickets";

/// How the gateway reaches the contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Local,
    Remote,
}

/// What is promised holds either way.
pub const BOTH: [Way; 2] = [Way::Local, Way::Remote];

pub struct World {
    pub customer: Fake,
    pub ticket: Fake,
    pub survey: Fake,
    pub clock: ManualClock,
    pub minter: Minter,
    pub gateway: Running,
    pub address: SocketAddr,
}

impl World {
    pub async fn start(way: Way) -> Self {
        let clock = ManualClock::new("2024-02-09T08:00:00Z".parse().unwrap());
        let shared: SharedClock = Arc::new(clock.clone());
        let minter = Minter::generate("issuer", "kefu", Arc::clone(&shared)).unwrap();
        let options = AuthenticatorOptions::new("issuer", "kefu");
        let authenticator =
            Arc::new(Authenticator::new(options, minter.key_source(), shared.clone()).unwrap());
        let customer = Fake::start("customer", way, authenticator.clone()).await;
        let ticket = Fake::start("ticket", way, authenticator.clone()).await;
        let survey = Fake::start("survey", way, authenticator.clone()).await;
        let deps = Dependencies {
            database: None,
            clock: clock.clone().into(),
            ids: Arc::new(IdSource::new(shared)),
            authenticator,
            authorizer: Arc::new(Authorizer::with_defaults().unwrap()),
            peers: [
                ("customer", customer.transport()),
                ("ticket", ticket.transport()),
                ("survey", survey.transport()),
            ]
            .into_iter()
            .collect(),
            token: ServiceToken::none(),
            wake: Arc::default(),
            delivery_file: None,
            attachment_store: None,
            shutdown: CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = StartOptions { listener: Some(listener), ..StartOptions::default() };
        let gateway = start_in_process::<Gateway>(deps, options).await.unwrap();
        gateway.ready().await.unwrap();
        Self { customer, ticket, survey, clock, minter, gateway, address }
    }

    /// A client's connection to the gateway.
    pub fn connect(&self) -> Transport {
        let address = format!("http://{}", self.address);
        Transport::remote(&address, &ChannelOptions::default()).unwrap()
    }

    pub fn token_of(&self, unit: &str, role: &str) -> String {
        let caller = Caller::staff("u-17", unit.parse().unwrap(), [role]);
        self.minter.mint(&caller, SignedDuration::from_hours(1000)).unwrap()
    }

    pub fn request<T>(&self, message: T) -> Request<T> {
        self.request_as("group/north", "clerk", message)
    }

    pub fn request_as<T>(&self, unit: &str, role: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.token_of(unit, role));
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        request
    }
}

/// One call of any method.
pub async fn call<Q, A>(
    way: &Transport,
    path: &'static str,
    request: Request<Q>,
) -> Result<Response<A>, Status>
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    let codec = ProstCodec::<Q, A>::default();
    let mut client = tonic::client::Grpc::new(way.clone());
    client.unary(request, PathAndQuery::from_static(path), codec).await
}

/// One stream of any method, in both directions.
pub async fn stream<Q, A>(
    way: &Transport,
    path: &'static str,
    request: Request<impl futures::Stream<Item = Q> + Send + 'static>,
) -> Result<Response<Streaming<A>>, Status>
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    let codec = ProstCodec::<Q, A>::default();
    let mut client = tonic::client::Grpc::new(way.clone());
    client.streaming(request, PathAndQuery::from_static(path), codec).await
}

/// A request of one message as a stream.
pub fn only<Q: Send + 'static>(request: Request<Q>) -> Request<tokio_stream::Once<Q>> {
    request.map(tokio_stream::once)
}

pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
