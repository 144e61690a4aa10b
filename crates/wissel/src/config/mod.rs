//! The configuration of `serve`: defaults, then one TOML file, then environment
//! variables, then flags.

mod bus;
mod checks;
mod console;
mod defaults;
mod exchange;
mod operators;
mod origins;
mod tracing;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config as Layers, Environment, File, FileFormat};
use serde::{Deserialize, Serialize};
use wissel_broker::DeliveryDefaults;
use wissel_bus_amqp::{AmqpOptions, Packing};
use wissel_message::Limits;

pub(crate) use self::bus::{Bus, bus_of, masked, refuse_secret_in_argument};
use self::console::Console;
use self::exchange::Exchange;
use self::operators::Operators;
use self::origins::VARIABLES;
pub(crate) use self::origins::{Origin, Origins};
use self::tracing::Tracing;
use crate::cli::ServeArguments;
use crate::exit::Failure;
use crate::output;

/// How a gateway runs.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where the gateway listens. Port 0: a free one, which is logged.
    pub(crate) listen: SocketAddr,
    /// Where state is kept; created when it is not there.
    pub(crate) data_dir: PathBuf,
    /// `embedded`, or the URL of a RabbitMQ.
    pub(crate) bus: Bus,
    /// A file with RabbitMQ's password, for a `bus` URL without one.
    pub(crate) bus_password_file: Option<PathBuf>,
    /// The catalogue: a TOML file, or a directory of them.
    pub(crate) catalogue: PathBuf,
    /// Who are operators, and no parties.
    pub(crate) operators: Operators,
    /// Encrypted connections, and callers by certificate.
    pub(crate) tls: Option<Tls>,
    /// Callers by bearer token.
    pub(crate) tokens: Option<Tokens>,
    /// How RabbitMQ is used, when it is the bus.
    pub(crate) amqp: Amqp,
    pub(crate) audit: Audit,
    /// What operators see over HTTP.
    pub(crate) console: Console,
    /// The exchange patterns.
    pub(crate) exchange: Exchange,
    pub(crate) limits: LimitsConfig,
    pub(crate) deduplication: Deduplication,
    pub(crate) delivery: Delivery,
    pub(crate) shutdown: Shutdown,
    pub(crate) log: Log,
    /// Traces of messages.
    pub(crate) tracing: Tracing,
    /// Where all this comes from.
    #[serde(skip)]
    pub(crate) origins: Origins,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The gateway's certificate, and those that lead to an authority, in PEM.
    pub(crate) certificate: PathBuf,
    /// Its key, in PEM.
    pub(crate) key: PathBuf,
    /// The authorities by which client certificates are trusted.
    #[serde(default)]
    pub(crate) client_authorities: Vec<PathBuf>,
    /// Their revocation lists.
    #[serde(default)]
    pub(crate) revocation_lists: Vec<PathBuf>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tokens {
    /// Who issues them (`iss`).
    pub(crate) issuer: String,
    /// For whom they must be (`aud`).
    #[serde(default = "Tokens::default_audience")]
    pub(crate) audience: String,
    /// The claim that holds the party's OIN.
    #[serde(default = "Tokens::default_party_claim")]
    pub(crate) party_claim: String,
    /// The issuer's keys (JWKS) in a file.
    pub(crate) jwks_file: Option<PathBuf>,
    /// The issuer's keys (JWKS) at a URL.
    pub(crate) jwks_url: Option<String>,
    /// How often the keys are fetched again, in seconds.
    #[serde(default = "Tokens::default_refresh")]
    pub(crate) refresh_seconds: u64,
    /// How far clocks may differ, in seconds.
    #[serde(default = "Tokens::default_leeway")]
    pub(crate) leeway_seconds: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Amqp {
    /// How many messages for the same inboxes travel together at most; 1: none do.
    pub(crate) packing_messages: usize,
    /// How many bytes of events travel together at most.
    pub(crate) packing_bytes: usize,
    /// How long the archive keeps messages at most, in seconds.
    pub(crate) archive_retention_seconds: u64,
    /// How often RabbitMQ is heard at least, in seconds.
    pub(crate) heartbeat_seconds: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// Where the record of processing is kept; `records` in data_dir when it is not said.
    pub(crate) directory: Option<PathBuf>,
    /// The key under which subjects are hashed; `subjects.key` in data_dir when it is not
    /// said. Made when it is not there.
    pub(crate) subject_key_file: Option<PathBuf>,
    /// How large a file of records becomes, in bytes.
    pub(crate) file_bytes: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    /// The most bytes of one message.
    pub(crate) message_bytes: usize,
    /// The most messages of one publishing stream without an outcome.
    pub(crate) in_flight_per_stream: usize,
    /// The most bytes of messages without an outcome, over all calls together.
    pub(crate) in_flight_bytes: usize,
    /// The most bytes of messages that one receiver may have and not have settled; its last
    /// message may go over it. All receivers of an inbox with order have so many together.
    pub(crate) delivery_bytes: NonZeroU64,
    /// The most messages that a party may publish in a second; 0: no limit.
    pub(crate) publish_per_second: u32,
    /// The most subscriptions of a party.
    pub(crate) subscriptions_per_party: usize,
    /// The most messages that one replay brings in a second.
    pub(crate) replay_per_second: NonZeroU32,
    /// Bytes that must be free in data_dir for the gateway to be ready.
    pub(crate) disk_free_bytes: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Deduplication {
    /// How far back a repeated (source, id) is recognised, in seconds.
    pub(crate) window_seconds: u64,
    /// How many messages are remembered for that on disk, at most; one with many inboxes
    /// counts as several.
    pub(crate) capacity: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delivery {
    /// How many times a delivery is handed out before it is a dead letter.
    pub(crate) max_attempts: NonZeroU32,
    /// How long a delivery waits after its first attempt, in milliseconds.
    pub(crate) retry_initial_ms: u64,
    /// The longest that it waits, in milliseconds.
    pub(crate) retry_max_ms: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shutdown {
    /// How long work under way has, in seconds.
    pub(crate) patience_seconds: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `text` or `json`.
    pub(crate) format: LogFormat,
    /// What to log, such as `info` or `info,wissel_broker=debug`.
    pub(crate) filter: String,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Environment variables of the client commands; not settings of `serve`.
const OTHER_VARIABLES: [&str; 14] = [
    "WISSEL_TEST_LOGS",
    "WISSEL_CA",
    "WISSEL_CERT",
    "WISSEL_KEY",
    "WISSEL_ON_BEHALF_OF",
    "WISSEL_SERVER",
    "WISSEL_TOKEN",
    "WISSEL_TOKEN_FILE",
    "WISSEL_AS",
    "WISSEL_TIMEOUT",
    "WISSEL_BIN",
    "WISSEL_TEST_AMQP_URL",
    "WISSEL_TEST_RABBITMQ",
    "WISSEL_AMQP_URL",
];

/// `wissel config show`.
pub(crate) fn show(arguments: &ServeArguments) -> Result<(), Failure> {
    let config = Config::load(arguments)?;
    let text = toml::to_string_pretty(&config).map_err(Failure::internal)?;
    output::line(text.trim_end());
    Ok(())
}

impl Config {
    /// Puts the layers together.
    pub(crate) fn load(arguments: &ServeArguments) -> Result<Self, Failure> {
        if let Some(bus) = &arguments.bus {
            refuse_secret_in_argument(bus, bus::PLACES)?;
        }
        let mut layers = Layers::builder();
        let mut origins = Origins::default();
        if let Some(path) = &arguments.config {
            let (source, written) = file(path)?;
            layers = layers.add_source(source);
            origins = Origins::new(Some(path.clone()), written);
        }
        let variables: HashMap<String, String> = std::env::vars()
            .filter(|(name, _)| {
                name.starts_with(VARIABLES) && !OTHER_VARIABLES.contains(&name.as_str())
            })
            .collect();
        let operators = operators::of_variable();
        for name in variables.keys() {
            // One that names nobody sets nothing.
            if name != operators::VARIABLE || operators.is_some() {
                origins.add_variable(name.clone());
            }
        }
        let others = variables.into_iter().filter(|(name, _)| name != operators::VARIABLE);
        let environment = Environment::with_prefix("WISSEL")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("tls.client_authorities")
            .with_list_parse_key("tls.revocation_lists")
            .source(Some(others.collect()));
        layers = layers.add_source(environment);
        layers = layers.set_override_option("operators", operators).map_err(Failure::usage)?;
        let flags = [
            ("listen", "--listen", arguments.listen.map(|listen| listen.to_string())),
            ("data_dir", "--data-dir", arguments.data_dir.as_deref().map(path_text)),
            ("bus", "--bus", arguments.bus.clone()),
            ("console.listen", "--console", arguments.console.map(|listen| listen.to_string())),
            ("catalogue", "--catalogue", arguments.catalogue.as_deref().map(path_text)),
        ];
        for (key, name, value) in flags {
            if value.is_some() {
                origins.add_argument(key, name);
            }
            layers = layers.set_override_option(key, value).map_err(Failure::usage)?;
        }
        let layers = layers.build().map_err(Failure::usage)?;
        let config = checks::read(layers).map_err(|fault| Failure::usage(fault.told(&origins)))?;
        let faults = checks::faults(&config, &origins);
        let faults: Vec<String> = faults.iter().map(|fault| fault.told(&origins)).collect();
        if faults.is_empty() {
            Ok(Self { origins, ..config })
        } else {
            Err(Failure::usage(faults.join("\n")))
        }
    }

    /// The limits of a message.
    pub(crate) fn message_limits(&self) -> Limits {
        Limits { frame: self.limits.message_bytes, ..Limits::default() }
    }

    /// How deliveries are retried where their inbox does not say.
    pub(crate) fn delivery(&self) -> DeliveryDefaults {
        DeliveryDefaults {
            max_attempts: self.delivery.max_attempts.get(),
            retry_initial: Duration::from_millis(self.delivery.retry_initial_ms),
            retry_max: Duration::from_millis(self.delivery.retry_max_ms),
        }
    }

    /// How far back a repeated (source, id) is recognised.
    pub(crate) fn deduplication_window(&self) -> Duration {
        Duration::from_secs(self.deduplication.window_seconds)
    }

    /// How long work under way has at shutdown.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.shutdown.patience_seconds)
    }
}

/// What is in a file: as a layer, and as it is written.
fn file(path: &Path) -> Result<(File<config::FileSourceString, FileFormat>, toml::Table), Failure> {
    let wrong = |fault: String| Failure::usage(format!("{}: {fault}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    // It is parsed here first as the layers would show the line, with a password that is in it.
    let written = text.parse::<toml::Table>().map_err(|error| {
        let before = text.get(..error.span().unwrap_or_default().start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        wrong(format!("line {line}: {}; expected TOML", error.message()))
    })?;
    Ok((File::from_str(&text, FileFormat::Toml), written))
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

impl Tokens {
    fn default_audience() -> String {
        "wissel".to_owned()
    }

    fn default_party_claim() -> String {
        "sub".to_owned()
    }

    fn default_refresh() -> u64 {
        300
    }

    fn default_leeway() -> u64 {
        60
    }
}

impl Amqp {
    /// How the bus at this URL is used.
    pub(crate) fn options(&self, url: String) -> AmqpOptions {
        let Self { packing_messages, packing_bytes, archive_retention_seconds, heartbeat_seconds } =
            *self;
        AmqpOptions {
            packing: Packing { messages_max: packing_messages, bytes_max: packing_bytes },
            archive_retention: Duration::from_secs(archive_retention_seconds),
            heartbeat: Duration::from_secs(heartbeat_seconds),
            ..AmqpOptions::new(url)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_is_a_setting() {
        let config: Config = toml::from_str("[amqp]\npacking_messages = 1").unwrap();
        let options = config.amqp.options("amqp://h/v".to_owned());
        assert_eq!(options.packing, Packing { messages_max: 1, ..Packing::default() });
        let shown = toml::to_string_pretty(&Config::default()).unwrap();
        assert!(shown.contains("packing_messages = 512"), "{shown}");
        assert!(toml::from_str::<Config>("[amqp]\npacking = 1").is_err());
    }
}
