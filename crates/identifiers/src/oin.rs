use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::deserialize;
use crate::{KvkNumber, Rsin};

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
    #[error("the first 8 positions of an OIN are one of 00000001 to 00000011, or 00000099")]
    Prefix,
    /// The main number holds something else than digits and capital letters.
    #[error("position {position} of an OIN is a digit or a capital letter")]
    MainNumber {
        /// Counted from 1.
        position: usize,
    },
    /// The main number holds something else than digits, and its register gives out digits
    /// only: RSIN, Fi-nummer and KvK number.
    #[error("position {position} of an OIN of this register is a digit")]
    Digit {
        /// Counted from 1.
        position: usize,
    },
    /// The last three positions are not zeros; behind a KvK number the last four.
    #[error("an OIN ends in 000, and in 0000 behind a KvK number")]
    Suffix,
}

/// The register that the first 8 positions of an [`Oin`] name (OIN-Stelsel).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OinRegister {
    /// 00000001: RSIN, of the trade register.
    Rsin,
    /// 00000002: Fi-nummer, of the tax administration.
    FiNummer,
    /// 00000003: KvK number, of the trade register.
    Kvk,
    /// 00000004: a part of an organisation (sub-OIN).
    SubOin,
    /// 00000005: free.
    Free,
    /// 00000006: given out by Logius.
    Logius,
    /// 00000007: BRIN, of schools.
    Brin,
    /// 00000008: foreign organisations.
    Foreign,
    /// 00000009: UZI, of health care.
    Uzi,
    /// 00000010: TRR-BD, of the tax administration.
    TaxAdministration,
    /// 00000011: Dezi, of health insurers.
    HealthInsurers,
    /// 00000099: for tests.
    Test,
}

impl Oin {
    /// How many positions an OIN has.
    pub const LENGTH: usize = 20;

    /// One that was checked before, as part of something else.
    pub(crate) fn of_checked(text: &str) -> Self {
        let positions = text.as_bytes().try_into();
        Self(positions.expect("20 positions were counted when this was checked"))
    }

    /// The 20 positions.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an OIN is made of ASCII only")
    }

    /// The register that gave the main number.
    #[must_use]
    pub fn register(&self) -> OinRegister {
        match &self.0[6..8] {
            b"01" => OinRegister::Rsin,
            b"02" => OinRegister::FiNummer,
            b"03" => OinRegister::Kvk,
            b"04" => OinRegister::SubOin,
            b"05" => OinRegister::Free,
            b"06" => OinRegister::Logius,
            b"07" => OinRegister::Brin,
            b"08" => OinRegister::Foreign,
            b"09" => OinRegister::Uzi,
            b"10" => OinRegister::TaxAdministration,
            b"11" => OinRegister::HealthInsurers,
            _ => OinRegister::Test,
        }
    }

    /// The number in that register: 8 positions of a KvK number, 9 of any other.
    #[must_use]
    pub fn main_number(&self) -> &str {
        let end = if self.register() == OinRegister::Kvk { 16 } else { 17 };
        &self.as_str()[8..end]
    }

    /// The RSIN in it, when that is what it is made of. Not every main number of that
    /// register passes the eleven-test.
    #[must_use]
    pub fn rsin(&self) -> Option<Rsin> {
        (self.register() == OinRegister::Rsin).then(|| self.main_number().parse().ok())?
    }

    /// The KvK number in it, when that is what it is made of.
    #[must_use]
    pub fn kvk_number(&self) -> Option<KvkNumber> {
        (self.register() == OinRegister::Kvk).then(|| self.main_number().parse().ok())?
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
        let known_register = matches!(register, Some([b'0', b'1'..=b'9'] | b"10" | b"11" | b"99"));
        if !known_register {
            return Err(OinError::Prefix);
        }
        for (index, position) in main_number.iter().enumerate() {
            if !(position.is_ascii_digit() || position.is_ascii_uppercase()) {
                return Err(OinError::MainNumber { position: index + 9 });
            }
        }
        let of_kvk = prefix == b"00000003";
        if suffix != b"000" || (of_kvk && main_number[8] != b'0') {
            return Err(OinError::Suffix);
        }
        let of_digits = matches!(register, Some(b"01" | b"02" | b"03"));
        let letter = main_number.iter().position(|position| !position.is_ascii_digit());
        if let Some(index) = letter.filter(|_| of_digits) {
            return Err(OinError::Digit { position: index + 9 });
        }
        Ok(Self(positions))
    }
}

impl From<Rsin> for Oin {
    /// The OIN of a legal person.
    fn from(rsin: Rsin) -> Self {
        let mut positions = *b"00000001000000000000";
        positions[8..17].copy_from_slice(&rsin.0);
        Self(positions)
    }
}

impl From<KvkNumber> for Oin {
    /// The OIN of a registration in the trade register.
    fn from(number: KvkNumber) -> Self {
        let mut positions = *b"00000003000000000000";
        positions[8..16].copy_from_slice(&number.0);
        Self(positions)
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
        deserialize(deserializer)
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
        assert_eq!(parse("00000012002220647000"), OinError::Prefix);
        assert_eq!(parse("00000001a02220647000"), OinError::MainNumber { position: 9 });
        assert_eq!(parse("00000001002220647001"), OinError::Suffix);
        assert_eq!(parse("00000003092209321000"), OinError::Suffix);
        assert_eq!(parse("000000030922093A0000"), OinError::Digit { position: 16 });
        assert_eq!(parse("0000000100222064A000"), OinError::Digit { position: 17 });
        assert_eq!(parse("00000002A02220647000"), OinError::Digit { position: 9 });
    }

    #[test]
    fn the_register_says_what_the_main_number_is() {
        let oin = |text: &str| text.parse::<Oin>().unwrap();
        assert_eq!(oin("00000001002220647000").register(), OinRegister::Rsin);
        assert_eq!(oin("00000001002220647000").rsin().unwrap().as_str(), "002220647");
        assert_eq!(oin("00000004194049711000").register(), OinRegister::SubOin);
        assert_eq!(oin("00000099000000001000").register(), OinRegister::Test);
        assert_eq!(oin("00000009000000001000").register(), OinRegister::Uzi);
        assert_eq!(oin("00000010000001000000").register(), OinRegister::TaxAdministration);
        assert_eq!(oin("00000011000001000000").register(), OinRegister::HealthInsurers);
        let of_kvk = oin("00000003092209320000");
        assert_eq!(of_kvk.main_number(), "09220932");
        assert_eq!(Oin::from(of_kvk.kvk_number().unwrap()), of_kvk);
        let of_rsin = oin("00000001002220647000");
        assert_eq!(Oin::from(of_rsin.rsin().unwrap()), of_rsin);
    }
}
