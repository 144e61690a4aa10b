//! Values in JSON `data`: an extension of Wissel. CESQL itself leaves `data` alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use wissel_message::{Data, EventView, Value};

/// The values in JSON `data`, by JSON Pointer (RFC 6901).
///
/// A string is a String, a boolean a Boolean, a whole number of 32 bits an Integer; any
/// other number is a String, the shortest JSON text of it. An object, an array and null
/// count as absent, for there is nothing to compare them with. Of a member that is there
/// twice, the last counts.
///
/// ```
/// use wissel_filter::DataFacts;
/// use wissel_message::Value;
///
/// let data = DataFacts::parse(br#"{"adres":{"huisnummer":12}}"#).unwrap();
/// assert!(data.value("/adres/huisnummer") == Some(Value::Integer(12)));
/// assert!(data.value("/adres").is_none());
/// ```
pub struct DataFacts(Tree);

/// JSON, with what a comparison can use.
enum Tree {
    Nothing,
    Boolean(bool),
    Integer(i32),
    /// A string, or a number that is no Integer.
    Text(String),
    Array(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

impl DataFacts {
    /// The data of an event; none when it has none that is JSON.
    #[must_use]
    pub fn of(event: &EventView) -> Option<Self> {
        if !event.has_json_data() {
            return None;
        }
        match event.data()? {
            Data::Text(text) => Self::parse(text.as_bytes()),
            Data::Binary(bytes) => Self::parse(bytes),
            Data::Proto(_) => None,
        }
    }

    /// Reads JSON; none when it is not, or nests deeper than 127.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    /// The value at a JSON Pointer.
    #[must_use]
    pub fn value(&self, pointer: &str) -> Option<Value<'_>> {
        let mut at = &self.0;
        if !pointer.is_empty() {
            for step in pointer.strip_prefix('/')?.split('/') {
                at = at.step(step)?;
            }
        }
        match at {
            Tree::Boolean(truth) => Some(Value::Boolean(*truth)),
            Tree::Integer(integer) => Some(Value::Integer(*integer)),
            Tree::Text(text) => Some(Value::String(text)),
            Tree::Nothing | Tree::Array(_) | Tree::Object(_) => None,
        }
    }
}

impl fmt::Debug for DataFacts {
    /// Data may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFacts").finish_non_exhaustive()
    }
}

impl Tree {
    fn step(&self, step: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(&*unescaped(step)),
            Self::Array(elements) => elements.get(index(step)?),
            _ => None,
        }
    }
}

fn unescaped(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

/// The place in an array: digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (step.len() > 1 && step.starts_with('0')) {
        return None;
    }
    step.parse().ok()
}

/// What is wrong with a JSON Pointer, if anything.
pub(crate) fn check_pointer(pointer: &str) -> Result<(), &'static str> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err("a JSON Pointer, which starts with `/`");
    }
    let mut rest = pointer;
    while let Some(place) = rest.find('~') {
        rest = &rest[place + 1..];
        if !rest.starts_with(['0', '1']) {
            return Err("a JSON Pointer, in which `~0` stands for `~` and `~1` for `/`");
        }
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Boolean(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(match i32::try_from(number) {
            Ok(integer) => Tree::Integer(integer),
            Err(_) => Tree::Text(number.to_string()),
        })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(match i32::try_from(number) {
            Ok(integer) => Tree::Integer(integer),
            Err(_) => Tree::Text(number.to_string()),
        })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        let number = serde_json::Number::from_f64(number);
        Ok(number.map_or(Tree::Nothing, |number| Tree::Text(number.to_string())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Tree, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, member)) = object.next_entry()? {
            members.insert(name, member);
        }
        Ok(Tree::Object(members))
    }
}
