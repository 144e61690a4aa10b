//! Reports in the store: which are of the same, under every key, and until they are closed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;
use wissel_store::{
    CaseChange, CaseFile, CaseStatus, MakeKey, NewKey, NewReport, Opened, Pseudonym, Store,
};

fn case(id: u128) -> CaseFile {
    CaseFile {
        id: Uuid::from_u128(id),
        event_type: "nl.bag.melding".to_owned(),
        sender: "00000099000000001000".parse().unwrap(),
        holder: "00000099000000002000".parse().unwrap(),
        opened_at: UNIX_EPOCH + Duration::from_secs(1),
        ends_at: None,
        suspended_at: None,
        closed: false,
        statuses: Vec::new(),
    }
}

fn new(id: u128, datum: u8, keys: u32) -> NewReport {
    NewReport { case: case(id), due: Vec::new(), datum: [datum; 32], keys }
}

fn ended(id: u128, correction: Uuid) -> CaseChange {
    let status = CaseStatus {
        status: "CORRECTED".to_owned(),
        party: "00000099000000002000".parse().unwrap(),
        at: SystemTime::now(),
        event_id: format!("{id}"),
        correction: Some(correction),
    };
    let recipient = "00000099000000001000".parse().unwrap();
    CaseChange {
        case: CaseFile { closed: true, ..case(id) },
        status: Some(status),
        due: Some(Vec::new()),
        done: None,
        messages: vec![(recipient, b"event".to_vec())],
    }
}

/// A key that adds one to every byte.
async fn add_key(store: &Store) {
    let make: MakeKey = Box::new(|_| {
        let wrap = |datum: &Pseudonym| datum.map(|byte| byte.wrapping_add(1));
        Ok(Some(NewKey { wrap: Box::new(wrap), proof: [0; 32] }))
    });
    assert!(store.add_pseudonym_key(make).await.unwrap());
}

async fn of_same(store: &Store, id: u128) -> Vec<u128> {
    let found = store.reports_of_same(Uuid::from_u128(id)).await.unwrap();
    found.iter().map(|case| case.id.as_u128()).collect()
}

#[tokio::test]
async fn those_of_the_same_are_found_under_every_key_until_they_are_closed() {
    let store = Store::in_memory().unwrap();
    // Without keys no pseudonym can be right.
    assert_eq!(store.open_report(new(1, 7, 1)).await.unwrap(), Opened::OtherKeys);
    assert_eq!(store.case(Uuid::from_u128(1)).await.unwrap(), None);
    add_key(&store).await;
    assert_eq!(store.open_report(new(1, 7, 1)).await.unwrap(), Opened::New);
    assert_eq!(store.open_report(new(1, 7, 1)).await.unwrap(), Opened::Same);
    assert_eq!(store.open_report(new(2, 9, 1)).await.unwrap(), Opened::New);
    add_key(&store).await;
    assert_eq!(store.open_report(new(3, 8, 1)).await.unwrap(), Opened::OtherKeys);
    assert_eq!(store.open_report(new(3, 8, 2)).await.unwrap(), Opened::New);
    assert_eq!(store.open_report(new(4, 8, 2)).await.unwrap(), Opened::New);
    assert!(store.open_case(case(5), Vec::new()).await.unwrap());
    assert_eq!(of_same(&store, 1).await, [3, 4]);
    assert_eq!(of_same(&store, 4).await, [1, 3]);
    assert!(of_same(&store, 2).await.is_empty() && of_same(&store, 5).await.is_empty());

    let correction = Uuid::from_u128(99);
    store.change_cases(vec![ended(1, correction), ended(3, correction)]).await.unwrap();
    assert!(of_same(&store, 4).await.is_empty() && of_same(&store, 1).await.is_empty());
    let case = store.case(Uuid::from_u128(3)).await.unwrap().unwrap();
    assert!(case.closed && case.statuses[0].correction == Some(correction));
    assert_eq!(store.outgoing(SystemTime::now(), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn of_several_changes_all_are_made_or_none() {
    let store = Store::in_memory().unwrap();
    add_key(&store).await;
    store.open_report(new(1, 7, 1)).await.unwrap();
    let correction = Uuid::from_u128(99);
    // There is no case for the second, of which a status would be.
    let changes = vec![ended(1, correction), ended(2, correction)];
    assert!(store.change_cases(changes).await.is_err());
    let case = store.case(Uuid::from_u128(1)).await.unwrap().unwrap();
    assert!(!case.closed && case.statuses.is_empty());
    assert!(store.outgoing(SystemTime::now(), 10).await.unwrap().is_empty());
}
