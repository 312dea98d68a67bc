//! What a running Kefu says about itself: traces, metrics, logs.
//!
//! The crate promises:
//!
//! * **One trace per story.** [`TraceContext`] is the W3C `traceparent` in its three homes: the header of a call, the
//!   column of a journal row, and the spans of this process. Who hands it on (`kefu-rpc` for calls, `kefu-journal` for
//!   events) continues the same trace in the next context.
//! * **Few spans.** [`server_span`] makes one for each call, [`command_span`] one for each command, [`effect_span`] one
//!   for each applied event, and while spans are exported, each SQL statement within these is one. Nothing else in the
//!   code base makes spans, because they cost more than most of what they would measure.
//! * **Logs that can be joined and shared.** One JSON object a line, with the ids of trace and span. Fields which would
//!   carry personal data or secrets are blanked by name before they are written (see [`PERSONAL_FIELDS`]).
//! * **A dead collector costs nothing.** Without an endpoint there is no exporter at all. With one, queues are bounded
//!   and drop; after a failed export no spans are recorded for a minute, and the failure is logged once.

mod careful;
mod config;
mod log;
pub mod metrics;
mod panics;
mod span;
mod sql;
mod trace;

pub use crate::{
    config::{Guard, LogFormat, TelemetryConfig, TelemetryError, init},
    log::PERSONAL_FIELDS,
    span::{command_span, current_trace, effect_span, server_span},
    trace::{InvalidTraceparent, TRACEPARENT, TraceContext},
};
