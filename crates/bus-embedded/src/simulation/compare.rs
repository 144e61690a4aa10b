//! What the bus shows, beside what it should.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use wissel_bus::{
    ArchivePage, Bus, BusError, DeadLetter, Envelope, InboxState, Level, Page, Stand, Unsettled,
};

use super::calls::now;
use super::model::{Dead, Delivery, Inbox, Kept, Order, State};
use super::{Found, name};
use crate::EmbeddedBus;
use crate::storage::keys::from_ms;

/// What consumers make of a delivery that is still on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// One of them has it.
    Leased(u64),
    /// A retry or a dead letter of it is asked for.
    Settling(u64),
    /// It is acknowledged, and about to go.
    Acknowledged,
}

/// By the order of the delivery; what is not in it waits.
pub(super) type Statuses = HashMap<Order, Status>;

/// How much too old the oldest message may be told to be.
const AGE_MARGIN: Duration = Duration::from_secs(60);

/// What can be seen of an inbox from outside.
pub(super) struct Seen {
    inbox: usize,
    unsettled: Vec<Unsettled>,
    dead: Vec<DeadLetter>,
    state: InboxState,
    level: Level,
}

/// What can be seen of a bus.
pub(super) struct View {
    inboxes: Vec<Seen>,
    archive: Vec<Envelope>,
    now_ms: u64,
}

impl View {
    /// Looks at all of it, at pages of so many.
    pub(super) fn of(bus: &EmbeddedBus, names: usize, page: usize) -> Result<Self, Found> {
        let mut inboxes = Vec::new();
        for inbox in 0..names {
            let name = name(inbox);
            let state = match now(bus.inspect(&name))? {
                Ok(state) => state,
                Err(BusError::UnknownInbox(_)) => continue,
                Err(error) => return Err(Found(format!("inbox {inbox} cannot be seen: {error}"))),
            };
            let unsettled = now(bus.browse(&name, 100_000))??;
            let level = bus.level(&name).ok_or(Found(format!("inbox {inbox} has no level")))?;
            let dead = pages(page, |after, limit| {
                let after = after.map(|letter: &DeadLetter| letter.id.clone());
                Ok(now(bus.dead_letters(&name, Page { after, limit }))??)
            })?;
            inboxes.push(Seen { inbox, unsettled, dead, state, level });
        }
        let archive = pages(page, |after: Option<&wissel_bus::Archived>, limit| {
            let (from, until) = (SystemTime::UNIX_EPOCH, from_ms(u64::MAX >> 16));
            let after = after.map(|archived| archived.position);
            Ok(now(bus.archived(ArchivePage { from, until, after, limit }))??)
        })?;
        let archive = archive.into_iter().map(|archived| archived.envelope).collect();
        Ok(Self { inboxes, archive, now_ms: bus.shared.clock.wall_ms() })
    }

    /// Says what is other than it should be.
    pub(super) fn compare(
        &self,
        state: &State,
        statuses: &Statuses,
        latest_ms: u64,
    ) -> Result<(), Found> {
        let seen: Vec<usize> = self.inboxes.iter().map(|seen| seen.inbox).collect();
        let open: Vec<usize> = state.inboxes.keys().copied().collect();
        same("inboxes", &seen, &open)?;
        for (seen, inbox) in self.inboxes.iter().zip(state.inboxes.values()) {
            let there = format!("inbox {}", seen.inbox);
            seen.compare(inbox, statuses)
                .map_err(|Found(what)| Found(format!("{there}: {what}")))?;
        }
        // What was over its time may be gone when the clock is set back.
        let may_be_gone = |kept: &Kept| kept.until_ms <= latest_ms;
        let mut seen = self.archive.iter().peekable();
        for kept in state.archive.values().filter(|kept| kept.until_ms > self.now_ms) {
            let found = seen.next_if(|seen| **seen == *kept.envelope);
            if found.is_none() && !may_be_gone(kept) {
                return same("archive", &seen.next(), &Some(&*kept.envelope));
            }
        }
        same("archive", &seen.next(), &None)
    }
}

impl Seen {
    fn compare(&self, inbox: &Inbox, statuses: &Statuses) -> Result<(), Found> {
        let acknowledged = |order| statuses.get(order) == Some(&Status::Acknowledged);
        let ready = inbox.ready.iter().filter(|(order, _)| !acknowledged(order));
        let ready = ready.map(|(order, delivery)| {
            let stand = if statuses.contains_key(order) { Stand::InFlight } else { Stand::Ready };
            (stand, &**delivery)
        });
        let delayed = inbox
            .delayed
            .iter()
            .map(|((due_ms, _), delivery)| (Stand::Delayed(from_ms(*due_ms)), &**delivery));
        let expected: Vec<(Stand, &Delivery)> = ready.chain(delayed).collect();
        each("deliveries", &self.unsettled, &expected, |seen, (stand, delivery)| {
            same("message", &seen.envelope, &*delivery.envelope)?;
            same("attempt", &seen.attempt, &delivery.attempt)?;
            same("stand", &seen.stand, stand)?;
            same("history", &seen.history, &delivery.history)
        })?;
        let dead: Vec<&Dead> = inbox.dead.values().map(|dead| &**dead).collect();
        each("dead letters", &self.dead, &dead, |seen, dead| {
            same("message", &seen.envelope, &*dead.envelope)?;
            same("attempts", &seen.attempts, &dead.attempts)?;
            same("moment", &seen.died_at, &dead.died_at)?;
            same("reason", &seen.reason, &dead.reason)?;
            same("history", &seen.history, &dead.history)
        })?;
        self.compare_counts(inbox, &expected)
    }

    fn compare_counts(&self, inbox: &Inbox, expected: &[(Stand, &Delivery)]) -> Result<(), Found> {
        let count = |length: usize| u64::try_from(length).unwrap();
        let flying = expected.iter().filter(|(stand, _)| *stand == Stand::InFlight).count();
        same("in flight", &self.state.in_flight, &count(flying))?;
        same("depth", &self.state.depth, &count(expected.len() - flying))?;
        same("delayed", &self.state.delayed, &count(inbox.delayed.len()))?;
        same("dead letters", &self.state.dead_letters, &count(inbox.dead.len()))?;
        same("deliveries", &self.level.deliveries, &count(expected.len()))?;
        let bytes = expected.iter().map(|(_, delivery)| delivery.envelope.event.len()).sum();
        same("bytes", &self.level.bytes, &count(bytes))?;

        let oldest = expected.iter().map(|(_, delivery)| delivery.envelope.admitted_at).min();
        // Exact unless something is out of its order.
        let margin = if expected.iter().any(|(_, delivery)| delivery.requeued) {
            AGE_MARGIN
        } else {
            Duration::ZERO
        };
        // A message that was admitted before what it stands behind is not seen from outside.
        let mut oldest_yet = None;
        let in_order = expected.iter().all(|(_, delivery)| {
            let admitted_at = delivery.envelope.admitted_at;
            let seen = delivery.requeued || oldest_yet.is_none_or(|yet| yet <= admitted_at);
            oldest_yet = oldest_yet.into_iter().chain([admitted_at]).min();
            seen
        });
        let right = match (self.state.oldest, oldest) {
            (Some(seen), Some(oldest)) => !in_order || seen <= oldest && seen + margin >= oldest,
            (seen, oldest) => seen == oldest,
        };
        if right { Ok(()) } else { same("oldest", &self.state.oldest, &oldest) }
    }
}

/// All, a page after the other.
pub(super) fn pages<T>(
    limit: usize,
    page: impl Fn(Option<&T>, usize) -> Result<Vec<T>, Found>,
) -> Result<Vec<T>, Found> {
    let mut all = Vec::new();
    loop {
        let more = page(all.last(), limit)?;
        // One that is large has fewer than it may.
        let done = more.is_empty();
        all.extend(more);
        if done {
            return Ok(all);
        }
    }
}

fn each<T, U>(
    what: &str,
    seen: &[T],
    expected: &[U],
    compare: impl Fn(&T, &U) -> Result<(), Found>,
) -> Result<(), Found> {
    same(&format!("{what}: how many"), &seen.len(), &expected.len())?;
    for (index, (seen, expected)) in seen.iter().zip(expected).enumerate() {
        compare(seen, expected).map_err(|Found(why)| Found(format!("{what}: {index}: {why}")))?;
    }
    Ok(())
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    seen: &T,
    expected: &T,
) -> Result<(), Found> {
    if seen == expected {
        return Ok(());
    }
    Err(Found(format!("{what}: {seen:?}, expected {expected:?}")))
}
