//! Dead letters: shown, paged, redriven.

use std::time::{Duration, SystemTime};

use super::Fixture;
use super::support::{
    QUIET, Reader, dead_letters_once, envelopes_of, expect_state, message, new_inbox, numbered,
    put, tidy,
};
use crate::{Burial, DeadLetter, DeadLetterId, Envelope, InboxState, PAGE_BYTES, Page, Selection};

/// A dead letter shows its message, its reason, its attempts and when it died;
/// it is counted, and no consumer gets it.
pub async fn a_dead_letter_is_shown(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "dead").await;
    let envelopes = numbered(1);
    put(&*bus, &inbox, &envelopes).await;

    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let before = SystemTime::now() - Duration::from_millis(1);
    reader.bury(1, "het adres is onbekend").await;
    let letters = dead_letters_once(&*bus, &inbox, 1).await;
    let letter = &letters[0];
    assert_eq!(letter.envelope, envelopes[0]);
    assert_eq!(letter.reason, "het adres is onbekend");
    assert_eq!(letter.attempts, 1);
    assert!(letter.died_at >= before, "died before it was given up on");
    assert!(letter.died_at <= SystemTime::now(), "died in the future");

    reader.expect_nothing(QUIET).await;
    drop(reader);
    let expected = InboxState { dead_letters: 1, ..InboxState::default() };
    expect_state(&*bus, &inbox, expected).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Pages hold what they may, oldest first, and together everything once.
pub async fn dead_letters_come_in_pages(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "pages").await;
    let envelopes = numbered(7);
    put(&*bus, &inbox, &envelopes).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    reader.bury(7, "op").await;
    dead_letters_once(&*bus, &inbox, 7).await;

    let mut found: Vec<DeadLetter> = Vec::new();
    let mut page_lengths = Vec::new();
    loop {
        let page = Page { after: found.last().map(|letter| letter.id.clone()), limit: 3 };
        let letters = bus.dead_letters(&inbox, page).await.expect("dead letters can be listed");
        page_lengths.push(letters.len());
        if letters.is_empty() {
            break;
        }
        found.extend(letters);
    }
    assert_eq!(page_lengths, [3, 3, 1, 0]);
    let order: Vec<_> = found.iter().map(|letter| letter.envelope.clone()).collect();
    assert_eq!(order, envelopes);
    assert!(found.is_sorted_by(|a, b| a.id < b.id), "ids do not sort");
    let fourth = bus.dead_letter(&inbox, &found[3].id).await.expect("one can be looked at");
    assert_eq!(fourth.as_ref(), Some(&found[3]));
    let none = DeadLetterId("0000000000000000-none".to_owned());
    assert_eq!(bus.dead_letter(&inbox, &none).await, Ok(None));
    tidy(&*bus, &[&inbox]).await;
}

/// However many are asked for, a page ends when it is large.
pub async fn a_page_of_dead_letters_is_bounded_in_bytes(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "large-pages").await;
    let large = |_| message("x".repeat(PAGE_BYTES / 2));
    let envelopes: Vec<Envelope> = (0..5).map(large).collect();
    put(&*bus, &inbox, &envelopes).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    reader.bury(5, "op").await;
    drop(reader);
    expect_state(&*bus, &inbox, InboxState { dead_letters: 5, ..InboxState::default() }).await;

    let mut found: Vec<DeadLetter> = Vec::new();
    let mut page_lengths = Vec::new();
    loop {
        let page = Page { after: found.last().map(|letter| letter.id.clone()), limit: 100 };
        let letters = bus.dead_letters(&inbox, page.clone()).await.expect("they can be listed");
        page_lengths.push(letters.len());
        let ended = !page.is_full(&letters);
        found.extend(letters);
        if ended {
            break;
        }
    }
    assert_eq!(page_lengths, [2, 2, 1]);
    let order: Vec<_> = found.into_iter().map(|letter| letter.envelope).collect();
    assert!(order == envelopes, "all come, in their order");
    tidy(&*bus, &[&inbox]).await;
}

/// Every dead letter goes back behind what waits, and counts its attempts anew.
pub async fn redrive_puts_all_dead_letters_back(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "redrive-all").await;
    let envelopes = numbered(4);
    put(&*bus, &inbox, &envelopes[..3]).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    reader.bury(3, "op").await;
    drop(reader);
    put(&*bus, &inbox, &envelopes[3..]).await;
    dead_letters_once(&*bus, &inbox, 3).await;

    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(3));
    dead_letters_once(&*bus, &inbox, 0).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let deliveries = reader.take(4).await;
    assert_eq!(deliveries[0].envelope, envelopes[3]);
    assert_eq!(envelopes_of(&deliveries[1..]), envelopes[..3]);
    assert!(deliveries.iter().all(|delivery| delivery.attempt == 1));
    reader.acknowledge(&deliveries).await;

    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(0));
    reader.expect_nothing(QUIET).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Those named go back, the others stay, and what is not there is passed over.
pub async fn redrive_puts_some_dead_letters_back(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "redrive-some").await;
    let envelopes = numbered(4);
    put(&*bus, &inbox, &envelopes).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    reader.bury(4, "op").await;
    let letters = dead_letters_once(&*bus, &inbox, 4).await;

    let selection = Selection::These(vec![
        letters[1].id.clone(),
        DeadLetterId("no such dead letter".to_owned()),
        letters[3].id.clone(),
    ]);
    assert_eq!(bus.redrive(&inbox, &selection, &inbox).await, Ok(2));
    let deliveries = reader.take(2).await;
    let expected = [envelopes[1].clone(), envelopes[3].clone()];
    assert_eq!(envelopes_of(&deliveries), expected);
    reader.acknowledge(&deliveries).await;

    let left = dead_letters_once(&*bus, &inbox, 2).await;
    assert_eq!(left[0].envelope, envelopes[0]);
    assert_eq!(left[1].envelope, envelopes[2]);
    assert_eq!(bus.redrive(&inbox, &selection, &inbox).await, Ok(0));
    reader.expect_nothing(QUIET).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Those that are put in another inbox are there, behind what waits, and no longer here.
pub async fn redrive_can_go_to_another_inbox(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "redrive-from").await;
    let other = new_inbox(&*bus, "redrive-to").await;
    let envelopes = numbered(3);
    put(&*bus, &inbox, &envelopes[..2]).await;
    put(&*bus, &other, &envelopes[2..]).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    reader.bury(2, "op").await;
    let letters = dead_letters_once(&*bus, &inbox, 2).await;

    let one = Selection::These(vec![letters[1].id.clone()]);
    assert_eq!(bus.redrive(&inbox, &one, &other).await, Ok(1));
    let mut others = Reader::of(&*bus, &other, 10).await;
    let deliveries = others.take(2).await;
    assert_eq!(envelopes_of(&deliveries), [envelopes[2].clone(), envelopes[1].clone()]);
    others.acknowledge(&deliveries).await;
    assert_eq!(dead_letters_once(&*bus, &inbox, 1).await[0].envelope, envelopes[0]);
    reader.expect_nothing(QUIET).await;

    let unknown = super::support::new_name("nowhere");
    let refused = bus.redrive(&inbox, &Selection::All, &unknown).await;
    assert_eq!(refused, Err(crate::BusError::UnknownInbox(unknown)));
    dead_letters_once(&*bus, &inbox, 1).await;
    tidy(&*bus, &[&inbox, &other]).await;
}

/// Those that are purged are gone, and the others stay.
pub async fn purged_dead_letters_are_gone(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "purge").await;
    let envelopes = numbered(3);
    put(&*bus, &inbox, &envelopes).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    reader.bury(3, "op").await;
    let letters = dead_letters_once(&*bus, &inbox, 3).await;

    let one = Selection::These(vec![letters[1].id.clone(), DeadLetterId("none".to_owned())]);
    assert_eq!(bus.purge_dead_letters(&inbox, &one).await, Ok(1));
    let left = dead_letters_once(&*bus, &inbox, 2).await;
    assert_eq!(left[0].envelope, envelopes[0]);
    assert_eq!(left[1].envelope, envelopes[2]);
    assert_eq!(bus.purge_dead_letters(&inbox, &Selection::All).await, Ok(2));
    dead_letters_once(&*bus, &inbox, 0).await;
    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(0));
    reader.expect_nothing(QUIET).await;
    let expected = InboxState { consumers: 1, ..InboxState::default() };
    expect_state(&*bus, &inbox, expected).await;
    tidy(&*bus, &[&inbox]).await;
}

/// What is buried is a dead letter of its inbox, with no attempt, and can be redriven.
pub async fn buried_messages_are_dead_letters(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "bury").await;
    let envelopes = numbered(2);
    let unknown = super::support::new_name("nowhere");
    let burial = |envelope: &Envelope, inbox: &crate::InboxName| Burial {
        envelope: envelope.clone(),
        inbox: inbox.clone(),
        reason: "vol".to_owned(),
    };
    let burials = vec![burial(&envelopes[0], &inbox), burial(&envelopes[1], &unknown)];
    let refused = Err(crate::BusError::UnknownInbox(unknown));
    assert_eq!(bus.bury(burials).await, [Ok(()), refused]);

    let letter = dead_letters_once(&*bus, &inbox, 1).await.remove(0);
    assert_eq!(letter.envelope, envelopes[0]);
    assert_eq!((letter.attempts, letter.reason.as_str()), (0, "vol"));
    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(1));
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let deliveries = reader.take(1).await;
    assert_eq!((&deliveries[0].envelope, deliveries[0].attempt), (&envelopes[0], 1));
    reader.acknowledge(&deliveries).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Thousands of dead letters are listed, found, redriven and purged as few are.
pub async fn many_dead_letters_can_be_mended(fixture: &dyn Fixture) {
    const COUNT: usize = 2_500;
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "many-dead").await;
    let burial = |envelope| Burial { envelope, inbox: inbox.clone(), reason: "vol".to_owned() };
    for answer in bus.bury(numbered(COUNT).into_iter().map(burial).collect()).await {
        answer.expect("a message is buried");
    }
    let letters = dead_letters_once(&*bus, &inbox, COUNT).await;
    let last = letters.last().expect("there are some");
    let found = bus.dead_letter(&inbox, &last.id).await;
    assert_eq!(found.expect("one can be looked at").as_ref(), Some(last));
    let some = letters[COUNT - 500..].iter().map(|letter| letter.id.clone()).collect();
    assert_eq!(bus.purge_dead_letters(&inbox, &Selection::These(some)).await, Ok(500));
    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(COUNT as u64 - 500));
    let expected = InboxState { depth: COUNT as u64 - 500, ..InboxState::default() };
    expect_state(&*bus, &inbox, expected).await;
    tidy(&*bus, &[&inbox]).await;
}
