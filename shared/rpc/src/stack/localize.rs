//! Refusals for people who read Chinese, in one place for all who refuse.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::Reply;
use crate::{Language, in_language, status_in};

#[derive(Clone, Copy)]
pub(super) struct LocalizeLayer;

impl<S> Layer<S> for LocalizeLayer {
    type Service = Localize<S>;

    fn layer(&self, inner: S) -> Localize<S> {
        Localize { inner }
    }
}

#[derive(Clone)]
pub(super) struct Localize<S> {
    inner: S,
}

impl<S, B> Service<Request<Body>> for Localize<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Localized<B>>;
    type Error = Infallible;
    type Future = Reply<Localized<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let language = Language::of(request.headers());
        let reply = self.inner.call(request);
        Box::pin(async move {
            let mut response = reply.await?;
            // An error before any message has its status in the headers.
            localize(response.headers_mut(), language);
            Ok(response.map(|inner| Localized { inner, language }))
        })
    }
}

/// Adds to the status that is in these headers what it means in Chinese.
fn localize(headers: &mut HeaderMap, language: Language) {
    if language == Language::English {
        return;
    }
    let Some(status) = status_in(headers).filter(|status| status.code() != Code::Ok) else {
        return;
    };
    // Encoded by whoever knows how; of these headers nothing else changes.
    let mut written = HeaderMap::new();
    if in_language(status, language).add_header(&mut written).is_ok()
        && let Some(details) = written.remove(Status::GRPC_STATUS_DETAILS)
    {
        headers.insert(Status::GRPC_STATUS_DETAILS, details);
    }
}

/// The body of an answer, whose trailers may refuse it after all.
pub(super) struct Localized<B> {
    inner: B,
    language: Language,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Localized<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let language = self.language;
        Pin::new(&mut self.inner).poll_frame(cx).map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                localize(trailers, language);
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
