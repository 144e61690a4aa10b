//! Values while an expression is evaluated, and their casts (CESQL 1.0.0, section 3.7).

use std::borrow::Cow;

use wissel_message::Value;

use crate::sql::{Literal, Type};

/// A value of CESQL. Text is borrowed from the message or the expression where it can
/// be.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Boolean(bool),
    Integer(i32),
    Text(Cow<'a, str>),
}

/// The text of an integer, on the stack.
struct IntegerText {
    bytes: [u8; 11],
    start: usize,
}

impl<'a> Item<'a> {
    /// What is neither Boolean nor Integer is a String: its canonical text.
    pub(crate) fn of_value(value: &Value<'a>) -> Self {
        match *value {
            Value::Boolean(truth) => Self::Boolean(truth),
            Value::Integer(integer) => Self::Integer(integer),
            other => Self::Text(other.canonical()),
        }
    }

    pub(crate) fn of_literal(literal: &'a Literal) -> Self {
        match literal {
            Literal::Boolean(truth) => Self::Boolean(*truth),
            Literal::Integer(integer) => Self::Integer(*integer),
            Literal::String(text) => Self::Text(Cow::Borrowed(text)),
        }
    }

    pub(crate) fn to_literal(&self) -> Literal {
        match self {
            Self::Boolean(truth) => Literal::Boolean(*truth),
            Self::Integer(integer) => Literal::Integer(*integer),
            Self::Text(text) => Literal::String((&**text).into()),
        }
    }

    pub(crate) fn zero(of: Type) -> Self {
        match of {
            Type::Boolean => Self::Boolean(false),
            Type::Integer => Self::Integer(0),
            Type::String => Self::Text(Cow::Borrowed("")),
        }
    }

    pub(crate) fn to_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            Self::Integer(integer) => Some(*integer != 0),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Self::Text(_) => None,
        }
    }

    pub(crate) fn to_integer(&self) -> Option<i32> {
        match self {
            Self::Boolean(truth) => Some(i32::from(*truth)),
            Self::Integer(integer) => Some(*integer),
            Self::Text(text) => text.parse().ok(),
        }
    }

    pub(crate) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Boolean(truth) => Cow::Borrowed(boolean_text(truth)),
            Self::Integer(integer) => Cow::Owned(integer.to_string()),
            Self::Text(text) => text,
        }
    }

    /// Looks at the value as text, without making a string of it.
    pub(crate) fn with_text<R>(&self, look: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Boolean(truth) => look(boolean_text(*truth)),
            Self::Integer(integer) => look(IntegerText::new(*integer).as_str()),
            Self::Text(text) => look(text),
        }
    }
}

/// Looks at the canonical text of an attribute, without making a string of it where that
/// can be: of all but bytes and timestamps.
pub fn with_canonical<R>(value: &Value<'_>, look: impl FnOnce(&str) -> R) -> R {
    match *value {
        Value::Boolean(truth) => look(boolean_text(truth)),
        Value::Integer(integer) => look(IntegerText::new(integer).as_str()),
        Value::String(text) | Value::Uri(text) | Value::UriReference(text) => look(text),
        other => look(&other.canonical()),
    }
}

fn boolean_text(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}

impl IntegerText {
    fn new(integer: i32) -> Self {
        let mut text = Self { bytes: [0; 11], start: 11 };
        let mut rest = integer.unsigned_abs();
        loop {
            text.push(b"0123456789"[(rest % 10) as usize]);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if integer < 0 {
            text.push(b'-');
        }
        text
    }

    fn push(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.start..]).expect("digits and a sign are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_their_text() {
        for integer in [0, 7, -7, 10, 1_234_567_890, i32::MAX, i32::MIN] {
            assert_eq!(IntegerText::new(integer).as_str(), integer.to_string());
        }
    }

    #[test]
    fn strings_are_cast_as_the_table_says() {
        let integer = |text| Item::Text(Cow::Borrowed(text)).to_integer();
        assert_eq!(integer("+7"), Some(7));
        assert_eq!(integer("-007"), Some(-7));
        assert_eq!(integer("-2147483648"), Some(i32::MIN));
        for none in ["", "+", "-", " 7", "7 ", "7.0", "2147483648", "1e3", "٣"] {
            assert_eq!(integer(none), None, "{none}");
        }
        let boolean = |text| Item::Text(Cow::Borrowed(text)).to_boolean();
        assert_eq!(boolean("tRUE"), Some(true));
        assert_eq!(boolean("False"), Some(false));
        assert_eq!(boolean("1"), None);
    }
}
