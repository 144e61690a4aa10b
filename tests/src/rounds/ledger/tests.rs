//! What the comparison finds when something is wrong: each test plants one fault.

use std::time::Duration;

use wissel_testkit::Resource;

use super::reasons::{GRACE, GRACE_OF_BUS};
use super::*;
use crate::rounds::messages::{ALL, inbox_name};
use crate::rounds::publisher::Note;
use crate::rounds::subscriber::Settled;
use crate::rounds::{BusKind, Cut};

/// Even numbers are for the first inbox and the last.
const ID: &str = "e1-s-2";
const NEXT: &str = "e1-s-4";

/// The books of a round, to be spoilt.
struct Round {
    plan: Plan,
    begun: Instant,
    sent: BTreeMap<String, Sent>,
    came: [Vec<Came>; 3],
    dead: [Vec<Dead>; 3],
    happened: Vec<Happened>,
    stalls: Stalls,
}

fn message(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

impl Round {
    /// Two messages of one subject, of which all is as it should be.
    fn without_fault() -> Self {
        let calm = (0..).map(|seed| Plan::of(seed, BusKind::Embedded)).find(Plan::is_calm);
        let mut round = Self {
            plan: calm.unwrap(),
            begun: Instant::now(),
            sent: BTreeMap::new(),
            came: Default::default(),
            dead: Default::default(),
            happened: Vec::new(),
            stalls: Stalls::default(),
        };
        for (id, number) in [(ID, 1), (NEXT, 2)] {
            let inboxes = inboxes_of(id);
            let note = Note { message_id: message(number), inboxes, repeated: false };
            let sent = Sent {
                place: Some(Place { subject: 0, position: u32::try_from(number).unwrap() }),
                at: round.begun,
                unknown: 0,
                receipt: Some((note, round.begun)),
                repeats: Vec::new(),
                refused: None,
            };
            round.sent.insert(id.to_owned(), sent);
            for inbox in [0, ALL] {
                round.comes(inbox, id, number, Some(Verdict::Acknowledged));
            }
        }
        round
    }

    /// As that, and a fault took place at once.
    fn with(fault: Fault) -> Self {
        let mut round = Self::without_fault();
        let faulty = |plan: &Plan| !plan.is_calm();
        round.plan = (0..).map(|seed| Plan::of(seed, BusKind::Embedded)).find(faulty).unwrap();
        round.happened.push(Happened { fault, begun: round.begun, ended: round.begun });
        round
    }

    fn comes(&mut self, inbox: usize, id: &str, number: u128, verdict: Option<Verdict>) {
        let came = &mut self.came[inbox];
        let after = came.len() + 1;
        came.push(Came {
            id: id.to_owned(),
            message_id: message(number),
            attempt: 1,
            temper: Temper::Rough,
            at: self.begun,
            settled: verdict.map(|verdict| Settled { verdict, at: self.begun, after, late: false }),
        });
    }

    fn dies(&mut self, inbox: usize, id: &str, number: u128, attempts: u32) {
        self.dead[inbox].push(Dead { id: id.to_owned(), message_id: message(number), attempts });
    }

    /// The last delivery was a dead letter that was redriven.
    fn redriven(&mut self, inbox: usize) {
        self.came[inbox].last_mut().unwrap().temper = Temper::Perfect;
    }

    /// Everything came and was settled much later than any fault.
    fn long_after(&mut self) {
        let late = Duration::from_secs(10);
        for came in self.came.iter_mut().flatten() {
            came.at += late;
            came.settled.iter_mut().for_each(|settled| settled.at += late);
        }
    }

    fn compare(&self) -> Comparison {
        let inboxes = (0..3).map(|number| InboxBooks {
            number,
            name: inbox_name(number),
            came: self.came[number].clone(),
            dead: self.dead[number].clone(),
            is_ordered: number == ALL,
        });
        let inboxes = inboxes.collect();
        let sent = self.sent.clone();
        let (plan, happened, stalls) = (&self.plan, &self.happened, self.stalls.clone());
        Ledgers { plan, sent, inboxes, happened, stalls }.compare(true)
    }

    #[track_caller]
    fn is_fine(&self) -> Counts {
        let compared = self.compare();
        assert!(compared.findings.is_empty(), "{:#?}", compared.findings);
        compared.counts
    }

    #[track_caller]
    fn is_found(&self, part: &str) {
        let findings = self.compare().findings;
        assert!(findings.iter().any(|finding| finding.contains(part)), "{findings:#?}");
    }
}

const KILL: Fault = Fault::KillGateway { away: Duration::ZERO };

#[test]
fn a_good_round_is_fine() {
    let counts = Round::without_fault().is_fine();
    assert_eq!((counts.messages, counts.receipts, counts.deliveries), (2, 2, 4));
    assert_eq!(counts.duplicates.total(), 0);
}

#[test]
fn what_is_lost_is_found() {
    let mut round = Round::with(KILL);
    round.came[0].pop();
    round.is_found("never came");

    for (verdict, part) in [
        (Some(Verdict::Rejected), "is no dead letter"),
        (Some(Verdict::Retried), "did not"),
        (None, "did not come again"),
    ] {
        let mut round = Round::with(KILL);
        round.came[0].pop();
        round.comes(0, NEXT, 2, verdict);
        round.is_found(part);
    }
}

#[test]
fn a_message_without_a_receipt_is_found_and_so_is_a_wrong_one() {
    let mut round = Round::with(KILL);
    round.sent.get_mut(ID).unwrap().receipt = None;
    round.is_found("has no receipt");

    let mut round = Round::with(KILL);
    round.sent.get_mut(ID).unwrap().receipt.as_mut().unwrap().0.inboxes.pop();
    round.is_found("names");
}

#[test]
fn what_comes_to_whom_it_is_not_for_is_found() {
    let mut round = Round::with(KILL);
    round.comes(1, ID, 1, Some(Verdict::Acknowledged));
    round.is_found("not for");

    let mut round = Round::with(KILL);
    round.comes(1, "e0-s-1", 9, Some(Verdict::Acknowledged));
    round.is_found("is not of this round");
}

#[test]
fn a_duplicate_needs_a_fault_that_is_near() {
    let mut round = Round::with(KILL);
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    assert_eq!(round.is_fine().duplicates.fault, 1);
    round.long_after();
    round.is_found("came again although it was settled");

    let mut round = Round::without_fault();
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    round.is_found("came again although it was settled");

    // Of another inbox.
    let mut round = Round::with(Fault::SubscribersDie { inbox: 1 });
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    round.is_found("came again although it was settled");
}

#[test]
fn an_alarm_of_rabbitmq_is_no_reason_but_takes_its_time_before_one() {
    let time = Duration::from_secs(2);
    let alarm = Fault::AlarmRabbitMq { of: Resource::Disk, time };
    let mut round = Round::with(alarm);
    round.happened[0].ended += time;
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    round.is_found("came again although it was settled");
    round.comes(0, NEXT, 3, Some(Verdict::Acknowledged));
    round.is_found("came as several messages, for no reason");

    // Settled as the alarm began, and a fault soon after it. Who receives and goes takes with it what
    // waits to be published, and no acknowledgement; a gateway takes those of packs as well.
    let dies = Fault::SubscribersDie { inbox: 0 };
    for (verdict, fault, is_fine) in [
        (Verdict::Rejected, dies, true),
        (Verdict::Acknowledged, dies, false),
        (Verdict::Acknowledged, KILL, true),
    ] {
        let mut round = Round::with(alarm);
        round.happened[0].ended += time;
        round.came[0].last_mut().unwrap().settled.as_mut().unwrap().verdict = verdict;
        round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
        let at = round.begun + time + GRACE;
        round.happened.push(Happened { fault, begun: at, ended: at });
        if is_fine {
            assert_eq!(round.is_fine().duplicates.fault, 1);
            round.happened[0].ended = round.begun;
        }
        round.is_found("came again although it was settled");
    }
}

/// Nobody planned it, and it is as a fault that was made.
#[test]
fn what_a_machine_that_stood_still_did_is_no_finding() {
    let mut round = Round::without_fault();
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    round.is_found("came again although it was settled");
    let fault = Fault::SilenceBus;
    round.happened.push(Happened { fault, begun: round.begun, ended: round.begun });
    assert_eq!(round.is_fine().duplicates.fault, 1);
}

#[test]
fn a_settlement_after_the_lease_may_come_again_and_is_counted() {
    let mut round = Round::with(Fault::SubscribersDie { inbox: 1 });
    round.came[0].last_mut().unwrap().settled.as_mut().unwrap().late = true;
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    assert_eq!(round.is_fine().duplicates.late, 1);
}

#[test]
fn a_retry_is_no_duplicate_and_a_return_for_no_reason_is_found() {
    let mut round = Round::without_fault();
    round.came[0].last_mut().unwrap().settled.as_mut().unwrap().verdict = Verdict::Retried;
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    assert_eq!(round.is_fine().retries, 1);
    round.came[0][1].settled = None;
    round.is_found("before it was settled, without a fault");
}

#[test]
fn a_second_message_needs_a_fault_that_makes_one_forget() {
    for (fault, is_fine) in [(KILL, true), (Fault::SubscribersDie { inbox: 0 }, false)] {
        let mut round = Round::with(fault);
        round.comes(0, ID, 7, Some(Verdict::Acknowledged));
        if is_fine {
            assert_eq!(round.is_fine().duplicates.second_message, 1);
        } else {
            round.is_found("came as several messages");
        }
        let mut round = Round::with(fault);
        let sent = round.sent.get_mut(ID).unwrap();
        let other = Note { message_id: message(7), ..sent.receipt.clone().unwrap().0 };
        sent.repeats.push((other, round.begun));
        if is_fine {
            assert_eq!(round.is_fine().repeats_recognised, 0);
        } else {
            round.is_found("taken for another");
        }
    }
}

#[test]
fn a_receipt_outlives_a_kill_that_comes_later() {
    let mut round = Round::with(KILL);
    let sent = round.sent.get_mut(ID).unwrap();
    let other = Note { message_id: message(7), ..sent.receipt.clone().unwrap().0 };
    sent.repeats.push((other, round.begun + Duration::from_secs(3)));
    round.is_fine();
    for happened in &mut round.happened {
        happened.begun += Duration::from_secs(1);
        happened.ended += Duration::from_secs(1);
    }
    round.is_found("taken for another");

    // The machine held everyone up between the receipt and the kill.
    let after = |ms| round.begun + Duration::from_millis(ms);
    let (held_up, in_part) = ((after(100), after(900)), (after(100), after(800)));
    round.stalls.note(in_part.0, in_part.1);
    round.is_found("taken for another");
    round.stalls = Stalls::default();
    round.stalls.note(held_up.0, held_up.1);
    round.is_fine();
}

#[test]
fn the_first_receipt_again_is_counted() {
    let mut round = Round::without_fault();
    let sent = round.sent.get_mut(ID).unwrap();
    let again = Note { repeated: true, ..sent.receipt.clone().unwrap().0 };
    sent.repeats.push((again, round.begun));
    assert_eq!(round.is_fine().repeats_recognised, 1);
}

#[test]
fn what_dies_has_a_reason_and_comes_when_it_is_redriven() {
    let mut round = Round::without_fault();
    round.came[0].pop();
    round.comes(0, NEXT, 2, Some(Verdict::Rejected));
    round.dies(0, NEXT, 2, 1);
    round.is_found("did not come");
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    round.redriven(0);
    let counts = round.is_fine();
    assert_eq!((counts.dead_letters, counts.redriven), (1, 1));
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    round.redriven(0);
    round.is_found("came when dead letters were redriven");

    let mut round = Round::without_fault();
    round.came[0].pop();
    round.comes(0, NEXT, 2, Some(Verdict::Retried));
    round.dies(0, NEXT, 2, MANY_ATTEMPTS - 1);
    round.is_found("for no reason");
}

#[test]
fn what_is_done_and_dead_needs_a_fault() {
    let mut round = Round::with(KILL);
    round.came[0].last_mut().unwrap().settled.as_mut().unwrap().verdict = Verdict::Rejected;
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    round.dies(0, NEXT, 2, 1);
    round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
    round.redriven(0);
    assert_eq!(round.is_fine().duplicates.dead_letter, 1);
    round.long_after();
    round.is_found("done or twice dead");
}

#[test]
fn what_overtakes_in_its_subject_is_found() {
    let mut round = Round::without_fault();
    round.came[ALL].swap(0, 1);
    round.is_found("of the same subject");

    // It came in order, and was not settled before the next one came.
    let mut round = Round::without_fault();
    round.came[ALL][0].settled.as_mut().unwrap().after = 2;
    round.is_found("of the same subject");

    let mut round = Round::with(KILL);
    round.came[ALL][0].settled.as_mut().unwrap().verdict = Verdict::Retried;
    round.comes(ALL, ID, 1, Some(Verdict::Acknowledged));
    round.is_found("of the same subject");
}

/// The dead letter is there twice, and was listed once.
#[test]
fn what_is_redriven_twice_needs_a_fault_that_is_near() {
    let mut round = Round::with(Fault::CutBus(Cut { after_bytes: 1, reset: true }));
    round.came[0].pop();
    round.comes(0, NEXT, 2, Some(Verdict::Rejected));
    round.dies(0, NEXT, 2, 1);
    for _ in 0..2 {
        round.comes(0, NEXT, 2, Some(Verdict::Acknowledged));
        round.redriven(0);
    }
    assert_eq!(round.is_fine().duplicates.dead_letter, 1);
    // Rejected close to the fault, and redriven long after it.
    let rejected = round.came[0][1].clone();
    round.long_after();
    round.is_found("came when dead letters were redriven");
    round.came[0][1] = rejected;
    round.is_fine();
    round.came[0][1].settled.as_mut().unwrap().at += GRACE_OF_BUS + Duration::from_millis(1);
    round.is_found("came when dead letters were redriven");
}
