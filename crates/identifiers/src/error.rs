use std::fmt;

use crate::IdentifierKind;

/// Why a text is not an identifier of its kind. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", kind.name())]
pub struct IdentifierError {
    /// Of which kind it was to be.
    pub kind: IdentifierKind,
    /// Which check failed.
    pub fault: IdentifierFault,
}

/// The check that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentifierFault {
    /// Too long or too short.
    Length {
        /// How many characters were expected.
        expected: &'static str,
        /// How many there are.
        found: usize,
    },
    /// A character that cannot stand where it stands.
    Character {
        /// Where, from 1.
        position: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// Nothing but zeros.
    Zeros,
    /// The first digit is a zero.
    LeadingZero,
    /// The eleven-test (*elfproef*).
    ElevenTest,
    /// The sum of the digits of an A-nummer.
    DigitSum,
    /// The sum of the digits of an A-nummer, each times its power of two.
    WeightedSum,
    /// The 5th and 6th digit name no kind of BAG object, or another one.
    ObjectKind {
        /// What was expected.
        expected: &'static str,
    },
    /// No number plate was ever of this form.
    SideCode,
    /// The hyphens do not stand where they stand on the plate.
    Hyphens,
    /// Letters that are never given out together.
    Letters {
        /// Which.
        excluded: &'static str,
    },
    /// One of the parts that it is made of is none.
    Part {
        /// Which.
        part: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// An OIN says what is wrong itself.
    Oin(crate::OinError),
}

impl fmt::Display for IdentifierFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, found } => {
                write!(f, "has {found} characters, expected {expected}")
            }
            Self::Character { position, expected } => {
                write!(f, "another character at position {position}, expected {expected}")
            }
            Self::Zeros => f.write_str("nothing but zeros, expected a number that is given out"),
            Self::LeadingZero => f.write_str("begins with a zero, expected 1 to 9"),
            Self::ElevenTest => f.write_str("the eleven-test fails, expected a number that passes"),
            Self::DigitSum => {
                f.write_str("the sum of the digits is wrong, expected 0 or 5 modulo 11")
            }
            Self::WeightedSum => {
                f.write_str("the weighted sum is wrong, expected a multiple of 11")
            }
            Self::ObjectKind { expected } => {
                write!(f, "another kind of object in the 5th and 6th digit, expected {expected}")
            }
            Self::SideCode => {
                f.write_str("letters and digits in an unknown order, expected a known side code")
            }
            Self::Hyphens => {
                f.write_str("hyphens in other places, expected them as on the plate, or none")
            }
            Self::Letters { excluded } => write!(f, "letters that are not used: {excluded}"),
            Self::Part { part, expected } => write!(f, "the {part} is none, expected {expected}"),
            Self::Oin(error) => error.fmt(f),
        }
    }
}
