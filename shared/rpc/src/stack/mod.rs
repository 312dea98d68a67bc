//! Everything that a call passes on its way to a handler, in one place.

mod admit;
mod authenticate;
mod deadline;
mod localize;
mod observe;
mod rescue;

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{Request, Response};
use kefu_identity::{Authenticator, Authorizer};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, service::Routes};
use tower::{Service, ServiceBuilder, util::BoxCloneSyncService};

use crate::Methods;

pub use authenticate::token_refused;

/// A service with its whole stack around it: what [`crate::serve`] puts on a socket and [`crate::Transport::local`]
/// calls inside the process.
pub type Served = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

type Reply<B> = BoxFuture<'static, Result<Response<B>, Infallible>>;

/// How much one server takes on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls that are answered at once; more are refused.
    pub calls: usize,
    /// Streams that are open at once, counted apart so that watchers cannot keep callers out.
    pub streams: usize,
    /// The deadline of a call whose caller sets none.
    pub default_deadline: Duration,
    /// The longest that a call may take, whatever its caller says.
    pub max_deadline: Duration,
    /// The same for streams whose caller sets a deadline; others have none.
    pub max_stream_deadline: Duration,
    /// What a refused caller is told to wait.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 1024,
            streams: 4096,
            default_deadline: Duration::from_secs(10),
            max_deadline: Duration::from_secs(60),
            max_stream_deadline: Duration::from_secs(24 * 3600),
            retry_after: Duration::from_millis(250),
        }
    }
}

/// The stack of one server.
#[derive(Clone, Debug)]
pub struct Stack {
    methods: Methods,
    authenticator: Arc<Authenticator>,
    public: Option<authenticate::PublicMethods>,
    limits: Limits,
    shutdown: CancellationToken,
}

impl Stack {
    /// A stack for the given methods. When `shutdown` is cancelled, open streams are ended with `UNAVAILABLE`, so that
    /// their watchers go to another replica; calls are finished.
    pub fn new(
        methods: Methods,
        authenticator: Arc<Authenticator>,
        shutdown: CancellationToken,
    ) -> Self {
        Self { methods, authenticator, public: None, limits: Limits::default(), shutdown }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same for a server that decodes: a call without a token that no policy permits to everybody is refused before
    /// anything of it is read. Without this, who is anonymous gets as far as the handler, which asks the policies itself.
    #[must_use]
    pub fn with_permissions(self, authorizer: &Authorizer) -> Self {
        let public = authenticate::PublicMethods::of(&self.methods, authorizer);
        Self { public: Some(public), ..self }
    }

    /// Puts the stack around the handlers.
    pub fn wrap(&self, routes: Routes) -> Served {
        self.wrap_service(routes.prepare())
    }

    /// Puts the stack around something that answers calls otherwise than by routes.
    pub fn wrap_service<S>(&self, service: S) -> Served
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let service = ServiceBuilder::new()
            // One type of body for whoever serves it.
            .map_response(|response: Response<_>| response.map(Body::new))
            // 1. Span, metrics and names: outermost, so that refusals of the layers below are counted as well.
            .layer(observe::ObserveLayer::new(self.methods.clone()))
            // 2. Whatever is refused below, by a layer, a handler or a context behind this server, is said in Chinese to
            //    whoever reads that.
            .layer(localize::LocalizeLayer)
            // 3. A panic in anything below, handler or stream, becomes INTERNAL.
            .layer(rescue::RescueLayer)
            // 4. Refuse what is too much before spending anything on it.
            .layer(admit::AdmitLayer::new(&self.limits))
            // 5. The deadline, and the end of streams at shutdown.
            .layer(deadline::DeadlineLayer::new(&self.limits, self.shutdown.clone()))
            // 6. Who calls; the most expensive step, hence the last. What he may do is asked by the handler, which
            //    knows the org unit.
            .layer(authenticate::AuthenticateLayer::new(
                Arc::clone(&self.authenticator),
                self.public.clone(),
            ))
            .service(service);
        BoxCloneSyncService::new(service)
    }
}

/// A response which is nothing but a status.
fn refusal<B: Default>(status: Status) -> Response<B> {
    status.into_http()
}

/// Health and reflection: open to everybody, and answered even by a server that is full.
fn is_infrastructure(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.")
}

/// The frame that ends a stream with a status.
fn trailers(status: &Status) -> http_body::Frame<bytes::Bytes> {
    let mut headers = http::HeaderMap::new();
    if status.add_header(&mut headers).is_err() {
        headers.insert(Status::GRPC_STATUS, http::HeaderValue::from_static("2"));
    }
    http_body::Frame::trailers(headers)
}
