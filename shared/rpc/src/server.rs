//! From the listening socket to the last answer.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;
use tower::Service as _;

use crate::{PeerAddress, Readiness, Served, greeting};

/// Bytes of one stream that are taken in before its reader has asked for them.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;

/// The same for a connection: more than all its streams together may have. Connections to a context carry the calls of
/// many callers; if this could run out, a few who read slowly would stop all the others.
pub(crate) const CONNECTION_WINDOW: u32 = 1 << 30;

/// Bytes of metadata in one request or answer.
pub(crate) const MAX_HEADERS: u32 = 32 * 1024;

/// How long a client of HTTP/1.1 may take to send its request's head.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);

/// What one listening socket takes on, and how it ends.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// Streams at once on one connection; more wait at the client, unheard, until their deadlines. Therefore more than
    /// [`crate::Limits`] take on: whoever is too much is told so.
    pub streams_per_connection: u32,
    /// How long a new connection may take to say which protocol it speaks before it is closed.
    pub greeting_timeout: Duration,
    /// How often a silent connection is asked whether it lives.
    pub keep_alive_interval: Duration,
    /// How long that may take before the connection is closed.
    pub keep_alive_timeout: Duration,
    /// How long calls may still take after shutdown began; what is left then is cut.
    pub drain: Duration,
    /// Whether to speak HTTP/1.1 as well, for browsers and plain HTTP clients.
    pub http1: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            connections: 8192,
            streams_per_connection: 8192,
            greeting_timeout: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            http1: false,
        }
    }
}

/// Serves until `shutdown` is cancelled, then drains: says that it is not ready, accepts nothing more, finishes what is
/// under way and returns.
///
/// Returns whether everything was finished; `false` means that `options.drain` was over first.
///
/// # Errors
/// Only if the listener is no listener any more; trouble with single connections ends these.
pub async fn serve(
    listener: TcpListener,
    service: Served,
    readiness: Readiness,
    shutdown: CancellationToken,
    options: ServeOptions,
) -> io::Result<bool> {
    let tracker = TaskTracker::new();
    let places = Arc::new(Semaphore::new(options.connections));
    // Cancelled when the time for draining is over.
    let cut = CancellationToken::new();
    let http = builder(&options);

    let accept = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let Some((stream, peer)) = accepted(listener.accept().await).await? else { continue };
            // Without it small answers wait for the acknowledgement of earlier ones. If it cannot be set, they do.
            let _ = stream.set_nodelay(true);
            let (http, service, shutdown) = (http.clone(), service.clone(), shutdown.clone());
            let (cut, patience) = (cut.clone(), options.greeting_timeout);
            tracker.spawn(async move {
                // Whoever has not said anything by then has nothing under way.
                let greeting = greeting::arrives(&stream, patience);
                if shutdown.run_until_cancelled(greeting).await == Some(true) {
                    let connection = connection(http, stream, PeerAddress(peer), service, shutdown);
                    cut.run_until_cancelled_owned(connection).await;
                }
                drop(place);
            });
        }
        Ok::<_, io::Error>(())
    };
    shutdown.run_until_cancelled(accept).await.transpose()?;

    readiness.drain();
    // Closes the socket: the kernel refuses further connections at once, instead of letting them wait for nothing.
    drop(listener);
    tracker.close();
    let finished = tokio::time::timeout(options.drain, tracker.wait()).await.is_ok();
    if !finished {
        tracing::warn!(connections = tracker.len(), "cut connections that did not finish in time");
        cut.cancel();
        tracker.wait().await;
    }
    Ok(finished)
}

fn builder(options: &ServeOptions) -> auto::Builder<TokioExecutor> {
    let streams = usize::try_from(options.streams_per_connection).unwrap_or(usize::MAX);
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams_per_connection)
        // Calls that are given up before they were heard. Beyond its limit of 20 the HTTP/2 library ends the whole
        // connection, which to a context is that of a gateway: a few impatient callers would cost all others theirs.
        .max_pending_accept_reset_streams(streams)
        .keep_alive_interval(options.keep_alive_interval)
        .keep_alive_timeout(options.keep_alive_timeout)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS);
    if options.http1 { http } else { http.http2_only() }
}

/// Errors of accepting concern one connection (reset before it was taken), or pass (no file descriptors left): none is
/// a reason to stop serving, but the latter would spin.
async fn accepted<T>(accepted: io::Result<T>) -> io::Result<Option<T>> {
    match accepted {
        Ok(connection) => Ok(Some(connection)),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(None)
        }
    }
}

fn connection(
    http: auto::Builder<TokioExecutor>,
    stream: TcpStream,
    peer: PeerAddress,
    service: Served,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let handler = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        // Every layer of the stack is always ready, so the service need not be asked.
        service.clone().call(request)
    });
    async move {
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), handler));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        if let Err(error) = ended {
            // Broken frames, broken connections: the other side's affair.
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// A token that is cancelled by SIGTERM or SIGINT.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn shutdown_on_signal() -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cancel = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    Ok(token)
}
