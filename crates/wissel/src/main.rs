//! The one binary: serve, demo, publish, subscribe, and what operators need.

mod amounts;
mod archive;
mod asking;
mod audit;
mod backup;
mod bench;
mod cases;
mod catalogue;
mod check;
mod cli;
mod client;
mod config;
mod dead_letters;
mod demo;
mod dev_ca;
mod doctor;
mod dossier;
mod events;
mod exit;
mod filter;
mod identity;
mod inboxes;
mod logging;
mod manual;
mod output;
mod parties;
mod publish;
mod reload;
mod replay;
mod serve;
mod showcase;
mod signals;
mod status;
mod subscribe;
mod subscriptions;
mod supervision;
mod top;
mod watch;
mod watching;

use clap::Parser as _;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::exit::Failure;

/// Messages are many small pieces, made by one thread and dropped by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::internal(error).report(),
    };
    let outcome = runtime.block_on(run(cli));
    // What still runs is a reader of standard input, which cannot be stopped.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve(arguments) => serve::run(&arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Showcase(arguments) => showcase::run(arguments).await,
        Command::Publish(arguments) => publish::run(arguments).await,
        Command::Subscribe(arguments) => subscribe::run(arguments).await,
        Command::Cases(command) => cases::run(command).await,
        Command::Ask(arguments) => asking::ask(arguments).await,
        Command::Gather(arguments) => asking::gather(arguments).await,
        Command::Answer(arguments) => asking::answer(arguments).await,
        Command::Subscriptions(arguments) => subscriptions::run(arguments).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::Top(arguments) => top::run(arguments).await,
        Command::Inboxes(arguments) => inboxes::run(arguments).await,
        Command::DeadLetters(arguments) => dead_letters::run(arguments).await,
        Command::Dossier(arguments) => dossier::run(arguments).await,
        Command::Archive(arguments) => archive::run(arguments).await,
        Command::Replay(arguments) => replay::run(arguments).await,
        Command::Signals(command) => signals::run(command).await,
        Command::Matching(command) => signals::manage(command).await,
        Command::Check(arguments) => check::run(arguments).await,
        Command::Audit(command) => audit::run(&command).await,
        Command::Backup(arguments) => backup::backup(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::DevCa(command) => dev_ca::run(&command),
        Command::Filter(command) => filter::run(command).await,
        Command::Catalogue(command) => catalogue::run(&command).await,
        Command::Completions(arguments) => manual::completions(&arguments),
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Man(arguments) => manual::man(&arguments),
        Command::Parties(command) => parties::run(&command).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Config(ConfigCommand::Show(arguments)) => config::show(&arguments),
    }
}
