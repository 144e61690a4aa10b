//! What people write in texts that operators read.

use wissel_identifiers::Oin;

/// As many digits together may be the number of a person: a BSN that lost its leading
/// zero has eight.
const DIGITS: usize = 8;
/// What stands in their place.
const MASK: &str = "[number]";

/// The text without runs of digits that may be the number of a person. An OIN stays: it
/// names an organisation.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_numeric) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|character: char| !character.is_numeric()).unwrap_or(from.len());
        let (run, behind) = from.split_at(end);
        let is_short = run.chars().count() < DIGITS;
        out.push_str(before);
        out.push_str(if is_short || run.parse::<Oin>().is_ok() { run } else { MASK });
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_persons_are_masked_and_organisations_are_not() {
        let oin = "00000001002220647000";
        for (text, expected) in [
            ("burger 999993318 onbekend", "burger [number] onbekend"),
            ("bsn=999993318", "bsn=[number]"),
            ("99999331", "[number]"),
            ("9999933 te kort", "9999933 te kort"),
            ("ａ９９９９９３３１８", "ａ[number]"),
            ("a999993318b1234567890c", "a[number]b[number]c"),
            ("2026-11-24T12:00:00", "2026-11-24T12:00:00"),
            ("", ""),
            ("één reden", "één reden"),
        ] {
            assert_eq!(masked(text), expected);
        }
        let source = format!("urn:nld:oin:{oin}:systeem:x");
        assert_eq!(masked(&source), source);
        assert_eq!(masked(&format!("{oin}1")), MASK);
        assert_eq!(masked(&masked("999993318")), masked("999993318"));
    }
}
