//! What is said about questions.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wissel_client::TraceContext;
use wissel_identifiers::{InboxName, Oin};

use super::Connection;
use super::queues::duration;

pub(crate) const ANSWER_HELP: &str =
    "The command is run for each question: it gets the question on its standard input, as a
CloudEvent in JSON, and writes the answer to its standard output, as another. When it fails,
so does the answer.

Example:
  wissel answer --as 00000099000000003000 00000099000000003000.vragen --exec ./answer.sh";

#[derive(Debug, Args)]
pub(crate) struct AskArguments {
    /// A file with the question, a CloudEvent in JSON; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Who is to answer (OIN) [default: the only one that can]
    #[arg(long, value_name = "OIN")]
    pub(crate) to: Option<Oin>,
    /// How long to wait, such as 500ms [default: as the catalogue says]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) within: Option<Duration>,
    /// Where this stands in a trace (W3C Trace Context)
    #[arg(long, value_name = "00-TRACE-SPAN-FLAGS")]
    pub(crate) traceparent: Option<TraceContext>,
    /// Print who answered as well, in JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GatherArguments {
    /// Files with questions, CloudEvents in JSON or arrays of them; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Ask this party (OIN); given several times, each question is put to each of them
    #[arg(long, value_name = "OIN")]
    pub(crate) to: Vec<Oin>,
    /// How long to wait for all, such as 2s [default: as the catalogue says]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) within: Option<Duration>,
    /// Where this stands in a trace (W3C Trace Context)
    #[arg(long, value_name = "00-TRACE-SPAN-FLAGS")]
    pub(crate) traceparent: Option<TraceContext>,
    /// Print what became of each question as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct AnswerArguments {
    /// The inbox with the questions, OIN.name
    #[arg(value_name = "INBOX")]
    pub(crate) inbox: InboxName,
    /// The command that answers one question
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: PathBuf,
    /// The most questions in hand at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) credit: u16,
    #[command(flatten)]
    pub(crate) connection: Connection,
}
