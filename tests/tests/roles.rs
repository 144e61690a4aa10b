//! What operators may do over gRPC, by the roles that the configuration gives their OINs.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use wissel_client::{Client, ClientError, InboxSettings, Subscription, Which};
use wissel_identifiers::InboxName;
use wissel_tests::{
    CATALOGUE, Gateway, OPERATOR, OPERATOR_OIN, PARTIES, REGISTRY, alone, event, wissel_binary,
};

const VIEWER: &str = "00000099000000006000";
const MANAGER: &str = "00000099000000007000";

fn inbox() -> InboxName {
    format!("{}.inbox", PARTIES[2]).parse().unwrap()
}

/// A gateway that knows an operator of each kind, with a message that waits and a dead letter.
async fn operated() -> Gateway {
    let operators = format!(
        "operators = [\n\
         \"{OPERATOR_OIN}\",\n\
         {{ oin = \"{VIEWER}\", roles = [\"viewer\"] }},\n\
         {{ oin = \"{MANAGER}\", roles = [\"catalogue-manager\"] }},\n\
         ]"
    );
    let gateway = Gateway::operated(CATALOGUE, &operators).await;
    let registry = gateway.client(REGISTRY);
    registry.publish(&event("r", 0)).await.unwrap();
    let mut receiver =
        gateway.client(PARTIES[2]).subscribe(inbox().to_string()).open().await.unwrap();
    receiver.next().await.unwrap().unwrap().reject("of no use").await.unwrap();
    receiver.close().await.unwrap();
    registry.publish(&event("r", 1)).await.unwrap();
    let (operator, begun) = (gateway.client(VIEWER), Instant::now());
    while operator.get_inbox(&inbox()).await.unwrap().dead_letters == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "there is no dead letter");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gateway
}

/// Everything that takes the role `operator`, with its name on record.
async fn mend(client: &Client) -> Vec<(&'static str, Result<(), ClientError>)> {
    let paused = InboxSettings { paused: true, ..InboxSettings::default() };
    let created: Subscription = Subscription::new(format!("{}.more", PARTIES[2]).parse().unwrap());
    let name = created.name.clone();
    vec![
        ("inbox-changed", client.set_inbox(&inbox(), &paused, &["paused"]).await.map(drop)),
        ("dead-letters-redriven", client.redrive(&inbox(), Which::All).await.map(drop)),
        ("dead-letters-purged", client.purge_dead_letters(&inbox(), Which::All).await.map(drop)),
        ("subscription-created", client.create_subscription(&created).await.map(drop)),
        ("subscription-deleted", client.delete_subscription(&name).await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_does_not_mend_and_an_oin_alone_does() {
    let _alone = alone().await;
    let gateway = operated().await;
    for (oin, roles) in [(VIEWER, "viewer"), (MANAGER, "viewer, catalogue-manager")] {
        let client = gateway.client(oin);
        assert_eq!(client.list_inboxes().all().await.unwrap().len(), 3);
        assert_eq!(client.list_deliveries(&inbox(), 10).await.unwrap().len(), 1);
        assert_eq!(client.list_dead_letters(&inbox()).all().await.unwrap().len(), 1);
        assert_eq!(client.list_subscriptions().all().await.unwrap().len(), 3);
        for (operation, outcome) in mend(&client).await {
            let error = outcome.unwrap_err();
            let refusal = error.refusal().unwrap_or_else(|| panic!("{operation}: {error}"));
            assert_eq!(refusal.reason, "NOT_GRANTED", "{operation}: {error}");
            let told = error.to_string();
            let expected = format!("this takes the role operator; you have: {roles}");
            assert!(told.contains(&expected), "{operation}: {told}");
            assert_eq!(refused_on_record(&gateway, oin, operation), 1, "{operation}");
        }
    }
    let state = gateway.client(VIEWER).get_inbox(&inbox()).await.unwrap();
    assert_eq!((state.dead_letters, state.settings.paused), (1, false));

    let (code, err) = set(&gateway, VIEWER, "paused=true");
    assert!(code == 1 && err.contains("NOT_GRANTED") && err.contains("role operator"), "{err}");
    for (operation, outcome) in mend(&gateway.client(OPERATOR)).await {
        outcome.unwrap_or_else(|error| panic!("{operation}: {error}"));
    }
    let (code, err) = set(&gateway, OPERATOR_OIN, "paused=false");
    assert_eq!(code, 0, "{err}");
}

/// How often this was refused to this operator for want of a role.
fn refused_on_record(gateway: &Gateway, oin: &str, operation: &str) -> usize {
    let records = gateway.records();
    let lines = records.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let is_meant = |line: &Json| {
        line["actor"] == format!("operator {oin}")
            && line["operation"] == operation
            && line["reason"] == "NOT_GRANTED"
    };
    lines.filter(is_meant).count()
}

/// `wissel inboxes set` of the inbox, with the certificate of this operator: its exit code, and
/// what it says of what is wrong.
fn set(gateway: &Gateway, oin: &str, setting: &str) -> (i32, String) {
    let ca = gateway.authority_directory();
    let mut command = Command::new(wissel_binary());
    command.args(["inboxes", "set", inbox().as_str(), setting, "--server", &gateway.url()]);
    command.env("WISSEL_CA", ca.join("ca.pem"));
    command.env("WISSEL_CERT", ca.join(format!("{oin}.pem")));
    command.env("WISSEL_KEY", ca.join(format!("{oin}.key")));
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_variable_names_operators_also_when_it_is_one() {
    for (named, count) in [(OPERATOR_OIN.to_owned(), 1), (format!("{OPERATOR_OIN},{VIEWER}"), 2)] {
        let mut command = Command::new(wissel_binary());
        let output = command.args(["config", "show"]).env("WISSEL_OPERATORS", named).output();
        let output = output.unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(shown.matches("[[operators]]").count(), count, "{shown}");
        assert_eq!(shown.matches("\"operator\"").count(), count, "{shown}");
        assert!(!shown.contains("catalogue-manager"), "{shown}");
    }
}

#[test]
fn a_variable_that_names_nobody_leaves_the_operators_of_the_file() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("w.toml"), format!("operators = ['{VIEWER}']\n")).unwrap();
    let mut command = Command::new(wissel_binary());
    command.args(["config", "show", "--config", "w.toml"]).current_dir(here.path());
    let output = command.env("WISSEL_OPERATORS", " ").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(VIEWER));
}
