//! A context whose methods are what a test says, behind the stack that real contexts have.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{Arc, RwLock},
    time::Duration,
};

use futures::{Stream, future::BoxFuture};
use http::Response;
use kefu_identity::Authenticator;
use kefu_rpc::{
    ChannelOptions, Limits, Methods, Readiness, ServeOptions, Served, Stack, Transport, serve,
};
use kefu_service::LocalPeer;
use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, body::Body, service::Routes};
use tonic_prost::ProstCodec;
use tower::Service as _;

use crate::world::Way;

type Method = Arc<dyn Fn(http::Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;
type Table = Arc<RwLock<HashMap<String, Method>>>;

pub type Messages<A> = std::pin::Pin<Box<dyn Stream<Item = Result<A, Status>> + Send>>;

pub struct Fake {
    methods: Table,
    pub readiness: Readiness,
    served: Served,
    place: LocalPeer,
    address: Option<SocketAddr>,
    /// Ends the present server at once, with all its connections.
    kill: CancellationToken,
    serving: Option<JoinHandle<bool>>,
}

impl Fake {
    pub async fn start(name: &'static str, way: Way, authenticator: Arc<Authenticator>) -> Self {
        let methods = Table::default();
        let readiness = Readiness::new([] as [&str; 0]);
        let routes = Routes::new(readiness.service()).prepare();
        let known = Arc::clone(&methods);
        let handlers = tower::service_fn(move |request: http::Request<Body>| {
            let method = known.read().unwrap().get(request.uri().path()).cloned();
            let mut routes = routes.clone();
            async move {
                match method {
                    Some(method) => Ok::<_, Infallible>(method(request).await),
                    None => routes.call(request).await,
                }
            }
        });
        let described = Methods::from_descriptors([kefu_api::FILE_DESCRIPTOR_SET]).unwrap();
        // A token of its own: when the server is killed, streams are not ended politely.
        let served = Stack::new(described, authenticator, CancellationToken::new())
            .with_limits(Limits::default())
            .wrap_service(handlers);
        let place = LocalPeer::new(name);
        let mut fake = Self {
            methods,
            readiness,
            served,
            place,
            address: None,
            kill: CancellationToken::new(),
            serving: None,
        };
        if way == Way::Remote {
            fake.address = Some(([127, 0, 0, 1], 0).into());
        }
        fake.revive().await;
        fake
    }

    pub fn transport(&self) -> Transport {
        match self.address {
            None => self.place.transport(),
            Some(address) => {
                let options = ChannelOptions { connections: 2, ..ChannelOptions::default() };
                Transport::remote(&format!("http://{address}"), &options).unwrap()
            }
        }
    }

    /// Ends it without a word.
    pub async fn kill(&mut self) {
        self.place.disconnect();
        self.kill.cancel();
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
    }

    /// Starts it, where it was before.
    pub async fn revive(&mut self) {
        let Some(address) = self.address else {
            self.place.connect(self.served.clone());
            return;
        };
        let listener = TcpListener::bind(address).await.unwrap();
        self.address = Some(listener.local_addr().unwrap());
        self.kill = CancellationToken::new();
        let options = ServeOptions { drain: Duration::ZERO, ..ServeOptions::default() };
        // Serving says NOT_SERVING for good at its end, which a killed server does not get to say.
        let unheard = Readiness::new([] as [&str; 0]);
        let served = self.served.clone();
        let serving = serve(listener, served, unheard, self.kill.clone(), options);
        self.serving = Some(tokio::spawn(async { serving.await.unwrap() }));
    }

    /// Answers `path` with raw HTTP.
    pub fn raw<F>(
        &self,
        path: &str,
        method: impl Fn(http::Request<Body>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let method: Method = Arc::new(move |request| Box::pin(method(request)));
        self.methods.write().unwrap().insert(path.to_owned(), method);
    }

    /// Answers `path` with one message.
    pub fn unary<Q, A, F>(
        &self,
        path: &str,
        method: impl Fn(Request<Q>) -> F + Clone + Send + Sync + 'static,
    ) where
        Q: Message + Default + Send + 'static,
        A: Message + Send + 'static,
        F: Future<Output = Result<A, Status>> + Send + 'static,
    {
        self.raw(path, move |request| {
            let method = method.clone();
            let service = tower::service_fn(move |request: Request<Q>| {
                let answer = method(request);
                async move { answer.await.map(tonic::Response::new) }
            });
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<A, Q>::default());
            async move { grpc.unary(service, request).await }
        });
    }

    /// Answers `path` with a stream.
    pub fn stream<Q, A, F>(
        &self,
        path: &str,
        method: impl Fn(Request<tonic::Streaming<Q>>) -> F + Clone + Send + Sync + 'static,
    ) where
        Q: Message + Default + Send + 'static,
        A: Message + Send + 'static,
        F: Future<Output = Result<Messages<A>, Status>> + Send + 'static,
    {
        self.raw(path, move |request| {
            let method = method.clone();
            let service = tower::service_fn(move |request: Request<tonic::Streaming<Q>>| {
                let answer = method(request);
                async move { answer.await.map(tonic::Response::new) }
            });
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<A, Q>::default());
            async move { grpc.streaming(service, request).await }
        });
    }
}
