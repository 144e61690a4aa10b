use std::fmt;
use std::sync::Arc;

use crate::cast::with_canonical;
use crate::evaluate;
use crate::sql::Node;
use crate::{Facts, Operand};

/// What filters of every dialect are compiled to.
///
/// A condition holds for a message or does not: what is absent, or gives an error, does
/// not. Two conditions are equal when they are written alike, so that an index can share
/// them. A clone shares what is large.
///
/// ```
/// use wissel_filter::{EventFacts, Filter};
/// use wissel_message::{Event, EventView};
///
/// let filter: Filter = serde_json::from_str(
///     r#"{"all": [{"prefix": {"type": "nl.brp."}}, {"sql": "gemeente IN ('0344', '0363')"}]}"#,
/// )?;
/// let condition = filter.compile()?;
/// assert_eq!(condition.clone().into_conjuncts().len(), 2);
///
/// let event = Event::builder("1", "/bron", "nl.brp.geboorte").extension("gemeente", "0344");
/// let event = EventView::decode(event.build()?.encode())?;
/// assert!(condition.holds(&EventFacts::new(&event)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Condition(pub(crate) Test);

/// What a condition tests. A test of an operand does not hold when the message does not
/// have it; texts are canonical.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Always,
    Never,
    Present(Operand),
    Equal(Operand, Arc<str>),
    /// Sorted, distinct, two at least.
    OneOf(Operand, Arc<[Arc<str>]>),
    Prefix(Operand, Arc<str>),
    Suffix(Operand, Arc<str>),
    /// The condition does not hold.
    Not(Arc<Condition>),
    /// Two at least.
    All(Arc<[Condition]>),
    /// Two at least.
    Any(Arc<[Condition]>),
    /// The value of the expression is Boolean and true, and there is no error.
    Sql(Arc<Node>),
}

impl Condition {
    pub(crate) const ALWAYS: Self = Self(Test::Always);
    pub(crate) const NEVER: Self = Self(Test::Never);

    /// Holds exactly when all of these do; always when there is none.
    #[must_use]
    pub fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for condition in conditions {
            match condition.0 {
                Test::Always => {}
                Test::Never => return Self::NEVER,
                Test::All(inner) => all.extend(inner.iter().cloned()),
                test => all.push(Self(test)),
            }
        }
        match all.len() {
            0 => Self::ALWAYS,
            1 => all.remove(0),
            _ => Self(Test::All(all.into())),
        }
    }

    /// Holds exactly when one of these does; never when there is none.
    #[must_use]
    pub fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for condition in conditions {
            match condition.0 {
                Test::Never => {}
                Test::Always => return Self::ALWAYS,
                Test::Any(inner) => flat.extend(inner.iter().cloned()),
                test => flat.push(Self(test)),
            }
        }
        let mut any = merge_values(flat);
        match any.len() {
            0 => Self::NEVER,
            1 => any.remove(0),
            _ => Self(Test::Any(any.into())),
        }
    }

    /// Holds exactly when the condition does not.
    pub(crate) fn negate(condition: Self) -> Self {
        match condition.0 {
            Test::Always => Self::NEVER,
            Test::Never => Self::ALWAYS,
            Test::Not(inner) => Arc::unwrap_or_clone(inner),
            Test::Any(inner) => Self::all(inner.iter().cloned().map(Self::negate)),
            test => Self(Test::Not(Arc::new(Self(test)))),
        }
    }

    /// The text of the operand is one of these.
    #[must_use]
    pub fn one_of(operand: Operand, mut values: Vec<Arc<str>>) -> Self {
        values.sort_unstable();
        values.dedup();
        Self(match values.len() {
            0 => Test::Never,
            1 => Test::Equal(operand, values.remove(0)),
            _ => Test::OneOf(operand, values.into()),
        })
    }

    /// The expression is true.
    pub(crate) fn sql(node: Node) -> Self {
        Self(Test::Sql(Arc::new(node)))
    }

    /// Conditions that all hold exactly when this one does, in any order. There is none
    /// for a condition that always holds; one that never holds stays alone.
    #[must_use]
    pub fn into_conjuncts(self) -> Vec<Self> {
        match self.0 {
            Test::Always => Vec::new(),
            Test::All(all) => all.to_vec(),
            test => vec![Self(test)],
        }
    }

    /// Whether it is known to hold for no message.
    #[must_use]
    pub fn is_never(&self) -> bool {
        self.0 == Test::Never
    }

    /// Whether a message meets the condition. Nothing is allocated to compare text,
    /// URIs, integers and booleans; where an expression makes strings it is.
    pub fn holds<F: Facts + ?Sized>(&self, facts: &F) -> bool {
        let canonical = |operand, look: &dyn Fn(&str) -> bool| {
            facts.value(operand).is_some_and(|value| with_canonical(&value, look))
        };
        match &self.0 {
            Test::Always => true,
            Test::Never => false,
            Test::Present(operand) => facts.value(operand).is_some(),
            Test::Equal(operand, wanted) => canonical(operand, &|found| *found == **wanted),
            Test::OneOf(operand, wanted) => canonical(operand, &|found| {
                wanted.binary_search_by(|wanted| (**wanted).cmp(found)).is_ok()
            }),
            Test::Prefix(operand, wanted) => {
                canonical(operand, &|found| found.starts_with(&**wanted))
            }
            Test::Suffix(operand, wanted) => {
                canonical(operand, &|found| found.ends_with(&**wanted))
            }
            Test::Not(inner) => !inner.holds(facts),
            Test::All(all) => all.iter().all(|one| one.holds(facts)),
            Test::Any(any) => any.iter().any(|one| one.holds(facts)),
            Test::Sql(node) => evaluate::holds(node, facts),
        }
    }

    /// What it reads of a message.
    #[must_use]
    pub fn operands(&self) -> Vec<Operand> {
        let mut operands = Vec::new();
        self.each_operand(&mut |operand| operands.push(operand.clone()));
        operands.sort_unstable();
        operands.dedup();
        operands
    }

    fn each_operand(&self, visit: &mut dyn FnMut(&Operand)) {
        match &self.0 {
            Test::Always | Test::Never => {}
            Test::Present(operand)
            | Test::Equal(operand, _)
            | Test::OneOf(operand, _)
            | Test::Prefix(operand, _)
            | Test::Suffix(operand, _) => visit(operand),
            Test::Not(inner) => inner.each_operand(visit),
            Test::All(parts) | Test::Any(parts) => {
                parts.iter().for_each(|part| part.each_operand(visit));
            }
            Test::Sql(node) => node.each_operand(&mut |operand| visit(operand)),
        }
    }
}

/// Makes one condition of those that want a value of the same operand.
fn merge_values(conditions: Vec<Condition>) -> Vec<Condition> {
    let mut merged: Vec<Condition> = Vec::with_capacity(conditions.len());
    let mut wanted: Vec<(Operand, Vec<Arc<str>>, usize)> = Vec::new();
    for condition in conditions {
        let (operand, values) = match condition.0 {
            Test::Equal(operand, value) => (operand, vec![value]),
            Test::OneOf(operand, values) => (operand, values.to_vec()),
            test => {
                merged.push(Condition(test));
                continue;
            }
        };
        match wanted.iter_mut().find(|(other, ..)| *other == operand) {
            Some((_, all, _)) => all.extend(values),
            None => {
                // Its place is kept.
                wanted.push((operand, values, merged.len()));
                merged.push(Condition::NEVER);
            }
        }
    }
    for (operand, values, place) in wanted {
        merged[place] = Condition::one_of(operand, values);
    }
    merged
}

impl fmt::Debug for Condition {
    /// No value is shown: it may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Test::Always => f.write_str("always"),
            Test::Never => f.write_str("never"),
            Test::Present(operand) => write!(f, "present({operand:?})"),
            Test::Equal(operand, _) => write!(f, "equal({operand:?})"),
            Test::OneOf(operand, values) => write!(f, "one of {}({operand:?})", values.len()),
            Test::Prefix(operand, _) => write!(f, "prefix({operand:?})"),
            Test::Suffix(operand, _) => write!(f, "suffix({operand:?})"),
            Test::Not(inner) => write!(f, "not({inner:?})"),
            Test::All(all) => f.debug_tuple("all").field(all).finish(),
            Test::Any(any) => f.debug_tuple("any").field(any).finish(),
            Test::Sql(_) => f.debug_tuple("sql").field(&self.operands()).finish(),
        }
    }
}
