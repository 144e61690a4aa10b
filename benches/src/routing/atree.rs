use a_tree::{ATree, AttributeDefinition, Event};
use anyhow::{Result, anyhow};
use wissel_message::{EventView, Value};

use super::matcher::Matcher;
use super::subscription::{Condition, Subscription};

/// The crate `a-tree`: a tree of the expressions that subscriptions share. It compares
/// texts for equality only: no prefix, no suffix, nothing inside a text.
pub(crate) struct ATreeMatcher {
    tree: ATree<u32>,
    /// Those taken last.
    events: Vec<Event>,
}

/// The attributes that subscriptions ask of.
const TEXTS: [&str; 6] = ["type", "source", "subject", "gemeente", "postcode", "dataref"];
const INTEGERS: [&str; 1] = ["bedrag"];

impl ATreeMatcher {
    pub(crate) fn empty() -> Result<Self> {
        let texts = TEXTS.iter().map(|name| AttributeDefinition::string(name));
        let integers = INTEGERS.iter().map(|name| AttributeDefinition::integer(name));
        let attributes: Vec<AttributeDefinition> = texts.chain(integers).collect();
        let tree = ATree::new(&attributes).map_err(|error| anyhow!("{error}"))?;
        Ok(Self { tree, events: Vec::new() })
    }

    fn event(&self, message: &EventView) -> Result<Event> {
        let mut event = self.tree.make_event();
        for (name, value) in message.attributes() {
            match value {
                Value::Integer(number) if INTEGERS.contains(&name) => {
                    event.with_integer(name, i64::from(number))?;
                }
                other if TEXTS.contains(&name) => event.with_string(name, &other.canonical())?,
                _ => {}
            }
        }
        Ok(event.build()?)
    }
}

impl Matcher for ATreeMatcher {
    fn insert(&mut self, subscription: &Subscription) -> Result<bool> {
        let Some(expression) = expression(subscription) else {
            return Ok(false);
        };
        let inserted = self.tree.insert(&subscription.number, &expression);
        inserted.map_err(|error| anyhow!("{error}"))?;
        Ok(true)
    }

    fn remove(&mut self, subscription: &Subscription) -> Result<()> {
        self.tree.delete(&subscription.number);
        Ok(())
    }

    fn take(&mut self, messages: &[EventView]) -> Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        for message in messages {
            events.push(self.event(message)?);
        }
        self.events = events;
        Ok(())
    }

    fn matches(&mut self, _messages: &[EventView]) -> Result<u64> {
        let mut matches = 0;
        for event in &self.events {
            let report = self.tree.search(event).map_err(|error| anyhow!("{error}"))?;
            matches += report.matches().len() as u64;
        }
        Ok(matches)
    }

    fn answer(&mut self, message: &EventView) -> Result<Vec<u32>> {
        let event = self.event(message)?;
        let report = self.tree.search(&event).map_err(|error| anyhow!("{error}"))?;
        let mut numbers: Vec<u32> = report.matches().iter().map(|number| **number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// None when it cannot be expressed.
fn expression(subscription: &Subscription) -> Option<String> {
    let mut terms = match subscription.types.as_slice() {
        [] => vec![],
        [one] => vec![format!("type = '{one}'")],
        several => vec![one_of("type", several)],
    };
    for condition in &subscription.conditions {
        terms.push(match condition {
            Condition::Equal(name, value) => format!("{name} = '{value}'"),
            Condition::OneOf(name, values) => one_of(name, values),
            Condition::Either(name, one, other) => {
                format!("({name} = '{one}' or {name} = '{other}')")
            }
            Condition::Other(name, value) => format!("not ({name} = '{value}')"),
            Condition::Exists(name) => format!("{name} is not null"),
            Condition::AtLeast(name, number) => format!("{name} >= {number}"),
            Condition::Prefix(..)
            | Condition::Left(..)
            | Condition::Suffix(..)
            | Condition::Contains(..) => return None,
        });
    }
    Some(terms.join(" and "))
}

fn one_of(name: &str, values: &[String]) -> String {
    format!("{name} in ['{}']", values.join("', '"))
}
