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
use crate::{Deadline, Failure, Language, Method, parse_timeout};

/// How long a body of which nobody knows whether it is a stream may say nothing before it ends with the server. An answer
/// whose command was executed comes in one piece; only a stream is silent for that long.
const SILENCE: Duration = Duration::from_secs(1);

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
                let language = Language::of(request.headers());
                let response = refusal(crate::invalid(language, "grpc-timeout", fault));
                return Box::pin(async { Ok(response) });
            }
        };
        let method = request.extensions().get::<Arc<Method>>();
        let streaming = method.is_none_or(|method| method.streaming);
        let known = method.is_some_and(|method| method.is_known());
        let deadline = self.layer.deadline(asked, streaming);
        request.extensions_mut().insert(deadline);
        let shutdown = self.layer.shutdown.clone();
        let shutdown = streaming.then_some(Shutdown { token: shutdown, known });
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

/// The end of the server, for what is a stream or, if the method is not `known`, may be one.
#[derive(Clone)]
struct Shutdown {
    token: CancellationToken,
    known: bool,
}

impl Shutdown {
    /// Whether the body must end before its next frame: a stream that always has something to send must end, too. What may
    /// be the answer to a command is given to the caller, who would otherwise believe that nothing was done.
    fn is_over(&self) -> bool {
        self.known && self.token.is_cancelled()
    }

    async fn over(self) {
        self.token.cancelled_owned().await;
        if !self.known {
            tokio::time::sleep(SILENCE).await;
        }
    }
}

/// A body that ends with its deadline or, if it is a stream, with the server.
pub(super) struct Ending<B> {
    inner: Option<B>,
    deadline: Deadline,
    shutdown: Option<Shutdown>,
    /// What ends it early; made when the body first has to wait, which most never do.
    end: Option<BoxFuture<'static, Status>>,
}

impl<B> Default for Ending<B> {
    fn default() -> Self {
        Self { inner: None, deadline: Deadline(None), shutdown: None, end: None }
    }
}

async fn ended(deadline: Deadline, shutdown: Option<Shutdown>) -> Status {
    let over = async {
        match deadline.0 {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    };
    let stopping = async {
        match shutdown {
            Some(shutdown) => shutdown.over().await,
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
        let late = this.deadline.remaining().is_some_and(|left| left.is_zero());
        let overdue = this.shutdown.as_ref().is_some_and(|shutdown| late || shutdown.is_over());
        if !overdue {
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::{FutureExt as _, StreamExt as _, stream::BoxStream};
    use http::HeaderMap;
    use http_body::Body as _;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    /// What an upstream sends, piece by piece.
    struct Pieces(BoxStream<'static, Frame<Bytes>>);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_next_unpin(cx).map(|frame| frame.map(Ok))
        }
    }

    fn ending(
        known: bool,
    ) -> (mpsc::UnboundedSender<Frame<Bytes>>, CancellationToken, Ending<Pieces>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let inner = Pieces(UnboundedReceiverStream::new(receiver).boxed());
        let token = CancellationToken::new();
        let shutdown = Some(Shutdown { token: token.clone(), known });
        (
            sender,
            token,
            Ending { inner: Some(inner), deadline: Deadline(None), shutdown, end: None },
        )
    }

    async fn next(body: &mut Ending<Pieces>) -> Option<Result<Frame<Bytes>, Infallible>> {
        poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
    }

    fn status(frame: Option<Result<Frame<Bytes>, Infallible>>) -> Option<String> {
        let frame = frame?.unwrap();
        let trailers = frame.trailers_ref()?;
        Some(trailers.get(Status::GRPC_STATUS)?.to_str().unwrap().to_owned())
    }

    fn ok() -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        trailers.insert(Status::GRPC_STATUS, "0".parse().unwrap());
        Frame::trailers(trailers)
    }

    #[tokio::test]
    async fn x08_an_answer_that_comes_in_pieces_while_the_server_stops_is_whole() {
        let (upstream, shutdown, mut body) = ending(false);
        shutdown.cancel();
        assert!(next(&mut body).now_or_never().is_none(), "on its way");
        upstream.send(Frame::data(Bytes::from_static(b"answer"))).unwrap();
        assert!(next(&mut body).await.unwrap().unwrap().is_data());
        assert!(next(&mut body).now_or_never().is_none(), "its status is still on its way");
        upstream.send(ok()).unwrap();
        assert_eq!(status(next(&mut body).await).as_deref(), Some("0"));
    }

    #[tokio::test]
    async fn x08_a_stream_ends_with_the_server_even_if_it_never_falls_silent() {
        let (upstream, shutdown, mut body) = ending(true);
        upstream.send(Frame::data(Bytes::from_static(b"event"))).unwrap();
        shutdown.cancel();
        assert_eq!(status(next(&mut body).await).as_deref(), Some("14"), "UNAVAILABLE");
    }
}
