//! Setting up, once for a process.

use std::time::Duration;

use opentelemetry::{KeyValue, global, trace::TracerProvider as _};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    careful::Careful,
    log, metrics,
    span::RECORDED,
    sql::{self, SqlSpans},
};

/// Spans waiting for export. More are dropped; a call never waits for its telemetry.
const SPAN_QUEUE: usize = 4096;
/// How long one export may take before it counts as failed.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often metrics are sent.
const METRIC_INTERVAL: Duration = Duration::from_secs(15);

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// One readable line, for a terminal.
    Text,
}

/// What [`init`] needs to know.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// `service.name` of everything exported, such as `kefu-ticket`.
    pub service_name: String,
    /// Where an OTLP collector listens for gRPC, such as `http://localhost:4317`. `None` exports nothing.
    pub otlp_endpoint: Option<String>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written, in the syntax of `tracing_subscriber`'s `EnvFilter`; by default
    /// [`TelemetryConfig::DEFAULT_FILTER`].
    pub filter: String,
}

impl TelemetryConfig {
    /// Our own lines from `info` on, those of the libraries from `warn` on.
    pub const DEFAULT_FILTER: &'static str =
        "info,sqlx=warn,h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,rustls=warn";

    /// Logs as JSON with the default filter, nothing exported.
    pub fn new(service_name: impl Into<String>) -> Self {
        Self {
            service_name: service_name.into(),
            otlp_endpoint: None,
            log_format: LogFormat::default(),
            filter: Self::DEFAULT_FILTER.to_owned(),
        }
    }
}

/// Why telemetry could not be set up. Each is a mistake in the configuration, found at the start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter cannot be parsed.
    #[error("log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The OTLP endpoint is not a URL that an exporter can be made for.
    #[error("OTLP endpoint: {0}")]
    Endpoint(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber is installed in this process.
    #[error("telemetry is set up already: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the exporters alive; [`Guard::shutdown`] or dropping it sends what is queued.
#[derive(Debug, Default)]
#[must_use = "dropping the guard stops the exporters"]
pub struct Guard {
    spans: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// Installs logs, traces and metrics for the whole process. From then on a panic is a line of the log, without its
/// words, which may hold personal data.
///
/// Call it once, first thing in `main`; with an OTLP endpoint, inside the tokio runtime. An endpoint where nobody
/// listens is no error, now or later.
///
/// # Errors
///
/// [`TelemetryError`] for a filter or an endpoint that cannot be read, or if called twice.
pub fn init(config: &TelemetryConfig) -> Result<Guard, TelemetryError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.namespace", "kefu"))
        .build();
    let guard = match &config.otlp_endpoint {
        None => Guard::default(),
        Some(endpoint) => exporters(endpoint, resource)?,
    };

    let exporting = guard.spans.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("kefu"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|meta| meta.is_span() && meta.target() == RECORDED))
    });
    let statements = guard
        .spans
        .as_ref()
        .map(|provider| SqlSpans::new(provider.tracer("kefu")).with_filter(sql::filter()));
    tracing_subscriber::registry()
        .with(log::layer(config.log_format, &config.service_name).with_filter(filter))
        .with(exporting)
        .with(statements)
        .try_init()?;
    crate::panics::log_panics();
    Ok(guard)
}

fn exporters(endpoint: &str, resource: Resource) -> Result<Guard, TelemetryError> {
    let spans = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let batches = BatchSpanProcessor::builder(Careful::new(spans))
        .with_batch_config(BatchConfigBuilder::default().with_max_queue_size(SPAN_QUEUE).build())
        .build();
    let spans = SdkTracerProvider::builder()
        .with_span_processor(batches)
        .with_resource(resource.clone())
        .build();

    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let reader = PeriodicReader::builder(exporter).with_interval(METRIC_INTERVAL).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
    global::set_meter_provider(provider.clone());
    metrics::enable();
    Ok(Guard { spans: Some(spans), metrics: Some(provider) })
}

impl Guard {
    /// Sends what is queued and stops; blocks at most a few seconds, even if nobody listens.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        // Failure means that the collector is away, which is no reason to keep a process from ending.
        if let Some(spans) = self.spans.take() {
            let _ = spans.shutdown_with_timeout(EXPORT_TIMEOUT);
        }
        if let Some(metrics) = self.metrics.take() {
            let _ = metrics.shutdown_with_timeout(EXPORT_TIMEOUT);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop();
    }
}
