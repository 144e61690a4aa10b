use std::collections::HashMap;

use anyhow::Result;
use foldhash::fast::RandomState;
use wissel_message::{EventView, Value};

use super::matcher::Matcher;
use super::subscription::{Condition, Subscription};
use super::workload::Kind;

/// A plain hash map that knows what the subscriptions of this workload equal, and
/// nothing else: what no router can be faster than.
pub(crate) struct Lookup {
    kind: Kind,
    by_key: HashMap<Box<str>, Box<[u32]>, RandomState>,
    key: String,
    targets: Vec<u32>,
}

/// How long the prefixes of W4 are.
const PREFIXES: [usize; 4] = [10, 11, 12, 14];

impl Lookup {
    pub(crate) fn empty(kind: Kind) -> Self {
        Self { kind, by_key: HashMap::default(), key: String::new(), targets: Vec::new() }
    }

    fn find(&mut self, message: &EventView) {
        self.targets.clear();
        match self.kind {
            Kind::Types => self.find_key(message.event_type()),
            Kind::Municipalities => {
                if let Some(Value::String(code)) = message.attribute("gemeente") {
                    let mut key = std::mem::take(&mut self.key);
                    key.clear();
                    key.push_str(message.event_type());
                    key.push_str(code);
                    self.find_key(&key);
                    self.key = key;
                }
            }
            Kind::Subjects => {
                if let Some(subject) = message.subject() {
                    self.find_key(subject);
                }
            }
            Kind::Affixes => {
                let subject = message.subject().unwrap_or_default();
                for prefix in PREFIXES.iter().filter_map(|length| subject.get(..*length)) {
                    self.find_key(prefix);
                }
                let source = message.source();
                if let Some(last) = source.rfind(':') {
                    self.find_key(&source[last..]);
                }
            }
            Kind::Mix => {}
        }
    }

    fn find_key(&mut self, key: &str) {
        if let Some(found) = self.by_key.get(key) {
            self.targets.extend_from_slice(found);
        }
    }

    /// What the message must have for this subscription; none when that is no equality.
    fn key_of(&self, subscription: &Subscription) -> Option<Box<str>> {
        let key = match (self.kind, subscription.conditions.as_slice()) {
            (Kind::Types, []) => subscription.types.concat(),
            (Kind::Municipalities, [Condition::Equal(_, code)]) => {
                subscription.types.concat() + code
            }
            (Kind::Subjects, [Condition::Equal(_, subject)]) => subject.clone(),
            (Kind::Affixes, [Condition::Prefix(_, affix) | Condition::Suffix(_, affix)]) => {
                affix.clone()
            }
            _ => return None,
        };
        Some(key.into())
    }
}

impl Matcher for Lookup {
    fn insert(&mut self, subscription: &Subscription) -> Result<bool> {
        let Some(key) = self.key_of(subscription) else {
            return Ok(false);
        };
        let found = self.by_key.entry(key).or_default();
        *found = found.iter().copied().chain([subscription.number]).collect();
        Ok(true)
    }

    fn remove(&mut self, subscription: &Subscription) -> Result<()> {
        if let Some(key) = self.key_of(subscription)
            && let Some(found) = self.by_key.get_mut(&key)
        {
            *found = found.iter().copied().filter(|one| *one != subscription.number).collect();
        }
        Ok(())
    }

    fn matches(&mut self, messages: &[EventView]) -> Result<u64> {
        let mut matches = 0;
        for message in messages {
            self.find(message);
            matches += self.targets.len() as u64;
        }
        Ok(matches)
    }

    fn answer(&mut self, message: &EventView) -> Result<Vec<u32>> {
        self.find(message);
        let mut numbers = self.targets.clone();
        numbers.sort_unstable();
        Ok(numbers)
    }
}
