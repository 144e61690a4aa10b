//! Reading JSON so that everybody who reads it reads the same.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why bytes are not JSON that can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct JsonFault {
    /// From 1.
    pub line: usize,
    /// From 1, in bytes.
    pub column: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Kind {
    #[error("not JSON (RFC 8259)")]
    Syntax,
    #[error("the text ends too soon, expected JSON (RFC 8259)")]
    End,
    #[error("an object has a member twice, expected each name once")]
    Twice,
    #[error("nested too deep, expected at most 128 levels")]
    Deep,
}

const TWICE: &str = "twice";

/// Reads JSON. An object that has a member twice is refused: one reader takes the
/// first, another the last, and only one of them would have been checked. So is JSON
/// that is nested deeper than 128 levels.
///
/// # Errors
/// Where it is not such JSON, and why.
pub fn parse(json: &[u8]) -> Result<Value, JsonFault> {
    match serde_json::from_slice::<Unique>(json) {
        Ok(Unique(value)) => Ok(value),
        Err(error) => {
            // The kinds cannot be told apart but by their text, which holds no value.
            let text = error.to_string();
            let kind = if text.starts_with(TWICE) {
                Kind::Twice
            } else if text.starts_with("recursion limit") {
                Kind::Deep
            } else if error.is_eof() {
                Kind::End
            } else {
                Kind::Syntax
            };
            Err(JsonFault { line: error.line(), column: error.column(), kind })
        }
    }
}

/// A value in which no object has a member twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_read_as_it_stands() {
        let text = r#"{"a": [1, -2, 2.5, "x", null, true], "b": {"c": {}}}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_member_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"\u0061":1}]}"#] {
            assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("twice"));
        }
    }

    #[test]
    fn deep_and_broken_json_is_refused_without_a_value() {
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes()).unwrap_err().to_string().contains("128 levels"));
        for text in ["", "{", "{\"bsn\": 999990019x}", "999990019 1", "nul", "\"\u{1}\""] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("JSON") && !error.contains("99999"), "{error}");
        }
    }
}
