//! The store, over restarts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, UNIX_EPOCH};

use wissel_store::{
    Follow, InboxRecord, InboxSettings, Put, Store, StoreError, SubscriptionRecord,
};

fn record(local: &str, types: &[&str]) -> SubscriptionRecord {
    SubscriptionRecord {
        name: format!("00000001002220647000.{local}").parse().unwrap(),
        inbox: "00000001002220647000.inbox".parse().unwrap(),
        types: types.iter().map(ToString::to_string).collect(),
        filters: vec![serde_json::from_str(r#"{"exact":{"gemeente":"0344"}}"#).unwrap()],
        follows: false,
        ordered: false,
        created_at: UNIX_EPOCH + Duration::from_millis(1_800_000_000_123),
    }
}

#[tokio::test]
async fn what_was_put_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let (a, b) = (record("a", &["nl.brp.geboorte"]), record("b", &[]));
    {
        let store = Store::open(&path).unwrap();
        assert_eq!(store.put_subscription(b.clone()).await.unwrap(), Put::Created);
        assert_eq!(store.put_subscription(a.clone()).await.unwrap(), Put::Created);
        assert_eq!(store.put_subscription(a.clone()).await.unwrap(), Put::Same);
        let other = record("a", &["nl.brp.overlijden"]);
        assert_eq!(store.put_subscription(other).await.unwrap(), Put::Conflict);
    }
    let store = Store::open(&path).unwrap();
    assert_eq!(store.subscriptions().await.unwrap(), [a.clone(), b]);
    assert!(store.delete_subscription(a.name.clone()).await.unwrap());
    assert!(!store.delete_subscription(a.name).await.unwrap());
    store.add_inbox("00000001002220647000.leeg".parse().unwrap()).await.unwrap();
    store.add_inbox("00000001002220647000.leeg".parse().unwrap()).await.unwrap();
    let inboxes = store.inboxes().await.unwrap();
    let inboxes: Vec<&str> = inboxes.iter().map(|inbox| inbox.name.local()).collect();
    assert_eq!(inboxes, ["inbox", "leeg"]);
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    drop(Store::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = Store::open(&path).err().unwrap();
    assert!(matches!(refused, StoreError::LaterVersion { found: 99, .. }));
    assert_eq!(version_of(&path), 99);
}

fn version_of(path: &std::path::Path) -> i64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    version.unwrap()
}

#[tokio::test]
async fn a_file_of_no_known_version_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", -3).unwrap();
    drop(connection);
    let refused = Store::open(&path).err().unwrap();
    assert!(matches!(refused, StoreError::UnknownVersion { found: -3, .. }));
    assert!(refused.to_string().contains("has schema -3, expected 0"));
    assert_eq!(version_of(&path), -3);
}

#[tokio::test]
async fn two_stores_on_one_file_write_at_the_same_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let stores = [Store::open(&path).unwrap(), Store::open(&path).unwrap()];
    let mut writing = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = stores[number % 2].clone();
        let record = record(&format!("s{}", number / 2), &[]);
        writing.spawn(async move { store.put_subscription(record).await.unwrap() });
    }
    let put = writing.join_all().await;
    let created = put.iter().filter(|one| **one == Put::Created).count();
    let same = put.iter().filter(|one| **one == Put::Same).count();
    assert_eq!((created, same), (20, 20));
    assert_eq!(stores[0].subscriptions().await.unwrap().len(), 20);
}

/// Who waits for the database holds no thread for blocking work.
#[test]
fn waiting_callers_leave_threads_to_others() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let store = Store::open(&path).unwrap();
    let holding = rusqlite::Connection::open(&path).unwrap();
    holding.execute_batch("BEGIN IMMEDIATE").unwrap();
    runtime.block_on(async {
        let mut writing = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (store, record) = (store.clone(), record(&format!("s{number}"), &[]));
            writing.spawn(async move { store.put_subscription(record).await.unwrap() });
        }
        // All eight get to the database, and one into it, before this is asked.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let other = tokio::task::spawn_blocking(|| ());
        // They give up after 5 s.
        let other = tokio::time::timeout(Duration::from_secs(4), other).await;
        assert!(other.is_ok(), "no thread was left");
        holding.execute_batch("ROLLBACK").unwrap();
        assert_eq!(writing.join_all().await, [Put::Created; 8]);
    });
}

#[test]
fn a_record_shows_no_value_of_its_filters() {
    let mut record = record("a", &["nl.brp.geboorte"]);
    record.filters = vec![serde_json::from_str(r#"{"exact":{"subject":"999990019"}}"#).unwrap()];
    let shown = format!("{record:?}");
    assert!(shown.contains("subject"), "{shown}");
    assert!(!shown.contains("999990019"), "{shown}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_refused_without_its_values() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let store = Store::open(&path).unwrap();
    store.put_subscription(record("a", &[])).await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = r#"UPDATE subscription SET filters = '[{"exact":"999990019"}]'"#;
    connection.execute_batch(sql).unwrap();
    let refused = store.subscriptions().await.unwrap_err().to_string();
    assert!(refused.contains("column filters"), "{refused}");
    assert!(!refused.contains("999990019"), "{refused}");
}

#[tokio::test]
async fn settings_of_an_inbox_stay_and_an_older_file_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE inbox (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
             CREATE TABLE subscription (name TEXT PRIMARY KEY, inbox TEXT NOT NULL,
                 types TEXT NOT NULL, filters TEXT NOT NULL, created_at INTEGER NOT NULL)
                 STRICT, WITHOUT ROWID;
             INSERT INTO inbox VALUES ('00000001002220647000.oud');
             PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(connection);
    let name = "00000001002220647000.oud".parse().unwrap();
    let set = InboxRecord {
        name,
        settings: InboxSettings {
            max_attempts: Some(3),
            direct_amqp: true,
            paused: true,
            draining: true,
            ..InboxSettings::default()
        },
    };
    {
        let store = Store::open(&path).unwrap();
        let as_it_was = store.inboxes().await.unwrap();
        assert_eq!(as_it_was[0].settings, InboxSettings::default());
        assert!(store.set_inbox(set.clone()).await.unwrap());
        let other =
            InboxRecord { name: "00000001002220647000.geen".parse().unwrap(), ..set.clone() };
        assert!(!store.set_inbox(other).await.unwrap());
        store.add_inbox(set.name.clone()).await.unwrap();
    }
    assert_eq!(Store::open(&path).unwrap().inboxes().await.unwrap(), [set]);
}

/// Writes subscriptions without end, and says which are kept: to be killed.
#[tokio::test]
#[ignore = "run by a_store_that_is_killed_is_whole"]
async fn child_that_writes() {
    let Some(path) = std::env::var_os("WISSEL_STORE_CHILD") else { return };
    let store = Store::open(path.as_ref()).unwrap();
    for number in 0_u32.. {
        let mut kept = record(&format!("s{number}"), &["nl.brp.geboorte"]);
        kept.inbox = format!("00000001002220647000.i{number}").parse().unwrap();
        store.put_subscription(kept.clone()).await.unwrap();
        if number % 3 == 2 {
            store.delete_subscription(kept.name).await.unwrap();
        }
        use std::io::Write as _;
        let mut out = std::io::stdout();
        writeln!(out, "done {number}").and_then(|()| out.flush()).unwrap();
    }
}

#[tokio::test]
async fn a_store_that_is_killed_is_whole() {
    use std::io::BufRead as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let mut done = 0;
    for round in 1..=5_u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child_that_writes", "--nocapture"])
            .env("WISSEL_STORE_CHILD", &path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.map_while(Result::ok).filter_map(|line| {
            line.strip_prefix("done ").and_then(|number| number.parse::<u64>().ok())
        });
        // Another moment in each round.
        done = done.max(said.take(usize::try_from(round * 7).unwrap()).last().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();

        let store = Store::open(&path).unwrap();
        let subscriptions = store.subscriptions().await.unwrap();
        let inboxes = store.inboxes().await.unwrap();
        for number in 0..=done {
            let named = |local: &str| local == format!("s{number}");
            let kept = subscriptions.iter().any(|one| named(one.name.local()));
            assert_eq!(kept, number % 3 != 2, "{number} of {done}");
        }
        // Both or neither.
        for one in &subscriptions {
            assert!(inboxes.iter().any(|inbox| inbox.name == one.inbox));
        }
        let connection = rusqlite::Connection::open(&path).unwrap();
        let state: String =
            connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
        assert_eq!(state, "ok");
    }
}

#[tokio::test]
async fn what_is_followed_is_kept_with_its_subscription() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sqlite");
    let follows = SubscriptionRecord { follows: true, ..record("volgt", &[]) };
    let name = follows.name.clone();
    let (one, two, three) = ([1; 16], [2; 16], [3; 16]);
    let follow = |add: &[[u8; 16]], remove: &[[u8; 16]]| Follow {
        subscription: name.clone(),
        add: add.to_vec(),
        remove: remove.to_vec(),
        max: 2,
    };
    let secret = {
        let store = Store::open(&path).unwrap();
        assert_eq!(store.follow(follow(&[one], &[])).await.unwrap(), None, "there is none");
        store.put_subscription(follows.clone()).await.unwrap();
        let changed = store.follow(follow(&[one, two, one], &[three])).await.unwrap().unwrap();
        assert_eq!((changed.added, changed.removed, changed.total), (2, 0, 2));
        let refused = store.follow(follow(&[three], &[])).await.unwrap().unwrap();
        assert!(refused.too_many);
        let swapped = store.follow(follow(&[three], &[one])).await.unwrap().unwrap();
        assert_eq!((swapped.added, swapped.removed, swapped.total), (1, 1, 2));
        store.routing_secret().await.unwrap()
    };
    let store = Store::open(&path).unwrap();
    assert_eq!(store.routing_secret().await.unwrap(), secret);
    assert_ne!(Store::in_memory().unwrap().routing_secret().await.unwrap(), secret);
    assert_eq!(store.subscriptions().await.unwrap(), [follows]);
    assert_eq!(store.followed().await.unwrap(), [(name.clone(), two), (name.clone(), three)]);
    assert!(store.delete_subscription(name).await.unwrap());
    assert_eq!(store.followed().await.unwrap(), []);
}
