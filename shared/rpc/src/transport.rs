//! How one context reaches another: over a socket, or inside the process.

use std::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::Service;

use crate::{
    Served,
    remote::{InvalidAddress, Remote},
};

/// How a channel finds out that the other side is gone, and how long it waits for it.
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How often to ask a silent connection whether it lives.
    pub keep_alive_interval: Duration,
    /// How long to wait for that answer before connecting anew.
    pub keep_alive_timeout: Duration,
    /// How many connections share the calls. One is one task at each end, which is one core's work.
    pub connections: usize,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            keep_alive_interval: Duration::from_secs(5),
            // A machine that is short of time is slow to answer, too, and would lose all its calls at once.
            keep_alive_timeout: Duration::from_secs(5),
            connections: 1,
        }
    }
}

/// The way to another service. Generated clients and undecoded requests go through it alike; clones share its
/// connections.
///
/// A failure to get through comes as `UNAVAILABLE`, and a deadline that passes on the way as `DEADLINE_EXCEEDED`.
#[derive(Clone)]
pub enum Transport {
    /// Over HTTP/2.
    Remote(Remote),
    /// By a call inside this process, through the same stack but without encoding frames.
    Local(Served),
}

impl Transport {
    /// The way to `address`, such as `http://127.0.0.1:50052`. It connects with the first call, and again when the
    /// connection is lost.
    ///
    /// # Errors
    /// If the address is none.
    pub fn remote(address: &str, options: &ChannelOptions) -> Result<Self, InvalidAddress> {
        Remote::new(address, options).map(Self::Remote)
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
            Self::Remote(_) => Poll::Ready(Ok(())),
            Self::Local(service) => service.poll_ready(cx).map_err(|never| match never {}),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::Remote(remote) => Box::pin(remote.clone().send(request)),
            Self::Local(service) => {
                let reply = service.call(request);
                Box::pin(async { reply.await.map_err(|never| match never {}) })
            }
        }
    }
}
