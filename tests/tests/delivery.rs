//! What becomes of deliveries that fail, as receivers and operators see it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use wissel_client::{
    ClientError, Event, Filter, InboxName, InboxSettings, OpenInbox, Subscription, Which,
};
use wissel_testkit::RabbitMq;
use wissel_tests::{CATALOGUE, Gateway, OPERATOR, PARTIES, REGISTRY, alone, event, wissel_binary};

const EMBEDDED: &str = "embedded";
const PATIENCE: Duration = Duration::from_secs(20);

fn name() -> InboxName {
    format!("{}.inbox", PARTIES[2]).parse().unwrap()
}

/// Runs a command against the gateway; its exit code, and what it said on both outputs.
fn wissel(gateway: &Gateway, caller: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = std::process::Command::new(wissel_binary());
    command.args(arguments).args(["--as", caller, "--server", &gateway.url()]);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(gateway: &Gateway, caller: &str, arguments: &[&str]) -> Value {
    let (code, out, err) = wissel(gateway, caller, &[arguments, &["--json"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(out.lines().next().unwrap_or("null")).unwrap()
}

async fn next(inbox: &mut OpenInbox) -> wissel_client::Delivery {
    let next = tokio::time::timeout(PATIENCE, inbox.next()).await;
    next.expect("a delivery comes").unwrap().unwrap()
}

async fn dead_letters(gateway: &Gateway, count: u64) {
    let operator = gateway.client(OPERATOR);
    let begun = Instant::now();
    loop {
        let found = operator.get_inbox(&name()).await.unwrap().dead_letters;
        if found == count {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{found} dead letters and not {count}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn what_died_is_mended_from_the_command_line(bus: &str) {
    let mut gateway = Gateway::stopped(bus);
    let birth = "description = \"A birth was registered.\"\n";
    gateway.write_catalogue(&CATALOGUE.replacen(birth, &format!("{birth}archive = '1 day'\n"), 1));
    gateway.start_again().await;
    let inbox_name = name().to_string();
    let inbox_name = inbox_name.as_str();
    let set = ["inboxes", "set", inbox_name, "max_attempts=2", "retry_initial=50ms"];
    let settings = &json(&gateway, OPERATOR, &set)["settings"];
    assert_eq!(
        (&settings["max_attempts"], &settings["retry_initial_seconds"]),
        (&2.into(), &0.05.into())
    );
    let (code, _, err) = wissel(&gateway, OPERATOR, &["inboxes", "set", inbox_name, "depth=1"]);
    assert!(code == 2 && err.contains("max_attempts"), "{err}");
    let wrong = ["inboxes", "set", inbox_name, "retry_initial=2h", "retry_max=1h"];
    let (code, _, err) = wissel(&gateway, OPERATOR, &wrong);
    assert!(code == 1 && err.contains("settings.retry_max"), "{err}");

    let registry = gateway.client(REGISTRY);
    for number in 0..6 {
        registry.publish(&event("mend", number)).await.unwrap();
    }
    // What waits is shown, and looking takes nothing out.
    for shown in [4, 6] {
        let look = ["inboxes", "messages", inbox_name, "--limit", &shown.to_string(), "--json"];
        let (code, out, err) = wissel(&gateway, OPERATOR, &look);
        assert_eq!((code, out.lines().count()), (0, shown), "{out}{err}");
        let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        let told = (&first["event_id"], &first["state"], &first["attempt"]);
        assert_eq!(told, (&"mend-0".into(), &"ready".into(), &1.into()));
        assert!(!out.contains("999990019"), "{out}");
    }
    let (code, _, err) = wissel(&gateway, PARTIES[1], &["inboxes", "messages", inbox_name]);
    assert!(code == 1 && err.contains("UNKNOWN_INBOX"), "{err}");
    let client = gateway.client(PARTIES[2]);
    let mut inbox = client.subscribe(inbox_name).open().await.unwrap();
    let first = next(&mut inbox).await;
    let receivers = &json(&gateway, OPERATOR, &["inboxes", "show", inbox_name])["receivers"];
    assert_eq!((&receivers[0]["party"], &receivers[1]), (&PARTIES[2].into(), &Value::Null));
    assert!(receivers[0]["in_hand"].as_u64() >= Some(1), "{receivers}");
    assert!(receivers[0]["settled_at"].is_null(), "{receivers}");
    first.retry_later("database of 123456789 down").await.unwrap();
    for _ in 1..12 {
        next(&mut inbox).await.retry_later("database of 123456789 down").await.unwrap();
    }
    let receivers = &json(&gateway, OPERATOR, &["inboxes", "show", inbox_name])["receivers"];
    assert!(receivers[0]["settled_at"].is_string(), "{receivers}");
    let (_, text, _) = wissel(&gateway, OPERATOR, &["inboxes", "show", inbox_name]);
    assert!(text.contains(&format!("received by {} since", PARTIES[2])), "{text}");
    dead_letters(&gateway, 6).await;
    let listed = json(&gateway, OPERATOR, &["dead-letters", "list", inbox_name]);
    assert_eq!(listed["attempts"], 2);
    let history = listed["history"].as_array().unwrap();
    let numbers: Vec<&Value> = history.iter().map(|one| &one["number"]).collect();
    assert_eq!(numbers, [1, 2], "every attempt is there");
    assert_eq!(history[0]["reason"], "database of [number] down");
    assert_eq!((&history[1]["reason"], &history[1]["at"]), (&listed["reason"], &listed["died_at"]));
    assert!(listed["reason"].as_str().unwrap().starts_with("given up after 2 attempts"));
    // What could be taken for the id that is to be given is not there.
    assert!(listed["id"].is_null() && listed["event_id"].as_str().unwrap().starts_with("mend-"));
    let id = listed["dead_letter_id"].as_str().unwrap();
    let shown = json(&gateway, OPERATOR, &["dead-letters", "show", inbox_name, id]);
    assert_eq!(shown, listed);
    let (_, text, _) = wissel(&gateway, OPERATOR, &["dead-letters", "show", inbox_name, id]);
    let attempts = text.lines().filter(|line| line.contains("database of [number] down"));
    assert!(attempts.count() >= 2 && text.contains("ENDED AT"), "{text}");
    let none = ["dead-letters", "show", inbox_name, "none"];
    let (code, _, err) = wissel(&gateway, OPERATOR, &none);
    assert!(code == 1 && err.contains("\"none\" is not among the dead letters of"), "{err}");
    let some = ["dead-letters", "list", inbox_name, "--limit", "4"];
    let (_, text, err) = wissel(&gateway, OPERATOR, &some);
    assert_eq!(text.lines().count(), 5, "a line for each, and the names of columns: {text}");
    assert!(err.contains("the oldest 4 of 6; --limit 0 lists all"), "{err}");
    let all = ["dead-letters", "list", inbox_name, "--limit", "0"];
    let (_, text, err) = wissel(&gateway, OPERATOR, &all);
    assert!(text.lines().count() == 7 && err.is_empty(), "{text}{err}");
    let (code, _, err) = wissel(&gateway, PARTIES[1], &["dead-letters", "show", inbox_name, id]);
    assert!(code == 1 && err.contains("UNKNOWN_INBOX"), "{err}");

    // Who names another id, that of the message perhaps, hears that it is none.
    let message = listed["message_id"].as_str().unwrap();
    for mend in [&["redrive", inbox_name, message][..], &["purge", inbox_name, message, "--yes"]] {
        let (code, _, err) = wissel(&gateway, OPERATOR, &[&["dead-letters"], mend].concat());
        assert!(code == 1 && err.contains("1 of 1 are not among the dead letters"), "{err}");
    }

    let purge = ["dead-letters", "purge", inbox_name, "--sql", "gemeente = '0193'"];
    let (code, _, err) = wissel(&gateway, OPERATOR, &purge);
    assert!(code == 2 && err.contains("--yes"), "{err}");
    let purged = json(&gateway, OPERATOR, &[&purge[..], &["--yes"]].concat());
    assert_eq!(purged["purged"], 3);
    let subject = ["dead-letters", "redrive", inbox_name, "--sql", "subject = '999990019'"];
    let (code, _, err) = wissel(&gateway, OPERATOR, &subject);
    assert!(code == 1 && err.contains("filters[0]") && !err.contains("999990019"), "{err}");
    let redriven = ["dead-letters", "redrive", inbox_name, "--all", "--rate", "20"];
    assert_eq!(json(&gateway, OPERATOR, &redriven)["redriven"], 3);
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let delivery = next(&mut inbox).await;
        assert_eq!(delivery.attempt(), 1);
        ids.insert(delivery.event().id().to_owned());
        if ids.len() == 3 {
            delivery.reject("of no use").await.unwrap();
        } else {
            delivery.acknowledge().await.unwrap();
        }
    }
    assert_eq!(ids, ["mend-0", "mend-2", "mend-4"].map(String::from).into());
    dead_letters(&gateway, 1).await;
    let again = json(&gateway, OPERATOR, &["dead-letters", "list", inbox_name]);
    assert_eq!((&again["attempts"], &again["reason"]), (&1.into(), &"of no use".into()));
    let before = again["history"].as_array().unwrap();
    let marks: Vec<_> = before.iter().map(|one| (&one["number"], &one["before_redrive"])).collect();
    let marked = [(1, true), (2, true), (1, false)];
    let marked = marked.map(|(number, before)| (Value::from(number), Value::from(before)));
    assert_eq!(marks, marked.each_ref().map(|(number, before)| (number, before)));
    let id = again["dead_letter_id"].as_str().unwrap();
    let (_, text, _) = wissel(&gateway, OPERATOR, &["dead-letters", "show", inbox_name, id]);
    assert!(text.contains("(before it was redriven) database of [number] down"), "{text}");

    let kept = json(&gateway, OPERATOR, &["archive", "list", "--from", "1 hour"]);
    assert_eq!(kept["type"], "nl.brp.geboorte");
    let size: usize = (0..6).map(|number| event("mend", number).encode().len()).sum();
    assert_eq!((&kept["messages"], &kept["bytes"]), (&6.into(), &size.into()));
    assert!(kept["first_at"].as_str() <= kept["last_at"].as_str());
    let earlier = ["archive", "list", "--until", "1 hour", "--type", "nl.brp.geboorte"];
    let (code, out, _) = wissel(&gateway, OPERATOR, &[&earlier[..], &["--json"]].concat());
    assert_eq!((code, &*out), (0, ""));
    let (code, _, err) =
        wissel(&gateway, OPERATOR, &["archive", "list", "--from", "1h", "--until", "2h"]);
    assert!(code == 1 && err.contains("until"), "{err}");
    let (code, _, err) = wissel(&gateway, PARTIES[2], &["archive", "list"]);
    assert!(code == 1 && err.contains("NOT_GRANTED"), "{err}");

    let replay = ["replay", inbox_name, "--from", "1 hour", "--sql", "gemeente = '0193'"];
    let replayed = json(&gateway, PARTIES[2], &replay);
    assert_eq!((&replayed["examined"], &replayed["replayed"]), (&6.into(), &3.into()));
    for _ in 0..3 {
        let delivery = next(&mut inbox).await;
        assert!(delivery.is_replayed());
        delivery.acknowledge().await.unwrap();
    }
    let (code, _, err) = wissel(&gateway, OPERATOR, &replay);
    assert!(code == 1 && err.contains("NOT_GRANTED"), "{err}");
    for text in [gateway.log(), gateway.records()] {
        assert!(!text.contains("123456789"), "a number of a receiver's reason is kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_is_mended_from_the_command_line_embedded() {
    let _alone = alone().await;
    what_died_is_mended_from_the_command_line(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_is_mended_from_the_command_line_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    what_died_is_mended_from_the_command_line(&rabbitmq.url()).await;
}

const SUBJECTS: u64 = 8;
const EACH: u64 = 25;

/// The message of this number; its `sequence` counts within its subject.
fn in_order(number: u64) -> Event {
    let (subject, sequence) = (number % SUBJECTS, number / SUBJECTS);
    Event::builder(
        format!("{subject}-{sequence}"),
        format!("urn:nld:oin:{REGISTRY}:systeem:BRP"),
        "nl.brp.geboorte",
    )
    .subject(format!("99999{subject:04}"))
    .build()
    .unwrap()
}

/// Receives in order, with retries, streams that end with something unsettled, and the
/// gateway killed twice.
async fn order_holds_through_faults(bus: &str) {
    let mut gateway = Gateway::start(bus).await;
    let client = gateway.client(PARTIES[0]);
    let ordered = format!("{}.op-volgorde", PARTIES[0]);
    let ordered = Subscription { ordered: true, ..Subscription::new(ordered.parse().unwrap()) };
    let inbox_name = ordered.name.to_string();
    assert!(client.create_subscription(&ordered).await.unwrap().ordered);
    let publisher = gateway.client(REGISTRY).publisher();
    let mut receipts = Vec::new();
    for number in 0..SUBJECTS * EACH {
        receipts.push(publisher.send(&in_order(number)).await.unwrap());
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }

    let mut settled: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last_of: BTreeMap<u64, u64> = BTreeMap::new();
    let mut seen = 0_u64;
    let mut inbox = client.subscribe(&*inbox_name).credit(20).open().await.unwrap();
    while settled.values().sum::<u64>() < SUBJECTS * EACH {
        let delivery = next(&mut inbox).await;
        let (subject, sequence) = delivery.event().id().split_once('-').unwrap();
        let (subject, sequence): (u64, u64) = (subject.parse().unwrap(), sequence.parse().unwrap());
        // All before it of its subject are settled; it comes again at most after a fault.
        let before = settled.get(&subject).copied().unwrap_or(0);
        assert!(sequence <= before, "{subject}-{sequence} came when {before} were settled");
        let last = last_of.insert(subject, sequence).unwrap_or(0);
        assert!(sequence >= last || seen >= 60, "back to {sequence} from {last} without a fault");
        seen += 1;
        match seen {
            60 | 130 => {
                gateway.kill().await;
                gateway.start_again().await;
            }
            100 | 160 => {
                drop(inbox);
                inbox = client.subscribe(&*inbox_name).credit(20).open().await.unwrap();
            }
            _ if seen.is_multiple_of(7) => {
                let after = Duration::from_millis(40 * (seen % 5));
                match delivery.retry(after, "busy").await {
                    Ok(()) | Err(ClientError::LeaseLost { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            _ => match delivery.acknowledge().await {
                Ok(()) => {
                    settled.insert(subject, before.max(sequence + 1));
                }
                Err(ClientError::LeaseLost { .. }) => {}
                Err(error) => panic!("{error}"),
            },
        }
    }
    assert!(seen >= SUBJECTS * EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_holds_through_faults_embedded() {
    let _alone = alone().await;
    order_holds_through_faults(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn order_holds_through_faults_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    order_holds_through_faults(&rabbitmq.url()).await;
}

/// A client waits and tries again when it is too fast or an inbox is full; nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_slowed_by_limits_and_loses_nothing() {
    let _alone = alone().await;
    let mut gateway = Gateway::stopped(EMBEDDED);
    let catalogue = format!(
        r#"party = [
            {{ oin = "{REGISTRY}", name = "Registry", publish_per_second = 50 }},
            {{ oin = "{}", name = "Agency" }},
        ]
        [[event_type]]
        name = "nl.brp.geboorte"
        owner = "{REGISTRY}"
        description = "A birth was registered."
        [[grant]]
        party = "{REGISTRY}"
        type = "nl.brp.geboorte"
        action = "publish"
        purpose = "test"
        legal_basis = "test"
        [[grant]]
        party = "{}"
        type = "nl.brp.geboorte"
        action = "receive"
        purpose = "test"
        legal_basis = "test"
        [[subscription]]
        name = "{}.inbox"
        "#,
        PARTIES[2], PARTIES[2], PARTIES[2]
    );
    gateway.write_catalogue(&catalogue);
    gateway.start_again().await;
    let settings = InboxSettings { max_deliveries: Some(30), ..InboxSettings::default() };
    let client = gateway.client(PARTIES[2]);
    client.set_inbox(&name(), &settings, &["max_deliveries"]).await.unwrap();

    let publisher = gateway.client(REGISTRY).publisher();
    let begun = Instant::now();
    let publishing = tokio::spawn(async move {
        let mut receipts = Vec::new();
        for number in 0..150 {
            receipts.push(publisher.send(&event("limit", number)).await.unwrap());
        }
        for receipt in receipts {
            receipt.await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(client.get_inbox(&name()).await.unwrap().depth <= 30);
    let mut inbox = client.subscribe(name().as_str()).open().await.unwrap();
    let mut ids = BTreeSet::new();
    while ids.len() < 150 {
        let delivery = next(&mut inbox).await;
        ids.insert(delivery.event().id().to_owned());
        delivery.acknowledge().await.unwrap();
    }
    publishing.await.unwrap();
    // 50 at once, and 100 more at 50 a second.
    assert!(begun.elapsed() >= Duration::from_millis(1_900), "{:?}", begun.elapsed());
    let filter = Which::Matching(vec![Filter::Sql("TRUE".to_owned())]);
    assert_eq!(client.redrive(&name(), filter).await.unwrap(), 0);
}
