//! The three spans that exist.
//!
//! Each has two call sites that differ in their target only: [`RECORDED`] passes the exporting layer's filter,
//! [`LOCAL`] does not. Filters are cached by call site, so while nothing is exported a span costs no more than its
//! entry in the registry, which the logs need for their trace ids.

use opentelemetry::{Context, trace::TraceContextExt as _};
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Registry, registry::LookupSpan as _};

use crate::{careful, trace::TraceContext};

/// The target of spans that are exported.
pub(crate) const RECORDED: &str = "kefu::recorded";
/// The target of spans that only give their ids to the logs.
pub(crate) const LOCAL: &str = "kefu::local";

/// The span of one call, as a child of the caller's trace if it sent one.
///
/// `service` and `method` must come from a known set, never from the wire as they are. Whoever drives the span records
/// `rpc.grpc.status_code` at its end.
pub fn server_span(
    parent: Option<TraceContext>,
    service: &str,
    method: &str,
) -> (Span, TraceContext) {
    macro_rules! span {
        ($target:expr) => {
            tracing::info_span!(
                target: $target,
                "rpc",
                otel.name = %format_args!("{service}/{method}"),
                otel.kind = "server",
                otel.status_code = Empty,
                rpc.system = "grpc",
                rpc.service = service,
                rpc.method = method,
                rpc.grpc.status_code = Empty,
            )
        };
    }
    if careful::recording() {
        identify(span!(RECORDED), parent)
    } else {
        identify(span!(LOCAL), parent)
    }
}

/// The span of one command inside a call or a worker, a child of the current span.
pub fn command_span(name: &'static str) -> Span {
    let span = if careful::recording() {
        tracing::info_span!(target: RECORDED, "command", otel.name = name)
    } else {
        tracing::info_span!(target: LOCAL, "command", otel.name = name)
    };
    identify(span, None).0
}

/// The span of work that is done for somebody outside of his call: an event of another context takes effect here, or what
/// many have asked for is written at once. A child of the span that wrote the event, or of the first who asked.
///
/// `traceparent` is the text stored with the event or the demand; one that cannot be read begins a new trace.
pub fn effect_span(name: &'static str, traceparent: Option<&str>) -> Span {
    let parent = traceparent.and_then(|text| text.parse().ok());
    let span = if careful::recording() {
        tracing::info_span!(target: RECORDED, parent: None, "effect", otel.name = name, otel.kind = "consumer")
    } else {
        tracing::info_span!(target: LOCAL, parent: None, "effect", otel.name = name, otel.kind = "consumer")
    };
    identify(span, parent).0
}

/// The trace and span in which the calling code runs, to be stored with what it writes; `None` outside of any span.
pub fn current_trace() -> Option<TraceContext> {
    trace_of(&Span::current())
}

fn trace_of(span: &Span) -> Option<TraceContext> {
    span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(id)?;
        span.scope().find_map(|span| span.extensions().get::<TraceContext>().copied())
    })
    .flatten()
}

/// Gives the span its ids: the exporter's where it is exported, our own where it is not.
fn identify(span: Span, parent: Option<TraceContext>) -> (Span, TraceContext) {
    let recorded = span.metadata().is_some_and(|meta| meta.target() == RECORDED);
    let exported = if recorded {
        if let Some(parent) = parent {
            let remote = Context::new().with_remote_span_context(parent.to_span_context());
            // Fails only where no exporting layer is installed, and then there is nothing to set.
            let _ = span.set_parent(remote);
        }
        TraceContext::from_span_context(span.context().span().span_context())
    } else {
        None
    };
    let ids = exported.unwrap_or_else(|| {
        let parent = parent.or_else(current_trace);
        parent.map_or_else(TraceContext::root, |parent| parent.child())
    });
    span.with_subscriber(|(id, dispatch)| {
        if let Some(span) = dispatch.downcast_ref::<Registry>().and_then(|r| r.span(id)) {
            span.extensions_mut().replace(ids);
        }
    });
    (span, ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_continues_the_callers_trace_and_a_command_the_calls() {
        let _guard = tracing::subscriber::set_default(Registry::default());
        let remote = TraceContext::root();
        let (span, ids) = server_span(Some(remote), "kefu.ticket.v1.TicketService", "GetTicket");
        assert_eq!(ids.trace_id().to_string(), remote.trace_id().to_string());
        assert_ne!(ids, remote);
        span.in_scope(|| {
            assert_eq!(current_trace(), Some(ids));
            command_span("ticket.create").in_scope(|| {
                let command = current_trace().unwrap();
                assert_eq!(command.trace_id().to_string(), remote.trace_id().to_string());
                assert_ne!(command, ids);
            });
        });
    }

    #[test]
    fn an_effect_continues_the_trace_stored_with_its_event() {
        let _guard = tracing::subscriber::set_default(Registry::default());
        let stored = TraceContext::root();
        effect_span("survey.invite", Some(&stored.to_string())).in_scope(|| {
            let here = current_trace().unwrap();
            assert_eq!(here.trace_id().to_string(), stored.trace_id().to_string());
        });
        effect_span("survey.invite", Some("rubbish")).in_scope(|| {
            assert!(current_trace().is_some());
        });
    }
}
