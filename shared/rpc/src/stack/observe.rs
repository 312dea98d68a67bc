//! One span and one measurement for each call.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use kefu_telemetry::{TraceContext, metrics, server_span};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use super::Reply;
use crate::{Method, Methods};

#[derive(Clone)]
pub(super) struct ObserveLayer {
    methods: Methods,
    other: Arc<Method>,
}

impl ObserveLayer {
    pub(super) fn new(methods: Methods) -> Self {
        Self { methods, other: Arc::new(Method::other()) }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub(super) struct Observe<S> {
    inner: S,
    layer: ObserveLayer,
}

impl<S, B> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Observed<B>>;
    type Error = Infallible;
    type Future = Reply<Observed<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = self.layer.methods.get(request.uri().path()).unwrap_or(&self.layer.other);
        let method = Arc::clone(method);
        let parent = TraceContext::from_headers(request.headers());
        let (span, ids) = server_span(parent, &method.service, &method.name);
        request.extensions_mut().insert(ids);
        request.extensions_mut().insert(Arc::clone(&method));
        let record = Record {
            method,
            started: kefu_clock::monotonic(),
            in_flight: Some(metrics::call_started()),
            span: span.clone(),
        };
        let reply = self.inner.call(request).instrument(span);
        Box::pin(async move {
            let mut record = record;
            let response = reply.await?;
            // An error before any message has its status in the headers.
            if let Some(code) = code_in(response.headers()) {
                record.finish(code);
            }
            Ok(response.map(|inner| Observed { inner, record }))
        })
    }
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

/// Written down when the status is known; a call that is dropped before counts as cancelled.
struct Record {
    method: Arc<Method>,
    started: Instant,
    in_flight: Option<metrics::CallInFlight>,
    span: Span,
}

impl Record {
    fn finish(&mut self, code: Code) {
        let Some(in_flight) = self.in_flight.take() else { return };
        let number = i32::from(code);
        self.span.record("rpc.grpc.status_code", number);
        // By the conventions only what is the server's fault makes the span an error.
        let ours = matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        );
        if ours {
            self.span.record("otel.status_code", "ERROR");
        }
        let took = kefu_clock::monotonic().saturating_duration_since(self.started);
        in_flight.finished(&self.method.service, &self.method.name, number, took);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.finish(Code::Cancelled);
    }
}

/// The body of an answer, watched for its status.
pub(super) struct Observed<B> {
    inner: B,
    record: Record,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Observed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let entered = this.record.span.enter();
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        drop(entered);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.record.finish(code_in(trailers).unwrap_or(Code::Unknown));
                }
            }
            Poll::Ready(Some(Err(_)) | None) => this.record.finish(Code::Unknown),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
