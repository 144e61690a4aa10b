//! What settings are where nothing else is said.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use wissel_bus_amqp::AmqpOptions;
use wissel_message::Limits;

use super::{
    Amqp, Audit, Bus, Config, Console, Deduplication, Delivery, Exchange, LimitsConfig, Log,
    LogFormat, Operators, Origins, Shutdown, Tracing,
};

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            data_dir: PathBuf::from("data"),
            bus: Bus::Embedded,
            bus_password_file: None,
            catalogue: PathBuf::from("catalogue"),
            operators: Operators::default(),
            tls: None,
            tokens: None,
            amqp: Amqp::default(),
            audit: Audit::default(),
            console: Console::default(),
            exchange: Exchange::default(),
            limits: LimitsConfig::default(),
            deduplication: Deduplication::default(),
            delivery: Delivery::default(),
            shutdown: Shutdown::default(),
            log: Log::default(),
            tracing: Tracing::default(),
            origins: Origins::default(),
        }
    }
}

impl Default for Amqp {
    fn default() -> Self {
        let AmqpOptions { packing, archive_retention, heartbeat, .. } = AmqpOptions::new("");
        Self {
            packing_messages: packing.messages_max,
            packing_bytes: packing.bytes_max,
            archive_retention_seconds: archive_retention.as_secs(),
            heartbeat_seconds: heartbeat.as_secs(),
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { directory: None, subject_key_file: None, file_bytes: 64 << 20 }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes: Limits::default().frame,
            in_flight_per_stream: 4_000,
            in_flight_bytes: 64 << 20,
            delivery_bytes: NonZeroU64::new(64 << 20).expect("64 MiB is not 0"),
            publish_per_second: 0,
            subscriptions_per_party: 10_000,
            replay_per_second: NonZeroU32::new(5_000).expect("5,000 is not 0"),
            disk_free_bytes: 1 << 30,
        }
    }
}

impl Default for Deduplication {
    fn default() -> Self {
        Self { window_seconds: 24 * 60 * 60, capacity: 20_000_000 }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            max_attempts: NonZeroU32::new(20).expect("20 is not 0"),
            retry_initial_ms: 1_000,
            retry_max_ms: 3_600_000,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { patience_seconds: 30 }
    }
}

impl Default for Log {
    fn default() -> Self {
        // What lapin says of connections is said by the bus as well, with the broker's name.
        let filter = "info,fjall=warn,lsm_tree=warn,lapin=off".to_owned();
        Self { format: LogFormat::Text, filter }
    }
}
