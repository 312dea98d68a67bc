//! How much at once: what is too much is refused at once, instead of making everybody slow.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Limits, Reply, is_infrastructure, refusal};
use crate::Method;

#[derive(Clone)]
pub(super) struct AdmitLayer {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    retry_after: Duration,
}

impl AdmitLayer {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(limits.calls)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            retry_after: limits.retry_after,
        }
    }
}

impl<S> Layer<S> for AdmitLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Admit<S> {
        Admit { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub(super) struct Admit<S> {
    inner: S,
    layer: AdmitLayer,
}

impl<S, B> Service<Request<Body>> for Admit<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Admitted<B>>;
    type Error = Infallible;
    type Future = Reply<Admitted<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let streaming = request.extensions().get::<Arc<Method>>().is_none_or(|m| m.streaming);
        let places = if streaming { &self.layer.streams } else { &self.layer.calls };
        let permit = if is_infrastructure(request.uri().path()) {
            None
        } else if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
            Some(permit)
        } else {
            let response = refusal(crate::resource_exhausted(self.layer.retry_after));
            return Box::pin(async { Ok(response) });
        };
        let reply = self.inner.call(request);
        Box::pin(async move {
            let response = reply.await?;
            Ok(response.map(|inner| Admitted { inner: Some(inner), _permit: permit }))
        })
    }
}

/// A body that keeps its place until it has been sent or dropped.
pub(super) struct Admitted<B> {
    inner: Option<B>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<B> Default for Admitted<B> {
    fn default() -> Self {
        Self { inner: None, _permit: None }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Admitted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.inner.as_mut() {
            Some(inner) => Pin::new(inner).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}
