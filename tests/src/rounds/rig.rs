//! The servers of many rounds, and making things go wrong with them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wissel_client::{Client, InboxSettings, RetryPolicy};
use wissel_testkit::{RabbitMq, Readied};

use super::disk::SmallDisk;
use super::ledger::{FEW_ATTEMPTS, Happened};
use super::messages::{ORDERED, POISONED, inbox_name};
use super::plan::{BusKind, Fault, Plan};
use super::proxy::Proxy;
use super::publisher::MakeClient;
use super::queues::RETRIES;
use super::subscriber::Orders;
use crate::{CATALOGUE, Gateway, OPERATOR, PARTIES, wissel_binary};

/// A gateway, its bus, and the wires between them. Kept from round to round.
pub struct Rig {
    pub(super) bus: BusKind,
    pub(super) gateway: Gateway,
    rounds_of_gateway: u32,
    /// Where in the gateway's log the last round began.
    pub(super) log_of_round: usize,
    disk: Result<SmallDisk, String>,
    rabbitmq: Option<Broker>,
    /// From when on no queue is so young that RabbitMQ may lose it, once all are there.
    pub(super) queues_grown_at: Option<Instant>,
}

/// RabbitMQ, and the wire to it.
struct Broker {
    node: RabbitMq,
    wire: Proxy,
    /// What it does in this round when it is told to.
    readied: Option<Readied>,
}

/// What can be done to those who take part in a round.
pub(super) struct Reach {
    pub(super) publishers: Vec<Proxy>,
    /// By inbox.
    pub(super) subscribers: Vec<Proxy>,
    pub(super) orders: Vec<watch::Sender<Orders>>,
    pub(super) death_of_publisher: CancellationToken,
}

/// Then it gets a new one, with empty directories.
const ROUNDS_OF_A_GATEWAY: u32 = 20;
/// How often RabbitMQ is heard at least, and after how long both ends have noticed that they
/// hear nothing.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);
const HEARTBEAT_SECONDS: &str = "2";
const NOTICED: Duration = Duration::from_millis(5_500);
/// How long everything has to work again after the last fault.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);

impl Rig {
    /// Starts everything; about 6 s with RabbitMQ.
    pub async fn start(bus: BusKind) -> Self {
        let rabbitmq = match bus {
            BusKind::Embedded => None,
            BusKind::RabbitMq => Some(Broker::start().await),
        };
        let (gateway, disk) = start_gateway(rabbitmq.as_ref()).await;
        // On local disk there are none.
        let queues_grown_at = rabbitmq.is_none().then(Instant::now);
        let (rounds_of_gateway, log_of_round) = (0, 0);
        Self { bus, gateway, rounds_of_gateway, log_of_round, disk, rabbitmq, queues_grown_at }
    }

    /// Why the disk of the gateway cannot be filled here, if so.
    #[must_use]
    pub fn cannot_fill_disk(&self) -> Option<&str> {
        self.disk.as_ref().err().map(String::as_str)
    }

    /// A new gateway now and then: what it wrote takes room. Says what was wrong with the
    /// old one.
    pub(super) async fn renew_when_due(&mut self) -> Vec<String> {
        self.rounds_of_gateway += 1;
        if self.rounds_of_gateway <= ROUNDS_OF_A_GATEWAY {
            return Vec::new();
        }
        let findings = self.retire().await;
        self.renew_gateway().await;
        findings
    }

    /// Ends the gateway in good order, and has its record of processing verified: after all
    /// that happened, its chain is whole.
    pub async fn retire(&mut self) -> Vec<String> {
        let mut findings = Vec::new();
        let (status, _) = self.gateway.terminate().await;
        if !status.success() {
            findings.push(format!("the gateway ended with {status}"));
        }
        let mut verify = tokio::process::Command::new(wissel_binary());
        verify.args(["audit", "verify"]).arg(self.gateway.records_directory());
        let verified = verify.output().await.unwrap();
        if !verified.status.success() {
            let said = String::from_utf8_lossy(&verified.stderr);
            findings.push(format!("the record of processing is not whole: {said}"));
        }
        findings
    }

    /// Everything anew, after a round that left it in no good state.
    pub async fn renew(&mut self) {
        if let Some(broker) = &mut self.rabbitmq {
            *broker = Broker::start().await;
            self.queues_grown_at = None;
        }
        self.renew_gateway().await;
    }

    async fn renew_gateway(&mut self) {
        (self.gateway, self.disk) = start_gateway(self.rabbitmq.as_ref()).await;
        self.rounds_of_gateway = 1;
        self.log_of_round = 0;
    }

    /// Makes clients of this caller that reach the gateway through a wire.
    pub(super) fn clients(&self, caller: &str, wire: &Proxy) -> MakeClient {
        let endpoint = format!("http://127.0.0.1:{}", wire.port());
        let token = format!("dev.{caller}");
        Arc::new(move || quick_client(&endpoint, &token))
    }

    /// A client of the operator, with a wire that nobody cuts.
    pub(super) fn operator(&self) -> Client {
        quick_client(&self.gateway.url(), &format!("dev.{OPERATOR}"))
    }

    /// The names of the queues of RabbitMQ, if there is one.
    pub(super) async fn queues(&self) -> Option<Vec<String>> {
        let node = &self.rabbitmq.as_ref()?.node;
        let listed = node.control(&["--quiet", "list_queues", "name"]).await.unwrap();
        Some(listed.lines().map(str::to_owned).collect())
    }

    /// The queues of RabbitMQ in which retries wait. One that was sent there as a connection broke
    /// is counted by no gateway, and some have been seen to come seconds after their time.
    pub(super) async fn retries(&self) -> lapin::Result<Vec<String>> {
        let mut waiting = Vec::new();
        let Some(Broker { node, .. }) = &self.rabbitmq else { return Ok(waiting) };
        let connection = Connection::connect(&node.url(), ConnectionProperties::default()).await?;
        for queue in RETRIES {
            let channel = connection.create_channel().await?;
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let declared = channel.queue_declare(queue.into(), passive, FieldTable::default());
            // One that there is not holds nothing.
            let count = declared.await.map_or(0, |queue| queue.message_count());
            waiting.extend((count > 0).then(|| format!("{count} wait in {queue}")));
        }
        connection.close(200, "seen".into()).await?;
        Ok(waiting)
    }

    /// Has RabbitMQ made ready for what it will be told in a round, which happens then at once.
    pub(super) async fn ready(&mut self, plan: &Plan) {
        let Some(Broker { node, readied, .. }) = &mut self.rabbitmq else { return };
        for timed in &plan.faults {
            let ready = match timed.fault {
                Fault::AlarmRabbitMq { of, time } => node.ready_to_run_short(of, time).await,
                Fault::StopRabbitMq => node.ready_to_stop().await,
                _ => continue,
            };
            *readied = Some(ready.unwrap());
        }
    }

    /// Makes something go wrong, and ends when it is over. None: it is not possible here.
    pub(super) async fn make(&mut self, fault: Fault, reach: &Reach) -> Option<Happened> {
        let begun = Instant::now();
        match fault {
            Fault::KillGateway { away } => {
                self.gateway.kill().await;
                tokio::time::sleep(away).await;
                self.gateway.start_again().await;
            }
            Fault::PauseGateway { jump } => {
                self.gateway.signal("STOP").await;
                tokio::time::sleep(jump).await;
                self.gateway.signal("CONT").await;
            }
            Fault::FillDisk { full } => self.fill_disk(full).await?,
            Fault::KillRabbitMq => {
                let node = &mut self.rabbitmq.as_mut()?.node;
                node.kill().await.unwrap();
                node.start_again().await.unwrap();
                self.gateway.wait_until_ready().await;
            }
            Fault::StopRabbitMq => {
                let broker = self.rabbitmq.as_mut()?;
                broker.go().await;
                broker.node.kill().await.unwrap();
                broker.node.start_again().await.unwrap();
                self.gateway.wait_until_ready().await;
            }
            Fault::AlarmRabbitMq { .. } => {
                let alarms = self.rabbitmq.as_mut()?.go().await;
                assert!(alarms.contains("resource_limit"), "RabbitMQ had no alarm: {alarms}");
                self.gateway.wait_until_ready().await;
            }
            Fault::CutBus(cut) => {
                self.rabbitmq.as_ref()?.wire.cut(cut).await;
                self.gateway.wait_until_ready().await;
            }
            Fault::SilenceBus => {
                self.rabbitmq.as_ref()?.wire.silence();
                tokio::time::sleep(NOTICED).await;
                self.gateway.wait_until_ready().await;
            }
            Fault::CutPublisher(cut) => {
                let which = usize::try_from(cut.after_bytes).ok()? % reach.publishers.len();
                reach.publishers[which].cut(cut).await;
            }
            Fault::CutSubscribers { inbox, cut } => reach.subscribers[inbox].cut(cut).await,
            Fault::PublisherDies => reach.death_of_publisher.cancel(),
            Fault::SubscribersStall { inbox, time } => {
                reach.orders[inbox].send_modify(|orders| {
                    orders.stall = time;
                    orders.stalls += 1;
                });
                tokio::time::sleep(time).await;
            }
            Fault::SubscribersDie { inbox } => {
                reach.orders[inbox].send_modify(|orders| orders.deaths += 1);
            }
        }
        Some(Happened { fault, begun, ended: Instant::now() })
    }

    /// The embedded bus trusts its storage again when it is opened again; RabbitMQ is not
    /// on this disk, and the gateway goes on by itself when it can write its records.
    async fn fill_disk(&mut self, full: Duration) -> Option<()> {
        let disk = self.disk.as_ref().ok()?;
        disk.fill();
        tokio::time::sleep(full).await;
        disk.free();
        let is_ready = self.operator().status().await.is_ok_and(|status| status.is_up());
        if self.bus == BusKind::Embedded && !is_ready {
            let ended = self.gateway.has_ended();
            if !ended {
                self.gateway.terminate().await;
            }
            self.gateway.start_again().await;
        }
        Some(())
    }
}

impl Broker {
    async fn start() -> Self {
        let node = RabbitMq::start().await.unwrap();
        let wire = Proxy::to(node.port()).await.unwrap();
        Self { node, wire, readied: None }
    }

    /// Has it do what it was readied for. What it says of that.
    async fn go(&mut self) -> String {
        let readied = self.readied.take().expect("it was readied");
        readied.go().await.unwrap()
    }
}

async fn start_gateway(broker: Option<&Broker>) -> (Gateway, Result<SmallDisk, String>) {
    let bus = match broker {
        None => "embedded".to_owned(),
        Some(broker) => format!("amqp://127.0.0.1:{}/%2f", broker.wire.port()),
    };
    let mut gateway = Gateway::stopped(&bus);
    gateway.set("WISSEL_AMQP__HEARTBEAT_SECONDS", HEARTBEAT_SECONDS);
    let disk = SmallDisk::mount();
    if let Ok(disk) = &disk {
        std::os::unix::fs::symlink(disk.path(), gateway.data_directory()).unwrap();
    }
    let by_subject = format!("name = \"{}\"\nordered = true", inbox_name(ORDERED));
    let catalogue = CATALOGUE.replace(&format!("name = \"{}\"", inbox_name(ORDERED)), &by_subject);
    assert_ne!(catalogue, CATALOGUE);
    gateway.write_catalogue(&catalogue);
    gateway.start_again().await;
    let client = quick_client(&gateway.url(), &format!("dev.{OPERATOR}"));
    for inbox in 0..PARTIES.len() {
        let settings = InboxSettings {
            max_attempts: (inbox == POISONED).then_some(FEW_ATTEMPTS),
            retry_initial: Some(Duration::from_millis(40)),
            // A fifth more at most, so that RabbitMQ has two queues for retries, 100 and 200 ms.
            retry_max: Some(Duration::from_millis(160)),
            ..InboxSettings::default()
        };
        let names = ["max_attempts", "retry_initial", "retry_max"];
        let name = inbox_name(inbox).parse().unwrap();
        client.set_inbox(&name, &settings, &names).await.unwrap();
    }
    (gateway, disk)
}

/// A client that tries again soon: rounds are short.
fn quick_client(endpoint: &str, token: &str) -> Client {
    let retry = RetryPolicy::new(Duration::from_millis(20), Duration::from_millis(200));
    Client::builder(endpoint)
        .token(token)
        .retry(retry)
        .call_timeout(Duration::from_millis(1_500))
        .connect()
        .unwrap()
}
