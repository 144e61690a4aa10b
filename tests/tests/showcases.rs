//! The projects of the programme, played as a user plays them: on both buses, and with the
//! gateway killed in the middle of each step.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use wissel_testkit::RabbitMq;
use wissel_tests::{alone, wissel_binary};

fn play(arguments: &[&str]) {
    let output = Command::new(wissel_binary()).arg("showcase").args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains(" checks hold") && !out.contains("NOT "), "{out}");
    assert!(!out.contains("999990342"), "a person is named: {out}");
}

#[tokio::test]
async fn every_showcase_on_the_embedded_bus() {
    let _alone = alone().await;
    play(&["--all"]);
    play(&["--all", "--kill-every", "1"]);
}

#[tokio::test]
async fn every_showcase_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    play(&["--all", "--bus", &rabbitmq.url()]);
    play(&["--all", "--bus", &rabbitmq.url(), "--kill-every", "1"]);
}
