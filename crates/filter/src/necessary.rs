//! What must be so whenever a condition holds, in terms that an index can look up. An
//! index that leaves a message out for what is no necessity loses a delivery.

use std::fmt;
use std::sync::Arc;

use crate::condition::{Condition, Test};
use crate::like::Shape;
use crate::sql::{Comparison, Literal, Logic, Node};
use crate::{Operand, words};

/// What must be so whenever a condition holds.
///
/// When every leaf is exact, the condition also holds whenever this is so, and nothing
/// is left to check; [`Necessary::is_exact`] says so.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Necessary {
    /// Nothing that can be looked up.
    Nothing,
    /// The operand is there, and its canonical text is one of these.
    OneOf {
        /// What is looked at.
        operand: Operand,
        /// The texts; sorted, distinct.
        values: Vec<Arc<str>>,
        /// Whether that is all that the condition says.
        exact: bool,
    },
    /// The operand is there, and its canonical text starts so.
    Prefix {
        /// What is looked at.
        operand: Operand,
        /// How the text starts; not empty.
        value: Arc<str>,
        /// Whether that is all that the condition says.
        exact: bool,
    },
    /// The operand is there, and its canonical text ends so.
    Suffix {
        /// What is looked at.
        operand: Operand,
        /// How the text ends; not empty.
        value: Arc<str>,
        /// Whether that is all that the condition says.
        exact: bool,
    },
    /// All of these are so. None of them is `Nothing`, and there are two at least.
    All(Vec<Necessary>),
    /// At least one of these is so. None of them is `Nothing`. An empty one is what a
    /// condition needs that never holds.
    Any(Vec<Necessary>),
}

impl Necessary {
    /// Whether the condition holds exactly when this is so.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::OneOf { exact, .. } | Self::Prefix { exact, .. } | Self::Suffix { exact, .. } => {
                *exact
            }
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_exact),
        }
    }

    /// All of these are necessary.
    fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        let mut unknown = false;
        for part in parts {
            match part {
                Self::Nothing => unknown = true,
                Self::Any(none) if none.is_empty() => return Self::Any(none),
                Self::All(inner) => all.extend(inner),
                part => all.push(part),
            }
        }
        // With something to check beside it, no part says everything.
        if unknown {
            all.iter_mut().for_each(Self::make_inexact);
        }
        match all.len() {
            0 => Self::Nothing,
            1 => all.remove(0),
            _ => Self::All(all),
        }
    }

    /// One of these is necessary.
    fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Vec::new();
        for part in parts {
            match part {
                Self::Nothing => return Self::Nothing,
                Self::Any(inner) => any.extend(inner),
                part => any.push(part),
            }
        }
        let mut any = merge_values(any);
        if any.len() == 1 { any.remove(0) } else { Self::Any(any) }
    }

    fn make_inexact(&mut self) {
        match self {
            Self::Nothing => {}
            Self::OneOf { exact, .. } | Self::Prefix { exact, .. } | Self::Suffix { exact, .. } => {
                *exact = false;
            }
            Self::All(parts) | Self::Any(parts) => parts.iter_mut().for_each(Self::make_inexact),
        }
    }
}

/// Makes one of those that want a value of the same operand.
fn merge_values(parts: Vec<Necessary>) -> Vec<Necessary> {
    let mut merged: Vec<Necessary> = Vec::with_capacity(parts.len());
    for part in parts {
        let Necessary::OneOf { operand, values, exact } = part else {
            merged.push(part);
            continue;
        };
        let same = merged.iter_mut().find_map(|one| match one {
            Necessary::OneOf { operand: other, values, exact } if *other == operand => {
                Some((values, exact))
            }
            _ => None,
        });
        match same {
            Some((all, all_exact)) => {
                all.extend(values);
                *all_exact &= exact;
            }
            None => merged.push(Necessary::OneOf { operand, values, exact }),
        }
    }
    for part in &mut merged {
        if let Necessary::OneOf { values, .. } = part {
            values.sort_unstable();
            values.dedup();
        }
    }
    merged
}

impl Condition {
    /// What must be so whenever the condition holds.
    #[must_use]
    pub fn necessary(&self) -> Necessary {
        match &self.0 {
            Test::Always | Test::Present(_) | Test::Not(_) => Necessary::Nothing,
            Test::Never => Necessary::Any(Vec::new()),
            Test::Equal(operand, value) => one_of(operand, vec![value.clone()], true),
            Test::OneOf(operand, values) => one_of(operand, values.to_vec(), true),
            Test::Prefix(operand, value) => prefix(operand, value, true),
            Test::Suffix(operand, value) => suffix(operand, value, true),
            Test::All(parts) => Necessary::all(parts.iter().map(Self::necessary)),
            Test::Any(parts) => Necessary::any(parts.iter().map(Self::necessary)),
            Test::Sql(node) => of_expression(node, true),
        }
    }
}

/// What is necessary for an operand of a logical operator to be true, or false, without
/// an error. Never exact: whatever has come this far has errors to watch for.
fn of_expression(node: &Node, wanted: bool) -> Necessary {
    match node {
        Node::Literal(Literal::Boolean(truth)) if *truth != wanted => Necessary::Any(Vec::new()),
        Node::Not(inner) => of_expression(inner, !wanted),
        Node::Logic(first, rest) => of_chain(first, rest, wanted),
        Node::Compare(first, rest) => match rest.as_slice() {
            [(operator, right)] => of_comparison(first, *operator, right, wanted),
            _ => Necessary::Nothing,
        },
        Node::Like { text, pattern, negated } if *negated != wanted => match &**text {
            Node::Read(operand) => of_shape(operand, &pattern.shape()),
            _ => Necessary::Nothing,
        },
        Node::In { value, set, negated } if *negated != wanted => of_set(value, set),
        _ => Necessary::Nothing,
    }
}

/// A chain is read from left to right. The right operand of an `AND` that is true is
/// true, as is one operand of an `OR` that is: an error in the left one makes the whole
/// fail, so both stay necessary and neither is enough.
fn of_chain(first: &Node, rest: &[(Logic, Node)], wanted: bool) -> Necessary {
    let mut so_far = of_expression(first, wanted);
    // What is necessary for the opposite is only of use to an `XOR`, which goes without.
    for (operator, part) in rest {
        let part = |wanted| of_expression(part, wanted);
        so_far = match (operator, wanted) {
            (Logic::And, true) | (Logic::Or, false) => Necessary::all([so_far, part(wanted)]),
            (Logic::And, false) | (Logic::Or, true) => Necessary::any([so_far, part(wanted)]),
            (Logic::Xor, _) => Necessary::Nothing,
        };
    }
    so_far
}

fn of_comparison(left: &Node, operator: Comparison, right: &Node, wanted: bool) -> Necessary {
    let equality = match operator {
        Comparison::Equal => wanted,
        Comparison::NotEqual => !wanted,
        _ => false,
    };
    match (left, right) {
        _ if !equality => Necessary::Nothing,
        // The right operand has the say: any value is cast to a String.
        (Node::Read(operand), Node::Literal(Literal::String(value))) => {
            one_of(operand, vec![value.clone()], false)
        }
        // The literal is cast to the type of the value.
        (Node::Literal(Literal::String(value)), Node::Read(operand)) => {
            one_of(operand, words::spellings(value), false)
        }
        _ => Necessary::Nothing,
    }
}

/// The elements are cast to the type of the value.
fn of_set(value: &Node, set: &[Node]) -> Necessary {
    let Node::Read(operand) = value else { return Necessary::Nothing };
    let mut values = Vec::new();
    for element in set {
        match element {
            Node::Literal(Literal::String(text)) => values.extend(words::spellings(text)),
            _ => return Necessary::Nothing,
        }
    }
    one_of(operand, values, false)
}

fn of_shape(operand: &Operand, shape: &Shape<'_>) -> Necessary {
    match shape {
        Shape::Anything => Necessary::Nothing,
        Shape::Equal(text) => one_of(operand, vec![(*text).into()], false),
        Shape::Prefix(text) => prefix(operand, &(*text).into(), false),
        Shape::Suffix(text) => suffix(operand, &(*text).into(), false),
        Shape::Other { start, end } => Necessary::all([
            prefix(operand, &(*start).into(), false),
            suffix(operand, &(*end).into(), false),
        ]),
    }
}

fn one_of(operand: &Operand, mut values: Vec<Arc<str>>, exact: bool) -> Necessary {
    values.sort_unstable();
    values.dedup();
    Necessary::OneOf { operand: operand.clone(), values, exact }
}

fn prefix(operand: &Operand, value: &Arc<str>, exact: bool) -> Necessary {
    if value.is_empty() {
        return Necessary::Nothing;
    }
    Necessary::Prefix { operand: operand.clone(), value: value.clone(), exact }
}

fn suffix(operand: &Operand, value: &Arc<str>, exact: bool) -> Necessary {
    if value.is_empty() {
        return Necessary::Nothing;
    }
    Necessary::Suffix { operand: operand.clone(), value: value.clone(), exact }
}

impl fmt::Debug for Necessary {
    /// No value is shown: it may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exactly = |exact: &bool| if *exact { "exactly " } else { "" };
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::OneOf { operand, values, exact } => {
                write!(f, "{}one of {}({operand:?})", exactly(exact), values.len())
            }
            Self::Prefix { operand, exact, .. } => {
                write!(f, "{}prefix({operand:?})", exactly(exact))
            }
            Self::Suffix { operand, exact, .. } => {
                write!(f, "{}suffix({operand:?})", exactly(exact))
            }
            Self::All(all) => f.debug_tuple("all").field(all).finish(),
            Self::Any(any) => f.debug_tuple("any").field(any).finish(),
        }
    }
}
