//! The time a call has, and the end of streams at shutdown.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use kefu_api::error::v1::Reason;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::{Limits, Reply, refusal, trailers};
use crate::{Deadline, Failure, Method, parse_timeout};

#[derive(Clone)]
pub(super) struct DeadlineLayer {
    default: Duration,
    max: Duration,
    max_stream: Duration,
    shutdown: CancellationToken,
}

impl DeadlineLayer {
    pub(super) fn new(limits: &Limits, shutdown: CancellationToken) -> Self {
        Self {
            default: limits.default_deadline.min(limits.max_deadline),
            max: limits.max_deadline,
            max_stream: limits.max_stream_deadline,
            shutdown,
        }
    }

    fn deadline(&self, asked: Option<Duration>, streaming: bool) -> Deadline {
        let limit = match (asked, streaming) {
            (Some(asked), true) => Some(asked.min(self.max_stream)),
            (None, true) => None,
            (Some(asked), false) => Some(asked.min(self.max)),
            (None, false) => Some(self.default),
        };
        limit.map_or(Deadline(None), |limit| Deadline(None).at_most(limit))
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = WithDeadline<S>;

    fn layer(&self, inner: S) -> WithDeadline<S> {
        WithDeadline { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub(super) struct WithDeadline<S> {
    inner: S,
    layer: DeadlineLayer,
}

impl<S, B> Service<Request<Body>> for WithDeadline<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Ending<B>>;
    type Error = Infallible;
    type Future = Reply<Ending<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let asked = match parse_timeout(request.headers()) {
            Ok(asked) => asked,
            Err(fault) => {
                let response = refusal(crate::invalid("grpc-timeout", fault));
                return Box::pin(async { Ok(response) });
            }
        };
        let streaming = request.extensions().get::<Arc<Method>>().is_none_or(|m| m.streaming);
        let deadline = self.layer.deadline(asked, streaming);
        request.extensions_mut().insert(deadline);
        let shutdown = streaming.then(|| self.layer.shutdown.clone());
        let reply = self.inner.call(request);
        Box::pin(async move {
            let response = match deadline.0 {
                None => reply.await?,
                // Dropping the handler's future drops its transaction, which Postgres then rolls back.
                Some(at) => match tokio::time::timeout_at(at.into(), reply).await {
                    Ok(response) => response?,
                    Err(_) => return Ok(refusal(crate::deadline_exceeded())),
                },
            };
            Ok(response.map(|inner| Ending { inner: Some(inner), deadline, shutdown, end: None }))
        })
    }
}

/// A body that ends with its deadline or, if it is a stream, with the server.
pub(super) struct Ending<B> {
    inner: Option<B>,
    deadline: Deadline,
    shutdown: Option<CancellationToken>,
    /// What ends it early; made when the body first has to wait, which most never do.
    end: Option<BoxFuture<'static, Status>>,
}

impl<B> Default for Ending<B> {
    fn default() -> Self {
        Self { inner: None, deadline: Deadline(None), shutdown: None, end: None }
    }
}

async fn ended(deadline: Deadline, shutdown: Option<CancellationToken>) -> Status {
    let over = async {
        match deadline.0 {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    };
    let stopping = async {
        match shutdown {
            Some(shutdown) => shutdown.cancelled_owned().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => crate::deadline_exceeded(),
        () = stopping => Failure::new(
            Code::Unavailable,
            Reason::ContextUnavailable,
            "the server is stopping; resume the stream on another one",
        )
        .retry_after(Duration::from_millis(100))
        .into_status(),
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Ending<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(inner) = this.inner.as_mut() else { return Poll::Ready(None) };
        // A stream that always has something to send must end, too.
        let overdue = this.deadline.remaining().is_some_and(|left| left.is_zero())
            || this.shutdown.as_ref().is_some_and(CancellationToken::is_cancelled);
        if !(overdue && this.shutdown.is_some()) {
            if let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            if this.deadline.0.is_none() && this.shutdown.is_none() {
                return Poll::Pending;
            }
        }
        let (deadline, shutdown) = (this.deadline, &this.shutdown);
        let end = this.end.get_or_insert_with(|| Box::pin(ended(deadline, shutdown.clone())));
        match end.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(status) => {
                this.inner = None;
                this.end = None;
                Poll::Ready(Some(Ok(trailers(&status))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}
