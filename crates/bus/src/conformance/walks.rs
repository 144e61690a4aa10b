//! Walking over dead letters.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Fixture;
use super::support::{
    PATIENCE, QUIET, Reader, dead_letters_once, expect_state, new_inbox, new_name, number_of,
    numbered, put, tidy,
};
use crate::{
    Bus, BusError, DeadLetter, DeadLetterId, DeadLetterWalk, InboxName, InboxState, Selection,
};

/// An inbox with so many dead letters, which nobody reads.
async fn with_dead_letters(bus: &dyn Bus, label: &str, count: usize) -> InboxName {
    let inbox = new_inbox(bus, label).await;
    put(bus, &inbox, &numbered(count)).await;
    let mut reader = Reader::of(bus, &inbox, 100).await;
    reader.bury(count, "op").await;
    drop(reader);
    dead_letters_once(bus, &inbox, count).await;
    inbox
}

async fn walk<'a>(
    bus: &'a dyn Bus,
    inbox: &InboxName,
    selection: &Selection,
) -> Box<dyn DeadLetterWalk + 'a> {
    bus.walk_dead_letters(inbox, selection).await.expect("a walk begins")
}

async fn next(walk: &mut (dyn DeadLetterWalk + '_), limit: usize) -> Vec<DeadLetter> {
    let letters = walk.next(limit).await.expect("a walk goes on");
    assert!(letters.len() <= limit, "{} of at most {limit}", letters.len());
    letters
}

fn numbers_of(letters: &[DeadLetter]) -> Vec<usize> {
    letters.iter().map(|letter| number_of(&letter.envelope)).collect()
}

fn ids_of<'a>(letters: impl IntoIterator<Item = &'a DeadLetter>) -> Vec<DeadLetterId> {
    letters.into_iter().map(|letter| letter.id.clone()).collect()
}

/// Sees to it that these come, in this order, and nothing else.
async fn expect_deliveries(
    bus: &dyn Bus,
    inbox: &InboxName,
    expected: impl Iterator<Item = usize>,
) {
    let expected: Vec<usize> = expected.collect();
    let mut reader = Reader::of(bus, inbox, 100).await;
    let deliveries = reader.take(expected.len()).await;
    let came = deliveries.iter().map(|delivery| number_of(&delivery.envelope));
    assert_eq!(came.collect::<Vec<_>>(), expected);
    reader.acknowledge(&deliveries).await;
    reader.expect_nothing(QUIET).await;
}

/// Redrives all, and sees to it that these come, in this order.
async fn expect_dead(
    bus: &dyn Bus,
    inbox: &InboxName,
    expected: impl Iterator<Item = usize> + Clone,
) {
    let count = expected.clone().count();
    let letters = dead_letters_once(bus, inbox, count).await;
    assert_eq!(numbers_of(&letters), expected.clone().collect::<Vec<_>>());
    assert_eq!(bus.redrive(inbox, &Selection::All, inbox).await, Ok(count as u64));
    expect_deliveries(bus, inbox, expected).await;
}

/// Each is handed out once, in order; some are redriven, some purged, and the others stay as
/// and where they were.
pub async fn a_walk_redrives_purges_and_leaves(fixture: &dyn Fixture) {
    const COUNT: usize = 40;
    let bus = fixture.bus().await;
    let inbox = with_dead_letters(&*bus, "walk", COUNT).await;
    let mut walk = walk(&*bus, &inbox, &Selection::All).await;
    let mut met = Vec::new();
    loop {
        let letters = next(&mut *walk, 7).await;
        if letters.is_empty() {
            break;
        }
        let third = |rest: usize| {
            let is_meant = move |letter: &&DeadLetter| number_of(&letter.envelope) % 3 == rest;
            ids_of(letters.iter().filter(is_meant))
        };
        let mut redriven = 0;
        for id in third(0) {
            redriven += walk.redrive(&[id], &inbox).await.expect("a dead letter is redriven");
        }
        assert_eq!(redriven, third(0).len() as u64);
        assert_eq!(walk.redrive(&third(0), &inbox).await, Ok(0), "they are gone");
        assert_eq!(walk.purge(&third(1)).await, Ok(third(1).len() as u64));
        met.extend(numbers_of(&letters));
    }
    assert_eq!(met, (0..COUNT).collect::<Vec<_>>());
    assert_eq!(next(&mut *walk, 7).await, []);
    walk.end().await;

    let third = |rest: usize| (0..COUNT).skip(rest).step_by(3);
    expect_deliveries(&*bus, &inbox, third(0)).await;
    let left = third(2).count() as u64;
    expect_state(&*bus, &inbox, InboxState { dead_letters: left, ..InboxState::default() }).await;
    expect_dead(&*bus, &inbox, third(2)).await;
    tidy(&*bus, &[&inbox]).await;
}

/// A walk over some meets those only, and goes where it is told.
pub async fn a_walk_may_be_over_some(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = with_dead_letters(&*bus, "walk-some", 6).await;
    let other = new_inbox(&*bus, "walk-to").await;
    let letters = dead_letters_once(&*bus, &inbox, 6).await;
    let nothing = DeadLetterId("no such dead letter".to_owned());
    let mut named = ids_of([&letters[4], &letters[1], &letters[2]]);
    named.push(nothing.clone());
    let mut walk = walk(&*bus, &inbox, &Selection::These(named)).await;
    let (unknown, mut met) = (new_name("nowhere"), Vec::new());
    loop {
        let letters = next(&mut *walk, 2).await;
        if letters.is_empty() {
            break;
        }
        let ids = ids_of(&letters);
        let refused = walk.redrive(&ids, &unknown).await;
        assert_eq!(refused, Err(BusError::UnknownInbox(unknown.clone())));
        assert_eq!(walk.redrive(std::slice::from_ref(&nothing), &other).await, Ok(0));
        assert_eq!(walk.redrive(&ids, &other).await, Ok(ids.len() as u64));
        met.extend(numbers_of(&letters));
    }
    assert_eq!(met, [1, 2, 4]);
    walk.end().await;
    expect_deliveries(&*bus, &other, [1, 2, 4].into_iter()).await;
    expect_dead(&*bus, &inbox, [0, 3, 5].into_iter()).await;
    tidy(&*bus, &[&inbox, &other]).await;
}

/// A walk that is dropped in the middle leaves what it did not decide on, where it was.
pub async fn a_dropped_walk_leaves_the_rest(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = with_dead_letters(&*bus, "walk-dropped", 60).await;
    for dropped in 0..3_usize {
        let mut walk = walk(&*bus, &inbox, &Selection::All).await;
        let letters = next(&mut *walk, 5).await;
        let first = ids_of(&letters[..1]);
        assert_eq!(walk.redrive(&first, &inbox).await, Ok(1));
        next(&mut *walk, 3).await;
        drop(walk);
        let left = dead_letters_once(&*bus, &inbox, 59 - dropped).await;
        let expected: Vec<usize> = (dropped + 1..60).collect();
        assert_eq!(numbers_of(&left), expected);
    }
    expect_deliveries(&*bus, &inbox, 0..3).await;
    expect_dead(&*bus, &inbox, 3..60).await;
    tidy(&*bus, &[&inbox]).await;
}

/// While a walk takes its time others look at the dead letters, and see those that it did
/// not redrive. It redrives each once all the same, and leaves the others.
pub async fn others_may_look_during_a_walk(fixture: &dyn Fixture) {
    const COUNT: usize = 30;
    let bus = fixture.bus().await;
    let inbox = with_dead_letters(&*bus, "walk-slowly", COUNT).await;
    let looking = async {
        let mut seen = Vec::new();
        for _ in 0..2 {
            sleep(Duration::from_millis(300)).await;
            let all = crate::Page { after: None, limit: COUNT };
            seen.push(bus.dead_letters(&inbox, all).await.expect("dead letters are listed"));
        }
        seen
    };
    let walking = async {
        let mut walk = walk(&*bus, &inbox, &Selection::All).await;
        let mut redriven = 0;
        loop {
            let letters = next(&mut *walk, 10).await;
            if letters.is_empty() {
                break;
            }
            for letter in
                letters.iter().filter(|letter| number_of(&letter.envelope).is_multiple_of(2))
            {
                sleep(Duration::from_millis(300)).await;
                redriven += walk.redrive(&ids_of([letter]), &inbox).await.expect("it is redriven");
            }
        }
        walk.end().await;
        redriven
    };
    let begun = Instant::now();
    let (seen, redriven) = tokio::join!(looking, walking);
    assert!(begun.elapsed() < PATIENCE, "it took {:?}", begun.elapsed());
    assert_eq!(redriven, COUNT as u64 / 2);
    for letters in seen {
        let numbers = numbers_of(&letters);
        assert!(numbers.len() > COUNT / 2, "{numbers:?} were seen while it went on");
        let odd = (1..COUNT).step_by(2);
        assert!(odd.clone().all(|number| numbers.contains(&number)), "{numbers:?}");
    }
    expect_deliveries(&*bus, &inbox, (0..COUNT).step_by(2)).await;
    expect_dead(&*bus, &inbox, (1..COUNT).step_by(2)).await;
    tidy(&*bus, &[&inbox]).await;
}

/// What dies after a walk began is not met by it: one that redrives what dies again ends.
pub async fn a_walk_ends_however_much_dies_meanwhile(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = with_dead_letters(&*bus, "walk-ends", 12).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let mut walk = walk(&*bus, &inbox, &Selection::All).await;
    let mut met = 0;
    loop {
        let letters = next(&mut *walk, 4).await;
        if letters.is_empty() {
            break;
        }
        met += letters.len();
        assert_eq!(walk.redrive(&ids_of(&letters), &inbox).await, Ok(letters.len() as u64));
        reader.bury(letters.len(), "opnieuw").await;
    }
    assert_eq!(met, 12);
    walk.end().await;
    let letters = dead_letters_once(&*bus, &inbox, 12).await;
    assert!(letters.iter().all(|letter| letter.reason == "opnieuw"));
    drop(reader);
    tidy(&*bus, &[&inbox]).await;
}
