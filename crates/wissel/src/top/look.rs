//! What is known of a gateway, as far as it is shown: nothing of a message's subject, id or
//! data is among it.

use std::time::{Duration, SystemTime};

use wissel_client::{DeadLetter, InboxActivity, InboxName, UnsettledDelivery};

use crate::output;

/// One look at a gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// Version, bus, how long it is up, whether it is ready: one line.
    pub(crate) gateway: String,
    pub(crate) ready: bool,
    /// Messages in, deliveries out, a second; only operators are told.
    pub(crate) traffic: Option<(f64, f64)>,
    /// How long 99 of 100 receipts took, and 99 of 100 deliveries, where there were some.
    pub(crate) latencies: [Option<Duration>; 2],
    /// When the inboxes were looked at.
    pub(crate) taken_at: Option<SystemTime>,
    /// All inboxes that there are; `inboxes` may be the first of them.
    pub(crate) total: u64,
    pub(crate) inboxes: Vec<Inbox>,
    /// Of the inbox that is open.
    pub(crate) open: Option<Open>,
}

/// How an inbox fares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inbox {
    pub(crate) name: InboxName,
    pub(crate) depth: u64,
    /// More may wait.
    pub(crate) depth_is_least: bool,
    pub(crate) delayed: u64,
    pub(crate) in_flight: u64,
    pub(crate) consumers: u32,
    pub(crate) oldest: Duration,
    pub(crate) dead_letters: u64,
    pub(crate) came: f64,
    pub(crate) settled: f64,
    /// What the gateway says is wrong with it.
    pub(crate) told: Option<String>,
    pub(crate) history: Vec<u32>,
}

/// What is known of one inbox beyond that.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) name: InboxName,
    pub(crate) settings: Vec<String>,
    /// Who receives, each in a line.
    pub(crate) receivers: Vec<String>,
    /// The oldest of its dead letters.
    pub(crate) letters: Vec<Letter>,
    /// The first messages that are not settled, or why they are not shown; none: nobody
    /// asked.
    pub(crate) messages: Option<Result<Vec<UnsettledDelivery>, String>>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) message: String,
    pub(crate) event_type: String,
    pub(crate) publisher: String,
    pub(crate) died_at: SystemTime,
    pub(crate) attempts: u32,
    pub(crate) reason: String,
    /// Every attempt, as number, moment and reason.
    pub(crate) history: Vec<(u32, SystemTime, String)>,
}

/// How grave what the gateway says of an inbox is, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gravity {
    Well,
    Noted,
    Grave,
}

impl Inbox {
    /// What the gateway says is wrong with it; empty when nothing is.
    pub(crate) fn concern(&self) -> &str {
        self.told.as_deref().unwrap_or_default()
    }

    /// Of a depth that is the least that waits.
    pub(crate) fn mark(&self) -> &'static str {
        if self.depth_is_least { "+" } else { "" }
    }

    pub(crate) fn gravity(&self) -> Gravity {
        match self.concern() {
            "" => Gravity::Well,
            "no receiver" | "slow" | "full" => Gravity::Grave,
            _ => Gravity::Noted,
        }
    }
}

impl From<InboxActivity> for Inbox {
    fn from(one: InboxActivity) -> Self {
        Self {
            name: one.inbox.name,
            depth: one.inbox.depth,
            depth_is_least: one.inbox.depth_is_least,
            delayed: one.inbox.delayed,
            in_flight: one.inbox.in_flight,
            consumers: one.inbox.consumers,
            oldest: one.inbox.oldest_age.unwrap_or_default(),
            dead_letters: one.inbox.dead_letters,
            came: one.came_per_second,
            settled: one.settled_per_second,
            told: one.concern,
            history: one.history,
        }
    }
}

impl From<DeadLetter> for Letter {
    fn from(one: DeadLetter) -> Self {
        let attempts = one.every_attempt();
        let history = attempts.iter().map(|each| (each.number, each.at, output::reason(each)));
        Self {
            id: one.dead_letter_id,
            message: one.message_id.to_string(),
            event_type: one.event_type,
            publisher: one.publisher.to_string(),
            died_at: one.died_at,
            attempts: one.attempts,
            reason: one.reason,
            history: history.collect(),
        }
    }
}
