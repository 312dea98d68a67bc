//! Log lines: JSON or text, with trace ids, without personal data.

use std::{
    fmt::{self, Write as _},
    io::{IsTerminal as _, stderr},
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use crate::{LogFormat, TraceContext};

/// Names of fields whose values are never written, whoever logs them: what identifies a person, what a person wrote,
/// and secrets. Logging them is a mistake that this list makes harmless.
pub const PERSONAL_FIELDS: &[&str] = &[
    "address",
    "authorization",
    "body",
    "comment",
    "contact",
    "description",
    "display_name",
    "email",
    "name",
    "password",
    "peer",
    "phone",
    "statement",
    "subject",
    "text",
    "token",
    "user_agent",
];

/// What stands in the place of such a value.
const BLANKED: &str = "[blanked]";

/// The layer that writes log lines to standard error, which leaves standard output to commands.
pub(crate) fn layer<S>(format: LogFormat, service: &str) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let colour = format == LogFormat::Text && stderr().is_terminal();
    tracing_subscriber::fmt::layer()
        .with_ansi(colour)
        .with_writer(stderr)
        .fmt_fields(NoFields)
        .event_format(Lines { format, service: service.to_owned() })
}

/// Spans are written nowhere, so formatting their fields would be for nothing.
struct NoFields;

impl<'writer> FormatFields<'writer> for NoFields {
    fn format_fields<R: RecordFields>(&self, _: Writer<'writer>, _: R) -> fmt::Result {
        Ok(())
    }
}

struct Lines {
    format: LogFormat,
    service: String,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        if meta.target().starts_with("opentelemetry") && exporter_has_complained(*meta.level()) {
            return Ok(());
        }
        let ids = context.event_scope().and_then(|mut scope| {
            scope.find_map(|span| span.extensions().get::<TraceContext>().copied())
        });
        let mut fields = Fields::default();
        event.record(&mut fields);
        match self.format {
            LogFormat::Json => self.json(writer, *meta.level(), meta.target(), ids, fields),
            LogFormat::Text => text(writer, *meta.level(), meta.target(), ids, &fields),
        }
    }
}

/// A collector that is away would be reported with every batch. Once is enough.
fn exporter_has_complained(level: Level) -> bool {
    static COMPLAINED: AtomicBool = AtomicBool::new(false);
    // Its informational lines are of interest to nobody but its authors.
    level > Level::WARN || COMPLAINED.swap(true, Ordering::Relaxed)
}

impl Lines {
    fn json(
        &self,
        mut writer: Writer<'_>,
        level: Level,
        target: &str,
        ids: Option<TraceContext>,
        fields: Fields,
    ) -> fmt::Result {
        let mut line = Map::new();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line.insert("time".into(), time.into());
        line.insert("level".into(), level.as_str().into());
        line.insert("service".into(), self.service.as_str().into());
        line.insert("target".into(), target.into());
        line.insert("message".into(), fields.message.into());
        if let Some(ids) = ids {
            line.insert("trace_id".into(), ids.trace_id().to_string().into());
            line.insert("span_id".into(), ids.span_id().to_string().into());
        }
        if !fields.others.is_empty() {
            line.insert("fields".into(), fields.others.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn text(
    mut writer: Writer<'_>,
    level: Level,
    target: &str,
    ids: Option<TraceContext>,
    fields: &Fields,
) -> fmt::Result {
    SystemTime.format_time(&mut writer)?;
    let (on, off) = match (writer.has_ansi_escapes(), level) {
        (false, _) => ("", ""),
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
        (true, _) => ("\x1b[2m", "\x1b[0m"),
    };
    write!(writer, " {on}{level:>5}{off} {target}: {}", one_line(&fields.message))?;
    for (name, value) in &fields.others {
        write!(writer, " {name}={value}")?;
    }
    if let Some(ids) = ids {
        write!(writer, " trace_id={}", ids.trace_id())?;
    }
    writeln!(writer)
}

/// A message with line breaks or escape sequences in it could pretend to be other lines.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() {
            // Writing to a string cannot fail.
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl FnOnce() -> Value) {
        let name = field.name();
        let value = if PERSONAL_FIELDS.contains(&name) { BLANKED.into() } else { value() };
        self.others.insert(name.to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.put(field, || format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, || value.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, || value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, || value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, || value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, || value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Captured {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(format: LogFormat, body: impl FnOnce()) -> String {
        let captured = Captured::default();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(captured.clone())
            .fmt_fields(NoFields)
            .event_format(Lines { format, service: "kefu-test".into() });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), body);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_carries_the_trace() {
        let mut trace = String::new();
        let line = logged(LogFormat::Json, || {
            let (span, ids) = crate::server_span(None, "s", "m");
            trace = ids.trace_id().to_string();
            span.in_scope(|| tracing::info!(rows = 3, "applied"));
        });
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["trace_id"], trace);
        assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
        assert_eq!(line["message"], "applied");
        assert_eq!(line["service"], "kefu-test");
        assert_eq!(line["fields"]["rows"], 3);
    }

    #[test]
    fn personal_data_is_blanked_in_both_formats() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let line = logged(format, || {
                tracing::warn!(phone = "+8613800000000", email = ?"a@example.com", "refused");
            });
            assert!(!line.contains("138") && !line.contains("example.com"), "{line}");
            assert!(line.contains("[blanked]"), "{line}");
        }
    }

    #[test]
    fn a_message_stays_on_its_line() {
        let text = logged(LogFormat::Text, || tracing::info!("one\ntwo\x1b[31m"));
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn an_exporter_complains_once() {
        let text = logged(LogFormat::Text, || {
            for _ in 0..10 {
                tracing::error!(target: "opentelemetry-otlp", "collector away");
            }
        });
        assert!(text.lines().count() <= 1, "{text}");
    }
}
