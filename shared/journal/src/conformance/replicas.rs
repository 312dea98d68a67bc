//! What a subscriber promises: each event takes effect exactly once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kefu_api::feed::v1::Event;
use kefu_clock::IdSource;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{PROBE, Probe, entry};
use crate::{ApplyError, Consumer, Provenance, Subscriber, append};

/// What a consumer does at its n-th event (counted from 1 over the consumer's life).
#[derive(Clone, Copy, Debug)]
enum Mishap {
    None,
    /// Never returns from applying the event, so that it can be killed there.
    HangAt(usize),
    /// Breaks its own connection after applying the event, so that the commit fails.
    BreakAt(usize),
    /// Refuses the event so many times.
    Refuse {
        id: Uuid,
        times: usize,
    },
}

/// Writes a journal row of its own for each event, and another one when it is applied again.
struct Effects {
    name: &'static str,
    by: Provenance,
    ids: IdSource,
    mishap: Mishap,
    applied: AtomicUsize,
    refused: AtomicUsize,
    hanging: Arc<Notify>,
}

impl Effects {
    fn new(probe: &Probe, name: &'static str, mishap: Mishap) -> Self {
        Self {
            name,
            by: Provenance::system(name),
            ids: IdSource::new(probe.subject.clock.clone()),
            mishap,
            applied: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            hanging: Arc::new(Notify::new()),
        }
    }
}

impl Consumer for Effects {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        "conformance"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[PROBE]
    }

    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), ApplyError> {
        let id: Uuid = event.id.parse()?;
        if let Mishap::Refuse { id: refused, times } = self.mishap
            && refused == id
            && self.refused.fetch_add(1, Ordering::SeqCst) < times
        {
            return Err("refused for the test".into());
        }
        let at = jiff::Timestamp::UNIX_EPOCH;
        append(tx, &[entry(&self.by, id, at, self.name, self.ids.uuid(), 1, None)]).await?;
        let count = self.applied.fetch_add(1, Ordering::SeqCst) + 1;
        match self.mishap {
            Mishap::HangAt(n) if n == count => {
                self.hanging.notify_one();
                std::future::pending::<()>().await;
            }
            Mishap::BreakAt(n) if n == count => {
                let broken = sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())");
                broken.execute(tx).await.expect_err("the connection survived");
            }
            _ => {}
        }
        Ok(())
    }
}

impl Probe {
    fn subscriber(&self, effects: Effects) -> Arc<Subscriber<Effects>> {
        let subject = &self.subject;
        let (upstream, pool) = (subject.upstream.clone(), subject.pool.clone());
        Arc::new(Subscriber::new(effects, upstream, pool, subject.clock.clone()))
    }

    /// Commits `count` events in transactions of growing size.
    async fn commit_many(&self, count: usize) -> Vec<Uuid> {
        let (mut written, mut size) = (Vec::new(), 1);
        while written.len() < count {
            let mut tx = kefu_postgres::begin(&self.subject.pool).await.expect("begin");
            for _ in 0..size.min(count - written.len()) {
                written.push(self.write(&mut tx, self.ids.uuid(), 1).await);
            }
            tx.commit().await.expect("commit");
            size += 1;
        }
        written
    }
}

/// How often each event has taken effect.
async fn effects(pool: &PgPool, name: &str) -> HashMap<Uuid, usize> {
    let rows: Vec<Uuid> =
        sqlx::query_scalar("SELECT event_id FROM journal WHERE aggregate_type = $1")
            .bind(name)
            .fetch_all(pool)
            .await
            .expect("effects");
    let mut counts = HashMap::new();
    for id in rows {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

async fn assert_applied_once(probe: &Probe, name: &str, written: &[Uuid]) {
    let counts = effects(&probe.subject.pool, name).await;
    for id in written {
        assert_eq!(counts.get(id), Some(&1), "event {id} at {name}");
    }
}

/// Two replicas with the same consumer share the work without doubling any of it.
pub(super) async fn two_replicas_apply_once(probe: &Probe) {
    const NAME: &str = "conformance-replicas";
    let shutdown = CancellationToken::new();
    let mut written = probe.commit_many(40).await;
    let replicas: Vec<_> =
        (0..2).map(|_| probe.subscriber(Effects::new(probe, NAME, Mishap::None))).collect();
    let running: Vec<_> = replicas
        .iter()
        .cloned()
        .map(|replica| {
            tokio::spawn({
                let shutdown = shutdown.clone();
                async move { replica.run(shutdown).await }
            })
        })
        .collect();
    written.extend(probe.commit_many(40).await);
    for replica in &replicas {
        replica.settle_now().await.expect("settle");
    }
    shutdown.cancel();
    for task in running {
        task.await.expect("a replica panicked");
    }
    assert_applied_once(probe, NAME, &written).await;
}

/// Killed in the middle of a batch, after applying and before committing, or with a commit that fails: the next
/// incarnation goes on exactly.
pub(super) async fn a_killed_consumer_continues_exactly(probe: &Probe) {
    const NAME: &str = "conformance-killed";
    let written = probe.commit_many(12).await;
    for at in [1, 5, 12] {
        let victim = probe.subscriber(Effects::new(probe, NAME, Mishap::HangAt(at)));
        let hanging = victim.consumer().hanging.clone();
        tokio::select! {
            () = victim.run(CancellationToken::new()) => {}
            () = hanging.notified() => {}
        }
    }
    let survivor = probe.subscriber(Effects::new(probe, NAME, Mishap::BreakAt(3)));
    tokio::select! {
        () = survivor.run(CancellationToken::new()) => {}
        settled = survivor.settle_now() => settled.expect("settle"),
    }
    assert_applied_once(probe, NAME, &written).await;
}

/// An event that cannot be applied holds the consumer, is tried again, and then takes effect in its turn.
pub(super) async fn a_failing_event_is_never_skipped(probe: &Probe) {
    const NAME: &str = "conformance-poison";
    let written = probe.commit_many(9).await;
    let poison = Mishap::Refuse { id: written[4], times: 2 };
    let subscriber = probe.subscriber(Effects::new(probe, NAME, poison));
    tokio::select! {
        () = subscriber.run(CancellationToken::new()) => {}
        settled = subscriber.settle_now() => settled.expect("settle"),
    }
    assert_eq!(
        subscriber.consumer().refused.load(Ordering::SeqCst),
        3,
        "two refusals, then applied"
    );
    assert_applied_once(probe, NAME, &written).await;
}
