//! What a filter may cost. Who writes a filter is not trusted: every limit is checked
//! before anything is built on it, and an error names it.
//!
//! The limits of an evaluation are met anew in each part that a filter is compiled to:
//! what is constant is made once, and tests with `AND` between them are evaluated apart.
//! So an expression that runs into one as it is written may be within it once compiled.

/// The most bytes of one expression, and of all the expressions of a filter together.
pub const EXPRESSION_BYTES_MAX: usize = 16 << 10;

/// How deep an expression nests at most: parentheses, calls and operators inside each
/// other. A chain, such as a thousand terms with `OR` between them, is one level.
pub const EXPRESSION_DEPTH_MAX: usize = 64;

/// The most parts (literals, attributes, operators, calls) of one expression.
pub const EXPRESSION_NODES_MAX: usize = 8_192;

/// How deep `all`, `any` and `not` nest at most, the filter itself included.
pub const FILTER_DEPTH_MAX: usize = 16;

/// The most comparisons of a filter: each attribute of `exact`, `prefix` and `suffix`,
/// and each expression, is one.
pub const FILTER_LEAVES_MAX: usize = 1_024;

/// The most bytes of a string that a function makes.
pub const STRING_BYTES_MAX: usize = 64 << 10;

/// The most bytes that the functions of one evaluation make together.
pub const EVALUATION_BYTES_MAX: usize = 256 << 10;

/// The most steps that the `LIKE` patterns with a `_` between two `%` take in one
/// evaluation. Other patterns take time in proportion to the text.
pub const EVALUATION_STEPS_MAX: usize = 1 << 20;
