//! A broker that is driven, and how its time goes on.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;
use wissel_bus_embedded::EmbeddedBus;
use wissel_bus_embedded::driven::{Disk, Time};
use wissel_store::Store;

use super::idle::{Idle, Tell};
use super::ledger::{Call, Ledger, Now};
use super::mending::{News, Task};
use super::replaying::Replays;
use super::subscriber::{Seen, Subscriber};
use super::town::{self, PLACES};
use super::{Counts, Found, Log};
use crate::clock;
use crate::{Broker, BrokerOptions, Reason, Receipt, Refusal, SessionEvent};

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Outcomes of calls, with when they came and the number of each.
type Answers = Arc<Mutex<Vec<(Instant, u64, Vec<Result<Receipt, Refusal>>)>>>;

/// What outlives a crash, and the broker between two.
pub(super) struct World {
    pub(super) random: fastrand::Rng,
    pub(super) log: Log,
    pub(super) counts: Counts,
    pub(super) disk: Disk,
    time: Time,
    pub(super) store: Store,
    pub(super) ledger: Ledger,
    pub(super) idle: Arc<Idle>,
    pub(super) next: u64,
    /// What has passed before the start, and when that was.
    pub(super) passed: Duration,
    pub(super) begun: Instant,
    pub(super) wall: SystemTime,
    pub(super) broker: Option<Arc<Broker>>,
    pub(super) ending: bool,
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) seen: Seen,
    pub(super) calls: Vec<Call>,
    pub(super) answers: Answers,
    pub(super) news: News,
    pub(super) mendings: Vec<Task>,
    pub(super) replays: Replays,
    pub(super) replaying: Vec<(u64, tokio::task::AbortHandle)>,
    /// Which inboxes are paused, and have come to rest since.
    pub(super) paused: [bool; PLACES.len()],
    pub(super) is_quiet: [bool; PLACES.len()],
}

impl World {
    pub(super) fn new(seed: u64, log: Log) -> Self {
        fastrand::seed(seed);
        let random = fastrand::Rng::with_seed(seed);
        let time = Time::new();
        let wall = time.wall();
        Self {
            random,
            log,
            counts: Counts { rounds: 1, ..Counts::default() },
            disk: Disk::default(),
            time,
            store: Store::in_memory().unwrap(),
            ledger: Ledger::default(),
            idle: Arc::default(),
            next: 0,
            passed: Duration::ZERO,
            begun: Instant::now(),
            wall,
            broker: None,
            ending: false,
            subscribers: Vec::new(),
            seen: Seen::default(),
            calls: Vec::new(),
            answers: Answers::default(),
            news: News::default(),
            mendings: Vec::new(),
            replays: Replays::default(),
            replaying: Vec::new(),
            paused: [false; PLACES.len()],
            is_quiet: [false; PLACES.len()],
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// True so often of a hundred times.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(..100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, some: &[T]) -> T {
        some[self.random.usize(..some.len())]
    }

    pub(super) fn broker(&self) -> Arc<Broker> {
        Arc::clone(self.broker.as_ref().expect("it is started"))
    }

    pub(super) fn now(&self) -> Now {
        let failed = self.disk.has_failed() || self.ending;
        Now { passed: self.passed + self.begun.elapsed(), wall: clock::wall(), failed }
    }

    pub(super) fn log(&self, line: impl FnOnce() -> String) {
        self.log.write(|| format!("{:>9.3?} {}", self.now().passed.as_secs_f64(), line()));
    }

    // === starting ===

    /// Starts a broker over what is on disk.
    pub(super) async fn start(&mut self, options: BrokerOptions) -> Result<(), Found> {
        self.begun = Instant::now();
        clock::simulated::set(self.wall);
        self.sync();
        self.log(|| "starts".to_owned());
        let (bus, driver) = EmbeddedBus::driven(&self.disk, &self.time)
            .map_err(|error| Found(format!("the disk cannot be read: {error}")))?;
        let mut random = self.random.fork();
        driver.feed_meanwhile(&self.disk, move || random.u32(..100) < 40);
        *self.idle.driver.lock() = Some(driver);
        self.ending = false;
        let (store, catalogue) = (self.store.clone(), town::catalogue(self.ledger.rights));
        let starting = Broker::start(Arc::new(bus), store, catalogue, options);
        let broker = self.wait_for(starting).await?;
        let broker = broker.map_err(|error| Found(format!("the broker: {error}")))?;
        let prepared = Arc::clone(&broker);
        self.broker = Some(broker);
        self.wait_for(async move { prepared.prepared().await }).await
    }

    /// What is left of a life when its runtime is gone.
    pub(super) fn bury(&mut self) {
        let now = self.now();
        (self.passed, self.wall) = (now.passed, now.wall);
        for call in self.calls.drain(..) {
            self.ledger.forgotten(&call);
        }
        self.subscribers.clear();
        self.mendings.clear();
        self.replaying.clear();
        self.is_quiet = [false; PLACES.len()];
    }

    // === time ===

    /// The clock of the bus follows.
    fn sync(&self) {
        let Now { passed, wall, .. } = self.now();
        self.time.pass(passed.saturating_sub(Duration::from_millis(self.time.passed_ms())));
        self.time.set_wall(wall);
    }

    /// The bus does some of what it has to do. False when there is nothing.
    pub(super) fn turn(&mut self) -> bool {
        self.sync();
        let mut driver = self.idle.driver.lock();
        let Some(driver) = driver.as_mut().filter(|driver| driver.has_work()) else { return false };
        if self.random.bool() || !driver.feed() {
            driver.write();
        }
        true
    }

    /// When the bus has something to do without being asked.
    fn wake(&self) -> Instant {
        self.sync();
        let driver = self.idle.driver.lock();
        let wake = driver.as_ref().and_then(|driver| driver.next_wake());
        let wait = wake.map(|wake| wake.saturating_duration_since(self.time.instant()));
        Instant::now() + wait.unwrap_or(Duration::from_hours(1))
    }

    /// Waits for something that the bus may have a part in.
    pub(super) async fn wait_for<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Found> {
        let mut what = std::pin::pin!(what);
        let patience = Instant::now() + PATIENCE;
        loop {
            self.idle.tell(Tell::Work);
            let idle = Arc::clone(&self.idle);
            let done = tokio::select! {
                biased;
                done = &mut what => Some(done),
                () = idle.told() => None,
                () = tokio::time::sleep_until(self.wake().min(patience)) => None,
            };
            self.idle.tell(Tell::Never);
            if let Some(done) = done {
                return Ok(done);
            }
            self.turn();
            if Instant::now() >= patience {
                return Err(Found("what was asked has no answer".to_owned()));
            }
        }
    }

    /// Everything goes on until nothing can without time.
    pub(super) async fn settle_down(&mut self) -> Result<(), Found> {
        let idle = Arc::clone(&self.idle);
        // What was told before is no news.
        let _ = futures::FutureExt::now_or_never(idle.told());
        for _ in 0..10_000 {
            self.idle.tell(Tell::Always);
            idle.told().await;
            self.idle.tell(Tell::Never);
            if !self.turn() {
                return Ok(());
            }
        }
        Err(Found("the bus does not come to rest".to_owned()))
    }

    /// Time goes on, and the bus does what it has to do.
    pub(super) async fn pass(&mut self, by: Duration) -> Result<(), Found> {
        let end = Instant::now() + by;
        self.settle_down().await?;
        while Instant::now() < end {
            self.idle.tell(Tell::Work);
            let idle = Arc::clone(&self.idle);
            tokio::select! {
                biased;
                () = idle.told() => {}
                () = tokio::time::sleep_until(self.wake().min(end)) => {}
            }
            self.settle_down().await?;
        }
        Ok(())
    }

    // === what was told ===

    /// Takes what publishers and subscribers were told, and holds it against the ledger.
    pub(super) fn collect(&mut self) -> Result<(), Found> {
        let now = self.now();
        let mut answers = std::mem::take(&mut *self.answers.lock());
        // Those who wait for the same publication are told in an order of tokio's own.
        answers.sort_by_key(|(_, number, _)| *number);
        for (at, number, outcomes) in answers {
            let then = now.back_at(self.passed + (at - self.begun));
            let Some(place) = self.calls.iter().position(|call| call.number == number) else {
                continue;
            };
            let call = self.calls.remove(place);
            self.log(|| format!("call {number} is answered: {}", told(&outcomes)));
            for outcome in &outcomes {
                self.log.note((number, outcome.as_ref().map(|receipt| receipt.repeated).ok()));
                match outcome {
                    Ok(receipt) if receipt.repeated => self.counts.repeats += 1,
                    Ok(_) => self.counts.receipts += 1,
                    Err(refusal) => {
                        self.counts.refused += u64::from(refusal.reason == Reason::InboxFull);
                    }
                }
            }
            self.ledger.answered(&self.calls, &call, &outcomes, then)?;
        }
        self.hear_of_mendings(now)?;
        self.hear_of_replays(now)?;
        let seen = std::mem::take(&mut *self.seen.lock());
        for (at, number, told) in seen {
            let then = now.back_at(self.passed + (at - self.begun));
            self.ledger.end_leases(then);
            self.hear(number, told, then)?;
        }
        self.ledger.end_leases(now);
        Ok(())
    }

    /// Deliveries that a subscriber was handed.
    pub(super) fn handed(
        &mut self,
        number: u64,
        event: SessionEvent,
        now: Now,
    ) -> Result<bool, Found> {
        let Some(one) = self.subscribers.iter().find(|one| one.number == number) else {
            return Err(Found(format!("subscriber {number} is gone, and hears {event:?}")));
        };
        let (place, lease) = (one.place, one.lease);
        match event {
            SessionEvent::Ended(_) => return Ok(false),
            SessionEvent::LeaseLost(ids) => {
                self.log(|| format!("subscriber {number} lost {ids:?}"));
                for id in ids {
                    self.ledger.lease_lost(number, id, now)?;
                }
            }
            SessionEvent::Deliveries(deliveries) => {
                for leased in deliveries {
                    let which = self.ledger.comes((number, place), &leased, lease, now)?;
                    let (name, attempt) = (&self.ledger.messages[which.0].name, leased.attempt);
                    self.log(|| {
                        let local = PLACES[place].local;
                        format!(
                            "subscriber {number} of {local} gets {name} as {}, attempt {attempt}",
                            leased.id
                        )
                    });
                    self.log.note((number, which, attempt, now.passed.as_millis()));
                    self.counts.deliveries += 1;
                    if self.is_quiet[place] {
                        return Err(Found("a paused inbox hands out".to_owned()));
                    }
                    let ends = leased.lease_ends_at.duration_since(now.wall + lease);
                    if ends.is_ok_and(|late| late > Duration::from_millis(2)) {
                        return Err(Found("a lease is longer than was asked".to_owned()));
                    }
                }
            }
        }
        Ok(true)
    }
}

fn told(outcomes: &[Result<Receipt, Refusal>]) -> String {
    let all = outcomes.iter().map(|outcome| match outcome {
        Ok(receipt) if receipt.repeated => format!("{} again", receipt.id),
        Ok(receipt) => receipt.id.clone(),
        Err(refusal) => format!("{:?}", refusal.reason),
    });
    all.collect::<Vec<_>>().join(", ")
}
