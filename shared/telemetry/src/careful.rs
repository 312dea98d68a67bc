//! An exporter that notices that nobody is there, and stops the work that would be for nothing.

use std::{
    fmt,
    future::Future,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

/// How long no spans are recorded after an export failed.
const PAUSE: Duration = Duration::from_secs(60);

static INSTALLED: AtomicBool = AtomicBool::new(false);
/// Milliseconds after [`epoch`] until which nothing is recorded.
static PAUSED_UNTIL: AtomicU64 = AtomicU64::new(0);

/// Whether spans are worth recording: an exporter exists and has not just failed.
pub(crate) fn recording() -> bool {
    if !INSTALLED.load(Ordering::Relaxed) {
        return false;
    }
    let paused = PAUSED_UNTIL.load(Ordering::Relaxed);
    paused == 0 || elapsed() >= paused
}

fn elapsed() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let now = kefu_clock::monotonic();
    let since = now.saturating_duration_since(*EPOCH.get_or_init(|| now));
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Wraps an exporter; a failed export pauses recording in the whole process, a good one resumes it.
pub(crate) struct Careful<E> {
    inner: E,
}

impl<E> Careful<E> {
    pub(crate) fn new(inner: E) -> Self {
        INSTALLED.store(true, Ordering::Relaxed);
        Self { inner }
    }
}

impl<E> fmt::Debug for Careful<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Careful")
    }
}

impl<E: SpanExporter> SpanExporter for Careful<E> {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let export = self.inner.export(batch);
        async move {
            let result = export.await;
            let until = match result {
                Ok(()) => 0,
                Err(_) => elapsed() + u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX),
            };
            PAUSED_UNTIL.store(until, Ordering::Relaxed);
            result
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
