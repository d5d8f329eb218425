//! The log on standard error: text lines, or one JSON object each.

mod burst_limit;
#[cfg(test)]
mod captured;
mod line;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{panic, thread};

use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

use burst_limit::BurstLimit;
pub(super) use burst_limit::left_out;
use line::Lines;

use crate::config::Log;
use crate::os;
use crate::proxy::malformed_requests;

/// The log of this process, once it was started: there is one for the whole process.
static STARTED: OnceLock<Started> = OnceLock::new();

/// What can be changed while it runs.
struct Started {
    filter: Handle<EnvFilter, Registry>,
    lines: Lines,
}

/// Starts the log. A log that was started before stays.
pub(super) fn start(log: Log) {
    let (filter, handle) = reload::Layer::new(filter(log));
    // On a terminal `NO_COLOR` decides; in a file, colours are noise.
    let no_color = os::environment("NO_COLOR").is_some_and(|set| !set.is_empty());
    let lines = Lines::new(log.format, io::stderr().is_terminal() && !no_color);
    let layer = fmt::layer()
        .with_writer(io::stderr)
        // It would report on standard error that standard error is gone, and panic in the middle of
        // an operation.
        .log_internal_errors(false)
        .event_format(lines.clone());
    let layer = layer.with_filter(filter.and(BurstLimit::default()));
    // A test or a program around us may have its own log.
    if registry().with(layer).with(malformed_requests()).try_init().is_ok() {
        log_panics();
        STARTED.set(Started { filter: handle, lines }).ok();
        tell_libraries(log);
    }
}

/// Changes the log that was started here, if one was.
pub(super) fn change(log: Log) {
    let Some(Started { filter: handle, lines }) = STARTED.get() else { return };
    lines.turn_to(log.format);
    if let Err(error) = handle.reload(filter(log)) {
        tracing::error!(%error, "cannot change the level of the log");
        return;
    }
    tell_libraries(log);
}

/// One layer listens at level debug, to one library. The others would format records that nobody
/// reads.
fn tell_libraries(log: Log) {
    log::set_max_level(level_of_libraries(log));
}

/// Logs panics like everything else, in the log's format: one line with the place in the code.
fn log_panics() {
    panic::set_hook(Box::new(|panicked| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let place = panicked.location().map(ToString::to_string);
        let message = panicked.payload_as_str().unwrap_or_default();
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
        let backtrace = backtrace.map(tracing::field::display);
        let thread = thread::current();
        let thread = thread.name();
        tracing::error!(thread, place, backtrace, "panic: {message}");
    }));
}

/// How many panics there were in this process since its log was started.
pub(super) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// There is one log for the whole process.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// The level of libraries that use `log`.
fn level_of_libraries(log: Log) -> log::LevelFilter {
    log.level.name().parse().unwrap_or(log::LevelFilter::Info)
}

/// Pingora's own lines quote visitors' requests with their cookies; ours say what matters. Only
/// failures to accept connections are left to Pingora. The library for security keys logs what
/// browsers sent as errors.
fn filter(log: Log) -> EnvFilter {
    EnvFilter::new(format!(
        "{},pingora_core=off,pingora_proxy=off,pingora_core::services=error,\
         webauthn_rs_core=off",
        log.level.name()
    ))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::Filter;
    use tracing_subscriber::registry::Registry;

    use super::*;

    #[test]
    fn libraries_are_told_which_records_nobody_reads() {
        let (filter, _handle) = reload::Layer::new(filter(Log::default()));
        let filter = filter.and(BurstLimit::default());
        assert_eq!(Filter::<Registry>::max_level_hint(&filter), Some(LevelFilter::INFO));
        assert!(log::STATIC_MAX_LEVEL < log::LevelFilter::Trace);
        assert_eq!(level_of_libraries(Log::default()), log::LevelFilter::Info);
    }
}
