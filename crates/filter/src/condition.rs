use std::fmt;
use std::sync::Arc;

use wissel_message::{EventView, show_attribute_name};

use crate::Filter;

/// How a value is compared with the value wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Equal.
    Exact,
    /// Starts with it.
    Prefix,
}

/// What a filter asks of one attribute, in a form that takes little room: an index
/// holds millions.
#[derive(Clone, PartialEq, Eq)]
pub struct Condition {
    /// The attribute; many conditions share one name.
    pub attribute: Arc<str>,
    /// The value wanted.
    pub value: Arc<str>,
    /// How they are compared.
    pub dialect: Dialect,
}

impl Dialect {
    /// The name of the dialect, as in the standard.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
        }
    }

    pub(crate) fn holds(self, event: &EventView, attribute: &str, wanted: &str) -> bool {
        let Some(found) = event.attribute(attribute) else {
            return false;
        };
        let found = found.canonical();
        match self {
            Self::Exact => found == wanted,
            Self::Prefix => found.starts_with(wanted),
        }
    }
}

impl Condition {
    /// What the filter asks: all of these. `name` makes the names of attributes, so
    /// that they can be shared.
    pub fn of(
        filter: &Filter,
        mut name: impl FnMut(&str) -> Arc<str>,
    ) -> impl Iterator<Item = Self> {
        let (dialect, values) = filter.parts();
        values.iter().map(move |(attribute, value)| Self {
            attribute: name(attribute),
            value: value.as_str().into(),
            dialect,
        })
    }

    /// Whether a message meets the condition.
    #[must_use]
    pub fn matches(&self, event: &EventView) -> bool {
        self.dialect.holds(event, &self.attribute, &self.value)
    }
}

impl fmt::Debug for Condition {
    /// As of a [`Filter`]: no value is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute = show_attribute_name(&self.attribute, 0);
        write!(f, "{}{{{attribute:?}}}", self.dialect.name())
    }
}
