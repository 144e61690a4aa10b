//! `wissel bench` against a running gateway, on both buses.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use wissel_client::InboxSettings;
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone, event, wissel_binary};

const EMBEDDED: &str = "embedded";

fn template(gateway: &Gateway) -> PathBuf {
    let path = gateway.data_directory().with_file_name("event.json");
    std::fs::write(&path, event("template", 1).to_json()).unwrap();
    path
}

fn bench(gateway: &Gateway, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(wissel_binary());
    command.arg("bench").arg(template(gateway)).args(arguments);
    command.args(["--as", REGISTRY, "--server", &gateway.url()]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn a_gateway_is_measured(bus: &str) {
    let gateway = Gateway::start(bus).await;
    // One that is not of the benchmark stays where it is.
    gateway.client(REGISTRY).publish(&event("other", 1)).await.unwrap();
    let inbox = format!("{}.inbox", PARTIES[2]);
    let receive = ["--inbox", &inbox, "--receive-as", PARTIES[2]];
    let at_a_rate = ["--rate", "500", "--seconds", "2", "--connections", "3", "--json"];
    let (code, out, err) = bench(&gateway, &[&at_a_rate[..], &receive].concat());
    assert_eq!(code, 0, "{out}{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&told["confirmed"], &told["received"]["deliveries"]),
        (&1_000.into(), &1_000.into())
    );
    assert_eq!((&told["received"]["missing"], &told["received"]["others"]), (&0.into(), &1.into()));
    let took = told["seconds"].as_f64().unwrap();
    assert!((1.9..10.0).contains(&took), "{took}");
    let receipt = &told["receipt_latency_seconds"];
    assert!(receipt["p50"].as_f64() <= receipt["max"].as_f64(), "{receipt}");
    let operator = gateway.client(OPERATOR);
    let state = operator.get_inbox(&inbox.parse().unwrap()).await.unwrap();
    assert_eq!((state.depth + state.in_flight, state.dead_letters), (1, 0), "{state:?}");

    let (code, out, err) = bench(&gateway, &["--count", "2000"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with("2000 messages confirmed in") && out.contains('▇'), "{out}");

    // What is refused is told by its reason, and is no success.
    let settings = InboxSettings { draining: true, ..InboxSettings::default() };
    operator.set_inbox(&inbox.parse().unwrap(), &settings, &["draining"]).await.unwrap();
    let (code, out, err) = bench(&gateway, &["--count", "3", "--timeout", "2", "--json"]);
    assert_eq!(code, 3, "{out}{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&told["confirmed"], &told["refused"]["INBOX_FULL"]),
        (&0.into(), &3.into()),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_measured_embedded() {
    let _alone = alone().await;
    a_gateway_is_measured(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_measured_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    a_gateway_is_measured(&rabbitmq.url()).await;
}

#[test]
fn another_machine_is_not_measured_by_mistake() {
    let mut command = Command::new(wissel_binary());
    command.args(["bench", "-", "--as", REGISTRY, "--server", "https://gateway.example"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("--yes"), "{said}");
}
