//! Finding records of messages, over files, beside the one who writes, and within limits.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use uuid::Uuid;
use wissel_audit::{
    Actor, Entry, Operation, Outcome, Record, RecordLog, RecordOptions, Search, SubjectKey, verify,
};

const PARTY: &str = "00000099000000002000";
const OTHER: &str = "00000099000000003000";

fn party() -> Actor {
    Actor::Party(PARTY.parse().unwrap())
}

fn record(operation: Operation, message: Uuid) -> Record {
    Record { message_id: Some(message), ..Record::new(operation, party()) }
}

fn open(directory: &Path) -> RecordLog {
    let options = RecordOptions { file_bytes: 2_000, sync_every: Duration::from_millis(20) };
    RecordLog::open(&directory.join("records"), options).unwrap()
}

fn key(directory: &Path) -> SubjectKey {
    SubjectKey::load_or_create(&directory.join("key")).unwrap()
}

fn of(message: Uuid) -> Search {
    Search {
        messages: vec![message],
        correlations: Vec::new(),
        follow: true,
        operations: vec![Operation::Admission, Operation::Delivery, Operation::DeadLettered],
        from: SystemTime::now() - Duration::from_secs(60),
        limit: 100,
        bytes: 1 << 30,
    }
}

/// A log with this message over several files, among others.
async fn filled(message: Uuid) -> (TempDir, RecordLog) {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    log.append(vec![record(Operation::Admission, message)]).await.unwrap();
    for number in 0..40 {
        log.append(vec![record(Operation::Delivery, Uuid::now_v7())]).await.unwrap();
        if number % 10 == 9 {
            let detail = Some(format!("attempt {}", number / 10 + 1));
            let delivery = Record { detail, ..record(Operation::Delivery, message) };
            log.append(vec![delivery]).await.unwrap();
        }
    }
    (directory, log)
}

fn operations(entries: &[Entry]) -> Vec<Operation> {
    entries.iter().map(|entry| entry.operation).collect()
}

#[tokio::test]
async fn a_message_is_found_over_files_while_more_is_written() {
    let message = Uuid::now_v7();
    let (directory, log) = filled(message).await;
    let files = std::fs::read_dir(directory.path().join("records")).unwrap();
    assert!(files.count() > 5, "several files");
    let found = log.search(&of(message)).unwrap();
    assert_eq!((found.entries.len(), found.truncated), (5, false));
    assert_eq!(found.entries[0].operation, Operation::Admission);
    assert_eq!(found.entries[4].detail.as_deref(), Some("attempt 4"));
    // What is appended is found at once; a line that is being written is not there yet.
    log.append(vec![record(Operation::DeadLettered, message)]).await.unwrap();
    assert_eq!(log.search(&of(message)).unwrap().entries.len(), 6);
    log.close().await;
    let mut names: Vec<_> = std::fs::read_dir(directory.path().join("records"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|one| one == "jsonl"))
        .collect();
    names.sort();
    let last = names.last().unwrap();
    let torn = std::fs::read_to_string(last).unwrap();
    std::fs::write(last, &torn[..torn.len() - 5]).unwrap();
    assert_eq!(of(message).run(&directory.path().join("records")).unwrap().entries.len(), 5);
    assert!(of(Uuid::now_v7()).run(&directory.path().join("records")).unwrap().entries.is_empty());
}

#[tokio::test]
async fn limits_cut_off_what_is_found_and_say_so() {
    let message = Uuid::now_v7();
    let (_directory, log) = filled(message).await;
    for (limit, left, truncated) in [(2, 2, true), (4, 4, true), (5, 5, false)] {
        let found = log.search(&Search { limit, ..of(message) }).unwrap();
        assert_eq!((found.entries.len(), found.truncated), (left, truncated), "{limit}");
    }
    let found = log.search(&Search { bytes: 3_000, ..of(message) }).unwrap();
    assert!(found.truncated && found.entries.len() < 3, "{found:?}");
}

#[tokio::test]
async fn files_of_before_are_not_read() {
    let message = Uuid::now_v7();
    let (directory, log) = filled(message).await;
    let later = Search { from: SystemTime::now() + Duration::from_secs(3_600), ..of(message) };
    // Of the files only the last may hold what is to come.
    let found = log.search(&later).unwrap();
    assert!(found.entries.len() < 5, "{found:?}");
    let records = directory.path().join("records");
    log.close().await;
    // Old files may be removed.
    std::fs::remove_file(records.join("records-000001.jsonl")).unwrap();
    assert_eq!(of(message).run(&records).unwrap().entries[0].operation, Operation::Delivery);
}

#[tokio::test]
async fn what_belongs_together_is_found_by_the_hash_of_its_correlation() {
    let directory = tempfile::tempdir().unwrap();
    let (log, key) = (open(directory.path()), key(directory.path()));
    let (question, answer, other) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let hash = key.correlation("999990342");
    assert_ne!(hash, key.hash("999990342"), "a subject of the same text is another");
    let with = |message, correlation| Record {
        correlation: Some(correlation),
        ..record(Operation::Admission, message)
    };
    log.append(vec![
        with(question, hash),
        record(Operation::Delivery, question),
        with(other, key.correlation("x")),
        record(Operation::Delivery, answer),
        with(answer, hash),
        record(Operation::Delivery, answer),
        record(Operation::Retried, answer),
    ])
    .await
    .unwrap();
    let by_correlation =
        Search { messages: Vec::new(), correlations: vec![hash], follow: false, ..of(question) };
    let expected = [
        (question, Operation::Admission),
        (question, Operation::Delivery),
        (answer, Operation::Admission),
        (answer, Operation::Delivery),
    ];
    let found = log.search(&by_correlation).unwrap().entries;
    assert_eq!(
        found.iter().map(|one| (one.message_id, one.operation)).collect::<Vec<_>>(),
        expected
    );
    // By the question: its answer follows, and not when that is not wanted.
    assert_eq!(log.search(&of(question)).unwrap().entries.len(), 4);
    let alone = log.search(&Search { follow: false, ..of(question) }).unwrap();
    assert_eq!(operations(&alone.entries), [Operation::Admission, Operation::Delivery]);
    log.close().await;
    let records = directory.path().join("records");
    assert_eq!(verify(&records, |_| {}).unwrap().records, 7);
    let text = std::fs::read_to_string(records.join("records-000001.jsonl")).unwrap();
    assert!(!text.contains("999990342"));
}

#[tokio::test]
async fn an_entry_says_what_was_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (log, message) = (open(directory.path()), Uuid::now_v7());
    let inbox = format!("{PARTY}.inbox");
    let kept = Record {
        outcome: Outcome::Refused("INBOX_FULL"),
        on_behalf_of: Some(OTHER.parse().unwrap()),
        event_type: Some("nl.t.x".into()),
        inboxes: Some([inbox.parse().unwrap()].into()),
        detail: Some("\"message_id\":\"no\"".to_owned()),
        ..record(Operation::Admission, message)
    };
    let at = kept.at;
    log.append(vec![kept]).await.unwrap();
    let mut found = log.search(&of(message)).unwrap().entries;
    let entry = found.pop().unwrap();
    assert!(at.duration_since(entry.at).unwrap_or_default() < Duration::from_millis(2));
    assert_eq!(entry.refused.as_deref(), Some("INBOX_FULL"));
    assert_eq!((entry.actor, entry.on_behalf_of), (party(), Some(OTHER.parse().unwrap())));
    assert_eq!(entry.event_type.as_deref(), Some("nl.t.x"));
    assert_eq!(entry.inboxes, [inbox.parse().unwrap()]);
    assert_eq!(entry.detail.as_deref(), Some("\"message_id\":\"no\""));
}
