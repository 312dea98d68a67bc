//! The one place where a panic ends.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{Reply, refusal, trailers};

#[derive(Clone, Copy)]
pub(super) struct RescueLayer;

impl<S> Layer<S> for RescueLayer {
    type Service = Rescue<S>;

    fn layer(&self, inner: S) -> Rescue<S> {
        Rescue { inner }
    }
}

#[derive(Clone)]
pub(super) struct Rescue<S> {
    inner: S,
}

impl<S, B> Service<Request<Body>> for Rescue<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Rescued<B>>;
    type Error = Infallible;
    type Future = Reply<Rescued<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The layers below begin their work in `call` already. What a panic leaves behind is dropped, and the next
        // call has its own: there is no state to be seen half changed.
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Err(_) => {
                let response = refusal(panicked());
                Box::pin(async { Ok(response) })
            }
            Ok(reply) => Box::pin(async move {
                match AssertUnwindSafe(reply).catch_unwind().await {
                    Ok(Ok(response)) => Ok(response.map(|inner| Rescued { inner: Some(inner) })),
                    Ok(Err(never)) => match never {},
                    Err(_) => Ok(refusal(panicked())),
                }
            }),
        }
    }
}

/// Where it was is in the log, from the hook that `kefu_telemetry::init` installs. Its words may hold personal data and
/// go nowhere.
fn panicked() -> Status {
    crate::internal("a panic")
}

/// A body whose panics become its last status.
pub(super) struct Rescued<B> {
    inner: Option<B>,
}

impl<B> Default for Rescued<B> {
    fn default() -> Self {
        Self { inner: None }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Rescued<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx))) {
            Ok(frame) => frame,
            Err(_) => {
                self.inner = None;
                Poll::Ready(Some(Ok(trailers(&panicked()))))
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
