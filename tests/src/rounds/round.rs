//! One round: everyone at work, faults, and the ledgers compared.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::ledger::{Dead, Happened, InboxBooks, Ledgers};
use super::messages::{LANES, Message, ORDERED, inbox_name};
use super::plan::{BusKind, Fault, Plan};
use super::proxy::Proxy;
use super::publisher::{PublisherLedger, publish_a_stream, publish_in_order};
use super::pulse::Pulse;
use super::rig::{HEARTBEAT, PATIENCE, Reach, Rig};
use super::subscriber::{InboxLedger, Orders, Subscriber, Temper};
use crate::{PARTIES, REGISTRY};

/// What came of a round.
pub struct Outcome {
    /// The numbers.
    pub counts: Counts,
    /// What went wrong that may not, if anything.
    pub failure: Option<Failure>,
}

/// A round in which something was not as is promised.
pub struct Failure {
    /// What was to happen.
    pub plan: Plan,
    /// What was found.
    pub findings: Vec<String>,
    /// What the gateway logged in this round and in the one before it.
    pub log: String,
}

/// Those who take part in a round.
struct Cast {
    reach: Reach,
    publishing: JoinSet<()>,
    receiving: JoinSet<()>,
    sent: Vec<Arc<PublisherLedger>>,
    came: Vec<Arc<InboxLedger>>,
    pulse: Pulse,
    /// Of the round: with it begin the ids of its messages.
    name: String,
}

impl Rig {
    /// The round of this seed.
    pub async fn round(&mut self, seed: u64) -> Outcome {
        if self.queues_grown_at.is_none()
            && let Err(failure) = self.make_queues().await
        {
            let counts = Counts { rounds: 1, ..Counts::default() };
            return Outcome { counts, failure: Some(failure) };
        }
        self.play(Plan::of(seed, self.bus)).await
    }

    /// A round that goes as this plan has it.
    pub(super) async fn play(&mut self, plan: Plan) -> Outcome {
        let mut findings = self.renew_when_due().await;
        self.let_queues_grow(&plan).await;
        self.ready(&plan).await;
        let begun = Instant::now();
        let log_begun = std::mem::replace(&mut self.log_of_round, self.gateway.log().len());
        let mut cast = Cast::at_work(self, &plan).await;
        let mut counts = Counts::default();
        let made = self.make_all(&plan, &cast.reach, &mut counts).await;

        let publishing = async { while cast.publishing.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, publishing).await.is_err() {
            findings.push("publishing does not come to an end".to_owned());
        }
        cast.temper(Temper::Willing);
        findings.extend(self.wait_until_settled(&plan, &cast, &made).await);
        let dead = self.dead_letters().await;
        cast.temper(Temper::Perfect);
        if findings.is_empty() {
            let is_calm = cast.happened(&made, self.has_lost_rabbitmq(log_begun)).is_empty();
            findings.extend(self.redrive(is_calm, &cast, &dead).await);
        }
        cast.close(&mut findings).await;
        let happened = cast.happened(&made, self.has_lost_rabbitmq(log_begun));
        let stood_still = (happened.len() - made.len()) as u64;
        if stood_still > 0 {
            counts.faults.insert("machine stood still for longer than a heartbeat", stood_still);
        }

        let was_redriven = findings.is_empty();
        let compared = cast.ledgers(&plan, dead, &happened).compare(was_redriven);
        findings.extend(compared.findings);
        counts.add(&compared.counts);
        counts.rounds = 1;
        counts.calm_rounds = u64::from(happened.is_empty());
        counts.took = begun.elapsed();
        let log = || self.gateway.log().get(log_begun..).unwrap_or_default().to_owned();
        let failed = !findings.is_empty();
        let failure = failed.then(|| Failure { plan, findings, log: log() });
        if failed {
            self.renew().await;
        }
        Outcome { counts, failure }
    }

    /// Whether the gateway's log says so, from here on.
    fn has_lost_rabbitmq(&self, log_begun: usize) -> bool {
        self.gateway.log().get(log_begun..).is_some_and(|log| log.contains("lost RabbitMQ"))
    }

    async fn make_all(&mut self, plan: &Plan, reach: &Reach, counts: &mut Counts) -> Vec<Happened> {
        let begun = Instant::now();
        let mut all = Vec::new();
        for timed in &plan.faults {
            tokio::time::sleep(timed.at.saturating_sub(begun.elapsed())).await;
            let kind = timed.fault.kind();
            match self.make(timed.fault, reach).await {
                Some(happened) => {
                    *counts.faults.entry(kind).or_default() += 1;
                    all.push(happened);
                }
                None => *counts.skipped.entry(kind).or_default() += 1,
            }
        }
        all
    }

    /// Waits until every receipt is kept, and nothing is left in the inboxes.
    async fn wait_until_settled(
        &self,
        plan: &Plan,
        cast: &Cast,
        happened: &[Happened],
    ) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let mut left = cast.ledgers(plan, Vec::new(), happened).unsettled();
            if !left.is_empty() {
                let dead = self.dead_letters().await;
                left = cast.ledgers(plan, dead, happened).unsettled();
            }
            // Before the inboxes, where they come.
            if left.is_empty() {
                left = self.retries().await.unwrap_or_else(|error| vec![error.to_string()]);
            }
            if left.is_empty() {
                left = self.not_empty().await;
            }
            if left.is_empty() {
                return left;
            }
            if begun.elapsed() > PATIENCE {
                let states = self.not_empty().await;
                left.truncate(5);
                return [left, states].concat();
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The inboxes in which there is anything.
    async fn not_empty(&self) -> Vec<String> {
        let operator = self.operator();
        let mut left = Vec::new();
        for inbox in 0..PARTIES.len() {
            let name = inbox_name(inbox);
            match operator.get_inbox(&name.parse().unwrap()).await {
                Ok(state) if state.depth == 0 && state.in_flight == 0 => {}
                Ok(state) => left.push(format!("{name} is not empty: {state:?}")),
                Err(error) => left.push(format!("{name}: {error}")),
            }
        }
        left
    }

    /// By inbox.
    async fn dead_letters(&self) -> Vec<Vec<Dead>> {
        let operator = self.operator();
        let mut all = Vec::new();
        for inbox in 0..PARTIES.len() {
            let name = inbox_name(inbox).parse().unwrap();
            let begun = Instant::now();
            let listed = loop {
                match operator.list_dead_letters(&name).all().await {
                    Ok(listed) => break listed,
                    Err(error) => assert!(begun.elapsed() < PATIENCE, "{name}: {error}"),
                }
            };
            let dead = listed.into_iter().map(|letter| Dead {
                id: letter.id,
                message_id: letter.message_id,
                attempts: letter.attempts,
            });
            all.push(dead.collect());
        }
        all
    }

    /// Puts all dead letters back, and waits until they were done.
    async fn redrive(&self, is_calm: bool, cast: &Cast, dead: &[Vec<Dead>]) -> Vec<String> {
        let operator = self.operator();
        let mut findings = Vec::new();
        for (inbox, dead) in dead.iter().enumerate().filter(|(_, dead)| !dead.is_empty()) {
            let name = inbox_name(inbox).parse().unwrap();
            match operator.redrive(&name, wissel_client::Which::All).await {
                Ok(count) if count == dead.len() as u64 => {}
                // RabbitMQ lists one that was put there twice once.
                Ok(count) if count > dead.len() as u64 && !is_calm => {}
                Ok(count) => {
                    findings.push(format!("{count} of {} redriven in {name}", dead.len()));
                }
                Err(error) => findings.push(format!("{name} is not redriven: {error}")),
            }
        }
        let begun = Instant::now();
        let expected: usize = dead.iter().map(Vec::len).sum();
        loop {
            let done = cast.came.iter().flat_map(|ledger| ledger.entries());
            let done = done.filter(|came| came.temper == Temper::Perfect).count();
            let mut left = self.not_empty().await;
            left.extend((done < expected).then(|| format!("{done} of {expected} redriven came")));
            let still_dead: usize = self.dead_letters().await.iter().map(Vec::len).sum();
            left.extend((still_dead > 0).then(|| format!("{still_dead} dead after a redrive")));
            if left.is_empty() {
                return findings;
            }
            if begun.elapsed() > PATIENCE {
                return [findings, left].concat();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Cast {
    /// Everyone begins.
    async fn at_work(rig: &Rig, plan: &Plan) -> Self {
        let name =
            format!("{}{}", if plan.bus == BusKind::Embedded { "e" } else { "r" }, plan.seed);
        let mut cast = Self {
            reach: Reach {
                publishers: Vec::new(),
                subscribers: Vec::new(),
                orders: Vec::new(),
                death_of_publisher: CancellationToken::new(),
            },
            publishing: JoinSet::new(),
            receiving: JoinSet::new(),
            sent: Vec::new(),
            came: Vec::new(),
            pulse: Pulse::start(),
            name,
        };
        for inbox in 0..PARTIES.len() {
            cast.receive(rig, plan, inbox).await;
        }
        cast.publish(rig, plan).await;
        cast
    }

    async fn receive(&mut self, rig: &Rig, plan: &Plan, inbox: usize) {
        let wire = Proxy::to(rig.gateway.port()).await.unwrap();
        let ledger = Arc::<InboxLedger>::default();
        let orders = Orders {
            temper: Temper::Rough,
            deaths: 0,
            stalls: 0,
            stall: Duration::ZERO,
            close: false,
        };
        let (sender, receiver) = watch::channel(orders);
        let habits = plan.habits[inbox];
        for number in 0..habits.subscribers {
            let subscriber = Subscriber {
                make: rig.clients(PARTIES[inbox], &wire),
                inbox: (inbox, inbox_name(inbox)),
                lease: plan.lease,
                habits,
                ledger: Arc::clone(&ledger),
                orders: receiver.clone(),
                seed: plan.seed ^ ((inbox as u64) << 32 | u64::from(number) << 40),
            };
            self.receiving.spawn(subscriber.run());
        }
        self.came.push(ledger);
        self.reach.orders.push(sender);
        self.reach.subscribers.push(wire);
    }

    /// One publisher waits for nothing, and shares its wire with nobody; of the others each
    /// has a subject of its own.
    async fn publish(&mut self, rig: &Rig, plan: &Plan) {
        let wires = [
            Proxy::to(rig.gateway.port()).await.unwrap(),
            Proxy::to(rig.gateway.port()).await.unwrap(),
        ];
        let (streaming, waiting) = (Arc::default(), Arc::default());
        let messages = Message::of_stream(&self.name, plan.stream_messages);
        self.publishing.spawn(publish_a_stream(
            rig.clients(REGISTRY, &wires[0]),
            messages,
            plan.stream_pace,
            Arc::clone(&streaming),
            self.reach.death_of_publisher.clone(),
        ));
        for lane in 0..LANES {
            let messages = Message::of_lane(&self.name, lane, plan.lane_messages);
            self.publishing.spawn(publish_in_order(
                rig.clients(REGISTRY, &wires[1]),
                messages,
                Duration::from_millis(700) / plan.lane_messages,
                Arc::clone(&waiting),
                plan.seed ^ u64::from(lane),
            ));
        }
        self.sent.extend([streaming, waiting]);
        self.reach.publishers.extend(wires);
    }

    fn temper(&self, temper: Temper) {
        for orders in &self.reach.orders {
            orders.send_modify(|orders| orders.temper = temper);
        }
    }

    async fn close(&mut self, findings: &mut Vec<String>) {
        for orders in &self.reach.orders {
            orders.send_modify(|orders| orders.close = true);
        }
        let receiving = async { while self.receiving.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, receiving).await.is_err() {
            findings.push("subscribers do not close".to_owned());
        }
        findings.extend(self.came.iter().flat_map(|ledger| ledger.failures()));
    }

    /// The faults that were made, and one that nobody made: a machine that stood still for longer
    /// than a heartbeat, if the gateway then lost RabbitMQ, as they did not hear each other.
    fn happened(&self, made: &[Happened], has_lost_rabbitmq: bool) -> Vec<Happened> {
        let stalls = self.pulse.stalls();
        let silences = stalls
            .of_at_least(HEARTBEAT)
            .filter(|_| has_lost_rabbitmq)
            .map(|(begun, ended)| Happened { fault: Fault::SilenceBus, begun, ended });
        made.iter().copied().chain(silences).collect()
    }

    /// As they are now.
    fn ledgers<'a>(
        &self,
        plan: &'a Plan,
        dead: Vec<Vec<Dead>>,
        happened: &'a [Happened],
    ) -> Ledgers<'a> {
        let mut dead = dead.into_iter();
        let inboxes = self.came.iter().enumerate().map(|(number, ledger)| InboxBooks {
            number,
            name: inbox_name(number),
            came: ledger.entries(),
            dead: dead.next().unwrap_or_default(),
            is_ordered: number == ORDERED,
        });
        let sent = self.sent.iter().flat_map(|ledger| ledger.sent()).collect();
        let stalls = self.pulse.stalls();
        Ledgers { plan, sent, inboxes: inboxes.collect(), happened, stalls }
    }
}

impl fmt::Display for Failure {
    /// The log, which is long, is not a part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        writeln!(f, "{}", self.plan)?;
        for finding in self.findings.iter().take(SHOWN) {
            writeln!(f, "  found: {finding}")?;
        }
        let more = self.findings.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        Ok(())
    }
}
