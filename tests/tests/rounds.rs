//! Rounds of faults, as many as fit in every run of the tests. `cargo xtask rounds` runs
//! more of them; docs/reliability.md says what they are.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use wissel_tests::alone;
use wissel_tests::rounds::{BusKind, Run, table};

/// The first seed, unless `WISSEL_ROUNDS_SEED` says another.
const SEED: u64 = 20_261;

/// `WISSEL_ROUNDS` is for both buses together.
async fn rounds(bus: BusKind, of_sixteen: u64) {
    const ROUNDS: u64 = 160;
    let _alone = alone().await;
    let number = |name, default| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")),
        Err(_) => default,
    };
    let (seed, rounds) = (number("WISSEL_ROUNDS_SEED", SEED), number("WISSEL_ROUNDS", ROUNDS));
    let rounds = (rounds * of_sixteen).div_ceil(16);
    eprintln!("{rounds} rounds on {bus}, from seed {seed}");
    let run = Run::of(bus, seed, rounds, |_| {}).await;
    eprintln!("{}", table(std::slice::from_ref(&run)));
    assert!(run.is_good(), "{}", run.failures_in_words());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_lose_nothing_embedded() {
    rounds(BusKind::Embedded, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_lose_nothing_on_rabbitmq() {
    rounds(BusKind::RabbitMq, 1).await;
}
