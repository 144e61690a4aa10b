//! W6: changes by one thread while another matches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use hdrhistogram::Histogram;
use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;
use wissel_routing::Router;

use crate::median;

use super::measure::views;
use super::subscription::Subscription;
use super::wissel::name_of;
use super::workload::{Kind, Workload};

/// What changes cost.
#[derive(Debug)]
pub struct Churn {
    /// Nanoseconds a message while nothing changes, one for each round.
    pub still: Vec<f64>,
    /// The same while subscriptions come and go.
    pub changing: Vec<f64>,
    /// Changes that were made in a second, one for each round.
    pub changes: Vec<f64>,
    /// How long a change took, in nanoseconds.
    pub took: Histogram<u64>,
}

/// Changes asked for in a second; half are insertions.
const CHANGES_A_SECOND: f64 = 10_000.0;
/// How many changes a subscription that came stays.
const STAY: u32 = 500;
const BATCH: u32 = 64;

/// Matches messages for subjects among `size`, first alone and then beside changes, each
/// for `time` a round. Every message looks at the table of its moment.
///
/// # Errors
/// When a message does not find its subscription.
pub fn churn(size: u32, rounds: u32, time: Duration) -> Result<Churn> {
    let workload = Workload::new(Kind::Subjects, size)?;
    let router = Router::default();
    for subscription in workload.subscriptions() {
        Prepared::of(&subscription)?.insert(&router)?;
    }
    let took = Histogram::new(3)?;
    let mut churn = Churn { still: vec![], changing: vec![], changes: vec![], took };
    let mut next = size;
    for round in 0..rounds {
        churn.still.push(matching(&router, &workload, u64::from(round), time)?);
        let ended = AtomicBool::new(false);
        let (matched, changed) = thread::scope(|scope| {
            let changer = scope.spawn(|| change(&router, &workload, next, &ended));
            let matched = matching(&router, &workload, u64::from(round) + 1_000, time);
            ended.store(true, Ordering::Relaxed);
            (matched, changer.join())
        });
        churn.changing.push(matched?);
        let changed = changed.map_err(|_| anyhow!("the thread that changes panicked"))??;
        churn.changes.push(changed.rate);
        churn.took.add(&changed.took)?;
        next = changed.next;
    }
    Ok(churn)
}

/// Nanoseconds a message.
fn matching(router: &Router<u32>, workload: &Workload, seed: u64, time: Duration) -> Result<f64> {
    let begun = Instant::now();
    let (mut batches, mut targets) = (Vec::new(), Vec::new());
    while begun.elapsed() < time {
        let messages = views(&workload.frames(BATCH, seed << 32 | batches.len() as u64)?)?;
        let mut matches = 0;
        let matching = Instant::now();
        for message in &messages {
            targets.clear();
            router.snapshot().route(message, &mut targets);
            matches += targets.len();
        }
        batches.push(matching.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH));
        ensure!(matches == messages.len(), "{matches} matches; expected {}", messages.len());
    }
    Ok(median(&batches))
}

struct Changed {
    rate: f64,
    took: Histogram<u64>,
    /// The number of the next subscription that comes.
    next: u32,
}

/// Inserts subscriptions from this number on, each to be removed later, at an even pace.
fn change(
    router: &Router<u32>,
    workload: &Workload,
    first: u32,
    ended: &AtomicBool,
) -> Result<Changed> {
    let mut took = Histogram::new(3)?;
    let (mut next, mut made) = (first, 0_u32);
    let begun = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        if f64::from(made) >= begun.elapsed().as_secs_f64() * CHANGES_A_SECOND {
            thread::sleep(Duration::from_micros(100));
            continue;
        }
        let coming = Prepared::of(&workload.subscription(next))?;
        let going = name_of(next.saturating_sub(STAY).max(first))?;
        next += 1;
        let inserted = Instant::now();
        coming.insert(router)?;
        took.record(nanoseconds(inserted.elapsed()))?;
        let removed = Instant::now();
        if next > first + STAY && router.remove(&going) {
            took.record(nanoseconds(removed.elapsed()))?;
            made += 1;
        }
        made += 1;
    }
    let rate = f64::from(made) / begun.elapsed().as_secs_f64();
    for number in next.saturating_sub(STAY + 1).max(first)..next {
        router.remove(&name_of(number)?);
    }
    Ok(Changed { rate, took, next })
}

/// A subscription in Wissel's words: making them is not part of a change.
struct Prepared {
    name: SubscriptionName,
    types: Vec<String>,
    filters: Vec<Filter>,
    target: u32,
}

impl Prepared {
    fn of(subscription: &Subscription) -> Result<Self> {
        Ok(Self {
            name: name_of(subscription.number)?,
            types: subscription.types.clone(),
            filters: subscription.filters()?,
            target: subscription.number,
        })
    }

    fn insert(&self, router: &Router<u32>) -> Result<()> {
        Ok(router.insert(&self.name, &self.types, &self.filters, self.target)?)
    }
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1)
}
