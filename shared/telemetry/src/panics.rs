//! What is said of a panic.

use std::{panic, thread};

/// Writes panics to the log, like everything else that happens: where, in which thread and, by the log line's trace,
/// in which call. Not with which words: these may hold what a customer said. Replaces the standard hook, which prints
/// them to standard error.
pub(crate) fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let (file, line) = panic.location().map_or(("", 0), |at| (at.file(), at.line()));
        let thread = thread::current();
        let thread = thread.name().unwrap_or_default();
        tracing::error!(file, line, thread, "a panic");
    }));
}
