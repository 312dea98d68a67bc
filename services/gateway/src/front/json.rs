//! JSON over HTTP for calls that are no streams: `POST /kefu.ticket.v1.TicketService/GetTicket` with the request in
//! protobuf's canonical JSON. The answer is the response in the same form, or a `google.rpc.Status` with its details and
//! the HTTP status that belongs to it. Metadata are headers in both directions.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full, Limited};
use kefu_identity::{AuthenticationError, Authenticator, bearer_token};
use kefu_rpc::{Fault, Language, Served};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, Value};
use serde::Serialize as _;
use tokio::sync::Semaphore;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;
use tower::Service as _;

use super::http_status::http_status;

/// Bytes of JSON in one request; what gRPC servers take by default, too.
const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// The same from somebody without a token: an answer to a survey is short.
const MAX_ANONYMOUS_REQUEST: usize = 64 * 1024;

/// Bytes of protobuf in one answer.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Whole requests and their answers that are in work at once. A request that is still being read is not counted: see
/// [`Json::call`]; how many of those there are is bounded by the connections, and each by [`PATIENCE`].
const AT_ONCE: usize = 128;

/// How long a caller may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The flag and the length before a message in gRPC.
const PREFIX: usize = 5;

/// Translates JSON to gRPC and back, by the descriptors of the API. Clones share their places.
#[derive(Clone, Debug)]
pub struct Json {
    pool: DescriptorPool,
    /// `google.rpc.Status`.
    status: MessageDescriptor,
    places: Arc<Semaphore>,
    authenticator: Arc<Authenticator>,
}

impl Json {
    /// A translator for every method of the API. A token is verified before the request is read.
    ///
    /// # Errors
    /// If the descriptors, all of which are compiled in, do not fit together.
    pub fn new(authenticator: Arc<Authenticator>) -> anyhow::Result<Self> {
        let mut pool = kefu_api::descriptor_pool().clone();
        // So that the details of errors, which are `Any`, can be written out.
        let details = DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
        let missing = details
            .file_descriptor_protos()
            .filter(|file| pool.get_file_by_name(file.name()).is_none());
        let missing: Vec<_> = missing.cloned().collect();
        pool.add_file_descriptor_protos(missing)?;
        let status = pool.get_message_by_name("google.rpc.Status");
        let status = status.ok_or_else(|| anyhow::anyhow!("google.rpc.Status is not described"))?;
        Ok(Self { pool, status, places: Arc::new(Semaphore::new(AT_ONCE)), authenticator })
    }

    /// Answers a JSON request by a call to `grpc`.
    pub(super) async fn translate(&self, grpc: Served, request: Request<Body>) -> Response<Body> {
        let language = Language::of(request.headers());
        match self.call(grpc, request, language).await {
            Ok(response) => response,
            // What is refused here has not come through the stack, which says it in the caller's language.
            Err(status) => self.refusal(&kefu_rpc::in_language(status, language)),
        }
    }

    async fn call(
        &self,
        mut grpc: Served,
        request: Request<Body>,
        language: Language,
    ) -> Result<Response<Body>, Status> {
        let method = self.method(&request)?;
        let (mut parts, body) = request.into_parts();
        let limit = match bearer_token(&parts.headers) {
            Ok(token) => {
                let caller = self.authenticator.authenticate(token);
                parts.extensions.insert(caller.map_err(|error| kefu_rpc::token_refused(&error))?);
                MAX_REQUEST
            }
            Err(AuthenticationError::Missing) => MAX_ANONYMOUS_REQUEST,
            Err(error) => return Err(kefu_rpc::token_refused(&error)),
        };
        // Not before: who sends slowly must not take the place of who does not.
        let bytes = read_request(&parts.headers, body, limit, language).await?;
        let Ok(_place) = self.places.try_acquire() else {
            return Err(kefu_rpc::resource_exhausted(Duration::from_millis(250)));
        };
        let message = parse(&bytes, method.input(), language)?;

        remove_of_http(&mut parts.headers);
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        parts.version = Version::HTTP_2;
        let body = Body::new(Full::new(framed(&message)));
        let response = match grpc.call(Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };

        let (mut parts, body) = response.into_parts();
        // An error without any message has its status in the headers.
        check_status(&parts.headers)?;
        let answer = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
            tracing::info!(%error, "an answer too large for JSON");
            Status::out_of_range("the answer is too large for JSON; use gRPC, or ask for less")
        })?;
        if !answer.trailers().map_or(Ok(false), check_status)? {
            return Err(Status::unknown("the answer has no status"));
        }
        let answer = unframed(answer.to_bytes())?;
        let answer = DynamicMessage::decode(method.output(), answer)
            .map_err(|error| kefu_rpc::internal(&error))?;
        remove_of_http(&mut parts.headers);
        self.response(StatusCode::OK, parts.headers, &answer)
    }

    fn method<B>(&self, request: &Request<B>) -> Result<MethodDescriptor, Status> {
        if request.method() != Method::POST {
            return Err(Status::unimplemented("calls are made by POST"));
        }
        let path = request.uri().path();
        let method = path.strip_prefix('/').and_then(|path| path.split_once('/')).and_then(
            |(service, method)| {
                let service = self.pool.get_service_by_name(service)?;
                service.methods().find(|known| known.name() == method)
            },
        );
        let method = method.ok_or_else(|| Status::unimplemented("there is no such method"))?;
        if method.is_client_streaming() || method.is_server_streaming() {
            return Err(Status::unimplemented("streams need gRPC or gRPC-Web"));
        }
        Ok(method)
    }

    fn response(
        &self,
        status: StatusCode,
        headers: HeaderMap,
        message: &DynamicMessage,
    ) -> Result<Response<Body>, Status> {
        let mut json = Vec::new();
        let written = message.serialize(&mut serde_json::Serializer::new(&mut json));
        // An `Any` of a type that this gateway does not know.
        written.map_err(|error| kefu_rpc::internal(&error))?;
        let mut response = Response::new(Body::new(Full::new(Bytes::from(json))));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        Ok(response)
    }

    fn refusal(&self, status: &Status) -> Response<Body> {
        let mut headers = status.metadata().clone().into_headers();
        remove_of_http(&mut headers);
        if status.code() == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
            // Whole seconds are all that the header knows.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        let http = http_status(status.code());
        let written = self.written(status).or_else(|| {
            // Details that cannot be written out are left out.
            self.written(&Status::new(status.code(), status.message()))
        });
        let response = written.and_then(|message| self.response(http, headers, &message).ok());
        response.unwrap_or_else(|| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http;
            response
        })
    }

    /// The status as a `google.rpc.Status` that can be written as JSON.
    fn written(&self, status: &Status) -> Option<DynamicMessage> {
        let mut message = DynamicMessage::decode(self.status.clone(), status.details()).ok()?;
        message.set_field_by_name("code", Value::I32(status.code().into()));
        message.set_field_by_name("message", Value::String(status.message().to_owned()));
        message.serialize(serde_json::value::Serializer).ok()?;
        Some(message)
    }
}

async fn read_request(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    language: Language,
) -> Result<Bytes, Status> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(Status::invalid_argument("send the request without content-encoding"));
    }
    match tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect()).await {
        Err(_) => Err(kefu_rpc::deadline_exceeded()),
        Ok(Ok(bytes)) => Ok(bytes.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let english = format!("is larger than {limit} bytes");
            let chinese = format!("超过 {limit} 字节");
            Err(kefu_rpc::invalid(language, "body", Fault::new("TOO_LARGE", english, chinese)))
        }
        Ok(Err(_)) => Err(Status::cancelled("the request broke off")),
    }
}

fn parse(
    bytes: &[u8],
    form: MessageDescriptor,
    language: Language,
) -> Result<DynamicMessage, Status> {
    if bytes.is_empty() {
        return Ok(DynamicMessage::new(form));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let message = DynamicMessage::deserialize(form, &mut reader);
    message.and_then(|message| reader.end().map(|()| message)).map_err(|error| {
        let english = format!("is not the request's JSON: {error}");
        let chinese = format!("不是该请求的有效 JSON：{error}");
        kefu_rpc::invalid(language, "body", Fault::new("MALFORMED", english, chinese))
    })
}

/// What belongs to one message or connection of HTTP, or is gRPC's own, and is no metadata.
fn remove_of_http(headers: &mut HeaderMap) {
    for name in [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
    for name in [
        "grpc-encoding",
        "grpc-accept-encoding",
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
    ] {
        headers.remove(name);
    }
}

fn framed(message: &DynamicMessage) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX + length);
    framed.put_u8(0);
    // Bounded by the request's size.
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.put_slice(&message.encode_to_vec());
    framed.freeze()
}

/// The one message of an answer that is not compressed, because we did not offer to take it so.
fn unframed(mut answer: Bytes) -> Result<Bytes, Status> {
    let broken = || kefu_rpc::internal("an answer that is not one plain gRPC message");
    if answer.len() < PREFIX {
        return Err(broken());
    }
    let prefix = answer.split_to(PREFIX);
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    let whole = prefix[0] == 0 && usize::try_from(length) == Ok(answer.len());
    if whole { Ok(answer) } else { Err(broken()) }
}

/// Whether there is a status, and it is OK.
fn check_status(headers: &HeaderMap) -> Result<bool, Status> {
    match kefu_rpc::status_in(headers) {
        None => Ok(false),
        Some(status) if status.code() == Code::Ok => Ok(true),
        Some(status) => Err(status),
    }
}
