//! The server around the stack: start, health, reflection, hostile clients, drain.

mod probe;

use std::{sync::atomic::Ordering, time::Duration};

use futures::future::join_all;
use kefu_api::{
    clock::v1::{GetTimeRequest, SettleRequest},
    feed::v1::SubscribeRequest,
};
use kefu_rpc::{ChannelOptions, Limits, ServeOptions, Transport};
use probe::{clock, feed, reason, start, start_knowing, start_with};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[tokio::test]
async fn stop_finishes_calls_ends_streams_and_takes_no_more() {
    let server = start(Limits::default()).await;
    let mut stream =
        feed(server.remote()).subscribe(SubscribeRequest::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let mut client = clock(server.remote());
    let call = tokio::spawn(async move { client.get_time(GetTimeRequest::default()).await });
    server.seen.until(&server.seen.begun, 1).await;

    server.shutdown.cancel();
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!server.readiness.is_ready());
    server.seen.release.notify_waiters();
    assert!(call.await.unwrap().is_ok(), "a call that was under way is answered");
    assert!(server.ended.await.unwrap(), "everything finished in time");
    assert!(TcpStream::connect(server.address).await.is_err(), "the socket is closed");
}

/// An older gateway does not know of a newer method whether it is a stream.
#[tokio::test]
async fn x08_stop_gives_the_answer_to_a_method_that_it_does_not_know_and_ends_its_streams() {
    let server = start_knowing(&[], Limits::default(), ServeOptions::default()).await;
    let mut stream =
        feed(server.remote()).subscribe(SubscribeRequest::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let calls = server.both().map(|transport| {
        let mut client = clock(transport);
        tokio::spawn(async move { client.get_time(GetTimeRequest::default()).await })
    });
    server.seen.until(&server.seen.begun, 2).await;

    server.shutdown.cancel();
    server.seen.release.notify_waiters();
    for call in calls {
        let answer = call.await.unwrap();
        assert!(answer.is_ok(), "what was done is not called undone: {answer:?}");
    }
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(server.ended.await.unwrap(), "everything finished in time");
}

#[tokio::test]
async fn health_tells_for_each_service_and_overall_and_watches() {
    let server = start(Limits::default()).await;
    let feeds = server.readiness.condition("feeds");
    let mut client = HealthClient::new(server.remote());
    let request = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let mut watch = client.watch(request("")).await.unwrap().into_inner();
    let mut next = async || watch.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::NotServing);
    feeds.set(true);
    assert_eq!(next().await, ServingStatus::Serving);
    for service in ["", "kefu.feed.v1.FeedService"] {
        let answer = client.check(request(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let status = client.check(request("unknown")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_answers_in_both_versions() {
    let server = start(Limits::default()).await;
    macro_rules! services {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };
            let ask = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = ServerReflectionClient::new(server.remote());
            let answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap();
            let answer = answers.into_inner().message().await.unwrap().unwrap();
            match answer.message_response.unwrap() {
                MessageResponse::ListServicesResponse(list) => {
                    list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        }};
    }
    for names in [services!(v1), services!(v1alpha)] {
        assert!(names.iter().any(|name| name == "kefu.feed.v1.FeedService"), "{names:?}");
        assert!(names.iter().any(|name| name == "grpc.health.v1.Health"), "{names:?}");
    }
}

#[tokio::test]
async fn x06_a_truncated_frame_ends_its_connection_only() {
    let server = start(Limits::default()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // A frame that promises 16 KiB of headers and brings three bytes; a settings frame of a wrong size; no HTTP at all.
    let broken: [&[u8]; 3] = [
        b"\x00\x40\x00\x01\x05\x00\x00\x00\x01abc",
        b"\x00\x00\x05\x04\x00\x00\x00\x00\x00abcde",
        b"",
    ];
    for frame in broken {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let begin: &[u8] = if frame.is_empty() { b"GET / HTTP/1.1\r\n\r\n" } else { preface };
        socket.write_all(begin).await.unwrap();
        socket.write_all(frame).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good an end as any.
        let _ = socket.read_to_end(&mut answer).await;
    }
    assert!(clock(server.remote()).settle(SettleRequest::default()).await.is_ok());
    assert_eq!(server.seen.begun.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x08_ten_thousand_open_streams_do_not_keep_callers_out() {
    const STREAMS: usize = 10_000;
    let server = start(Limits { streams: 2_000, ..Limits::default() }).await;
    let connections: Vec<_> = (0..20).map(|_| server.remote()).collect();
    let opened = join_all((0..STREAMS).map(|index| {
        let mut client = feed(connections[index % connections.len()].clone());
        async move { client.subscribe(SubscribeRequest::default()).await }
    }))
    .await;

    let (kept, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
    assert_eq!((kept.len(), refused.len()), (2_000, 8_000));
    for status in refused.into_iter().filter_map(Result::err) {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::ResourceExhausted, "OVERLOADED")
        );
    }
    assert!(clock(server.remote()).settle(SettleRequest::default()).await.is_ok());
    drop(kept);
    server.seen.until(&server.seen.streams, 0).await;
    assert!(feed(server.remote()).subscribe(SubscribeRequest::default()).await.is_ok());
}

#[tokio::test]
async fn a_service_that_is_away_is_unavailable_and_its_address_nobodys_business() {
    // Bound and closed again: nobody listens there.
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let uri = format!("http://{address}");
    let transport = Transport::remote(&uri, &ChannelOptions::default()).unwrap();
    let status = clock(transport).settle(SettleRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!status.message().contains("127.0.0.1"), "{status:?}");
}

#[tokio::test]
async fn x08_what_does_not_finish_in_time_is_cut_and_said_to_be() {
    let options = ServeOptions { drain: Duration::from_millis(1), ..ServeOptions::default() };
    let server = start_with(Limits::default(), options).await;
    let mut client = clock(server.remote());
    let call = tokio::spawn(async move { client.get_time(GetTimeRequest::default()).await });
    server.seen.until(&server.seen.begun, 1).await;
    server.shutdown.cancel();
    assert!(!server.ended.await.unwrap(), "not everything finished");
    server.seen.until(&server.seen.dropped, 1).await;
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

#[tokio::test]
async fn x08_a_connection_too_many_waits_for_its_place() {
    let options = ServeOptions { connections: 1, ..ServeOptions::default() };
    let server = start_with(Limits::default(), options).await;
    let mut first = clock(server.remote());
    first.settle(SettleRequest::default()).await.unwrap();
    let mut second = clock(server.remote());
    let waiting = tokio::spawn(async move { second.settle(SettleRequest::default()).await });
    for _ in 0..50 {
        first.settle(SettleRequest::default()).await.unwrap();
    }
    assert!(!waiting.is_finished());
    drop(first);
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn x08_a_connection_that_says_nothing_loses_its_place() {
    let options = ServeOptions {
        connections: 1,
        greeting_timeout: Duration::from_millis(50),
        ..ServeOptions::default()
    };
    let server = start_with(Limits::default(), options).await;
    for begin in [&b""[..], b"PRI * HT"] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(begin).await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good an end as any.
        let _ = socket.read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
    }
    assert!(clock(server.remote()).settle(SettleRequest::default()).await.is_ok());
}

#[tokio::test]
async fn x08_a_preface_in_parts_is_understood() {
    let server = start(Limits::default()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    for part in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".chunks(9) {
        socket.write_all(part).await.unwrap();
        tokio::task::yield_now().await;
    }
    // Empty settings, which are answered by the server's own.
    socket.write_all(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.unwrap();
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "a settings frame");
}

#[tokio::test]
async fn x08_a_message_of_more_than_four_megabytes_is_refused_by_its_size() {
    let server = start(Limits::default()).await;
    for transport in server.both() {
        let request =
            SubscribeRequest { cursor: "x".repeat(5 << 20), ..SubscribeRequest::default() };
        let status = feed(transport).subscribe(request).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
        assert!(status.message().contains("4194304"), "names the limit: {status:?}");
    }
    assert_eq!(server.seen.streams.load(Ordering::SeqCst), 0);
}
