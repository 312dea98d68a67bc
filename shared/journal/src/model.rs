//! The feed against a model: random transactions on several connections, read at random moments.
//!
//! The model knows which events were committed and in which order each aggregate changed; whatever the interleaving, a
//! reader must get exactly these, once, and each aggregate in order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kefu_clock::{IdSource, SharedClock, SystemClock};
use kefu_postgres::testing::TestDatabase;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{Cursor, Entry, MIGRATOR, Provenance, PublicEvent, Recorded, Start, Tail, append};

const CONNECTIONS: usize = 4;
const AGGREGATES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Begin a transaction and give it its id at once, before it does anything of interest.
    Open(usize),
    /// Change an aggregate, unless another transaction holds it; with or without a public event.
    Change {
        connection: usize,
        aggregate: usize,
        public: bool,
    },
    Commit(usize),
    Rollback(usize),
    /// The tail looks at the database.
    Look,
    /// A reader comes with its last cursor and takes one batch.
    Read {
        limit: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let connection = 0..CONNECTIONS;
    prop_oneof![
        2 => connection.clone().prop_map(Step::Open),
        6 => (connection.clone(), 0..AGGREGATES, prop::bool::weighted(0.8))
            .prop_map(|(connection, aggregate, public)| Step::Change { connection, aggregate, public }),
        4 => connection.clone().prop_map(Step::Commit),
        1 => connection.prop_map(Step::Rollback),
        3 => Just(Step::Look),
        3 => (1..4_usize).prop_map(|limit| Step::Read { limit }),
    ]
}

#[derive(Default)]
struct Aggregate {
    id: Uuid,
    revision: i64,
    holder: Option<usize>,
}

struct Open {
    tx: Transaction<'static, Postgres>,
    /// Events to be expected once this commits, and the aggregates' revisions then.
    events: Vec<(Uuid, Uuid, i64)>,
    revisions: HashMap<usize, i64>,
}

struct World {
    pool: PgPool,
    ids: IdSource,
    by: Provenance,
    clock: SharedClock,
    tail: Tail,
    cursor: Cursor,
    aggregates: Vec<Aggregate>,
    open: HashMap<usize, Open>,
    committed: Vec<(Uuid, Uuid, i64)>,
    read: Vec<Arc<Recorded>>,
}

impl World {
    async fn new(pool: &PgPool, clock: &SharedClock) -> Self {
        let ids = IdSource::new(clock.clone());
        let tail = Tail::new(pool.clone(), Arc::new(Notify::new()));
        tail.look().await.unwrap();
        let cursor = tail.head().await.unwrap();
        let aggregates =
            (0..AGGREGATES).map(|_| Aggregate { id: ids.uuid(), ..Aggregate::default() }).collect();
        Self {
            pool: pool.clone(),
            ids,
            by: Provenance::system("model"),
            clock: clock.clone(),
            tail,
            cursor,
            aggregates,
            open: HashMap::new(),
            committed: Vec::new(),
            read: Vec::new(),
        }
    }

    async fn open(&mut self, connection: usize) {
        if self.open.contains_key(&connection) {
            return;
        }
        let mut tx = kefu_postgres::begin(&self.pool).await.unwrap();
        sqlx::query("SELECT pg_current_xact_id()").execute(&mut *tx).await.unwrap();
        self.open.insert(connection, Open { tx, events: Vec::new(), revisions: HashMap::new() });
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Open(connection) => self.open(connection).await,
            Step::Change { connection, aggregate, public } => {
                self.open(connection).await;
                self.change(connection, aggregate, public).await;
            }
            Step::Commit(connection) => {
                if let Some(open) = self.open.remove(&connection) {
                    open.tx.commit().await.unwrap();
                    self.committed.extend(open.events);
                    for (index, revision) in open.revisions {
                        self.aggregates[index].revision = revision;
                        self.aggregates[index].holder = None;
                    }
                }
            }
            Step::Rollback(connection) => {
                if let Some(open) = self.open.remove(&connection) {
                    open.tx.rollback().await.unwrap();
                    for index in open.revisions.into_keys() {
                        self.aggregates[index].holder = None;
                    }
                }
            }
            Step::Look => {
                self.tail.look().await.unwrap();
            }
            Step::Read { limit } => self.read(limit).await,
        }
    }

    async fn change(&mut self, connection: usize, index: usize, public: bool) {
        let open = self.open.get_mut(&connection).unwrap();
        let aggregate = &mut self.aggregates[index];
        if aggregate.holder.is_some_and(|holder| holder != connection) {
            return;
        }
        aggregate.holder = Some(connection);
        let revision = open.revisions.entry(index).or_insert(aggregate.revision);
        *revision += 1;
        let event_id = self.ids.uuid();
        let event = PublicEvent { type_name: "kefu.model.v1.Changed".to_owned(), payload: vec![] };
        let entry = Entry {
            by: &self.by,
            event_id,
            occurred_at: self.clock.now(),
            aggregate_type: "model",
            aggregate_id: aggregate.id,
            revision: *revision,
            action: "model.Change",
            org_unit: "group",
            customer_id: None,
            before: None,
            after: None,
            event: public.then_some(event),
        };
        append(&mut open.tx, &[entry]).await.unwrap();
        if public {
            open.events.push((event_id, aggregate.id, *revision));
        }
    }

    async fn read(&mut self, limit: usize) {
        let start = Start::After(self.cursor);
        let mut follow = self.tail.follow(start, limit).await.unwrap();
        let batch = follow.next().await.unwrap();
        assert!(batch.cursor.position >= self.cursor.position, "the cursor went back");
        assert!(batch.events.len() <= limit);
        self.cursor = batch.cursor;
        self.read.extend(batch.events);
    }

    async fn finish(mut self) {
        for connection in 0..CONNECTIONS {
            self.step(&Step::Commit(connection)).await;
        }
        // Transactions of other tests in this cluster hold the feed back, too, but not for long.
        let head = self.tail.head().await.unwrap();
        while self.cursor.position < head.position {
            self.tail.look().await.unwrap();
            self.read(2).await;
        }
        let expected: HashSet<_> = self.committed.iter().copied().collect();
        let got: Vec<_> =
            self.read.iter().map(|e| (e.event_id, e.aggregate_id, e.revision)).collect();
        assert_eq!(got.iter().copied().collect::<HashSet<_>>(), expected, "skipped or made up");
        assert_eq!(got.len(), expected.len(), "delivered twice");
        let mut last = HashMap::new();
        for (_, aggregate, revision) in got {
            let before = last.insert(aggregate, revision).unwrap_or_default();
            assert!(before < revision, "revision {revision} came after {before}");
        }
    }
}

#[test]
fn x01_every_committed_event_is_read_once_and_in_order_whatever_the_interleaving() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_database, pool) = runtime.block_on(async {
        let database = TestDatabase::context(&[&MIGRATOR], "journal").await.unwrap();
        let pool = database.pool().unwrap();
        (database, pool)
    });
    let clock: SharedClock = Arc::new(SystemClock);
    // Failures are reproduced from the printed steps; a file of seeds would depend on the strategy's form.
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 1..60), |steps| {
            runtime.block_on(async {
                let mut world = World::new(&pool, &clock).await;
                for step in &steps {
                    world.step(step).await;
                }
                world.finish().await;
            });
            Ok(())
        })
        .unwrap();
}
