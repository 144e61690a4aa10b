//! CESQL: the text, and the tree that it stands for.

mod error;
mod fold;
mod parse;
mod print;
mod token;
mod tree;

use std::fmt;

pub use error::ParseError;
pub(crate) use fold::fold;
pub(crate) use parse::parse;
pub(crate) use print::print;
#[cfg(test)]
pub(crate) use tree::Binary;
pub(crate) use tree::{Arithmetic, Comparison, Literal, Logic, Node, Type};

use crate::evaluate::evaluate;
use crate::evaluation::Evaluation;
use crate::{Facts, Operand};

/// An expression in the CloudEvents SQL Expression Language (CESQL) 1.0.0.
///
/// ```
/// use wissel_filter::{EventFacts, Expression, Output};
/// use wissel_message::{Event, EventView};
///
/// let event = Event::builder("1", "/bron", "nl.brp.geboorte").extension("teller", 7);
/// let event = EventView::decode(event.build()?.encode())?;
///
/// let sum = Expression::parse("teller * 2 + 1")?;
/// assert_eq!(sum.evaluate(&EventFacts::new(&event)).value, Output::Integer(15));
///
/// let missing = Expression::parse("1 / gewicht")?.evaluate(&EventFacts::new(&event));
/// assert_eq!(missing.value, Output::Integer(0));
/// assert_eq!(missing.errors[0].kind.name(), "missingAttribute");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Expression {
    node: Node,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When the text is none, with the place and what was expected there, or when it is
    /// over a limit: its length, its depth or the number of its parts.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse(text).map(|node| Self { node })
    }

    /// Evaluates to the end: a value, and every error that was met.
    pub fn evaluate(&self, facts: &(impl Facts + ?Sized)) -> Evaluation {
        evaluate(&self.node, facts)
    }

    /// What it reads of a message.
    #[must_use]
    pub fn operands(&self) -> Vec<Operand> {
        let mut operands = Vec::new();
        self.node.each_operand(&mut |operand| operands.push(operand.clone()));
        operands.sort_unstable();
        operands.dedup();
        operands
    }
}

impl fmt::Display for Expression {
    /// The expression in one spelling; reading that gives the same expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(&self.node))
    }
}

impl fmt::Debug for Expression {
    /// What it reads is shown, but no literal: that may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expression")?;
        f.debug_set().entries(self.operands()).finish()
    }
}
