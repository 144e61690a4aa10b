//! What settings may be, and what is said of one that is not.

use config::{Config as Layers, ConfigError, Value, ValueKind};
use serde_json::Value as Json;
use wissel_identifiers::InboxName;

use super::{Config, Origins};
use crate::logging;

/// A setting that cannot be, and what is wrong with it.
pub(super) struct Fault {
    /// Such as `limits.message_bytes`, or `operators[0].roles`.
    key: String,
    /// The fault and what was expected, without what is secret or personal.
    what: String,
}

/// What a setting may be.
enum May {
    /// A whole number from one to another.
    Be(u64, u64),
    /// A number from one to another.
    BeBetween(f64, f64),
    /// What the text says.
    Say(&'static str),
}

use May::{Be, BeBetween, Say};

/// A hundred years in seconds, and a day in milliseconds: more is a mistake, and some clocks
/// cannot count it.
const CENTURY: u64 = 100 * 365 * 24 * 60 * 60;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const TIB: u64 = 1 << 40;
const ABSENT: &str = "absent; expected a value";
const ROLES: &str = "viewer, operator or catalogue-manager";

/// Every setting that is a number, and those whose kind of value says too little. An element of
/// a list is `[]`. A number that is not here fails a test.
const SETTINGS: &[(&str, May)] = &[
    ("listen", Say("an address and a port, such as 127.0.0.1:7400")),
    ("operators[].roles[]", Say(ROLES)),
    ("tokens.refresh_seconds", Be(1, CENTURY)),
    ("tokens.leeway_seconds", Be(0, CENTURY)),
    ("console.listen", Say("an address and a port, such as 127.0.0.1:7480")),
    ("console.idle_seconds", Be(1, CENTURY)),
    ("console.session_seconds", Be(1, CENTURY)),
    ("console.sessions", Be(1, 1_000_000)),
    ("console.operators[].roles[]", Say(ROLES)),
    ("amqp.packing_messages", Be(1, 4_096)),
    // RabbitMQ takes 128 MiB in a message at most.
    ("amqp.packing_bytes", Be(1, 128 << 20)),
    ("amqp.archive_retention_seconds", Be(1, CENTURY)),
    ("amqp.heartbeat_seconds", Be(1, 65_535)),
    ("audit.file_bytes", Be(1, TIB)),
    ("exchange.http[].timeout_ms", Be(1, DAY_MS)),
    ("exchange.http[].concurrency", Be(1, 65_535)),
    // A message has some hundred bytes of attributes before it has data.
    ("limits.message_bytes", Be(1_024, 64 << 20)),
    ("limits.in_flight_per_stream", Be(1, 1_000_000)),
    ("limits.in_flight_bytes", Be(1_024, TIB)),
    ("limits.delivery_bytes", Be(1, TIB)),
    ("limits.publish_per_second", Be(0, u32::MAX as u64)),
    ("limits.subscriptions_per_party", Be(0, u32::MAX as u64)),
    ("limits.replay_per_second", Be(1, u32::MAX as u64)),
    ("limits.disk_free_bytes", Be(0, u64::MAX)),
    ("deduplication.window_seconds", Be(1, CENTURY)),
    ("deduplication.capacity", Be(1, 1_000_000_000_000)),
    ("delivery.max_attempts", Be(1, u32::MAX as u64)),
    ("delivery.retry_initial_ms", Be(1, DAY_MS)),
    ("delivery.retry_max_ms", Be(1, DAY_MS)),
    ("shutdown.patience_seconds", Be(0, CENTURY)),
    ("log.format", Say("text or json")),
    ("tracing.sample", BeBetween(0.0, 1.0)),
    ("tracing.timeout_ms", Be(1, 60_000)),
    ("tracing.queue", Be(1, 1_000_000)),
];

/// Texts that are shown when they are wrong. Others may be secret, as the URL of a bus with a
/// password, or the name of a person.
const SHOWN: [&str; 3] = ["listen", "console.listen", "log.format"];

/// The settings of all layers, or the first that is of another kind than it must be.
pub(super) fn read(layers: Layers) -> Result<Config, Fault> {
    let written = layers.clone();
    let read = serde_path_to_error::deserialize::<_, Config>(layers);
    read.map_err(|error| Fault::of(&error.path().to_string(), error.inner(), &written))
}

/// Every setting that has a value which cannot be.
pub(super) fn faults(config: &Config, origins: &Origins) -> Vec<Fault> {
    let mut faults = Vec::new();
    // JSON has no such numbers, so they would not be met below.
    if !config.tracing.sample.is_finite() {
        faults.push(Fault::new("tracing.sample", "no number; expected 0 to 1".to_owned()));
    }
    let written = serde_json::to_value(config).unwrap_or_default();
    numbers(&written, "", &mut |key, number| {
        let found = SETTINGS.iter().find(|(name, _)| *name == pattern(key));
        if let Some((_, may)) = found
            && !may.allows(number)
        {
            faults.push(Fault::new(key, format!("{number}; expected {}", may.text())));
        }
    });
    let mut wrong = |key: &str, what: String| faults.push(Fault::new(key, what));
    let (initial, most) = (config.delivery.retry_initial_ms, config.delivery.retry_max_ms);
    if most < initial {
        let keys = ["delivery.retry_initial_ms", "delivery.retry_max_ms"];
        // The one that was set is at fault, beside a default.
        if origins.is_set(keys[0]) && !origins.is_set(keys[1]) {
            wrong(keys[0], format!("{initial}; expected at most {}, {most}", keys[1]));
        } else {
            let [one, other] = keys.map(|key| origins.of(key));
            let whence = match origins.is_set(keys[0]) {
                true if one != other => format!(" ({one})"),
                true => String::new(),
                false => " (the default)".to_owned(),
            };
            wrong(keys[1], format!("{most}; expected at least {}, {initial}{whence}", keys[0]));
        }
    }
    if let Err(failure) = logging::filter(&config.log) {
        wrong("log.filter", failure);
    }
    // The exchange has no party here yet; any will do.
    let answers = format!("00000099000000001000.{}", config.exchange.answers);
    if answers.parse::<InboxName>().is_err() {
        let what = "no name of an inbox; expected 1 to 64 of a-z, 0-9 and '-'";
        wrong("exchange.answers", what.to_owned());
    }
    if config.tracing.service_name.trim().is_empty() {
        wrong("tracing.service_name", "empty; expected a name such as wissel".to_owned());
    }
    faults
}

/// Hands out every number below this, with its key.
fn numbers(value: &Json, key: &str, found: &mut dyn FnMut(&str, &serde_json::Number)) {
    match value {
        Json::Number(number) => found(key, number),
        Json::Object(members) => {
            for (name, value) in members {
                let dot = if key.is_empty() { "" } else { "." };
                numbers(value, &format!("{key}{dot}{name}"), found);
            }
        }
        Json::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                numbers(value, &format!("{key}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// The key as [`SETTINGS`] has it: `operators[0].roles[1]` is `operators[].roles[]`.
fn pattern(key: &str) -> String {
    key.split('[').enumerate().fold(String::new(), |text, (part, piece)| match part {
        0 => piece.to_owned(),
        _ => format!("{text}[{}", piece.trim_start_matches(|one: char| one.is_ascii_digit())),
    })
}

// === impl May ===

impl May {
    fn allows(&self, number: &serde_json::Number) -> bool {
        match *self {
            Be(least, most) => {
                number.as_u64().is_some_and(|number| (least..=most).contains(&number))
            }
            BeBetween(least, most) => {
                number.as_f64().is_some_and(|number| (least..=most).contains(&number))
            }
            Say(_) => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Be(least, u64::MAX) => format!("a whole number of at least {least}"),
            Be(least, most) => format!("a whole number, {least} to {most}"),
            BeBetween(least, most) => format!("a number, {least} to {most}, such as 0.01"),
            Say(text) => (*text).to_owned(),
        }
    }
}

// === impl Fault ===

impl Fault {
    fn new(key: &str, what: String) -> Self {
        Self { key: key.to_owned(), what }
    }

    /// What is said of an error at this path.
    fn of(path: &str, error: &ConfigError, written: &Layers) -> Self {
        let mut error = error;
        while let ConfigError::At { error: within, .. } = error {
            error = within;
        }
        if let ConfigError::NotFound(name) = error {
            // It has some of the path before it already.
            let name = name.rsplit(['.', ']']).next().unwrap_or(name);
            let key = if path == "." { name.to_owned() } else { format!("{path}.{name}") };
            return Self { key, what: ABSENT.to_owned() };
        }
        let key = path.to_owned();
        let found = || shown(path, written);
        let may = SETTINGS.iter().find(|(name, _)| *name == pattern(path));
        let what = match (may, error) {
            (Some((_, may)), _) => format!("{}; expected {}", found(), may.text()),
            (None, ConfigError::Type { expected, .. }) => {
                format!("{}; expected {expected}", found())
            }
            (None, other) => other.to_string(),
        };
        Self { key, what }
    }

    /// With where it was set.
    pub(super) fn told(&self, origins: &Origins) -> String {
        let Self { key, what } = self;
        let whence = if what == ABSENT { origins.of_absent(key) } else { origins.of(key) };
        format!("{whence}: {key}: {what}")
    }
}

/// What stands there, when it can be shown.
fn shown(path: &str, written: &Layers) -> String {
    let kind = written.get::<Value>(path).map(|value| value.kind);
    match kind.unwrap_or(ValueKind::Nil) {
        ValueKind::Boolean(truth) => truth.to_string(),
        ValueKind::I64(number) => number.to_string(),
        ValueKind::U64(number) => number.to_string(),
        ValueKind::Float(number) => number.to_string(),
        ValueKind::String(text) if SHOWN.contains(&path) => format!("{text:?}"),
        ValueKind::String(_) => "another text".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        ValueKind::Table(_) => "a table".to_owned(),
        _ => "another value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Config, String> {
        read_with(text, &[])
    }

    /// As it is read from this file and these variables.
    fn read_with(text: &str, variables: &[(&str, i64)]) -> Result<Config, String> {
        let source = config::File::from_str(text, config::FileFormat::Toml);
        let mut layers = Layers::builder().add_source(source);
        let mut origins = Origins::new(Some("w.toml".into()), text.parse().unwrap());
        for (name, value) in variables {
            let key = name.trim_start_matches("WISSEL_").to_lowercase().replace("__", ".");
            layers = layers.set_override(key, *value).unwrap();
            origins.add_variable((*name).to_owned());
        }
        let config = read(layers.build().unwrap()).map_err(|fault| fault.told(&origins))?;
        match faults(&config, &origins).first() {
            Some(fault) => Err(fault.told(&origins)),
            None => Ok(config),
        }
    }

    #[test]
    fn the_defaults_can_be_and_every_number_has_its_bounds() {
        let more = "[tokens]\nissuer = 'x'\n[[exchange.http]]\n\
                    inbox = '00000099000000003000.vragen'\nurl = 'https://x.example'";
        let config = read_text(more).unwrap();
        let written = serde_json::to_value(&config).unwrap();
        let mut count = 0;
        numbers(&written, "", &mut |key, _| {
            count += 1;
            assert!(SETTINGS.iter().any(|(name, _)| *name == pattern(key)), "{key}");
        });
        let bounded = SETTINGS.iter().filter(|(_, may)| !matches!(may, Say(_)));
        assert_eq!(count, bounded.count(), "one of them is no setting any more");
    }

    #[test]
    fn a_fault_names_file_key_value_and_what_was_expected() {
        for (text, expected) in [
            ("amqp.heartbeat_seconds = 0", "w.toml: amqp.heartbeat_seconds: 0; expected a whole"),
            ("listen = 'here'", "w.toml: listen: \"here\"; expected an address and a port"),
            ("log.format = 'xml'", "w.toml: log.format: \"xml\"; expected text or json"),
            ("limits.message_bytes = 0", "w.toml: limits.message_bytes: 0; expected a whole"),
            ("amqp.packing_messages = 5000", "packing_messages: 5000; expected a whole number, 1"),
            ("delivery.max_attempts = 0", "w.toml: delivery.max_attempts: 0; expected a whole"),
            ("delivery.max_attempts = 5000000000", "max_attempts: 5000000000; expected a whole"),
            ("delivery.max_attempts = -1", "max_attempts: -1; expected a whole number"),
            ("delivery.max_attempts = 'many'", "max_attempts: another text; expected a whole"),
            ("delivery.retry_max_ms = 5", "w.toml: delivery.retry_max_ms: 5; expected at least"),
            ("tracing.sample = 2", "w.toml: tracing.sample: 2.0; expected a number, 0 to 1"),
            ("tracing.service_name = ' '", "w.toml: tracing.service_name: empty"),
            ("exchange.answers = 'a b'", "w.toml: exchange.answers: no name of an inbox"),
            ("log.filter = 'info,,=x=y'", "w.toml: log.filter: "),
            ("tls.key = 'k'", "w.toml: tls.certificate: absent"),
            ("console.operators = [{ name = 'a' }]", "console.operators[0].fingerprint: absent"),
            ("nonsense = 1", "w.toml: nonsense: unknown field"),
            ("limits.nonsense = 1", "w.toml: limits.nonsense: unknown field"),
            ("operators = ['4']", "w.toml: operators[0]: an OIN has 20"),
            (
                "operators = [{ oin = '00000099000000004000', roles = ['root'] }]",
                "w.toml: operators[0].roles[0]: another text; expected viewer, operator",
            ),
            ("bus = 'kafka://u:secret@h'", "w.toml: bus: not a bus; expected `embedded`"),
            (
                "[[exchange.http]]\ninbox = '00000099000000003000.v'\nurl = 'x'\ntimeout_ms = 0",
                "w.toml: exchange.http[0].timeout_ms: 0; expected a whole number",
            ),
        ] {
            let told = read_text(text).err().unwrap_or_default();
            assert!(told.starts_with("w.toml: ") && told.contains(expected), "{text}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn of_two_that_do_not_go_together_each_is_told_with_where_it_was_set() {
        let (initial, most) =
            ("WISSEL_DELIVERY__RETRY_INITIAL_MS", "WISSEL_DELIVERY__RETRY_MAX_MS");
        for (text, variables, expected) in [
            (
                "delivery.max_attempts = 5",
                vec![(initial, 4_000_000)],
                "WISSEL_DELIVERY__RETRY_INITIAL_MS: delivery.retry_initial_ms: 4000000; expected at \
                 most delivery.retry_max_ms, 3600000",
            ),
            (
                "delivery.retry_max_ms = 2000",
                vec![(initial, 3_000)],
                "w.toml: delivery.retry_max_ms: 2000; expected at least delivery.retry_initial_ms, \
                 3000 (WISSEL_DELIVERY__RETRY_INITIAL_MS)",
            ),
            (
                "delivery.max_attempts = 5",
                vec![(most, 5)],
                "WISSEL_DELIVERY__RETRY_MAX_MS: delivery.retry_max_ms: 5; expected at least \
                 delivery.retry_initial_ms, 1000 (the default)",
            ),
            (
                "delivery.retry_initial_ms = 3000",
                vec![(most, 2_000)],
                "WISSEL_DELIVERY__RETRY_MAX_MS: delivery.retry_max_ms: 2000; expected at least \
                 delivery.retry_initial_ms, 3000 (w.toml)",
            ),
        ] {
            assert_eq!(read_with(text, &variables).err().unwrap_or_default(), expected);
        }
    }

    #[test]
    fn what_is_absent_beside_a_variable_is_told_with_that() {
        let told = read_with("", &[("WISSEL_TLS__KEY", 1)]).err().unwrap_or_default();
        assert!(told.starts_with("WISSEL_TLS__KEY: tls.certificate: absent"), "{told}");
    }
}
