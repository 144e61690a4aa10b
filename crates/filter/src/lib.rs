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

mod condition;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use wissel_message::{EventView, check_attribute_name, show_attribute_name};

pub use condition::{Condition, Dialect};

/// A condition on the attributes of a message.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    #[error("{dialect}: {name} has {fault}; expected {expected}")]
    Name {
        /// The filter's dialect.
        dialect: &'static str,
        /// Its place, such as `attributes[0]`: the name itself may be anything.
        name: String,
        /// What is wrong with it.
        fault: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The value to compare with is empty.
    #[error("{dialect}: {name} is compared with an empty value; expected one")]
    EmptyValue {
        /// The filter's dialect.
        dialect: &'static str,
        /// The attribute; its place when the name may be personal.
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
        let (dialect, values) = self.parts();
        let dialect = dialect.name();
        if values.is_empty() {
            return Err(FilterError::Empty { dialect });
        }
        if values.len() > Self::ATTRIBUTES_MAX {
            let (found, max) = (values.len(), Self::ATTRIBUTES_MAX);
            return Err(FilterError::TooMany { dialect, found, max });
        }
        for (place, (name, value)) in values.iter().enumerate() {
            let shown = || show_attribute_name(name, place).into_owned();
            if let Err((fault, expected)) = check_attribute_name(name) {
                return Err(FilterError::Name { dialect, name: shown(), fault, expected });
            }
            if value.is_empty() {
                return Err(FilterError::EmptyValue { dialect, name: shown() });
            }
        }
        Ok(())
    }

    /// Whether a message meets the condition. Values are compared in their
    /// canonical string encoding, with regard to case.
    #[must_use]
    pub fn matches(&self, event: &EventView) -> bool {
        let (dialect, values) = self.parts();
        values.iter().all(|(name, wanted)| dialect.holds(event, name, wanted))
    }

    /// The filter's dialect, and the values wanted by attribute.
    #[must_use]
    pub fn parts(&self) -> (Dialect, &BTreeMap<String, String>) {
        match self {
            Self::Exact(values) => (Dialect::Exact, values),
            Self::Prefix(values) => (Dialect::Prefix, values),
        }
    }
}

impl fmt::Debug for Filter {
    /// The values are not shown: a `subject` may be personal. Nor are names that may
    /// be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dialect, values) = self.parts();
        let names = values.keys().enumerate();
        let names = names.map(|(place, name)| show_attribute_name(name, place));
        f.write_str(dialect.name())?;
        f.debug_set().entries(names).finish()
    }
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
        let many: BTreeMap<_, _> =
            (0..33).map(|index| (format!("a{index}"), "x".to_owned())).collect();
        assert!(matches!(Filter::Exact(many).check(), Err(FilterError::TooMany { .. })));
        let unknown = serde_json::from_str::<Filter>(r#"{"regex":{"a":"b"}}"#).unwrap_err();
        assert!(unknown.to_string().contains("exact"), "{unknown}");
    }

    #[test]
    fn no_value_is_shown() {
        let filter =
            filter(r#"{"exact":{"subject":"999990019","gemeente":"0344","999990019":"x"}}"#);
        assert_eq!(format!("{filter:?}"), r#"exact{"attributes[0]", "gemeente", "subject"}"#);
        let bad: Filter = serde_json::from_str(r#"{"exact":{"BSN 999990019":"x"}}"#).unwrap();
        let fault = bad.check().unwrap_err();
        assert!(!format!("{fault} {fault:?} {bad:?}").contains("999990019"));
    }

    #[test]
    fn conditions_hold_when_their_filter_does() {
        for json in [
            r#"{"exact":{"gemeente":"0344","source":"/bron"}}"#,
            r#"{"exact":{"gemeente":"0344","source":"/Bron"}}"#,
            r#"{"prefix":{"type":"nl.brp.","gemeente":"03"}}"#,
            r#"{"prefix":{"type":"nl.brp.","gemeente":"05"}}"#,
        ] {
            let filter = filter(json);
            let all: Vec<Condition> = Condition::of(&filter, |text| text.into()).collect();
            assert_eq!(all.len(), 2);
            let hold = all.iter().all(|condition| condition.matches(&event()));
            assert_eq!(hold, filter.matches(&event()), "{json}");
            assert!(!format!("{all:?}").contains("03"));
        }
    }
}
