//! A queue that is there and answers nothing: RabbitMQ lost it and does not know, or it hangs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::sleep;
use wissel_bus::{Bus, BusError, Enqueue, InboxName};
use wissel_bus_amqp::{AmqpBus, AmqpOptions, Packing};
use wissel_testkit::RabbitMq;

use common::{inbox_name, message};

const PATIENCE: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(120);
const LENGTH: usize = 16 << 10;
const BYTES_MAX: usize = 64 * LENGTH;

/// How many bytes of events are anywhere in this process.
#[derive(Clone, Default)]
struct Live(Arc<AtomicUsize>);

struct Tracked {
    bytes: Vec<u8>,
    live: Live,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.live.0.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl Live {
    fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn item(&self, number: usize, inboxes: &[&InboxName]) -> Enqueue {
        let mut envelope = message(number, LENGTH);
        let bytes = envelope.event.to_vec();
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        envelope.event = Bytes::from_owner(Tracked { bytes, live: self.clone() });
        let mut item = Enqueue::new(envelope, inboxes.iter().copied().cloned().collect());
        // By all channels.
        item.lane = number as u64;
        item
    }
}

struct Place {
    rabbit: RabbitMq,
    bus: Arc<AmqpBus>,
    silent: InboxName,
    live: Live,
}

impl Place {
    async fn new(packing: Packing, patience: Duration) -> Self {
        let rabbit = RabbitMq::start().await.unwrap();
        let unconfirmed_bytes_max = u32::try_from(BYTES_MAX).unwrap();
        let options = AmqpOptions {
            patience,
            packing,
            unconfirmed_bytes_max,
            ..AmqpOptions::new(rabbit.url())
        };
        let bus = Arc::new(AmqpBus::connect(options).unwrap());
        until("it is connected", async || bus.health().ready).await;
        let silent = inbox_name("silent");
        bus.open_inbox(&silent).await.unwrap();
        Self { rabbit, bus, silent, live: Live::default() }
    }

    /// Has the queue of the inbox do nothing any more, or go on.
    async fn have_queue(&self, doing: &str) {
        let code = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, \
             <<\"wissel.inbox.{}\">>)), {{Name, _}} = amqqueue:get_pid(Q), sys:{doing}(Name).",
            self.silent
        );
        self.rabbit.control(&["eval", &code]).await.unwrap();
    }

    async fn put(
        &self,
        numbers: std::ops::Range<usize>,
        inboxes: &[&InboxName],
    ) -> Vec<Result<(), BusError>> {
        let items = numbers.map(|number| self.live.item(number, inboxes)).collect();
        self.bus.enqueue(items).await
    }
}

/// Asks again and again, until this is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < LONG, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What is published to it takes no more memory than it may, however long that goes on, and is
/// published again as ever when it speaks again.
async fn a_silent_queue_takes_no_more_memory_than_it_may(packing: Packing) {
    const ROUNDS: usize = 5;
    const TOGETHER: usize = 60;
    let place = Place::new(packing, PATIENCE).await;
    let silent = &place.silent;
    until("it is there", async || place.put(0..1, &[silent]).await[0].is_ok()).await;
    place.have_queue("suspend").await;
    for round in 0..ROUNDS {
        let answers = place.put(0..TOGETHER, &[silent]).await;
        assert!(answers.iter().all(Result::is_err), "it is silent");
        let live = place.live.now();
        assert!(live <= BYTES_MAX, "{live} bytes are here after round {round}");
    }
    until("what was given up is forgotten", async || place.live.now() == 0).await;
    place.have_queue("resume").await;
    until("what goes to it is confirmed", async || {
        place.put(0..TOGETHER, &[silent]).await.iter().all(Result::is_ok)
    })
    .await;
    until("nothing is kept", async || place.live.now() == 0).await;
    place.bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_queue_is_given_is_bounded_where_messages_travel_together() {
    a_silent_queue_takes_no_more_memory_than_it_may(Packing::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_queue_is_given_is_bounded_where_messages_travel_by_themselves() {
    a_silent_queue_takes_no_more_memory_than_it_may(Packing::OFF).await;
}

/// How many bytes of memory this process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// RabbitMQ reads from the connection no more once there are several hundred messages of each
/// channel that a queue has not taken. The rest stays here: it is not written, and keeps its room.
#[tokio::test(flavor = "multi_thread")]
async fn what_rabbitmq_does_not_even_read_is_bounded() {
    const SHORT: Duration = Duration::from_millis(250);
    const TOGETHER: usize = 60;
    const ROUNDS: usize = 80;
    let place = Place::new(Packing::OFF, SHORT).await;
    let silent = &place.silent;
    until("it is there", async || place.put(0..1, &[silent]).await[0].is_ok()).await;
    place.have_queue("suspend").await;
    let before = resident();
    for _ in 0..ROUNDS {
        assert!(place.put(0..TOGETHER, &[silent]).await.iter().all(Result::is_err), "it is silent");
    }
    let more = resident().saturating_sub(before);
    assert!(
        more < 24 * BYTES_MAX,
        "{more} bytes more, of {} published",
        ROUNDS * TOGETHER * LENGTH
    );
    place.have_queue("resume").await;
    until("what goes to it is confirmed", async || {
        place.put(0..TOGETHER, &[silent]).await.iter().all(Result::is_ok)
    })
    .await;
    place.bus.close().await;
}
