//! The commands of this repository's developers.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod bench;
mod decisions;
mod dependencies;
mod lint;
mod personal;
mod rounds;
mod setup;
mod test;
mod workspace;

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

/// Builds, tests, lints and measures Wissel.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
#[command(after_help = "Example:\n  cargo xtask test")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what is missing, then run every test
    #[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test -- --skip kill\n  \
        cargo xtask test --rabbitmq-4")]
    Test {
        /// Run the tests that need a RabbitMQ, and no others, on RabbitMQ 4; as root
        #[arg(long)]
        rabbitmq_4: bool,
        /// Install nothing
        #[arg(long)]
        no_install: bool,
        /// Arguments for the tests themselves: a part of a name, --skip, --nocapture
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Install what the tests need (RabbitMQ, a C compiler, Python's pika and grpcio, promtool), on Debian
    #[command(after_help = "Examples:\n  cargo xtask setup\n  cargo xtask setup --rabbitmq-4")]
    Setup {
        /// Also put RabbitMQ 4, of Debian 13, in target/rabbitmq-4
        #[arg(long)]
        rabbitmq_4: bool,
    },
    /// Check format, lints, documentation, decisions, dependencies and spelling
    #[command(after_help = "Example:\n  cargo xtask lint")]
    Lint,
    /// Measure: all benches, or those named
    #[command(after_help = "Example:\n  cargo xtask bench\n  cargo xtask bench route")]
    Bench {
        /// Names of benches; an unknown one is answered with those that there are
        names: Vec<String>,
        /// Install nothing
        #[arg(long)]
        no_install: bool,
        /// Arguments for the benches themselves
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Run rounds of faults, as many as one likes (docs/reliability.md)
    #[command(after_help = "Example:\n  cargo xtask rounds --rounds 2000 --seed 7\n  \
        cargo xtask rounds --rounds 1 --seed 1234 --bus rabbitmq\n  \
        cargo xtask rounds --rounds 20000 --simulated")]
    Rounds {
        #[command(flatten)]
        rounds: rounds::Rounds,
        /// Install nothing
        #[arg(long)]
        no_install: bool,
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
        Task::Test { rabbitmq_4, no_install, arguments } => {
            install_unless(no_install)?;
            if rabbitmq_4 {
                if !no_install {
                    setup::install_rabbitmq_4()?;
                }
                return test::run_on_rabbitmq_4(&arguments);
            }
            test::run(&arguments)
        }
        Task::Setup { rabbitmq_4 } => {
            setup::install()?;
            if rabbitmq_4 {
                setup::install_rabbitmq_4()?;
            }
            println!("== all that the tests need is installed");
            Ok(())
        }
        Task::Lint => lint::run(),
        Task::Bench { names, no_install, arguments } => {
            let benches = bench::find(&names)?;
            install_unless(no_install)?;
            bench::run(&benches, &arguments)
        }
        Task::Rounds { rounds, no_install } => {
            install_unless(no_install || !rounds.need_servers())?;
            rounds::run(&rounds)
        }
        Task::Ci => {
            lint::run()?;
            setup::install()?;
            test::run(&[])
        }
    }
}

fn install_unless(no_install: bool) -> Result<()> {
    if no_install { Ok(()) } else { setup::install() }
}

/// Runs a command, says how long it took, and fails when it fails.
fn step(name: &str, command: &mut Command) -> Result<()> {
    timed(name, || {
        let status = command.status().with_context(|| format!("{name}: {command:?}"))?;
        ensure!(status.success(), "{name} failed: {status}");
        Ok(())
    })
}

/// Says what is done, and how long it took.
fn timed<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("== {name}");
    let begun = Instant::now();
    let made = work()?;
    println!("== {name}: {:.0} s", begun.elapsed().as_secs_f64());
    Ok(made)
}
