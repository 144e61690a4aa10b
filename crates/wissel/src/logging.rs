//! Log lines, to standard error.

use std::io::{self, IsTerminal as _, Stderr, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat};
use crate::exit::Failure;

/// Begins to log; once a process.
pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    let filter = filter(log).map_err(|fault| Failure::usage(format!("log.filter: {fault}")))?;
    // It writes messages that RabbitMQ returns, with all that is in them.
    let quiet = "lapin::returned_messages=off".parse().map_err(Failure::internal)?;
    let filter = filter.add_directive(quiet);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines { with_priority: is_journal() })
        .with_ansi(io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(Failure::internal)
}

/// What to log, or what is wrong with how that is said.
pub(crate) fn filter(log: &Log) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&log.filter).map_err(|error| {
        format!("{error}; expected levels, such as info or info,wissel_broker=debug")
    })
}

/// Whether standard error goes to the journal of systemd, which tells those that it starts
/// where it reads (systemd.exec(5)).
fn is_journal() -> bool {
    let (Ok(journal), Ok(error)) =
        (std::env::var("JOURNAL_STREAM"), rustix::fs::fstat(io::stderr()))
    else {
        return false;
    };
    journal == format!("{}:{}", error.st_dev, error.st_ino)
}

/// Makes what a line is written to.
struct Lines {
    /// The journal takes it from the beginning of a line (sd-daemon(3)).
    with_priority: bool,
}

/// Standard error, with something before the line.
struct Line {
    before: &'static str,
    error: Stderr,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { before: "", error: io::stderr() }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line {
        let before = if self.with_priority { priority(*of.level()) } else { "" };
        Line { before, error: io::stderr() }
    }
}

impl Write for Line {
    /// A line comes at once, and goes at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.before.is_empty() {
            return self.error.write(line);
        }
        let whole = [self.before.as_bytes(), line].concat();
        self.before = "";
        self.error.write_all(&whole)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.error.flush()
    }
}

fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}
