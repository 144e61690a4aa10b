use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};
use wissel_message::EventView;

use crate::median;

use super::matcher::{Contender, Matcher};
use super::naive::Oracle;
use super::subscription::Subscription;
use super::workload::{Kind, Workload};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Messages in a turn.
    pub messages: u32,
    /// A turn ends after this, however few messages there were.
    pub turn_time: Duration,
    /// Messages for which answers are compared with those of the naive scan.
    pub compared: u32,
    /// A peer that takes longer to build is measured with fewer subscriptions.
    pub build_time: Duration,
    /// And so is one that takes more memory.
    pub build_bytes: u64,
}

/// What came of building a contender.
pub enum Outcome {
    /// It can be measured.
    Built(Box<Built>),
    /// Why it cannot.
    Not(String),
}

/// A contender with its subscriptions.
pub struct Built {
    /// Who.
    pub contender: Contender,
    /// What it was built with.
    pub workload: Workload,
    /// Why it has fewer subscriptions than it was to have.
    pub reduced: Option<String>,
    /// Subscriptions that it cannot express, in order.
    pub left_out: Vec<u32>,
    /// What it holds, in bytes asked of the allocator.
    pub bytes: u64,
    /// How long building took.
    pub took: Duration,
    matcher: Box<dyn Matcher>,
    /// As many messages as are timed together.
    batch: u32,
}

/// Nanoseconds a message, one for each turn.
#[derive(Debug, Clone, Default)]
pub struct Timing {
    /// Matching.
    pub matching: Vec<f64>,
    /// Scanning the frame, which Wissel does once for all its rooms.
    pub scanning: Vec<f64>,
    /// Bringing the message into the contender's form.
    pub taking: Vec<f64>,
    /// Reading that form, which is part of matching; empty for who need not.
    pub reading: Vec<f64>,
    /// How many subscriptions a message matched.
    pub fan_out: f64,
}

/// The most messages that are timed together: their views stay in the cache.
const BATCH_MAX: u32 = 256;
/// A batch that takes less may be doubled: short ones are seldom interrupted.
const BATCH_TIME: Duration = Duration::from_micros(60);
/// Subscriptions that are put in together.
const CHUNK: usize = 10_000;

/// Builds a contender; a peer that cannot hold all subscriptions gets as many as it can.
///
/// # Errors
/// When Wissel, or the naive scan, cannot be built.
pub fn build(contender: Contender, workload: Workload, effort: &Effort) -> Result<Outcome> {
    if !matches!(contender, Contender::Quamina | Contender::ATree) {
        let built = Built::with(contender, workload, None)?.context("there is no limit")?;
        return Ok(built.or_nothing());
    }
    let mut best: Option<Built> = None;
    let mut reason = None;
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        if size >= workload.size() {
            break;
        }
        reason = best.as_ref().and_then(|best| too_big(best, size, effort));
        if reason.is_some() {
            break;
        }
        let smaller = Workload::new(workload.kind(), size)?;
        match attempt(contender, smaller, effort) {
            Ok(built) => best = Some(built),
            Err(why) => {
                reason = Some(why);
                break;
            }
        }
    }
    if reason.is_none() {
        reason = best.as_ref().and_then(|best| too_big(best, workload.size(), effort));
    }
    if reason.is_none() {
        match attempt(contender, workload, effort) {
            Ok(built) => return Ok(built.or_nothing()),
            Err(why) => reason = Some(why),
        }
    }
    let reason = reason.unwrap_or_default();
    Ok(match best {
        Some(built) => Built { reduced: Some(reason), ..built }.or_nothing(),
        None => Outcome::Not(reason),
    })
}

/// Built at this size, or why not.
fn attempt(contender: Contender, workload: Workload, effort: &Effort) -> Result<Built, String> {
    let size = workload.size();
    match Built::with(contender, workload, Some(effort.build_time)) {
        Ok(Some(built)) => Ok(built),
        Ok(None) => {
            Err(format!("{size} take more than {} s to build", effort.build_time.as_secs()))
        }
        Err(error) => Err(format!("{size} cannot be built: {error}")),
    }
}

/// Why so many would take too much memory, as this many do.
fn too_big(smaller: &Built, size: u32, effort: &Effort) -> Option<String> {
    let each = smaller.bytes / u64::from(smaller.workload.size());
    let expected = each * u64::from(size);
    (expected > effort.build_bytes)
        .then(|| format!("{size} would take {} GiB of memory", expected >> 30))
}

/// Measures each in turn, as many turns as asked for.
///
/// # Errors
/// When a contender fails, or finds another number of subscriptions than there are.
pub fn take_turns(built: &mut [Built], turns: u32, effort: &Effort) -> Result<Vec<Timing>> {
    let mut timings = vec![Timing::default(); built.len()];
    // The first turn is not counted: caches are filled, and the size of a batch found.
    for turn in 0..=turns {
        for (one, timing) in built.iter_mut().zip(&mut timings) {
            let sample = one.turn(turn, effort)?;
            if turn > 0 {
                timing.add(&sample);
            }
        }
    }
    Ok(timings)
}

/// How often the allocator is asked for memory while a message is matched.
///
/// # Errors
/// When the contender fails.
pub fn allocations_a_message(built: &mut Built) -> Result<f64> {
    const MESSAGES: u32 = 1_000;
    let messages = views(&built.workload.frames(MESSAGES, 77)?)?;
    built.matcher.take(&messages)?;
    built.matcher.matches(&messages)?;
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    built.matcher.matches(&messages)?;
    let change = region.change();
    let asked = u32::try_from(change.allocations + change.reallocations)?;
    Ok(f64::from(asked) / f64::from(MESSAGES))
}

impl Built {
    /// None when it takes longer than this.
    fn with(
        contender: Contender,
        workload: Workload,
        limit: Option<Duration>,
    ) -> Result<Option<Self>> {
        let mut left_out = Vec::with_capacity(workload.size() as usize);
        let mut subscriptions = workload.subscriptions();
        let region = Region::new(&INSTRUMENTED_SYSTEM);
        let mut matcher = contender.empty(workload.kind())?;
        let mut took = Duration::ZERO;
        loop {
            let chunk: Vec<Subscription> = subscriptions.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            let begun = Instant::now();
            left_out.extend(matcher.insert_all(&chunk)?);
            took += begun.elapsed();
            if limit.is_some_and(|limit| took > limit) {
                return Ok(None);
            }
        }
        let begun = Instant::now();
        matcher.settle()?;
        took += begun.elapsed();
        let change = region.change();
        let bytes = change.bytes_allocated.saturating_sub(change.bytes_deallocated) as u64;
        let reduced = None;
        Ok(Some(Self { contender, workload, reduced, left_out, bytes, took, matcher, batch: 1 }))
    }

    fn or_nothing(self) -> Outcome {
        let nothing = self.left_out.len() == self.workload.size() as usize;
        let cannot = self.contender.cannot(self.workload.kind());
        match cannot {
            Some(what) if nothing => Outcome::Not(format!("it cannot express {what}")),
            _ => Outcome::Built(Box::new(self)),
        }
    }

    /// How many subscriptions it holds.
    #[must_use]
    pub fn held(&self) -> u32 {
        let left_out = self.left_out.len();
        self.workload.size() - u32::try_from(left_out).unwrap_or(u32::MAX)
    }

    /// Compares answers with what is right. Gives the number of messages for which they
    /// differ.
    ///
    /// # Errors
    /// When it fails, or the oracle has other subscriptions.
    pub fn differences(&mut self, oracle: &Oracle, effort: &Effort) -> Result<u32> {
        ensure!(oracle.workload() == self.workload, "the oracle has other subscriptions");
        let mut different = 0;
        for message in &views(&self.workload.frames(effort.compared, 4_711)?)? {
            let mut expected = oracle.answer(message);
            expected.retain(|number| self.left_out.binary_search(number).is_err());
            different += u32::from(self.matcher.answer(message)? != expected);
        }
        Ok(different)
    }

    /// Inserts a subscription and takes it away again, until the time is up. Gives the
    /// microseconds after which each of both counts for the next message.
    ///
    /// # Errors
    /// When the contender fails.
    pub fn changes(&mut self, time: Duration) -> Result<Vec<f64>> {
        const CHANGES_MAX: u32 = 1_000;
        let mut took = Vec::new();
        let begun = Instant::now();
        for number in self.workload.size()..self.workload.size() + CHANGES_MAX {
            let subscription = self.workload.subscription(number);
            let inserted = Instant::now();
            self.matcher.insert(&subscription)?;
            self.matcher.settle()?;
            took.push(inserted.elapsed().as_secs_f64() * 1e6);
            let removed = Instant::now();
            self.matcher.remove(&subscription)?;
            self.matcher.settle()?;
            took.push(removed.elapsed().as_secs_f64() * 1e6);
            if begun.elapsed() > time {
                break;
            }
        }
        Ok(took)
    }

    fn turn(&mut self, turn: u32, effort: &Effort) -> Result<Sample> {
        let mut sample = Sample::default();
        let mut seed = u64::from(turn) << 32;
        while sample.messages < effort.messages && sample.spent < effort.turn_time {
            seed += 1;
            let frames = self.workload.frames(self.batch, seed)?;
            let (messages, scanning) = timed(|| views(&frames));
            let messages = messages?;
            let (taken, taking) = timed(|| self.matcher.take(&messages));
            taken?;
            let (matches, matching) = timed(|| self.matcher.matches(black_box(&messages)));
            let (reads, reading) = timed(|| self.matcher.read());
            sample.messages += self.batch;
            sample.matches += matches?;
            sample.spent += matching;
            let each = |took: Duration| took.as_secs_f64() * 1e9 / f64::from(self.batch);
            sample.scanning.push(each(scanning));
            sample.taking.push(each(taking));
            sample.matching.push(each(matching));
            if reads? {
                sample.reading.push(each(reading));
            }
            if matching < BATCH_TIME {
                self.batch = (self.batch * 2).min(BATCH_MAX);
            }
        }
        self.check(&sample)?;
        Ok(sample)
    }

    /// Were all found? Where that is known beforehand.
    fn check(&self, sample: &Sample) -> Result<()> {
        if let Some(fan_out) = self.workload.kind().fan_out()
            && self.left_out.is_empty()
        {
            let expected = u64::from(fan_out) * u64::from(sample.messages);
            let (name, found) = (self.contender.name(), sample.matches);
            ensure!(found == expected, "{name}: {found} matches; expected {expected}");
        }
        Ok(())
    }
}

/// Of one turn: nanoseconds a message, one for each batch.
#[derive(Default)]
struct Sample {
    messages: u32,
    matches: u64,
    spent: Duration,
    scanning: Vec<f64>,
    taking: Vec<f64>,
    matching: Vec<f64>,
    reading: Vec<f64>,
}

impl Timing {
    /// The batch in the middle counts: others may have been interrupted by strangers.
    fn add(&mut self, sample: &Sample) {
        self.matching.push(median(&sample.matching));
        self.scanning.push(median(&sample.scanning));
        self.taking.push(median(&sample.taking));
        if !sample.reading.is_empty() {
            self.reading.push(median(&sample.reading));
        }
        let turns = self.matching.len() as f64;
        let fan_out = sample.matches as f64 / f64::from(sample.messages);
        self.fan_out += (fan_out - self.fan_out) / turns;
    }
}

impl Kind {
    /// One of each.
    pub const ALL: [Self; 5] =
        [Self::Types, Self::Municipalities, Self::Subjects, Self::Affixes, Self::Mix];
}

pub(crate) fn views(frames: &[Bytes]) -> Result<Vec<EventView>> {
    Ok(frames.iter().map(|frame| EventView::decode(frame.clone())).collect::<Result<_, _>>()?)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let made = work();
    (made, begun.elapsed())
}
