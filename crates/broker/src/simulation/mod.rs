//! The broker on a bus, a disk and a clock that are simulated, beside ledgers of those who
//! publish and those who receive.
//!
//! Road, sessions, lanes and bus are those that run elsewhere; they run on one thread, tokio's
//! time stands still until everything is idle, and the bus writes and reads when it is told to.
//! A seed decides all that happens, and the same seed is the same round.
//!
//! Publishers and subscribers write down what they asked and what they were told, and nothing
//! else is known: [`ledger`] holds each delivery against that when it comes, and everything at
//! the end of a round.

mod actions;
mod consuming;
mod ending;
mod idle;
mod ledger;
mod mending;
mod operating;
mod publishing;
mod replaying;
mod round;
mod subscriber;
mod town;
mod world;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::Refusal;

/// The rounds of every run of the tests.
const ROUNDS: u64 = 250;

/// What is other than it should be.
#[derive(Debug)]
struct Found(String);

impl From<Refusal> for Found {
    fn from(refusal: Refusal) -> Self {
        Self(format!("the broker refuses: {refusal:?}"))
    }
}

/// What came of rounds.
#[derive(Debug, Default)]
struct Counts {
    rounds: u64,
    actions: u64,
    /// Times that the broker was started again.
    starts: u64,
    /// Times that the disk failed.
    faults: u64,
    receipts: u64,
    /// For want of room in an inbox.
    refused: u64,
    repeats: u64,
    deliveries: u64,
    dead_letters: u64,
    redriven: u64,
    purged: u64,
    replayed: u64,
    /// Of all that was answered and handed out.
    hash: u64,
}

impl Counts {
    fn add(&mut self, more: &Self) {
        self.rounds += more.rounds;
        self.actions += more.actions;
        self.starts += more.starts;
        self.faults += more.faults;
        self.receipts += more.receipts;
        self.refused += more.refused;
        self.repeats += more.repeats;
        self.deliveries += more.deliveries;
        self.dead_letters += more.dead_letters;
        self.redriven += more.redriven;
        self.purged += more.purged;
        self.replayed += more.replayed;
        self.hash = self.hash.rotate_left(1) ^ more.hash;
    }
}

/// What happens in a round: its lines, when they are wanted, and a hash of what was seen.
#[derive(Clone, Default)]
struct Log {
    lines: Option<Arc<Mutex<Vec<String>>>>,
    hasher: DefaultHasher,
}

impl Log {
    fn write(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            lines.lock().push(line());
        }
    }

    fn note(&mut self, seen: impl Hash) {
        seen.hash(&mut self.hasher);
    }

    fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

/// Goes through a round; a panic is something that was found, too.
fn attempt(seed: u64, log: &Log) -> Result<Counts, Found> {
    let log = log.clone();
    catch_unwind(AssertUnwindSafe(|| round::run(seed, log))).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(Found(format!("a panic: {}", what.unwrap_or_default())))
    })
}

/// The same, and says all that happens in it.
fn tell(seed: u64) -> Result<Counts, Found> {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let log = Log { lines: Some(Arc::clone(&lines)), ..Log::default() };
    let outcome = attempt(seed, &log);
    for line in lines.lock().iter() {
        println!("    {line}");
    }
    outcome
}

/// Goes through a round; when it fails, says all that happened in it.
fn expect_well(seed: u64) -> Counts {
    attempt(seed, &Log::default()).unwrap_or_else(|Found(found)| {
        let again = tell(seed).err();
        println!("seed {seed}: {found}");
        if again.is_none_or(|Found(again)| again != found) {
            println!("and not in the same way again");
        }
        panic!(
            "seed {seed} of the broker failed: {found}; again: \
             cargo xtask rounds --simulated broker --rounds 1 --seed {seed}"
        );
    })
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn rounds_on_a_simulated_bus() {
    let seed = number_from("WISSEL_SIMULATION_SEED").unwrap_or(1);
    let rounds = number_from("WISSEL_SIMULATION_ROUNDS").unwrap_or(ROUNDS);
    let plan = std::env::var_os("WISSEL_SIMULATION_PLAN").is_some();
    let survey = std::env::var_os("WISSEL_SIMULATION_SURVEY").is_some();
    let begun = Instant::now();
    let (mut counts, mut failed) = (Counts::default(), Vec::new());
    for seed in seed..seed + rounds {
        if plan {
            println!("seed {seed}");
            let _ = tell(seed);
        }
        if survey {
            // For planted faults: in how many rounds, and not only whether.
            match attempt(seed, &Log::default()) {
                Ok(more) => counts.add(&more),
                Err(Found(found)) => failed.push((seed, found)),
            }
        } else {
            counts.add(&expect_well(seed));
        }
    }
    for (seed, found) in failed.iter().take(5) {
        println!("seed {seed}: {found}");
    }
    assert!(failed.is_empty(), "{} of {rounds} rounds failed", failed.len());
    let took = begun.elapsed().max(Duration::from_millis(1));
    let each_second = u128::from(counts.rounds) * 1_000 / took.as_millis();
    println!("{counts:?} in {took:.1?}: {each_second} rounds a second");
}

#[test]
fn a_seed_is_always_the_same_round() {
    for seed in 1..30 {
        let [once, again] = [0; 2].map(|_| expect_well(seed));
        assert_eq!(once.hash, again.hash, "seed {seed}");
        assert_eq!(once.actions, again.actions, "seed {seed}");
    }
}
