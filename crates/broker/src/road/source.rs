//! Whose a `source` says that the message is.

use std::borrow::Cow;

use wissel_identifiers::{KvkNumber, Oin};

use crate::{Reason, Refusal};

/// What a `source` says of the organisation that it comes from.
#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    /// Nothing: it is not of the namespace in which organisations are named.
    Nobody,
    /// The text where an OIN belongs.
    Oin(&'a str),
    /// The text where a KvK number belongs.
    Kvk(&'a str),
    /// Something, in a way that cannot be read.
    Unreadable,
}

/// The scheme and namespace in which a `source` names an organisation (NL GOV profile).
const NAMESPACE: &str = "urn:nld:";

/// Refuses a source that names another organisation than the publisher, or one that cannot
/// be made out. Whether it is spelled as the profile wants is for the rules to judge: a
/// receiver that reads no further than the number must not be misled by what follows it.
pub(super) fn check_source(
    source: &str,
    publisher: &Oin,
    kvk_number: impl FnOnce() -> Option<KvkNumber>,
) -> Result<(), Refusal> {
    // Nearly all are spelled so: then there is no need to read them.
    let usual = source.strip_prefix("urn:nld:oin:").and_then(|named| {
        let behind = named.strip_prefix(publisher.as_str())?;
        behind.strip_prefix(":systeem:")
    });
    if usual.is_some() {
        return Ok(());
    }
    let source = decoded(source);
    let is_publisher = match named(&source) {
        Named::Nobody => true,
        Named::Oin(oin) => oin == publisher.as_str(),
        Named::Kvk(number) => [kvk_number(), publisher.kvk_number()]
            .into_iter()
            .flatten()
            .any(|own| own.as_str() == number),
        Named::Unreadable => false,
    };
    if is_publisher {
        return Ok(());
    }
    Err(Refusal::of_field(
        Reason::SourceOfAnother,
        "source",
        format!(
            "names another organisation than the publisher, or none that can be made out; \
             expected urn:nld:oin:{publisher}:systeem:NAME"
        ),
    ))
}

fn named(source: &str) -> Named<'_> {
    let Some(named) = strip_prefix_of_any_case(source, NAMESPACE) else { return Named::Nobody };
    let number = |rest, length| number(rest, length).unwrap_or_default();
    if let Some(rest) = strip_prefix_of_any_case(named, "oin:") {
        Named::Oin(number(rest, Oin::LENGTH))
    } else if let Some(rest) = strip_prefix_of_any_case(named, "kvknr:") {
        Named::Kvk(number(rest, KVK_LENGTH))
    } else {
        Named::Unreadable
    }
}

const KVK_LENGTH: usize = 8;

/// The number that a text begins with, when it ends where a number may.
fn number(text: &str, length: usize) -> Option<&str> {
    let (number, behind) = text.split_at_checked(length)?;
    (behind.is_empty() || behind.starts_with([':', '.'])).then_some(number)
}

fn strip_prefix_of_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The text without percent-encodings (RFC 3986, section 2.1), by which the same can be
/// spelled differently. What is none stays.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let encoded = behind.first_chunk().filter(|_| *first == b'%').and_then(hexadecimal);
        bytes.push(encoded.unwrap_or(*first));
        rest = if encoded.is_some() { &behind[2..] } else { behind };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hexadecimal(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(digits[0])? << 4 | digit(digits[1])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "00000099000000001000";
    const OTHER: &str = "00000001002220647000";

    fn passes(source: &str) -> bool {
        let checked = check_source(source, &OWN.parse().unwrap(), || "09220932".parse().ok());
        if let Err(refusal) = &checked {
            assert_eq!(refusal.reason, Reason::SourceOfAnother);
        }
        checked.is_ok()
    }

    #[test]
    fn a_source_of_the_publisher_passes_however_it_goes_on() {
        for text in [
            "urn:nld:oin:{}:systeem:BRP",
            "urn:nld:oin:{}",
            "urn:nld:oin:{}.x",
            "urn:nld:oin:{}:component:x",
            "urn:nld:oin:{}:systeem:a/b",
            "URN:NLD:OIN:{}:systeem:x",
            "urn:nld:oin:{}:systeem:50%25",
            "urn:nld:oin:{}%3Asysteem:x",
        ] {
            assert!(passes(&text.replace("{}", OWN)), "{text}");
        }
        for text in ["urn:nld:kvknr:09220932.zaken", "urn:nld:KVKNR:09220932:systeem:x"] {
            assert!(passes(text), "{text}");
        }
    }

    #[test]
    fn a_source_that_names_nobody_is_for_the_rules() {
        for text in
            ["/sensors/1", "https://brp.example.nl", "urn:uuid:6e8bc430", "", "é", "%", "%zz"]
        {
            assert!(passes(text), "{text}");
        }
    }

    #[test]
    fn a_source_of_another_is_refused_however_it_is_spelled() {
        for text in [
            "urn:nld:oin:{}:systeem:x",
            "urn:nld:oin:{}",
            "urn:nld:oin:{}.x",
            "urn:nld:oin:{}:component:x",
            "urn:nld:oin:{}:systeem:a/b",
            "urn:nld:OIN:{}:systeem:x",
            "URN:nld:oin:{}:systeem:x",
            "urn:NLD:oin:{}:systeem:x",
            "urn:nld:oin:{}evil",
            "urn:nld:oin:{}?+x",
            "urn:nld:oin:{}#x",
            "urn:nld:oin::{}:systeem:x",
            "urn:nld:oin.{}:systeem:x",
            "urn:nld:oin: {}:systeem:x",
            "urn:nld:rsin:{}:systeem:x",
            "urn:nld:oin%3A{}:systeem:x",
            "urn:nl%64:oin:{}:systeem:x",
            "urn%3anld%3aoin%3a{}%3asysteem%3ax",
            "urn:nld:oin:%30{}:systeem:x",
        ] {
            assert!(!passes(&text.replace("{}", OTHER)), "{text}");
        }
        let encoded = format!("urn:nld:oin:%30{}:systeem:x", &OTHER[1..]);
        assert!(!passes(&encoded));
    }

    #[test]
    fn a_source_that_names_somebody_unreadably_is_refused() {
        for text in [
            format!("urn:nld:oin:{OWN}evil"),
            format!("urn:nld:oin:{OWN}1:systeem:x"),
            format!("urn:nld:oin:{OWN}%2Fx"),
            format!("urn:nld:oin:{}:systeem:x", &OWN[1..]),
            "urn:nld:oin:".to_owned(),
            "urn:nld:".to_owned(),
            "urn:nld:gemeente-utrecht.burgerzaken".to_owned(),
            "urn:nld:kvknr:30280353.x".to_owned(),
            "urn:nld:kvknr:00000099:systeem:x".to_owned(),
            "urn:nld:kvknr:092209321.x".to_owned(),
            format!("urn:nld:kvknr:{OTHER}:systeem:x"),
        ] {
            assert!(!passes(&text), "{text}");
        }
    }
}
