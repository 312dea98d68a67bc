//! How one context reaches another: over a socket, or inside the process.

use std::{
    error::Error,
    fmt,
    str::FromStr as _,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use tonic::{
    Status, TimeoutExpired,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::Service;

use crate::Served;

/// How a channel finds out that the other side is gone, and how long it waits for it.
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How often to ask a silent connection whether it lives.
    pub keep_alive_interval: Duration,
    /// How long to wait for that answer before connecting anew.
    pub keep_alive_timeout: Duration,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            keep_alive_interval: Duration::from_secs(5),
            keep_alive_timeout: Duration::from_secs(2),
        }
    }
}

/// The way to another service. Generated clients and undecoded requests go through it alike; clones share one
/// connection.
///
/// A failure to get through comes as `UNAVAILABLE`, and a deadline that passes on the way as `DEADLINE_EXCEEDED`.
#[derive(Clone)]
pub enum Transport {
    /// Over HTTP/2.
    Remote(Channel),
    /// By a call inside this process, through the same stack but without encoding frames.
    Local(Served),
}

impl Transport {
    /// A channel to `uri`, such as `http://127.0.0.1:50052`. It connects with the first call, and again when the
    /// connection is lost.
    ///
    /// # Errors
    /// If the URI is none.
    pub fn remote(uri: &str, options: &ChannelOptions) -> Result<Self, http::uri::InvalidUri> {
        let channel = Endpoint::from(Uri::from_str(uri)?)
            .connect_timeout(options.connect_timeout)
            .http2_keep_alive_interval(options.keep_alive_interval)
            .keep_alive_timeout(options.keep_alive_timeout)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .connect_lazy();
        Ok(Self::Remote(channel))
    }

    /// A service of this process.
    pub fn local(service: Served) -> Self {
        Self::Local(service)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Remote(_) => "Transport::Remote",
            Self::Local(_) => "Transport::Local",
        })
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        match self {
            Self::Remote(channel) => channel.poll_ready(cx).map_err(lost),
            Self::Local(service) => service.poll_ready(cx).map_err(|never| match never {}),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::Remote(channel) => {
                let reply = channel.call(request);
                Box::pin(async { reply.await.map_err(lost) })
            }
            Self::Local(service) => {
                let reply = service.call(request);
                Box::pin(async { reply.await.map_err(|never| match never {}) })
            }
        }
    }
}

/// The status of a call that got no answer. The channel's own word for a passed deadline is CANCELLED, which would tell
/// the caller that somebody gave up on purpose; and its texts name addresses, which are nobody's business.
fn lost(error: tonic::transport::Error) -> Status {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if current.is::<TimeoutExpired>() {
            return crate::deadline_exceeded();
        }
        cause = current.source();
    }
    tracing::debug!(error = ?error, "no answer");
    crate::context_unavailable("called", Duration::from_millis(250))
}
