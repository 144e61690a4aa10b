//! What the cases share: names, messages, and waits that end.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;
use wissel_identifiers::Oin;

use crate::{
    Arrival, Bus, BusError, Consumer, Credit, DeadLetter, Delivery, DeliveryTag, Enqueue, Envelope,
    FieldsKey, InboxName, InboxState, MessageId, Page, Settlement,
};

/// What must come has come by then.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What must not come would have come by then.
pub(super) const QUIET: Duration = Duration::from_millis(300);

/// A party of the test range.
pub(super) fn party() -> Oin {
    "00000099000000001000".parse().expect("this OIN is well formed")
}

/// A name that nobody else uses. Of letters: many digits in a row are no name.
pub(super) fn new_name(label: &str) -> InboxName {
    let letter = |half: u8| char::from(b'a' + half);
    let bytes = Uuid::now_v7().into_bytes().into_iter();
    let unique: String = bytes.flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect();
    InboxName::new(party(), &format!("{label}-{unique}")).expect("labels are short and lower-case")
}

/// Opens an inbox that nobody else uses.
pub(super) async fn new_inbox(bus: &dyn Bus, label: &str) -> InboxName {
    let inbox = new_name(label);
    bus.open_inbox(&inbox).await.expect("an inbox opens");
    inbox
}

/// Takes the inboxes away and closes the bus.
pub(super) async fn tidy(bus: &dyn Bus, inboxes: &[&InboxName]) {
    for inbox in inboxes {
        bus.remove_inbox(inbox).await.expect("an inbox can be removed");
    }
    bus.close().await;
}

/// A message of this moment, in whole milliseconds.
pub(super) fn message(event: impl Into<Bytes>) -> Envelope {
    let since_epoch =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    let whole = Duration::new(since_epoch.as_secs(), since_epoch.subsec_millis() * 1_000_000);
    Envelope {
        message_id: MessageId::now(),
        publisher: party(),
        admitted_at: SystemTime::UNIX_EPOCH + whole,
        fields: Some(FieldsKey(u64::MAX)),
        replayed: false,
        event: event.into(),
    }
}

/// Messages whose events are `0`, `1`, and so on.
pub(super) fn numbered(count: usize) -> Vec<Envelope> {
    (0..count).map(|i| message(i.to_string())).collect()
}

/// The number of a numbered message.
pub(super) fn number_of(envelope: &Envelope) -> usize {
    std::str::from_utf8(&envelope.event)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("the event is the number that was enqueued")
}

/// Each message to one inbox.
pub(super) fn to_inbox(inbox: &InboxName, envelopes: &[Envelope]) -> Vec<Enqueue> {
    envelopes.iter().map(|envelope| Enqueue::new(envelope.clone(), vec![inbox.clone()])).collect()
}

/// Enqueues each message to one inbox and sees to it that it is taken.
pub(super) async fn put(bus: &dyn Bus, inbox: &InboxName, envelopes: &[Envelope]) {
    enqueue_all(bus, to_inbox(inbox, envelopes)).await;
}

/// Enqueues and sees to it that every item is taken.
pub(super) async fn enqueue_all(bus: &dyn Bus, items: Vec<Enqueue>) {
    let expected = items.len();
    let answers = timeout(PATIENCE, bus.enqueue(items)).await.expect("enqueue answers in time");
    assert_eq!(answers.len(), expected, "one answer an item");
    for answer in answers {
        answer.expect("the item is taken");
    }
}

/// A consumer with waits that end.
pub(super) struct Reader(pub(super) Consumer);

impl Reader {
    pub(super) async fn of(bus: &dyn Bus, inbox: &InboxName, deliveries: u16) -> Self {
        Self::with(bus, inbox, Credit::of(deliveries)).await
    }

    pub(super) async fn with(bus: &dyn Bus, inbox: &InboxName, credit: Credit) -> Self {
        let consumer = timeout(PATIENCE, bus.consume(inbox, credit)).await;
        Self(consumer.expect("consume answers in time").expect("the inbox can be consumed"))
    }

    /// The next delivery, which must come.
    pub(super) async fn next(&mut self) -> Delivery {
        let arrival =
            timeout(PATIENCE, self.0.arrivals.recv()).await.expect("a delivery comes in time");
        match arrival.expect("the consumer goes on") {
            Arrival::Delivery(delivery) => delivery,
            Arrival::Interrupted => panic!("interrupted although no connection broke"),
        }
    }

    /// The next deliveries, which must come.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::with_capacity(count);
        while deliveries.len() < count {
            deliveries.push(self.next().await);
        }
        deliveries
    }

    /// Nothing may come for a while.
    pub(super) async fn expect_nothing(&mut self, during: Duration) {
        if let Ok(arrival) = timeout(during, self.0.arrivals.recv()).await {
            panic!("nothing was to come, but there was {}", describe(arrival));
        }
    }

    /// The consumer must end; what it still holds passes by.
    pub(super) async fn expect_end(&mut self) {
        let drain = async { while self.0.arrivals.recv().await.is_some() {} };
        timeout(PATIENCE, drain).await.expect("the consumer ends");
    }

    /// Settles one delivery.
    pub(super) async fn settle(
        &self,
        tag: DeliveryTag,
        settlement: Settlement,
    ) -> Result<(), BusError> {
        let mut answers = self.settle_all(vec![(tag, settlement)]).await;
        assert_eq!(answers.len(), 1, "one answer a settlement");
        answers.remove(0)
    }

    pub(super) async fn settle_all(
        &self,
        settlements: Vec<(DeliveryTag, Settlement)>,
    ) -> Vec<Result<(), BusError>> {
        timeout(PATIENCE, self.0.settler.settle(settlements)).await.expect("settle answers in time")
    }

    pub(super) async fn acknowledge(&self, deliveries: &[Delivery]) {
        let settlements =
            deliveries.iter().map(|delivery| (delivery.tag, Settlement::Acknowledge)).collect();
        for answer in self.settle_all(settlements).await {
            answer.expect("a held delivery can be acknowledged");
        }
    }

    /// Takes so many and makes dead letters of them.
    pub(super) async fn bury(&mut self, count: usize, reason: &str) {
        for _ in 0..count {
            let delivery = self.next().await;
            self.settle(delivery.tag, Settlement::dead_letter(reason))
                .await
                .expect("a held delivery can be dead-lettered");
        }
    }
}

fn describe(arrival: Option<Arrival>) -> String {
    match arrival {
        Some(Arrival::Delivery(delivery)) => {
            format!("delivery {} attempt {}", delivery.tag.0, delivery.attempt)
        }
        Some(Arrival::Interrupted) => "an interruption".to_owned(),
        None => "the end".to_owned(),
    }
}

/// Inspects until the state is as expected. `oldest` is not compared.
pub(super) async fn expect_state(bus: &dyn Bus, inbox: &InboxName, expected: InboxState) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut state = inspect(bus, inbox).await;
        state.oldest = None;
        if state == expected {
            return;
        }
        assert!(Instant::now() < deadline, "expected {expected:?}, found {state:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Inspects until the oldest message is as expected.
pub(super) async fn expect_oldest(bus: &dyn Bus, inbox: &InboxName, expected: Option<SystemTime>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let oldest = inspect(bus, inbox).await.oldest;
        if oldest == expected {
            return;
        }
        assert!(Instant::now() < deadline, "expected oldest {expected:?}, found {oldest:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A depth is held against what is expected as it is, whether the bus is sure of it or not.
async fn inspect(bus: &dyn Bus, inbox: &InboxName) -> InboxState {
    let state = timeout(PATIENCE, bus.inspect(inbox))
        .await
        .expect("inspect answers in time")
        .expect("the inbox can be inspected");
    InboxState { depth_is_least: false, ..state }
}

/// All dead letters, once there are as many as expected.
pub(super) async fn dead_letters_once(
    bus: &dyn Bus,
    inbox: &InboxName,
    count: usize,
) -> Vec<DeadLetter> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let everything = Page { after: None, limit: 10_000 };
        let found = bus.dead_letters(inbox, everything).await.expect("dead letters can be listed");
        if found.len() == count {
            return found;
        }
        assert!(Instant::now() < deadline, "expected {count} dead letters, found {}", found.len());
        sleep(Duration::from_millis(50)).await;
    }
}

/// To come again not before `after`.
pub(super) fn retry(after: Duration) -> Settlement {
    Settlement::Retry { after, reason: "not now".to_owned() }
}

/// The messages of the deliveries.
pub(super) fn envelopes_of(deliveries: &[Delivery]) -> Vec<Envelope> {
    deliveries.iter().map(|delivery| delivery.envelope.clone()).collect()
}
