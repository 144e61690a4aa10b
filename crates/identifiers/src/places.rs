//! Numbers of addresses, buildings, parcels and municipalities.

use std::fmt;

use crate::text::{deserialize, digits, identifier, number};
use crate::{IdentifierError, IdentifierFault, IdentifierKind};

/// The number of an object in the base registry of addresses and buildings (Catalogus
/// BAG): 16 digits, of which four name the municipality where it was registered first,
/// two the kind of object, and ten the object.
///
/// ```
/// use wissel_identifiers::{BagKind, BagObjectId};
///
/// let building: BagObjectId = "0344100000000001".parse()?;
/// assert_eq!(building.kind(), BagKind::Pand);
/// assert_eq!(building.gemeentecode().as_str(), "0344");
/// # Ok::<(), wissel_identifiers::IdentifierError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BagObjectId([u8; 16]);

/// The kinds of objects in the base registry of addresses and buildings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BagKind {
    /// A dwelling or other unit of use (01).
    Verblijfsobject,
    /// A mooring (02).
    Ligplaats,
    /// A pitch (03).
    Standplaats,
    /// A building (10).
    Pand,
    /// An address (20).
    Nummeraanduiding,
    /// A public space, such as a street (30).
    OpenbareRuimte,
}

/// The number of an object of valuation (Wet WOZ): 12 digits, not all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WozObjectNumber([u8; 12]);

/// The code of a municipality (CBS): 4 digits, not 0000.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gemeentecode([u8; 4]);

/// A postal code: 1000 to 9999 and two capital letters, which are never SA, SD or SS. One
/// space between them is taken, and not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Postcode([u8; 6]);

/// *Kadastrale aanduiding*: the designation of a parcel, or of an apartment right in it
/// (Kadasterwet). The cadastral municipality (three capital letters and two digits), the
/// section (one or two capital letters), the number of the parcel (1 to 99999) and, for an
/// apartment right, its index: `UTT00 C 1234` or `UTT00 C 1234 A12`. The spaces may be
/// left out when it is read, and are put in when it is kept.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CadastralDesignation(Box<str>);

impl BagKind {
    fn of(code: &[u8]) -> Option<Self> {
        Some(match code {
            b"01" => Self::Verblijfsobject,
            b"02" => Self::Ligplaats,
            b"03" => Self::Standplaats,
            b"10" => Self::Pand,
            b"20" => Self::Nummeraanduiding,
            b"30" => Self::OpenbareRuimte,
            _ => return None,
        })
    }
}

impl BagObjectId {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        let kind = IdentifierKind::BagObject;
        let number: [u8; 16] = digits(kind, "16", text)?;
        if number.starts_with(b"0000") {
            let (part, expected) = ("municipality", "a code other than 0000 in the first 4 digits");
            return Err(IdentifierError { kind, fault: IdentifierFault::Part { part, expected } });
        }
        if BagKind::of(&number[4..6]).is_none() {
            let fault = IdentifierFault::ObjectKind { expected: "01, 02, 03, 10, 20 or 30" };
            return Err(IdentifierError { kind, fault });
        }
        Ok(Self(number))
    }

    /// What kind of object it is.
    #[must_use]
    pub fn kind(&self) -> BagKind {
        BagKind::of(&self.0[4..6]).expect("the kind was checked when the number was made")
    }

    /// The municipality where the object was registered first.
    #[must_use]
    pub fn gemeentecode(&self) -> Gemeentecode {
        Gemeentecode([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl WozObjectNumber {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        number(IdentifierKind::WozObject, "12", text).map(Self)
    }
}

impl Gemeentecode {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        number(IdentifierKind::Gemeentecode, "4", text).map(Self)
    }
}

impl Postcode {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        let kind = IdentifierKind::Postcode;
        let fail = |fault| Err(IdentifierError { kind, fault });
        let mut code = [0; 6];
        let spaced = text.as_bytes().get(4) == Some(&b' ');
        let characters = || text.chars().enumerate().filter(|(place, _)| !(spaced && *place == 4));
        let found = characters().count();
        if found != 6 {
            return fail(IdentifierFault::Length { expected: "6", found });
        }
        for (slot, (place, c)) in code.iter_mut().zip(characters()) {
            let (fits, expected) = match place {
                0 => (matches!(c, '1'..='9'), "1 to 9"),
                1..=3 => (c.is_ascii_digit(), "a digit"),
                _ => (c.is_ascii_uppercase(), "a capital letter"),
            };
            match u8::try_from(c) {
                Ok(byte) if fits => *slot = byte,
                _ => return fail(IdentifierFault::Character { position: place + 1, expected }),
            }
        }
        if matches!(&code[4..], b"SA" | b"SD" | b"SS") {
            return fail(IdentifierFault::Letters { excluded: "SA, SD and SS" });
        }
        Ok(Self(code))
    }
}

impl CadastralDesignation {
    /// The text, in its canonical form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for CadastralDesignation {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        match designation(text) {
            Ok(canonical) => Ok(Self(canonical.into())),
            Err(fault) => {
                Err(IdentifierError { kind: IdentifierKind::KadastraleAanduiding, fault })
            }
        }
    }
}

/// The designation in its canonical form, or the first part that is wrong.
fn designation(text: &str) -> Result<String, IdentifierFault> {
    let wrong = |part, expected| Err(IdentifierFault::Part { part, expected });
    let (letters, rest) = text.split_at(count(text, |byte| byte.is_ascii_uppercase()));
    let (digits, rest) = rest.split_at(count(rest, |byte| byte.is_ascii_digit()));
    if letters.len() != 3 || digits.len() != 2 {
        let expected = "three capital letters and two digits, such as UTT00";
        return wrong("cadastral municipality", expected);
    }
    let rest = without_space(rest);
    let (section, rest) = rest.split_at(count(rest, |byte| byte.is_ascii_uppercase()));
    if !matches!(section.len(), 1 | 2) {
        return wrong("section", "one or two capital letters, such as C");
    }
    let rest = without_space(rest);
    let (parcel, rest) = rest.split_at(count(rest, |byte| byte.is_ascii_digit()));
    if !is_number(parcel, 5) {
        return wrong("number of the parcel", "1 to 99999, without leading zeros");
    }
    let start = format!("{letters}{digits} {section} {parcel}");
    if rest.is_empty() {
        return Ok(start);
    }
    match without_space(rest).strip_prefix('A') {
        Some(index) if is_number(index, 4) => Ok(format!("{start} A{index}")),
        Some(_) => wrong("index of the apartment right", "A and 1 to 9999, without leading zeros"),
        None => wrong("end", "nothing behind the parcel, or an apartment right such as A12"),
    }
}

fn without_space(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

/// How many bytes at the start are of a kind.
fn count(text: &str, of_kind: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| of_kind(*byte)).count()
}

/// A number of at most so many digits, from 1, without leading zeros.
fn is_number(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for CadastralDesignation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for CadastralDesignation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CadastralDesignation({self})")
    }
}

impl serde::Serialize for CadastralDesignation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for CadastralDesignation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}

impl fmt::Display for BagKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verblijfsobject => "verblijfsobject",
            Self::Ligplaats => "ligplaats",
            Self::Standplaats => "standplaats",
            Self::Pand => "pand",
            Self::Nummeraanduiding => "nummeraanduiding",
            Self::OpenbareRuimte => "openbare ruimte",
        })
    }
}

identifier!(BagObjectId, IdentifierKind::BagObject, shown);
identifier!(WozObjectNumber, IdentifierKind::WozObject, shown);
identifier!(Gemeentecode, IdentifierKind::Gemeentecode, shown);
identifier!(Postcode, IdentifierKind::Postcode, shown);
