//! What is counted while messages go by.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use crate::buckets::{Buckets, Stand};
use crate::register::{Described, Register};
use crate::state::StateGauges;
use crate::{Quantiles, State};

type Named = [(&'static str, &'static str); 1];
type OfType = [(&'static str, String); 1];

/// Every metric of a gateway.
pub struct Metrics {
    register: Register,
    /// Locked while one scrape is answered.
    state: Mutex<StateGauges>,
    looks: Mutex<Looks>,
    admitted: Family<OfType, Counter>,
    refused: Family<Named, Counter>,
    repeated: Counter,
    received_bytes: Counter,
    receipt: Buckets,
    copies: Counter,
    handed_out: Counter,
    settled: Family<Named, Counter>,
    dead: Family<Named, Counter>,
    delivery: Buckets,
    sessions: Gauge,
    replayed: Counter,
    redriven: Counter,
    purged: Counter,
    questions: Family<Named, Counter>,
    unproven: Counter,
    catalogue: Family<Named, Counter>,
    unrecorded: Counter,
    spans: Family<Named, Counter>,
}

/// What a receiver made of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Processed.
    Acknowledged,
    /// To come again.
    Retried,
    /// Given up on.
    Dead,
    /// Its lease ended, so that it comes again or is given up on.
    LeaseEnded,
}

/// Why a delivery became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadCause {
    /// Its receiver rejected it.
    Rejected,
    /// It was handed out as often as it may be.
    Attempts,
    /// Its deadline passed.
    Deadline,
    /// It became too old.
    Expired,
    /// Its receiver has no right to it any more.
    Withheld,
    /// There was no room in its inbox.
    Full,
}

/// How the histograms stood when they were last looked at.
#[derive(Default)]
struct Looks {
    receipt: Stand,
    delivery: Stand,
}

impl Metrics {
    /// Metrics that nothing was counted in yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is much, and shared")]
    pub fn new() -> Self {
        let mut register = Register::new();
        let state = StateGauges::new(&mut register);
        let all = Self {
            register,
            state: Mutex::new(state),
            looks: Mutex::default(),
            admitted: Family::default(),
            refused: Family::default(),
            repeated: Counter::default(),
            received_bytes: Counter::default(),
            receipt: Buckets::default(),
            copies: Counter::default(),
            handed_out: Counter::default(),
            settled: Family::default(),
            dead: Family::default(),
            delivery: Buckets::default(),
            sessions: Gauge::default(),
            replayed: Counter::default(),
            redriven: Counter::default(),
            purged: Counter::default(),
            questions: Family::default(),
            unproven: Counter::default(),
            catalogue: Family::default(),
            unrecorded: Counter::default(),
            spans: Family::default(),
        };
        all.registered()
    }

    fn registered(mut self) -> Self {
        let r = &mut self.register;
        let seconds = || Some(Unit::Seconds);
        let help = "Messages that got a receipt, by event type";
        r.add("messages_admitted", None, "type", help, &self.admitted);
        let help = "Messages that were refused to their publisher, by reason";
        r.add("messages_refused", None, "reason", help, &self.refused);
        let help = "Messages that came before, and got their first receipt again";
        r.add("messages_repeated", None, "", help, &self.repeated);
        let help = "Bytes of the messages that came, refused ones too";
        r.add("messages_received", Some(Unit::Bytes), "", help, &self.received_bytes);
        let help = "From a message that came to its receipt, or its refusal";
        r.add("receipt_duration", seconds(), "", help, &self.receipt);
        let help = "Deliveries that messages became: one for each inbox that each went to";
        r.add("deliveries_enqueued", None, "", help, &self.copies);
        let help = "Deliveries that were handed to a receiver, each attempt counted";
        r.add("deliveries_handed_out", None, "", help, &self.handed_out);
        let help = "What receivers made of deliveries: `acknowledged`, `retried`, `dead`; and \
                    `lease_ended` beside one of the last two, when it said nothing";
        r.add("deliveries_settled", None, "verdict", help, &self.settled);
        let help = "Deliveries that became dead letters: `rejected` by the receiver, `attempts` \
                    used up, `deadline` passed, `expired`, `withheld` as the right is gone, \
                    `full` inbox";
        r.add("dead_letters_made", None, "cause", help, &self.dead);
        let help = "From the admission of a message to the first time that it was handed out";
        r.add("delivery_latency", seconds(), "", help, &self.delivery);
        r.add("sessions", None, "", "Receivers at an inbox of this gateway", &self.sessions);
        let help = "Messages that were brought from the archive once more";
        r.add("messages_replayed", None, "", help, &self.replayed);
        let help = "Dead letters that were put back";
        r.add("dead_letters_redriven", None, "", help, &self.redriven);
        r.add("dead_letters_purged", None, "", "Dead letters that were removed", &self.purged);
        let help = "Questions that were asked: `answered`, `failed`, `late`, `refused`";
        r.add("questions", None, "outcome", help, &self.questions);
        let help = "Calls and connections of somebody who did not prove who it is";
        r.add("unproven_calls", None, "", help, &self.unproven);
        let help = "Times that the catalogue was read again: `replaced`, `faulty` when the one \
                    in force stayed";
        r.add("catalogue_reloads", None, "outcome", help, &self.catalogue);
        let help = "Times that the record of processing could not be written";
        r.add("records_failed", None, "", help, &self.unrecorded);
        let help = "Spans of traces: `exported`, `dropped` as too many waited, `failed` as the \
                    collector did not take them";
        r.add("trace_spans", None, "outcome", help, &self.spans);
        self
    }

    /// So many messages of one event type got a receipt.
    pub fn admitted(&self, event_type: &str, messages: u64) {
        self.admitted.get_or_create(&[("type", event_type.to_owned())]).inc_by(messages);
    }

    /// How many messages of one event type got a receipt so far.
    #[must_use]
    pub fn admitted_so_far(&self, event_type: &str) -> u64 {
        let found = self.admitted.get(&[("type", event_type.to_owned())]);
        found.map_or(0, |counter| counter.get())
    }

    /// Messages became so many deliveries.
    pub fn enqueued(&self, deliveries: u64) {
        self.copies.inc_by(deliveries);
    }

    /// A message was refused.
    pub fn refused(&self, reason: &'static str, messages: u64) {
        self.refused.get_or_create(&[("reason", reason)]).inc_by(messages);
    }

    /// A message had come before.
    pub fn repeated(&self) {
        self.repeated.inc();
    }

    /// Messages came, together so many bytes.
    pub fn received(&self, bytes: usize) {
        self.received_bytes.inc_by(bytes as u64);
    }

    /// So many messages had their outcome so long after they came.
    pub fn receipts_after(&self, took: Duration, messages: u64) {
        self.receipt.observe_many(took, messages);
    }

    /// Deliveries went to a receiver.
    pub fn handed_out(&self, deliveries: u64) {
        self.handed_out.inc_by(deliveries);
    }

    /// A message was handed out for the first time, so long after its admission.
    pub fn delivered_after(&self, took: Duration) {
        self.delivery.observe(took);
    }

    /// What became of deliveries.
    pub fn settled(&self, verdict: Settled, deliveries: u64) {
        self.settled.get_or_create(&[("verdict", verdict.as_str())]).inc_by(deliveries);
    }

    /// Deliveries became dead letters.
    pub fn dead(&self, cause: DeadCause, deliveries: u64) {
        self.dead.get_or_create(&[("cause", cause.as_str())]).inc_by(deliveries);
    }

    /// A receiver came.
    pub fn session_began(&self) {
        self.sessions.inc();
    }

    /// A receiver left.
    pub fn session_ended(&self) {
        self.sessions.dec();
    }

    /// Messages were replayed.
    pub fn replayed(&self, messages: u64) {
        self.replayed.inc_by(messages);
    }

    /// Dead letters were put back.
    pub fn redriven(&self, dead_letters: u64) {
        self.redriven.inc_by(dead_letters);
    }

    /// Dead letters were removed.
    pub fn purged(&self, dead_letters: u64) {
        self.purged.inc_by(dead_letters);
    }

    /// What became of a question.
    pub fn question(&self, outcome: &'static str) {
        self.questions.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Somebody did not prove who it is, so many times.
    pub fn unproven(&self, calls: u64) {
        self.unproven.inc_by(calls);
    }

    /// The catalogue was read again; not replaced: it is faulty.
    pub fn catalogue_read(&self, replaced: bool) {
        let outcome = if replaced { "replaced" } else { "faulty" };
        self.catalogue.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// The record of processing could not be written.
    pub fn unrecorded(&self) {
        self.unrecorded.inc();
    }

    /// What became of spans: `exported`, `dropped`, `failed`.
    pub fn spans(&self, outcome: &'static str, spans: u64) {
        self.spans.get_or_create(&[("outcome", outcome)]).inc_by(spans);
    }

    /// Messages that had an outcome so far.
    #[must_use]
    pub fn messages_so_far(&self) -> u64 {
        self.receipt.stand().since(&Stand::default()).count
    }

    /// Deliveries enqueued, and handed out, so far.
    #[must_use]
    pub fn deliveries_so_far(&self) -> (u64, u64) {
        (self.copies.get(), self.handed_out.get())
    }

    /// How long receipts and deliveries took since this was last called.
    #[must_use]
    pub fn since_last_look(&self) -> (Quantiles, Quantiles) {
        let mut looks = self.looks.lock();
        let now = Looks { receipt: self.receipt.stand(), delivery: self.delivery.stand() };
        let since = (now.receipt.since(&looks.receipt), now.delivery.since(&looks.delivery));
        *looks = now;
        since
    }

    /// Everything, in the text format of OpenMetrics.
    #[must_use]
    pub fn encode(&self, state: &State) -> String {
        let gauges = self.state.lock();
        gauges.set(state);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.register.registry);
        text
    }

    pub(crate) fn described(&self) -> &[Described] {
        &self.register.described
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Settled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::LeaseEnded => "lease_ended",
        }
    }
}

impl DeadCause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Attempts => "attempts",
            Self::Deadline => "deadline",
            Self::Expired => "expired",
            Self::Withheld => "withheld",
            Self::Full => "full",
        }
    }
}
