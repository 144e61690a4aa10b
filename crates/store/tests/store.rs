//! The store, over restarts.

use std::time::{Duration, UNIX_EPOCH};

use wissel_store::{Put, Store, StoreError, SubscriptionRecord};

fn record(local: &str, types: &[&str]) -> SubscriptionRecord {
    SubscriptionRecord {
        name: format!("00000001002220647000.{local}").parse().unwrap(),
        inbox: "00000001002220647000.inbox".parse().unwrap(),
        types: types.iter().map(ToString::to_string).collect(),
        filters: vec![serde_json::from_str(r#"{"exact":{"gemeente":"0344"}}"#).unwrap()],
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
        assert_eq!(
            store.put_subscription(b.clone()).await.unwrap(),
            Put::Created
        );
        assert_eq!(
            store.put_subscription(a.clone()).await.unwrap(),
            Put::Created
        );
        assert_eq!(store.put_subscription(a.clone()).await.unwrap(), Put::Same);
        let other = record("a", &["nl.brp.overlijden"]);
        assert_eq!(store.put_subscription(other).await.unwrap(), Put::Conflict);
    }
    let store = Store::open(&path).unwrap();
    assert_eq!(store.subscriptions().await.unwrap(), [a.clone(), b]);
    assert!(store.delete_subscription(a.name.clone()).await.unwrap());
    assert!(!store.delete_subscription(a.name).await.unwrap());
    store
        .add_inbox("00000001002220647000.leeg".parse().unwrap())
        .await
        .unwrap();
    store
        .add_inbox("00000001002220647000.leeg".parse().unwrap())
        .await
        .unwrap();
    let inboxes = store.inboxes().await.unwrap();
    let inboxes: Vec<&str> = inboxes.iter().map(|name| name.local()).collect();
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
    assert!(matches!(
        refused,
        StoreError::LaterVersion {
            found: 99,
            expected: 1,
            ..
        }
    ));
}
