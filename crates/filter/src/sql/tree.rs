use std::sync::Arc;

use crate::Operand;
use crate::functions::Function;
use crate::like::Pattern;

/// A part of an expression.
///
/// What stands between operators of one precedence is one flat chain, evaluated from
/// left to right: a thousand terms with `OR` between them are no deeper than two.
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Node {
    Literal(Literal),
    /// An attribute, or `DATA('…')`.
    Read(Operand),
    Not(Box<Node>),
    Negate(Box<Node>),
    Logic(Box<Node>, Vec<(Logic, Node)>),
    Compare(Box<Node>, Vec<(Comparison, Node)>),
    /// All of `+` and `-`, or all of `*`, `/` and `%`.
    Calculate(Box<Node>, Vec<(Arithmetic, Node)>),
    Like {
        text: Box<Node>,
        pattern: Arc<Pattern>,
        negated: bool,
    },
    /// `EXISTS attribute`, or `HAS_DATA('…')`.
    Exists(Operand),
    In {
        value: Box<Node>,
        set: Vec<Node>,
        negated: bool,
    },
    Call(Function, Vec<Node>),
    /// A call of a function that there is not, or not with so many arguments.
    CallOfNone(Arc<str>, Vec<Node>),
}

#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Literal {
    Boolean(bool),
    Integer(i32),
    String(Arc<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// An operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Logic(Logic),
    Compare(Comparison),
    Calculate(Arithmetic),
}

/// The types of CESQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean,
    Integer,
    String,
}

impl Arithmetic {
    pub(crate) fn is_product(self) -> bool {
        matches!(self, Self::Multiply | Self::Divide | Self::Remainder)
    }
}

impl Binary {
    /// A higher one binds tighter.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Logic(_) => 1,
            Self::Compare(_) => 2,
            Self::Calculate(operator) if operator.is_product() => 4,
            Self::Calculate(_) => 3,
        }
    }
}

impl Node {
    /// Two parts with an operator between them. A chain of the same precedence on the
    /// left goes on.
    pub(crate) fn binary(left: Self, operator: Binary, right: Self) -> Self {
        match (left, operator) {
            (Self::Logic(first, mut rest), Binary::Logic(operator)) => {
                rest.push((operator, right));
                Self::Logic(first, rest)
            }
            (left, Binary::Logic(operator)) => Self::Logic(left.into(), vec![(operator, right)]),
            (Self::Compare(first, mut rest), Binary::Compare(operator)) => {
                rest.push((operator, right));
                Self::Compare(first, rest)
            }
            (left, Binary::Compare(operator)) => {
                Self::Compare(left.into(), vec![(operator, right)])
            }
            (Self::Calculate(first, mut rest), Binary::Calculate(operator))
                if rest.iter().all(|(one, _)| one.is_product() == operator.is_product()) =>
            {
                rest.push((operator, right));
                Self::Calculate(first, rest)
            }
            (left, Binary::Calculate(operator)) => {
                Self::Calculate(left.into(), vec![(operator, right)])
            }
        }
    }

    /// The type of its value; none when that depends on the message.
    pub(crate) fn value_type(&self) -> Option<Type> {
        match self {
            Self::Literal(Literal::Boolean(_)) => Some(Type::Boolean),
            Self::Literal(Literal::Integer(_)) => Some(Type::Integer),
            Self::Literal(Literal::String(_)) => Some(Type::String),
            Self::Read(_) => None,
            Self::Negate(_) | Self::Calculate(..) => Some(Type::Integer),
            Self::Call(function, _) => Some(function.returns()),
            _ => Some(Type::Boolean),
        }
    }

    /// Goes by every operand that the part reads.
    pub(crate) fn each_operand<'n>(&'n self, visit: &mut impl FnMut(&'n Operand)) {
        match self {
            Self::Read(operand) | Self::Exists(operand) => visit(operand),
            other => other.each_child(&mut |child| child.each_operand(visit)),
        }
    }

    /// The first call of a function that there is not: its name, and how many arguments.
    pub(crate) fn call_of_none(&self) -> Option<(&str, usize)> {
        if let Self::CallOfNone(name, arguments) = self {
            return Some((name, arguments.len()));
        }
        let mut found = None;
        self.each_child(&mut |child| found = found.or_else(|| child.call_of_none()));
        found
    }

    /// Goes by the parts that this one is made of.
    pub(crate) fn each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n Self)) {
        match self {
            Self::Literal(_) | Self::Read(_) | Self::Exists(_) => {}
            Self::Not(inner) | Self::Negate(inner) => visit(inner),
            Self::Logic(first, rest) => {
                visit(first);
                rest.iter().for_each(|(_, part)| visit(part));
            }
            Self::Compare(first, rest) => {
                visit(first);
                rest.iter().for_each(|(_, part)| visit(part));
            }
            Self::Calculate(first, rest) => {
                visit(first);
                rest.iter().for_each(|(_, part)| visit(part));
            }
            Self::Like { text, .. } => visit(text),
            Self::In { value, set, .. } => {
                visit(value);
                set.iter().for_each(visit);
            }
            Self::Call(_, arguments) | Self::CallOfNone(_, arguments) => {
                arguments.iter().for_each(visit);
            }
        }
    }
}
