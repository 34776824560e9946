//! Events as JSON, one object a line.
//!
//! # Invariants
//!
//! * A line is one object with `timestamp`, `level` and `target`; whatever an event holds
//!   is escaped, so that nothing logged can begin a line of its own.
//! * An error is written with everything that led to it: `a: b: c`. The formatter of
//!   `tracing-subscriber` writes the first part only.

use std::{error::Error, fmt};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Longest text of one field, in characters.
const MAX_TEXT: usize = 8 << 10;

/// Writes events as JSON.
pub(super) struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        fields.put("timestamp", time.into());
        fields.put("level", meta.level().as_str().into());
        fields.put("target", meta.target().into());
        writeln!(writer, "{}", Value::Object(fields.0))
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        let text = match text.char_indices().nth(MAX_TEXT) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        self.put(field.name(), text.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        self.put_text(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write to the ledger")]
    struct Outer(#[source] io::Error);

    fn written(log: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(written.clone())
            .event_format(Lines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn error_is_written_with_its_cause() {
        let error = Outer(io::Error::other("database is locked"));
        let lines = written(|| {
            tracing::error!(error = &error as &dyn Error, kept = 3, "cannot write");
        });
        let line = &lines[0];
        assert_eq!(
            line["error"],
            "cannot write to the ledger: database is locked"
        );
        assert_eq!(
            (&line["message"], &line["kept"], &line["level"]),
            (&"cannot write".into(), &3.into(), &"ERROR".into())
        );
        assert!(line["timestamp"].is_string() && line["target"].is_string());
    }

    #[test]
    fn nothing_that_is_logged_begins_a_line_or_stands_for_the_level() {
        let text = "a\n{\"level\":\"ERROR\"}\u{1b}[2J";
        let lines = written(|| {
            tracing::warn!(said = text, level = "no", other = %text, "x\ny");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["said"], text);
        assert_eq!(
            (&lines[0]["level"], &lines[0]["message"]),
            (&"WARN".into(), &"x\ny".into())
        );
    }
}
