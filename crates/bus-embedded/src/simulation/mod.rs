//! The bus on a disk and a clock that are simulated, held against a model.
//!
//! A seed decides everything: what is asked, how it is gathered into writes, which part of
//! the reading thread's work falls between which writes, how time goes on, which write fails,
//! and what of the unsynced writes a loss of power takes. Nothing runs beside it and nothing
//! waits, so a round takes some milliseconds, and the same seed is the same round.
//!
//! What comes up after a crash must be what was there at one moment, whole, and that moment
//! not before any that was promised: by an answer, or by a second that went by.

mod actions;
mod audit;
mod calls;
mod compare;
mod consuming;
mod ending;
mod feeding;
mod model;
mod passing;
mod publishing;
mod queued;
mod random;
mod round;
mod world;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wissel_bus::{BusError, InboxName};

use crate::EmbeddedBusError;
use crate::storage::engine;

/// The rounds of every run of the tests.
const ROUNDS: u64 = 500;

/// What is other than it should be.
#[derive(Debug)]
struct Found(String);

impl From<EmbeddedBusError> for Found {
    fn from(error: EmbeddedBusError) -> Self {
        Self(format!("the storage cannot be read: {error}"))
    }
}

impl From<engine::Error> for Found {
    fn from(error: engine::Error) -> Self {
        Self::from(EmbeddedBusError::from(error))
    }
}

impl From<BusError> for Found {
    fn from(error: BusError) -> Self {
        Self(format!("the bus says: {error}"))
    }
}

/// What came of rounds.
#[derive(Debug, Default)]
struct Counts {
    rounds: u64,
    actions: u64,
    /// Times that the bus was started again.
    starts: u64,
    /// Times that the disk failed.
    faults: u64,
    /// What losses of power took.
    writes_lost: u64,
    /// Of all that was answered, handed out and left on disk.
    hash: u64,
}

impl Counts {
    fn add(&mut self, more: &Counts) {
        self.rounds += more.rounds;
        self.actions += more.actions;
        self.starts += more.starts;
        self.faults += more.faults;
        self.writes_lost += more.writes_lost;
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

    fn hasher(&mut self) -> &mut DefaultHasher {
        &mut self.hasher
    }

    fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

fn name(inbox: usize) -> InboxName {
    static NAMES: LazyLock<Vec<InboxName>> = LazyLock::new(|| {
        let names = (0..4).map(|inbox| format!("00000099000000001000.inbox-{inbox}"));
        names.map(|name| name.parse().unwrap()).collect()
    });
    NAMES[inbox].clone()
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
            "seed {seed} failed: {found}; again: \
             cargo xtask rounds --simulated bus --rounds 1 --seed {seed}"
        );
    })
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn rounds_on_a_simulated_disk() {
    let seed = number_from("WISSEL_SIMULATION_SEED").unwrap_or(1);
    let rounds = number_from("WISSEL_SIMULATION_ROUNDS").unwrap_or(ROUNDS);
    let begun = Instant::now();
    let mut counts = Counts::default();
    let plan = std::env::var_os("WISSEL_SIMULATION_PLAN").is_some();
    for seed in seed..seed + rounds {
        if plan {
            println!("seed {seed}");
            let _ = tell(seed);
        }
        counts.add(&expect_well(seed));
    }
    let took = begun.elapsed().max(Duration::from_millis(1));
    let each_second = u128::from(counts.rounds) * 1_000 / took.as_millis();
    println!("{counts:?} in {took:.1?}: {each_second} rounds a second");
}

#[test]
fn a_seed_is_always_the_same_round() {
    for seed in 1..50 {
        let [once, again] = [0; 2].map(|_| expect_well(seed));
        assert_eq!(once.hash, again.hash, "seed {seed}");
        assert_eq!(once.actions, again.actions, "seed {seed}");
    }
}
