//! Records that are kept, and what is found when somebody touches them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use wissel_audit::{
    Actor, AuditError, Look, Looked, Operation, Outcome, Record, RecordLog, RecordOptions,
    SubjectKey, verify,
};

const PARTY: &str = "00000099000000002000";

fn record(key: &SubjectKey, number: usize) -> Record {
    Record {
        event_type: Some("nl.brp.geboorte".into()),
        purpose: Some("To care for newborns".into()),
        legal_basis: Some("Wet BRP, artikel 3.9".into()),
        subject: Some(key.hash("999990019")),
        trace_id: Some([7; 16]),
        detail: Some(format!("number {number}")),
        ..Record::new(Operation::Delivery, Actor::Party(PARTY.parse().unwrap()))
    }
}

fn options() -> RecordOptions {
    RecordOptions { file_bytes: 4_000, sync_every: Duration::from_millis(20) }
}

/// A log of so many records, closed.
async fn filled(count: usize) -> (TempDir, SubjectKey) {
    let directory = tempfile::tempdir().unwrap();
    let key = SubjectKey::load_or_create(&directory.path().join("key")).unwrap();
    append(directory.path(), &key, 0..count).await;
    (directory, key)
}

async fn append(directory: &Path, key: &SubjectKey, numbers: std::ops::Range<usize>) {
    let log = RecordLog::open(directory, options()).unwrap();
    for number in numbers {
        log.append(vec![record(key, number)]).await.unwrap();
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
    verify(directory, |_| {}).unwrap_err().to_string()
}

#[tokio::test]
async fn a_chain_goes_on_over_files_and_restarts() {
    let (directory, key) = filled(40).await;
    append(directory.path(), &key, 40..60).await;
    let verified = verify(directory.path(), |_| {}).unwrap();
    assert_eq!(verified.records, 60);
    assert!(verified.files > 3);
    assert!(verified.first <= verified.last);
    let all: String =
        files(directory.path()).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(!all.contains("999990019"));
    assert_eq!(all.matches(&key.hash("999990019").to_string()).count(), 60);
    for (number, line) in all.lines().enumerate() {
        assert!(line.contains(&format!("\"number {number}\"")), "{line}");
    }
}

#[tokio::test]
async fn whatever_is_done_to_the_lines_is_found_with_file_and_line() {
    type Change = fn(Vec<String>) -> Vec<String>;
    let changes: [(&str, Change, &str); 5] = [
        (
            "changed",
            |lines| edit(lines, |line| line.replace("newborns", "newborn5")),
            "was changed",
        ),
        (
            "taken out",
            |mut lines| {
                lines.remove(2);
                lines
            },
            ":3: record 4, expected 3",
        ),
        (
            "swapped",
            |mut lines| {
                lines.swap(2, 3);
                lines
            },
            ":3: record 4, expected 3",
        ),
        (
            "put in",
            |mut lines| {
                lines.insert(2, lines[1].clone());
                lines
            },
            ":3: record 2, expected 3",
        ),
        (
            "made up",
            |mut lines| {
                lines.insert(2, "{}".to_owned());
                lines
            },
            ":3: not a record",
        ),
    ];
    for (what, change, expected) in changes {
        let (directory, _) = filled(30).await;
        let first = &files(directory.path())[0];
        let lines = fs::read_to_string(first).unwrap().lines().map(str::to_owned).collect();
        fs::write(first, change(lines).join("\n") + "\n").unwrap();
        let found = fault(directory.path());
        assert!(
            found.contains(expected) && found.contains("records-000001.jsonl:3"),
            "{what}: {found}"
        );
    }
}

fn edit(mut lines: Vec<String>, change: fn(&str) -> String) -> Vec<String> {
    lines[2] = change(&lines[2]);
    lines
}

#[tokio::test]
async fn a_file_that_is_gone_and_an_end_that_is_cut_off_are_found() {
    let (directory, _) = filled(40).await;
    let all = files(directory.path());
    let kept = fs::read(&all[1]).unwrap();
    fs::remove_file(&all[1]).unwrap();
    assert!(fault(directory.path()).contains("records-000002.jsonl is missing"));
    fs::write(&all[1], kept).unwrap();
    fs::remove_file(all.last().unwrap()).unwrap();
    assert!(fault(directory.path()).contains("and there were 40"));
    let opened = RecordLog::open(directory.path(), options()).unwrap_err();
    assert!(matches!(opened, AuditError::Tampered { .. }), "{opened}");
}

#[tokio::test]
async fn a_torn_line_is_put_aside_and_the_chain_goes_on() {
    let (directory, key) = filled(5).await;
    let first = files(directory.path()).pop().unwrap();
    let mut text = fs::read(&first).unwrap();
    text.extend_from_slice(b"{\"seq\":6,\"prev\":\"half a li");
    fs::write(&first, text).unwrap();
    assert!(fault(directory.path()).contains("a torn record"));
    append(directory.path(), &key, 5..9).await;
    assert_eq!(verify(directory.path(), |_| {}).unwrap().records, 9);
    let aside = fs::read_to_string(first.with_extension("torn")).unwrap();
    assert!(aside.ends_with("half a li"));
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let (directory, _) = filled(1).await;
    let log = RecordLog::open(directory.path(), options()).unwrap();
    let second = RecordLog::open(directory.path(), options()).unwrap_err();
    assert!(matches!(second, AuditError::InUse { .. }));
    log.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_keep_their_own_order() {
    let directory = tempfile::tempdir().unwrap();
    let log = RecordLog::open(directory.path(), RecordOptions::default()).unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                for number in 0..200 {
                    let mut record = Record::new(Operation::Admission, Actor::Wissel);
                    record.detail = Some(format!("{task} {number:03}"));
                    record.outcome = Outcome::Refused("NOT_GRANTED");
                    log.append(vec![record]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    log.close().await;
    assert_eq!(verify(directory.path(), |_| {}).unwrap().records, 1_600);
    let text = fs::read_to_string(&files(directory.path())[0]).unwrap();
    for task in 0..8 {
        let needle = format!("\"detail\":\"{task} ");
        let of_task: Vec<&str> = text.lines().filter(|line| line.contains(&needle)).collect();
        let numbers: Vec<&str> =
            of_task.iter().map(|line| line.split(&needle).nth(1).unwrap()).collect();
        assert!(numbers.len() == 200 && numbers.is_sorted());
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_told_and_tried_again() {
    let (directory, key) = filled(3).await;
    let log = RecordLog::open(directory.path(), options()).unwrap();
    // No file can be made in place of a directory: the next rotation fails.
    let next = directory.path().join("records-000002.jsonl");
    fs::create_dir(&next).unwrap();
    let mut refused = 0;
    for number in 0..40 {
        if log.append(vec![record(&key, number)]).await.is_err() {
            refused += 1;
            assert!(!log.is_healthy());
        }
    }
    assert!(refused > 0);
    fs::remove_dir(&next).unwrap();
    log.append(vec![record(&key, 99)]).await.unwrap();
    assert!(log.is_healthy());
    log.close().await;
    assert_eq!(verify(directory.path(), |_| {}).unwrap().records, 3 + 40 - refused + 1);
}

#[test]
fn a_key_is_made_once_and_kept_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let first = SubjectKey::load_or_create(&path).unwrap().hash("999990019");
    assert_eq!(SubjectKey::load_or_create(&path).unwrap().hash("999990019"), first);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&path, "short").unwrap();
    assert!(matches!(SubjectKey::load_or_create(&path), Err(AuditError::Key { found: 5, .. })));
    let other = SubjectKey::load_or_create(&directory.path().join("other")).unwrap();
    assert_ne!(other.hash("999990019"), first);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn any_change_of_a_byte_is_found(place in 0..10_000_usize, to in any::<u8>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (directory, _) = runtime.block_on(filled(12));
        let mut all = files(directory.path());
        all.push(directory.path().join("head.json"));
        let file = &all[place % all.len()];
        let mut bytes = fs::read(file).unwrap();
        let place = place % bytes.len();
        prop_assume!(bytes[place] != to);
        bytes[place] = to;
        fs::write(file, bytes).unwrap();
        let verified = verify(directory.path(), |_| {});
        prop_assert!(verified.is_err());
    }
}

#[tokio::test]
async fn an_act_is_seen_however_many_messages_passed_since() {
    let directory = tempfile::tempdir().unwrap();
    let options = || RecordOptions { file_bytes: 20_000, ..RecordOptions::default() };
    let log = RecordLog::open(directory.path(), options()).unwrap();
    let act = |detail: &str| Record {
        detail: Some(detail.to_owned()),
        ..Record::new(Operation::OperatorActed, Actor::Operator(None))
    };
    let traffic = || Record::new(Operation::Admission, Actor::Wissel);
    log.append(vec![act("first")]).await.unwrap();
    for _ in 0..500 {
        log.append(vec![traffic(), traffic()]).await.unwrap();
    }
    log.append(vec![act("second"), traffic()]).await.unwrap();
    let look = Look { limit: 10, bytes: Some(1), ..Look::default() };
    let details = |looked: &Looked| -> Vec<String> {
        looked.lines.iter().filter_map(|line| line.detail.clone()).collect()
    };
    let looked = log.look(&look).unwrap();
    assert_eq!(
        (details(&looked), looked.further),
        (["second", "first"].map(String::from).into(), None)
    );
    let one = log.look(&Look { limit: 1, ..look.clone() }).unwrap();
    assert_eq!((details(&one), one.further), (vec!["second".to_owned()], Some(one.lines[0].seq)));
    let next = log.look(&Look { before: one.further, limit: 1, ..look.clone() }).unwrap();
    assert_eq!(details(&next), ["first"]);
    log.close().await;

    // Another process reads them from the files, a little at a time, and says how far it came.
    let log = RecordLog::open(directory.path(), options()).unwrap();
    log.append(vec![act("third")]).await.unwrap();
    let (mut found, mut before, mut looks) = (Vec::new(), None, 0);
    loop {
        let looked = log.look(&Look { before, ..look.clone() }).unwrap();
        found.extend(details(&looked));
        looks += 1;
        before = looked.further;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, ["third", "second", "first"]);
    assert!(looks > 3, "{looks}");
    log.close().await;
}
