//! What RabbitMQ has to send for a redrive or a purge of some dead letters, by and by.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use common::{CATALOGUE, REGISTRY, event, inbox, operator};
use wissel_broker::{Broker, BrokerOptions, RedriveOptions, Which};
use wissel_bus::{Burial, Bus, Envelope, MessageId};
use wissel_bus_amqp::{AmqpBus, AmqpOptions};
use wissel_catalogue::Catalogue;
use wissel_filter::Filter;
use wissel_store::Store;
use wissel_testkit::{Proxy, RabbitMq};

fn burial(number: usize) -> Burial {
    let gemeente = if number.is_multiple_of(2) { "0344" } else { "0193" };
    let event = event(&number.to_string()).extension("gemeente", gemeente);
    let envelope = Envelope {
        message_id: MessageId::now(),
        publisher: REGISTRY.parse().unwrap(),
        admitted_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000),
        fields: None,
        replayed: false,
        event: event.build().unwrap().encode(),
    };
    Burial { envelope, inbox: inbox("inbox"), reason: "op".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_sent_once_however_slowly_some_are_put_back() {
    const COUNT: usize = 400;
    let node = RabbitMq::start().await.unwrap();
    let proxy = Proxy::start(&node.url()).await.unwrap();
    let bus: Arc<dyn Bus> = Arc::new(AmqpBus::connect(AmqpOptions::new(proxy.url())).unwrap());
    while !bus.health().ready {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
    let (store, options) = (Store::in_memory().unwrap(), BrokerOptions::default());
    let broker = Broker::start(Arc::clone(&bus), store, catalogue, options).await.unwrap();
    broker.prepared().await;
    for answer in bus.bury((0..COUNT).map(burial).collect()).await {
        answer.unwrap();
    }

    let (name, operator) = (inbox("inbox"), operator());
    let sql = |text: &str| Which::Matching(vec![Filter::Sql(text.to_owned())]);
    let redrive = |which| {
        let to = Some(inbox("second"));
        let per_second = NonZeroU32::new(100);
        let options = RedriveOptions { which, to, per_second, why: None };
        broker.redrive(&operator, &name, options, |_| ())
    };
    // By filter and pace: in 20 steps, after each of which others are left.
    let (before, begun) = (proxy.delivered(), Instant::now());
    assert_eq!(redrive(sql("gemeente = '0344'")).await.unwrap(), 200);
    assert!(begun.elapsed() >= Duration::from_millis(1_800), "{:?}", begun.elapsed());
    let sent = proxy.delivered() - before;
    assert!(sent < COUNT as u64 + 50, "RabbitMQ sent {sent}");

    // A purge by filter of some of the 200 that are left.
    let before = proxy.delivered();
    let purged = broker.purge_dead_letters(&operator, &name, sql("gemeente = '0193'"), None);
    assert_eq!(purged.await.unwrap(), 200);
    let sent = proxy.delivered() - before;
    assert!(sent < 250, "RabbitMQ sent {sent}");
    assert_eq!(redrive(Which::All).await.unwrap(), 0);
    assert_eq!(bus.inspect(&inbox("second")).await.unwrap().depth, 200);

    broker.shut_down(Duration::from_secs(10)).await;
}
