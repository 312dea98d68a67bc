//! gRPC-Web for browsers (G-01).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf as _, Bytes};
use futures::stream as streams;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use kefu_api::ticket::v1::{GetTicketRequest, Ticket, WatchTicketsRequest, WatchTicketsResponse};
use prost::Message;
use tonic::Status;

use crate::{
    fake::Messages,
    json::{Http, clients},
    world::{BOTH, GET_TICKET, WATCH_TICKETS, World},
};

/// What a page in a browser gets: the messages, then the trailers as text.
struct Page {
    headers: HeaderMap,
    messages: Vec<Bytes>,
    trailers: String,
}

fn framed(message: &impl Message) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    framed.extend(message.encode_to_vec());
    framed
}

async fn post(http: &Http, world: &World, path: &str, message: &impl Message, text: bool) -> Page {
    let (kind, body) = match (text, framed(message)) {
        (false, body) => ("application/grpc-web+proto", body),
        (true, body) => ("application/grpc-web-text", STANDARD.encode(body).into_bytes()),
    };
    let request = Request::post(format!("http://{}{path}", world.address))
        .header(header::CONTENT_TYPE, kind)
        .header(header::ACCEPT, kind)
        .header(header::ORIGIN, "https://desk.example")
        .header(header::AUTHORIZATION, format!("Bearer {}", world.token_of("group", "clerk")))
        .header("x-grpc-web", "1")
        .body(Full::from(body))
        .unwrap();
    let (parts, body) = http.request(request).await.unwrap().into_parts();
    assert_eq!(parts.status, StatusCode::OK);
    assert_eq!(parts.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let mut body = body.collect().await.unwrap().to_bytes();
    if text {
        // Every chunk is encoded for itself, so padding can stand in the middle.
        let chunks = body.chunks(4).flat_map(|chunk| STANDARD.decode(chunk).unwrap());
        body = chunks.collect();
    }
    let mut page = Page { headers: parts.headers, messages: Vec::new(), trailers: String::new() };
    assert!(body.has_remaining() || page.headers.contains_key("grpc-status"), "{:?}", page.headers);
    while body.has_remaining() {
        let flag = body.get_u8();
        let length = usize::try_from(body.get_u32()).unwrap();
        let frame = body.split_to(length);
        match flag {
            0 => page.messages.push(frame),
            _ => page.trailers = String::from_utf8(frame.to_vec()).unwrap(),
        }
    }
    page
}

#[tokio::test]
async fn g01_a_browser_calls_and_streams_by_grpc_web() {
    for way in BOTH {
        let world = World::start(way).await;
        world.ticket.unary(GET_TICKET, |request: tonic::Request<GetTicketRequest>| async move {
            Ok(Ticket { name: request.into_inner().name, ..Ticket::default() })
        });
        world.ticket.stream(
            WATCH_TICKETS,
            |_: tonic::Request<tonic::Streaming<WatchTicketsRequest>>| {
                let three = (0..3).map(|number| {
                    Ok(WatchTicketsResponse { event: None, resume_token: format!("at {number}") })
                });
                let ends = [Err(Status::resource_exhausted("enough — 够了"))];
                let stream = streams::iter(three.chain(ends).collect::<Vec<_>>());
                async { Ok(Box::pin(stream) as Messages<_>) }
            },
        );
        for http in clients() {
            for text in [false, true] {
                let ask = GetTicketRequest { name: "tickets/1".to_owned() };
                let page = post(&http, &world, GET_TICKET, &ask, text).await;
                assert_eq!(page.headers.get("grpc-status"), None, "{:?}", page.headers);
                let ticket = Ticket::decode(page.messages[0].clone()).unwrap();
                assert_eq!(ticket.name, "tickets/1");
                assert!(page.trailers.contains("grpc-status:0"), "{}", page.trailers);

                let ask = WatchTicketsRequest::default();
                let page = post(&http, &world, WATCH_TICKETS, &ask, text).await;
                assert_eq!(page.messages.len(), 3);
                assert!(page.trailers.contains("grpc-status:8"), "{}", page.trailers);
            }
        }
    }
}

#[tokio::test]
async fn g01_a_browser_sees_errors_and_their_details() {
    let world = World::start(BOTH[1]).await;
    world.ticket.unary(GET_TICKET, |_: tonic::Request<GetTicketRequest>| async move {
        Err::<Ticket, _>(kefu_rpc::not_found("kefu.dev/Ticket", "tickets/1"))
    });
    let [http, _] = clients();
    let page = post(&http, &world, GET_TICKET, &GetTicketRequest::default(), false).await;
    // An answer of nothing but a status has it in its headers.
    assert_eq!(page.headers["grpc-status"], "5");
    assert!(page.headers.contains_key("grpc-status-details-bin"));
    assert_eq!(page.headers[header::ACCESS_CONTROL_EXPOSE_HEADERS], "*");
}

#[tokio::test]
async fn g01_a_page_of_any_origin_may_ask_whether_it_may_call() {
    let world = World::start(BOTH[0]).await;
    for http in clients() {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(format!("http://{}{GET_TICKET}", world.address))
            .header(header::ORIGIN, "https://desk.example")
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,x-grpc-web")
            .body(Full::default())
            .unwrap();
        let response = http.request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "authorization,x-grpc-web");
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}
