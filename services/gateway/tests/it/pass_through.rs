//! Calls of the contexts come out as they went in (G-01).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, future::join_all, stream as streams};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use kefu_api::ticket::v1::{GetTicketRequest, Ticket, WatchTicketsRequest, WatchTicketsResponse};
use kefu_rpc::{Fault, Violations};
use tokio::sync::{Notify, mpsc};
use tonic::{Code, Request, Status, body::Body, metadata::MetadataValue};
use tonic_types::StatusExt as _;

use crate::{
    fake::Messages,
    world::{BOTH, GET_TICKET, WATCH_TICKETS, World, call, only, reason, stream},
};

const FUTURE: &str = "/kefu.ticket.v9.ComingService/ConverseAboutTickets";

fn ask(name: &str) -> GetTicketRequest {
    GetTicketRequest { name: name.to_owned() }
}

#[tokio::test]
async fn g01_metadata_passes_in_both_directions_and_says_where_the_call_came_from() {
    for way in BOTH {
        let world = World::start(way).await;
        let (seen, mut requests) = mpsc::unbounded_channel();
        world.ticket.raw(GET_TICKET, move |request| {
            seen.send(request.headers().clone()).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            trailers.insert("x-after", "2".parse().unwrap());
            trailers.insert("x-after-bin", "/w==".parse().unwrap());
            let body = http_body_util::Full::new(vec![0; 5].into())
                .with_trailers(async { Some(Ok(trailers)) });
            let mut response = http::Response::new(Body::new(body));
            response.headers_mut().insert("x-before", "1".parse().unwrap());
            response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            async { response }
        });
        let mut request = world.request(ask("tickets/1"));
        let metadata = request.metadata_mut();
        metadata.insert("x-desk", "7".parse().unwrap());
        metadata.append("x-desk", "8".parse().unwrap());
        metadata.insert_bin("x-desk-bin", MetadataValue::from_bytes(&[0, 255]));
        metadata.insert("user-agent", "desk/3".parse().unwrap());
        metadata.insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
        metadata.insert("cookie", "session=1".parse().unwrap());
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        metadata.insert("traceparent", trace.parse().unwrap());
        let bearer = metadata.get("authorization").unwrap().clone();
        let answer = call::<_, Ticket>(&world.connect(), GET_TICKET, request).await.unwrap();

        let headers = requests.recv().await.unwrap();
        let text = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(headers.get_all("x-desk").iter().collect::<Vec<_>>(), ["7", "8"]);
        assert_eq!(text("x-desk-bin"), "AP8");
        assert_eq!(text("authorization"), bearer.to_str().unwrap());
        assert_eq!(text("x-forwarded-for"), "203.0.113.9, 127.0.0.1");
        assert_eq!(text("x-forwarded-user-agent"), "desk/3");
        assert_eq!(text("te"), "trailers");
        assert!(headers.get("cookie").is_none());
        let onward = text("traceparent");
        assert!(onward.contains("0af7651916cd43dd8448eb211c80319c"), "the same trace: {onward}");
        assert!(!onward.contains("b7ad6b7169203331"), "the gateway's own span: {onward}");

        let metadata = answer.metadata();
        assert_eq!(metadata.get("x-before").unwrap(), "1");
        assert_eq!(metadata.get("x-after").unwrap(), "2");
        assert_eq!(metadata.get_bin("x-after-bin").unwrap().to_bytes().unwrap(), &[255][..]);
    }
}

#[tokio::test]
async fn g01_errors_come_with_their_details_before_and_after_messages() {
    for way in BOTH {
        let world = World::start(way).await;
        let refused = || {
            let mut violations = Violations::new();
            violations.add("subject", Fault::new("INVALID", "is too dull", "过于乏味"));
            violations.add("severity", Fault::new("INVALID", "is unknown — 未知", "未知"));
            let mut status = violations.into_result().unwrap_err();
            status.metadata_mut().insert("x-hint", "9".parse().unwrap());
            status
        };
        world.ticket.unary(GET_TICKET, move |_: Request<GetTicketRequest>| async move {
            Err::<Ticket, _>(refused())
        });
        world.ticket.stream(
            WATCH_TICKETS,
            move |_: Request<tonic::Streaming<WatchTicketsRequest>>| {
                let some = vec![Ok(WatchTicketsResponse::default()), Err(refused())];
                async move { Ok(Box::pin(streams::iter(some)) as Messages<_>) }
            },
        );
        let connection = world.connect();
        let before = call::<_, Ticket>(&connection, GET_TICKET, world.request(ask("x"))).await;
        let request = only(world.request(WatchTicketsRequest::default()));
        let answers = stream::<_, WatchTicketsResponse>(&connection, WATCH_TICKETS, request).await;
        let mut answers = answers.unwrap().into_inner();
        answers.next().await.unwrap().unwrap();
        let after = answers.next().await.unwrap();
        for status in [before.unwrap_err(), after.unwrap_err()] {
            assert_eq!(status.code(), Code::InvalidArgument);
            assert_eq!(status.message(), refused().message());
            assert_eq!(status.details(), refused().details());
            assert_eq!(status.metadata().get("x-hint").unwrap(), "9");
            assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), 2);
        }
    }
}

#[tokio::test]
async fn g01_methods_that_are_not_known_yet_reach_their_context_and_stream_both_ways() {
    for way in BOTH {
        let world = World::start(way).await;
        world.ticket.stream(FUTURE, |request: Request<tonic::Streaming<Ticket>>| async move {
            Ok(Box::pin(request.into_inner()) as Messages<Ticket>)
        });
        // A conversation: each message is sent when the answer to the one before has come.
        let (say, said) = mpsc::channel(1);
        let said = tokio_stream::wrappers::ReceiverStream::new(said);
        let request = world.request(said);
        let connection = world.connect();
        let ticket = |number: u32| Ticket { subject: number.to_string(), ..Ticket::default() };
        say.send(ticket(0)).await.unwrap();
        let answers = stream::<Ticket, Ticket>(&connection, FUTURE, request).await.unwrap();
        let mut answers = answers.into_inner();
        for number in 0..100 {
            let answer = answers.next().await.unwrap().unwrap();
            assert_eq!(answer, ticket(number));
            say.send(ticket(number + 1)).await.unwrap();
        }
        drop(say);
        assert_eq!(answers.next().await.unwrap().unwrap(), ticket(100));
        assert!(answers.next().await.is_none(), "our end of the stream ended it");
    }
}

#[tokio::test]
async fn g01_what_is_nobodys_is_unimplemented_and_feeds_are_not_for_outsiders() {
    let world = World::start(BOTH[0]).await;
    // Callers inside the process come through the same door.
    for (connection, path) in [world.connect(), world.gateway.transport()].iter().flat_map(|way| {
        [
            "/kefu.feed.v1.FeedService/GetHead",
            "/kefu.nothing.v1.NothingService/Nothing",
            "/kefu.gateway.v1.GatewayService/Nothing",
            "/kefu.ticket.v1.TicketService/Nothing",
            "/other.Service/Method",
        ]
        .map(|path| (way, path))
    }) {
        let answer = call::<_, Ticket>(connection, path, world.request(ask("x"))).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn g10_a_forged_token_stops_at_the_door_and_none_is_the_contexts_affair() {
    for way in BOTH {
        let world = World::start(way).await;
        world.ticket.unary(GET_TICKET, |request: Request<GetTicketRequest>| async move {
            let context = kefu_rpc::RequestContext::of(&request);
            Ok(Ticket { subject: context.caller().subject().to_owned(), ..Ticket::default() })
        });
        let connection = world.connect();
        let ask_as = |token: Option<&str>| {
            let mut request = Request::new(ask("tickets/1"));
            if let Some(token) = token {
                request.metadata_mut().insert("authorization", token.parse().unwrap());
            }
            call::<_, Ticket>(&connection, GET_TICKET, request)
        };
        let refused = ask_as(Some("Bearer forged")).await.unwrap_err();
        assert_eq!((refused.code(), &*reason(&refused)), (Code::Unauthenticated, "TOKEN_INVALID"));
        assert_eq!(ask_as(None).await.unwrap().into_inner().subject, "anonymous");
        let bearer = format!("Bearer {}", world.token_of("group", "clerk"));
        assert_eq!(ask_as(Some(&bearer)).await.unwrap().into_inner().subject, "u-17");
    }
}

#[tokio::test]
async fn x08_the_context_has_the_time_that_is_left_and_is_let_go_when_it_is_over() {
    struct Held(Arc<Notify>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    for way in BOTH {
        let world = World::start(way).await;
        let (seen, mut timeouts) = mpsc::unbounded_channel();
        let let_go = Arc::new(Notify::new());
        let released = Arc::clone(&let_go);
        world.ticket.raw(GET_TICKET, move |request| {
            seen.send(kefu_rpc::parse_timeout(request.headers()).unwrap().unwrap()).unwrap();
            let held = Held(Arc::clone(&released));
            async move {
                let _held = held;
                std::future::pending().await
            }
        });
        let connection = world.connect();
        let mut request = world.request(ask("tickets/1"));
        request.set_timeout(Duration::from_millis(300));
        let late = call::<_, Ticket>(&connection, GET_TICKET, request).await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        let left = timeouts.recv().await.unwrap();
        assert!(left < Duration::from_millis(300), "{left:?}");
        let_go.notified().await;

        // Without a deadline of its own the call has the server's.
        let request = world.request(ask("tickets/1"));
        let waiting =
            tokio::spawn(async move { call::<_, Ticket>(&connection, GET_TICKET, request).await });
        let left = timeouts.recv().await.unwrap();
        assert!(left <= Duration::from_secs(10), "{left:?}");

        // The caller gives up: so does the context.
        waiting.abort();
        let_go.notified().await;
    }
}

#[tokio::test]
async fn g01_a_slow_reader_stops_its_producer_and_nobody_else() {
    const SIZE: usize = 64 * 1024;
    const COUNT: usize = 500;
    for way in BOTH {
        let world = World::start(way).await;
        let produced = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&produced);
        world.ticket.stream(
            WATCH_TICKETS,
            move |_: Request<tonic::Streaming<WatchTicketsRequest>>| {
                let counter = Arc::clone(&counter);
                let endless = streams::iter(0..COUNT).map(move |_| {
                    counter.fetch_add(1, Ordering::SeqCst);
                    let resume_token = "x".repeat(SIZE);
                    Ok(WatchTicketsResponse { event: None, resume_token })
                });
                async { Ok(Box::pin(endless) as Messages<_>) }
            },
        );
        world
            .ticket
            .unary(GET_TICKET, |_: Request<GetTicketRequest>| async move { Ok(Ticket::default()) });
        // More slow readers than a connection's window would have room for, if it were a small one.
        let mut slow = Vec::new();
        for _ in 0..20 {
            let request = only(world.request(WatchTicketsRequest::default()));
            let connection = world.connect();
            let answers = stream::<_, WatchTicketsResponse>(&connection, WATCH_TICKETS, request);
            let mut answers = answers.await.unwrap().into_inner();
            answers.next().await.unwrap().unwrap();
            slow.push((connection, answers));
        }
        let connection = world.connect();
        for _ in 0..200 {
            let request = world.request(ask("tickets/1"));
            call::<_, Ticket>(&connection, GET_TICKET, request).await.unwrap();
        }
        let waiting = produced.load(Ordering::SeqCst) / slow.len();
        assert!(waiting * SIZE < 4 * 1024 * 1024, "{waiting} messages are under way to each");

        let (_connection, answers) = slow.pop().unwrap();
        assert_eq!(answers.count().await, COUNT - 1, "all come in the end");
    }
}

#[tokio::test]
async fn g01_a_thousand_streams_are_open_at_once() {
    for way in BOTH {
        let world = World::start(way).await;
        let end = Arc::new(Notify::new());
        let ending = Arc::clone(&end);
        world.ticket.stream(
            WATCH_TICKETS,
            move |_: Request<tonic::Streaming<WatchTicketsRequest>>| {
                let ending = Arc::clone(&ending);
                let first = streams::iter([Ok(WatchTicketsResponse::default())]);
                let last = streams::once(async move {
                    ending.notified().await;
                    ending.notify_one();
                    Err(Status::data_loss("the end"))
                });
                async { Ok(Box::pin(first.chain(last)) as Messages<_>) }
            },
        );
        let connections = [world.connect(), world.connect()];
        let opening = (0..1000).map(|number| {
            let request = only(world.request(WatchTicketsRequest::default()));
            let connection = connections[number % 2].clone();
            async move {
                let answers =
                    stream::<_, WatchTicketsResponse>(&connection, WATCH_TICKETS, request).await;
                let mut answers = answers.unwrap().into_inner();
                answers.next().await.unwrap().unwrap();
                answers
            }
        });
        let open = join_all(opening).await;
        // Calls go on beside them.
        let answer = call::<_, Ticket>(&connections[0], GET_TICKET, world.request(ask("x"))).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
        end.notify_one();
        let ends = open
            .into_iter()
            .map(|mut answers| async move { answers.next().await.unwrap().unwrap_err().code() });
        assert!(join_all(ends).await.iter().all(|code| *code == Code::DataLoss));
    }
}
