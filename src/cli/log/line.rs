//! One line of the log: as text or as JSON, with the id of the request that it is about.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::flow::request_id;

/// Writes lines in one format or the other. Clones change together.
#[derive(Clone)]
pub(super) struct Lines {
    is_json: Arc<AtomicBool>,
    text: Format<Full>,
    json: Format<Json>,
}

impl Lines {
    /// Lines in this format; text has colours if `is_coloured`.
    pub(super) fn new(format: LogFormat, is_coloured: bool) -> Self {
        let plain = Format::default().with_target(false);
        let json = plain.clone().json().flatten_event(true);
        Self {
            is_json: Arc::new(AtomicBool::new(format == LogFormat::Json)),
            text: plain.with_ansi(is_coloured),
            // Spans of libraries, which are formatted as text.
            json: json.with_current_span(false).with_span_list(false).with_ansi(false),
        }
    }

    /// From now on, lines are written in this format.
    pub(super) fn turn_to(&self, format: LogFormat) {
        self.is_json.store(format == LogFormat::Json, Ordering::Relaxed);
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        let is_json = self.is_json.load(Ordering::Relaxed);
        if is_json {
            self.json.format_event(context, Writer::new(&mut line), event)?;
        } else {
            self.text.format_event(context, Writer::new(&mut line), event)?;
        }
        let (mut line, mut end) = (line.trim_end_matches('\n'), "\n");
        let Some(id) = request_id::current() else { return write!(writer, "{line}{end}") };
        if is_json {
            (line, end) = (line.strip_suffix('}').unwrap_or(line), "}\n");
            write!(writer, "{line},\"request_id\":\"{id}\"{end}")
        } else {
            write!(writer, "{line} request_id={id}{end}")
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{fmt, registry};

    use super::*;
    use crate::cli::log::captured::Captured;
    use crate::domain::request_id::RequestId;

    #[tokio::test]
    async fn a_line_names_the_request_that_it_is_about_in_either_format() {
        let text = Captured::default();
        let writer = text.clone();
        let lines = Lines::new(LogFormat::Text, false);
        let layer = fmt::layer().with_writer(move || writer.clone()).event_format(lines.clone());
        let _guard = tracing::subscriber::set_default(registry().with(layer));
        let id = RequestId::parse(b"a1b2c3d4").unwrap();
        tracing::info!(address = "192.0.2.7", "outside");
        request_id::within(id, async { tracing::info!(address = "192.0.2.7", "within") }).await;
        lines.turn_to(LogFormat::Json);
        tracing::info!("outside");
        request_id::within(id, async { tracing::info!(address = "192.0.2.7", "within") }).await;
        let text = text.text();
        let said: Vec<_> = text.lines().collect();
        assert!(said[0].ends_with("outside address=\"192.0.2.7\""), "{text}");
        assert!(said[1].ends_with("within address=\"192.0.2.7\" request_id=a1b2c3d4"), "{text}");
        let json = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        assert_eq!(json(said[2])["request_id"], serde_json::Value::Null);
        let within = json(said[3]);
        assert_eq!(
            (&within["request_id"], &within["message"]),
            (&"a1b2c3d4".into(), &"within".into())
        );
    }
}
