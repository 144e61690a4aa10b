//! Those who publish, and what they have written down of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wissel_client::{Client, ClientError, Publisher, PublisherOptions, Receipt};
use wissel_message::Event;

use super::messages::{Message, Place};

/// How long publishing goes on trying before its outcome counts as unknown.
const GIVE_UP_AFTER: Duration = Duration::from_millis(900);
/// Of a hundred messages with a receipt, so many are published again.
const REPEATED_OF_100: u32 = 8;

/// Makes the clients of a publisher: a new one is a new connection.
pub(super) type MakeClient = Arc<dyn Fn() -> Client + Send + Sync>;

/// What a publisher knows of what it published.
#[derive(Default)]
pub(super) struct PublisherLedger {
    sent: Mutex<BTreeMap<String, Sent>>,
}

/// What a publisher knows of one message.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Where it is among those of its subject, when that has an order.
    pub(super) place: Option<Place>,
    /// When it was published first.
    pub(super) at: Instant,
    /// How many times it was published and nothing was known of it afterwards.
    pub(super) unknown: u32,
    /// Its receipt, and when that came.
    pub(super) receipt: Option<(Note, Instant)>,
    /// The receipts of the same message published again, and when.
    pub(super) repeats: Vec<(Note, Instant)>,
    /// What it was refused with.
    pub(super) refused: Option<String>,
}

/// The part of a receipt that is of use here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Wissel's own id.
    pub(super) message_id: Uuid,
    /// The inboxes, sorted.
    pub(super) inboxes: Vec<String>,
    /// Whether it is the first receipt again.
    pub(super) repeated: bool,
}

impl PublisherLedger {
    /// A copy of all that was written down, by message.
    pub(super) fn sent(&self) -> BTreeMap<String, Sent> {
        self.sent.lock().unwrap().clone()
    }

    fn publishes(&self, message: &Message) {
        let sent = Sent {
            place: message.place,
            at: Instant::now(),
            unknown: 0,
            receipt: None,
            repeats: Vec::new(),
            refused: None,
        };
        let before = self.sent.lock().unwrap().insert(message.id().to_owned(), sent);
        assert!(before.is_none(), "{} is published twice as new", message.id());
    }

    /// Writes an outcome down. False when it is still to be had.
    fn outcome(&self, id: &str, outcome: Result<Receipt, ClientError>) -> bool {
        let mut ledger = self.sent.lock().unwrap();
        let sent = ledger.get_mut(id).unwrap();
        match outcome {
            Ok(receipt) => {
                let note = (Note::of(&receipt), Instant::now());
                match &sent.receipt {
                    None => sent.receipt = Some(note),
                    Some(_) => sent.repeats.push(note),
                }
                true
            }
            Err(ClientError::Refused(refusal)) => {
                sent.refused = Some(refusal.to_string());
                true
            }
            Err(_) => {
                sent.unknown += u32::from(sent.receipt.is_none());
                false
            }
        }
    }
}

impl Note {
    fn of(receipt: &Receipt) -> Self {
        let mut inboxes: Vec<String> = receipt.inboxes.iter().map(ToString::to_string).collect();
        inboxes.sort();
        Self { message_id: receipt.message_id, inboxes, repeated: receipt.repeated }
    }
}

/// Publishes the messages of one subject in their order: each when the one before it has
/// its receipt. Some are published again with their receipt in hand, and the first one at the
/// end.
pub(super) async fn publish_in_order(
    make: MakeClient,
    messages: Vec<Message>,
    pace: Duration,
    ledger: Arc<PublisherLedger>,
    seed: u64,
) {
    let mut dice = StdRng::seed_from_u64(seed);
    let client = make();
    let first = messages.first().map(|message| message.event.clone());
    for message in messages {
        ledger.publishes(&message);
        until_known(&client, &message.event, &ledger).await;
        if dice.random_ratio(REPEATED_OF_100, 100) {
            until_known(&client, &message.event, &ledger).await;
        }
        tokio::time::sleep(pace).await;
    }
    if let Some(first) = first {
        until_known(&client, &first, &ledger).await;
    }
}

/// Publishes over a stream and waits for nothing in between. Who dies forgets what it had
/// no receipt of, and publishes that again as another publisher.
pub(super) async fn publish_a_stream(
    make: MakeClient,
    messages: Vec<Message>,
    pace: Duration,
    ledger: Arc<PublisherLedger>,
    death: CancellationToken,
) {
    let options = PublisherOptions::default().give_up_after(GIVE_UP_AFTER);
    let mut client = make();
    let mut publisher = Some(client.publisher_with(options.clone()));
    let mut outcomes: JoinSet<Option<Event>> = JoinSet::new();
    let mut pulse = tokio::time::interval(pace);
    let mut died = false;
    for message in messages {
        pulse.tick().await;
        if death.is_cancelled() && !died {
            died = true;
            // With its connection.
            drop(publisher.take());
            client = make();
        }
        let open = publisher.get_or_insert_with(|| client.publisher_with(options.clone()));
        send(open, message, &ledger, &mut outcomes).await;
    }
    let mut again = Vec::new();
    while let Some(outcome) = outcomes.join_next().await {
        again.extend(outcome.unwrap());
    }
    for event in again {
        until_known(&client, &event, &ledger).await;
    }
    if let Some(publisher) = publisher {
        publisher.close().await.unwrap();
    }
}

/// Hands a message to the stream; the outcome is the message itself when it is to be
/// published again.
async fn send(
    publisher: &Publisher,
    message: Message,
    ledger: &Arc<PublisherLedger>,
    outcomes: &mut JoinSet<Option<Event>>,
) {
    ledger.publishes(&message);
    let pending = publisher.send(&message.event).await;
    let ledger = Arc::clone(ledger);
    outcomes.spawn(async move {
        let outcome = match pending {
            Ok(pending) => pending.await,
            Err(error) => Err(error),
        };
        let is_known = ledger.outcome(message.id(), outcome);
        (!is_known).then_some(message.event)
    });
}

/// Publishes until there is an outcome.
async fn until_known(client: &Client, event: &Event, ledger: &PublisherLedger) {
    while !ledger.outcome(event.id(), client.publish(event).await) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
