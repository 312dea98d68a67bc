//! A collector that is away: nothing waits for it, and it is given up on.

use kefu_telemetry::{TelemetryConfig, current_trace, init, server_span};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_collector_neither_blocks_calls_nor_the_end() {
    // Bound and closed again: nobody listens there.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("its address");
    drop(socket);

    let config = TelemetryConfig {
        otlp_endpoint: Some(format!("http://{address}")),
        ..TelemetryConfig::new("kefu-test")
    };
    let guard = init(&config).expect("an endpoint where nobody listens is no error");
    // Far more than the queue takes: the rest is dropped, and every call still has its trace.
    for _ in 0..20_000 {
        let (span, ids) = server_span(None, "kefu.feed.v1.FeedService", "GetHead");
        span.in_scope(|| assert_eq!(current_trace(), Some(ids)));
    }
    tokio::task::spawn_blocking(|| guard.shutdown()).await.expect("shutdown returns");

    assert!(init(&config).is_err(), "a process sets its telemetry up once");
}
