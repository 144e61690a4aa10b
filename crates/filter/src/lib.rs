//! CloudEvents filter dialects: check and evaluate.
//!
//! Follows the CloudEvents Subscriptions API (`subscriptions/spec.md`, section
//! "Filters") of <https://github.com/cloudevents/spec>, dialects `exact` and
//! `prefix`. In files and JSON a filter is spelled as there:
//!
//! ```
//! use wissel_filter::Filter;
//!
//! let filter: Filter = serde_json::from_str(r#"{"exact": {"gemeente": "0344"}}"#)?;
//! filter.check()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wissel_message::{EventView, check_attribute_name};

/// A condition on the attributes of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Filter {
    /// Every named attribute is there and has exactly this value.
    Exact(BTreeMap<String, String>),
    /// Every named attribute is there and starts with this value.
    Prefix(BTreeMap<String, String>),
}

/// Why a filter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// No attribute is named.
    #[error("{dialect}: names no attribute; expected at least one")]
    Empty {
        /// The filter's dialect.
        dialect: &'static str,
    },
    /// More attributes than are taken.
    #[error("{dialect}: names {found} attributes; expected at most {max}")]
    TooMany {
        /// The filter's dialect.
        dialect: &'static str,
        /// How many there are.
        found: usize,
        /// The most that are taken.
        max: usize,
    },
    /// Not the name of an attribute.
    #[error("{dialect}: attribute {name:?} has {fault}; expected {expected}")]
    Name {
        /// The filter's dialect.
        dialect: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The value to compare with is empty.
    #[error("{dialect}: attribute {name:?} is compared with an empty value; expected one")]
    EmptyValue {
        /// The filter's dialect.
        dialect: &'static str,
        /// The attribute.
        name: String,
    },
}

impl Filter {
    /// The most attributes that one filter names.
    pub const ATTRIBUTES_MAX: usize = 32;

    /// Whether the filter can be used.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self) -> Result<(), FilterError> {
        let (dialect, values) = match self {
            Self::Exact(values) => ("exact", values),
            Self::Prefix(values) => ("prefix", values),
        };
        if values.is_empty() {
            return Err(FilterError::Empty { dialect });
        }
        if values.len() > Self::ATTRIBUTES_MAX {
            let (found, max) = (values.len(), Self::ATTRIBUTES_MAX);
            return Err(FilterError::TooMany {
                dialect,
                found,
                max,
            });
        }
        for (name, value) in values {
            if let Err((fault, expected)) = check_attribute_name(name) {
                return Err(FilterError::Name {
                    dialect,
                    name: name.clone(),
                    fault,
                    expected,
                });
            }
            if value.is_empty() {
                return Err(FilterError::EmptyValue {
                    dialect,
                    name: name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Whether a message meets the condition. Values are compared in their
    /// canonical string encoding, with regard to case.
    #[must_use]
    pub fn matches(&self, event: &EventView) -> bool {
        match self {
            Self::Exact(values) => all(values, event, |found, wanted| found == wanted),
            Self::Prefix(values) => all(values, event, |found, wanted| found.starts_with(wanted)),
        }
    }
}

fn all(
    values: &BTreeMap<String, String>,
    event: &EventView,
    holds: impl Fn(&str, &str) -> bool,
) -> bool {
    values.iter().all(|(name, wanted)| {
        event
            .attribute(name)
            .is_some_and(|found| holds(&found.canonical(), wanted))
    })
}

#[cfg(test)]
mod tests {
    use wissel_message::Event;

    use super::*;

    fn filter(json: &str) -> Filter {
        serde_json::from_str(json).unwrap()
    }

    fn event() -> EventView {
        let event = Event::builder("1", "/bron", "nl.brp.verhuizing.binnengemeentelijk")
            .extension("gemeente", "0344")
            .extension("teller", 7)
            .extension("spoed", true);
        EventView::decode(event.build().unwrap().encode()).unwrap()
    }

    #[test]
    fn exact_and_prefix_match_as_the_standard_says() {
        for (json, expected) in [
            (r#"{"exact":{"gemeente":"0344"}}"#, true),
            (r#"{"exact":{"gemeente":"034"}}"#, false),
            (r#"{"exact":{"gemeente":"0344","source":"/bron"}}"#, true),
            (r#"{"exact":{"gemeente":"0344","source":"/Bron"}}"#, false),
            (r#"{"exact":{"teller":"7","spoed":"true"}}"#, true),
            (r#"{"exact":{"onbekend":"x"}}"#, false),
            (r#"{"prefix":{"type":"nl.brp."}}"#, true),
            (r#"{"prefix":{"type":"NL.brp."}}"#, false),
            (r#"{"prefix":{"type":"nl.brp.","gemeente":"05"}}"#, false),
            (r#"{"prefix":{"onbekend":"x"}}"#, false),
        ] {
            assert_eq!(filter(json).matches(&event()), expected, "{json}");
        }
    }

    #[test]
    fn faults_are_named() {
        let fault = |json: &str| filter(json).check().unwrap_err().to_string();
        assert!(fault(r#"{"exact":{}}"#).contains("names no attribute"));
        assert!(fault(r#"{"exact":{"A":"x"}}"#).contains("position 1"));
        assert!(fault(r#"{"prefix":{"a":""}}"#).contains("empty value"));
        let many: BTreeMap<_, _> = (0..33)
            .map(|index| (format!("a{index}"), "x".to_owned()))
            .collect();
        assert!(matches!(
            Filter::Exact(many).check(),
            Err(FilterError::TooMany { .. })
        ));
        let unknown = serde_json::from_str::<Filter>(r#"{"regex":{"a":"b"}}"#).unwrap_err();
        assert!(unknown.to_string().contains("exact"), "{unknown}");
    }
}
