//! Numbers of companies and schools.

use std::fmt;

use crate::text::{as_str, deserialize, identifier, number};
use crate::{IdentifierError, IdentifierFault, IdentifierKind};

/// The number of a registration in the trade register (Handelsregisterwet 2007): 8 digits,
/// not all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KvkNumber(pub(crate) [u8; 8]);

/// *Vestigingsnummer*: the number of an establishment in the trade register: 12 digits, not
/// all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vestigingsnummer([u8; 12]);

/// *Basisregistratie Instellingen*: the number of a school (DUO): two digits and two
/// capital letters, and for a location of the school two digits more.
///
/// ```
/// use wissel_identifiers::Brin;
///
/// let location: Brin = "02QZ01".parse()?;
/// assert_eq!((location.school(), location.location()), ("02QZ", Some("01")));
/// # Ok::<(), wissel_identifiers::IdentifierError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Brin {
    school: [u8; 4],
    location: Option<[u8; 2]>,
}

impl KvkNumber {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        number(IdentifierKind::KvkNummer, "8", text).map(Self)
    }
}

impl Vestigingsnummer {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        number(IdentifierKind::Vestigingsnummer, "12", text).map(Self)
    }
}

impl Brin {
    /// The school: four characters.
    #[must_use]
    pub fn school(&self) -> &str {
        as_str(&self.school)
    }

    /// The location of the school: two digits.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_ref().map(|location| as_str(location))
    }
}

impl std::str::FromStr for Brin {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let fail = |fault| IdentifierError { kind: IdentifierKind::Brin, fault };
        let found = text.chars().count();
        if found != 4 && found != 6 {
            return Err(fail(IdentifierFault::Length { expected: "4 or 6", found }));
        }
        for (place, c) in text.chars().enumerate() {
            let is_letter_here = matches!(place, 2 | 3);
            let (fits, expected) = if is_letter_here {
                (c.is_ascii_uppercase(), "a capital letter")
            } else {
                (c.is_ascii_digit(), "a digit")
            };
            if !fits {
                return Err(fail(IdentifierFault::Character { position: place + 1, expected }));
            }
        }
        let (school, location) = text.as_bytes().split_at(4);
        let school = school.try_into().expect("four characters of ASCII were counted");
        Ok(Self { school, location: location.try_into().ok() })
    }
}

impl fmt::Display for Brin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.school())?;
        f.write_str(self.location().unwrap_or_default())
    }
}

impl fmt::Debug for Brin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brin({self})")
    }
}

impl serde::Serialize for Brin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Brin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}

identifier!(KvkNumber, IdentifierKind::KvkNummer, shown);
identifier!(Vestigingsnummer, IdentifierKind::Vestigingsnummer, shown);
