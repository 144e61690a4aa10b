use std::panic::{self, AssertUnwindSafe};

use anyhow::{Context as _, Result, anyhow};
use quamina::{Quamina, QuaminaBuilder};
use serde_json::{Map, Value as Json, json};
use wissel_message::{EventView, Value};

use super::matcher::Matcher;
use super::subscription::{Condition, Subscription};

/// The crate `quamina`: patterns and events are JSON. The JSON of a message holds all of
/// its attributes and no data.
pub(crate) struct QuaminaMatcher {
    quamina: Quamina<u32>,
    /// Those taken last.
    events: Vec<Vec<u8>>,
    taken: usize,
}

impl QuaminaMatcher {
    pub(crate) fn empty() -> Result<Self> {
        let builder = QuaminaBuilder::new().with_arena_byte_budget(usize::MAX / 2);
        Ok(Self { quamina: builder.build()?, events: Vec::new(), taken: 0 })
    }
}

impl Matcher for QuaminaMatcher {
    fn insert(&mut self, subscription: &Subscription) -> Result<bool> {
        self.quamina.add_pattern(subscription.number, &pattern(subscription).to_string())?;
        Ok(true)
    }

    /// Exclusions last: in quamina 0.7 an equality that is added after an exclusion of the
    /// same field matches values that are only partly equal.
    fn insert_all(&mut self, subscriptions: &[Subscription]) -> Result<Vec<u32>> {
        let (excluding, others): (Vec<_>, Vec<_>) =
            subscriptions.iter().partition(|one| excludes(one));
        for subscription in others.into_iter().chain(excluding) {
            self.insert(subscription)?;
        }
        Ok(Vec::new())
    }

    fn remove(&mut self, subscription: &Subscription) -> Result<()> {
        Ok(self.quamina.delete_patterns(&subscription.number)?)
    }

    /// What was added is built into the automaton at the next match.
    fn settle(&mut self) -> Result<()> {
        let quamina = &self.quamina;
        let hook = panic::take_hook();
        // The panic is reported as a limit of quamina: it need not be shown.
        panic::set_hook(Box::new(|_| {}));
        let matched = panic::catch_unwind(AssertUnwindSafe(|| quamina.matches_for_event(b"{}")));
        panic::set_hook(hook);
        matched.map_err(|_| anyhow!("it panics while it builds its automaton"))??;
        Ok(())
    }

    fn take(&mut self, messages: &[EventView]) -> Result<()> {
        self.events.resize_with(messages.len().max(self.events.len()), Vec::new);
        for (event, message) in self.events.iter_mut().zip(messages) {
            write_json(message, event)?;
        }
        self.taken = messages.len();
        Ok(())
    }

    fn matches(&mut self, _messages: &[EventView]) -> Result<u64> {
        let mut matches = 0;
        for event in &self.events[..self.taken] {
            matches += self.quamina.matches_for_event(event)?.len() as u64;
        }
        Ok(matches)
    }

    fn read(&mut self) -> Result<bool> {
        for event in &self.events[..self.taken] {
            self.quamina.flatten_only(event)?;
        }
        Ok(true)
    }

    fn answer(&mut self, message: &EventView) -> Result<Vec<u32>> {
        let mut event = Vec::new();
        write_json(message, &mut event)?;
        let mut numbers = self.quamina.matches_for_event(&event)?;
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn excludes(subscription: &Subscription) -> bool {
    subscription.conditions.iter().any(|one| matches!(one, Condition::Other(..)))
}

/// As a JSON event of CloudEvents without data, in the order of the message.
fn write_json(message: &EventView, event: &mut Vec<u8>) -> Result<()> {
    event.clear();
    for (name, value) in message.attributes() {
        event.extend_from_slice(if event.is_empty() { b"{" } else { b"," });
        serde_json::to_writer(&mut *event, name)?;
        event.push(b':');
        match value {
            Value::Integer(number) => serde_json::to_writer(&mut *event, &number),
            Value::Boolean(truth) => serde_json::to_writer(&mut *event, &truth),
            other => serde_json::to_writer(&mut *event, &other.canonical()),
        }
        .context("an attribute as JSON")?;
    }
    event.push(b'}');
    Ok(())
}

/// Every field must match, by any of its values.
fn pattern(subscription: &Subscription) -> Json {
    let mut fields = Map::new();
    if !subscription.types.is_empty() {
        fields.insert("type".to_owned(), json!(subscription.types));
    }
    for condition in &subscription.conditions {
        let (name, values) = match condition {
            Condition::Equal(name, value) => (name, json!([value])),
            Condition::OneOf(name, values) => (name, json!(values)),
            Condition::Either(name, one, other) => (name, json!([one, other])),
            Condition::Other(name, value) => (name, json!([{ "anything-but": [value] }])),
            Condition::Prefix(name, value) | Condition::Left(name, value) => {
                (name, json!([{ "prefix": value }]))
            }
            Condition::Suffix(name, value) => (name, json!([{ "suffix": value }])),
            Condition::Contains(name, value) => {
                (name, json!([{ "wildcard": format!("*{value}*") }]))
            }
            Condition::Exists(name) => (name, json!([{ "exists": true }])),
            Condition::AtLeast(name, number) => (name, json!([{ "numeric": [">=", number] }])),
        };
        fields.insert((*name).to_owned(), values);
    }
    Json::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusion_must_come_after_an_equality() {
        let matching = |patterns: [&str; 2]| {
            let mut quamina = Quamina::new();
            for pattern in patterns {
                quamina.add_pattern(pattern.to_owned(), pattern).unwrap();
            }
            quamina.matches_for_event(br#"{"code": "1289"}"#).unwrap().len()
        };
        let (equal, other) = (r#"{"code": ["1089"]}"#, r#"{"code": [{"anything-but": ["1104"]}]}"#);
        assert_eq!(matching([equal, other]), 1);
        assert_eq!(matching([other, equal]), 2, "mended: insert_all is needed no longer");
    }
}
