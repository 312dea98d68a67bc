//! The instruments, by the OpenTelemetry semantic conventions where these have a word for it.
//!
//! While nothing is exported every recording is one load of an atomic. Attribute values come from closed sets (service
//! and method names, contexts, status codes), never from what a caller sent.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter},
};

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Seconds; from a cached read to the longest deadline that a server grants.
const CALL_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

pub(crate) fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

fn meter() -> Meter {
    global::meter("kefu")
}

struct Rpc {
    duration: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
}

fn rpc() -> &'static Rpc {
    static RPC: OnceLock<Rpc> = OnceLock::new();
    RPC.get_or_init(|| Rpc {
        duration: meter()
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Time from a call's first byte to the end of its answer")
            .with_boundaries(CALL_BUCKETS.to_vec())
            .build(),
        in_flight: meter()
            .i64_up_down_counter("rpc.server.in_flight")
            .with_unit("{call}")
            .with_description("Calls and streams that are being answered")
            .build(),
    })
}

/// A call that is being answered; counts as in flight until it is finished or dropped.
#[derive(Debug)]
#[must_use]
pub struct CallInFlight {
    counted: bool,
}

/// Counts a call in.
pub fn call_started() -> CallInFlight {
    let counted = enabled();
    if counted {
        rpc().in_flight.add(1, &[]);
    }
    CallInFlight { counted }
}

impl CallInFlight {
    /// Records how the call ended.
    pub fn finished(self, service: &str, method: &str, status_code: i32, took: Duration) {
        if !self.counted {
            return;
        }
        let attributes = [
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service.to_owned()),
            KeyValue::new("rpc.method", method.to_owned()),
            KeyValue::new("rpc.grpc.status_code", i64::from(status_code)),
        ];
        rpc().duration.record(took.as_secs_f64(), &attributes);
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        if self.counted {
            rpc().in_flight.add(-1, &[]);
        }
    }
}

/// How far one context is behind another's feed.
#[derive(Clone, Debug)]
pub struct FeedLag {
    time: Gauge<f64>,
    applied: Counter<u64>,
    failures: Counter<u64>,
    attributes: [KeyValue; 2],
}

impl FeedLag {
    /// The lag of a consumer, by its name, behind the feed of `upstream`, a context.
    pub fn new(consumer: &'static str, upstream: &'static str) -> Self {
        Self {
            time: meter()
                .f64_gauge("kefu.feed.lag")
                .with_unit("s")
                .with_description("Age of the last applied event when it was applied")
                .build(),
            applied: meter()
                .u64_counter("kefu.feed.applied")
                .with_unit("{event}")
                .with_description("Events applied")
                .build(),
            failures: meter()
                .u64_counter("kefu.feed.apply_failures")
                .with_unit("{failure}")
                .with_description("Failed attempts to apply an event")
                .build(),
            attributes: [
                KeyValue::new("kefu.consumer", consumer),
                KeyValue::new("kefu.upstream", upstream),
            ],
        }
    }

    /// Records that `events` were applied, the last of them `lag` after it was written.
    pub fn applied(&self, events: u64, lag: Duration) {
        if enabled() {
            self.applied.add(events, &self.attributes);
            self.time.record(lag.as_secs_f64(), &self.attributes);
        }
    }
}

impl FeedLag {
    /// Records that an event could not be applied.
    pub fn failed(&self) {
        if enabled() {
            self.failures.add(1, &self.attributes);
        }
    }

    /// Watches the age of the oldest event that has not been applied, for the life of the process: what the lag of
    /// applied events says nothing of while none is applied. `read` is called whenever metrics are sent, and must not
    /// block; zero when there is no such event.
    pub fn observe_backlog(&self, read: impl Fn() -> Duration + Send + Sync + 'static) {
        let what = "Age of the oldest event that has not been applied";
        observe_age("kefu.feed.backlog.age", what, self.attributes.to_vec(), read);
    }
}

/// A gauge in seconds that is read whenever metrics are sent.
fn observe_age(
    name: &'static str,
    what: &'static str,
    attributes: Vec<KeyValue>,
    read: impl Fn() -> Duration + Send + Sync + 'static,
) {
    if !enabled() {
        return;
    }
    // The SDK keeps the callback; the instrument itself need not be kept.
    let _ = meter()
        .f64_observable_gauge(name)
        .with_unit("s")
        .with_description(what)
        .with_callback(move |observer| observer.observe(read().as_secs_f64(), &attributes))
        .build();
}

/// How late timers fire, and how late those are that have not fired.
#[derive(Clone, Debug)]
pub struct TimerLag {
    lag: Histogram<f64>,
    attributes: [KeyValue; 1],
    backlog: Arc<Backlog>,
}

/// What was last known of timers that are due, and when. Whoever says nothing any more cannot fire either, so what he
/// said last gets older.
#[derive(Debug, Default)]
struct Backlog {
    known: Mutex<Option<(Instant, Duration)>>,
    observed: OnceLock<()>,
}

impl Backlog {
    fn know(&self, age: Duration) {
        let known = Some((kefu_clock::monotonic(), age));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn age(&self) -> Duration {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.map_or(Duration::ZERO, |(at, age)| at.elapsed() + age)
    }
}

impl TimerLag {
    /// The timers of one context.
    pub fn new(context: &'static str) -> Self {
        Self {
            lag: meter()
                .f64_histogram("kefu.timer.lag")
                .with_unit("s")
                .with_description("Time from a deadline to the commit of its breach")
                .build(),
            attributes: [KeyValue::new("kefu.context", context)],
            backlog: Arc::default(),
        }
    }

    /// To be said whenever the worker has looked for what is due: how long the oldest timer has been due that has not
    /// taken effect, zero if there is none. Until it is said again the gauge grows with the time, so that a worker
    /// which stands still, or cannot reach its database, shows.
    pub fn overdue(&self, age: Duration) {
        self.backlog.know(age);
        self.backlog.observed.get_or_init(|| {
            let what = "How long the oldest timer has been due that has not taken effect";
            let backlog = Arc::clone(&self.backlog);
            let attributes = self.attributes.to_vec();
            observe_age("kefu.timer.backlog.age", what, attributes, move || backlog.age());
        });
    }

    /// Records that a timer took effect `lag` after it was due.
    pub fn fired(&self, lag: Duration) {
        if enabled() {
            self.lag.record(lag.as_secs_f64(), &self.attributes);
        }
    }
}

/// What waits in the outbox of one context, and what was given up there.
#[derive(Clone, Debug)]
pub struct OutboxBacklog {
    attributes: [KeyValue; 1],
    waiting: Arc<Backlog>,
    parked: Arc<AtomicU64>,
}

impl OutboxBacklog {
    /// The outbox of one context.
    pub fn new(context: &'static str) -> Self {
        Self {
            attributes: [KeyValue::new("kefu.context", context)],
            waiting: Arc::default(),
            parked: Arc::default(),
        }
    }

    /// To be said again and again: how many deliveries are parked, and how long the oldest has been waiting that is neither
    /// sent nor given up, zero if there is none. Until it is said again the age grows with the time, so that a worker which
    /// stands still, or cannot reach its database, shows.
    pub fn know(&self, parked: u64, oldest: Duration) {
        self.parked.store(parked, Ordering::Relaxed);
        self.waiting.know(oldest);
        self.waiting.observed.get_or_init(|| {
            let what =
                "How long the oldest delivery has been waiting that is neither sent nor given up";
            let (waiting, attributes) = (Arc::clone(&self.waiting), self.attributes.to_vec());
            observe_age("kefu.outbox.backlog.age", what, attributes, move || waiting.age());
            self.observe_parked();
        });
    }

    fn observe_parked(&self) {
        if !enabled() {
            return;
        }
        let (parked, attributes) = (Arc::clone(&self.parked), self.attributes.clone());
        // The SDK keeps the callback; the instrument itself need not be kept.
        let _ = meter()
            .u64_observable_gauge("kefu.outbox.parked")
            .with_unit("{delivery}")
            .with_description("Deliveries that were given up and wait for a person")
            .with_callback(move |observer| {
                observer.observe(parked.load(Ordering::Relaxed), &attributes);
            })
            .build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t07_timers_that_nobody_looks_for_grow_older() {
        let lag = TimerLag::new("ticket");
        assert_eq!(lag.backlog.age(), Duration::ZERO, "before the first look");
        lag.overdue(Duration::from_secs(5));
        let first = lag.backlog.age();
        assert!(first >= Duration::from_secs(5));
        while lag.clone().backlog.age() == first {
            std::hint::spin_loop();
        }
        lag.overdue(Duration::ZERO);
        assert!(lag.backlog.age() < Duration::from_secs(5), "caught up");
    }

    #[test]
    fn t26_an_outbox_that_nobody_looks_at_grows_older() {
        let outbox = OutboxBacklog::new("ticket");
        assert_eq!(outbox.waiting.age(), Duration::ZERO, "before the first look");
        outbox.know(3, Duration::from_secs(60));
        assert!(outbox.clone().waiting.age() >= Duration::from_secs(60));
        assert_eq!(outbox.parked.load(Ordering::Relaxed), 3);
        outbox.know(0, Duration::ZERO);
        assert!(outbox.waiting.age() < Duration::from_secs(60), "sent");
        assert_eq!(outbox.parked.load(Ordering::Relaxed), 0);
    }
}
