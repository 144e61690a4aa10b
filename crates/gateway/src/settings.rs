//! The settings of an inbox, on the wire.

use std::time::Duration;

use wissel_broker::{InboxSettings, Refusal, WhenFull};
use wissel_proto::wissel::v1 as pb;

use crate::fields::{invalid, to_duration};

/// A change of settings: those that are named, or all.
pub(crate) struct Change {
    settings: InboxSettings,
    paths: Vec<String>,
}

/// The names of the settings, as a field mask has them.
const PATHS: [&str; 10] = [
    "max_attempts",
    "retry_initial",
    "retry_max",
    "max_age",
    "max_deliveries",
    "max_bytes",
    "when_full",
    "direct_amqp",
    "paused",
    "draining",
];

impl Change {
    pub(crate) fn read(
        settings: Option<pb::InboxSettings>,
        mask: Option<prost_types::FieldMask>,
    ) -> Result<Self, Refusal> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        let known = |path: &&String| PATHS.contains(&path.as_str());
        if let Some(unknown) = paths.iter().find(|path| !known(path)) {
            let shown: String = unknown.chars().take(40).collect();
            let description = format!("{shown:?}; expected some of {}", PATHS.join(", "));
            return Err(invalid("update_mask", description));
        }
        Ok(Self { settings: read(settings.unwrap_or_default())?, paths })
    }

    /// The settings after the change.
    pub(crate) fn apply(self, before: InboxSettings) -> InboxSettings {
        let Self { settings: new, paths } = self;
        if paths.is_empty() {
            return new;
        }
        let mut all = before;
        for path in paths {
            match path.as_str() {
                "max_attempts" => all.max_attempts = new.max_attempts,
                "retry_initial" => all.retry_initial = new.retry_initial,
                "retry_max" => all.retry_max = new.retry_max,
                "max_age" => all.max_age = new.max_age,
                "max_deliveries" => all.max_deliveries = new.max_deliveries,
                "max_bytes" => all.max_bytes = new.max_bytes,
                "when_full" => all.when_full = new.when_full,
                "direct_amqp" => all.direct_amqp = new.direct_amqp,
                "paused" => all.paused = new.paused,
                "draining" => all.draining = new.draining,
                _ => debug_assert!(false, "the names were checked"),
            }
        }
        all
    }
}

fn read(settings: pb::InboxSettings) -> Result<InboxSettings, Refusal> {
    let span = |field: &str, given: Option<prost_types::Duration>| {
        let read = given.map(Duration::try_from).transpose();
        read.map_err(|_| invalid(&format!("settings.{field}"), "not a positive duration"))
    };
    let when_full = match pb::WhenFull::try_from(settings.when_full) {
        Ok(pb::WhenFull::Unspecified) => None,
        Ok(pb::WhenFull::Refuse) => Some(WhenFull::Refuse),
        Ok(pb::WhenFull::DeadLetter) => Some(WhenFull::DeadLetter),
        Err(_) => return Err(invalid("settings.when_full", "unknown; expected 0, 1 or 2")),
    };
    Ok(InboxSettings {
        max_attempts: settings.max_attempts,
        retry_initial: span("retry_initial", settings.retry_initial)?,
        retry_max: span("retry_max", settings.retry_max)?,
        max_age: span("max_age", settings.max_age)?,
        max_deliveries: settings.max_deliveries,
        max_bytes: settings.max_bytes,
        when_full,
        direct_amqp: settings.direct_amqp,
        paused: settings.paused,
        draining: settings.draining,
    })
}

pub(crate) fn write(settings: &InboxSettings) -> pb::InboxSettings {
    let when_full = match settings.when_full {
        None => pb::WhenFull::Unspecified,
        Some(WhenFull::Refuse) => pb::WhenFull::Refuse,
        Some(WhenFull::DeadLetter) => pb::WhenFull::DeadLetter,
    };
    pb::InboxSettings {
        max_attempts: settings.max_attempts,
        retry_initial: settings.retry_initial.and_then(to_duration),
        retry_max: settings.retry_max.and_then(to_duration),
        max_age: settings.max_age.and_then(to_duration),
        max_deliveries: settings.max_deliveries,
        max_bytes: settings.max_bytes,
        when_full: when_full.into(),
        direct_amqp: settings.direct_amqp,
        paused: settings.paused,
        draining: settings.draining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_travel_and_a_mask_says_which_change() {
        let before = InboxSettings {
            max_attempts: Some(3),
            retry_initial: Some(Duration::from_millis(1_500)),
            retry_max: Some(Duration::from_secs(60)),
            max_age: Some(Duration::from_secs(86_400)),
            max_deliveries: Some(10),
            max_bytes: Some(1 << 30),
            when_full: Some(WhenFull::DeadLetter),
            direct_amqp: true,
            paused: true,
            draining: true,
        };
        let change = |settings, paths: &[&str]| {
            let paths = paths.iter().map(ToString::to_string).collect();
            Change::read(settings, Some(prost_types::FieldMask { paths }))
        };
        let all = change(Some(write(&before)), &[]).unwrap().apply(InboxSettings::default());
        assert_eq!(all, before);
        let each = change(Some(write(&before)), &PATHS).unwrap().apply(InboxSettings::default());
        assert_eq!(each, before);
        let none = change(None, &[]).unwrap().apply(before);
        assert_eq!(none, InboxSettings::default());
        let one = change(None, &["max_age"]).unwrap().apply(before);
        assert_eq!(one, InboxSettings { max_age: None, ..before });
        assert!(change(None, &["depth"]).is_err());
        let negative = prost_types::Duration { seconds: -1, nanos: 0 };
        let wrong = pb::InboxSettings { max_age: Some(negative), ..write(&before) };
        assert!(change(Some(wrong), &[]).is_err());
        let wrong = pb::InboxSettings { when_full: 7, ..write(&before) };
        assert!(change(Some(wrong), &[]).is_err());
    }
}
