//! What stands at the very front: tells gRPC from the other protocols and translates these.
//!
//! Browsers may call from pages of any origin. That takes nothing away from anybody: the gateway knows no cookies, and a
//! page has no token but its own.

mod http_status;
mod json;

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt as _;
use kefu_rpc::Served;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service, ServiceBuilder};
use tower_http::cors::{AllowHeaders, Any, Cors, CorsLayer};

pub use self::json::Json;

/// How long a browser may remember that it may call.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3600);

/// Takes gRPC, gRPC-Web and JSON; behind it there is only gRPC.
#[derive(Clone)]
pub struct Front {
    grpc: Served,
    others: Cors<Others>,
}

impl Front {
    /// `grpc` answers, `json` translates.
    pub fn new(grpc: Served, json: Json) -> Self {
        let cors = CorsLayer::new()
            .allow_origin(Any)
            .allow_methods([Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(Any)
            .max_age(PREFLIGHT_AGE);
        let web = ServiceBuilder::new()
            .map_response(|response: Response<Body>| response.map(of_any_size))
            .layer(GrpcWebLayer::new())
            .map_request(|request: Request<Body>| request.map(of_any_size))
            .service(grpc.clone());
        let web = Served::new(web);
        Self { others: cors.layer(Others { grpc: grpc.clone(), web, json }), grpc }
    }
}

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // What is behind is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if matches!(Speech::of(&request), Speech::Grpc) {
            return self.grpc.call(request);
        }
        Box::pin(self.others.call(request))
    }
}

/// Takes away what a body knows of its size: tonic-web passes on the size that it had before the translation, and hyper
/// would make a false `content-length` of that.
fn of_any_size(body: Body) -> Body {
    Body::new(body.map_frame(|frame| frame))
}

/// What a request is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Grpc,
    GrpcWeb,
    Json,
    Unknown,
}

impl Speech {
    fn of<B>(request: &Request<B>) -> Self {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
        let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let kind = kind.trim_ascii().to_ascii_lowercase();
        match &*kind {
            b"application/json" => Self::Json,
            kind if kind.starts_with(b"application/grpc-web") => Self::GrpcWeb,
            // Without trailers there is no status, and HTTP/1.1 hardly ever has any.
            kind if kind.starts_with(b"application/grpc")
                && request.version() == Version::HTTP_2 =>
            {
                Self::Grpc
            }
            _ => Self::Unknown,
        }
    }
}

#[derive(Clone)]
struct Others {
    grpc: Served,
    web: Served,
    json: Json,
}

impl Service<Request<Body>> for Others {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match Speech::of(&request) {
            Speech::Grpc => self.grpc.call(request),
            Speech::GrpcWeb => self.web.call(request),
            Speech::Json => {
                let (json, grpc) = (self.json.clone(), self.grpc.clone());
                Box::pin(async move { Ok(json.translate(grpc, request).await) })
            }
            Speech::Unknown => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                let accepted = "application/grpc (HTTP/2), application/grpc-web, application/json";
                let accepted = HeaderValue::from_static(accepted);
                response.headers_mut().insert("accept-post", accepted);
                Box::pin(async { Ok(response) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g01_the_content_type_tells_the_protocol() {
        let of = |content_type: &'static str, version| {
            let mut request = Request::new(());
            *request.version_mut() = version;
            let value = HeaderValue::from_static(content_type);
            request.headers_mut().insert(header::CONTENT_TYPE, value);
            Speech::of(&request)
        };
        for (content_type, speech) in [
            ("application/grpc", Speech::Grpc),
            ("application/grpc+proto", Speech::Grpc),
            ("application/grpc-web", Speech::GrpcWeb),
            ("application/grpc-web-text", Speech::GrpcWeb),
            ("application/json", Speech::Json),
            ("Application/JSON; charset=utf-8", Speech::Json),
            ("text/html", Speech::Unknown),
            ("", Speech::Unknown),
        ] {
            assert_eq!(of(content_type, Version::HTTP_2), speech, "{content_type}");
        }
        assert_eq!(of("application/grpc", Version::HTTP_11), Speech::Unknown);
    }
}
