use std::fmt::Write as _;

use crate::condition::{Condition, Test};
use crate::sql::print;
use crate::{Necessary, Operand};

impl Condition {
    /// The condition in words, one line for each part, indented by two spaces a level.
    ///
    /// Values are shown: it is for whoever wrote the filter.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        self.write_explanation(0, &mut text);
        text
    }

    fn write_explanation(&self, level: usize, text: &mut String) {
        let mut line = |words: &str| {
            text.extend(std::iter::repeat_n("  ", level));
            text.push_str(words);
            text.push('\n');
        };
        match &self.0 {
            Test::Always => line("always"),
            Test::Never => line("never"),
            Test::Present(operand) => line(&format!("{} is there", name(operand))),
            Test::Equal(operand, value) => line(&format!("{} is {value:?}", name(operand))),
            Test::OneOf(operand, values) => {
                line(&format!("{} is one of {}", name(operand), list(values)));
            }
            Test::Prefix(operand, value) => {
                line(&format!("{} starts with {value:?}", name(operand)));
            }
            Test::Suffix(operand, value) => line(&format!("{} ends with {value:?}", name(operand))),
            Test::Sql(node) => line(&format!("CESQL: {}", print(node))),
            Test::Not(inner) => {
                line("this is not so:");
                inner.write_explanation(level + 1, text);
            }
            Test::All(parts) => {
                line("all of these:");
                parts.iter().for_each(|part| part.write_explanation(level + 1, text));
            }
            Test::Any(parts) => {
                line("at least one of these:");
                parts.iter().for_each(|part| part.write_explanation(level + 1, text));
            }
        }
    }
}

impl Necessary {
    /// The necessity in words, as [`Condition::explain`].
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        self.write_explanation(0, &mut text);
        text
    }

    fn write_explanation(&self, level: usize, text: &mut String) {
        text.extend(std::iter::repeat_n("  ", level));
        let exactly = |exact: &bool| if *exact { ", and that is all" } else { "" };
        let parts = match self {
            Self::Nothing => {
                text.push_str("nothing that can be looked up\n");
                return;
            }
            Self::OneOf { operand, values, exact } => {
                let (operand, values) = (name(operand), list(values));
                let _ = writeln!(text, "{operand} is one of {values}{}", exactly(exact));
                return;
            }
            Self::Prefix { operand, value, exact } => {
                let _ = writeln!(text, "{} starts with {value:?}{}", name(operand), exactly(exact));
                return;
            }
            Self::Suffix { operand, value, exact } => {
                let _ = writeln!(text, "{} ends with {value:?}{}", name(operand), exactly(exact));
                return;
            }
            Self::All(parts) => {
                text.push_str("all of these:\n");
                parts
            }
            Self::Any(parts) => {
                text.push_str("at least one of these:\n");
                parts
            }
        };
        parts.iter().for_each(|part| part.write_explanation(level + 1, text));
    }
}

fn name(operand: &Operand) -> String {
    match operand {
        Operand::Attribute(name) => name.to_string(),
        Operand::Data(pointer) => format!("data at {pointer:?}"),
    }
}

fn list(values: &[std::sync::Arc<str>]) -> String {
    let values: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
    values.join(", ")
}
