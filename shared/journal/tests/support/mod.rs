//! A journal on a real database behind a feed on a real socket.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::Arc;

use jiff::Timestamp;
use kefu_clock::{IdSource, ManualClock, SharedClock};
use kefu_identity::{Authorizer, Caller, role};
use kefu_journal::{Entry, FeedServer, MIGRATOR, Provenance, PublicEvent, Tail, Upstream};
use kefu_postgres::testing::{TestContext, TestDatabase};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status};
use uuid::Uuid;

pub struct Bench {
    pub database: TestContext,
    pub pool: PgPool,
    pub clock: SharedClock,
    pub ids: IdSource,
    pub by: Provenance,
}

impl Bench {
    pub async fn new() -> Self {
        let database = TestDatabase::context(&[&MIGRATOR], "journal").await.unwrap();
        let pool = database.pool().unwrap();
        let clock: SharedClock =
            Arc::new(ManualClock::new("2026-03-02T09:00:00Z".parse().unwrap()));
        let ids = IdSource::new(clock.clone());
        let by = Provenance { actor: "anna".to_owned(), ..Provenance::default() };
        Self { database, pool, clock, ids, by }
    }

    pub fn entry(&self, aggregate: Uuid, revision: i64) -> Entry<'_> {
        Entry {
            by: &self.by,
            event_id: self.ids.uuid(),
            occurred_at: self.clock.now(),
            aggregate_type: "thing",
            aggregate_id: aggregate,
            revision,
            action: "thing.Change",
            org_unit: "group/north",
            customer_id: None,
            before: None,
            after: None,
            event: Some(PublicEvent {
                type_name: "kefu.thing.v1.ThingChanged".to_owned(),
                payload: vec![1, 2, 3],
            }),
        }
    }

    /// Commits the first revision of a new aggregate; returns the event's id.
    pub async fn commit_one(&self) -> Uuid {
        let entry = self.entry(self.ids.uuid(), 1);
        let mut conn = self.pool.acquire().await.unwrap();
        kefu_journal::append(&mut conn, std::slice::from_ref(&entry)).await.unwrap();
        entry.event_id
    }

    /// Serves the feed to a caller with this role.
    pub async fn serve(&self, role: &'static str) -> Feed {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tail = Tail::new(self.pool.clone(), Arc::new(Notify::new()));
        let shutdown = CancellationToken::new();
        tokio::spawn(tail.clone().run(shutdown.clone()));
        let authorizer = Arc::new(Authorizer::with_defaults().unwrap());
        let caller = Arc::new(Caller::staff("svc", "group".parse().unwrap(), [role]));
        let service = tonic::service::interceptor::InterceptedService::new(
            FeedServer::new(tail.clone(), authorizer).into_service(),
            move |mut request: Request<()>| -> Result<Request<()>, Status> {
                request.extensions_mut().insert(Arc::clone(&caller));
                Ok(request)
            },
        );
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Feed { tail, shutdown, upstream: upstream(channel.clone()), channel }
    }

    pub async fn serve_to_contexts(&self) -> Feed {
        self.serve(role::SERVICE).await
    }
}

pub fn upstream(channel: Channel) -> Upstream {
    Upstream::new(channel, Arc::new(|_| {}))
}

pub struct Feed {
    pub tail: Tail,
    pub shutdown: CancellationToken,
    pub upstream: Upstream,
    pub channel: Channel,
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
