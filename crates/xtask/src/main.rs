//! The commands of this repository's developers.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod licences;
mod lint;
mod setup;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

/// Builds, tests, lints and measures Wissel.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what is missing, then run every test
    #[command(after_help = "Example:\n  cargo xtask test\n  cargo xtask test -- --skip kill")]
    Test {
        /// Install nothing
        #[arg(long)]
        no_install: bool,
        /// Arguments for the tests themselves
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Install what the tests need (RabbitMQ, a C compiler), on Debian
    #[command(after_help = "Example:\n  cargo xtask setup")]
    Setup,
    /// Check format, lints, documentation, spelling and licences
    #[command(after_help = "Example:\n  cargo xtask lint")]
    Lint,
    /// Measure; all benches, or those named
    #[command(after_help = "Example:\n  cargo xtask bench route")]
    Bench {
        /// The benches' names, as in benches/benches
        names: Vec<String>,
    },
    /// Lint and test, as continuous integration does
    #[command(after_help = "Example:\n  cargo xtask ci")]
    Ci,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Test { no_install, arguments } => test(no_install, &arguments),
        Task::Setup => setup::install(),
        Task::Lint => lint::run(),
        Task::Bench { names } => bench(&names),
        Task::Ci => {
            lint::run()?;
            test(false, &[])
        }
    }
}

fn test(no_install: bool, arguments: &[String]) -> Result<()> {
    if !no_install {
        setup::install()?;
    }
    step("build the binary", cargo().args(["build", "--quiet", "--package", "wissel"]))?;
    let binary = target().join("debug/wissel");
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--all-features", "--no-fail-fast", "--"]);
    step("test", tests.args(arguments).env("WISSEL_BIN", binary))
}

fn bench(names: &[String]) -> Result<()> {
    setup::install()?;
    step(
        "build the binary",
        cargo().args(["build", "--quiet", "--release", "--package", "wissel"]),
    )?;
    let mut benches = cargo();
    benches.args(["bench", "--quiet", "--package", "wissel-benches"]);
    for name in names {
        benches.args(["--bench", name]);
    }
    step("measure", benches.env("WISSEL_BIN", target().join("release/wissel")))
}

/// Runs a command, says how long it took, and fails when it fails.
fn step(name: &str, command: &mut Command) -> Result<()> {
    println!("== {name}");
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("{name}: {command:?}"))?;
    ensure!(status.success(), "{name} failed: {status}");
    println!("== {name}: {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root().join(target),
        None => root().join("target"),
    }
}
