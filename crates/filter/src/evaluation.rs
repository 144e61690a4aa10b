use std::borrow::Cow;
use std::fmt;

/// What the evaluation of an expression gives: always a value, and the errors met.
#[derive(Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The value. With an error it is the zero value of the expression's type, or what
    /// the definition of a function gives.
    pub value: Output,
    /// The errors, in the order in which they were met.
    pub errors: Vec<EvaluationError>,
}

/// A value of CESQL.
#[derive(Clone, PartialEq, Eq)]
pub enum Output {
    /// A Boolean.
    Boolean(bool),
    /// An Integer.
    Integer(i32),
    /// A String.
    String(String),
}

/// An error of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .kind.name())]
pub struct EvaluationError {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// What went wrong. No value of the message is in it.
    pub message: Cow<'static, str>,
}

/// The kinds of error of CESQL (section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is no expression.
    Parse,
    /// A division by zero, or a result that does not fit in 32 bits.
    Math,
    /// A value that cannot be cast.
    Cast,
    /// An attribute, or a value in `data`, that the message does not have.
    MissingAttribute,
    /// A function that there is not, or not with so many arguments.
    MissingFunction,
    /// An argument that a function does not take.
    FunctionEvaluation,
    /// Anything else: a limit of Wissel.
    Generic,
}

impl ErrorKind {
    /// The name, as the conformance kit of CESQL spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Math => "math",
            Self::Cast => "cast",
            Self::MissingAttribute => "missingAttribute",
            Self::MissingFunction => "missingFunction",
            Self::FunctionEvaluation => "functionEvaluation",
            Self::Generic => "generic",
        }
    }
}

impl Evaluation {
    /// Whether a message with this evaluation passes a filter: the value is true, and
    /// there is no error.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.value == Output::Boolean(true) && self.errors.is_empty()
    }
}

impl fmt::Debug for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluation")
            .field("value", &self.value)
            .field("errors", &self.errors)
            .finish()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(truth) => truth.fmt(f),
            Self::Integer(integer) => integer.fmt(f),
            Self::String(text) => text.fmt(f),
        }
    }
}
