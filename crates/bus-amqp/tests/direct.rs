//! Queues that parties read themselves, on a RabbitMQ.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use wissel_bus::{
    Arrival, Bus, Credit, DeadLetter, DirectMessage, DirectQueues, DirectValue, Envelope, Handed,
    InboxName, Judgement, MessageId, Page, Removal, Reviewed,
};
use wissel_bus_amqp::{AmqpBus, AmqpOptions};

const PATIENCE: Duration = Duration::from_secs(30);

struct Place {
    bus: AmqpBus,
    url: String,
    inbox: InboxName,
}

/// A party's own client.
struct OwnClient {
    channel: Channel,
    consumer: lapin::Consumer,
    connection: Connection,
}

impl Place {
    async fn new(local: &str) -> Self {
        let url = wissel_testkit::shared_rabbitmq_url().await.unwrap();
        let bus = AmqpBus::connect(AmqpOptions::new(&url)).unwrap();
        let inbox = format!("00000001002220647000.{local}").parse().unwrap();
        let place = Self { bus, url, inbox };
        place.bus.open_inbox(&place.inbox).await.unwrap();
        place.queues().open(&place.inbox).await.unwrap();
        // Again, which changes nothing.
        place.queues().open(&place.inbox).await.unwrap();
        place
    }

    fn queues(&self) -> &dyn DirectQueues {
        self.bus.direct().unwrap()
    }

    async fn hand_over(&self, messages: &[DirectMessage]) -> Vec<Handed> {
        let answers = self.queues().hand_over(&self.inbox, messages).await;
        answers.into_iter().map(Result::unwrap).collect()
    }

    async fn own_client(&self, prefetch: u16) -> OwnClient {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await;
        let connection = connection.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.unwrap();
        let queue = format!("wissel.direct.{}", self.inbox).into();
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        OwnClient { consumer: consumer.await.unwrap(), channel, connection }
    }

    async fn dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let begun = Instant::now();
        loop {
            let page = Page { after: None, limit: 100 };
            let found = self.bus.dead_letters(&self.inbox, page).await.unwrap();
            if found.len() == count {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{} dead letters", found.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl OwnClient {
    async fn next(&mut self) -> Delivery {
        let next = tokio::time::timeout(PATIENCE, self.consumer.next()).await;
        next.unwrap().unwrap().unwrap()
    }

    /// Gives back what it holds.
    async fn leave(self) {
        self.channel.close(200, "bye".into()).await.unwrap();
        self.connection.close(200, "bye".into()).await.unwrap();
    }
}

async fn ack(delivery: &Delivery) {
    delivery.ack(BasicAckOptions::default()).await.unwrap();
}

fn text(text: &str) -> DirectValue {
    DirectValue::Text(text.to_owned())
}

fn message(id: &str) -> DirectMessage {
    DirectMessage {
        envelope: Envelope {
            message_id: MessageId::now(),
            publisher: "00000099000000001000".parse().unwrap(),
            admitted_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123),
            fields: None,
            replayed: false,
            event: format!("head of {id};data of {id}").into(),
        },
        data_length: format!("data of {id}").len(),
        content_type: Some("text/plain".to_owned()),
        attributes: vec![("id".to_owned(), text(id))],
        expires_at: None,
    }
}

fn id_of(delivery: &Delivery) -> String {
    match delivery.properties.headers().as_ref().unwrap().inner().get("cloudEvents:id") {
        Some(AMQPValue::LongString(id)) => id.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_headers_of_their_types_and_data_is_the_body() {
    let place = Place::new("soorten").await;
    let values = [
        ("waar", DirectValue::Boolean(true), AMQPValue::Boolean(true)),
        ("aantal", DirectValue::Integer(-7), AMQPValue::LongLongInt(-7)),
        (
            "time",
            text("2026-11-24T10:00:00Z"),
            AMQPValue::LongString("2026-11-24T10:00:00Z".into()),
        ),
        (
            "ruw",
            DirectValue::Bytes(Bytes::from_static(&[0, 255])),
            AMQPValue::ByteArray(vec![0, 255].into()),
        ),
    ];
    let attributes = values.iter().map(|(name, value, _)| ((*name).to_owned(), value.clone()));
    let full = DirectMessage { attributes: attributes.collect(), ..message("1") };
    let bare = DirectMessage { content_type: None, data_length: 0, ..message("2") };
    assert_eq!(place.hand_over(&[full, bare]).await, [Handed::Durable; 2]);

    let mut client = place.own_client(10).await;
    let delivery = client.next().await;
    let headers = delivery.properties.headers().as_ref().unwrap().inner();
    let mut ours = headers.iter().filter(|(name, _)| name.as_str().starts_with("cloudEvents:"));
    let expected: BTreeMap<String, AMQPValue> =
        values.map(|(name, _, value)| (format!("cloudEvents:{name}"), value)).into();
    assert!(ours.all(|(name, value)| expected[name.as_str()] == *value), "{headers:?}");
    assert_eq!(headers.keys().filter(|name| expected.contains_key(name.as_str())).count(), 4);
    assert_eq!(delivery.properties.content_type().as_ref().unwrap().as_str(), "text/plain");
    assert_eq!(*delivery.properties.delivery_mode(), Some(2));
    assert_eq!(delivery.data, b"data of 1");
    let bare = client.next().await;
    assert!(bare.properties.content_type().is_none() && bare.data.is_empty());
    place.bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_rejects_or_lets_wait_is_a_dead_letter_with_the_whole_event() {
    let place = Place::new("dood").await;
    let expires_at = Some(SystemTime::now() + Duration::from_millis(300));
    let expiring = DirectMessage { expires_at, ..message("2") };
    // What its publisher calls its data changes nothing of that.
    let content_type = Some("application/vnd.wissel.pack.v1".to_owned());
    place.hand_over(&[DirectMessage { content_type, ..message("1") }]).await;
    let mut client = place.own_client(1).await;
    let rejected = client.next().await;
    place.hand_over(&[expiring]).await;
    place.dead_letters(1).await;
    rejected.reject(BasicRejectOptions::default()).await.unwrap();

    let mut dead = place.dead_letters(2).await;
    dead.sort_by(|one, other| one.envelope.event.cmp(&other.envelope.event));
    let told: Vec<(&[u8], &str, u32)> = dead
        .iter()
        .map(|one| (&one.envelope.event[..], one.reason.as_str(), one.attempts))
        .collect();
    let expired = "expired: it waited too long for the AMQP client of its owner";
    // Waiting is no attempt.
    let expected: [(&[u8], &str, u32); 2] = [
        (b"head of 1;data of 1", "rejected by the AMQP client of its owner", 1),
        (b"head of 2;data of 2", expired, 0),
    ];
    assert_eq!(told, expected);
    for one in &dead {
        let age = SystemTime::now().duration_since(one.died_at).unwrap();
        assert!(age < Duration::from_secs(60), "{age:?}");
    }
    // And back in the inbox as any other.
    let all = wissel_bus::Selection::All;
    assert_eq!(place.bus.redrive(&place.inbox, &all, &place.inbox).await.unwrap(), 2);
    let mut consumer = place.bus.consume(&place.inbox, Credit::of(10)).await.unwrap();
    for _ in 0..2 {
        let arrival = tokio::time::timeout(PATIENCE, consumer.arrivals.recv()).await.unwrap();
        let Some(Arrival::Delivery(delivery)) = arrival else { panic!("{arrival:?}") };
        assert!(delivery.envelope.event.starts_with(b"head of "));
    }
    place.bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_too_often_is_a_dead_letter() {
    let place = Place::new("vaak").await;
    place.hand_over(&[message("1")]).await;
    for _ in 0..21 {
        let mut client = place.own_client(1).await;
        client.next().await;
        client.leave().await;
    }
    let dead = place.dead_letters(1).await;
    assert!(dead[0].reason.starts_with("came back 21 times"), "{}", dead[0].reason);
    place.bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_no_more_until_there_is_room() {
    let place = Place::new("vol").await;
    let mut durable = 0;
    let mut number = 0;
    let mut full = 0;
    // It takes somewhat more, as it says so a little later.
    while full == 0 && number < 3_000 {
        let messages: Vec<DirectMessage> =
            (number..number + 100).map(|number| message(&number.to_string())).collect();
        number += 100;
        let answers = place.hand_over(&messages).await;
        durable += answers.iter().filter(|answer| **answer == Handed::Durable).count();
        full += answers.iter().filter(|answer| **answer == Handed::Full).count();
    }
    assert!(full > 0 && (1_000..1_500).contains(&durable), "{durable} durable, {full} full");
    let mut client = place.own_client(2_000).await;
    for _ in 0..durable {
        ack(&client.next().await).await;
    }
    // It sees a little later that there is room.
    let begun = Instant::now();
    while place.hand_over(&[message("again")]).await != [Handed::Durable] {
        assert!(begun.elapsed() < PATIENCE, "there is room");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(id_of(&client.next().await), "again", "what was refused is there");
    place.bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_keeps_changes_and_buries_what_waits_in_its_order() {
    let place = Place::new("herzien").await;
    let judge = |envelope: &Envelope| {
        let event = String::from_utf8(envelope.event.to_vec()).unwrap();
        let (_, id) = event.rsplit_once(' ').unwrap();
        if id == "2" {
            return Judgement::Bury("no right to it".to_owned());
        }
        let changed = if id == "3" { message("3-changed") } else { message(id) };
        Judgement::Keep(Box::new(changed))
    };
    let none = place.queues().review(&place.inbox, &judge).await.unwrap();
    assert_eq!(none, Reviewed::default());

    let ids = ["0", "1", "2", "3", "4"];
    place.hand_over(&ids.map(message)).await;
    let mut client = place.own_client(1).await;
    let held = client.next().await;
    let reviewed = place.queues().review(&place.inbox, &judge).await.unwrap();
    assert_eq!(reviewed, Reviewed { kept: 3, buried: 1 });
    let dead = place.dead_letters(1).await;
    assert_eq!(
        (&*dead[0].reason, dead[0].attempts, &dead[0].envelope.event[..]),
        ("no right to it", 0, &b"head of 2;data of 2"[..])
    );
    ack(&held).await;
    for expected in ["1", "3-changed", "4"] {
        let delivery = client.next().await;
        assert_eq!(id_of(&delivery), expected);
        assert!(!delivery.redelivered);
        ack(&delivery).await;
    }
    place.hand_over(&[message("after")]).await;
    assert_eq!(id_of(&client.next().await), "after", "something came twice");
    place.bus.close().await;
}

/// A quorum queue forgets most acknowledgements of a burst when the channel closes right after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_review_of_many_doubles_none() {
    const MANY: usize = 900;
    let place = Place::new("veel").await;
    let all: Vec<DirectMessage> = (0..MANY).map(|number| message(&number.to_string())).collect();
    assert!(place.hand_over(&all).await.iter().all(|one| *one == Handed::Durable));
    let judge = |envelope: &Envelope| {
        let event = String::from_utf8(envelope.event.to_vec()).unwrap();
        let (_, id) = event.rsplit_once(' ').unwrap();
        Judgement::Keep(Box::new(message(id)))
    };
    let reviewed = place.queues().review(&place.inbox, &judge).await.unwrap();
    assert_eq!(reviewed, Reviewed { kept: MANY as u64, buried: 0 });
    place.hand_over(&[message("last")]).await;
    let mut client = place.own_client(500).await;
    for number in 0..MANY {
        let delivery = client.next().await;
        assert_eq!(id_of(&delivery), number.to_string());
        ack(&delivery).await;
    }
    assert_eq!(id_of(&client.next().await), "last", "something came twice");
    place.bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_goes_gives_back_what_waits_and_stays_while_a_client_consumes() {
    let place = Place::new("weg").await;
    place.hand_over(&["1", "2", "3"].map(message)).await;
    let mut client = place.own_client(1).await;
    client.next().await;
    assert_eq!(place.queues().remove(&place.inbox).await.unwrap(), Removal::InUse);
    client.leave().await;
    // RabbitMQ takes a moment to see that it is gone.
    let begun = Instant::now();
    while place.queues().remove(&place.inbox).await.unwrap() == Removal::InUse {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(place.queues().remove(&place.inbox).await.unwrap(), Removal::Removed);
    let mut consumer = place.bus.consume(&place.inbox, Credit::of(10)).await.unwrap();
    for expected in ["head of 1;data of 1", "head of 2;data of 2", "head of 3;data of 3"] {
        let arrival = tokio::time::timeout(PATIENCE, consumer.arrivals.recv()).await.unwrap();
        let Some(Arrival::Delivery(delivery)) = arrival else { panic!("{arrival:?}") };
        assert_eq!(delivery.envelope.event, expected.as_bytes());
    }
    place.bus.close().await;
}
