//! What the types of this crate have in common: a few ASCII characters, in place.

use crate::{IdentifierError, IdentifierFault, IdentifierKind};

/// The text as digits, as many as there must be.
pub(crate) fn digits<const N: usize>(
    kind: IdentifierKind,
    expected: &'static str,
    text: &str,
) -> Result<[u8; N], IdentifierError> {
    let fail = |fault| IdentifierError { kind, fault };
    if text.chars().count() != N {
        let found = text.chars().count();
        return Err(fail(IdentifierFault::Length { expected, found }));
    }
    if let Some(position) = text.chars().position(|c| !c.is_ascii_digit()) {
        let position = position + 1;
        return Err(fail(IdentifierFault::Character { position, expected: "a digit" }));
    }
    text.as_bytes().try_into().map_err(|_| {
        let found = text.len();
        fail(IdentifierFault::Length { expected, found })
    })
}

/// The text as digits, of which one is no zero.
pub(crate) fn number<const N: usize>(
    kind: IdentifierKind,
    expected: &'static str,
    text: &str,
) -> Result<[u8; N], IdentifierError> {
    let number = digits(kind, expected, text)?;
    if number == [b'0'; N] {
        return Err(IdentifierError { kind, fault: IdentifierFault::Zeros });
    }
    Ok(number)
}

/// The value of a digit.
pub(crate) fn value(digit: u8) -> u32 {
    u32::from(digit.saturating_sub(b'0'))
}

pub(crate) fn as_str(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).expect("an identifier is made of ASCII only")
}

/// The traits of an identifier that is kept as an array of ASCII: `FromStr` by its
/// `parse`, serde as text, and a way to show it: as it is, or redacted.
macro_rules! identifier {
    ($Name:ident, $kind:expr, shown) => {
        impl $Name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                crate::text::as_str(&self.0)
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::fmt::Debug for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($Name), "({})"), self.as_str())
            }
        }

        crate::text::identifier!($Name, as_str);
    };
    ($Name:ident, $kind:expr, redacted) => {
        impl $Name {
            /// The text, which is personal: never put it in a log, a metric, a trace, an
            /// error or a URL.
            #[must_use]
            pub fn expose(&self) -> &str {
                crate::text::as_str(&self.0)
            }
        }

        impl std::fmt::Display for $Name {
            /// The kind in brackets, never the number.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "[{}]", $kind.name())
            }
        }

        impl std::fmt::Debug for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($Name), "(redacted)"))
            }
        }

        crate::text::identifier!($Name, expose);
    };
    ($Name:ident, $text:ident) => {
        impl std::str::FromStr for $Name {
            type Err = crate::IdentifierError;

            fn from_str(text: &str) -> Result<Self, crate::IdentifierError> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.$text())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::text::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use identifier;

/// Reads text by `FromStr`. What is no text at all is refused without being shown, as
/// serde would: a number may be a BSN without its quotes.
pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    struct Text<T>(std::marker::PhantomData<T>);

    impl<T: std::str::FromStr<Err: std::fmt::Display>> serde::de::Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an identifier as text")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<T, E> {
            Err(E::custom("a number, expected an identifier as text, in quotes"))
        }

        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<T, E> {
            Err(E::custom("a number, expected an identifier as text, in quotes"))
        }

        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<T, E> {
            Err(E::custom("a number, expected an identifier as text, in quotes"))
        }
    }

    let text = Text(std::marker::PhantomData);
    if deserializer.is_human_readable() {
        // Asked for text, a format would show in its error what is there instead.
        deserializer.deserialize_any(text)
    } else {
        deserializer.deserialize_str(text)
    }
}
