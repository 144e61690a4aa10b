//! Where a delivery stands, as far as its subscribers know.

use std::time::{Duration, SystemTime};

use super::Now;

/// One message in one inbox.
#[derive(Debug)]
pub(in super::super) struct Stand {
    pub(in super::super) state: State,
    /// At which attempt it may come next, or has come.
    pub(super) attempts: (u32, u32),
    /// It may have come to this end instead: nobody knows.
    pub(super) maybe: Option<Fate>,
    /// It was settled so, perhaps in vain, before it was settled otherwise.
    pub(super) may_be_dead: bool,
    /// Who settled it last, while it is not known that the bus did so.
    pub(super) settled_by: Option<u64>,
    /// The attempt before a retry that is not known to be kept.
    pub(super) before: Option<u32>,
    /// The bus may yet have to write it, and counts from there.
    pub(super) late: bool,
    /// Since when what was settled is written, and whether that is synced.
    pub(super) written: Option<Duration>,
    pub(super) synced: bool,
    /// It was a dead letter and was put back: it is out of order.
    pub(super) redriven: bool,
    /// When its last retry was due, if it had one.
    pub(super) retried: Times,
    /// It was too old before the clock was set back.
    pub(super) was_old: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum State {
    /// Ready, or waiting for its retry.
    Waiting(Times),
    Leased {
        by: u64,
        id: u64,
        attempt: u32,
        until: Duration,
    },
    Done(Fate),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Fate {
    Acknowledged,
    Dead,
    /// It was a dead letter, and is no more.
    Gone,
}

/// When it comes: not before, and not after when somebody takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Times {
    not_before: (Duration, SystemTime),
    by: (Duration, SystemTime),
    /// How long it takes at most from when it is written.
    most: Duration,
}

impl Stand {
    pub(super) fn new() -> Self {
        Self {
            state: State::Waiting(Times::any()),
            attempts: (1, 1),
            maybe: None,
            may_be_dead: false,
            settled_by: None,
            before: None,
            late: false,
            written: None,
            synced: false,
            redriven: false,
            retried: Times::any(),
            was_old: false,
        }
    }

    /// Put back, at the end of its inbox.
    pub(super) fn put_back() -> Self {
        Self { redriven: true, ..Self::new() }
    }

    /// A dead letter that is no more.
    pub(super) fn gone() -> Self {
        Self { state: State::Done(Fate::Gone), ..Self::new() }
    }

    /// Whether nothing is known of it but that it is to come.
    pub(super) fn is_new(&self) -> bool {
        self.state == State::Waiting(Times::any()) && self.attempts == (1, 1)
    }

    /// Whether its end is known to be kept, whatever else happens to the process.
    pub(super) fn is_sure(&self) -> bool {
        self.settled_by.is_none()
    }

    /// Whether it is done with, or may be.
    pub(super) fn may_be_done(&self) -> bool {
        self.was_old || self.maybe.is_some() || matches!(self.state, State::Done(_))
    }

    /// Settled by a subscriber. Until the bus is at rest nobody knows that it is kept.
    pub(super) fn settled(&mut self, by: u64, state: State, before: Option<u32>) {
        (self.state, self.settled_by, self.before) = (state, Some(by), before);
        (self.written, self.synced, self.late) = (None, false, true);
    }

    /// Nobody knows what came of its settlement.
    pub(super) fn doubt(&mut self) {
        if let State::Done(fate) = self.state {
            self.maybe = Some(fate);
            self.may_be_dead |= fate == Fate::Dead;
        }
        let times = match (self.before.take(), self.state) {
            (Some(before), State::Waiting(times)) => {
                self.attempts.0 = self.attempts.0.min(before);
                times.maybe_early()
            }
            _ => self.retried,
        };
        self.settled_by = None;
        self.state = State::Waiting(times);
    }

    /// If it was to be written, it is, by now.
    pub(super) fn is_written(&mut self, now: Now) {
        if std::mem::take(&mut self.late)
            && let State::Waiting(times) = &mut self.state
        {
            // What is on disk of it may be of before the clock was set back.
            let (passed, wall) = times.by;
            times.by = (passed.max(now.passed + times.most), wall.max(now.wall + times.most));
        }
    }
}

impl Times {
    pub(super) fn any() -> Self {
        let beginning = (Duration::ZERO, SystemTime::UNIX_EPOCH);
        Self { not_before: beginning, by: beginning, most: Duration::ZERO }
    }

    /// After a wait that began between these, and takes from `least` to `most`.
    pub(super) fn after(earliest: Now, latest: Now, least: Duration, most: Duration) -> Self {
        let not_before = (earliest.passed + least, earliest.wall + least);
        // A bus may take a tenth longer, or 100 ms.
        let most = most + (most / 10).max(Duration::from_millis(100)) + Duration::from_millis(5);
        Self { not_before, by: (latest.passed + most, latest.wall + most), most }
    }

    /// Whether it is that of a retry.
    pub(super) fn is_wait(&self) -> bool {
        !self.most.is_zero()
    }

    /// The same, or at once.
    pub(super) fn maybe_early(self) -> Self {
        Self { not_before: Self::any().not_before, ..self }
    }

    /// Whether it comes too early, by any clock.
    pub(super) fn is_early(&self, now: Now) -> bool {
        let slack = Duration::from_millis(2);
        let (passed, wall) = self.not_before;
        now.passed + slack < passed && now.wall + slack < wall
    }

    /// Whether it should have come, by any clock.
    pub(super) fn is_late(&self, now: Now) -> bool {
        let (passed, wall) = self.by;
        now.passed >= passed && now.wall >= wall
    }
}
