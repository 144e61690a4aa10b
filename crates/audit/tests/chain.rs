//! What a chain of records proves against who can write its files, and while it is written.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use wissel_audit::{
    Actor, AuditError, Operation, Record, RecordHash, RecordLog, RecordOptions, Verification,
    Verified, VerifyError, verify,
};

const PARTY: &str = "00000099000000002000";

fn options() -> RecordOptions {
    RecordOptions { file_bytes: 4_000, sync_every: Duration::from_millis(20) }
}

fn records(count: usize) -> Vec<Record> {
    let one = Record::new(Operation::Delivery, Actor::Party(PARTY.parse().unwrap()));
    vec![one; count]
}

/// A log of so many records, closed.
async fn filled(count: usize) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    append(directory.path(), count).await;
    directory
}

async fn append(directory: &Path, count: usize) {
    let log = RecordLog::open(directory, options()).unwrap();
    for record in records(count) {
        log.append(vec![record]).await.unwrap();
    }
    log.close().await;
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    files
}

fn fault(directory: &Path) -> String {
    let error = verify(directory, |_| {}).unwrap_err();
    assert!(matches!(error, VerifyError::Broken { .. }), "{error}");
    error.to_string()
}

/// Nor does a gateway go on with it.
fn assert_not_opened(directory: &Path) {
    let opened = RecordLog::open(directory, options()).unwrap_err();
    assert!(matches!(opened, AuditError::Tampered { .. }), "{opened}");
}

fn head(hash: &str) -> RecordHash {
    hash.parse().unwrap()
}

/// What somebody does who knows how: names another party in one record, and makes every
/// hash from there on anew. Gives the hash of the last.
fn rewrite(directory: &Path, record: usize) -> String {
    let mut before: Option<(String, String)> = None;
    let mut seen = 0;
    for file in files(directory) {
        let mut text = String::new();
        for line in fs::read_to_string(&file).unwrap().lines() {
            seen += 1;
            let (body, rest) = line.split_once(",\"hash\":\"").unwrap();
            let old = rest.trim_end_matches("\"}").to_owned();
            let mut body = format!("{body}}}");
            if let Some((old, new)) = &before {
                body = body.replace(old, new);
            }
            if seen == record {
                body = body.replace(PARTY, "00000099000000003000");
            }
            let new = hex::encode(Sha256::digest(&body));
            text += &format!("{},\"hash\":\"{new}\"}}\n", body.trim_end_matches('}'));
            before = Some((old, new));
        }
        fs::write(file, text).unwrap();
    }
    before.unwrap().1
}

#[tokio::test]
async fn a_chain_that_was_made_anew_is_another_than_its_head() {
    for record in [1, 17, 40] {
        let directory = filled(40).await;
        rewrite(directory.path(), record);
        let found = fault(directory.path());
        assert!(found.contains("record 40 is another than the one of head.json"), "{found}");
        assert_not_opened(directory.path());
    }
}

#[tokio::test]
async fn a_chain_that_was_made_anew_with_its_head_is_found_by_a_head_that_was_noted() {
    let directory = filled(20).await;
    let noted = verify(directory.path(), |_| {}).unwrap();
    assert_eq!(noted.head_record, 20);
    append(directory.path(), 20).await;
    let asked = Verification::default().head(head(&noted.head.to_uppercase()));
    asked.run(directory.path(), |_| {}).unwrap();

    let hash = rewrite(directory.path(), 3);
    let text = format!("{{\"seq\":40,\"hash\":\"{hash}\"}}");
    fs::write(directory.path().join("head.json"), text).unwrap();
    assert_eq!(verify(directory.path(), |_| {}).unwrap().head, hash);
    let found = asked.run(directory.path(), |_| {}).unwrap_err();
    assert!(matches!(found, VerifyError::Broken { .. }));
    assert!(found.to_string().contains(&noted.head), "{found}");
}

#[tokio::test]
async fn a_head_that_is_gone_hides_no_end_that_was_cut_off() {
    type Cut = fn(&Path);
    let cuts: [(&str, Cut); 4] = [
        ("nothing", |_| {}),
        ("a line", |file| {
            let text = fs::read_to_string(file).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            fs::write(file, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
        }),
        ("all lines", |file| fs::write(file, "").unwrap()),
        ("the file", |file| fs::remove_file(file).unwrap()),
    ];
    for (what, cut) in cuts {
        let directory = filled(40).await;
        cut(files(directory.path()).last().unwrap());
        fs::remove_file(directory.path().join("head.json")).unwrap();
        let found = fault(directory.path());
        assert!(found.contains("head.json is missing"), "{what}: {found}");
        assert_not_opened(directory.path());
    }
}

#[tokio::test]
async fn files_that_are_all_gone_or_empty_are_found_by_the_head() {
    let directory = filled(5).await;
    let file = &files(directory.path())[0];
    fs::write(file, "").unwrap();
    assert!(fault(directory.path()).contains("ends at record 0, and there were 5"));
    assert_not_opened(directory.path());
    fs::remove_file(file).unwrap();
    assert!(fault(directory.path()).contains("ends at record 0, and there were 5"));
    assert_not_opened(directory.path());
}

#[test]
fn where_there_are_no_records_nothing_is_said_to_be_broken() {
    let empty = tempfile::tempdir().unwrap();
    for path in [empty.path(), Path::new("/nonexistent")] {
        let error = verify(path, |_| {}).unwrap_err();
        assert!(matches!(error, VerifyError::Unreadable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_log_without_a_record_is_whole_from_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let log = RecordLog::open(directory.path(), options()).unwrap();
    assert_eq!(verify(directory.path(), |_| {}).unwrap().records, 0);
    log.close().await;
    append(directory.path(), 1).await;
    assert_eq!(verify(directory.path(), |_| {}).unwrap().records, 1);
}

#[tokio::test]
async fn what_a_killed_process_wrote_after_its_head_is_kept_and_checked() {
    let directory = filled(5).await;
    let head_file = directory.path().join("head.json");
    let earlier = fs::read(&head_file).unwrap();
    append(directory.path(), 3).await;
    let later = fs::read(&head_file).unwrap();
    // As if it was killed before it had synced.
    fs::write(&head_file, &earlier).unwrap();
    assert_eq!(verify(directory.path(), |_| {}).unwrap().records, 8);
    append(directory.path(), 0).await;
    assert_eq!(fs::read(&head_file).unwrap(), later);

    fs::write(&head_file, &earlier).unwrap();
    rewrite(directory.path(), 4);
    assert!(fault(directory.path()).contains("record 5 is another"));
    assert_not_opened(directory.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_that_is_written_to_is_whole_at_every_moment() {
    let directory = tempfile::tempdir().unwrap();
    let options = RecordOptions { file_bytes: 400_000, sync_every: Duration::from_millis(1) };
    let log = RecordLog::open(directory.path(), options).unwrap();
    // So many that to read them takes longer than to write and sync more.
    log.append(records(3_000)).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (log, stop) = (log.clone(), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                log.append(records(5)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    let path = directory.path().to_owned();
    let verified: Vec<Verified> = tokio::task::spawn_blocking(move || {
        (0..6).map(|_| verify(&path, |_| {}).unwrap()).collect()
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    log.close().await;
    assert!(verified.is_sorted_by_key(|one| one.records));
    // Each head that it told can be noted.
    let heads = verified.iter().filter(|one| one.head_record > 0);
    let asked = heads.fold(Verification::default(), |asked, one| asked.head(head(&one.head)));
    asked.run(directory.path(), |_| {}).unwrap();
}

#[tokio::test]
async fn a_line_that_is_being_written_is_no_fault_as_long_as_somebody_writes() {
    let directory = filled(3).await;
    let log = RecordLog::open(directory.path(), options()).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&files(directory.path())[0]).unwrap();
    file.write_all(b"{\"seq\":4,\"prev\":\"half a li").unwrap();
    assert_eq!(verify(directory.path(), |_| {}).unwrap().records, 3);
    log.close().await;
    assert!(fault(directory.path()).contains("a torn record"));
}

#[tokio::test]
async fn records_begin_at_a_later_file_when_that_is_asked() {
    let directory = filled(60).await;
    let whole = verify(directory.path(), |_| {}).unwrap();
    assert_eq!(whole.after, None);
    let all = files(directory.path());
    let last_of_first = fs::read_to_string(&all[0]).unwrap().lines().last().unwrap().to_owned();
    let (_, hash) = last_of_first.split_once(",\"hash\":\"").unwrap();
    let noted = head(hash.trim_end_matches("\"}"));
    let removed = fs::read_to_string(&all[0]).unwrap().lines().count() as u64;
    fs::remove_file(&all[0]).unwrap();
    assert!(fault(directory.path()).contains("records-000001.jsonl is missing"));

    let asked = Verification::default().from_first();
    let left = asked.run(directory.path(), |_| {}).unwrap();
    let after = left.after.unwrap();
    assert_eq!((after.record, after.hash.as_str()), (removed, noted.as_str()));
    assert_eq!((left.records, left.head_record), (60 - removed, 60));
    assert_eq!(left.head, whole.head);
    // A head that was noted of what is removed still counts.
    asked.clone().head(noted).run(directory.path(), |_| {}).unwrap();
    let other = asked.clone().head(head(&"0".repeat(64))).run(directory.path(), |_| {});
    assert!(other.unwrap_err().to_string().contains("no record has the hash"));
    // The log goes on, and what is left is held together as before.
    append(directory.path(), 5).await;
    assert_eq!(asked.run(directory.path(), |_| {}).unwrap().head_record, 65);
    let lines = fs::read_to_string(&all[1]).unwrap();
    fs::write(&all[1], lines.lines().skip(1).fold(String::new(), |all, one| all + one + "\n"))
        .unwrap();
    let cut = asked.clone().head(head(&after.hash)).run(directory.path(), |_| {});
    assert!(cut.unwrap_err().to_string().contains("no record has the hash"));
}

#[test]
fn a_hash_is_64_hexadecimal_digits() {
    for text in ["", "abc", &"g".repeat(64), &"0".repeat(65)] {
        assert!(text.parse::<RecordHash>().is_err(), "{text}");
    }
}
