//! Passing calls on to the contexts, undecoded (G-01).

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use kefu_rpc::{Served, Transport};
use tonic::{Code, Status, body::Body};
use tower::Service;

/// What a caller of a context that does not answer is told to wait.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Headers that are about one connection and not about the call, and a browser's cookies, which say nothing here.
const OF_THE_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::EXPECT,
    header::COOKIE,
];

/// The contexts that calls are passed on to.
#[derive(Clone, Debug)]
pub struct Destinations(Arc<BTreeMap<&'static str, Transport>>);

impl Destinations {
    /// The ways to the contexts, by their names.
    pub fn new<'a>(contexts: impl IntoIterator<Item = (&'static str, &'a Transport)>) -> Self {
        let contexts = contexts.into_iter().map(|(name, way)| (name, way.clone()));
        Self(Arc::new(contexts.collect()))
    }

    fn of(&self, path: &str) -> Option<(&'static str, Transport)> {
        let context = path.strip_prefix("/kefu.")?.split_once('.')?.0;
        self.0.get_key_value(context).map(|(name, way)| (*name, way.clone()))
    }
}

/// Whether the gateway answers a call itself: its own services, health and reflection.
fn is_own(path: &str) -> bool {
    ["/kefu.gateway.", "/kefu.clock.", "/grpc."].iter().any(|own| path.starts_with(own))
}

/// Answers the gateway's own calls and passes the others on.
#[derive(Clone)]
pub struct Forward {
    own: Served,
    contexts: Destinations,
}

impl Forward {
    /// `own` answers what is not passed on.
    pub fn new(own: Served, contexts: Destinations) -> Self {
        Self { own, contexts }
    }
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Served is always ready, and the ways to the contexts are asked when one is chosen.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if let Some((context, way)) = self.contexts.of(path) {
            return Box::pin(async move { Ok(pass_on(context, way, request).await) });
        }
        if is_own(path) {
            return self.own.call(request);
        }
        let status = Status::unimplemented("no service behind this gateway has this method");
        Box::pin(async { Ok(status.into_http()) })
    }
}

async fn pass_on(
    context: &'static str,
    mut way: Transport,
    mut request: Request<Body>,
) -> Response<Body> {
    kefu_rpc::forward(&mut request);
    for name in &OF_THE_HOP {
        request.headers_mut().remove(name);
    }
    let answer = async {
        poll_fn(|cx| way.poll_ready(cx)).await?;
        way.call(request).await
    };
    match answer.await {
        Ok(response) if response.status() == StatusCode::OK => relay(context, response),
        Ok(response) => {
            // Something between us and the context answered in its place; a context always says 200.
            tracing::warn!(context, status = %response.status(), "an answer that is not gRPC");
            unavailable(context).into_http()
        }
        // The transport does not know the name of what it leads to.
        Err(status) if status.code() == Code::Unavailable => unavailable(context).into_http(),
        Err(status) => status.into_http(),
    }
}

fn unavailable(context: &str) -> Status {
    kefu_rpc::context_unavailable(context, RETRY_AFTER)
}

/// Sees to it that an answer that has begun ends with a status, whatever becomes of the context meanwhile.
fn relay(context: &'static str, response: Response<Body>) -> Response<Body> {
    if response.headers().contains_key(Status::GRPC_STATUS) {
        // All of the answer is in its headers.
        return response;
    }
    response.map(|inner| Body::new(Relayed { inner: Some(inner), context }))
}

struct Relayed {
    /// `None` once the status has been passed on.
    inner: Option<Body>,
    context: &'static str,
}

impl HttpBody for Relayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let frame = match std::task::ready!(Pin::new(inner).poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
            Some(Ok(frame)) => frame,
            broken => {
                let error = broken.and_then(Result::err);
                tracing::debug!(context = self.context, ?error, "an answer broke off");
                let mut trailers = HeaderMap::new();
                // Cannot fail: the status is our own, and fits.
                let _ = unavailable(self.context).add_header(&mut trailers);
                Frame::trailers(trailers)
            }
        };
        self.inner = None;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g01_the_package_decides_where_a_call_goes() {
        let way = Transport::local(Served::new(tower::service_fn(|_: Request<Body>| async {
            Ok(Status::ok("").into_http())
        })));
        let contexts = Destinations::new([("ticket", &way), ("survey", &way)]);
        let of = |path: &str| contexts.of(path).map(|(name, _)| name);
        assert_eq!(of("/kefu.ticket.v1.TicketService/GetTicket"), Some("ticket"));
        assert_eq!(of("/kefu.ticket.v9.NewService/NewMethod"), Some("ticket"));
        assert_eq!(of("/kefu.survey.v1.SurveyService/SubmitAnswer"), Some("survey"));
        for nowhere in [
            "",
            "/",
            "/kefu.feed.v1.FeedService/Subscribe",
            "/kefu.tickets.v1.TicketService/GetTicket",
            "/kefu.ticket",
            "/other.ticket.v1.TicketService/GetTicket",
            "kefu.ticket.v1.TicketService/GetTicket",
            "/kefu.gateway.v1.GatewayService/GetCustomerOverview",
        ] {
            assert_eq!(of(nowhere), None, "{nowhere}");
        }
    }
}
