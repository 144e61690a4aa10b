//! Rounds of faults, more of them than every run of the tests has time for.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::step;
use crate::workspace::{build_wissel, cargo};

/// Which rounds are run.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Rounds {
    /// How many, on each bus
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// The seed of the first; the others count on
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only on this bus: embedded or rabbitmq
    #[arg(long)]
    bus: Option<String>,
    /// Only print what would happen
    #[arg(long)]
    plan: bool,
    /// Write the table of results into docs/reliability.md
    #[arg(long)]
    write: bool,
    /// Without processes, on a disk and a clock that are simulated: the embedded bus by itself,
    /// thousands a minute, and the broker on it, a thousand
    #[arg(long, conflicts_with_all = ["bus", "write"])]
    #[arg(num_args = 0..=1, default_missing_value = "both")]
    simulated: Option<Simulated>,
}

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Simulated {
    Bus,
    Broker,
    Both,
}

/// Runs them, with a debug build of Wissel, which looks at itself more closely.
pub(crate) fn run(rounds: &Rounds) -> Result<()> {
    if let Some(simulated) = rounds.simulated {
        return simulate(rounds, simulated);
    }
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "wissel-tests", "--bin", "rounds", "--"]);
    command.args(rounds.arguments());
    if !rounds.plan {
        command.env("WISSEL_BIN", build_wissel(&[])?);
    }
    step("rounds", &mut command)
}

/// Runs those that are simulated, which are tests of the bus and of the broker.
fn simulate(rounds: &Rounds, simulated: Simulated) -> Result<()> {
    if simulated != Simulated::Broker {
        simulate_in("wissel-bus-embedded", rounds)?;
    }
    if simulated != Simulated::Bus {
        simulate_in("wissel-broker", rounds)?;
    }
    Ok(())
}

fn simulate_in(package: &str, rounds: &Rounds) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", package, "--lib"]);
    command.args(["simulation::rounds", "--", "--nocapture"]);
    command.env("WISSEL_SIMULATION_ROUNDS", rounds.rounds.to_string());
    command.env("WISSEL_SIMULATION_SEED", rounds.seed.to_string());
    if rounds.plan {
        command.env("WISSEL_SIMULATION_PLAN", "1");
    }
    step(&format!("rounds of {package}, simulated"), &mut command)
}

impl Rounds {
    /// Whether servers take part in them, which have to be there.
    pub(crate) fn need_servers(&self) -> bool {
        self.simulated.is_none()
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments =
            vec![format!("--rounds={}", self.rounds), format!("--seed={}", self.seed)];
        arguments.extend(self.bus.as_ref().map(|bus| format!("--bus={bus}")));
        arguments.extend(self.plan.then(|| "--plan".to_owned()));
        arguments.extend(self.write.then(|| "--write".to_owned()));
        arguments
    }
}
