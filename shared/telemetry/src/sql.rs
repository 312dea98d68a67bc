//! Statements as spans of the call or the effect that sent them.
//!
//! sqlx says of each statement, when it has ended, what it was and how long it took. While spans are exported, this layer
//! turns that into a span beneath the one in which the statement ran; nothing in the contexts has to know. A statement
//! outside of any span, such as a worker's look whether there is something to do, makes none. The text is that of a
//! prepared statement: values are its parameters, and are not told.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use kefu_clock::{Clock as _, SystemClock};
use opentelemetry::{
    Context as Parent, KeyValue,
    trace::{Span as _, SpanKind, TraceContextExt as _, Tracer},
};
use opentelemetry_semantic_conventions::attribute::{
    DB_QUERY_SUMMARY, DB_QUERY_TEXT, DB_SYSTEM_NAME,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    filter::dynamic_filter_fn,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use crate::{careful, span::RECORDED, trace::TraceContext};

/// Under which sqlx speaks of statements.
const STATEMENTS: &str = "sqlx::query";
/// How many rows came back; a convention that is not declared stable yet.
const DB_RESPONSE_RETURNED_ROWS: &str = "db.response.returned_rows";
/// A summary names no more tables than these.
const MAX_TABLES: usize = 6;

/// What the layer has to see: statements while spans are recorded, and the spans above them.
pub(crate) fn filter<S>() -> impl Filter<S> {
    dynamic_filter_fn(|meta: &Metadata<'_>, _| match meta.target() {
        STATEMENTS => careful::recording(),
        target => target == RECORDED && meta.is_span(),
    })
    // Nobody else is asked more than once.
    .with_callsite_filter(|meta| match meta.target() {
        STATEMENTS => Interest::sometimes(),
        target if target == RECORDED && meta.is_span() => Interest::always(),
        _ => Interest::never(),
    })
    .with_max_level_hint(LevelFilter::DEBUG)
}

/// The layer; put [`filter`] before it.
pub(crate) struct SqlSpans<T> {
    tracer: T,
}

impl<T> SqlSpans<T> {
    pub(crate) fn new(tracer: T) -> Self {
        Self { tracer }
    }
}

impl<S, T> Layer<S> for SqlSpans<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    T: Tracer + 'static,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let parent = context.event_scope(event).and_then(|mut scope| {
            scope.find_map(|span| span.extensions().get::<TraceContext>().copied())
        });
        let Some(parent) = parent else { return };
        let mut statement = Statement::default();
        event.record(&mut statement);
        let ended = SystemTime::from(SystemClock.now());
        let began = ended.checked_sub(statement.took).unwrap_or(ended);
        let parent = Parent::new().with_remote_span_context(parent.to_span_context());
        let builder = self
            .tracer
            .span_builder(statement.summary())
            .with_kind(SpanKind::Client)
            .with_start_time(began)
            .with_attributes(statement.attributes());
        self.tracer.build_with_context(builder, &parent).end_with_timestamp(ended);
    }
}

/// What sqlx tells.
#[derive(Default)]
struct Statement {
    text: String,
    rows: u64,
    took: Duration,
}

impl Statement {
    /// What is done to which tables, in the order of the text: `INSERT invitation SELECT contact`. What a statement calls a
    /// table itself (`WITH name AS (`) is none.
    fn summary(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let own: Vec<&str> = words
            .windows(3)
            .filter(|of| of[1] == "AS" && of[2].starts_with('('))
            .map(|of| of[0])
            .collect();
        let (mut parts, mut selecting, mut before) = (Vec::<String>::new(), false, "");
        for (index, word) in words.iter().enumerate() {
            let next = words.get(index + 1).copied().unwrap_or_default();
            let verb = match word.trim_start_matches('(') {
                "INTO" => Some("INSERT"),
                "FROM" if before == "DELETE" => Some("DELETE"),
                "FROM" if selecting => Some("SELECT"),
                // Not a lock, and not what to do about a conflict.
                "UPDATE" if next != "SET" && before != "KEY" && before != "FOR" => Some("UPDATE"),
                _ => None,
            };
            selecting = (selecting || word.trim_start_matches('(') == "SELECT") && verb.is_none();
            let table = next.trim_end_matches(&[',', ';', ')'][..]);
            if let Some(verb) = verb.filter(|_| is_name(table) && !own.contains(&table)) {
                let part = format!("{verb} {table}");
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
            before = word;
        }
        // What is changed says more than what is looked at.
        while parts.len() > MAX_TABLES {
            let read = parts.iter().rposition(|part| part.starts_with("SELECT"));
            parts.remove(read.unwrap_or(parts.len() - 1));
        }
        match parts.is_empty() {
            true => words.first().copied().unwrap_or_default().to_owned(),
            false => parts.join(" "),
        }
    }

    fn attributes(self) -> Vec<KeyValue> {
        vec![
            KeyValue::new(DB_SYSTEM_NAME, "postgresql"),
            KeyValue::new(DB_QUERY_SUMMARY, self.summary()),
            KeyValue::new(DB_QUERY_TEXT, self.text),
            KeyValue::new(DB_RESPONSE_RETURNED_ROWS, i64::try_from(self.rows).unwrap_or(i64::MAX)),
        ]
    }
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.')
}

impl Visit for Statement {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.took = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // All there is of a statement of a few words.
            "summary" if self.text.is_empty() => value.clone_into(&mut self.text),
            "db.statement" if !value.is_empty() => value.trim().clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::{careful::Careful, server_span};

    fn statement(summary: &str, text: &str) {
        tracing::debug!(
            target: "sqlx::query", summary, db.statement = text, rows_affected = 0u64,
            rows_returned = 2u64, elapsed = ?Duration::from_millis(3), elapsed_secs = 0.003,
        );
    }

    #[test]
    fn a_statement_is_a_span_below_the_call_and_outside_of_calls_none() {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(Careful::new(exporter.clone()))
            .build();
        let recorded = tracing_opentelemetry::layer().with_tracer(provider.tracer("kefu"));
        let subscriber = tracing_subscriber::registry()
            .with(recorded.with_filter(tracing_subscriber::filter::filter_fn(|meta| {
                meta.is_span() && meta.target() == RECORDED
            })))
            .with(SqlSpans::new(provider.tracer("kefu")).with_filter(filter()));
        tracing::subscriber::with_default(subscriber, || {
            statement("SELECT of nobody", "");
            let (span, _) = server_span(None, "kefu.ticket.v1.TicketService", "GetTicket");
            let text = "\n\nSELECT t.id FROM ticket AS t WHERE t.id = $1\n";
            span.in_scope(|| statement("SELECT t.id FROM ticket …", text));
        });
        let spans = exporter.get_finished_spans().unwrap();
        let [sql, call] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!(sql.parent_span_id, call.span_context.span_id());
        assert_eq!(sql.span_context.trace_id(), call.span_context.trace_id());
        assert_eq!((&*sql.name, &sql.span_kind), ("SELECT ticket", &SpanKind::Client));
        assert_eq!(
            sql.end_time.duration_since(sql.start_time).unwrap().as_millis(),
            Duration::from_millis(3).as_millis()
        );
        let text = sql.attributes.iter().find(|kv| kv.key.as_str() == DB_QUERY_TEXT).unwrap();
        assert_eq!(text.value.as_str(), "SELECT t.id FROM ticket AS t WHERE t.id = $1");
    }

    #[test]
    fn a_summary_names_what_is_done_to_which_tables() {
        let cases = [
            ("SELECT 1", "SELECT"),
            ("BEGIN", "BEGIN"),
            ("SELECT id FROM ticket WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED", "SELECT ticket"),
            (
                "WITH new AS (INSERT INTO a (x) VALUES ($1) RETURNING x) SELECT x FROM new",
                "INSERT a",
            ),
            ("INSERT INTO a (x) VALUES ($1) ON CONFLICT (x) DO UPDATE SET x = $1", "INSERT a"),
            ("UPDATE ticket SET a = $1 WHERE id IN (SELECT id FROM b)", "UPDATE ticket SELECT b"),
            ("DELETE FROM request WHERE id = $1", "DELETE request"),
            ("SELECT x FROM unnest($1::uuid[])", "SELECT"),
        ];
        for (text, summary) in cases {
            let statement = Statement { text: text.to_owned(), ..Statement::default() };
            assert_eq!(statement.summary(), summary, "{text}");
        }
    }
}
