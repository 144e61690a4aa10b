//! Runs rounds of faults, as many as one likes.
#![allow(clippy::print_stdout, reason = "a program")]

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use wissel_tests::rounds::{BusKind, Plan, Run, table};

/// Runs rounds of faults, and holds the ledgers of publishers and subscribers against each
/// other after each.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask rounds", bin_name = "cargo xtask rounds")]
#[command(after_help = "Example:\n  cargo xtask rounds --rounds 2000 --seed 7\n  \
    cargo xtask rounds --rounds 1 --seed 1234 --bus rabbitmq")]
struct Arguments {
    /// How many, on each bus
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// The seed of the first; the others count on
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only on this bus
    #[arg(long, value_parser = bus)]
    bus: Option<BusKind>,
    /// Only print what would happen
    #[arg(long)]
    plan: bool,
    /// Write the table into docs/reliability.md
    #[arg(long)]
    write: bool,
}

fn bus(text: &str) -> Result<BusKind, String> {
    match text {
        "embedded" => Ok(BusKind::Embedded),
        "rabbitmq" => Ok(BusKind::RabbitMq),
        _ => Err("expected embedded or rabbitmq".to_owned()),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { rounds, seed, bus, plan, write } = Arguments::parse();
    ensure!(rounds > 0, "--rounds: expected at least 1");
    let buses = bus.map_or_else(|| vec![BusKind::Embedded, BusKind::RabbitMq], |bus| vec![bus]);
    if plan {
        for bus in buses {
            for seed in (seed..).zip(0..rounds).map(|(seed, _)| seed) {
                println!("{}", Plan::of(seed, bus));
            }
        }
        return Ok(());
    }
    let mut runs = Vec::new();
    for bus in buses {
        let progress = progress(bus, rounds)?;
        let run = Run::of(bus, seed, rounds, |run| {
            progress.inc(1);
            let failed: Vec<String> = run.failures.iter().map(|one| one.plan.name()).collect();
            if !failed.is_empty() {
                progress.set_message(format!("failed: {}", failed.join(", ")));
            }
        });
        let run = run.await;
        progress.finish();
        println!("{}", run.failures_in_words());
        runs.push(run);
    }
    let table = table(&runs);
    println!("{table}");
    if write {
        write_table(&table)?;
    }
    ensure!(runs.iter().all(Run::is_good), "not all was as is promised");
    Ok(())
}

fn progress(bus: BusKind, rounds: u64) -> Result<ProgressBar> {
    let style = "{prefix} {bar:40} {pos} of {len}, {elapsed} and about {eta} to go {msg}";
    let progress = ProgressBar::new(rounds).with_style(ProgressStyle::with_template(style)?);
    progress.set_prefix(bus.to_string());
    Ok(progress)
}

/// Puts the table between its marks.
fn write_table(table: &str) -> Result<()> {
    const MARKS: [&str; 2] = ["<!-- rounds: begin -->\n", "<!-- rounds: end -->"];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reliability.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (before, rest) = text.split_once(MARKS[0]).context("no mark where the table begins")?;
    let (_, after) = rest.split_once(MARKS[1]).context("no mark where the table ends")?;
    let text = format!("{before}{}\n{table}\n\n{}{after}", MARKS[0], MARKS[1]);
    std::fs::write(&path, text).with_context(|| path.display().to_string())
}
