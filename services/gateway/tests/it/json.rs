//! Plain JSON over HTTP for those without gRPC (G-01).

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use kefu_api::ticket::v1::{CreateTicketRequest, GetTicketRequest, Ticket};
use kefu_rpc::{Fault, Violations};
use serde_json::{Value, json};

use crate::world::{BOTH, GET_TICKET, WATCH_TICKETS, World};

const CREATE_TICKET: &str = "/kefu.ticket.v1.TicketService/CreateTicket";

pub type Http = Client<HttpConnector, Full<Bytes>>;

/// A client of HTTP/1.1, and one of HTTP/2.
pub fn clients() -> [Http; 2] {
    [false, true].map(|two| Client::builder(TokioExecutor::new()).http2_only(two).build_http())
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

async fn post(http: &Http, world: &World, path: &str, json: impl Into<Bytes>) -> Answer {
    post_as(http, world, path, json, &world.token_of("group/north", "clerk")).await
}

async fn post_as(
    http: &Http,
    world: &World,
    path: &str,
    json: impl Into<Bytes>,
    token: &str,
) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [(header::AUTHORIZATION, &*authorization), (header::ACCEPT_LANGUAGE, "en")];
    post_with(http, world, path, json, headers).await
}

async fn post_with<const N: usize>(
    http: &Http,
    world: &World,
    path: &str,
    json: impl Into<Bytes>,
    headers: [(header::HeaderName, &str); N],
) -> Answer {
    let mut request = Request::post(format!("http://{}{path}", world.address))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header("x-desk", "7");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(json.into())).unwrap();
    let (parts, body) = http.request(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert_eq!(parts.headers[header::CONTENT_TYPE], "application/json");
    let json = serde_json::from_slice(&bytes).unwrap();
    Answer { status: parts.status, headers: parts.headers, json }
}

#[tokio::test]
async fn g01_a_call_can_be_made_and_answered_in_json() {
    for way in BOTH {
        let world = World::start(way).await;
        world.ticket.unary(
            CREATE_TICKET,
            |request: tonic::Request<CreateTicketRequest>| async move {
                assert_eq!(request.metadata().get("x-desk").unwrap(), "7");
                assert!(request.metadata().get("host").is_none());
                let request = request.into_inner();
                let create_time = Some(prost_types::Timestamp { seconds: 1_707_465_600, nanos: 0 });
                Ok(Ticket { create_time, ..request.ticket.unwrap() })
            },
        );
        for http in clients() {
            let asked = json!({
                "ticket": { "subject": "电梯停运 🛗", "orgUnit": "group/north" },
                "requestId": "0197f0c4-0000-7000-8000-000000000001",
            });
            let answer = post(&http, &world, CREATE_TICKET, asked.to_string()).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
            let expected = json!({
                "subject": "电梯停运 🛗",
                "orgUnit": "group/north",
                "createTime": "2024-02-09T08:00:00Z",
            });
            assert_eq!(answer.json, expected);
            assert!(!answer.headers.contains_key("grpc-status"));
            let empty = post(&http, &world, GET_TICKET, "").await;
            assert_eq!(empty.status, StatusCode::NOT_IMPLEMENTED, "the fake has no such method");
        }
    }
}

#[tokio::test]
async fn g01_errors_in_json_are_a_status_with_details_and_the_http_status_for_it() {
    let world = World::start(BOTH[1]).await;
    world.ticket.unary(GET_TICKET, |request: tonic::Request<GetTicketRequest>| async move {
        let status = match &*request.get_ref().name {
            "wrong" => {
                let mut violations = Violations::new();
                violations.add("name", Fault::new("INVALID", "is no name — 不对", "名称不对"));
                violations.into_result().unwrap_err()
            }
            "away" => kefu_rpc::store_unavailable(std::time::Duration::from_millis(1500)),
            "denied" => kefu_rpc::permission_denied("ticket.GetTicket", "group"),
            name => kefu_rpc::not_found("kefu.dev/Ticket", name),
        };
        Err::<Ticket, _>(status)
    });
    let [http, _] = clients();
    let ask = async |name: &str| {
        post(&http, &world, GET_TICKET, json!({ "name": name }).to_string()).await
    };
    let wrong = ask("wrong").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert_eq!(wrong.json["code"], 3);
    let details = wrong.json["details"].as_array().unwrap();
    assert_eq!(details[0]["@type"], "type.googleapis.com/google.rpc.ErrorInfo");
    assert_eq!(details[0]["reason"], "FIELDS_INVALID");
    assert_eq!(details[1]["@type"], "type.googleapis.com/google.rpc.BadRequest");
    assert_eq!(details[1]["fieldViolations"][0]["description"], "is no name — 不对");

    let away = ask("away").await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(away.headers[header::RETRY_AFTER], "2");
    assert_eq!(ask("denied").await.status, StatusCode::FORBIDDEN);
    let missing = ask("tickets/1").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.json["message"], "tickets/1 does not exist");

    let refused = post_as(&http, &world, GET_TICKET, "{}", "forged").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer");
    assert_eq!(refused.json["details"][0]["reason"], "TOKEN_INVALID");
}

#[tokio::test]
async fn x06_json_that_is_not_the_request_is_refused_before_the_context_hears_of_it() {
    let world = World::start(BOTH[1]).await;
    world.ticket.raw(GET_TICKET, |_| async { panic!("it must not come so far") });
    let [http, _] = clients();
    let deep = "[".repeat(100_000);
    for bad in ["{", "[]", "7", r#"{"name": 7}"#, r#"{"no_such_field": 1}"#, "{} {}", &deep] {
        let answer = post(&http, &world, GET_TICKET, bad.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.json);
        assert_eq!(answer.json["details"][0]["reason"], "FIELDS_INVALID");
        assert_eq!(answer.json["details"][1]["fieldViolations"][0]["field"], "body");
    }
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(5 * 1024 * 1024));
    let large = post(&http, &world, GET_TICKET, large).await;
    assert_eq!(large.status, StatusCode::BAD_REQUEST);
    let violation = &large.json["details"][1]["fieldViolations"][0];
    assert_eq!(violation["reason"], "TOO_LARGE", "{violation}");

    // Who shows no token, or a bad one, is not read at such length.
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(100 * 1024));
    let forged = post_as(&http, &world, GET_TICKET, long.clone(), "forged").await;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED, "{}", forged.json);
    let request = Request::post(format!("http://{}{GET_TICKET}", world.address))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(long.into()))
        .unwrap();
    let unread = http.request(request).await.unwrap();
    assert_eq!(unread.status(), StatusCode::BAD_REQUEST);

    for (path, says) in [
        (WATCH_TICKETS, "streams need gRPC or gRPC-Web"),
        ("/kefu.feed.v1.FeedService/GetHead", "no service behind this gateway has this method"),
        ("/kefu.ticket.v1.TicketService/Nothing", "there is no such method"),
        ("/", "there is no such method"),
    ] {
        let answer = post(&http, &world, path, "{}").await;
        assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{path}");
        assert_eq!(answer.json["message"], says, "{path}");
    }
}

#[tokio::test]
async fn g01_what_is_no_protocol_of_ours_is_told_which_ones_are() {
    let world = World::start(BOTH[0]).await;
    for http in clients() {
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("http://{}/", world.address))
            .body(Full::default())
            .unwrap();
        let response = http.request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(response.headers().contains_key("accept-post"));
    }
}

#[tokio::test]
async fn x09_json_that_is_refused_at_the_door_is_refused_in_the_callers_language() {
    let world = World::start(BOTH[1]).await;
    let [http, _] = clients();
    let bearer = format!("Bearer {}", world.token_of("group/north", "clerk"));
    let chinese = (header::ACCEPT_LANGUAGE, "zh-CN,zh;q=0.9");
    let known = [(header::AUTHORIZATION, &*bearer), chinese.clone()];
    let words = |answer: &Answer| {
        let details = answer.json["details"].as_array().unwrap();
        details.last().unwrap()["message"].as_str().unwrap_or_default().to_owned()
    };
    let broken = post_with(&http, &world, GET_TICKET, "{", known.clone()).await;
    let wrong = &broken.json["details"][1]["fieldViolations"][0]["localizedMessage"];
    assert_eq!(wrong["locale"], "zh-CN");
    let message = wrong["message"].as_str().unwrap();
    assert!(message.starts_with("不是该请求的有效 JSON"), "{message}");
    let forged = [(header::AUTHORIZATION, "Bearer rubbish"), chinese];
    let forged = post_with(&http, &world, GET_TICKET, "{}", forged).await;
    assert_eq!((forged.status, &*words(&forged)), (StatusCode::UNAUTHORIZED, "登录凭证无效"));
    let stream = post_with(&http, &world, WATCH_TICKETS, "{}", known).await;
    assert_eq!(words(&stream), "没有此接口，或不支持此种调用方式");
}
