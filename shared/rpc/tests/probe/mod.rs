//! A server with handlers that behave as the test asks for, on a socket or in the process.

#![allow(dead_code, missing_docs, reason = "every test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy does not see that this is a test")]

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::Stream;
use jiff::{SignedDuration, Timestamp};
use kefu_api::{
    clock::v1::{
        GetTimeRequest, GetTimeResponse, SetTimeRequest, SetTimeResponse, SettleRequest,
        SettleResponse,
        clock_service_client::ClockServiceClient,
        clock_service_server::{ClockService, ClockServiceServer},
    },
    feed::v1::{
        GetHeadRequest, GetHeadResponse, SubscribeRequest, SubscribeResponse,
        feed_service_client::FeedServiceClient,
        feed_service_server::{FeedService, FeedServiceServer},
    },
};
use kefu_clock::ManualClock;
use kefu_identity::{Authenticator, AuthenticatorOptions, Caller, Minter};
use kefu_rpc::{
    ChannelOptions, Limits, Methods, Readiness, RequestContext, ServeOptions, Served, Stack,
    Transport, serve, with_reflection,
};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, service::Routes};

/// What the handlers did, seen from outside.
#[derive(Debug, Default)]
pub struct Seen {
    pub begun: AtomicUsize,
    pub dropped: AtomicUsize,
    pub streams: AtomicUsize,
    pub changed: Notify,
    /// Lets waiting handlers finish.
    pub release: Notify,
}

impl Seen {
    /// Waits until `counter` is `count`, woken by every change.
    pub async fn until(&self, counter: &AtomicUsize, count: usize) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if counter.load(Ordering::SeqCst) == count {
                return;
            }
            changed.await;
        }
    }
}

/// Stands for what a handler holds, such as a transaction.
struct Held(Arc<Seen>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

struct OpenStream(Arc<Seen>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

#[derive(Clone)]
struct Probe(Arc<Seen>);

#[tonic::async_trait]
impl ClockService for Probe {
    /// Waits for its release while it holds something.
    async fn get_time(
        &self,
        _: Request<GetTimeRequest>,
    ) -> Result<Response<GetTimeResponse>, Status> {
        let release = self.0.release.notified();
        let held = Held(Arc::clone(&self.0));
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
        release.await;
        drop(held);
        Ok(Response::new(GetTimeResponse::default()))
    }

    /// Panics.
    async fn set_time(
        &self,
        _: Request<SetTimeRequest>,
    ) -> Result<Response<SetTimeResponse>, Status> {
        panic!("secret of the handler");
    }

    /// Tells what its context says: caller, origin, seconds left.
    async fn settle(
        &self,
        request: Request<SettleRequest>,
    ) -> Result<Response<SettleResponse>, Status> {
        let context = RequestContext::of(&request);
        let left = context.deadline().remaining().map(|left| left.as_secs());
        let journal_head = format!(
            "{}|{}|{left:?}|{}",
            context.caller().subject(),
            context.origin(),
            context.trace().trace_id()
        );
        Ok(Response::new(SettleResponse { journal_head }))
    }
}

#[tonic::async_trait]
impl FeedService for Probe {
    type SubscribeStream =
        Pin<Box<dyn Stream<Item = Result<SubscribeResponse, Status>> + Send + 'static>>;

    /// One message, then silence; with the cursor `panic` a panic.
    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.0.streams.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
        let open = OpenStream(Arc::clone(&self.0));
        let panics = request.get_ref().cursor == "panic";
        let first = tokio_stream::once(Ok(SubscribeResponse::default()));
        let rest = futures::stream::poll_fn(move |_| {
            let _ = &open;
            assert!(!panics, "secret of the stream");
            std::task::Poll::Pending
        });
        Ok(Response::new(Box::pin(first.chain(rest))))
    }

    async fn get_head(
        &self,
        _: Request<GetHeadRequest>,
    ) -> Result<Response<GetHeadResponse>, Status> {
        Ok(Response::new(GetHeadResponse::default()))
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    pub clock: ManualClock,
    pub minter: Minter,
    pub readiness: Readiness,
    pub shutdown: CancellationToken,
    pub served: Served,
    pub ended: JoinHandle<bool>,
}

pub async fn start(limits: Limits) -> Server {
    start_with(limits, ServeOptions::default()).await
}

pub async fn start_with(limits: Limits, options: ServeOptions) -> Server {
    start_knowing(&[kefu_api::FILE_DESCRIPTOR_SET], limits, options).await
}

/// A server that has heard of these methods only, and serves the others as well.
pub async fn start_knowing(known: &[&[u8]], limits: Limits, options: ServeOptions) -> Server {
    let serving = options;
    let clock = ManualClock::new("2024-02-09T08:00:00Z".parse::<Timestamp>().unwrap());
    let shared: kefu_clock::SharedClock = Arc::new(clock.clone());
    let minter = Minter::generate("https://issuer.example", "kefu", shared.clone()).unwrap();
    let options = AuthenticatorOptions::new("https://issuer.example", "kefu");
    let authenticator = Authenticator::new(options, minter.key_source(), shared).unwrap();

    let sets = || [kefu_api::FILE_DESCRIPTOR_SET];
    let methods = Methods::from_descriptors(known.iter().copied()).unwrap();
    let readiness = Readiness::new(["kefu.feed.v1.FeedService"]);
    let seen = Arc::new(Seen::default());
    let probe = Probe(Arc::clone(&seen));
    let routes = Routes::new(ClockServiceServer::new(probe.clone()))
        .add_service(FeedServiceServer::new(probe))
        .add_service(readiness.service());
    let routes = with_reflection(routes, sets()).unwrap();

    let shutdown = CancellationToken::new();
    let stack = Stack::new(methods, Arc::new(authenticator), shutdown.clone()).with_limits(limits);
    let served = stack.wrap(routes);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = serve(listener, served.clone(), readiness.clone(), shutdown.clone(), serving);
    let ended = tokio::spawn(async { serving.await.unwrap() });
    Server { address, seen, clock, minter, readiness, shutdown, served, ended }
}

impl Server {
    /// A connection of its own.
    pub fn remote(&self) -> Transport {
        let uri = format!("http://{}", self.address);
        Transport::remote(&uri, &ChannelOptions::default()).unwrap()
    }

    pub fn local(&self) -> Transport {
        Transport::local(self.served.clone())
    }

    /// Every test of the stack holds for both.
    pub fn both(&self) -> [Transport; 2] {
        [self.remote(), self.local()]
    }

    pub fn token(&self) -> String {
        let unit = "group/north".parse().unwrap();
        let caller = Caller::staff("u-17", unit, ["clerk"]);
        self.minter.mint(&caller, SignedDuration::from_hours(1)).unwrap()
    }
}

pub fn clock(transport: Transport) -> ClockServiceClient<Transport> {
    ClockServiceClient::new(transport)
}

pub fn feed(transport: Transport) -> FeedServiceClient<Transport> {
    FeedServiceClient::new(transport)
}

pub fn with_header<T>(message: T, name: &'static str, value: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(name, value.parse().unwrap());
    request
}

pub fn reason(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
