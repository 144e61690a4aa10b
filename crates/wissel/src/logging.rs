//! Log lines, to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::exit::Failure;

/// Begins to log; once a process.
pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| Failure::usage(format!("log.filter: {error}")))?;
    // It writes messages that RabbitMQ returns, with all that is in them.
    let quiet = "lapin::returned_messages=off".parse().map_err(Failure::internal)?;
    let filter = filter.add_directive(quiet);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(Failure::internal)
}
