//! What can be seen from outside: one trace from the door to the effect in another context, and logs that tell nothing
//! of people.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kefu::database::ContextName;
use kefu_api::ticket::v1 as pb;
use kefu_harness::{Mesh, kefu_program};
use kefu_identity::role;
use prost::Message as _;
use tokio::net::TcpListener;
use tonic::Code;

use crate::company::{LAKESIDE, RIVERSIDE, complaint, customer_of_riverside, registration};
use crate::world::{World, with_header};

/// As much of the OTLP messages as is asked for here.
mod otlp {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Export {
        #[prost(message, repeated, tag = "1")]
        pub resource_spans: Vec<ResourceSpans>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ResourceSpans {
        #[prost(message, optional, tag = "1")]
        pub resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        pub scope_spans: Vec<ScopeSpans>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Resource {
        #[prost(message, repeated, tag = "1")]
        pub attributes: Vec<Attribute>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Attribute {
        #[prost(string, tag = "1")]
        pub key: String,
        #[prost(message, optional, tag = "2")]
        pub value: Option<Value>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Value {
        #[prost(string, tag = "1")]
        pub text: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ScopeSpans {
        #[prost(message, repeated, tag = "2")]
        pub spans: Vec<Span>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Span {
        #[prost(bytes = "vec", tag = "1")]
        pub trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub span_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "4")]
        pub parent_span_id: Vec<u8>,
        #[prost(string, tag = "5")]
        pub name: String,
    }
}

/// A span with the name of the service that made it.
type Spans = Arc<Mutex<Vec<(String, otlp::Span)>>>;

/// Takes OTLP over gRPC and keeps the spans.
struct Collector {
    address: SocketAddr,
    spans: Spans,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Spans::default();
        let kept = Arc::clone(&spans);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service =
                    hyper::service::service_fn(move |request| take(Arc::clone(&kept), request));
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, spans }
    }
}

type Answer = Response<
    StreamBody<futures::stream::Iter<std::array::IntoIter<Result<Frame<Bytes>, Infallible>, 2>>>,
>;

async fn take(spans: Spans, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let traces = request.uri().path().ends_with("TraceService/Export");
    let mut body = request.into_body().collect().await.unwrap().to_bytes();
    // One byte says whether it is compressed, four how long it is.
    assert_eq!(body.get_u8(), 0, "compression is off by default");
    body.advance(4);
    if traces {
        let export = otlp::Export::decode(body).unwrap();
        for resource in export.resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes.into_iter();
            let mut names = attributes.filter(|attribute| attribute.key == "service.name");
            let service = names.next().and_then(|name| name.value).unwrap_or_default().text;
            let found = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.lock().unwrap().extend(found.map(|span| (service.clone(), span)));
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    // An empty message.
    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
    let body = StreamBody::new(futures::stream::iter(frames.map(Ok)));
    let answer = Response::builder().header("content-type", "application/grpc");
    Ok(answer.body(body).unwrap())
}

/// The program with settings that a mesh of a test does not give: everything is logged as JSON into one file per
/// process, and spans go to the collector.
fn talkative(folder: &Path, collector: SocketAddr) -> PathBuf {
    let program = folder.join("kefu");
    let script = format!(
        "#!/bin/sh\n\
         export KEFU_LOG_FORMAT=json OTEL_EXPORTER_OTLP_ENDPOINT=http://{collector}\n\
         export KEFU_LOG=info,kefu_customer=trace,kefu_ticket=trace,kefu_survey=trace,kefu_gateway=trace,\
         kefu_rpc=trace,kefu_service=trace,kefu_journal=trace,kefu_policy=trace,kefu_identity=trace,sqlx=debug\n\
         exec '{}' \"$@\" > '{}/'$2.log 2>&1\n",
        kefu_program().unwrap().display(),
        folder.display(),
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// The trace and the span of a caller who is traced already.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Another one, for the registration.
const REGISTRATION: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const REGISTRATION_PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Words that must not leave the databases.
const SECRETS: [&str; 6] =
    ["李秀英投诉", "楼道里的秘密", "13800138000", "138 0013", "王芳", "有人答复了"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_door_to_the_effect_and_no_log_tells_of_people() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    let program = talkative(folder.path(), collector.address);
    let world = World::with(Mesh::start_processes_of(program).await.unwrap()).await;
    let customer = world.manager().customers().create_customer(customer_of_riverside()).await;
    let customer = customer.unwrap().into_inner().name;
    let ticket = pb::Ticket {
        customer,
        description: "楼道里的秘密".into(),
        ..complaint(RIVERSIDE, "李秀英投诉")
    };
    let request = registration(ticket.clone(), String::new());
    let request = with_header(request, "traceparent", REGISTRATION_PARENT);
    let made = world.clerk().tickets().create_ticket(request).await.unwrap().into_inner();
    // What is refused may be logged, and a denial is, with the trace in which it happened.
    let wrong = pb::Ticket { subject: "李秀英投诉\u{7}".into(), ..ticket.clone() };
    let answer = world.clerk().tickets().create_ticket(registration(wrong, String::new())).await;
    assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
    let mut stranger = world.client_at(role::CLERK, LAKESIDE).tickets();
    let request = with_header(registration(ticket, String::new()), "traceparent", TRACEPARENT);
    let answer = stranger.create_ticket(request).await;
    assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied);
    let mut manager = world.manager().tickets();
    let request = pb::ResolveTicketRequest {
        name: made.name.clone(),
        solution: "有人答复了".into(),
        ..Default::default()
    };
    manager.resolve_ticket(request).await.unwrap();
    let request = pb::FeedBackTicketRequest {
        name: made.name.clone(),
        message: "有人答复了".into(),
        ..Default::default()
    };
    manager.feed_back_ticket(with_header(request, "traceparent", TRACEPARENT)).await.unwrap();
    world.mesh.clock().settle().await.unwrap();

    // The journals of both contexts know the trace, so the audit trail leads to it.
    for (context, action) in
        [(ContextName::Ticket, "FeedBackTicket"), (ContextName::Survey, "survey.Invite")]
    {
        let mut conn = world.open(context).await;
        let statement = "SELECT traceparent FROM journal WHERE action = $1";
        let parent: String =
            sqlx::query_scalar(statement).bind(action).fetch_one(&mut conn).await.unwrap();
        assert_eq!(parent.split('-').nth(1), Some(TRACE), "{action}");
    }
    // A service that stops sends what it has.
    world.mesh.stop().await.unwrap();
    a_trace_without_a_gap(&collector.spans.lock().unwrap());
    logs_without_people(folder.path());
}

fn a_trace_without_a_gap(spans: &[(String, otlp::Span)]) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ours: Vec<_> = spans.iter().filter(|(_, span)| hex(&span.trace_id) == TRACE).collect();
    let ids: BTreeMap<_, _> =
        ours.iter().map(|(service, span)| (hex(&span.span_id), (service, span))).collect();
    let told: Vec<_> = ours.iter().map(|(service, span)| (&**service, &*span.name)).collect();
    for service in ["kefu-gateway", "kefu-ticket", "kefu-survey"] {
        assert!(told.iter().any(|(name, _)| *name == service), "{service} is not in {told:?}");
    }
    // Down to the statements, whose values stay where they are.
    for (service, statement) in
        [("kefu-ticket", "UPDATE ticket"), ("kefu-survey", "INSERT invitation")]
    {
        let found = told.iter().find(|(of, name)| *of == service && name.starts_with(statement));
        assert!(found.is_some(), "no {statement} in {told:?}");
    }
    // Also where many registrations are written at once, outside of their calls.
    let written = spans.iter().find(|(service, span)| {
        let ours = service == "kefu-ticket" && hex(&span.trace_id) == REGISTRATION;
        ours && span.name.contains("INSERT ticket")
    });
    assert!(written.is_some(), "the registration was written outside of its trace");
    // From the effect in the survey context the way leads back to whoever called.
    let effect = ours.iter().find(|(service, _)| service == "kefu-survey").unwrap();
    let mut way = vec![effect.0.as_str()];
    let mut parent = hex(&effect.1.parent_span_id);
    while let Some((service, span)) = ids.get(&parent) {
        way.push(service);
        parent = hex(&span.parent_span_id);
    }
    assert_eq!(parent, TRACEPARENT.split('-').nth(2).unwrap(), "{told:?}");
    way.dedup();
    assert_eq!(way, ["kefu-survey", "kefu-ticket", "kefu-gateway"]);
}

fn logs_without_people(folder: &Path) {
    for service in ["gateway", "customer", "ticket", "survey"] {
        let log = std::fs::read_to_string(folder.join(format!("{service}.log"))).unwrap();
        assert!(log.lines().count() > 3, "{service} says nothing");
        for line in log.lines() {
            let line: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(line.is_object(), "{line}");
        }
        for secret in SECRETS {
            assert!(!log.contains(secret), "{service} tells of {secret}");
        }
        if service == "ticket" {
            let lines =
                log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let mut denials = lines.filter(|line| line.to_string().contains("ticket.CreateTicket"));
            let denial = denials.next().unwrap();
            assert_eq!(denial["trace_id"], TRACE, "{denial}");
        }
    }
}
