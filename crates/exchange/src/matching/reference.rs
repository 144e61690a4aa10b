//! What parties know their signals by.

use wissel_broker::{Reason, Refusal};
use wissel_identifiers::{ANummer, Bsn};

/// The most characters of a reference.
const LENGTH_MAX: usize = 100;

/// A reference is stored and shown, so it must not tell whom the signal is about.
///
/// # Errors
/// [`Reason::InvalidRequest`] when it is none, or holds the subject or another number of a
/// person.
pub(super) fn check_reference(reference: &str, subject: Option<&str>) -> Result<(), Refusal> {
    let length = reference.chars().count();
    let wrong = |description: &str| {
        Err(Refusal::of_field(Reason::InvalidRequest, "reference", description))
    };
    if !(1..=LENGTH_MAX).contains(&length) || reference.contains(char::is_control) {
        return wrong("expected 1 to 100 characters, no control characters");
    }
    let holds_subject = subject.is_some_and(|subject| canonical(reference).contains(subject));
    let mut numbers = reference.split(|character: char| !character.is_ascii_digit());
    if holds_subject || numbers.any(is_of_a_person) {
        return wrong("holds what may be the number of a person; expected a number of your file");
    }
    Ok(())
}

/// A subject as it is hashed: without the blanks, hyphens and lower case that some kinds of
/// identifiers may be spelled with.
pub(super) fn canonical(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|character| character.to_ascii_uppercase()).collect()
}

fn is_of_a_person(number: &str) -> bool {
    number.parse::<Bsn>().is_ok() || number.parse::<ANummer>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_short_text_without_the_number_of_a_person() {
        for good in ["dossier 2026-00017", "x", "0197b2f0-1c1e-7000-8000-000000000001", "é"] {
            check_reference(good, Some("999990019")).unwrap();
        }
        let long = "x".repeat(101);
        for bad in ["", "a\nb", &long, "999990019", "zaak 9999-900 19", "kind 999990342"] {
            let refusal = check_reference(bad, Some("999990019")).unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidRequest, "{bad}");
            assert!(!refusal.message.contains("99999"));
        }
    }

    #[test]
    fn one_subject_is_hashed_alike_however_it_is_spelled() {
        assert_eq!(canonical("tst-99-x"), canonical("TST99X"));
        assert_eq!(canonical("999990019"), "999990019");
    }
}
