//! Those who receive, and what they have written down of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use uuid::Uuid;
use wissel_client::{ClientError, Delivery, OpenInbox};

use super::messages::is_poison;
use super::plan::Habits;
use super::publisher::MakeClient;

/// What the subscribers of one inbox know of what came, in its order.
#[derive(Default)]
pub(super) struct InboxLedger {
    entries: Mutex<Vec<Came>>,
    /// What ended a subscriber that should have gone on.
    failures: Mutex<Vec<String>>,
}

/// A delivery, as its subscriber saw it.
#[derive(Clone, Debug)]
pub(super) struct Came {
    /// The message's id.
    pub(super) id: String,
    /// Wissel's own id of it.
    pub(super) message_id: Uuid,
    /// How many times it had come by Wissel's count, this time included.
    pub(super) attempt: u32,
    /// The temper of its subscriber.
    pub(super) temper: Temper,
    /// When.
    pub(super) at: Instant,
    /// What was made of it.
    pub(super) settled: Option<Settled>,
}

/// What a subscriber made of a delivery, before the gateway heard of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    /// What.
    pub(super) verdict: Verdict,
    /// When.
    pub(super) at: Instant,
    /// How many deliveries had come to the inbox by then.
    pub(super) after: usize,
    /// Whether its lease had ended, by the clock.
    pub(super) late: bool,
}

/// What a subscriber decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Done.
    Acknowledged,
    /// To come again.
    Retried,
    /// Given up on.
    Rejected,
}

/// How subscribers are, at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Temper {
    /// As their habits are.
    Rough,
    /// Everything is acknowledged but what is never got done.
    Willing,
    /// Everything is acknowledged.
    Perfect,
}

/// What the subscribers of an inbox are told. The counts grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Orders {
    pub(super) temper: Temper,
    pub(super) deaths: u32,
    pub(super) stalls: u32,
    pub(super) stall: Duration,
    pub(super) close: bool,
}

/// A subscriber.
pub(super) struct Subscriber {
    pub(super) make: MakeClient,
    /// The number of its inbox, and its name.
    pub(super) inbox: (usize, String),
    pub(super) lease: Duration,
    pub(super) habits: Habits,
    pub(super) ledger: Arc<InboxLedger>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) seed: u64,
}

impl InboxLedger {
    /// A copy of all that was written down, in order.
    pub(super) fn entries(&self) -> Vec<Came> {
        self.entries.lock().unwrap().clone()
    }

    /// What ended subscribers.
    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }

    /// Writes down that a delivery came; answers its number.
    fn came(&self, delivery: &Delivery, temper: Temper) -> usize {
        let mut entries = self.entries.lock().unwrap();
        entries.push(Came {
            id: delivery.event().id().to_owned(),
            message_id: delivery.message_id(),
            attempt: delivery.attempt(),
            temper,
            at: Instant::now(),
            settled: None,
        });
        entries.len() - 1
    }

    /// Before the gateway can know of it: what it does thereupon comes later.
    fn settles(&self, number: usize, verdict: Verdict, lease_ends_at: SystemTime) {
        let mut entries = self.entries.lock().unwrap();
        let after = entries.len();
        let late = SystemTime::now() >= lease_ends_at;
        entries[number].settled = Some(Settled { verdict, at: Instant::now(), after, late });
    }

    /// The settlement was not taken: it is as if there was none.
    fn did_not_settle(&self, number: usize) {
        self.entries.lock().unwrap()[number].settled = None;
    }
}

impl Subscriber {
    /// Receives until it is told to close.
    pub(super) async fn run(mut self) {
        let mut dice = StdRng::seed_from_u64(self.seed);
        loop {
            let orders = *self.orders.borrow();
            let Some(inbox) = self.open().await else { return };
            let ended = self.receive(inbox, orders, &mut dice).await;
            match ended {
                Ok(true) => return,
                // Dead; another comes.
                Ok(false) => {}
                Err(error) => {
                    let failure = format!("{} ended: {error}", self.inbox.1);
                    self.ledger.failures.lock().unwrap().push(failure);
                    return;
                }
            }
        }
    }

    async fn open(&self) -> Option<OpenInbox> {
        loop {
            let opening = (self.make)().subscribe(self.inbox.1.as_str());
            let opened = opening.credit(self.habits.credit).lease(self.lease).open().await;
            match opened {
                Ok(inbox) => return Some(inbox),
                Err(error) if error.is_retryable() && !self.orders.borrow().close => {}
                Err(error) => {
                    let failure = format!("{} does not open: {error}", self.inbox.1);
                    self.ledger.failures.lock().unwrap().push(failure);
                    return None;
                }
            }
        }
    }

    /// Whether it was closed; else it died.
    async fn receive(
        &mut self,
        mut inbox: OpenInbox,
        begun: Orders,
        dice: &mut StdRng,
    ) -> Result<bool, ClientError> {
        let mut stalls = begun.stalls;
        // With the next delivery in hand.
        let mut pause = Duration::ZERO;
        loop {
            let orders = *self.orders.borrow_and_update();
            if orders.close {
                inbox.close().await?;
                return Ok(true);
            }
            if orders.deaths > begun.deaths {
                // Without a word, and with what it holds.
                return Ok(false);
            }
            if orders.stalls > stalls {
                stalls = orders.stalls;
                pause = orders.stall;
            }
            tokio::select! {
                _ = self.orders.changed() => {}
                next = inbox.next() => match next? {
                    Some(delivery) => {
                        self.handle(delivery, std::mem::take(&mut pause), dice).await?;
                    }
                    None => return Err(ClientError::Closed),
                },
            }
        }
    }

    async fn handle(
        &self,
        delivery: Delivery,
        pause: Duration,
        dice: &mut StdRng,
    ) -> Result<(), ClientError> {
        let temper = self.orders.borrow().temper;
        let number = self.ledger.came(&delivery, temper);
        tokio::time::sleep(pause).await;
        let Some(verdict) = self.decide(&delivery, temper, dice) else { return Ok(()) };
        self.ledger.settles(number, verdict, delivery.lease_ends_at());
        let after = Duration::from_millis(dice.random_range(0..120));
        let settled = match verdict {
            Verdict::Acknowledged => delivery.acknowledge().await,
            Verdict::Retried => delivery.retry(after, "not now").await,
            Verdict::Rejected => delivery.reject("not ours").await,
        };
        match settled {
            Err(ClientError::LeaseLost { .. }) => {
                self.ledger.did_not_settle(number);
                Ok(())
            }
            other => other,
        }
    }

    /// None: it is forgotten, and comes again when its lease has ended.
    fn decide(&self, delivery: &Delivery, temper: Temper, dice: &mut StdRng) -> Option<Verdict> {
        let Habits { retried, rejected, forgotten, .. } = self.habits;
        let roll: u32 = dice.random_range(0..1_000);
        if temper < Temper::Perfect && is_poison(self.inbox.0, delivery.event().id()) {
            return Some(Verdict::Retried);
        }
        if temper > Temper::Rough {
            return Some(Verdict::Acknowledged);
        }
        match roll {
            _ if roll < retried => Some(Verdict::Retried),
            _ if roll < retried + rejected => Some(Verdict::Rejected),
            _ if roll < retried + rejected + forgotten => None,
            _ => Some(Verdict::Acknowledged),
        }
    }
}
