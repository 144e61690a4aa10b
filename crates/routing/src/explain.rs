use std::fmt;
use std::hash::Hash;

use wissel_filter::{Condition, Filter, FilterError, Operand};

use crate::changes::Alternative;
use crate::choice::choose;
use crate::entry::Affix;
use crate::plan::Spot;
use crate::question::Question;
use crate::{Router, Table};

/// How a subscription would be filed in a table, for its owner to read: values are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filed {
    /// Nothing can match.
    Nowhere,
    /// In these places, of which a matching message has at least one.
    Under {
        /// What a message is looked up by, such as `type = nl.brp.geboorte and subject = 1`.
        places: Vec<String>,
        /// What is left to check for what is found there.
        left: Vec<Condition>,
        /// The event types of which one is left to check as well; none when the places say
        /// them, or every type is wanted.
        types_left: Vec<String>,
    },
}

impl<T: Clone + Eq + Hash> Router<T> {
    /// How a subscription would be filed now. The more subscriptions there are that ask the
    /// same, the more is taken to tell them apart.
    ///
    /// # Errors
    /// When a filter cannot be used.
    pub fn explain(&self, types: &[String], filters: &[Filter]) -> Result<Filed, FilterError> {
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let filters: Vec<&Filter> = filters.iter().collect();
        let asked = Alternative { types: &types, filters: &filters, followed: false, target: () };
        let question = Question::of(asked)?;
        Ok(question.map_or(Filed::Nowhere, |question| filed(&self.snapshot(), question)))
    }
}

fn filed<T: Clone>(table: &Table<T>, question: Question<()>) -> Filed {
    let Question { types, conditions, .. } = question;
    let scopes = table.scopes(types.as_deref());
    let chosen = choose(table, &conditions, scopes.as_deref());
    let types = types.unwrap_or_default();
    let of_types: Vec<Option<&str>> = if chosen.says_type {
        types.iter().map(|event_type| Some(&**event_type)).collect()
    } else {
        vec![None]
    };
    let spots = chosen.way.spots.iter();
    let places = spots.flat_map(|spot| of_types.iter().map(move |of| describe(*of, spot)));
    let places = places.collect();
    let types_left =
        if chosen.says_type { Vec::new() } else { types.iter().map(ToString::to_string).collect() };
    Filed::Under { places, left: chosen.left(conditions), types_left }
}

fn describe(event_type: Option<&str>, spot: &Spot) -> String {
    let mut parts: Vec<String> =
        event_type.map(|event_type| format!("type = {event_type}")).into_iter().collect();
    match spot {
        Spot::Values(values) => {
            parts.extend(
                values.iter().map(|(operand, value)| format!("{} = {value}", Shown(operand))),
            );
        }
        Spot::Affix(operand, Affix::Prefix, text) => {
            parts.push(format!("{} begins with {text}", Shown(operand)));
        }
        Spot::Affix(operand, Affix::Suffix, text) => {
            parts.push(format!("{} ends with {text}", Shown(operand)));
        }
    }
    if parts.is_empty() { "every message".to_owned() } else { parts.join(" and ") }
}

struct Shown<'a>(&'a Operand);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Operand::Attribute(name) => f.write_str(name),
            Operand::Data(pointer) => write!(f, "data{pointer}"),
        }
    }
}
