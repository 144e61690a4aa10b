use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use wissel_message::{EventView, check_attribute_name, show_attribute_name};

use crate::compile::compile;
use crate::condition::{Condition, Test};
use crate::error::{FilterError, FilterFault};
use crate::functions::Function;
use crate::limits::{EXPRESSION_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_LEAVES_MAX};
use crate::{EventFacts, Expression, Operand, sql};

/// A filter as it is written, spelled as in the Subscriptions API.
///
/// `exact`, `prefix` and `suffix` compare the canonical text of attributes, with regard
/// to case; an attribute that is absent does not match, which is no error. So `not` of
/// one matches when the attribute is absent. A `sql` that gives an error, or anything
/// but true, does not match either.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Filter {
    /// Every named attribute is there and has exactly this value.
    Exact(BTreeMap<String, String>),
    /// Every named attribute is there and starts with this value.
    Prefix(BTreeMap<String, String>),
    /// Every named attribute is there and ends with this value.
    Suffix(BTreeMap<String, String>),
    /// Every one of these filters matches.
    All(Vec<Filter>),
    /// At least one of these filters matches.
    Any(Vec<Filter>),
    /// This filter does not match.
    Not(Box<Filter>),
    /// The expression, in CESQL, is true.
    Sql(String),
}

/// What has been counted of a filter so far.
#[derive(Default)]
struct Counted {
    leaves: usize,
    expression_bytes: usize,
    /// Calls of functions that there are not are allowed.
    any_function: bool,
}

impl Filter {
    /// The most attributes that one `exact`, `prefix` or `suffix` names.
    pub const ATTRIBUTES_MAX: usize = 32;

    /// Whether the filter can be used.
    ///
    /// # Errors
    /// The first fault found, or the first limit that it is over.
    pub fn check(&self) -> Result<(), FilterError> {
        self.check_inside(String::new(), 1, &mut Counted::default())
    }

    /// Whether the filters of one subscription can be used together: the limits of size
    /// are those of one filter.
    ///
    /// # Errors
    /// As [`Filter::check`], for the first one at fault.
    pub fn check_together(filters: &[Self]) -> Result<(), FilterError> {
        let mut counted = Counted::default();
        filters.iter().try_for_each(|filter| filter.check_inside(String::new(), 1, &mut counted))
    }

    /// Makes the form that messages are held against.
    ///
    /// An expression may call functions that there are not, as the standard has it; that is
    /// an error of each evaluation.
    ///
    /// # Errors
    /// As [`Filter::check`], but for that.
    pub fn compile(&self) -> Result<Condition, FilterError> {
        let mut counted = Counted { any_function: true, ..Counted::default() };
        self.check_inside(String::new(), 1, &mut counted)?;
        self.condition(String::new())
    }

    /// Whether a message meets the filter, by going through it as it is written. It is
    /// for a look at one message: [`Filter::compile`] what is to be held against many.
    /// Only what is over a limit of an evaluation can be told otherwise by the two: see
    /// [`crate::limits`].
    #[must_use]
    pub fn matches(&self, event: &EventView) -> bool {
        let compare = |values: &BTreeMap<String, String>, holds: fn(&str, &str) -> bool| {
            values.iter().all(|(name, wanted)| {
                event.attribute(name).is_some_and(|found| holds(&found.canonical(), wanted))
            })
        };
        match self {
            Self::Exact(values) => compare(values, |found, wanted| found == wanted),
            Self::Prefix(values) => compare(values, |found, wanted| found.starts_with(wanted)),
            Self::Suffix(values) => compare(values, |found, wanted| found.ends_with(wanted)),
            Self::All(filters) => filters.iter().all(|filter| filter.matches(event)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(event)),
            Self::Not(filter) => !filter.matches(event),
            Self::Sql(text) => match Expression::parse(text) {
                Ok(expression) => expression.evaluate(&EventFacts::new(event)).passes(),
                Err(_) => false,
            },
        }
    }

    /// The name of the dialect, as in the standard.
    #[must_use]
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Exact(_) => "exact",
            Self::Prefix(_) => "prefix",
            Self::Suffix(_) => "suffix",
            Self::All(_) => "all",
            Self::Any(_) => "any",
            Self::Not(_) => "not",
            Self::Sql(_) => "sql",
        }
    }

    /// What it reads of a message. What an expression reads that cannot be parsed is
    /// not known.
    #[must_use]
    pub fn operands(&self) -> BTreeSet<Operand> {
        let mut operands = BTreeSet::new();
        self.collect_operands(&mut operands);
        operands
    }

    /// The names of the attributes that it reads.
    #[must_use]
    pub fn attributes(&self) -> Vec<String> {
        let names = self.operands().into_iter().filter_map(|operand| match operand {
            Operand::Attribute(name) => Some(name.to_string()),
            Operand::Data(_) => None,
        });
        names.collect()
    }

    /// The JSON Pointers of what it reads in `data`.
    #[must_use]
    pub fn data_pointers(&self) -> Vec<String> {
        let pointers = self.operands().into_iter().filter_map(|operand| match operand {
            Operand::Attribute(_) => None,
            Operand::Data(pointer) => Some(pointer.to_string()),
        });
        pointers.collect()
    }

    fn collect_operands(&self, operands: &mut BTreeSet<Operand>) {
        match self {
            Self::Exact(values) | Self::Prefix(values) | Self::Suffix(values) => {
                operands.extend(values.keys().map(|name| Operand::Attribute(name.as_str().into())));
            }
            Self::All(filters) | Self::Any(filters) => {
                filters.iter().for_each(|filter| filter.collect_operands(operands));
            }
            Self::Not(filter) => filter.collect_operands(operands),
            Self::Sql(text) => {
                operands.extend(Expression::parse(text).iter().flat_map(Expression::operands));
            }
        }
    }

    fn check_inside(
        &self,
        before: String,
        depth: usize,
        counted: &mut Counted,
    ) -> Result<(), FilterError> {
        let place = before + self.dialect();
        let fault = |fault| Err(FilterError { place: place.clone(), fault });
        if depth > FILTER_DEPTH_MAX {
            return fault(FilterFault::TooDeep { max: FILTER_DEPTH_MAX });
        }
        match self {
            Self::Exact(values) | Self::Prefix(values) | Self::Suffix(values) => {
                if let Err(found) = check_values(values) {
                    return fault(found);
                }
                counted.leaves += values.len();
            }
            Self::All(filters) | Self::Any(filters) => {
                if filters.is_empty() {
                    return fault(FilterFault::NoFilter);
                }
                for (index, filter) in filters.iter().enumerate() {
                    filter.check_inside(format!("{place}[{index}]."), depth + 1, counted)?;
                }
            }
            Self::Not(filter) => filter.check_inside(format!("{place}."), depth + 1, counted)?,
            Self::Sql(text) => {
                counted.leaves += 1;
                counted.expression_bytes += text.len();
                let (found, max) = (counted.expression_bytes, EXPRESSION_BYTES_MAX);
                if found > max {
                    return fault(FilterFault::TooMuchText { found, max });
                }
                let node = match sql::parse(text) {
                    Ok(node) => node,
                    Err(error) => return fault(error.into()),
                };
                if let (false, Some(call)) = (counted.any_function, node.call_of_none()) {
                    let (name, arguments) = (call.0.to_owned(), call.1);
                    let expected = Function::expected(&name);
                    return fault(FilterFault::NoFunction { name, arguments, expected });
                }
            }
        }
        if counted.leaves > FILTER_LEAVES_MAX {
            return fault(FilterFault::TooManyComparisons { max: FILTER_LEAVES_MAX });
        }
        Ok(())
    }

    /// The condition; the filter has been checked.
    fn condition(&self, before: String) -> Result<Condition, FilterError> {
        let tests = |values: &BTreeMap<String, String>, test: fn(Operand, _) -> Test| {
            Condition::all(values.iter().map(|(name, value)| {
                let operand = Operand::Attribute(name.as_str().into());
                Condition(test(operand, value.as_str().into()))
            }))
        };
        let place = before + self.dialect();
        let inside = |filters: &[Self]| {
            let filters = filters.iter().enumerate();
            filters
                .map(|(index, filter)| filter.condition(format!("{place}[{index}].")))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match self {
            Self::Exact(values) => tests(values, Test::Equal),
            Self::Prefix(values) => tests(values, Test::Prefix),
            Self::Suffix(values) => tests(values, Test::Suffix),
            Self::All(filters) => Condition::all(inside(filters)?),
            Self::Any(filters) => Condition::any(inside(filters)?),
            Self::Not(filter) => Condition::negate(filter.condition(format!("{place}."))?),
            Self::Sql(text) => match sql::parse(text) {
                Ok(expression) => compile(&expression),
                Err(error) => return Err(FilterError { place, fault: error.into() }),
            },
        })
    }
}

fn check_values(values: &BTreeMap<String, String>) -> Result<(), FilterFault> {
    if values.is_empty() {
        return Err(FilterFault::NoAttribute);
    }
    if values.len() > Filter::ATTRIBUTES_MAX {
        let (found, max) = (values.len(), Filter::ATTRIBUTES_MAX);
        return Err(FilterFault::TooManyAttributes { found, max });
    }
    for (place, (name, value)) in values.iter().enumerate() {
        let shown = || show_attribute_name(name, place).into_owned();
        if let Err((fault, expected)) = check_attribute_name(name) {
            return Err(FilterFault::Name { name: shown(), fault, expected });
        }
        if value.is_empty() {
            return Err(FilterFault::EmptyValue { name: shown() });
        }
    }
    Ok(())
}

impl fmt::Debug for Filter {
    /// The values are not shown: a `subject` may be personal. Nor are names that may
    /// be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dialect())?;
        match self {
            Self::Exact(values) | Self::Prefix(values) | Self::Suffix(values) => {
                let names = values.keys().enumerate();
                let names = names.map(|(place, name)| show_attribute_name(name, place));
                f.debug_set().entries(names).finish()
            }
            Self::All(filters) | Self::Any(filters) => filters.fmt(f),
            Self::Not(filter) => write!(f, "({filter:?})"),
            Self::Sql(_) => f.debug_set().entries(self.operands()).finish(),
        }
    }
}
