//! What the stack promises to every handler, over a socket and inside the process.

mod probe;

use std::{sync::atomic::Ordering, time::Duration};

use jiff::SignedDuration;
use kefu_api::{
    clock::v1::{GetTimeRequest, SetTimeRequest, SettleRequest},
    feed::v1::SubscribeRequest,
};
use kefu_clock::Clock as _;
use kefu_rpc::Limits;
use probe::{clock, feed, reason, start, with_header};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

fn subscribe(cursor: &str) -> SubscribeRequest {
    SubscribeRequest { cursor: cursor.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn x06_a_panic_costs_its_own_call_and_tells_nothing() {
    let server = start(Limits::default()).await;
    for transport in server.both() {
        let mut client = clock(transport.clone());
        let status = client.set_time(SetTimeRequest::default()).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
        assert!(!format!("{status:?}").contains("secret"), "{status:?}");

        let mut stream = feed(transport).subscribe(subscribe("panic")).await.unwrap().into_inner();
        // The encoder looks ahead, so whether the message before the panic still goes out is its affair.
        let status = loop {
            match stream.message().await {
                Ok(message) => assert!(message.is_some(), "the stream ends with the panic"),
                Err(status) => break status,
            }
        };
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("secret"), "{status:?}");

        assert!(client.settle(SettleRequest::default()).await.is_ok());
    }
}

#[tokio::test]
async fn x08_a_deadline_of_1_ms_ends_the_call_and_drops_what_it_held() {
    let server = start(Limits::default()).await;
    for (round, transport) in server.both().into_iter().enumerate() {
        let request = with_header(GetTimeRequest::default(), "grpc-timeout", "1m");
        let status = clock(transport).get_time(request).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
        // A call that never got as far as the handler has left nothing behind either.
        let begun = server.seen.begun.load(Ordering::SeqCst);
        assert!(begun <= round + 1);
        server.seen.until(&server.seen.dropped, begun).await;
    }
}

#[tokio::test]
async fn x08_a_call_without_deadline_gets_the_servers_and_a_long_one_is_capped() {
    let limits = Limits {
        default_deadline: Duration::from_millis(30),
        max_deadline: Duration::from_millis(60),
        ..Limits::default()
    };
    let server = start(limits).await;
    for transport in server.both() {
        let mut client = clock(transport);
        let status = client.get_time(GetTimeRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        let request = with_header(GetTimeRequest::default(), "grpc-timeout", "1H");
        let status = client.get_time(request).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
    server.seen.until(&server.seen.dropped, 4).await;
}

#[tokio::test]
async fn x08_a_stream_lives_on_without_a_deadline_and_ends_with_one() {
    let limits = Limits { default_deadline: Duration::from_millis(1), ..Limits::default() };
    let server = start(limits).await;
    for transport in server.both() {
        let mut client = feed(transport);
        let mut endless = client.subscribe(subscribe("")).await.unwrap().into_inner();
        assert!(endless.message().await.unwrap().is_some());
        let request = with_header(subscribe(""), "grpc-timeout", "50m");
        let mut limited = client.subscribe(request).await.unwrap().into_inner();
        assert!(limited.message().await.unwrap().is_some());
        let status = limited.message().await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        // The other has outlived the default by far, and the caller ends it.
        server.seen.until(&server.seen.streams, 1).await;
        drop(endless);
        server.seen.until(&server.seen.streams, 0).await;
    }
}

#[tokio::test]
async fn x06_a_timeout_that_is_none_is_a_wrong_field() {
    let server = start(Limits::default()).await;
    let request = with_header(SettleRequest::default(), "grpc-timeout", "soon");
    let status = clock(server.local()).settle(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let wrong = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(wrong[0].field, "grpc-timeout");
}

#[tokio::test]
async fn x08_a_full_server_refuses_at_once_and_says_when_to_come_back() {
    let server = start(Limits { calls: 1, ..Limits::default() }).await;
    for (round, transport) in server.both().into_iter().enumerate() {
        let mut waiting = clock(transport.clone());
        let waiting =
            tokio::spawn(async move { waiting.get_time(GetTimeRequest::default()).await });
        server.seen.until(&server.seen.begun, round + 1).await;

        let status = clock(transport.clone()).settle(SettleRequest::default()).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::ResourceExhausted, "OVERLOADED")
        );
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
        // Watchers have places of their own, and probes need none.
        assert!(feed(transport.clone()).subscribe(subscribe("")).await.is_ok());
        let mut health = tonic_health::pb::health_client::HealthClient::new(transport.clone());
        assert!(health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok());

        server.seen.release.notify_waiters();
        assert!(waiting.await.unwrap().is_ok());
        assert!(clock(transport).settle(SettleRequest::default()).await.is_ok());
    }
}

#[tokio::test]
async fn g10_a_token_makes_the_caller_and_a_bad_one_is_refused() {
    let server = start(Limits::default()).await;
    let token = server.token();
    for transport in server.both() {
        let mut client = clock(transport);
        let told = client.settle(SettleRequest::default()).await.unwrap().into_inner();
        assert!(told.journal_head.starts_with("anonymous|"), "{}", told.journal_head);

        let bearer = format!("Bearer {token}");
        let request = with_header(SettleRequest::default(), "authorization", &bearer);
        let told = client.settle(request).await.unwrap().into_inner();
        assert!(told.journal_head.starts_with("u-17|"), "{}", told.journal_head);

        let forged = format!("Bearer {}x", &token[..token.len() - 2]);
        for bad in ["Bearer rubbish", "Basic dTpw", forged.as_str()] {
            let request = with_header(SettleRequest::default(), "authorization", bad);
            let status = client.settle(request).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{bad}");
            assert_eq!(reason(&status), "TOKEN_INVALID", "{bad}");
        }
    }
    server.clock.set(server.clock.now() + SignedDuration::from_hours(3)).unwrap();
    for transport in server.both() {
        let bearer = format!("Bearer {token}");
        let request = with_header(SettleRequest::default(), "authorization", &bearer);
        let status = clock(transport).settle(request).await.unwrap_err();
        assert_eq!(reason(&status), "TOKEN_EXPIRED");
    }
}

#[tokio::test]
async fn x08_a_handler_sees_deadline_origin_and_trace_of_its_call() {
    let server = start(Limits::default()).await;
    let mut request = Request::new(SettleRequest::default());
    let metadata = request.metadata_mut();
    metadata.insert("grpc-timeout", "30S".parse().unwrap());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    metadata.insert("traceparent", trace.parse().unwrap());
    let told = clock(server.remote()).settle(request).await.unwrap().into_inner().journal_head;
    let parts: Vec<_> = told.split('|').collect();
    assert!(parts[1].starts_with("127.0.0.1 (kefu/"), "{told}");
    assert_eq!(parts[2], "Some(29)");
    assert_eq!(parts[3], "0af7651916cd43dd8448eb211c80319c");
}

/// The same call by somebody who reads Chinese.
fn in_chinese<T>(message: T) -> Request<T> {
    with_header(message, "accept-language", "zh-CN,zh;q=0.9")
}

/// What people read of a refusal.
fn told(status: &Status) -> String {
    status.get_details_localized_message().map(|told| told.message).unwrap_or_default()
}

#[tokio::test]
async fn x09_what_the_stack_itself_refuses_is_said_in_chinese_to_whoever_reads_that() {
    let server = start(Limits::default()).await;
    for transport in server.both() {
        let mut client = clock(transport.clone());
        let mut request = in_chinese(SettleRequest::default());
        request.metadata_mut().insert("authorization", "Bearer rubbish".parse().unwrap());
        assert_eq!(told(&client.settle(request).await.unwrap_err()), "登录凭证无效");
        // Whoever reads English gets nothing that it has to skip.
        let plain = client.set_time(SetTimeRequest::default()).await.unwrap_err();
        assert_eq!((plain.code(), told(&plain)), (Code::Internal, String::new()));
        let status = client.set_time(in_chinese(SetTimeRequest::default())).await.unwrap_err();
        assert_eq!((told(&status), reason(&status)), ("系统内部错误".into(), "INTERNAL".into()));
        // None of ours: the library has no reasons.
        let probe = tonic_health::pb::HealthCheckRequest { service: "?".into() };
        let mut health = tonic_health::pb::health_client::HealthClient::new(transport);
        let unknown = health.check(in_chinese(probe)).await.unwrap_err();
        assert_eq!((unknown.code(), &*told(&unknown)), (Code::NotFound, "未找到所指的资源"));
        let mut request = in_chinese(SettleRequest::default());
        request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
        let wrong = client.settle(request).await.unwrap_err();
        let wrong = wrong.get_details_bad_request().unwrap().field_violations.remove(0);
        assert!(wrong.localized_message.unwrap().message.contains("格式不正确"));
    }
    // The server's own deadline: one that the client knows of, it may notice first, and in English.
    let default_deadline = Duration::from_millis(30);
    let brief = start(Limits { default_deadline, ..Limits::default() }).await;
    for transport in brief.both() {
        let request = in_chinese(GetTimeRequest::default());
        let status = clock(transport).get_time(request).await.unwrap_err();
        assert_eq!(told(&status), "处理超时，可用相同的请求编号重试");
    }
}

#[tokio::test]
async fn x09_a_full_server_says_so_in_chinese() {
    let server = start(Limits { calls: 1, ..Limits::default() }).await;
    let mut client = clock(server.remote());
    let mut waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.get_time(GetTimeRequest::default()).await });
    server.seen.until(&server.seen.begun, 1).await;
    let full = client.settle(in_chinese(SettleRequest::default())).await.unwrap_err();
    assert_eq!((reason(&full).as_str(), &*told(&full)), ("OVERLOADED", "当前请求过多，请稍后重试"));
    server.seen.release.notify_waiters();
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn x09_what_ends_a_stream_is_said_in_chinese_as_well() {
    let server = start(Limits::default()).await;
    for transport in server.both() {
        let mut request = in_chinese(subscribe(""));
        request.metadata_mut().insert("grpc-timeout", "50m".parse().unwrap());
        let mut stream = feed(transport).subscribe(request).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        let status = stream.message().await.unwrap_err();
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
        assert_eq!(told(&status), "处理超时，可用相同的请求编号重试");
    }
}
