//! Many rounds, one after the other, and what is told of them.

use std::path::{Path, PathBuf};

use super::counts::Counts;
use super::plan::BusKind;
use super::rig::Rig;
use super::round::Failure;

/// What came of many rounds on one bus.
pub struct Run {
    /// The bus.
    pub bus: BusKind,
    /// The seed of the first round; those that follow count on.
    pub seed: u64,
    /// The numbers.
    pub counts: Counts,
    /// The rounds that failed.
    pub failures: Vec<Failure>,
    /// What was wrong with the last gateway when it ended.
    pub at_the_end: Vec<String>,
}

impl Run {
    /// Runs so many rounds; tells of each when it has ended.
    pub async fn of(bus: BusKind, seed: u64, rounds: u64, mut tell: impl FnMut(&Self)) -> Self {
        let counts = Counts::default();
        let mut run = Self { bus, seed, counts, failures: Vec::new(), at_the_end: Vec::new() };
        let mut rig = Rig::start(bus).await;
        for seed in (seed..).zip(0..rounds).map(|(seed, _)| seed) {
            let outcome = rig.round(seed).await;
            run.counts.add(&outcome.counts);
            run.failures.extend(outcome.failure);
            tell(&run);
        }
        run.at_the_end = rig.retire().await;
        if let Some(why) = rig.cannot_fill_disk() {
            eprintln!("the disk could not be filled on {bus}: {why}");
        }
        run
    }

    /// Whether all was as is promised.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failures.is_empty() && self.at_the_end.is_empty()
    }

    /// How the failed rounds are told of, with where the gateway's log of each is.
    pub fn failures_in_words(&self) -> String {
        let mut words = self.at_the_end.join("\n");
        for failure in &self.failures {
            let log = keep_log(failure);
            words.push_str(&format!("{failure}  log: {}\n", log.display()));
        }
        words
    }
}

/// Where logs of failed rounds are put.
fn keep_log(failure: &Failure) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/rounds");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(format!("{}-{}.log", failure.plan.bus, failure.plan.name()));
    std::fs::write(&path, format!("{failure}\n{}", failure.log)).unwrap();
    path
}

/// The numbers of several runs side by side, as a table in Markdown.
#[must_use]
pub fn table(runs: &[Run]) -> String {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in runs.iter().flat_map(|run| run.counts.rows()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    let buses = runs.iter().map(|run| run.bus.to_string());
    table.set_header([String::new()].into_iter().chain(buses));
    for name in names {
        let numbers = runs.iter().map(|run| {
            let rows = run.counts.rows();
            let number = rows.iter().find(|(row, _)| *row == name).map_or(0, |(_, number)| *number);
            with_commas(number)
        });
        table.add_row([name.clone()].into_iter().chain(numbers));
    }
    let seeds = |run: &Run| format!("{} to {}", run.seed, run.seed + run.counts.rounds - 1);
    table.add_row(["seeds".to_owned()].into_iter().chain(runs.iter().map(seeds)));
    let minutes = |run: &Run| format!("{:.0} min", run.counts.took.as_secs_f64() / 60.0);
    table.add_row(["time".to_owned()].into_iter().chain(runs.iter().map(minutes)));
    let failed = |run: &Run| match run.failures.as_slice() {
        [] => "none".to_owned(),
        some => {
            let seeds: Vec<String> = some.iter().map(|one| one.plan.name()).collect();
            seeds.join(", ")
        }
    };
    table.add_row(["**failed rounds**".to_owned()].into_iter().chain(runs.iter().map(failed)));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    table.trim_fmt()
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_every_bus_and_every_kind() {
        let run = |bus| {
            let mut counts = Counts { rounds: 3, deliveries: 1_234_567, ..Counts::default() };
            counts.faults.insert(if bus == BusKind::Embedded { "one" } else { "other" }, 2);
            Run { bus, seed: 7, counts, failures: Vec::new(), at_the_end: Vec::new() }
        };
        let table = table(&[run(BusKind::Embedded), run(BusKind::RabbitMq)]);
        for part in ["embedded", "rabbitmq", "1,234,567", "fault: one", "fault: other", "7 to 9"] {
            assert!(table.contains(part), "no {part} in\n{table}");
        }
    }
}
