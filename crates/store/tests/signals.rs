//! Signals in the store: matches, what is told of them, and what is forgotten.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::{Duration, SystemTime};

use uuid::Uuid;
use wissel_identifiers::Oin;
use wissel_store::{
    Filed, NewKey, NewSignal, Pseudonym, PseudonymKeys, SignalNotice, Store, StoreError, Tell,
    Transfer,
};

fn party(number: u8) -> Oin {
    format!("0000009900000000{number}000").parse().unwrap()
}

/// A store in which pseudonyms are made with one key.
async fn with_key(path: &Path) -> Store {
    let store = Store::open(path).unwrap();
    assert!(add_key(&store).await);
    store
}

/// A key that adds one to every byte: the pseudonym tells how many went over it.
async fn add_key(store: &Store) -> bool {
    let wrap = |old: &Pseudonym| old.map(|byte| byte + 1);
    let make = move |known: Option<PseudonymKeys>| {
        let proof = known.map_or([0; 32], |known| known.proof);
        Ok(Some(NewKey { wrap: Box::new(wrap), proof: wrap(&proof) }))
    };
    store.add_pseudonym_key(Box::new(make)).await.unwrap()
}

fn signal(number: u8, reference: &str, subject: u8) -> NewSignal {
    let now = SystemTime::now();
    NewSignal {
        id: Uuid::now_v7(),
        event_type: "nl.vir.match".to_owned(),
        party: party(number),
        reference: reference.to_owned(),
        pseudonym: [subject; 32],
        keys: 1,
        filed_at: now,
        expires_at: now + Duration::from_secs(600),
        most: 3,
    }
}

async fn file(store: &Store, new: NewSignal) -> Uuid {
    let id = new.id;
    assert_eq!(store.file_signal(new).await.unwrap(), Filed::New);
    id
}

/// What is told: about which signal of the receiver, what, and with whom.
type Told = (Oin, String);

fn told(receiver: u8, signal: Uuid, what: &str, with: u8) -> Told {
    (party(receiver), format!("{signal} {what} {}", party(with)))
}

fn tell() -> Tell {
    Box::new(|notice: &SignalNotice| {
        let SignalNotice { what, signal, party, .. } = notice;
        Some(format!("{signal} {} {party}", what.name()).into_bytes())
    })
}

async fn all_matched(store: &Store) {
    while store.match_signals(2, tell()).await.unwrap() > 0 {}
}

/// What is in the outbox, which is empty afterwards.
async fn notices(store: &Store) -> Vec<Told> {
    let all = store.outgoing(SystemTime::now(), 100).await.unwrap();
    let mut found = Vec::new();
    for one in all {
        store.sent(one.number).await.unwrap();
        found.push((one.recipient, String::from_utf8(one.event).unwrap()));
    }
    found
}

#[tokio::test]
async fn signals_of_two_parties_about_one_subject_match_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let store = with_key(&path).await;
    let one = file(&store, signal(1, "a", 7)).await;
    let own = file(&store, signal(1, "b", 7)).await;
    file(&store, signal(1, "c", 8)).await;
    file(&store, NewSignal { event_type: "nl.other".to_owned(), ..signal(2, "x", 7) }).await;
    all_matched(&store).await;
    assert_eq!(notices(&store).await, []);

    let other = file(&store, signal(2, "a", 7)).await;
    all_matched(&store).await;
    // What is to be told outlives the process.
    drop(store);
    let store = Store::open(&path).unwrap();
    let found = notices(&store).await;
    let expected = [
        told(2, other, "match", 1),
        told(1, one, "match", 2),
        told(2, other, "match", 1),
        told(1, own, "match", 2),
    ];
    assert_eq!(found.len(), 4);
    assert!(expected.iter().all(|one| found.contains(one)), "{found:?}");
    all_matched(&store).await;
    assert_eq!(notices(&store).await, []);

    let third = file(&store, signal(3, "a", 7)).await;
    all_matched(&store).await;
    assert_eq!(notices(&store).await.len(), 6);
    let listed = store.signals_of(party(3), None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].id, listed[0].matches.len()), (1, third, 3));
    let listed = store.signals_of(party(1), None, 10).await.unwrap();
    let with: Vec<Vec<Oin>> =
        listed.iter().map(|one| one.matches.iter().map(|one| one.party).collect()).collect();
    assert_eq!(with, [vec![party(2), party(3)], vec![party(2), party(3)], vec![]]);
    let second = store.signals_of(party(1), Some(one), 1).await.unwrap();
    assert_eq!((second.len(), second[0].id), (1, own));
}

#[tokio::test]
async fn filing_again_is_the_same_and_a_reference_is_of_one_subject() {
    let store = Store::in_memory().unwrap();
    add_key(&store).await;
    let first = signal(1, "a", 7);
    let id = file(&store, first.clone()).await;
    let again = store.file_signal(signal(1, "a", 7)).await.unwrap();
    assert!(matches!(again, Filed::Same { id: same, .. } if same == id), "{again:?}");
    assert_eq!(store.file_signal(signal(1, "a", 8)).await.unwrap(), Filed::Conflict);
    file(&store, signal(1, "b", 7)).await;
    file(&store, signal(1, "c", 7)).await;
    assert_eq!(store.file_signal(signal(1, "d", 7)).await.unwrap(), Filed::TooMany);
    let other_keys = NewSignal { keys: 2, ..signal(1, "e", 9) };
    assert_eq!(store.file_signal(other_keys).await.unwrap(), Filed::OtherKeys);
}

#[tokio::test]
async fn what_is_withdrawn_or_over_is_gone_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let store = with_key(&path).await;
    let subject = 0xA7;
    let holds = || {
        let files =
            ["control.sqlite", "control.sqlite-wal"].map(|name| directory.path().join(name));
        let texts = files.map(|file| std::fs::read(file).unwrap_or_default());
        texts.iter().any(|text| text.windows(32).any(|window| window == [subject; 32]))
    };
    let one = file(&store, signal(1, "a", subject)).await;
    let other = file(&store, signal(2, "a", subject)).await;
    all_matched(&store).await;
    assert!(holds());

    assert!(!store.withdraw_signal(one, party(2), tell()).await.unwrap());
    assert!(store.withdraw_signal(one, party(1), tell()).await.unwrap());
    assert!(!store.withdraw_signal(one, party(1), tell()).await.unwrap());
    // The other is told of the match, and then that it is no more; its own signal stays.
    let expected = [told(2, other, "match", 1), told(2, other, "withdrawn", 1)];
    assert_eq!(notices(&store).await, expected);
    let listed = store.signals_of(party(2), None, 10).await.unwrap();
    assert!(listed[0].matches.is_empty());

    // What its own party was yet to be told goes with a signal.
    let third = file(&store, signal(3, "a", subject)).await;
    all_matched(&store).await;
    store.withdraw_signal(other, party(2), tell()).await.unwrap();
    let expected = [told(3, third, "match", 2), told(3, third, "withdrawn", 2)];
    assert_eq!(notices(&store).await, expected);
    store.withdraw_signal(third, party(3), tell()).await.unwrap();
    assert!(!holds());
    assert_eq!(store.next_signal_expiry().await.unwrap(), None);

    let expires_at = SystemTime::now() + Duration::from_millis(60);
    let short = file(&store, NewSignal { expires_at, ..signal(1, "a", subject) }).await;
    assert!(store.next_signal_expiry().await.unwrap().unwrap() <= expires_at);
    assert_eq!(store.expire_signals().await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(80)).await;
    // Over, though nobody has come by to forget it: it matches no more, and its reference
    // is free.
    file(&store, signal(2, "b", subject)).await;
    all_matched(&store).await;
    assert_eq!(notices(&store).await, []);
    assert_eq!(store.signal(short).await.unwrap(), None);
    assert!(store.signals_of(party(1), None, 10).await.unwrap().is_empty());
    assert_eq!(store.expire_signals().await.unwrap(), 1);
    file(&store, signal(1, "a", 9)).await;
}

#[tokio::test]
async fn a_signal_that_another_party_takes_over_takes_its_matches_along() {
    let store = Store::in_memory().unwrap();
    add_key(&store).await;
    let moved = file(&store, signal(1, "a", 7)).await;
    let school = file(&store, signal(2, "school", 7)).await;
    let own = file(&store, signal(3, "a", 7)).await;
    let stays = file(&store, signal(1, "stays", 7)).await;
    all_matched(&store).await;
    notices(&store).await;

    let transfer = |from, to, reference: &str| Transfer {
        id: moved,
        from: party(from),
        to: party(to),
        reference: reference.to_owned(),
    };
    assert!(!store.transfer_signal(transfer(2, 3, ""), tell()).await.unwrap(), "of another");
    // The new party has that reference already, so it is the signal's own id.
    assert!(store.transfer_signal(transfer(1, 3, "a"), tell()).await.unwrap());
    let listed = store.signal(moved).await.unwrap().unwrap();
    assert_eq!((listed.party, listed.reference), (party(3), moved.to_string()));
    assert_eq!(
        notices(&store).await,
        [told(3, moved, "received", 1), told(3, moved, "match", 2), told(2, school, "moved", 3),]
    );
    // With the signal that the first party kept it matches now, and with the new party's
    // own no more.
    all_matched(&store).await;
    assert_eq!(notices(&store).await, [told(3, moved, "match", 1), told(1, stays, "match", 3),]);
    let listed = store.signals_of(party(3), None, 10).await.unwrap();
    let own = listed.iter().find(|one| one.id == own).unwrap();
    assert!(own.matches.iter().all(|one| one.party != party(3)));

    assert!(store.transfer_signal(transfer(3, 4, "new"), tell()).await.unwrap());
    assert_eq!(store.signal(moved).await.unwrap().unwrap().reference, "new");
}

#[tokio::test]
async fn another_key_goes_over_all_pseudonyms_or_over_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_key(&directory.path().join("control.sqlite")).await;
    file(&store, signal(1, "a", 7)).await;
    assert!(add_key(&store).await);
    let keys = store.pseudonym_keys().await.unwrap().unwrap();
    assert_eq!((keys.count, keys.proof), (2, [2; 32]));
    // The same subject, under two keys.
    let other = NewSignal { keys: 2, ..signal(2, "a", 8) };
    file(&store, other).await;
    all_matched(&store).await;
    assert_eq!(notices(&store).await.len(), 2);

    let failing = store.add_pseudonym_key(Box::new(|_| Err("the disk is full".into()))).await;
    assert!(matches!(failing, Err(StoreError::Key { .. })), "{failing:?}");
    assert!(!store.add_pseudonym_key(Box::new(|_| Ok(None))).await.unwrap());
    assert_eq!(store.pseudonym_keys().await.unwrap(), Some(keys));
}
