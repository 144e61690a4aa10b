//! Numbers of persons, and of organisations that pass the same test.

use crate::text::{digits, identifier, number, value};
use crate::{IdentifierError, IdentifierFault, IdentifierKind};

/// *Burgerservicenummer*: the number of a person in dealings with the government (Wet
/// algemene bepalingen burgerservicenummer). 9 digits, of which leading zeros count,
/// that pass the eleven-test: 9a+8b+7c+6d+5e+4f+3g+2h-1i is a multiple of 11.
///
/// Personal: shown as `[bsn]`, and read by [`Bsn::expose`] only.
///
/// ```
/// use wissel_identifiers::Bsn;
///
/// let bsn: Bsn = "999990019".parse()?;
/// assert_eq!(bsn.to_string(), "[bsn]");
/// assert_eq!(bsn.expose(), "999990019");
/// assert_eq!(
///     "999990018".parse::<Bsn>().unwrap_err().to_string(),
///     "bsn: the eleven-test fails, expected a number that passes"
/// );
/// # Ok::<(), wissel_identifiers::IdentifierError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bsn([u8; 9]);

/// *Rechtspersonen en Samenwerkingsverbanden Informatienummer*: the number of a legal
/// person in the trade register. Made like a [`Bsn`], and not personal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rsin(pub(crate) [u8; 9]);

/// *Administratienummer*: the number of a person within the base registry of persons
/// (Logisch Ontwerp BRP, element 01.10). 10 digits, of which the first is not 0; their sum
/// modulo 11 is 0 or 5, and the sum of each times two to the power of its place, from 0,
/// is a multiple of 11. Personal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ANummer([u8; 10]);

impl Bsn {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        eleven_test(IdentifierKind::Bsn, text).map(Self)
    }
}

impl Rsin {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        eleven_test(IdentifierKind::Rsin, text).map(Self)
    }
}

impl ANummer {
    fn parse(text: &str) -> Result<Self, IdentifierError> {
        let kind = IdentifierKind::ANummer;
        let fail = |fault| Err(IdentifierError { kind, fault });
        let number: [u8; 10] = digits(kind, "10", text)?;
        if number[0] == b'0' {
            return fail(IdentifierFault::LeadingZero);
        }
        let sum: u32 = number.iter().map(|digit| value(*digit)).sum();
        if !matches!(sum % 11, 0 | 5) {
            return fail(IdentifierFault::DigitSum);
        }
        let weighted: u32 =
            number.iter().enumerate().map(|(place, digit)| value(*digit) << place).sum();
        if !weighted.is_multiple_of(11) {
            return fail(IdentifierFault::WeightedSum);
        }
        Ok(Self(number))
    }
}

fn eleven_test(kind: IdentifierKind, text: &str) -> Result<[u8; 9], IdentifierError> {
    let fail = |fault| Err(IdentifierError { kind, fault });
    let number: [u8; 9] = number(kind, "9", text)?;
    let weights = (2..=9).rev();
    let sum: u32 = weights.zip(number).map(|(weight, digit)| weight * value(digit)).sum();
    // The last digit counts as -1 times, so it is what the others leave over.
    if sum % 11 != value(number[8]) {
        return fail(IdentifierFault::ElevenTest);
    }
    Ok(number)
}

identifier!(Bsn, IdentifierKind::Bsn, redacted);
identifier!(Rsin, IdentifierKind::Rsin, shown);
identifier!(ANummer, IdentifierKind::ANummer, redacted);
