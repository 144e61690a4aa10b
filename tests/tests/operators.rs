//! What operators see over HTTP, and what a supervisor is told.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use wissel_client::InboxOrder;
use wissel_testkit::{RabbitMq, free_port};
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone, event, wissel_binary};

/// A gateway with a console, which is to be started.
fn with_console(bus: &str, more: &str) -> (Gateway, String) {
    let gateway = Gateway::stopped(bus);
    let port = free_port().unwrap();
    gateway.write_config(&format!("{more}\n[console]\nlisten = \"127.0.0.1:{port}\"\n"));
    (gateway, format!("http://127.0.0.1:{port}"))
}

async fn get(url: &str) -> (u16, String) {
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The value of a metric, with its labels as they are written.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let line =
        metrics.lines().find(|line| line.rsplit_once(' ').is_some_and(|(one, _)| one == name));
    line.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

/// Scrapes until this is so.
async fn scrape_until(url: &str, holds: impl Fn(&str) -> bool) -> String {
    let begun = Instant::now();
    loop {
        let (_, text) = get(&format!("{url}/metrics")).await;
        if holds(&text) {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{text}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn messages_are_counted(bus: &str) {
    let (mut gateway, url) = with_console(bus, "");
    gateway.start_again().await;
    let registry = gateway.client(REGISTRY);
    for number in 0..5 {
        registry.publish(&event("m", number)).await.unwrap();
    }
    registry.publish(&event("m", 0)).await.unwrap();
    let ungranted = gateway.client(PARTIES[0]).publish(&event("m", 9)).await.unwrap_err();
    let reason = ungranted.refusal().unwrap().reason.clone();
    let inbox = format!("{}.inbox", PARTIES[2]);
    let mut open = gateway.client(PARTIES[2]).subscribe(&inbox).open().await.unwrap();
    open.next().await.unwrap().unwrap().acknowledge().await.unwrap();
    open.next().await.unwrap().unwrap().reject("of no use").await.unwrap();

    let dead = "wissel_dead_letters";
    let metrics = scrape_until(&url, |text| value(text, dead) == Some(1.0)).await;
    let is = |name: &str, expected: f64| {
        assert_eq!(value(&metrics, name), Some(expected), "{name} in\n{metrics}");
    };
    is("wissel_messages_admitted_total{type=\"nl.brp.geboorte\"}", 5.0);
    is("wissel_messages_repeated_total", 1.0);
    is(&format!("wissel_messages_refused_total{{reason=\"{reason}\"}}"), 1.0);
    is("wissel_receipt_duration_seconds_count", 7.0);
    is("wissel_deliveries_settled_total{verdict=\"acknowledged\"}", 1.0);
    is("wissel_deliveries_settled_total{verdict=\"dead\"}", 1.0);
    is("wissel_dead_letters_made_total{cause=\"rejected\"}", 1.0);
    is("wissel_sessions", 1.0);
    is("wissel_ready", 1.0);
    is("wissel_inboxes", 3.0);
    is(&format!("wissel_inbox_dead_letters{{inbox=\"{inbox}\"}}"), 1.0);
    assert!(value(&metrics, "wissel_resident_memory_bytes").unwrap() > 1e6);
    assert!(value(&metrics, "wissel_data_free_bytes").unwrap() > 1e6);
    // What is told is described, and nothing of a person is told.
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"));
    let page = page.unwrap();
    for line in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let total = if kind == "counter" { "_total" } else { "" };
        assert!(page.contains(&format!("| `{name}{total}` | {kind} |")), "{line}");
    }

    // The same in the overview of an operator, and a party sees its own.
    let age = Duration::from_millis(500);
    let begun = Instant::now();
    let overview = loop {
        let overview = gateway.client(OPERATOR).overview(InboxOrder::Concern, 0, 2, age).await;
        let overview = overview.unwrap();
        if overview.totals.dead_letters == 1 && overview.traffic.is_some() {
            break overview;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{overview:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((overview.totals.inboxes, overview.inboxes.len()), (3, 2));
    let first = &overview.inboxes[0];
    assert_eq!(first.inbox.name.to_string(), inbox);
    assert_eq!(first.concern.as_deref(), Some("dead letters"));
    let own = gateway.client(PARTIES[0]).overview(InboxOrder::Name, 0, 0, age).await.unwrap();
    assert_eq!((own.totals.inboxes, own.inboxes.len(), own.traffic), (1, 1, None));
    assert_eq!(own.totals.dead_letters, 0);
}

#[tokio::test]
async fn messages_are_counted_on_the_embedded_bus() {
    let _alone = alone().await;
    messages_are_counted("embedded").await;
}

#[tokio::test]
async fn messages_are_counted_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    messages_are_counted(&rabbitmq.url()).await;
}

#[tokio::test]
async fn health_tells_what_is_wrong() {
    let _alone = alone().await;
    // A disk that is never free enough.
    let (mut gateway, url) =
        with_console("embedded", "[limits]\ndisk_free_bytes = 9_000_000_000_000_000_000\n");
    gateway.start_again().await;
    assert_eq!(get(&format!("{url}/health/live")).await.0, 200);
    assert_eq!(get(&format!("{url}/health/started")).await.0, 200);
    let (status, text) = get(&format!("{url}/health/ready")).await;
    let told: Json = serde_json::from_str(&text).unwrap();
    let wrong: Vec<&Json> =
        told["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert_eq!((status, wrong.len()), (503, 1), "{text}");
    assert_eq!(wrong[0]["name"], "disk");
    // Who asks at the command line hears the same.
    let mut command = std::process::Command::new(wissel_binary());
    command.args(["status", "--as", OPERATOR, "--server", &gateway.url()]);
    let told = command.output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.code() == Some(3) && text.contains("NO: disk: "), "{text}");
    // A party hears which check fails, and nothing of the machine.
    let told = gateway.client(PARTIES[0]).status().await.unwrap();
    assert!(!told.ready && told.is_up() && told.bus_detail.is_empty(), "{told:?}");
    assert!(told.checks.iter().all(|check| check.detail.is_empty()), "{told:?}");
    assert_eq!(get(&format!("{url}/nowhere")).await.0, 404);
    let (ended, _) = gateway.terminate().await;
    assert!(ended.success());

    // Records that cannot be written: another file is due, and something is in its place.
    let (mut gateway, url) = with_console("embedded", "[audit]\nfile_bytes = 1\n");
    gateway.start_again().await;
    assert_eq!(get(&format!("{url}/health/ready")).await.0, 200);
    for number in 2..100 {
        let next = gateway.records_directory().join(format!("records-{number:06}.jsonl"));
        if !next.exists() {
            std::fs::create_dir(next).unwrap();
        }
    }
    let refused = gateway.client(REGISTRY).publish(&event("unrecorded", 1)).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    let (status, text) = get(&format!("{url}/health/ready")).await;
    let told: Json = serde_json::from_str(&text).unwrap();
    let wrong: Vec<&Json> =
        told["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert_eq!((status, wrong.len()), (503, 1), "{text}");
    assert_eq!(wrong[0]["name"], "records");
    gateway.kill().await;
    // The search for personal numbers reads what is left.
    for file in std::fs::read_dir(gateway.records_directory()).unwrap() {
        let _ = std::fs::remove_dir(file.unwrap().path());
    }

    // A bus that is not there.
    let port = free_port().unwrap();
    let (mut gateway, url) = with_console(&format!("amqp://127.0.0.1:{port}/%2f"), "");
    gateway.spawn();
    let begun = Instant::now();
    let (status, text) = loop {
        match reqwest::get(&format!("{url}/health/ready")).await {
            Ok(response) => break (response.status().as_u16(), response.text().await.unwrap()),
            Err(_) if begun.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}: {}", gateway.log()),
        }
    };
    let told: Json = serde_json::from_str(&text).unwrap();
    let bus = told["checks"].as_array().unwrap().iter().find(|check| check["name"] == "bus");
    assert_eq!((status, &bus.unwrap()["ok"]), (503, &Json::Bool(false)), "{text}");
    assert_eq!(get(&format!("{url}/health/started")).await.0, 503);
    assert_eq!(get(&format!("{url}/health/live")).await.0, 200);
    let (_, metrics) = get(&format!("{url}/metrics")).await;
    assert_eq!(value(&metrics, "wissel_bus_ready"), Some(0.0), "{metrics}");
}

#[tokio::test]
async fn systemd_hears_that_it_is_ready_lives_and_stops() {
    let _alone = alone().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut gateway = Gateway::stopped("embedded");
    gateway.set("NOTIFY_SOCKET", path.to_str().unwrap().to_owned().leak());
    gateway.set("WATCHDOG_USEC", "1000000");
    // As if its log were the journal's stream.
    let log = gateway.data_directory().with_file_name("log");
    let log = std::fs::File::create(log).unwrap().metadata().unwrap();
    gateway.set("JOURNAL_STREAM", format!("{}:{}", log.dev(), log.ino()).leak());
    gateway.start_again().await;
    let hear = |text: &str| {
        let (mut buffer, begun) = ([0; 4096], Instant::now());
        loop {
            assert!(begun.elapsed() < Duration::from_secs(20), "{text} is not told");
            let length = socket.recv(&mut buffer).unwrap();
            let heard = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if heard.lines().any(|line| line == text) {
                return Instant::now();
            }
        }
    };
    hear("READY=1");
    let mut last = hear("WATCHDOG=1");
    // Between some of them nothing else keeps the machine busy.
    let is_often = (0..6).any(|_| {
        let before = std::mem::replace(&mut last, hear("WATCHDOG=1"));
        last - before < Duration::from_millis(750)
    });
    assert!(is_often, "it is not told twice a second that it lives");
    let (ended, _) = gateway.terminate().await;
    assert!(ended.success());
    hear("STOPPING=1");
    let log = gateway.log();
    assert!(
        log.lines().all(|line| ["<4>", "<6>", "<7>"].iter().any(|one| line.starts_with(one))),
        "{log}"
    );
    for (level, priority) in [(" WARN ", "<4>"), (" INFO ", "<6>"), ("DEBUG ", "<7>")] {
        let line = log.lines().find(|line| line.contains(level));
        assert!(line.is_some_and(|line| line.starts_with(priority)), "{level} in {log}");
    }
}
