//! What `wissel filter` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum FilterCommand {
    /// Evaluate a CloudEvents SQL expression on an event
    #[command(after_help = "Examples:\n  \
        wissel filter eval --expression \"gemeente = '0344' AND EXISTS subject\" \
        --event geboorte.json\n  \
        wissel filter eval --jsonl cases.jsonl\n\
        \nPrints {\"value\":…}, with \"error\" beside it when there was one: math, cast,\n\
        missingAttribute, missingFunction, functionEvaluation or generic. What is no\n\
        expression gives {\"error\":\"parse\"} alone. A message passes a filter only when the\n\
        value is true and there is no error.\n\
        \nA line of --jsonl is {\"expression\":…,\"event\":{…}}. Required attributes that an event\n\
        lacks are filled in. Text is taken as it is written: a gateway has `time` in UTC.")]
    Eval(EvalArguments),
    /// Show how a filter is compiled, and how a subscription with it is found
    #[command(after_help = "Examples:\n  \
        wissel filter explain --type nl.brp.geboorte --sql \"gemeente = '0344' AND subject LIKE '9%'\"\n  \
        wissel filter explain --filter '{\"any\":[{\"exact\":{\"a\":\"1\"}},{\"suffix\":{\"b\":\"2\"}}]}'")]
    Explain(ExplainArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// An event type wanted; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// A CloudEvents SQL expression; may be given several times
    #[arg(long, value_name = "EXPRESSION", required_unless_present_any = ["filters", "types"])]
    pub(crate) sql: Vec<String>,
    /// A filter in JSON, such as {"any":[…]}; may be given several times
    #[arg(long = "filter", value_name = "JSON")]
    pub(crate) filters: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArguments {
    /// The expression
    #[arg(long, value_name = "TEXT", required_unless_present = "jsonl")]
    pub(crate) expression: Option<String>,
    /// A file with one CloudEvent in JSON; `-` is standard input [default: one with what is required]
    #[arg(long, value_name = "FILE", conflicts_with = "jsonl")]
    pub(crate) event: Option<PathBuf>,
    /// Evaluate every line of FILE, and answer each with a line of JSON
    #[arg(long, conflicts_with = "expression")]
    pub(crate) jsonl: bool,
    /// The lines; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-", requires = "jsonl")]
    pub(crate) lines: PathBuf,
}
