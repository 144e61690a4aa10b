use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number that names an organisation in Dutch e-government: the
/// *organisatie-identificatienummer* (Logius, OIN-Stelsel).
///
/// 20 positions: a prefix of 8 digits that names the register, then a main
/// number of 8 or 9 positions, then zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oin([u8; Oin::LENGTH]);

/// Why a text is not an [`Oin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OinError {
    /// Not 20 characters.
    #[error("an OIN has 20 positions, this has {found}")]
    Length {
        /// How many characters there are.
        found: usize,
    },
    /// The first 8 positions name no register.
    #[error("the first 8 positions of an OIN are one of 00000001 to 00000009, or 00000099")]
    Prefix,
    /// The main number holds something else than digits and capital letters.
    #[error("position {position} of an OIN is a digit or a capital letter")]
    MainNumber {
        /// Counted from 1.
        position: usize,
    },
    /// The last three positions are not zeros.
    #[error("an OIN ends in 000")]
    Suffix,
}

impl Oin {
    /// How many positions an OIN has.
    pub const LENGTH: usize = 20;

    /// The 20 positions.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an OIN is made of ASCII only")
    }
}

impl FromStr for Oin {
    type Err = OinError;

    fn from_str(text: &str) -> Result<Self, OinError> {
        let positions: [u8; Self::LENGTH] = text
            .as_bytes()
            .try_into()
            .map_err(|_| OinError::Length { found: text.chars().count() })?;
        let (prefix, rest) = positions.split_at(8);
        let (main_number, suffix) = rest.split_at(9);

        let register = prefix.strip_prefix(b"000000");
        let known_register = matches!(register, Some([b'0', b'1'..=b'9'] | b"99"));
        if !known_register {
            return Err(OinError::Prefix);
        }
        for (index, position) in main_number.iter().enumerate() {
            if !(position.is_ascii_digit() || position.is_ascii_uppercase()) {
                return Err(OinError::MainNumber { position: index + 9 });
            }
        }
        if suffix != b"000" {
            return Err(OinError::Suffix);
        }
        Ok(Self(positions))
    }
}

impl fmt::Display for Oin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Oin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oin({self})")
    }
}

impl Serialize for Oin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Oin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_ones_are_accepted() {
        for text in ["00000001002220647000", "00000004194049711000", "00000099000000001000"] {
            assert_eq!(text.parse::<Oin>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let parse = |text: &str| text.parse::<Oin>().unwrap_err();
        assert_eq!(parse("123"), OinError::Length { found: 3 });
        assert_eq!(parse("0000000100222064700é"), OinError::Length { found: 20 });
        assert_eq!(parse("00000000002220647000"), OinError::Prefix);
        assert_eq!(parse("00000010002220647000"), OinError::Prefix);
        assert_eq!(parse("00000001a02220647000"), OinError::MainNumber { position: 9 });
        assert_eq!(parse("00000001002220647001"), OinError::Suffix);
    }
}
