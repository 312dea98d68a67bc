//! Connections to another service over HTTP/2.
//!
//! A request goes straight to the task that owns the connection; there is no further task between, as in tonic's
//! channel, whose queue and wake-up cost a gateway a good part of what a call costs it altogether. A request which that
//! task has not begun to send when its connection closes goes over the next one.

use std::{
    fmt,
    str::FromStr as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use http::{
    HeaderValue, Request, Response, Uri, Version,
    header::USER_AGENT,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::{
    client::legacy::connect::HttpConnector,
    rt::{TokioExecutor, TokioTimer},
};
use tonic::{Status, body::Body};
use tower::ServiceExt as _;

use crate::{ChannelOptions, Deadline, parse_timeout};

/// What this program calls itself where nobody else has put a name.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("kefu/", env!("CARGO_PKG_VERSION")));

/// What a caller who got no answer is told to wait.
const RETRY_AFTER: Duration = Duration::from_millis(250);

type Attempt = Shared<BoxFuture<'static, Result<SendRequest<Body>, Status>>>;

/// The address is none that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddress;

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an address like `http://kefu-ticket:50051`")
    }
}

impl std::error::Error for InvalidAddress {}

/// A few connections to one service, which clones share. Each is made when it is first needed, and again when it was
/// lost; whoever needs it at the time waits for the same attempt.
#[derive(Clone)]
pub struct Remote(Arc<Connections>);

struct Connections {
    uri: Uri,
    scheme: Scheme,
    authority: Authority,
    connector: HttpConnector,
    http: http2::Builder<TokioExecutor>,
    connect_timeout: Duration,
    lines: Box<[Mutex<Option<Attempt>>]>,
    next: AtomicUsize,
}

impl Remote {
    pub(crate) fn new(address: &str, options: &ChannelOptions) -> Result<Self, InvalidAddress> {
        let uri = Uri::from_str(address).map_err(|_| InvalidAddress)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(InvalidAddress);
        };
        if *scheme != Scheme::HTTP {
            return Err(InvalidAddress);
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .keep_alive_interval(options.keep_alive_interval)
            .keep_alive_timeout(options.keep_alive_timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(crate::server::STREAM_WINDOW)
            .initial_connection_window_size(crate::server::CONNECTION_WINDOW)
            .max_header_list_size(crate::server::MAX_HEADERS);
        Ok(Self(Arc::new(Connections {
            scheme: scheme.clone(),
            authority: authority.clone(),
            uri,
            connector,
            http,
            connect_timeout: options.connect_timeout,
            lines: (0..options.connections.max(1)).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
        })))
    }

    /// Sends a request whose URI is a path. Ends it when its `grpc-timeout` is over, unless a stack of this process
    /// does that already.
    pub(crate) async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let watched = request.extensions().get::<Deadline>().is_some();
        // A timeout that is none is for the other side to refuse.
        let limit = parse_timeout(request.headers()).ok().flatten().filter(|_| !watched);
        self.address(&mut request);
        match limit {
            None => self.send_now(request).await,
            Some(limit) => match tokio::time::timeout(limit, self.send_now(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(crate::deadline_exceeded()),
            },
        }
    }

    fn address(&self, request: &mut Request<Body>) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(self.0.scheme.clone());
        parts.authority = Some(self.0.authority.clone());
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        // With all three parts there a URI cannot be incomplete.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
    }

    async fn send_now(&self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        // A line may have closed a moment ago without our having heard; once on each, and once more on a new one.
        for _ in 0..=self.0.lines.len() {
            let mut sender = self.line().await?;
            let mut failure = match sender.try_send_request(request).await {
                Ok(response) => return Ok(response.map(Body::new)),
                Err(failure) => failure,
            };
            match failure.take_message() {
                // Not a byte of it has left this process.
                Some(unsent) => request = unsent,
                None => return Err(lost(&failure.into_error())),
            }
        }
        Err(crate::context_unavailable("called", RETRY_AFTER))
    }

    /// The next connection, in turn.
    async fn line(&self) -> Result<SendRequest<Body>, Status> {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.lines.len();
        let attempt = {
            let mut line = self.0.lines[turn].lock().unwrap_or_else(PoisonError::into_inner);
            match line.as_ref().map(|attempt| (attempt, attempt.peek())) {
                Some((_, Some(Ok(sender)))) if !sender.is_closed() => return Ok(sender.clone()),
                Some((attempt, None)) => attempt.clone(),
                _ => line.insert(self.connect()).clone(),
            }
        };
        attempt.await
    }

    fn connect(&self) -> Attempt {
        let Connections { uri, connector, http, connect_timeout, .. } = &*self.0;
        let (uri, connector, http) = (uri.clone(), connector.clone(), http.clone());
        let connecting = tokio::time::timeout(*connect_timeout, async move {
            let stream = connector.oneshot(uri).await.map_err(|error| lost(&error))?;
            let (sender, connection) =
                http.handshake(stream).await.map_err(|error| lost(&error))?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = ?error, "connection ended");
                }
            });
            Ok(sender)
        });
        let late = move |_| Err(crate::context_unavailable("called", RETRY_AFTER));
        let attempt = connecting.map(move |outcome| outcome.unwrap_or_else(late)).boxed().shared();
        // Goes on when the call that began it is given up: others may wait for it. And comes to its end without them:
        // whoever comes later must not take an old failure for one of the present.
        tokio::spawn(attempt.clone());
        attempt
    }
}

/// The status of a call that got no answer. The texts of the causes name addresses, which are nobody's business.
fn lost(error: &(dyn std::error::Error + 'static)) -> Status {
    tracing::debug!(error = ?error, "no answer");
    crate::context_unavailable("called", RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_or_a_host_is_refused() {
        for wrong in ["", "/", "kefu-ticket:50051", "https://kefu-ticket:50051", "http://"] {
            assert!(Remote::new(wrong, &ChannelOptions::default()).is_err(), "{wrong}");
        }
    }
}
