//! Number plates.

use crate::text::{as_str, deserialize};
use crate::{IdentifierError, IdentifierFault, IdentifierKind};

/// The number of a vehicle (Kentekenreglement): six capital letters and digits in one of
/// the orders that RDW has given out, its *side codes* 1 to 14. Taken with its hyphens,
/// or without any. Old and special series that are not of six characters in such an order
/// are not taken.
///
/// Personal, as it leads to a keeper: shown as `[kenteken]`, read by [`Kenteken::expose`].
///
/// ```
/// use wissel_identifiers::Kenteken;
///
/// let plate: Kenteken = "TST01X".parse()?;
/// assert_eq!((plate.expose(), plate.side_code()), ("TST-01-X".to_owned(), 11));
/// # Ok::<(), wissel_identifiers::IdentifierError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kenteken([u8; 6]);

/// By side code, from 1: letters (`X`) and digits (`9`) in groups.
const SIDE_CODES: [&str; 14] = [
    "XX-99-99", "99-99-XX", "99-XX-99", "XX-99-XX", "XX-XX-99", "99-XX-XX", "99-XXX-9", "9-XXX-99",
    "XX-999-X", "X-999-XX", "XXX-99-X", "X-99-XXX", "9-XX-999", "999-XX-9",
];

impl Kenteken {
    /// The text with its hyphens, which is personal: never put it in a log, a metric, a
    /// trace, an error or a URL.
    #[must_use]
    pub fn expose(&self) -> String {
        let mut characters = as_str(&self.0).chars();
        let form = SIDE_CODES[usize::from(self.side_code()) - 1].chars();
        form.filter_map(|slot| if slot == '-' { Some('-') } else { characters.next() }).collect()
    }

    /// In which order letters and digits stand, from 1 to 14.
    #[must_use]
    pub fn side_code(&self) -> u8 {
        side_code(&self.0).expect("the side code was checked when the number was made")
    }
}

impl std::str::FromStr for Kenteken {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let fail = |fault| Err(IdentifierError { kind: IdentifierKind::Kenteken, fault });
        let mut plate = [0; 6];
        let mut found = 0;
        for (place, c) in text.chars().enumerate() {
            match u8::try_from(c) {
                Ok(b'-') => {}
                Ok(byte) if byte.is_ascii_uppercase() || byte.is_ascii_digit() => {
                    if let Some(slot) = plate.get_mut(found) {
                        *slot = byte;
                    }
                    found += 1;
                }
                _ => {
                    let expected = "a capital letter, a digit or a hyphen";
                    return fail(IdentifierFault::Character { position: place + 1, expected });
                }
            }
        }
        if found != plate.len() {
            return fail(IdentifierFault::Length { expected: "6 besides hyphens", found });
        }
        if side_code(&plate).is_none() {
            return fail(IdentifierFault::SideCode);
        }
        let plate = Self(plate);
        if text.contains('-') && plate.expose() != text {
            return fail(IdentifierFault::Hyphens);
        }
        Ok(plate)
    }
}

fn side_code(plate: &[u8; 6]) -> Option<u8> {
    let fits = |form: &str| {
        let slots = form.bytes().filter(|slot| *slot != b'-');
        slots.zip(plate).all(|(slot, byte)| (slot == b'9') == byte.is_ascii_digit())
    };
    let index = SIDE_CODES.iter().position(|form| fits(form))?;
    u8::try_from(index + 1).ok()
}

impl std::fmt::Display for Kenteken {
    /// The kind in brackets, never the number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[kenteken]")
    }
}

impl std::fmt::Debug for Kenteken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kenteken(redacted)")
    }
}

impl serde::Serialize for Kenteken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose())
    }
}

impl<'de> serde::Deserialize<'de> for Kenteken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}
