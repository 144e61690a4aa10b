//! Parties that take their messages with AMQP clients of their own.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use wissel_client::{ClientError, Event, InboxName, InboxSettings, Which};
use wissel_message::OwnedValue;
use wissel_testkit::{RabbitMq, messages_ready};
use wissel_tests::{Gateway, OPERATOR, REGISTRY, alone, wissel_binary};

const PARTY: &str = "00000099000000002000";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const PATIENCE: Duration = Duration::from_secs(30);

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Utrecht" },
]

[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
[event_type.schema]
type = "object"
[event_type.schema.properties]
number = { type = "integer" }
place = { type = "string" }
bsn = { type = "string" }

[[grant]]
party = "00000099000000001000"
type = "nl.brp.geboorte"
action = "publish"
purpose = "test"
legal_basis = "test"

[[event_type]]
name = "nl.brp.vrij"
owner = "00000099000000001000"
description = "Anything, as there is no schema."

[[grant]]
party = "00000099000000001000"
type = "nl.brp.vrij"
action = "publish"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000002000"
type = "nl.brp.vrij"
action = "receive"
purpose = "test"
legal_basis = "test"

[[subscription]]
name = "00000099000000002000.inbox"
"#;

/// The right of the party, to these fields.
fn grant(fields: &str) -> String {
    format!(
        r#"
[[grant]]
party = "{PARTY}"
type = "nl.brp.geboorte"
action = "receive"
purpose = "test"
legal_basis = "test"
fields = {fields}
"#
    )
}

fn name() -> InboxName {
    format!("{PARTY}.inbox").parse().unwrap()
}

fn queue() -> String {
    format!("wissel.direct.{}", name())
}

fn event(number: u64) -> Event {
    Event::builder(
        format!("direct-{number}"),
        format!("urn:nld:oin:{REGISTRY}:systeem:BRP"),
        "nl.brp.geboorte",
    )
    .subject("999990019")
    .time("2026-11-24T10:00:00.125Z".parse().unwrap())
    .extension("gemeente", "0344")
    .extension("spoed", true)
    .extension("traceparent", PARENT)
    .extension("volgnummer", -7)
    .extension("kenmerk", OwnedValue::Binary(vec![0, 255].into()))
    .data_text(
        "application/json",
        format!(r#"{{"bsn":"999990019","number":{number},"place":"Utrecht"}}"#),
    )
    .build()
    .unwrap()
}

/// A gateway on a RabbitMQ, with an inbox that its owner reads itself.
struct Place {
    rabbitmq: RabbitMq,
    gateway: Gateway,
    /// Of a user that may read the queue and nothing else.
    url: String,
}

impl Place {
    async fn new() -> Self {
        let rabbitmq = RabbitMq::start().await.unwrap();
        let url = rabbitmq.add_reader("utrecht", "geheim", &queue()).await.unwrap();
        let mut gateway = Gateway::stopped(&rabbitmq.url());
        let place = {
            gateway.write_catalogue(&format!("{CATALOGUE}{}", grant(r#"["/number", "/place"]"#)));
            gateway.start_again().await;
            Self { rabbitmq, gateway, url }
        };
        place.set(true).await.unwrap();
        place
    }

    async fn set(&self, direct_amqp: bool) -> Result<(), ClientError> {
        let settings = InboxSettings { direct_amqp, ..InboxSettings::default() };
        let operator = self.gateway.client(OPERATOR);
        operator.set_inbox(&name(), &settings, &["direct_amqp"]).await.map(drop)
    }

    async fn publish(&self, numbers: std::ops::Range<u64>) {
        let publisher = self.gateway.client(REGISTRY).publisher();
        let mut receipts = Vec::new();
        for number in numbers {
            receipts.push(publisher.send(&event(number)).await.unwrap());
        }
        for receipt in receipts {
            receipt.await.unwrap();
        }
    }

    /// Publishes data that no schema is for.
    async fn publish_free(&self, data: &str) {
        let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
        let event = Event::builder(format!("free-{}", data.len()), source, "nl.brp.vrij")
            .data_text("application/json", data);
        self.gateway.client(REGISTRY).publish(&event.build().unwrap()).await.unwrap();
    }

    /// How many messages wait in the queue.
    async fn waiting(&self) -> u32 {
        let connection =
            Connection::connect(&self.rabbitmq.url(), ConnectionProperties::default()).await;
        let connection = connection.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let count = messages_ready(&channel, &queue()).await.unwrap();
        connection.close(200, "bye".into()).await.unwrap();
        count
    }

    async fn until_waiting(&self, count: u32) {
        let begun = Instant::now();
        loop {
            let found = self.waiting().await;
            if found == count {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{found} wait: {}", self.gateway.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until_dead(&self, count: usize) -> Vec<String> {
        let operator = self.gateway.client(OPERATOR);
        let begun = Instant::now();
        loop {
            let dead = operator.list_dead_letters(&name()).all().await.unwrap();
            if dead.len() == count {
                return dead.into_iter().map(|one| one.reason).collect();
            }
            let found = dead.len();
            assert!(begun.elapsed() < PATIENCE, "{found} died: {}", self.gateway.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The example in Python, as a party would run it.
    fn example(&self, count: usize) -> tokio::process::Child {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/consume_amqp.py");
        tokio::process::Command::new("/usr/bin/python3")
            .arg(script)
            .args([name().as_str(), "--count", &count.to_string()])
            .env("WISSEL_AMQP_URL", &self.url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn own_client(&self) -> OwnClient {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await;
        let connection = connection.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.basic_qos(100, BasicQosOptions::default()).await.unwrap();
        let consumer = consume(&channel, &queue()).await.unwrap();
        OwnClient { connection, consumer }
    }
}

/// A client of the party.
struct OwnClient {
    connection: Connection,
    consumer: lapin::Consumer,
}

impl OwnClient {
    async fn next(&mut self) -> Delivery {
        let next = tokio::time::timeout(PATIENCE, self.consumer.next()).await;
        next.expect("a message comes").unwrap().unwrap()
    }

    async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_secs(1), self.consumer.next()).await.is_err()
    }

    async fn leave(self) {
        self.connection.close(200, "bye".into()).await.unwrap();
    }
}

async fn consume(channel: &Channel, queue: &str) -> lapin::Result<lapin::Consumer> {
    let options = BasicConsumeOptions::default();
    channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await
}

async fn ack(delivery: &Delivery) {
    delivery.ack(BasicAckOptions::default()).await.unwrap();
}

fn number_of(delivery: &Delivery) -> u64 {
    match delivery.properties.headers().as_ref().unwrap().inner().get("cloudEvents:id") {
        Some(AMQPValue::LongString(id)) => {
            id.to_string().strip_prefix("direct-").unwrap().parse().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

fn data_of(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.data).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_prints_what_its_party_may_have_on_rabbitmq() {
    let _alone = alone().await;
    let place = Place::new().await;
    let example = place.example(20);
    // What Python cannot read does not stop it.
    for data in [r#""\ud800""#, &"9".repeat(5_000), &"[".repeat(100_000)] {
        place.publish_free(data).await;
    }
    place.publish(0..20).await;
    let output = tokio::time::timeout(PATIENCE, example.wait_with_output()).await.unwrap().unwrap();
    // What it prints is not shown: it holds numbers of persons.
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 20);
    for (number, event) in events.iter().enumerate() {
        let expected = json!({
            "specversion": "1.0",
            "id": format!("direct-{number}"),
            "source": format!("urn:nld:oin:{REGISTRY}:systeem:BRP"),
            "type": "nl.brp.geboorte",
            "subject": "999990019",
            "time": "2026-11-24T10:00:00.125Z",
            "gemeente": "0344",
            "spoed": true,
            "volgnummer": -7,
            "kenmerk": "AP8=",
            "traceparent": PARENT,
            "datacontenttype": "application/json",
            "data": { "number": number, "place": "Utrecht" },
        });
        assert!(*event == expected, "event {number} is another");
    }
    place.until_waiting(0).await;
    place.until_dead(3).await;
    let records = place.gateway.records();
    assert_eq!(records.matches(r#""operation":"delivery""#).count(), 23, "{records}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_of_a_party_may_read_its_queue_and_do_nothing_else_on_rabbitmq() {
    let _alone = alone().await;
    let place = Place::new().await;
    let connection =
        Connection::connect(&place.url, ConnectionProperties::default()).await.unwrap();
    for other in [format!("wissel.inbox.{}", name()), format!("wissel.dead.{}", name())] {
        let channel = connection.create_channel().await.unwrap();
        let refused = consume(&channel, &other).await.unwrap_err().to_string();
        assert!(refused.contains("ACCESS_REFUSED"), "{refused}");
    }
    let channel = connection.create_channel().await.unwrap();
    let sent = channel.basic_publish(
        "wissel.inboxes".into(),
        name().as_str().into(),
        BasicPublishOptions::default(),
        b"forged",
        BasicProperties::default(),
    );
    let _ = sent.await;
    let after = channel.basic_qos(1, BasicQosOptions::default()).await.unwrap_err().to_string();
    assert!(after.contains("ACCESS_REFUSED") || after.contains("invalid channel state"), "{after}");
    let inbox = place.gateway.client(OPERATOR).get_inbox(&name()).await.unwrap();
    assert_eq!((inbox.depth, place.waiting().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_change_hold_for_what_waits_in_the_queue_on_rabbitmq() {
    let _alone = alone().await;
    let place = Place::new().await;
    place.publish(0..5).await;
    place.until_waiting(5).await;
    // An operator sees what waits for a client that is not there.
    let operator = place.gateway.client(OPERATOR);
    let inbox = operator.get_inbox(&name()).await.unwrap();
    assert_eq!((inbox.depth, inbox.consumers), (5, 0));
    assert!(inbox.oldest_age.is_some());

    place.gateway.write_catalogue(&format!("{CATALOGUE}{}", grant(r#"["/number"]"#)));
    place.gateway.logs("what waited for an AMQP client was looked at again").await;
    place.until_waiting(5).await;
    let mut client = place.own_client().await;
    let begun = Instant::now();
    loop {
        let inbox = operator.get_inbox(&name()).await.unwrap();
        let found = (inbox.consumers, inbox.oldest_age);
        if found == (1, None) {
            break;
        }
        // RabbitMQ takes a moment to see that whoever looked is gone.
        assert!(begun.elapsed() < PATIENCE, "{found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for number in 0..3 {
        let delivery = client.next().await;
        assert_eq!(
            (number_of(&delivery), data_of(&delivery)),
            (number, json!({ "number": number }))
        );
        ack(&delivery).await;
    }
    // It gives back the two that it holds.
    client.leave().await;
    place.until_waiting(2).await;

    place.gateway.write_catalogue(CATALOGUE);
    let reasons = place.until_dead(2).await;
    assert!(reasons.iter().all(|one| one == "the grant to receive this event type is gone"));
    let mut client = place.own_client().await;
    place.publish(5..8).await;

    // And given again, what died can be brought back, as little as is allowed.
    place.gateway.write_catalogue(&format!("{CATALOGUE}{}", grant(r#"["/place", "/number"]"#)));
    let begun = Instant::now();
    while place.gateway.log().matches("catalogue replaced").count() < 3 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    operator.redrive(&name(), Which::All).await.unwrap();
    let mut numbers = BTreeSet::new();
    for _ in 0..2 {
        let delivery = client.next().await;
        assert_eq!(data_of(&delivery), json!({ "number": number_of(&delivery) }));
        numbers.insert(number_of(&delivery));
        ack(&delivery).await;
    }
    // Nothing came before them without a grant.
    assert_eq!(numbers, BTreeSet::from([3, 4]));
    assert!(!place.gateway.log().contains("999990019"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_queue_cannot_take_waits_through_faults_on_rabbitmq() {
    const ALL: u64 = 2_500;
    let _alone = alone().await;
    let mut place = Place::new().await;
    place.publish(0..ALL).await;
    place.gateway.logs("no room for its AMQP client to take more").await;
    let inbox = place.gateway.client(OPERATOR).get_inbox(&name()).await.unwrap();
    let waiting = u64::from(place.waiting().await);
    assert!((1_000..1_500).contains(&waiting), "{waiting} wait in the queue");
    let left = inbox.depth + inbox.in_flight;
    assert!(left >= ALL - waiting, "{left} in the inbox, {waiting} in the queue");

    let mut client = place.own_client().await;
    let mut came = BTreeSet::new();
    let mut duplicates = 0;
    let mut faults = 0;
    while came.len() < usize::try_from(ALL).unwrap() {
        let delivery = client.next().await;
        duplicates += usize::from(!came.insert(number_of(&delivery)));
        ack(&delivery).await;
        if faults == 0 && came.len() == 300 {
            faults = 1;
            place.gateway.kill().await;
            place.gateway.start_again().await;
        }
        if faults == 1 && came.len() == 900 {
            faults = 2;
            place.rabbitmq.kill().await.unwrap();
            place.rabbitmq.start_again().await.unwrap();
            client = place.own_client().await;
        }
    }
    assert_eq!(faults, 2);
    // What waited in the queue when the gateway looked at it again, and what clients held.
    assert!(duplicates <= 2_000, "{duplicates} came twice");
    let begun = Instant::now();
    loop {
        let inbox = place.gateway.client(OPERATOR).get_inbox(&name()).await.unwrap();
        assert_eq!(inbox.dead_letters, 0);
        if inbox.depth + inbox.in_flight == 0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{} left", inbox.depth);
        while !client.is_quiet().await {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_rejects_is_a_dead_letter_that_can_come_again_on_rabbitmq() {
    let _alone = alone().await;
    let place = Place::new().await;
    place.publish(0..1).await;
    let mut client = place.own_client().await;
    client.next().await.reject(BasicRejectOptions::default()).await.unwrap();
    assert_eq!(place.until_dead(1).await, ["rejected by the AMQP client of its owner"]);
    let operator = place.gateway.client(OPERATOR);
    assert_eq!(operator.redrive(&name(), Which::All).await.unwrap(), 1);
    let again = client.next().await;
    assert_eq!(data_of(&again), json!({ "number": 0, "place": "Utrecht" }));

    // While a client has it, the setting stays.
    let refused = place.set(false).await.unwrap_err().to_string();
    assert!(refused.contains("settings.direct_amqp"), "{refused}");
    client.leave().await;
    place.until_waiting(1).await;
    let begun = Instant::now();
    while let Err(error) = place.set(false).await {
        // RabbitMQ takes a moment to see that the client is gone.
        assert!(begun.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let party = place.gateway.client(PARTY);
    let mut inbox = party.subscribe(name().as_str()).open().await.unwrap();
    let delivery = tokio::time::timeout(PATIENCE, inbox.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(delivery.event().id(), "direct-0");
    delivery.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rabbitmq_there_is_nothing_to_read_directly() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(&format!("{CATALOGUE}{}", grant(r#"["/number"]"#))).await;
    let mut command = std::process::Command::new(wissel_binary());
    command.args(["inboxes", "set", name().as_str(), "direct_amqp=true", "--as", OPERATOR]);
    let output = command.args(["--server", &gateway.url()]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("INVALID_REQUEST") && said.contains("settings.direct_amqp"), "{said}");
    let inbox = gateway.client(OPERATOR).get_inbox(&name()).await.unwrap();
    assert!(!inbox.settings.direct_amqp);
}
