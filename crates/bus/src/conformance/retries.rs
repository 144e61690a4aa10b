//! Deliveries that come again later.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Fixture;
use super::support::{Reader, dead_letters_once, new_inbox, number_of, numbered, put, retry, tidy};
use crate::{Attempt, Selection, Settlement};

/// On top of what a bus may wait longer: for a busy machine.
const SLACK: Duration = Duration::from_secs(2);
/// One of them meets nothing else that keeps the machine busy.
const TRIES: usize = 3;

/// A retry comes after its delay, not before and not much later, with its
/// attempt one higher; others are not held back meanwhile.
pub async fn a_retry_comes_after_its_delay(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "retry").await;
    let envelopes = numbered(2);
    let mut is_punctual = false;
    for _ in 0..TRIES {
        put(&*bus, &inbox, &envelopes).await;

        let mut reader = Reader::of(&*bus, &inbox, 1).await;
        let delivery = reader.next().await;
        let after = Duration::from_millis(700);
        let asked_at = Instant::now();
        let answer = reader.settle(delivery.tag, retry(after)).await;
        assert_eq!(answer, Ok(()));

        let second = reader.next().await;
        assert_eq!(second.envelope, envelopes[1]);
        reader.acknowledge(&[second]).await;

        let again = reader.next().await;
        is_punctual = came_in_time(asked_at, after);
        assert_eq!(again.envelope, envelopes[0]);
        assert_eq!(again.attempt, 2);
        reader.acknowledge(&[again]).await;
        if is_punctual {
            break;
        }
    }
    assert!(is_punctual, "retries come late");
    tidy(&*bus, &[&inbox]).await;
}

/// Retries with different delays do not wait for one another.
pub async fn several_delays_pass_side_by_side(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "delays").await;
    let delays_ms = [2500, 900, 0, 1700];
    let mut are_punctual = false;
    for _ in 0..TRIES {
        put(&*bus, &inbox, &numbered(delays_ms.len())).await;

        let mut reader = Reader::of(&*bus, &inbox, 10).await;
        let deliveries = reader.take(delays_ms.len()).await;
        let asked_at = Instant::now();
        let settlements = deliveries
            .iter()
            .zip(delays_ms)
            .map(|(delivery, ms)| {
                let after = Duration::from_millis(ms);
                (delivery.tag, retry(after))
            })
            .collect();
        for answer in reader.settle_all(settlements).await {
            assert_eq!(answer, Ok(()));
        }

        are_punctual = true;
        for expected in [2, 1, 3, 0] {
            let again = reader.next().await;
            assert_eq!(number_of(&again.envelope), expected);
            assert_eq!(again.attempt, 2);
            are_punctual &= came_in_time(asked_at, Duration::from_millis(delays_ms[expected]));
            reader.acknowledge(&[again]).await;
        }
        if are_punctual {
            break;
        }
    }
    assert!(are_punctual, "retries come late");
    tidy(&*bus, &[&inbox]).await;
}

/// Each retry counts; a release does not; a dead letter tells the count.
pub async fn attempts_are_counted(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "attempts").await;
    put(&*bus, &inbox, &numbered(1)).await;

    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    for attempt in 1..=3 {
        let delivery = reader.next().await;
        assert_eq!(delivery.attempt, attempt);
        let answer = reader.settle(delivery.tag, Settlement::Release).await;
        assert_eq!(answer, Ok(()));

        let delivery = reader.next().await;
        assert_eq!(delivery.attempt, attempt);
        let after = Duration::from_millis(20);
        let answer = reader.settle(delivery.tag, retry(after)).await;
        assert_eq!(answer, Ok(()));
    }
    reader.bury(1, "three retries").await;
    let letters = dead_letters_once(&*bus, &inbox, 1).await;
    assert_eq!(letters[0].attempts, 4);
    let numbers: Vec<u32> = letters[0].history.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    tidy(&*bus, &[&inbox]).await;
}

/// A dead letter tells why each attempt before the last came to nothing, of many the
/// latest.
pub async fn the_reason_of_each_attempt_is_kept(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "history").await;
    let envelopes = numbered(1);
    put(&*bus, &inbox, &envelopes).await;
    let count = u32::try_from(Attempt::KEPT).expect("few") + 3;

    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    for attempt in 1..=count {
        let delivery = reader.next().await;
        let reason = format!("poging {attempt} mislukt: één «reden»");
        let again = Settlement::Retry { after: Duration::ZERO, reason };
        assert_eq!(reader.settle(delivery.tag, again).await, Ok(()));
    }
    reader.bury(1, "genoeg").await;
    let letter = dead_letters_once(&*bus, &inbox, 1).await.remove(0);
    assert_eq!((letter.attempts, letter.reason.as_str()), (count + 1, "genoeg"));
    assert_eq!(letter.history.len(), Attempt::KEPT);
    for (expected, attempt) in (4..=count).zip(&letter.history) {
        assert_eq!(attempt.number, expected);
        assert_eq!(attempt.reason, format!("poging {expected} mislukt: één «reden»"));
        assert!(attempt.at >= envelopes[0].admitted_at && attempt.at <= letter.died_at);
    }

    tidy(&*bus, &[&inbox]).await;
}

/// One that was redriven counts its attempts from 1 again, and keeps those before, with their
/// reasons: marked, in their order, and of all together the latest.
pub async fn a_redrive_keeps_the_attempts_before(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "redriven").await;
    put(&*bus, &inbox, &numbered(2)).await;
    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let fail = |reason: &str| Settlement::Retry { after: Duration::ZERO, reason: reason.into() };
    let told = |history: &[Attempt]| -> Vec<(u32, String, bool)> {
        let each = history.iter();
        each.map(|one| (one.number, one.reason.clone(), one.before_redrive)).collect()
    };
    let before = |number, reason: &str| (number, reason.to_owned(), true);

    // Those that die without a retry, and together; each goes back with what is its own.
    reader.bury(2, "onbekend").await;
    let died: Vec<SystemTime> =
        dead_letters_once(&*bus, &inbox, 2).await.iter().map(|letter| letter.died_at).collect();
    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(2));
    let deliveries = [reader.next().await];
    assert_eq!(deliveries[0].attempt, 1);
    let shown = bus.browse(&inbox, 1).await.expect("what is in flight can be shown");
    assert_eq!(told(&shown[0].history), [before(1, "onbekend")]);
    assert_eq!(shown[0].history[0].at, died[0]);
    reader.acknowledge(&deliveries).await;

    // The other fails once more, and waits, and dies.
    let delivery = reader.next().await;
    assert_eq!(delivery.attempt, 1);
    assert_eq!(reader.settle(delivery.tag, retry(Duration::from_millis(20))).await, Ok(()));
    let delivery = reader.next().await;
    assert_eq!(delivery.attempt, 2);
    let dead = Settlement::dead_letter("weer");
    assert_eq!(reader.settle(delivery.tag, dead).await, Ok(()));
    let letter = dead_letters_once(&*bus, &inbox, 1).await.remove(0);
    assert_eq!((letter.attempts, letter.reason.as_str()), (2, "weer"));
    let now = (1, "not now".to_owned(), false);
    assert_eq!(told(&letter.history), [before(1, "onbekend"), now]);

    // Again, until the first are forgotten.
    drop(reader);
    let bus = fixture.reopen(bus).await;
    bus.open_inbox(&inbox).await.expect("an inbox opens again");
    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(1));
    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let many = u32::try_from(Attempt::KEPT).expect("few") - 2;
    for number in 1..=many {
        let delivery = reader.next().await;
        assert_eq!(delivery.attempt, number);
        assert_eq!(reader.settle(delivery.tag, fail(&number.to_string())).await, Ok(()));
    }
    reader.bury(1, "genoeg").await;
    let letter = dead_letters_once(&*bus, &inbox, 1).await.remove(0);
    assert_eq!((letter.attempts, letter.history.len()), (many + 1, Attempt::KEPT));
    let first = [before(1, "not now"), before(2, "weer"), (1, "1".to_owned(), false)];
    assert_eq!(told(&letter.history[..3]), first);
    tidy(&*bus, &[&inbox]).await;
}

/// Attempts that were made without the bus count, behind those that it knows.
pub async fn attempts_without_the_bus_count(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "unheard").await;
    put(&*bus, &inbox, &numbered(1)).await;
    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let delivery = reader.next().await;
    assert_eq!(reader.settle(delivery.tag, retry(Duration::ZERO)).await, Ok(()));
    let delivery = reader.next().await;
    let at = delivery.envelope.admitted_at;
    let unheard = |number| Attempt::new(number, at, format!("alone {number}"));
    let settlement = Settlement::DeadLetter {
        reason: "enough".to_owned(),
        unheard: vec![unheard(2), unheard(3)],
        handed_out: true,
    };
    assert_eq!(reader.settle(delivery.tag, settlement).await, Ok(()));
    let letter = dead_letters_once(&*bus, &inbox, 1).await.remove(0);
    assert_eq!((letter.attempts, letter.reason.as_str()), (4, "enough"));
    let reasons: Vec<&str> = letter.history.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons, ["not now", "alone 2", "alone 3"]);

    // Of so many only the latest are told, and all count.
    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(1));
    let delivery = reader.next().await;
    let many = u32::try_from(Attempt::KEPT).expect("few") + 4;
    let settlement = Settlement::DeadLetter {
        reason: "too many".to_owned(),
        unheard: (5..=many).map(unheard).collect(),
        handed_out: true,
    };
    assert_eq!(reader.settle(delivery.tag, settlement).await, Ok(()));
    let letter = dead_letters_once(&*bus, &inbox, 1).await.remove(0);
    assert_eq!((letter.attempts, letter.history.len()), (many + 1, Attempt::KEPT));
    tidy(&*bus, &[&inbox]).await;
}

/// What is given up in place of being handed out counts the attempts before, and after a redrive
/// tells its end as none.
pub async fn what_is_not_handed_out_is_no_attempt(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "not-handed-out").await;
    put(&*bus, &inbox, &numbered(1)).await;
    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let told = |history: &[Attempt]| -> Vec<(u32, String)> {
        history.iter().map(|one| (one.number, one.reason.clone())).collect()
    };
    let mut before = Vec::new();
    // Without an attempt, after one, and after two of which the bus did not hear.
    for made in [0, 1, 3] {
        let mut delivery = reader.next().await;
        let mut unheard = Vec::new();
        if made > 0 {
            assert_eq!(reader.settle(delivery.tag, retry(Duration::ZERO)).await, Ok(()));
            before.push((1, "not now".to_owned()));
            delivery = reader.next().await;
        }
        for number in 2..=made {
            unheard.push(Attempt::new(number, delivery.envelope.admitted_at, "alone"));
            before.push((number, "alone".to_owned()));
        }
        let reason = "expired".to_owned();
        let settlement = Settlement::DeadLetter { reason, unheard, handed_out: false };
        assert_eq!(reader.settle(delivery.tag, settlement).await, Ok(()));
        let letter = dead_letters_once(&*bus, &inbox, 1).await.remove(0);
        assert_eq!((letter.attempts, letter.reason.as_str()), (made, "expired"));
        assert_eq!(told(&letter.history), before);
        assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(1));
        before.push((0, "expired".to_owned()));
    }
    let delivery = reader.next().await;
    assert_eq!(delivery.attempt, 1);
    reader.acknowledge(&[delivery]).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Now is past the delay. Whether it is not by much.
fn came_in_time(asked_at: Instant, after: Duration) -> bool {
    let waited = asked_at.elapsed();
    let tolerance = Duration::from_millis(100).max(after / 10);
    assert!(waited >= after, "came after {waited:?}, asked for {after:?}");
    waited <= after + tolerance + SLACK
}
