//! Every kind: what is taken, what is refused and why, and what is never shown.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;
use std::str::FromStr;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wissel_identifiers::{
    ANummer, BagKind, BagObjectId, Brin, Bsn, CadastralDesignation, Gemeentecode, IdentifierKind,
    InboxName, Kenteken, KvkNumber, Oin, Postcode, Rsin, Vestigingsnummer, WozObjectNumber,
};

/// The BSNs of the test range 99999xxxx.
fn test_bsns() -> impl Iterator<Item = String> {
    (999_990_000..=999_999_999_u32).map(|number| number.to_string()).filter(|text| passes(text))
}

/// The eleven-test, written another way: -1 times the last digit.
fn passes(text: &str) -> bool {
    let digits: Vec<i32> = text.bytes().map(|byte| i32::from(byte - b'0')).collect();
    let weights = [9, 8, 7, 6, 5, 4, 3, 2, -1];
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum::<i32>() % 11 == 0
}

fn is_bsn(text: &str) -> bool {
    text.parse::<Bsn>().is_ok()
}

fn assert_every_slip_is_caught(bsn: &str) {
    assert!(is_bsn(bsn), "{bsn}");
    let digits: Vec<u8> = bsn.bytes().collect();
    for place in 0..9 {
        for wrong in b'0'..=b'9' {
            let mut slip = digits.clone();
            slip[place] = wrong;
            let slip = String::from_utf8(slip).unwrap();
            assert_eq!(is_bsn(&slip), slip == bsn, "{bsn} {slip}");
        }
        if place < 8 {
            let mut swap = digits.clone();
            swap.swap(place, place + 1);
            let swap = String::from_utf8(swap).unwrap();
            assert_eq!(is_bsn(&swap), swap == bsn, "{bsn} {swap}");
        }
    }
}

#[test]
fn every_wrong_digit_and_every_swap_of_neighbours_in_a_test_bsn_is_caught() {
    let mut count = 0;
    for bsn in test_bsns() {
        assert_every_slip_is_caught(&bsn);
        count += 1;
    }
    assert!(count > 900, "{count}");
    assert!(is_bsn("999990019") && is_bsn("999990342"));
}

proptest! {
    #[test]
    fn every_wrong_digit_and_every_swap_of_neighbours_in_any_bsn_is_caught(start in 1..99_999_999_u32) {
        // Eight digits and the one that makes them pass, when there is one.
        let first = format!("{start:08}");
        if let Some(bsn) = (0..10).map(|last| format!("{first}{last}")).find(|text| passes(text)) {
            assert_every_slip_is_caught(&bsn);
        }
    }

    #[test]
    fn a_bsn_passes_exactly_when_the_eleven_test_does(number in 1..1_000_000_000_u32) {
        let text = format!("{number:09}");
        prop_assert_eq!(is_bsn(&text), passes(&text));
        prop_assert_eq!(text.parse::<Rsin>().is_ok(), passes(&text));
    }

    #[test]
    fn no_text_makes_a_kind_panic_or_show_it(text in "\\PC{0,24}", secret in "[0-9]{9}") {
        for kind in IdentifierKind::ALL {
            let _ = kind.check(&text);
            if let Err(error) = kind.check(&secret) {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains(&secret));
            }
        }
    }

    #[test]
    fn an_a_nummer_passes_both_sums_or_says_which_it_does_not(number in 1_000_000_000..10_000_000_000_u64) {
        let text = number.to_string();
        let digits: Vec<u64> = text.bytes().map(|byte| u64::from(byte - b'0')).collect();
        let sum = digits.iter().sum::<u64>() % 11;
        let weighted: u64 = digits.iter().zip(0..).map(|(digit, place)| digit * 2_u64.pow(place)).sum();
        let expected = match (matches!(sum, 0 | 5), weighted.is_multiple_of(11)) {
            (true, true) => "",
            (false, _) => "sum of the digits",
            (true, false) => "weighted sum",
        };
        let found = text.parse::<ANummer>().err().map(|error| error.to_string()).unwrap_or_default();
        prop_assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{}", found);
    }

    #[test]
    fn what_is_shown_can_be_read_again(
        kvk in "[0-9]{7}[1-9]", vestiging in "[0-9]{11}[1-9]", brin in "[0-9]{2}[A-Z]{2}([0-9]{2})?",
        bag in "[0-9]{3}[1-9](01|02|03|10|20|30)[0-9]{10}", postcode in "[1-9][0-9]{3}[A-R][A-Z]",
        parcel in "[A-Z]{3}[0-9]{2} [A-Z]{1,2} [1-9][0-9]{0,4}( A[1-9][0-9]{0,3})?",
    ) {
        round_trip::<KvkNumber>(&kvk);
        round_trip::<Vestigingsnummer>(&vestiging);
        round_trip::<WozObjectNumber>(&vestiging);
        round_trip::<Brin>(&brin);
        round_trip::<BagObjectId>(&bag);
        round_trip::<Postcode>(&postcode);
        round_trip::<CadastralDesignation>(&parcel);
    }
}

fn round_trip<T>(text: &str)
where
    T: FromStr + ToString + Serialize + DeserializeOwned + Eq + Debug,
    T::Err: Debug,
{
    let value: T = text.parse().unwrap();
    assert_eq!(value.to_string(), text);
    let json = serde_json::to_string(&value).unwrap();
    assert_eq!(json, format!("{text:?}"));
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
}

#[test]
fn each_fault_is_told_exactly() {
    use IdentifierKind::*;
    for (kind, text, expected) in [
        (Bsn, "99999001", "has 8 characters, expected 9"),
        (Bsn, "99999001x", "position 9, expected a digit"),
        (Bsn, "00000000é", "position 9"),
        (Bsn, "000000000", "nothing but zeros"),
        (Bsn, "999990018", "eleven-test"),
        (ANummer, "0123456789", "begins with a zero"),
        (KvkNummer, "1234567", "expected 8"),
        (Vestigingsnummer, "1234567", "expected 12"),
        (Brin, "02Q", "expected 4 or 6"),
        (Brin, "02qz", "position 3, expected a capital letter"),
        (Brin, "02QZ0A", "position 6, expected a digit"),
        (BagObject, "0344040000000001", "expected 01, 02, 03, 10, 20 or 30"),
        (BagPand, "0344010000000001", "expected 10"),
        (BagObject, "0000100000000001", "the municipality is none"),
        (WozObject, "x", "expected 12"),
        (WozObject, "000000000000", "zeros"),
        (KvkNummer, "00000000", "zeros"),
        (Vestigingsnummer, "000000000000", "zeros"),
        (KadastraleAanduiding, "", "the cadastral municipality"),
        (KadastraleAanduiding, "UT00 C 1", "the cadastral municipality"),
        (KadastraleAanduiding, "UTT000 C 1", "the cadastral municipality"),
        (KadastraleAanduiding, "é", "the cadastral municipality"),
        (KadastraleAanduiding, "UTT00", "the section"),
        (KadastraleAanduiding, "UTT00  C 1", "the section"),
        (KadastraleAanduiding, "UTT00 ABC 1", "the section"),
        (KadastraleAanduiding, "UTT00 C", "the number of the parcel"),
        (KadastraleAanduiding, "UTT00 C 123456", "the number of the parcel"),
        (KadastraleAanduiding, "UTT00 C 01", "the number of the parcel"),
        (KadastraleAanduiding, "UTT00C1A", "the index of the apartment right"),
        (KadastraleAanduiding, "UTT00 C 1 A01", "the index of the apartment right"),
        (KadastraleAanduiding, "UTT00 C 1 B1", "the end"),
        (KadastraleAanduiding, "UTT00 C 1 ", "the end"),
        (Kenteken, "TST-01", "expected 6"),
        (Kenteken, "tst-01-x", "position 1"),
        (Kenteken, "999999", "side code"),
        (Kenteken, "TS-T01-X", "hyphens"),
        (Postcode, "0500AA", "position 1, expected 1 to 9"),
        (Postcode, "3500SS", "SA, SD and SS"),
        (Postcode, "3500  AA", "expected 6"),
        (Postcode, "3500aa", "position 5"),
        (Gemeentecode, "0000", "zeros"),
        (Gemeentecode, "344", "expected 4"),
        (Oin, "123", "20 positions"),
    ] {
        let error = kind.check(text).unwrap_err().to_string();
        assert!(error.contains(expected) && error.starts_with(kind.name()), "{text}: {error}");
    }
}

#[test]
fn known_ones_are_taken() {
    use IdentifierKind::*;
    for (kind, text) in [
        (Oin, "00000001002220647000"),
        (Bsn, "999990342"),
        (Rsin, "002220647"),
        (KvkNummer, "09220932"),
        (BagVerblijfsobject, "0344010000000001"),
        (BagLigplaats, "0344020000000001"),
        (BagStandplaats, "0344030000000001"),
        (BagNummeraanduiding, "0344200000000001"),
        (BagOpenbareRuimte, "0344300000000001"),
        (BagObject, "0344300000000001"),
        (Postcode, "3500 AA"),
        (Gemeentecode, "0344"),
        (KadastraleAanduiding, "UTT00 C 1234 A12"),
    ] {
        kind.check(text).unwrap();
        assert_eq!(kind.name().parse::<IdentifierKind>().unwrap(), kind);
    }
    assert_eq!("0344300000000001".parse::<BagObjectId>().unwrap().kind(), BagKind::OpenbareRuimte);
}

#[test]
fn what_may_be_written_in_two_ways_is_kept_in_one() {
    let parcel = |text: &str| text.parse::<CadastralDesignation>().unwrap();
    assert_eq!(parcel("UTT00C1234A12"), parcel("UTT00 C 1234 A12"));
    assert_eq!(parcel("UTT00AB1").as_str(), "UTT00 AB 1");
    assert_eq!("3500 AA".parse::<Postcode>().unwrap().as_str(), "3500AA");
    assert!("0344".parse::<Gemeentecode>().is_ok());
}

#[test]
fn number_plates_are_known_by_their_side_code() {
    for (code, plate) in (1..).zip([
        "AB-12-34", "12-34-AB", "12-AB-34", "AB-12-CD", "AB-CD-12", "12-AB-CD", "12-ABC-3",
        "1-ABC-23", "AB-123-C", "A-123-BC", "ABC-12-D", "A-12-BCD", "1-AB-234", "123-AB-4",
    ]) {
        let with: Kenteken = plate.parse().unwrap();
        let without: Kenteken = plate.replace('-', "").parse().unwrap();
        assert_eq!((with.side_code(), with.expose().as_str()), (code, plate));
        assert_eq!(with, without);
    }
}

#[test]
fn personal_ones_are_shown_to_nobody_who_does_not_ask() {
    let bsn: Bsn = "999990019".parse().unwrap();
    let plate: Kenteken = "TST-01-X".parse().unwrap();
    let a_nummer = (1_000_000_000_u64..).map(|number| number.to_string());
    let a_nummer: ANummer = a_nummer.filter_map(|text| text.parse().ok()).next().unwrap();
    let shown = format!("{bsn} {bsn:?} {plate} {plate:?} {a_nummer} {a_nummer:?}");
    for secret in [bsn.expose(), &plate.expose(), "TST", a_nummer.expose()] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // Serialising is meant to send it.
    assert_eq!(serde_json::to_string(&bsn).unwrap(), "\"999990019\"");
}

#[test]
fn reading_json_never_shows_what_it_refuses() {
    for json in ["\"999990018\"", "999990018", "-999990018", "999990018.5", "[999990018]"] {
        let error = serde_json::from_str::<Bsn>(json).unwrap_err().to_string();
        assert!(!error.contains("99999"), "{error}");
    }
    assert!(serde_json::from_str::<Oin>("\"x\"").is_err());
    // Where an OIN or a name stands, somebody may have put a BSN.
    for json in ["999990019", "-999990019", "999990019.5", "[999990019]"] {
        let oin = serde_json::from_str::<Oin>(json).unwrap_err().to_string();
        let name = serde_json::from_str::<InboxName>(json).unwrap_err().to_string();
        assert!(!oin.contains("99999") && !name.contains("99999"), "{oin} {name}");
    }
}
