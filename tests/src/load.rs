use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wissel_message::Event;

use crate::{Gateway, PARTIES, REGISTRY};

/// A publisher and subscribers at work, each with a ledger.
pub struct Load {
    ledgers: Arc<Ledgers>,
    stop_publishing: CancellationToken,
    stop_receiving: CancellationToken,
    publishing: JoinSet<()>,
    receiving: JoinSet<()>,
}

#[derive(Default)]
struct Ledgers {
    /// By message id: the inboxes on its receipt.
    receipts: Mutex<BTreeMap<String, BTreeSet<String>>>,
    /// By message id: the inboxes it came to, each as often as it came.
    deliveries: Mutex<BTreeMap<String, Vec<String>>>,
    /// Messages that got no receipt.
    failures: Mutex<Vec<String>>,
}

/// Every second message is for Utrecht, the others for Zwolle.
pub fn gemeente_of(number: u64) -> &'static str {
    if number.is_multiple_of(2) { "0344" } else { "0193" }
}

/// The message of this number.
pub fn event(run: &str, number: u64) -> Event {
    Event::builder(
        format!("{run}-{number}"),
        format!("urn:nld:oin:{REGISTRY}:systeem:BRP"),
        "nl.brp.geboorte",
    )
    .subject("999990019")
    .extension("gemeente", gemeente_of(number))
    .data_text("application/json", format!(r#"{{"bsn":"999990019","number":{number}}}"#))
    .build()
    .unwrap()
}

impl Load {
    /// Begins to publish, about `rate` messages a second, and to receive in every
    /// inbox.
    pub fn start(gateway: &Gateway, run: &str, rate: u32) -> Self {
        let mut load = Self {
            ledgers: Arc::default(),
            stop_publishing: CancellationToken::new(),
            stop_receiving: CancellationToken::new(),
            publishing: JoinSet::new(),
            receiving: JoinSet::new(),
        };
        for party in PARTIES {
            load.receive(gateway, party);
        }
        let publisher = gateway.client(REGISTRY).publisher();
        let (ledgers, stop, run) =
            (Arc::clone(&load.ledgers), load.stop_publishing.clone(), run.to_owned());
        load.publishing.spawn(async move {
            let mut pulse = tokio::time::interval(Duration::from_secs(1) / rate);
            let mut receipts = JoinSet::new();
            let mut number = 0;
            while !stop.is_cancelled() {
                pulse.tick().await;
                let event = event(&run, number);
                number += 1;
                let pending = publisher.send(&event).await.unwrap();
                let ledgers = Arc::clone(&ledgers);
                receipts.spawn(async move {
                    match pending.await {
                        Ok(receipt) => ledgers.receipt(&receipt),
                        Err(error) => ledgers.failures.lock().unwrap().push(error.to_string()),
                    }
                });
            }
            while receipts.join_next().await.is_some() {}
        });
        load
    }

    fn receive(&mut self, gateway: &Gateway, party: &str) {
        let client = gateway.client(party);
        let (ledgers, stop) = (Arc::clone(&self.ledgers), self.stop_receiving.clone());
        let name = format!("{party}.inbox");
        self.receiving.spawn(async move {
            let mut inbox = loop {
                match client.subscribe(name.as_str()).credit(200).open().await {
                    Ok(inbox) => break inbox,
                    Err(error) if error.is_retryable() => {}
                    Err(error) => panic!("{name}: {error}"),
                }
            };
            loop {
                let next = tokio::select! {
                    () = stop.cancelled() => break,
                    next = inbox.next() => next,
                };
                let delivery = next.unwrap().expect("an inbox does not end by itself");
                ledgers.delivery(delivery.event(), &name);
                // A lease that was lost on the way makes a duplicate, which is allowed.
                let _ = delivery.acknowledge().await;
            }
            let _ = inbox.close().await;
        });
    }

    /// How many messages have a receipt.
    pub fn receipts(&self) -> usize {
        self.ledgers.receipts.lock().unwrap().len()
    }

    /// Waits until so many more messages have a receipt.
    pub async fn progress(&self, more: usize) {
        let goal = self.receipts() + more;
        let begun = Instant::now();
        while self.receipts() < goal {
            assert!(begun.elapsed() < Duration::from_secs(60), "publishing does not go on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops publishing, waits until everything with a receipt was delivered, and
    /// compares the ledgers. Says how many messages had a receipt, and how many
    /// deliveries came more than once.
    pub async fn finish(mut self, gateway: &Gateway) -> (usize, usize) {
        self.stop_publishing.cancel();
        while let Some(ended) = self.publishing.join_next().await {
            ended.unwrap();
        }
        let begun = Instant::now();
        while let Some(missing) = self.ledgers.missing() {
            let patient = begun.elapsed() < Duration::from_secs(60);
            let log = gateway.log();
            let log = &log[log.len().saturating_sub(3_000)..];
            assert!(patient, "{missing}; the gateway's log ends with:\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.stop_receiving.cancel();
        while let Some(ended) = self.receiving.join_next().await {
            ended.unwrap();
        }
        self.ledgers.check_nothing_is_wrong();
        let failures = self.ledgers.failures.lock().unwrap();
        assert!(
            failures.is_empty(),
            "{} without a receipt: {:?}",
            failures.len(),
            failures.first()
        );
        (self.ledgers.receipts.lock().unwrap().len(), self.ledgers.duplicates())
    }
}

impl Ledgers {
    fn receipt(&self, receipt: &wissel_client::Receipt) {
        let inboxes = receipt.inboxes.iter().map(ToString::to_string).collect();
        let before = self.receipts.lock().unwrap().insert(receipt.id.clone(), inboxes);
        assert!(before.is_none(), "two receipts for {}", receipt.id);
    }

    fn delivery(&self, event: &Event, inbox: &str) {
        let mut deliveries = self.deliveries.lock().unwrap();
        deliveries.entry(event.id().to_owned()).or_default().push(inbox.to_owned());
    }

    /// A message with a receipt that has not come to one of its inboxes.
    fn missing(&self) -> Option<String> {
        let receipts = self.receipts.lock().unwrap();
        let deliveries = self.deliveries.lock().unwrap();
        let lacking = |id: &String, inbox: &String| {
            deliveries.get(id).is_none_or(|came| !came.contains(inbox))
        };
        let mut missing =
            receipts.iter().flat_map(|(id, inboxes)| inboxes.iter().map(move |inbox| (id, inbox)));
        missing.find(|(id, inbox)| lacking(id, inbox)).map(|(id, inbox)| {
            let count = receipts
                .iter()
                .filter(|(id, inboxes)| inboxes.iter().any(|inbox| lacking(id, inbox)))
                .count();
            format!("{count} messages are missing, such as {id} in {inbox}")
        })
    }

    /// Receipts name the inboxes they should, and nothing came elsewhere.
    fn check_nothing_is_wrong(&self) {
        let right = |id: &str| -> BTreeSet<String> {
            let number: u64 = id.rsplit('-').next().unwrap().parse().unwrap();
            let own = if gemeente_of(number) == "0344" { PARTIES[0] } else { PARTIES[1] };
            [own, PARTIES[2]].iter().map(|party| format!("{party}.inbox")).collect()
        };
        for (id, inboxes) in &*self.receipts.lock().unwrap() {
            assert_eq!(*inboxes, right(id), "the receipt of {id}");
        }
        for (id, came) in &*self.deliveries.lock().unwrap() {
            let right = right(id);
            assert!(came.iter().all(|inbox| right.contains(inbox)), "{id} came to {came:?}");
        }
    }

    fn duplicates(&self) -> usize {
        let deliveries = self.deliveries.lock().unwrap();
        let more = |came: &Vec<String>| came.len() - came.iter().collect::<BTreeSet<_>>().len();
        deliveries.values().map(more).sum()
    }
}
