use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::deserialize;
use crate::{Oin, OinError};

/// Why a text is not the name of something that a party owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopedNameError {
    /// There is no dot after the OIN.
    #[error(
        "expected the owner's OIN, a dot and a name, such as 00000001002220647000.verhuizingen"
    )]
    NoOwner,
    /// What stands before the dot is not an OIN.
    #[error("expected the owner's OIN before the dot: {0}")]
    Owner(#[from] OinError),
    /// What stands after the dot is empty, too long or has other characters.
    #[error("expected 1 to 64 of a-z, 0-9 and '-' after the dot, starting with a letter or digit")]
    Local,
    /// What stands after the dot may hold the number of a person. Names are in logs, records
    /// and lists.
    #[error(
        "expected at most 7 digits in a row after the dot: 8 or more may be the number of a person"
    )]
    Digits,
}

/// The name of an inbox: its owner's OIN, a dot, and a name of 1 to 64 of `a-z`,
/// `0-9` and `-` that starts with a letter or digit, and has at most 7 digits in a row, so
/// that it cannot be the number of a person. Cheap to clone.
///
/// ```
/// use wissel_identifiers::InboxName;
///
/// let inbox: InboxName = "00000001002220647000.verhuizingen".parse()?;
/// assert_eq!(inbox.owner().as_str(), "00000001002220647000");
/// assert_eq!(inbox.local(), "verhuizingen");
/// # Ok::<(), wissel_identifiers::ScopedNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboxName(Arc<str>);

/// The name of a subscription, made like an [`InboxName`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionName(Arc<str>);

fn check(text: &str) -> Result<(), ScopedNameError> {
    const LOCAL_MAX: usize = 64;
    // A BSN has 9 digits, and 8 when its first zero was lost.
    const DIGITS_MAX: usize = 7;
    let (owner, local) = text.split_once('.').ok_or(ScopedNameError::NoOwner)?;
    let _: Oin = owner.parse()?;
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let well_formed = (1..=LOCAL_MAX).contains(&local.len())
        && local.bytes().all(allowed)
        && !local.starts_with('-');
    if !well_formed {
        return Err(ScopedNameError::Local);
    }
    let runs = local.split(|c: char| !c.is_ascii_digit());
    if runs.map(str::len).max() > Some(DIGITS_MAX) {
        return Err(ScopedNameError::Digits);
    }
    Ok(())
}

macro_rules! scoped_name {
    ($Name:ident) => {
        impl $Name {
            /// The one of this owner with this local name.
            ///
            /// # Errors
            /// [`ScopedNameError::Local`] when the local name is malformed, and
            /// [`ScopedNameError::Digits`] when it may hold the number of a person.
            pub fn new(owner: Oin, local: &str) -> Result<Self, ScopedNameError> {
                format!("{owner}.{local}").parse()
            }

            /// The party that owns it.
            #[must_use]
            pub fn owner(&self) -> Oin {
                Oin::of_checked(&self.0[..Oin::LENGTH])
            }

            /// What stands after the dot.
            #[must_use]
            pub fn local(&self) -> &str {
                &self.0[Oin::LENGTH + 1..]
            }

            /// The whole name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $Name {
            type Err = ScopedNameError;

            fn from_str(text: &str) -> Result<Self, ScopedNameError> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($Name), "({})"), self.0)
            }
        }

        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize(deserializer)
            }
        }
    };
}

scoped_name!(InboxName);
scoped_name!(SubscriptionName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_an_owner_and_a_local_part() {
        let name: InboxName = "00000001002220647000.brp-1".parse().unwrap();
        assert_eq!(name, InboxName::new(name.owner(), name.local()).unwrap());
        assert_eq!(format!("{name:?}"), "InboxName(00000001002220647000.brp-1)");
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let parse = |text: &str| text.parse::<SubscriptionName>().unwrap_err();
        assert_eq!(parse("verhuizingen"), ScopedNameError::NoOwner);
        assert!(matches!(parse("0000.verhuizingen"), ScopedNameError::Owner(_)));
        for local in ["", "-a", "A", "a.b", "a_b", &"a".repeat(65)] {
            assert_eq!(parse(&format!("00000001002220647000.{local}")), ScopedNameError::Local);
        }
    }

    #[test]
    fn a_name_cannot_be_the_number_of_a_person() {
        let parse = |local: &str| InboxName::new("00000001002220647000".parse().unwrap(), local);
        for local in ["999990019", "99990019", "bsn-999990019", "a9999900191234", "x12345678-y"] {
            let error = parse(local).unwrap_err();
            assert_eq!(error, ScopedNameError::Digits, "{local}");
            assert!(!error.to_string().contains(local));
        }
        for local in ["1234567", "2026-11-24", "a1234567b1234567", "brp"] {
            assert!(parse(local).is_ok(), "{local}");
        }
    }
}
