//! The ledgers of a round, held against each other.

mod reasons;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use uuid::Uuid;

use super::counts::Counts;
use super::messages::{POISONED, Place, inboxes_of};
use super::plan::{Fault, Plan};
use super::publisher::Sent;
use super::pulse::Stalls;
use super::subscriber::{Came, Temper, Verdict};

/// Everything that was written down in a round.
pub(super) struct Ledgers<'a> {
    pub(super) plan: &'a Plan,
    pub(super) sent: BTreeMap<String, Sent>,
    pub(super) inboxes: Vec<InboxBooks>,
    pub(super) happened: &'a [Happened],
    pub(super) stalls: Stalls,
}

/// What is known of an inbox at the end of a round.
pub(super) struct InboxBooks {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) came: Vec<Came>,
    pub(super) dead: Vec<Dead>,
    /// Deliveries of a subject come in the order in which they were published.
    pub(super) is_ordered: bool,
}

/// A dead letter, as an operator sees it.
#[derive(Clone, Debug)]
pub(super) struct Dead {
    pub(super) id: String,
    pub(super) message_id: Uuid,
    pub(super) attempts: u32,
}

/// A fault that took place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Happened {
    pub(super) fault: Fault,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

/// What came of the messages of one id, by Wissel's own id of each, with its number.
type Messages<'a> = BTreeMap<Uuid, Vec<(usize, &'a Came)>>;

/// What the ledgers say together.
#[derive(Default)]
pub(super) struct Comparison {
    pub(super) counts: Counts,
    /// What should not be.
    pub(super) findings: Vec<String>,
}

/// Attempts before a delivery is given up on: that of the inbox with messages that are never
/// got done, and that of the others.
pub(super) const FEW_ATTEMPTS: u32 = 4;
const MANY_ATTEMPTS: u32 = 20;

impl Ledgers<'_> {
    /// What a receipt promises and is neither settled nor a dead letter.
    pub(super) fn unsettled(&self) -> Vec<String> {
        let mut unsettled = Vec::new();
        for (id, sent) in &self.sent {
            let Some((receipt, _)) = &sent.receipt else { continue };
            for inbox in &self.inboxes {
                if receipt.inboxes.contains(&inbox.name) {
                    let why = inbox.unsettled((id, receipt.message_id));
                    unsettled.extend(why.map(|why| self.about(id, inbox, why)));
                }
            }
        }
        // Second messages as well.
        for inbox in &self.inboxes {
            for (id, groups) in inbox.by_message() {
                let all = groups.keys().filter_map(|message| inbox.unsettled((id, *message)));
                unsettled.extend(all.map(|why| self.about(id, inbox, why)));
            }
        }
        unsettled.sort();
        unsettled.dedup();
        unsettled
    }

    /// Holds the ledgers against each other. Dead letters were redriven, unless something
    /// else came between.
    pub(super) fn compare(&self, was_redriven: bool) -> Comparison {
        let mut comparison = Comparison::default();
        for (id, sent) in &self.sent {
            self.check_publishing(id, sent, &mut comparison);
        }
        for inbox in &self.inboxes {
            self.check_where(inbox, &mut comparison);
            for (id, groups) in inbox.by_message() {
                self.check_seconds(inbox, id, groups.len(), &mut comparison);
                for came in groups.values() {
                    self.check_again(inbox, came, &mut comparison);
                }
            }
            self.check_dead(inbox, &mut comparison);
            if was_redriven {
                self.check_redriven(inbox, &mut comparison);
            }
            if inbox.is_ordered {
                self.check_order(inbox, &mut comparison);
            }
        }
        comparison.findings.extend(self.unsettled());
        let duplicates = comparison.counts.duplicates;
        if self.is_calm() && duplicates.total() > 0 {
            comparison.findings.push(format!("duplicates without a fault: {duplicates:?}"));
        }
        comparison
    }

    fn is_calm(&self) -> bool {
        self.plan.is_calm() && self.happened.is_empty()
    }

    fn check_publishing(&self, id: &str, sent: &Sent, comparison: &mut Comparison) {
        let Comparison { counts, findings } = comparison;
        counts.messages += 1;
        counts.unknown_outcomes += u64::from(sent.unknown);
        if let Some(refusal) = &sent.refused {
            findings.push(format!("{id} was refused: {refusal}"));
        }
        let Some((receipt, at)) = &sent.receipt else {
            findings.push(format!("{id} has no receipt"));
            return;
        };
        counts.receipts += 1;
        if receipt.inboxes != inboxes_of(id) {
            findings.push(format!("the receipt of {id} names {:?}", receipt.inboxes));
        }
        for (repeat, repeated_at) in &sent.repeats {
            counts.repeats += 1;
            let is_same = repeat.message_id == receipt.message_id && repeat.repeated;
            counts.repeats_recognised += u64::from(is_same);
            if !is_same && !self.may_be_forgotten(*at, *repeated_at) {
                findings.push(format!("{id} was published again and taken for another"));
            }
        }
    }

    /// Nothing comes that was not published, or to whom it was not for.
    fn check_where(&self, inbox: &InboxBooks, comparison: &mut Comparison) {
        let ids = inbox.came.iter().map(|came| &came.id);
        let ids: BTreeSet<&String> = ids.chain(inbox.dead.iter().map(|dead| &dead.id)).collect();
        for id in ids {
            match self.sent.get(id) {
                None => comparison.findings.push(self.about(id, inbox, "is not of this round")),
                Some(_) if !inboxes_of(id).contains(&inbox.name) => {
                    comparison.findings.push(self.about(id, inbox, "came to whom it is not for"));
                }
                Some(_) => {}
            }
        }
        comparison.counts.deliveries += inbox.came.len() as u64;
        comparison.counts.dead_letters += inbox.dead.len() as u64;
    }

    /// The same message as several messages: only when nobody could know of the first.
    fn check_seconds(&self, inbox: &InboxBooks, id: &str, groups: usize, to: &mut Comparison) {
        let Some(sent) = self.sent.get(id).filter(|_| groups > 1) else { return };
        to.counts.duplicates.second_message += groups as u64 - 1;
        let last = sent.repeats.last().or(sent.receipt.as_ref()).map_or(sent.at, |(_, at)| *at);
        // What is published waits for the end of an alarm.
        if !self.is_explained((sent.at, last), true, Fault::may_make_a_second_message) {
            to.findings.push(self.about(id, inbox, "came as several messages, for no reason"));
        }
    }

    /// One message that came more than once, as `came` tells in order.
    fn check_again(&self, inbox: &InboxBooks, came: &[(usize, &Came)], to: &mut Comparison) {
        for pair in came.windows(2) {
            let [(_, before), (number, again)] = pair else { continue };
            // What was decided after it had come again did not count.
            let settled = before.settled.filter(|settled| settled.after <= *number);
            let Some(settled) = settled else {
                to.counts.unsettled_again += 1;
                if self.is_calm() {
                    let why = "came again before it was settled, without a fault";
                    to.findings.push(self.about(&again.id, inbox, why));
                }
                continue;
            };
            if settled.verdict == Verdict::Retried {
                to.counts.retries += 1;
            } else if self.may_be_lost(&settled, inbox) {
                to.counts.duplicates.fault += 1;
            } else if settled.late {
                to.counts.duplicates.late += 1;
            } else {
                let why = "came again although it was settled, for no reason";
                to.findings.push(self.about(&again.id, inbox, why));
            }
        }
    }

    /// What is dead was given up on, and is not done as well.
    fn check_dead(&self, inbox: &InboxBooks, to: &mut Comparison) {
        let most = if inbox.number == POISONED { FEW_ATTEMPTS } else { MANY_ATTEMPTS };
        let mut seen = BTreeSet::new();
        for dead in &inbox.dead {
            let came: Vec<&Came> = inbox.entries((&dead.id, dead.message_id)).collect();
            let verdicts = |verdict: Verdict| {
                let all = came.iter().filter_map(|came| came.settled);
                all.filter(move |settled| settled.verdict == verdict)
            };
            if verdicts(Verdict::Rejected).next().is_none() && dead.attempts < most {
                let why = format!("is dead after {} attempts for no reason", dead.attempts);
                to.findings.push(self.about(&dead.id, inbox, &why));
            }
            let is_twice = !seen.insert(dead.message_id);
            let acknowledged = verdicts(Verdict::Acknowledged).next().is_some();
            if !is_twice && !acknowledged {
                continue;
            }
            to.counts.duplicates.dead_letter += 1;
            let mut all = came.iter().filter_map(|came| came.settled);
            if !all.any(|one| one.late || self.may_be_lost(&one, inbox)) {
                let why = "is a dead letter, and done or twice dead, for no reason";
                to.findings.push(self.about(&dead.id, inbox, why));
            }
        }
    }

    /// After the faults, each dead letter comes again, once. One that was put there twice in
    /// a fault may be listed once.
    fn check_redriven(&self, inbox: &InboxBooks, to: &mut Comparison) {
        let mut expected: BTreeMap<Uuid, (u64, &str)> = BTreeMap::new();
        for dead in &inbox.dead {
            expected.entry(dead.message_id).or_insert((0, &dead.id)).0 += 1;
        }
        let redriven = inbox.came.iter().filter(|came| came.temper == Temper::Perfect);
        for came in redriven {
            to.counts.redriven += 1;
            match expected.get_mut(&came.message_id) {
                Some((left, _)) if *left > 0 => *left -= 1,
                Some(_) if self.may_be_dead_twice(came, inbox) => {
                    to.counts.duplicates.dead_letter += 1;
                }
                _ => {
                    let why = "came when dead letters were redriven, for no reason";
                    to.findings.push(self.about(&came.id, inbox, why));
                }
            }
        }
        for (left, id) in expected.into_values().filter(|(left, _)| *left > 0) {
            let why = format!("was redriven and {left} did not come");
            to.findings.push(self.about(id, inbox, &why));
        }
    }

    /// No message of a subject comes first before all those before it were settled.
    fn check_order(&self, inbox: &InboxBooks, to: &mut Comparison) {
        let mut lanes: BTreeMap<Place, &str> = BTreeMap::new();
        for (id, sent) in &self.sent {
            lanes.extend(sent.place.map(|place| (place, id.as_str())));
        }
        let first = |id: &str| inbox.came.iter().position(|came| came.id == id);
        let is_dead = |id: &str| inbox.dead.iter().any(|dead| dead.id == id);
        for (later_place, later) in &lanes {
            let Some(came) = first(later) else { continue };
            let of_subject = Place { position: 0, ..*later_place }..*later_place;
            for (_, earlier) in lanes.range(of_subject) {
                if !inboxes_of(earlier).contains(&inbox.name) {
                    continue;
                }
                let before = inbox.came[..came].iter().rfind(|entry| entry.id == *earlier);
                let settled = before.and_then(|entry| entry.settled);
                let is_final = settled.is_some_and(|settled| {
                    settled.after <= came && settled.verdict != Verdict::Retried
                });
                if !is_final && !is_dead(earlier) {
                    let why = format!("came before {earlier} of the same subject was settled");
                    let before = self.about(earlier, inbox, "is that one");
                    to.findings.push(format!("{}\n    {before}", self.about(later, inbox, &why)));
                }
            }
        }
    }

    /// A finding about a message in an inbox, with all that its ledgers say.
    fn about(&self, id: &str, inbox: &InboxBooks, what: &str) -> String {
        let mut text = format!("{id} in {}: {what}", inbox.name);
        let begun = self.sent.values().map(|sent| sent.at).min();
        let since = |at: Instant| begun.map_or(0, |begun| (at - begun).as_millis());
        if let Some(sent) = self.sent.get(id) {
            let receipt = sent.receipt.as_ref().map(|(note, at)| (note.message_id, since(*at)));
            let repeats: Vec<_> =
                sent.repeats.iter().map(|(note, at)| (note.message_id, since(*at))).collect();
            text.push_str(&format!(
                "\n      published at {} ms, {} times unknown, receipt {receipt:?}, repeats {repeats:?}",
                since(sent.at),
                sent.unknown
            ));
        }
        for (number, came) in inbox.came.iter().enumerate().filter(|(_, came)| came.id == id) {
            let Came { message_id, attempt, temper, at, settled, .. } = came;
            let settled = settled.map(|one| (one.verdict, since(one.at), one.after, one.late));
            text.push_str(&format!(
                "\n      came as {message_id}, number {number} at {} ms, attempt {attempt}, {temper:?}: {settled:?}",
                since(*at)
            ));
        }
        for dead in inbox.dead.iter().filter(|dead| dead.id == id) {
            text.push_str(&format!("\n      {dead:?}"));
        }
        text
    }
}

impl InboxBooks {
    /// Why a message is not settled here, if so. Redriven ones do not count.
    fn unsettled(&self, (id, message): (&str, Uuid)) -> Option<&'static str> {
        if self.dead.iter().any(|dead| dead.message_id == message) {
            return None;
        }
        let Some(last) = self.entries((id, message)).last() else {
            return Some("never came");
        };
        match last.settled.map(|settled| settled.verdict) {
            Some(Verdict::Acknowledged) => None,
            Some(Verdict::Rejected) => Some("was rejected and is no dead letter"),
            Some(Verdict::Retried) => Some("was to come again, and did not"),
            None => Some("was not settled, and did not come again"),
        }
    }

    /// What came of one message before dead letters were redriven.
    fn entries(&self, (id, message): (&str, Uuid)) -> impl Iterator<Item = &Came> {
        let is_it = move |came: &&Came| came.message_id == message && came.id == id;
        self.came.iter().filter(|came| came.temper < Temper::Perfect).filter(is_it)
    }

    /// All that came before dead letters were redriven, with its number.
    fn by_message(&self) -> BTreeMap<&str, Messages<'_>> {
        let mut all: BTreeMap<&str, Messages<'_>> = BTreeMap::new();
        let came = self.came.iter().enumerate().filter(|(_, came)| came.temper < Temper::Perfect);
        for (number, came) in came {
            let of_id = all.entry(&came.id).or_default();
            of_id.entry(came.message_id).or_default().push((number, came));
        }
        all
    }
}

#[cfg(test)]
mod tests;
