//! Where log lines go: standard error, as text or JSON.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Begins to write what is at least as important as `log` says; of other crates, warnings.
///
/// Does nothing where somebody listens already.
pub(super) fn begin(log: Log) {
    let filter = EnvFilter::new(format!("warn,doorward={}", log.level.name()));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // It fails where there is one already, in tests: that one will do.
    match log.format {
        LogFormat::Text => lines.try_init().ok(),
        LogFormat::Json => lines.json().flatten_event(true).try_init().ok(),
    };
}
