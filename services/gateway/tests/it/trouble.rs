//! What becomes of calls when a context dies or a client sends rubbish (G-01).

use futures::{StreamExt as _, stream as streams};
use kefu_api::ticket::v1::{GetTicketRequest, Ticket, WatchTicketsRequest, WatchTicketsResponse};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    fake::Messages,
    world::{BOTH, GET_TICKET, WATCH_TICKETS, Way, World, call, only, reason, stream},
};

fn assert_unavailable(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(status), "CONTEXT_UNAVAILABLE");
    assert_eq!(status.get_details_error_info().unwrap().metadata["context"], "ticket");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    let text = format!("{} {:?}", status.message(), status.details());
    assert!(!text.contains("127.0.0.1") && !text.contains("refused"), "nothing internal: {text}");
}

#[tokio::test]
async fn g01_a_context_that_is_down_is_named_and_found_again_when_it_is_back() {
    for way in BOTH {
        let mut world = World::start(way).await;
        world
            .ticket
            .unary(GET_TICKET, |_: Request<GetTicketRequest>| async move { Ok(Ticket::default()) });
        let connection = world.connect();
        let ask = || world.request(GetTicketRequest::default());
        let requests = [ask(), ask(), ask(), ask()];
        let [first, second, third, fourth] = requests;
        call::<_, Ticket>(&connection, GET_TICKET, first).await.unwrap();
        world.ticket.kill().await;
        for request in [second, third] {
            let answer = call::<_, Ticket>(&connection, GET_TICKET, request).await;
            assert_unavailable(&answer.unwrap_err());
        }
        world.ticket.revive().await;
        call::<_, Ticket>(&connection, GET_TICKET, fourth).await.unwrap();
    }
}

#[tokio::test]
async fn g01_a_context_that_dies_in_a_stream_ends_it_with_a_status() {
    let mut world = World::start(Way::Remote).await;
    world.ticket.stream(
        WATCH_TICKETS,
        |_: Request<tonic::Streaming<WatchTicketsRequest>>| async move {
            let first = streams::iter([Ok(WatchTicketsResponse::default())]);
            Ok(Box::pin(first.chain(streams::pending())) as Messages<_>)
        },
    );
    let connection = world.connect();
    let request = only(world.request(WatchTicketsRequest::default()));
    let answers = stream::<_, WatchTicketsResponse>(&connection, WATCH_TICKETS, request).await;
    let mut answers = answers.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    world.ticket.kill().await;
    assert_unavailable(&answers.next().await.unwrap().unwrap_err());
}

#[tokio::test]
async fn g01_an_answer_that_is_not_grpc_is_no_answer() {
    let world = World::start(Way::Remote).await;
    world.ticket.raw(GET_TICKET, |_| async {
        let mut response = http::Response::new(tonic::body::Body::empty());
        *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        response
    });
    world.ticket.raw(WATCH_TICKETS, |_| async {
        // A body without any status.
        http::Response::new(tonic::body::Body::new(http_body_util::Full::from(vec![0; 5])))
    });
    let connection = world.connect();
    let request = || world.request(GetTicketRequest::default());
    let answer = call::<_, Ticket>(&connection, GET_TICKET, request()).await;
    assert_unavailable(&answer.unwrap_err());
    let answer = call::<_, Ticket>(&connection, WATCH_TICKETS, request()).await;
    assert_unavailable(&answer.unwrap_err());
}

/// The client's greeting by the protocol: the preface and an empty SETTINGS frame.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn g01_garbage_and_truncated_frames_cost_their_own_connection_only() {
    let world = World::start(Way::Remote).await;
    world.ticket.stream(
        WATCH_TICKETS,
        |_: Request<tonic::Streaming<WatchTicketsRequest>>| async move {
            let ever = streams::repeat_with(|| Ok(WatchTicketsResponse::default()));
            Ok(Box::pin(ever) as Messages<_>)
        },
    );
    let connection = world.connect();
    let request = only(world.request(WatchTicketsRequest::default()));
    let answers = stream::<_, WatchTicketsResponse>(&connection, WATCH_TICKETS, request).await;
    let mut answers = answers.unwrap().into_inner();

    let with_greeting = |rest: &[u8]| [GREETING, rest].concat();
    let frames = [
        // No HTTP at all.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http".to_vec(),
        b"GET / HTTP/1.1\r\nhost".to_vec(),
        // The preface cut short.
        GREETING[..10].to_vec(),
        // A HEADERS frame that announces more than it has.
        with_greeting(b"\0\x40\0\x01\x04\0\0\0\x01\x82\x84"),
        // HEADERS whose compression is broken.
        with_greeting(b"\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff"),
        // DATA on a stream that is not open, a frame of no known size, a window that overflows.
        with_greeting(b"\0\0\x01\0\x01\0\0\0\x01x"),
        with_greeting(b"\xff\xff\xff\0\0\0\0\0\x01"),
        with_greeting(b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\xff\xff"),
        vec![0; 70_000],
    ];
    for bytes in frames {
        let mut raw = TcpStream::connect(world.address).await.unwrap();
        // The server may close before it has taken everything.
        let _ = raw.write_all(&bytes).await;
        let _ = raw.shutdown().await;
        let mut answer = Vec::new();
        let _ = raw.read_to_end(&mut answer).await;
        answers.next().await.unwrap().unwrap();
    }
    let answer =
        call::<_, Ticket>(&connection, GET_TICKET, world.request(GetTicketRequest::default()));
    assert_eq!(answer.await.unwrap_err().code(), Code::Unimplemented, "the others go on");
}

/// The same call by somebody who reads Chinese.
fn in_chinese<T>(mut request: Request<T>) -> Request<T> {
    request.metadata_mut().insert("accept-language", "zh-CN".parse().unwrap());
    request
}

fn told(status: &Status) -> String {
    status.get_details_localized_message().map(|told| told.message).unwrap_or_default()
}

#[tokio::test]
async fn x09_the_gateways_own_refusals_are_said_in_chinese_and_a_contexts_words_stay() {
    for way in BOTH {
        let mut world = World::start(way).await;
        world.ticket.unary(GET_TICKET, |request: Request<GetTicketRequest>| async move {
            let language = kefu_rpc::RequestContext::of(&request).language();
            let refused = kefu_rpc::Failure::new(
                Code::PermissionDenied,
                kefu_rpc::Reason::SeparationOfDuties,
                "not you",
            );
            Err::<Ticket, _>(refused.localized(language, "须由他人录入").into_status())
        });
        let connection = world.connect();
        let ask = || in_chinese(world.request(GetTicketRequest::default()));
        let nowhere = "/kefu.nowhere.v1.NoService/NoMethod";
        let (own, unknown, dead) = (ask(), ask(), ask());
        let mut forged = in_chinese(Request::new(GetTicketRequest::default()));
        forged.metadata_mut().insert("authorization", "Bearer rubbish".parse().unwrap());
        let status = call::<_, Ticket>(&connection, GET_TICKET, own).await.unwrap_err();
        assert_eq!(told(&status), "须由他人录入");
        let status = call::<_, Ticket>(&connection, GET_TICKET, forged).await.unwrap_err();
        assert_eq!((status.code(), &*told(&status)), (Code::Unauthenticated, "登录凭证无效"));
        let status = call::<_, Ticket>(&connection, nowhere, unknown).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert_eq!(told(&status), "没有此接口，或不支持此种调用方式");
        world.ticket.kill().await;
        let status = call::<_, Ticket>(&connection, GET_TICKET, dead).await.unwrap_err();
        assert_unavailable(&status);
        assert_eq!(told(&status), "所依赖的服务暂时不可用，请稍后重试");
    }
}
