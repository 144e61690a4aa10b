use crate::sql::ParseError;

/// Why a filter cannot be used. It shows no value of the filter: one may be personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct FilterError {
    /// Where in the filter, such as `exact` or `any[1].sql`.
    pub place: String,
    /// What is wrong there.
    pub fault: FilterFault,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterFault {
    /// No attribute is named.
    #[error("names no attribute; expected at least one")]
    NoAttribute,
    /// `all` or `any` of nothing.
    #[error("holds no filter; expected at least one")]
    NoFilter,
    /// More attributes than are taken.
    #[error("names {found} attributes; expected at most {max}")]
    TooManyAttributes {
        /// How many there are.
        found: usize,
        /// The most that are taken.
        max: usize,
    },
    /// Not the name of an attribute.
    #[error("{name} has {fault}; expected {expected}")]
    Name {
        /// Its place, such as `attributes[0]`: the name itself may be anything.
        name: String,
        /// What is wrong with it.
        fault: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The value to compare with is empty.
    #[error("{name} is compared with an empty value; expected one")]
    EmptyValue {
        /// The attribute; its place when the name may be personal.
        name: String,
    },
    /// Filters too deep inside each other.
    #[error("filters nest deeper than {max} levels")]
    TooDeep {
        /// The most levels, this filter included.
        max: usize,
    },
    /// More comparisons than are taken.
    #[error("makes more than {max} comparisons in the whole filter")]
    TooManyComparisons {
        /// The most that are taken: attributes and expressions.
        max: usize,
    },
    /// Expressions that are too long together.
    #[error("has {found} bytes of expressions so far; expected at most {max} in the whole filter")]
    TooMuchText {
        /// How many bytes there are, up to here.
        found: usize,
        /// The most that are taken.
        max: usize,
    },
    /// An expression calls what does not exist: it would match nothing.
    #[error("no function {name} takes {}; expected {expected}", amount(*arguments))]
    NoFunction {
        /// The function, in capitals.
        name: String,
        /// With how many arguments it is called.
        arguments: usize,
        /// Those that there are; of one that is called with too many or too few, how it is called.
        expected: String,
    },
    /// Not an expression.
    #[error(transparent)]
    Expression(#[from] ParseError),
}

/// `1 argument`, `2 arguments`.
fn amount(arguments: usize) -> String {
    if arguments == 1 { "1 argument".to_owned() } else { format!("{arguments} arguments") }
}
