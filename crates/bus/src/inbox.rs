use std::time::{Duration, SystemTime};

use crate::{Attempt, DeadLetter, DeadLetterId, Envelope};

/// How an inbox fares at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxState {
    /// Deliveries that wait: ready, or for a retry. Not those in flight.
    pub depth: u64,
    /// More may wait than `depth` says: what others put there together counts as one until it
    /// is met.
    pub depth_is_least: bool,
    /// Of those, how many wait for a retry.
    pub delayed: u64,
    /// Of those, how many were handed over, and wait in the queue of an AMQP client.
    pub handed_over: u64,
    /// Deliveries with a consumer, not yet settled.
    pub in_flight: u64,
    /// Consumers.
    pub consumers: u32,
    /// When the oldest message that waits or is in flight was admitted.
    pub oldest: Option<SystemTime>,
    /// Dead letters.
    pub dead_letters: u64,
}

/// How full an inbox is, as far as is known without asking anybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// Deliveries that wait or are in flight; dead letters are not counted.
    pub deliveries: u64,
    /// Of their events, in bytes.
    pub bytes: u64,
}

/// A message in an inbox that is not settled, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The message.
    pub envelope: Envelope,
    /// The attempt that it is at, or waits for: 1, and 1 more for each retry before.
    pub attempt: u32,
    /// What it waits for.
    pub stand: Stand,
    /// The attempts before, oldest first; of many the last [`Attempt::KEPT`].
    pub history: Vec<Attempt>,
}

/// What a message that is not settled waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// For a consumer with credit.
    Ready,
    /// For its consumer to settle it.
    InFlight,
    /// For its retry, due then. A bus keeps milliseconds.
    Delayed(SystemTime),
}

/// What is shown of an inbox while it is collected: no more than was asked for, and nothing
/// behind the message with which it is [`PAGE_BYTES`].
#[derive(Debug)]
pub struct Shown {
    limit: usize,
    bytes: usize,
    messages: Vec<Unsettled>,
}

/// The bytes of events with which a page ends, whatever its limit: that of the last message
/// may go over it.
pub const PAGE_BYTES: usize = 4 << 20;

/// A part of a long list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<K> {
    /// Begin behind this one; at the beginning when absent.
    pub after: Option<K>,
    /// At most this many.
    pub limit: usize,
}

impl Page<DeadLetterId> {
    /// Whether these are as many, or as large, as one page may hold: there may be more.
    #[must_use]
    pub fn is_full(&self, letters: &[DeadLetter]) -> bool {
        let bytes = || letters.iter().map(|one| one.envelope.event.len()).sum::<usize>();
        letters.len() >= self.limit || bytes() >= PAGE_BYTES
    }
}

/// Some dead letters, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every one that was there when the call began.
    All,
    /// These.
    These(Vec<DeadLetterId>),
}

// === impl Shown ===

impl Shown {
    /// Nothing yet, of at most so many.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, messages: Vec::new() }
    }

    /// Whether these are as many, or as large, as one page may hold: there may be more.
    #[must_use]
    pub fn fill_a_page(messages: &[Unsettled], limit: usize) -> bool {
        let bytes = || messages.iter().map(|one| one.envelope.event.len()).sum::<usize>();
        messages.len() >= limit || bytes() >= PAGE_BYTES
    }

    /// Whether nothing more is to be shown.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.messages.len() >= self.limit || self.bytes >= PAGE_BYTES
    }

    /// Shows one more, unless it is full.
    pub fn push(&mut self, message: Unsettled) {
        if !self.is_full() {
            self.bytes += message.envelope.event.len();
            self.messages.push(message);
        }
    }

    /// What is shown so far.
    #[must_use]
    pub fn messages(&self) -> &[Unsettled] {
        &self.messages
    }

    /// What is shown.
    #[must_use]
    pub fn into_messages(self) -> Vec<Unsettled> {
        self.messages
    }
}

// === impl InboxState ===

impl InboxState {
    /// How old the oldest message is at `now`; none when the inbox is empty.
    #[must_use]
    pub fn oldest_age(&self, now: SystemTime) -> Option<Duration> {
        self.oldest.map(|then| now.duration_since(then).unwrap_or_default())
    }
}
