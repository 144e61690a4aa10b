//! What is remembered, for how long, and across what.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use wissel_bus::MessageId;
use wissel_identifiers::Oin;
use wissel_receipts::{Identity, ReceiptOptions, Receipts, ReceiptsError, Remembered};

const HOUR: u64 = 3_600;

/// A clock that the test sets, and a memory that goes by it.
struct Bench {
    directory: tempfile::TempDir,
    seconds: Arc<AtomicU64>,
    capacity: u64,
}

impl Bench {
    fn new(capacity: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, seconds: Arc::new(AtomicU64::new(1_790_000_000)), capacity }
    }

    fn open(&self) -> Receipts {
        self.open_in(self.directory.path()).unwrap()
    }

    fn open_in(&self, path: &Path) -> Result<Receipts, ReceiptsError> {
        let seconds = Arc::clone(&self.seconds);
        let now =
            move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::SeqCst));
        let options = ReceiptOptions {
            window: Duration::from_secs(24 * HOUR),
            capacity: self.capacity,
            clock: Arc::new(now),
        };
        Receipts::open(path, options)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A receipt of this moment.
    fn receipt(&self, inboxes: &[&str]) -> Remembered {
        let name = |local: &&str| format!("00000099000000002000.{local}").parse().unwrap();
        Remembered {
            message_id: MessageId::now(),
            admitted_at: self.now(),
            inboxes: inboxes.iter().map(name).collect(),
        }
    }

    /// Remembers messages of these numbers, in one go.
    fn remember(&self, receipts: &Receipts, numbers: std::ops::Range<u64>) -> Remembered {
        let remembered = self.receipt(&["a", "b"]);
        for number in numbers {
            // A busy machine writes more slowly than this.
            if !receipts.remember(identity(receipts, number), remembered.clone()) {
                receipts.settle();
                assert!(receipts.remember(identity(receipts, number), remembered.clone()));
            }
        }
        receipts.settle();
        remembered
    }

    fn slices(&self) -> usize {
        let keyspaces = fs::read_dir(self.directory.path().join("entries/keyspaces")).unwrap();
        // One is the engine's own, one has what is young of all.
        keyspaces.count() - 2
    }
}

fn identity(receipts: &Receipts, number: u64) -> Identity {
    let publisher: Oin = "00000099000000001000".parse().unwrap();
    receipts.identity_key().hash(&publisher, "urn:a", &number.to_string())
}

fn known(receipts: &Receipts, numbers: std::ops::Range<u64>) -> usize {
    numbers.filter(|number| receipts.find(identity(receipts, *number)).is_some()).count()
}

/// Until it is so, which is to be soon.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_receipt_comes_back_whole_and_so_it_does_after_a_restart() {
    let bench = Bench::new(1_000);
    let receipts = bench.open();
    let (one, other) = (bench.receipt(&["b", "a", "c"]), bench.receipt(&[]));
    assert!(receipts.remember(identity(&receipts, 1), one.clone()));
    assert!(receipts.remember(identity(&receipts, 2), other.clone()));
    receipts.settle();
    for _ in 0..3 {
        assert!(receipts.close(Duration::from_secs(10)));
        assert_eq!(receipts.find(identity(&receipts, 1)), None);
        assert!(!receipts.remember(identity(&receipts, 3), one.clone()));
        let again = bench.open();
        assert_eq!(again.find(identity(&again, 1)), Some(one.clone()));
        assert_eq!(again.find(identity(&again, 2)), Some(other.clone()));
        assert_eq!(again.find(identity(&again, 3)), None);
        // The numbers of inboxes go on where they were.
        let third = bench.receipt(&["d", "a"]);
        assert!(again.remember(identity(&again, 4), third.clone()));
        again.settle();
        assert_eq!(again.find(identity(&again, 4)), Some(third));
        assert_eq!(again.find(identity(&again, 1)), Some(one.clone()));
    }
    // A restart begins no other slice.
    assert_eq!(bench.slices(), 1);
}

#[test]
fn what_waits_is_written_when_it_is_closed() {
    let bench = Bench::new(100_000);
    let receipts = bench.open();
    let remembered = bench.receipt(&["a"]);
    for number in 0..5_000 {
        assert!(receipts.remember(identity(&receipts, number), remembered.clone()));
    }
    assert!(receipts.close(Duration::from_secs(10)));
    let receipts = bench.open();
    assert_eq!(known(&receipts, 0..5_000), 5_000);
    assert_eq!(known(&receipts, 5_000..20_000), 0);
}

#[test]
fn publishers_do_not_know_each_others_messages() {
    let bench = Bench::new(1_000);
    let receipts = bench.open();
    let (one, other): (Oin, Oin) =
        ("00000099000000001000".parse().unwrap(), "00000099000000002000".parse().unwrap());
    let key = receipts.identity_key();
    receipts.remember(key.hash(&one, "urn:a", "1"), bench.receipt(&["a"]));
    receipts.settle();
    assert!(receipts.find(key.hash(&one, "urn:a", "1")).is_some());
    assert!(receipts.find(key.hash(&other, "urn:a", "1")).is_none());
    assert!(receipts.find(key.hash(&one, "urn:b", "1")).is_none());
    let elsewhere = Bench::new(1_000);
    let secret_of_another = elsewhere.open();
    assert!(receipts.find(secret_of_another.identity_key().hash(&one, "urn:a", "1")).is_none());
}

#[test]
fn nothing_is_known_longer_than_the_window_or_kept_much_longer() {
    let bench = Bench::new(100_000);
    let receipts = bench.open();
    for round in 0..20 {
        bench.remember(&receipts, round * 10..round * 10 + 10);
        bench.pass(3 * HOUR);
        // 24 hours hold eight rounds; the ninth is exactly so old.
        let first = (round + 1).saturating_sub(8);
        assert_eq!(known(&receipts, 0..first * 10), 0, "round {round}");
        assert_eq!(known(&receipts, first * 10..round * 10 + 10) as u64, (round + 1 - first) * 10);
    }
    // A slice begins with the first receipt 4 hours later, so every 6 hours.
    wait_until("slices are dropped", || bench.slices() <= 7);
    bench.pass(25 * HOUR);
    assert_eq!(known(&receipts, 0..200), 0);
    wait_until("all but the youngest slice is dropped", || bench.slices() <= 2);
    drop(receipts);
    let receipts = bench.open();
    bench.remember(&receipts, 0..1);
    assert_eq!(known(&receipts, 0..200), 1);
}

#[test]
fn the_oldest_are_forgotten_when_there_are_too_many() {
    let bench = Bench::new(6_000);
    let receipts = bench.open();
    for round in 0..30 {
        let end = round * 500 + 500;
        bench.remember(&receipts, end - 500..end);
        let held = known(&receipts, 0..end) as u64;
        assert!(held <= 6_000, "{held} are held in round {round}");
        assert!(held >= end.min(4_800), "{held} are held in round {round}");
        // Those that are held are the youngest.
        assert_eq!(known(&receipts, end - held..end) as u64, held);
    }
    drop(receipts);
    let receipts = bench.open();
    assert_eq!(known(&receipts, 15_000 - 4_800..15_000), 4_800);
    assert_eq!(known(&receipts, 0..9_000), 0);
}

#[test]
fn many_inboxes_take_more_of_the_capacity() {
    let bench = Bench::new(12_000);
    let receipts = bench.open();
    let names: Vec<String> = (0..160).map(|number| format!("i{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let remembered = bench.receipt(&names);
    for number in 0..3_000 {
        // A busy machine writes more slowly than this.
        if !receipts.remember(identity(&receipts, number), remembered.clone()) {
            receipts.settle();
            assert!(receipts.remember(identity(&receipts, number), remembered.clone()));
        }
    }
    receipts.settle();
    let held = known(&receipts, 0..3_000);
    assert!(held <= 12_000 / 11, "{held}");
    assert_eq!(receipts.find(identity(&receipts, 2_999)), Some(remembered));
}

#[test]
fn a_copy_made_while_it_runs_knows_what_was_settled() {
    let bench = Bench::new(300_000);
    let receipts = bench.open();
    let remembered = bench.remember(&receipts, 0..20_000);
    // As a crash leaves it: nothing was closed.
    let crashed = tempfile::tempdir().unwrap();
    copy(bench.directory.path(), crashed.path());
    bench.remember(&receipts, 20_000..21_000);

    let again = bench.open_in(crashed.path()).unwrap();
    assert_eq!(known(&again, 0..20_000), 20_000);
    assert_eq!(again.find(identity(&again, 7)), Some(remembered));
    assert_eq!(known(&again, 20_000..40_000), 0);
}

#[test]
fn receipts_are_known_before_and_after_they_are_put_in_tables() {
    const MANY: u64 = 150_000;
    let bench = Bench::new(6_000_000);
    let receipts = bench.open();
    let remembered = bench.remember(&receipts, 0..MANY);
    for number in [0, 65_535, 65_536, 131_071, 131_072, MANY - 1] {
        let found = receipts.find(identity(&receipts, number));
        assert_eq!(found.as_ref(), Some(&remembered), "{number}");
    }
    assert_eq!(known(&receipts, 0..MANY) as u64, MANY);
    assert_eq!(known(&receipts, MANY..2 * MANY), 0);
    drop(receipts);
    let receipts = bench.open();
    assert_eq!(known(&receipts, 0..MANY) as u64, MANY);
    bench.remember(&receipts, MANY..MANY + 60_000);
    assert_eq!(known(&receipts, 0..2 * MANY) as u64, MANY + 60_000);
}

#[test]
fn a_torn_end_of_the_journal_loses_the_end_only() {
    let bench = Bench::new(300_000);
    let receipts = bench.open();
    bench.remember(&receipts, 0..1_000);
    let crashed = tempfile::tempdir().unwrap();
    copy(bench.directory.path(), crashed.path());
    drop(receipts);
    let journals = fs::read_dir(crashed.path().join("entries")).unwrap();
    let journals = journals.map(|entry| entry.unwrap().path());
    let journal = journals.filter(|path| path.extension().is_some_and(|one| one == "jnl"));
    let journal = journal.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let written = fs::read(&journal).unwrap();
    let end = written.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&journal, &written[..end / 2]).unwrap();

    let again = bench.open_in(crashed.path()).unwrap();
    assert!(known(&again, 0..1_000) < 1_000);
    bench.remember(&again, 0..1_000);
    assert_eq!(known(&again, 0..1_000), 1_000);
}

#[test]
fn a_clock_that_jumps_makes_nothing_stay_forever() {
    let bench = Bench::new(100_000);
    let receipts = bench.open();
    bench.remember(&receipts, 0..10);
    bench.pass(1_000 * 24 * HOUR);
    bench.remember(&receipts, 10..20);
    bench.seconds.fetch_sub(1_000 * 24 * HOUR, Ordering::SeqCst);
    bench.remember(&receipts, 20..30);
    assert_eq!(known(&receipts, 20..30), 10);
    bench.pass(25 * HOUR);
    bench.remember(&receipts, 30..40);
    assert_eq!(known(&receipts, 0..40), 10);
    wait_until("slices of another time are dropped", || bench.slices() <= 2);
}

#[test]
fn a_directory_that_is_used_or_damaged_is_told_of() {
    let bench = Bench::new(1_000);
    let receipts = bench.open();
    bench.remember(&receipts, 0..10);
    let error = bench.open_in(bench.directory.path()).unwrap_err();
    assert!(matches!(error, ReceiptsError::InUse { .. }), "{error}");
    drop(receipts);

    let secret = bench.directory.path().join("secret");
    let kept = fs::read(&secret).unwrap();
    fs::write(&secret, "nonsense").unwrap();
    let error = bench.open_in(bench.directory.path()).unwrap_err();
    assert!(matches!(error, ReceiptsError::Secret { .. }), "{error}");
    fs::remove_file(&secret).unwrap();
    let error = bench.open_in(bench.directory.path()).unwrap_err();
    assert!(error.to_string().contains("when the directory is removed"), "{error}");
    fs::write(&secret, kept).unwrap();
    assert_eq!(known(&bench.open(), 0..10), 10);

    for entry in fs::read_dir(bench.directory.path().join("entries")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::write(path, "nonsense").unwrap();
        }
    }
    let error = bench.open_in(bench.directory.path()).unwrap_err();
    assert!(matches!(error, ReceiptsError::Open { .. }), "{error}");
    assert!(error.to_string().contains("when the directory is removed"), "{error}");
}

/// Nothing of a message is on disk but its receipt.
#[test]
fn neither_source_nor_id_nor_publisher_is_on_disk() {
    let bench = Bench::new(1_000);
    let receipts = bench.open();
    let publisher: Oin = "00000099000000001000".parse().unwrap();
    let identity =
        receipts.identity_key().hash(&publisher, "urn:nld:bron:geheim", "bericht-999990019");
    receipts.remember(identity, bench.receipt(&["postbus"]));
    drop(receipts);
    let mut all = Vec::new();
    let mut directories = vec![bench.directory.path().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { all.extend(fs::read(path).unwrap()) }
        }
    }
    let holds = |text: &str| all.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("00000099000000002000.postbus"));
    for text in ["geheim", "999990019", "bericht", publisher.as_str()] {
        assert!(!holds(text), "{text}");
    }
}

/// The directory is gone, as when a disk is: the engine finds that out when it makes a file.
#[test]
fn storage_that_fails_holds_nobody_up_and_is_used_again_when_it_works() {
    let bench = Bench::new(6_000_000);
    let receipts = bench.open();
    bench.remember(&receipts, 0..10);
    fs::remove_dir_all(bench.directory.path().join("entries")).unwrap();
    let begun = Instant::now();
    let mut number = 10;
    while known(&receipts, 0..10) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the engine does not fail");
        bench.remember(&receipts, number..number + 10_000);
        number += 10_000;
    }
    // What comes now waits, and more than that is not remembered: nobody is held up.
    let (begun, remembered) = (Instant::now(), bench.receipt(&["a"]));
    let first = number;
    while receipts.remember(identity(&receipts, number), remembered.clone()) {
        number += 1;
        assert!(number - first < 100_000, "what waits has no bound");
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(known(&receipts, first..first + 10), 0);
    wait_until("it is opened again", || known(&receipts, first..first + 10) == 10);
    receipts.settle();
    assert_eq!(known(&receipts, first..number) as u64, number - first);
    assert_eq!(receipts.find(identity(&receipts, first)), Some(remembered));
}
