//! The suite that every bus must pass, on a RabbitMQ: with packing, and without.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wissel_bus::Bus;
use wissel_bus::conformance::Fixture;
use wissel_bus_amqp::{AmqpBus, AmqpOptions, Packing};

struct OnRabbitMq {
    url: String,
    packing: Packing,
}

impl OnRabbitMq {
    async fn start(packing: Packing) -> Self {
        let url = wissel_testkit::shared_rabbitmq_url().await;
        Self { url: url.unwrap_or_else(|error| panic!("{error}")), packing }
    }
}

#[async_trait]
impl Fixture for OnRabbitMq {
    async fn bus(&self) -> Arc<dyn Bus> {
        let options = AmqpOptions { packing: self.packing, ..AmqpOptions::new(&self.url) };
        let bus = AmqpBus::connect(options).expect("the URL is one");
        while !bus.health().ready {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Arc::new(bus)
    }

    async fn reopen(&self, old: Arc<dyn Bus>) -> Arc<dyn Bus> {
        old.close().await;
        self.bus().await
    }

    fn forgets_waiting_retries(&self) -> bool {
        false
    }
}

mod packed {
    use super::{OnRabbitMq, Packing};

    wissel_bus::conformance_suite!(OnRabbitMq::start(Packing::default()).await);
}

mod unpacked {
    use super::{OnRabbitMq, Packing};

    wissel_bus::conformance_suite!(OnRabbitMq::start(Packing::OFF).await);
}
