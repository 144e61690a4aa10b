//! How the deliveries of an inbox are retried, and when they are given up: the settings of
//! the inbox, with those of the gateway where it has none.

use std::time::{Duration, SystemTime};

use wissel_store::InboxSettings;

use crate::{Fault, Reason, Refusal};

/// How deliveries are retried where an inbox does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryDefaults {
    /// How many times a delivery is handed out before it becomes a dead letter.
    pub max_attempts: u32,
    /// How long it waits after its first attempt; twice as long after each further one.
    pub retry_initial: Duration,
    /// The longest that it waits.
    pub retry_max: Duration,
}

impl Default for DeliveryDefaults {
    /// 20 attempts, after 1 second to 1 hour: about eight hours in all.
    fn default() -> Self {
        Self {
            max_attempts: 20,
            retry_initial: Duration::from_secs(1),
            retry_max: Duration::from_hours(1),
        }
    }
}

/// How the deliveries of one inbox are retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) max_attempts: u32,
    retry_initial: Duration,
    retry_max: Duration,
    pub(crate) max_age: Option<Duration>,
}

/// A wait is up to so much shorter or longer, so that deliveries that failed together do
/// not come again together.
const JITTER: f64 = 0.2;
/// The longest that a delivery waits for its retry.
pub(crate) const RETRY_MAX: Duration = Duration::from_hours(24);

impl Policy {
    pub(crate) fn of(settings: &InboxSettings, defaults: &DeliveryDefaults) -> Self {
        let retry_initial = settings.retry_initial.unwrap_or(defaults.retry_initial);
        let retry_max = settings.retry_max.unwrap_or(defaults.retry_max);
        Self {
            max_attempts: settings.max_attempts.unwrap_or(defaults.max_attempts),
            retry_initial,
            retry_max: retry_max.max(retry_initial),
            max_age: settings.max_age,
        }
    }

    /// How long a delivery waits after this attempt, counted from 1.
    pub(crate) fn wait_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let wait = self.retry_initial.saturating_mul(1 << doublings).min(self.retry_max);
        let jitter = 1.0 + JITTER * (2.0 * fastrand::f64() - 1.0);
        wait.mul_f64(jitter).min(RETRY_MAX)
    }

    /// Whether a message that was admitted then is too old to be handed out.
    pub(crate) fn is_too_old(&self, admitted_at: SystemTime, now: SystemTime) -> bool {
        let age = now.duration_since(admitted_at).unwrap_or_default();
        self.max_age.is_some_and(|most| age > most)
    }
}

/// The settings of an inbox, with those of the gateway where it has none. What is none then
/// sets no limit.
pub(crate) fn in_effect(settings: &InboxSettings, defaults: &DeliveryDefaults) -> InboxSettings {
    let Policy { max_attempts, retry_initial, retry_max, max_age } = Policy::of(settings, defaults);
    InboxSettings {
        max_attempts: Some(max_attempts),
        retry_initial: Some(retry_initial),
        retry_max: Some(retry_max),
        max_age,
        when_full: Some(settings.when_full.unwrap_or_default()),
        ..*settings
    }
}

/// Refuses settings that make no sense, with every field at fault.
pub(crate) fn check(settings: &InboxSettings) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    let mut expect = |holds: bool, field: &str, description: &str| {
        if !holds {
            let field = format!("settings.{field}");
            faults.push(Fault { field, description: description.to_owned() });
        }
    };
    let longer_than_nothing = |duration: Option<Duration>| {
        duration.is_none_or(|duration| duration >= Duration::from_millis(1))
    };
    let within_a_day = |duration: Option<Duration>| {
        longer_than_nothing(duration) && duration.is_none_or(|duration| duration <= RETRY_MAX)
    };
    expect(settings.max_attempts != Some(0), "max_attempts", "0; expected at least 1");
    let a_day = "expected 1 ms to 24 h";
    expect(within_a_day(settings.retry_initial), "retry_initial", a_day);
    expect(within_a_day(settings.retry_max), "retry_max", a_day);
    let in_order = match (settings.retry_initial, settings.retry_max) {
        (Some(initial), Some(max)) => initial <= max,
        _ => true,
    };
    expect(in_order, "retry_max", "less than retry_initial; expected at least as much");
    let an_age = "expected at least 1 ms";
    expect(longer_than_nothing(settings.max_age), "max_age", an_age);
    expect(settings.max_deliveries != Some(0), "max_deliveries", "0; expected at least 1");
    expect(settings.max_bytes != Some(0), "max_bytes", "0; expected at least 1");
    if faults.is_empty() {
        return Ok(());
    }
    Err(Refusal::of_fields(Reason::InvalidRequest, faults))
}

#[cfg(test)]
mod tests {
    use wissel_store::WhenFull;

    use super::*;

    fn policy(initial_ms: u64, max_ms: u64) -> Policy {
        let settings = InboxSettings {
            retry_initial: Some(Duration::from_millis(initial_ms)),
            retry_max: Some(Duration::from_millis(max_ms)),
            ..InboxSettings::default()
        };
        Policy::of(&settings, &DeliveryDefaults::default())
    }

    #[test]
    fn waits_double_up_to_the_most_and_differ_a_little() {
        let policy = policy(100, 1_000);
        for (attempt, expected_ms) in [(1, 100), (2, 200), (4, 800), (5, 1_000), (4_000, 1_000)] {
            let expected = Duration::from_millis(expected_ms);
            let waits: Vec<Duration> = (0..200).map(|_| policy.wait_after(attempt)).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*least >= expected.mul_f64(0.8) && *most <= expected.mul_f64(1.2));
            assert!(*least < expected.mul_f64(0.95) && *most > expected.mul_f64(1.05));
        }
        assert!(Policy { retry_max: Duration::MAX, ..policy }.wait_after(99) <= RETRY_MAX);
    }

    #[test]
    fn what_an_inbox_does_not_say_is_as_the_gateway_is_set() {
        let defaults = DeliveryDefaults { max_attempts: 7, ..DeliveryDefaults::default() };
        let stated = InboxSettings {
            retry_initial: Some(Duration::from_hours(2)),
            max_bytes: Some(9),
            paused: true,
            ..InboxSettings::default()
        };
        let expected = InboxSettings {
            max_attempts: Some(7),
            // Never less than the first wait.
            retry_max: Some(Duration::from_hours(2)),
            when_full: Some(WhenFull::Refuse),
            ..stated
        };
        assert_eq!(in_effect(&stated, &defaults), expected);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_together() {
        let zero = Some(Duration::ZERO);
        let settings = InboxSettings {
            max_attempts: Some(0),
            retry_initial: Some(Duration::from_secs(100_000)),
            retry_max: Some(Duration::from_secs(1)),
            max_age: zero,
            max_deliveries: Some(0),
            max_bytes: Some(0),
            when_full: None,
            direct_amqp: false,
            paused: false,
            draining: false,
        };
        let faults = check(&settings).unwrap_err().faults;
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        let expected = [
            "settings.max_attempts",
            "settings.retry_initial",
            "settings.retry_max",
            "settings.max_age",
            "settings.max_deliveries",
            "settings.max_bytes",
        ];
        assert_eq!(fields, expected);
        assert_eq!(check(&InboxSettings::default()), Ok(()));
    }
}
