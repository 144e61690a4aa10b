//! The state of a gateway, copied and put back elsewhere.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use wissel_tests::{Gateway, PARTIES, REGISTRY, alone, event, wissel_binary};

/// Runs a command: its exit code, and all that it said.
fn wissel(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(wissel_binary()).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Some file of a directory whose name is this.
fn find(directory: &Path, name: &str) -> std::path::PathBuf {
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.file_name().unwrap() == name {
                return path;
            }
        }
    }
    panic!("no {name}")
}

#[tokio::test]
async fn what_was_backed_up_is_there_again() {
    let _alone = alone().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = text(&elsewhere.path().join("copy"));
    let mut gateway = Gateway::stopped("embedded");
    gateway.start_again().await;
    let data = text(&gateway.data_directory());
    let registry = gateway.client(REGISTRY);
    for number in 0..40 {
        registry.publish(&event("b", number)).await.unwrap();
    }
    let inbox = format!("{}.inbox", PARTIES[2]);
    let mut open = gateway.client(PARTIES[2]).subscribe(&inbox).credit(1).open().await.unwrap();
    open.next().await.unwrap().unwrap().acknowledge().await.unwrap();
    open.next().await.unwrap().unwrap().reject("of no use").await.unwrap();
    open.close().await.unwrap();

    // Not while it runs.
    let (code, said) = wissel(&["backup", &data, &copy]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("stop it first"), "{said}");
    assert!(!Path::new(&copy).exists());

    let before = gateway.client(PARTIES[2]).get_inbox(&inbox.parse().unwrap()).await.unwrap();
    assert_eq!((before.depth, before.dead_letters), (38, 1));
    assert!(gateway.terminate().await.0.success());
    let (code, said) = wissel(&["backup", &data, &copy]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("keep a copy of them apart"), "{said}");
    assert!(!Path::new(&copy).join("files/subjects.key").exists());
    let (code, said) = wissel(&["backup", &data, &copy]);
    assert_eq!(code, 2, "what is there is not written over: {said}");
    let (code, said) = wissel(&["restore", "--check", &copy]);
    assert_eq!(code, 0, "{said}");

    // With another gateway's directory in its place: nothing is written over.
    let (code, said) = wissel(&["restore", &copy, &data]);
    assert_eq!(code, 2, "{said}");
    let key = std::fs::read(Path::new(&data).join("subjects.key")).unwrap();
    std::fs::rename(&data, elsewhere.path().join("old")).unwrap();
    let (code, said) = wissel(&["restore", &copy, &data]);
    assert_eq!(code, 0, "{said}");
    std::fs::write(Path::new(&data).join("subjects.key"), key).unwrap();
    let old = elsewhere.path().join("old/control.sqlite");
    assert_eq!(
        std::fs::read(old).unwrap(),
        std::fs::read(Path::new(&data).join("control.sqlite")).unwrap()
    );

    gateway.start_again().await;
    let after = gateway.client(PARTIES[2]).get_inbox(&inbox.parse().unwrap()).await.unwrap();
    assert_eq!((after.depth, after.dead_letters), (38, 1));
    let mut open = gateway.client(PARTIES[2]).subscribe(&inbox).open().await.unwrap();
    for number in 2..40 {
        let delivery = open.next().await.unwrap().unwrap();
        assert_eq!(delivery.event().id(), format!("b-{number}"));
        delivery.acknowledge().await.unwrap();
    }
    // What came before is known still.
    let again = gateway.client(REGISTRY).publish(&event("b", 7)).await.unwrap();
    assert!(again.repeated);
    drop(open);
    assert!(gateway.terminate().await.0.success());
    let (code, said) = wissel(&["audit", "verify", &text(&gateway.records_directory())]);
    assert_eq!(code, 0, "{said}");
}

#[tokio::test]
async fn a_copy_that_is_damaged_is_not_put_back() {
    let _alone = alone().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = text(&elsewhere.path().join("copy"));
    let mut gateway = Gateway::stopped("embedded");
    gateway.start_again().await;
    gateway.client(REGISTRY).publish(&event("d", 1)).await.unwrap();
    assert!(gateway.terminate().await.0.success());
    let (code, said) =
        wissel(&["backup", "--with-keys", "--json", &text(&gateway.data_directory()), &copy]);
    assert_eq!(code, 0, "{said}");
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["with_keys"], true);

    let store = find(Path::new(&copy), "control.sqlite");
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&store, bytes).unwrap();
    std::fs::remove_file(find(Path::new(&copy), "subjects.key")).unwrap();
    let target = text(&elsewhere.path().join("target"));
    let (code, said) = wissel(&["restore", &copy, &target]);
    assert_eq!(code, 1, "{said}");
    for expected in ["control.sqlite: SHA-256", "subjects.key: missing"] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert!(!Path::new(&target).exists(), "nothing was written");
}
