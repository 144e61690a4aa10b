use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use crate::Timestamp;

/// The value of an attribute, in the CloudEvents type system, borrowed from its
/// message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Boolean.
    Boolean(bool),
    /// Integer: 32 bits, signed.
    Integer(i32),
    /// String.
    String(&'a str),
    /// Binary.
    Binary(&'a [u8]),
    /// URI.
    Uri(&'a str),
    /// URI-reference.
    UriReference(&'a str),
    /// Timestamp.
    Timestamp(Timestamp),
}

/// The value of an attribute, owned.
#[derive(Clone, PartialEq, Eq)]
pub enum OwnedValue {
    /// Boolean.
    Boolean(bool),
    /// Integer: 32 bits, signed.
    Integer(i32),
    /// String.
    String(String),
    /// Binary.
    Binary(Bytes),
    /// URI.
    Uri(String),
    /// URI-reference.
    UriReference(String),
    /// Timestamp.
    Timestamp(Timestamp),
}

/// What a message carries, borrowed from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// Bytes.
    Binary(&'a [u8]),
    /// Text, such as JSON.
    Text(&'a str),
    /// A `google.protobuf.Any`, encoded.
    Proto(&'a [u8]),
}

/// What a message carries, owned.
#[derive(Clone, PartialEq, Eq)]
pub enum OwnedData {
    /// Bytes.
    Binary(Bytes),
    /// Text, such as JSON.
    Text(String),
    /// A `google.protobuf.Any`, encoded.
    Proto(Bytes),
}

impl<'a> Value<'a> {
    /// The canonical string encoding of CloudEvents: base64 for bytes, RFC 3339
    /// for a timestamp.
    #[must_use]
    pub fn canonical(&self) -> Cow<'a, str> {
        match *self {
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(integer) => Cow::Owned(integer.to_string()),
            Self::String(text) | Self::Uri(text) | Self::UriReference(text) => Cow::Borrowed(text),
            Self::Binary(bytes) => Cow::Owned(BASE64_STANDARD.encode(bytes)),
            Self::Timestamp(moment) => Cow::Owned(moment.to_string()),
        }
    }

    /// The same value, owned.
    #[must_use]
    pub fn to_owned(&self) -> OwnedValue {
        match *self {
            Self::Boolean(truth) => OwnedValue::Boolean(truth),
            Self::Integer(integer) => OwnedValue::Integer(integer),
            Self::String(text) => OwnedValue::String(text.to_owned()),
            Self::Binary(bytes) => OwnedValue::Binary(Bytes::copy_from_slice(bytes)),
            Self::Uri(text) => OwnedValue::Uri(text.to_owned()),
            Self::UriReference(text) => OwnedValue::UriReference(text.to_owned()),
            Self::Timestamp(moment) => OwnedValue::Timestamp(moment),
        }
    }
}

impl OwnedValue {
    /// The same value, borrowed.
    #[must_use]
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Self::Boolean(truth) => Value::Boolean(*truth),
            Self::Integer(integer) => Value::Integer(*integer),
            Self::String(text) => Value::String(text),
            Self::Binary(bytes) => Value::Binary(bytes),
            Self::Uri(text) => Value::Uri(text),
            Self::UriReference(text) => Value::UriReference(text),
            Self::Timestamp(moment) => Value::Timestamp(*moment),
        }
    }
}

impl From<&str> for OwnedValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for OwnedValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for OwnedValue {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<i32> for OwnedValue {
    fn from(integer: i32) -> Self {
        Self::Integer(integer)
    }
}

impl From<Timestamp> for OwnedValue {
    fn from(moment: Timestamp) -> Self {
        Self::Timestamp(moment)
    }
}
