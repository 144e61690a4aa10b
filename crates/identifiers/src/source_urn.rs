//! The `source` of a message: which organisation, and which of its systems.

use crate::{KvkNumber, Oin};

/// A `source` as the NL GOV profile for CloudEvents wants it: a URN of the namespace
/// `nld` that names an organisation by its OIN or KvK number, and then a system.
/// `urn:nld` is compared without regard to case (RFC 8141). Borrows its text.
///
/// ```
/// use wissel_identifiers::SourceUrn;
///
/// let source = SourceUrn::parse("urn:nld:oin:00000001823288444000:systeem:BRP-component")?;
/// assert!(source.organisation().is(&"00000001823288444000".parse()?, None));
/// assert_eq!(source.system(), "BRP-component");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceUrn<'a> {
    organisation: Organisation,
    system: &'a str,
}

/// An organisation, by one of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Organisation {
    /// By its OIN.
    Oin(Oin),
    /// By its number in the trade register.
    Kvk(KvkNumber),
}

/// Why a text is no such URN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Another scheme or namespace.
    #[error("no URN of the namespace nld, expected urn:nld:oin: or urn:nld:kvknr:")]
    Namespace,
    /// The organisation is named in another way.
    #[error("the organisation has no OIN or KvK number, expected oin: or kvknr: behind urn:nld:")]
    Organisation,
    /// The number is none.
    #[error("the organisation's number is none, expected an OIN of 20, or a KvK number of 8")]
    Number,
    /// There is no system.
    #[error("no system, expected :systeem:NAME behind an OIN, or .NAME behind a KvK number")]
    System,
}

impl<'a> SourceUrn<'a> {
    /// Reads a `source`. Allocates nothing.
    ///
    /// # Errors
    /// What is missing.
    pub fn parse(source: &'a str) -> Result<Self, SourceError> {
        const START: usize = "urn:nld:".len();
        const KVK: usize = 8;
        let start = source.get(..START).ok_or(SourceError::Namespace)?;
        if !start.eq_ignore_ascii_case("urn:nld:") {
            return Err(SourceError::Namespace);
        }
        let rest = &source[START..];
        let (organisation, system) = if let Some(rest) = rest.strip_prefix("oin:") {
            let (oin, behind) = rest.split_at_checked(Oin::LENGTH).ok_or(SourceError::Number)?;
            let oin = oin.parse().map_err(|_| SourceError::Number)?;
            (Organisation::Oin(oin), behind.strip_prefix(":systeem:"))
        } else if let Some(rest) = rest.strip_prefix("kvknr:") {
            let (number, behind) = rest.split_at_checked(KVK).ok_or(SourceError::Number)?;
            let number = number.parse().map_err(|_| SourceError::Number)?;
            (Organisation::Kvk(number), behind.strip_prefix('.'))
        } else {
            return Err(SourceError::Organisation);
        };
        match system {
            Some(system) if is_name(system) => Ok(Self { organisation, system }),
            _ => Err(SourceError::System),
        }
    }

    /// Whose message it is.
    #[must_use]
    pub fn organisation(&self) -> Organisation {
        self.organisation
    }

    /// The system that it comes from.
    #[must_use]
    pub fn system(&self) -> &'a str {
        self.system
    }
}

impl Organisation {
    /// Whether it is the party with this OIN, and this KvK number when it has one.
    #[must_use]
    pub fn is(&self, oin: &Oin, kvk_number: Option<&KvkNumber>) -> bool {
        match self {
            Self::Oin(named) => named == oin,
            Self::Kvk(named) => {
                kvk_number == Some(named) || oin.kvk_number().as_ref() == Some(named)
            }
        }
    }
}

/// Characters that a name in a URN may have without being read as something else.
fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=@:".contains(&byte);
    !text.is_empty() && text.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_profile_are_read() {
        let kvk = SourceUrn::parse("urn:nld:kvknr:09220932.burgerzakensysteem").unwrap();
        assert_eq!(kvk.system(), "burgerzakensysteem");
        let number = "09220932".parse().unwrap();
        let oin_of_kvk = "00000003092209320000".parse().unwrap();
        let other = "00000001823288444000".parse().unwrap();
        assert!(kvk.organisation().is(&oin_of_kvk, None));
        assert!(kvk.organisation().is(&other, Some(&number)));
        assert!(!kvk.organisation().is(&other, None));
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let fault = |text: &str| SourceUrn::parse(text).unwrap_err();
        assert_eq!(fault("/relative"), SourceError::Namespace);
        assert_eq!(fault("é"), SourceError::Namespace);
        assert_eq!(fault("urn:nld:gemeente-nijmegen.x"), SourceError::Organisation);
        assert_eq!(fault("urn:nld:oin:123:systeem:x"), SourceError::Number);
        assert_eq!(fault("urn:nld:kvknr:1234567x.s"), SourceError::Number);
        for text in ["", ":systeem:", ":system:x", ":systeem:a b", ".x", "0:systeem:x"] {
            let source = format!("urn:nld:oin:00000001823288444000{text}");
            assert_eq!(fault(&source), SourceError::System, "{text}");
        }
        assert_eq!(fault("urn:nld:kvknr:09220932"), SourceError::System);
    }
}
