use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};

/// One place where data does not fit its schema. Holds no value of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFault {
    /// Where, as a JSON Pointer; empty for the whole. What may be personal in it is
    /// shown as `*`.
    pub pointer: String,
    /// What is wrong, and what was expected.
    pub description: String,
}

/// Every place where data does not fit its schema, up to a limit; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFaults(pub Vec<DataFault>);

/// So many faults are told of one message.
pub(crate) const FAULTS_MAX: usize = 20;
/// A member's name with this many digits may be a personal number.
const DIGITS_HIDDEN: usize = 8;
const NAME_MAX: usize = 64;

impl DataFault {
    pub(crate) fn of(error: &ValidationError<'_>) -> Self {
        Self { pointer: shown(error.instance_path().as_str()), description: describe(error) }
    }
}

/// The pointer, without names that may be personal.
fn shown(pointer: &str) -> String {
    let mut shown = String::with_capacity(pointer.len());
    for token in pointer.split('/').skip(1) {
        shown.push('/');
        shown.push_str(if may_be_personal(token) { "*" } else { token });
    }
    shown
}

/// A name that comes from outside may be anything.
fn may_be_personal(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.len() > NAME_MAX
        || !name.chars().all(plain)
        || name.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_HIDDEN
}

/// What is wrong, told from the schema's side.
fn describe(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Kind::Required { property } => format!("{property} is absent, expected it"),
        Kind::Type { kind: TypeKind::Single(one) } => format!("another type, expected {one}"),
        Kind::Type { kind: TypeKind::Multiple(_) } => "another type than expected".to_owned(),
        Kind::AdditionalProperties { unexpected } => format!(
            "{} that the schema does not know, expected none",
            match unexpected.len() {
                1 => "a member".to_owned(),
                several => format!("{several} members"),
            }
        ),
        Kind::Pattern { pattern } => format!("expected text that fits the pattern {pattern}"),
        Kind::Format { format } => format!("expected the format {format}"),
        Kind::MaxLength { limit } => format!("too long, expected at most {limit} characters"),
        Kind::MinLength { limit } => format!("too short, expected at least {limit} characters"),
        Kind::Maximum { limit } => format!("too large, expected at most {limit}"),
        Kind::Minimum { limit } => format!("too small, expected at least {limit}"),
        Kind::MaxItems { limit } => format!("too many elements, expected at most {limit}"),
        Kind::MinItems { limit } => format!("too few elements, expected at least {limit}"),
        Kind::Enum { .. } => "not one of the values that the schema lists".to_owned(),
        Kind::Constant { .. } => "another value than the one that the schema gives".to_owned(),
        other => format!("does not meet `{}` of the schema", other.keyword()),
    }
}

impl fmt::Display for DataFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{pointer}: {}", self.description)
    }
}

impl fmt::Display for DataFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for DataFaults {}
