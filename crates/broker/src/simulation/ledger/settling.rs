//! What subscribers make of deliveries, and what the bus makes of that.

use std::time::Duration;

use super::super::Found;
use super::super::town::PLACES;
use super::{Fate, Ledger, Now, Stand, State, Times, Which};
use crate::Verdict;

/// A lease ends so much later at most.
const SOON: Duration = Duration::from_millis(2);
/// What is synced after so long.
const SYNC_WITHIN: Duration = Duration::from_secs(1);

impl Ledger {
    fn stand_mut(&mut self, (message, copy, place): Which) -> Option<&mut Stand> {
        self.messages[message].copies[copy].stands[place].as_mut()
    }

    /// A subscriber settles what it holds.
    pub(in super::super) fn settle(&mut self, which: Which, verdict: &Verdict, now: Now) {
        let Some(stand) = self.stand_mut(which) else { return };
        let State::Leased { by, .. } = stand.state else { return };
        match verdict {
            Verdict::Acknowledge => stand.settled(by, State::Done(Fate::Acknowledged), None),
            Verdict::Reject { .. } => stand.settled(by, State::Done(Fate::Dead), None),
            Verdict::Retry { after, .. } => self.retry(which, *after, now, now),
        }
    }

    /// It is to come again, asked for between these moments.
    pub(super) fn retry(
        &mut self,
        which: Which,
        after: Option<Duration>,
        earliest: Now,
        latest: Now,
    ) {
        let (message, copy, place) = which;
        let kept = &self.messages[message];
        let left = |now: Now| {
            kept.deadline(copy)
                .map(|deadline| deadline.duration_since(now.wall).unwrap_or_default())
        };
        let (left_at_most, left_at_least) = (left(earliest), left(latest));
        let Some(stand) = self.stand_mut(which) else { return };
        let State::Leased { by, attempt, .. } = stand.state else { return };
        let place = &PLACES[place];
        if attempt >= place.max_attempts || left_at_most.is_some_and(|left| left.is_zero()) {
            stand.settled(by, State::Done(Fate::Dead), None);
            return;
        }
        let wait = place.wait_after(attempt);
        let (least, most) = match after {
            Some(after) => (after, after),
            None => (wait.mul_f64(0.8), wait.mul_f64(1.2)),
        };
        // It comes before its deadline.
        let least = left_at_least.map_or(least, |left| {
            least.min(left.saturating_sub((left / 8).max(Duration::from_millis(120))))
        });
        let times = Times::after(earliest, latest, least, most);
        stand.settled(by, State::Waiting(times), Some(attempt));
        if latest.failed {
            stand.attempts.1 = stand.attempts.1.max(attempt + 1);
        } else {
            stand.attempts = (attempt + 1, attempt + 1);
        }
        if left_at_least.is_some_and(|left| left <= Duration::from_millis(125)) {
            (stand.maybe, stand.attempts.0) = (Some(Fate::Dead), attempt);
        }
    }

    /// Leases that are over end.
    pub(in super::super) fn end_leases(&mut self, now: Now) {
        if self.next_end + SOON >= now.passed {
            return;
        }
        let over: Vec<(Which, Duration)> = self
            .all()
            .filter_map(|(which, stand)| match stand.state {
                State::Leased { until, .. } if until + SOON < now.passed => Some((which, until)),
                _ => None,
            })
            .collect();
        for (which, until) in over {
            self.retry(which, None, now.back_at(until), now);
        }
        let ends = self.all().filter_map(|(_, stand)| match stand.state {
            State::Leased { until, .. } => Some(until),
            _ => None,
        });
        self.next_end = ends.min().unwrap_or(Duration::MAX / 2);
    }

    /// A subscriber is told that it no longer holds this.
    pub(in super::super) fn lease_lost(&mut self, by: u64, id: u64, now: Now) -> Result<(), Found> {
        let held = self.held_by(by).into_iter().find(|(_, held)| *held == id);
        match held {
            None => Ok(()),
            Some((which, _)) if self.is_over(which, now) => {
                self.retry(which, None, now, now);
                Ok(())
            }
            Some(_) if now.failed => Ok(()),
            Some(((message, _, place), _)) => {
                let told = self.messages[message].told(place);
                Err(Found(format!("{told}: its lease is lost before it is over")))
            }
        }
    }

    /// Whether its lease has ended, or does so in this moment.
    pub(in super::super) fn is_over(&self, which: Which, now: Now) -> bool {
        self.stand(which).is_some_and(|stand| match stand.state {
            State::Leased { until, .. } => until <= now.passed,
            _ => false,
        })
    }

    /// It gets more time.
    pub(in super::super) fn extend(&mut self, which: Which, lease: Duration, now: Now) {
        if let Some(Stand { state: State::Leased { until, .. }, .. }) = self.stand_mut(which) {
            *until = now.passed + lease;
            self.next_end = self.next_end.min(now.passed + lease);
        }
    }

    /// A subscriber goes, and what it settled is done first. No lease of what it still holds ends
    /// any more, however long that takes: it is gone before, and that comes again as it was.
    pub(in super::super) fn leaves(&mut self, subscriber: u64, now: Now) {
        for (which, _) in self.held_by(subscriber) {
            if self.is_over(which, now) {
                self.may_have_ended(which, now);
            } else if let Some(Stand { state: State::Leased { until, .. }, .. }) =
                self.stand_mut(which)
            {
                *until = Duration::MAX / 2;
            }
        }
    }

    /// Its lease is over in the very moment in which its subscriber is gone: it comes again as it
    /// was, or as after that lease.
    fn may_have_ended(&mut self, which: Which, now: Now) {
        self.retry(which, None, now, now);
        self.stand_mut(which).into_iter().for_each(Stand::doubt);
    }

    /// All subscribers are gone.
    pub(super) fn all_are_gone(&mut self, now: Now) {
        let all = self.all().map(|(which, _)| which);
        let over: Vec<Which> = all.filter(|which| self.is_over(*which, now)).collect();
        for which in over {
            self.may_have_ended(which, now);
        }
    }

    /// A subscriber is gone: what it holds comes again as it was. When it had no time to have
    /// done what it settled, that may come again, too.
    pub(in super::super) fn left(&mut self, subscriber: u64, in_time: bool, now: Now) {
        self.leaves(subscriber, now);
        for (_, stand) in self.all_mut() {
            match stand.state {
                State::Leased { by, .. } if by == subscriber => {
                    stand.state = State::Waiting(Times::any());
                }
                _ if stand.settled_by == Some(subscriber) && !in_time => stand.doubt(),
                _ => {}
            }
        }
    }

    /// Everything is at rest, and the disk is well: what was settled is written.
    pub(in super::super) fn rested(&mut self, now: Now) {
        for (_, stand) in self.all_mut() {
            if stand.settled_by.take().is_some() {
                stand.written = Some(now.passed);
                stand.before = None;
            }
            stand.is_written(now);
            let written = stand.written.is_some_and(|at| at + SYNC_WITHIN <= now.passed);
            stand.synced |= written;
        }
    }
}
