//! Keeps the allowed fields of JSON, as they were written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::JsonFault;
use crate::fields::{EVERY, Node};
use crate::json::parse;

/// Keeps what the node allows.
pub(crate) fn minimise(json: &str, node: &Node) -> Result<String, JsonFault> {
    let mut out = String::with_capacity(json.len() / 2);
    if let Ok(true) = write(json.trim_matches([' ', '\t', '\r', '\n']), node, &mut out) {
        return Ok(out);
    }
    // Either it is not JSON, which the parser says best, or it has no fields at all.
    parse(json.as_bytes())?;
    Ok("null".to_owned())
}

/// Writes what is allowed of a value; `false` when that is nothing at all.
fn write(json: &str, node: &Node, out: &mut String) -> Result<bool, serde_json::Error> {
    let Node::Some(_) = node else {
        out.push_str(json);
        return Ok(true);
    };
    let mut deserializer = Deserializer::from_str(json);
    match json.as_bytes().first() {
        Some(b'{') => deserializer.deserialize_map(Keep { node, out })?,
        Some(b'[') => deserializer.deserialize_seq(Keep { node, out })?,
        // A field of something that has none.
        _ => return Ok(false),
    }
    deserializer.end()?;
    Ok(true)
}

struct Keep<'a> {
    node: &'a Node,
    out: &'a mut String,
}

impl Node {
    fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::All => Some(self),
            Self::Some(members) => members.get(name),
        }
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { node, out } = self;
        out.push('{');
        let mut first = true;
        while let Some(name) = members.next_key_seed(Name)? {
            let value: &RawValue = members.next_value()?;
            let Some(child) = node.member(&name) else { continue };
            let length = out.len();
            if !first {
                out.push(',');
            }
            out.push_str(&serde_json::to_string(&name).map_err(A::Error::custom)?);
            out.push(':');
            if write(value.get(), child, out).map_err(A::Error::custom)? {
                first = false;
            } else {
                out.truncate(length);
            }
        }
        out.push('}');
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { node, out } = self;
        let child = node.member(EVERY);
        out.push('[');
        let mut first = true;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            let Some(child) = child else { continue };
            let length = out.len();
            if !first {
                out.push(',');
            }
            if write(element.get(), child, out).map_err(A::Error::custom)? {
                first = false;
            } else {
                out.truncate(length);
            }
        }
        out.push(']');
        Ok(())
    }
}

/// A name that is borrowed when nothing in it is escaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use crate::FieldSet;

    fn keep(fields: &[&str], json: &str) -> String {
        FieldSet::new(fields.iter().copied()).unwrap().minimise(json).unwrap()
    }

    #[test]
    fn only_what_is_allowed_is_kept_as_it_was_written() {
        let json = r#" {"naam":"J", "bedrag": 1.10, "groot": 12345678901234567890123, "adres" : { "postcode":"3500AA","huisnummer" : 1 }} "#;
        assert_eq!(
            keep(&["/bedrag", "/groot", "/adres/postcode", "/afwezig"], json),
            r#"{"bedrag":1.10,"groot":12345678901234567890123,"adres":{"postcode":"3500AA"}}"#
        );
        assert_eq!(
            keep(&["/adres"], json),
            r#"{"adres":{ "postcode":"3500AA","huisnummer" : 1 }}"#
        );
        assert_eq!(keep(&[], json), "{}");
        assert_eq!(keep(&[""], json), json.trim());
    }

    #[test]
    fn elements_of_arrays_are_reached_by_a_star_only() {
        let json = r#"{"kinderen":[{"naam":"A","bsn":"x"},{"naam":"B"},7]}"#;
        assert_eq!(
            keep(&["/kinderen/*/naam"], json),
            r#"{"kinderen":[{"naam":"A"},{"naam":"B"}]}"#
        );
        assert_eq!(keep(&["/kinderen/0/naam"], json), r#"{"kinderen":[]}"#);
    }

    #[test]
    fn names_are_compared_as_they_are_meant_and_scalars_have_no_fields() {
        assert_eq!(keep(&["/naam"], r#"{"na\u0061m":1,"bsn":2}"#), r#"{"naam":1}"#);
        assert_eq!(keep(&["/adres/postcode"], r#"{"adres":"Utrecht 3500AA"}"#), "{}");
        assert_eq!(keep(&["/adres/postcode"], "999990019"), "null");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let set = FieldSet::new(["/a"]).unwrap();
        for wrong in ["", "{", r#"{"a":1} x"#, r#"{"a":}"#] {
            assert!(set.minimise(wrong).is_err(), "{wrong}");
        }
    }
}
