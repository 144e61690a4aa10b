//! An inbox is no longer read by an AMQP client of its owner, which takes long.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "common/direct.rs"]
mod queues;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use wissel_broker::{Broker, BrokerOptions, Inbox, Refusal};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_store::{InboxSettings, Store};

use self::common::{CATALOGUE, RECEIVER, REGISTRY, event, inbox, operator, party, subscription};
use self::queues::DirectBus;

/// Much longer than a change takes that waits for nothing.
const SOON: Duration = Duration::from_secs(10);
/// So long it is looked whether something does not happen.
const WHILE: Duration = Duration::from_millis(300);

struct Place {
    broker: Arc<Broker>,
    bus: Arc<DirectBus>,
    begins: UnboundedReceiver<()>,
    _directory: tempfile::TempDir,
}

impl Place {
    /// A message of the inbox is being handed over, and is until the test lets it be done.
    async fn handing_over() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.path())).unwrap();
        let (bus, begins) = DirectBus::new(Arc::new(bus));
        let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
        let store = Store::in_memory().unwrap();
        let options = BrokerOptions::default();
        let broker = Broker::start(Arc::clone(&bus) as _, store, catalogue, options).await.unwrap();
        broker.prepared().await;
        let mut place = Self { broker, bus, begins, _directory: directory };
        place
            .change(|before| InboxSettings { direct_amqp: true, ..before })
            .await
            .unwrap()
            .unwrap();
        place.publish("first").await;
        place.hands_over().await;
        place
    }

    fn change(
        &self,
        change: impl FnOnce(InboxSettings) -> InboxSettings + Send + 'static,
    ) -> JoinHandle<Result<Inbox, Refusal>> {
        let broker = Arc::clone(&self.broker);
        tokio::spawn(async move { broker.set_inbox(&operator(), &inbox("inbox"), change).await })
    }

    fn end(&self) -> JoinHandle<Result<Inbox, Refusal>> {
        self.change(|before| InboxSettings { direct_amqp: false, ..before })
    }

    /// Waits until the forwarder is told to end: what it has in hand is being handed over still.
    async fn is_ending(&self, ending: &JoinHandle<Result<Inbox, Refusal>>) {
        tokio::time::sleep(WHILE).await;
        assert!(!ending.is_finished());
    }

    async fn publish(&self, id: &str) {
        let frames = vec![event(id).build().unwrap().encode()];
        self.broker.publish(&party(REGISTRY), frames).await.remove(0).unwrap();
    }

    /// Another batch begins to be handed over.
    async fn hands_over(&mut self) {
        tokio::time::timeout(SOON, self.begins.recv()).await.unwrap();
    }

    async fn until_handed_over(&self, count: usize) {
        let handed_over = async {
            while self.bus.queues.handed_over.load(SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, handed_over).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_forwarder_ends_all_others_change_what_is_theirs() {
    let mut place = Place::handing_over().await;
    let ending = place.end();
    place.is_ending(&ending).await;

    let paused = |before| InboxSettings { paused: true, ..before };
    let others = async {
        let other = place.broker.set_inbox(&operator(), &inbox("second"), paused).await.unwrap();
        assert!(other.settings.paused);
        let more = subscription("more");
        place.broker.create_subscription(&party(RECEIVER), more).await.unwrap();
        let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
        place.broker.replace_catalogue(catalogue).await.unwrap();
    };
    tokio::time::timeout(SOON, others).await.expect("nobody waits for the forwarder");

    // A second change of the same inbox has its turn, with what the first came to.
    let second = place.change(paused);
    tokio::time::sleep(WHILE).await;
    assert!(!ending.is_finished() && !second.is_finished());
    place.bus.queues.may_hand_over.add_permits(1);
    assert!(!ending.await.unwrap().unwrap().settings.direct_amqp);
    let settings = second.await.unwrap().unwrap().settings;
    assert!(settings.paused && !settings.direct_amqp, "{settings:?}");

    // What came in the end was acknowledged, and nothing more is handed over.
    place.change(|before| InboxSettings { paused: false, ..before }).await.unwrap().unwrap();
    place.publish("later").await;
    let state = place.broker.inbox(&operator(), &inbox("inbox")).await.unwrap().state;
    assert_eq!((state.depth, state.consumers), (1, 0));
    assert!(place.begins.try_recv().is_err());
    let queues = &place.bus.queues;
    let counted = [&queues.opened, &queues.handed_over, &queues.removed];
    // Once when it was set, and once by its only forwarder.
    assert_eq!(counted.map(|count| count.load(SeqCst)), [2, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_was_refused_it_is_forwarded_as_before() {
    let mut place = Place::handing_over().await;
    place.bus.queues.is_in_use.store(true, SeqCst);
    let ending = place.end();
    place.is_ending(&ending).await;
    place.bus.queues.may_hand_over.add_permits(2);
    let refusal = ending.await.unwrap().unwrap_err();
    assert!(refusal.to_string().contains("a client consumes its queue"), "{refusal}");
    place.publish("later").await;
    place.hands_over().await;
    place.until_handed_over(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_the_change_leaves_one_forwarder_and_never_two() {
    let mut place = Place::handing_over().await;
    let ending = place.end();
    place.is_ending(&ending).await;
    ending.abort();
    assert!(ending.await.unwrap_err().is_cancelled());
    place.publish("later").await;
    // The one before has its message in hand still, so the next one does nothing.
    tokio::time::sleep(WHILE).await;
    assert!(place.begins.try_recv().is_err());
    place.bus.queues.may_hand_over.add_permits(2);
    place.hands_over().await;
    place.until_handed_over(2).await;
    assert!(!place.bus.queues.were_two.load(SeqCst));
}

/// A bus counts the inboxes that somebody asks for, as one on RabbitMQ does: a limit is to hold
/// from the first message on.
#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_gets_a_limit_is_counted_before_a_message_comes() {
    let place = Place::handing_over().await;
    assert_eq!(place.bus.levels.load(SeqCst), 0);
    let limited = |before| InboxSettings { max_deliveries: Some(5), ..before };
    place.change(limited).await.unwrap().unwrap();
    assert!(place.bus.levels.load(SeqCst) > 0);
}
