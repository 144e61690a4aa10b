use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use wissel_filter::Filter;

/// What a subscription asks of one attribute, in no contender's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The attribute has this value.
    Equal(&'static str, String),
    /// It has one of these values.
    OneOf(&'static str, Vec<String>),
    /// It has the first or the second value; written with OR.
    Either(&'static str, String, String),
    /// It is there, and has another value.
    Other(&'static str, String),
    /// It starts with this.
    Prefix(&'static str, String),
    /// It starts with this; written with LEFT.
    Left(&'static str, String),
    /// It ends with this.
    Suffix(&'static str, String),
    /// This stands somewhere in it.
    Contains(&'static str, String),
    /// It is there.
    Exists(&'static str),
    /// It is a number that is no less.
    AtLeast(&'static str, i32),
}

/// A subscription, in no contender's own words: a message must have one of the types
/// (any, when there is none) and meet every condition.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// No two of a workload have the same.
    pub number: u32,
    /// The event types wanted.
    pub types: Vec<String>,
    /// All must hold; no two are of the same attribute.
    pub conditions: Vec<Condition>,
    /// Written as one CESQL expression, not as filters.
    pub cesql: bool,
}

impl Subscription {
    /// The conditions as Wissel takes them.
    ///
    /// # Errors
    /// When Wissel has no such filter.
    pub fn filters(&self) -> Result<Vec<Filter>> {
        let spelled: Vec<Value> = if self.cesql {
            let terms: Vec<String> = self.conditions.iter().map(Condition::cesql).collect();
            vec![json!({ "sql": terms.join(" AND ") })]
        } else {
            self.conditions.iter().map(Condition::filter).collect()
        };
        let filters = spelled.into_iter().map(serde_json::from_value);
        filters.collect::<Result<_, _>>().context("a filter that Wissel does not have")
    }
}

impl Condition {
    /// In the spelling of the Subscriptions API.
    fn filter(&self) -> Value {
        match self {
            Self::Equal(name, value) => json!({ "exact": { *name: value } }),
            Self::Prefix(name, value) => json!({ "prefix": { *name: value } }),
            Self::Suffix(name, value) => json!({ "suffix": { *name: value } }),
            other => json!({ "sql": other.cesql() }),
        }
    }

    /// As a term of CESQL. No value here holds a quote, `%` or `_`.
    fn cesql(&self) -> String {
        match self {
            Self::Equal(name, value) => format!("{name} = '{value}'"),
            Self::OneOf(name, values) => format!("{name} IN ('{}')", values.join("', '")),
            Self::Either(name, one, other) => format!("({name} = '{one}' OR {name} = '{other}')"),
            Self::Other(name, value) => format!("NOT ({name} = '{value}')"),
            Self::Prefix(name, value) => format!("{name} LIKE '{value}%'"),
            Self::Left(name, value) => format!("LEFT({name}, {}) = '{value}'", value.len()),
            Self::Suffix(name, value) => format!("{name} LIKE '%{value}'"),
            Self::Contains(name, value) => format!("{name} LIKE '%{value}%'"),
            Self::Exists(name) => format!("EXISTS {name}"),
            Self::AtLeast(name, number) => format!("{name} >= {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_spelled_as_the_standards_say() {
        let prefix = Condition::Prefix("subject", "0344".to_owned());
        assert_eq!(prefix.filter(), json!({ "prefix": { "subject": "0344" } }));
        assert_eq!(prefix.cesql(), "subject LIKE '0344%'");
        let left = Condition::Left("subject", "12".to_owned());
        assert_eq!(left.cesql(), "LEFT(subject, 2) = '12'");
        let one_of = Condition::OneOf("gemeente", vec!["0344".to_owned(), "0363".to_owned()]);
        assert_eq!(one_of.cesql(), "gemeente IN ('0344', '0363')");
    }
}
