//! The NL GOV profile for CloudEvents (Logius, version 1.1), on top of CloudEvents 1.0.

use std::borrow::Cow;

use iri_string::types::UriReferenceStr;
use wissel_identifiers::{Bsn, SourceUrn};

use crate::rules::show_attribute_name;
use crate::{EventView, Rule, Value, Violation};

/// The name of an attribute SHOULD NOT be longer.
const NAME_MAX: usize = 20;
/// What every intermediary forwards, in bytes ("Size limits").
const SIZE_MAX: usize = 64 << 10;

/// Checks what the NL GOV profile asks beyond [`crate::validate`]: what a message MUST
/// do, and what it SHOULD. [`Rule::level`] tells them apart. Nothing is allocated for a
/// message that keeps all of it.
///
/// Not checked here, as it shows over several messages or not in messages at all: that
/// (source, id) is unique, that a sequence of Integers has no gap, that an id is random
/// because there was no better one, and what a producer documents.
#[must_use]
pub fn check_profile(event: &EventView) -> Vec<Violation> {
    let mut found = Vec::new();
    check_type(event.event_type(), &mut found);
    check_source(event, &mut found);
    for (place, (name, _)) in event.raw_attributes().enumerate() {
        if name.len() > NAME_MAX {
            let fault = format!("a name of {} characters", name.len());
            let shown = show_attribute_name(name, place);
            found.push(Violation::new(Rule::NameLength, shown, fault, "at most 20"));
        }
    }
    check_content_type(event, &mut found);
    check_data_ref(event, &mut found);
    check_sequence(event, &mut found);
    check_sensitive(event, &mut found);
    if event.frame().len() > SIZE_MAX {
        let fault = format!("{} bytes", event.frame().len());
        let expected = "at most 65536, and large data by reference (dataref)";
        found.push(Violation::new(Rule::Size, "data", fault, expected));
    }
    found
}

/// Whether a name is in reverse domain name notation: at least two labels of letters,
/// digits, `-` and `_`, the first of letters only.
#[must_use]
pub fn is_reverse_domain_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &[u8]| {
        !label.is_empty()
            && label.iter().copied().all(allowed)
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    };
    let is_top = |top: &[u8]| top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic);
    let mut labels = labels(name);
    let is_top = labels.next().is_some_and(is_top);
    let mut others = labels.peekable();
    is_top && others.peek().is_some() && others.all(is_label)
}

/// What stands between the dots. By bytes, as labels are too short for a search to pay.
fn labels(name: &str) -> impl Iterator<Item = &[u8]> {
    name.as_bytes().split(|byte| *byte == b'.')
}

fn check_type(event_type: &str, found: &mut Vec<Violation>) {
    if event_type.is_empty() {
        // Another rule says that it has to be there.
        return;
    }
    if !is_reverse_domain_name(event_type) {
        let fault = "not in reverse domain name notation";
        let expected = "a name such as nl.brp.geboorte";
        found.push(Violation::new(Rule::TypeNotation, "type", fault, expected));
        return;
    }
    if let Some(fault) = version_fault(event_type) {
        let expected = "one version at most, prefixed by v, such as nl.brp.geboorte.v2";
        found.push(Violation::new(Rule::TypeVersion, "type", fault, expected));
    }
}

/// A label `v2` is a version, and so is a number; a number right behind a version is its
/// minor part.
fn version_fault(event_type: &str) -> Option<&'static str> {
    let is_number = |label: &[u8]| label.iter().all(u8::is_ascii_digit);
    let mut versions = 0;
    let mut behind_version = false;
    for label in labels(event_type) {
        let is_version = label.strip_prefix(b"v").is_some_and(|v| !v.is_empty() && is_number(v));
        if is_number(label) && !behind_version {
            return Some("a version without the letter v");
        }
        versions += usize::from(is_version);
        behind_version = is_version || (behind_version && is_number(label));
    }
    (versions > 1).then_some("more than one version")
}

fn check_source(event: &EventView, found: &mut Vec<Violation>) {
    let source = event.source();
    if source.is_empty() || SourceUrn::parse(source).is_ok() || names_by_eidas(source) {
        return;
    }
    let data_ref = text_of(event.extension("dataref"));
    if is_location(source) || data_ref == Some(source) {
        let fault = "a location of data";
        let expected = "the organisation and its system, and the location in dataref";
        found.push(Violation::new(Rule::SourceLocation, "source", fault, expected));
        return;
    }
    let is_nld = source.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("urn:nld:"));
    let names_a_number = is_nld && {
        let rest = source.get(8..).unwrap_or_default();
        rest.starts_with("oin:") || rest.starts_with("kvknr:")
    };
    let fault = match (is_nld, names_a_number) {
        (false, _) => "no URN of the namespace nld",
        (true, false) => "an organisation that is not named by its OIN or KvK number",
        (true, true) => "an OIN or KvK number, or a system behind it, that is none",
    };
    let expected = "a URN such as urn:nld:oin:00000001002220647000:systeem:burgerzaken";
    found.push(Violation::new(Rule::SourceUrn, "source", fault, expected));
}

/// `urn:nld:eidas:`, an eIDAS legal identifier (two countries and a number, with slashes
/// between), and a system as behind an OIN or a KvK number. The profile recommends the
/// identifier in the context of the EU, and leaves open how it is written; no party is known
/// by it here.
fn names_by_eidas(source: &str) -> bool {
    const START: &str = "urn:nld:eidas:";
    let Some((start, rest)) = source.split_at_checked(START.len()) else { return false };
    let mut parts = rest.splitn(3, '/');
    let mut is_country = || {
        let part = parts.next().unwrap_or_default();
        part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    let names_countries = is_country() && is_country();
    let behind = parts.next().unwrap_or_default();
    let named = behind.split_once(":systeem:").or_else(|| behind.split_once('.'));
    let names_system =
        named.is_some_and(|(number, system)| !number.is_empty() && !system.is_empty());
    start.eq_ignore_ascii_case(START) && names_countries && names_system
}

/// A URL from which something can be fetched: of a scheme that fetches, with more than
/// the name of a host.
fn is_location(source: &str) -> bool {
    const FETCH: [&str; 8] = ["http", "https", "ftp", "ftps", "sftp", "file", "s3", "data"];
    let Some((scheme, rest)) = source.split_once(':') else {
        return false;
    };
    if !FETCH.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return false;
    }
    let behind_host = rest.strip_prefix("//").map(|rest| rest.split_once(['/', '?', '#']));
    match behind_host {
        Some(None) => false,
        Some(Some((_, path))) => !path.is_empty(),
        None => true,
    }
}

fn check_content_type(event: &EventView, found: &mut Vec<Violation>) {
    if event.data_bytes().is_some() && !event.has_json_data() {
        let fault = "data in another format than JSON";
        let expected = "JSON (application/json)";
        found.push(Violation::new(Rule::Json, "datacontenttype", fault, expected));
    }
}

fn check_data_ref(event: &EventView, found: &mut Vec<Violation>) {
    let Some(value) = event.extension("dataref") else {
        return;
    };
    let is_reference = text_of(Some(value))
        .is_some_and(|text| !text.is_empty() && UriReferenceStr::new(text).is_ok());
    if !is_reference {
        let expected = "a URI-reference (RFC 3986) to where the data can be fetched";
        found.push(Violation::new(Rule::DataRef, "dataref", "no URI-reference", expected));
    }
}

fn check_sequence(event: &EventView, found: &mut Vec<Violation>) {
    let sequence = event.extension("sequence");
    let kind = event.extension("sequencetype");
    if sequence.is_none() && kind.is_none() {
        return;
    }
    let mut broken = |field: &str, fault: &str, expected: &str| {
        found.push(Violation::new(Rule::Sequence, field, fault, expected));
    };
    let sequence = match sequence {
        Some(Value::String(text)) if !text.is_empty() => text,
        Some(_) => {
            return broken("sequence", "empty, or no String", "a String that can be put in order");
        }
        None => return broken("sequence", "absent", "a String, since there is a sequencetype"),
    };
    match kind {
        Some(Value::String("Integer")) if !is_integer(sequence) => {
            let expected = "a whole number from -2147483648 to 2147483647";
            broken("sequence", "not an Integer, as sequencetype says", expected);
        }
        Some(Value::String(kind)) if !kind.is_empty() => {}
        Some(_) => broken("sequencetype", "empty, or no String", "a String such as Integer"),
        None => {}
    }
}

/// Names attributes, and never what they hold. A `sequence` is a number that goes up, and now
/// and then passes the test by itself.
fn check_sensitive(event: &EventView, found: &mut Vec<Violation>) {
    let mut sensitive = |field: Cow<'_, str>| {
        let fault = "holds a word of 9 digits that passes the eleven-test, as a BSN does";
        let expected = "numbers of persons in subject or data only";
        found.push(Violation::new(Rule::Sensitive, field, fault, expected));
    };
    for (name, text) in [("id", event.id()), ("source", event.source())] {
        if holds_bsn(text) {
            sensitive(name.into());
        }
    }
    for (place, (name, raw)) in event.raw_attributes().enumerate() {
        if matches!(name, "subject" | "sequence") {
            continue;
        }
        let is_sensitive = match event.value(raw) {
            Some(Value::String(text) | Value::Uri(text) | Value::UriReference(text)) => {
                holds_bsn(text)
            }
            Some(Value::Integer(number)) if number >= 100_000_000 => holds_bsn(&number.to_string()),
            _ => false,
        };
        if is_sensitive {
            sensitive(show_attribute_name(name, place));
        }
    }
}

/// Whether a whole word is a BSN. Longer ones, such as OINs and UUIDs, hold such digits by
/// chance.
fn holds_bsn(text: &str) -> bool {
    const LENGTH: usize = 9;
    let bytes = text.as_bytes();
    let is_other = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    // So many digits in a row cover one of these places, and nearly no text has digits there.
    let mut at = LENGTH - 1;
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii_digit() {
            let (before, behind) = bytes.split_at(at);
            let start = before.iter().rposition(|byte| !byte.is_ascii_digit());
            let start = start.map_or(0, |place| place + 1);
            let length = behind.iter().position(|byte| !byte.is_ascii_digit());
            let end = length.map_or(bytes.len(), |length| at + length);
            let is_word = end - start == LENGTH
                && is_other(start.checked_sub(1).and_then(|place| bytes.get(place)))
                && is_other(bytes.get(end));
            if is_word && text[start..end].parse::<Bsn>().is_ok() {
                return true;
            }
            at = end;
        }
        at += LENGTH;
    }
    false
}

/// The canonical text of a signed integer of 32 bits.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = text == "0" || (!digits.starts_with('0') && !digits.starts_with('+'));
    canonical && text.parse::<i32>().is_ok()
}

fn text_of(value: Option<Value<'_>>) -> Option<&str> {
    match value {
        Some(Value::String(text) | Value::Uri(text) | Value::UriReference(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Level, OwnedValue};

    const SOURCE: &str = "urn:nld:oin:00000001823288444000:systeem:BRP-component";

    fn broken(source: &str, event_type: &str, attributes: &[(&str, &str)]) -> Vec<&'static str> {
        let mut event = Event::builder("1", source, event_type);
        for (name, value) in attributes {
            event = event.extension(*name, *value);
        }
        let frame = event.data_text("application/json", "{}").build().unwrap().encode();
        let view = EventView::decode(frame).unwrap();
        check_profile(&view).iter().map(|one| one.rule.name()).collect()
    }

    #[test]
    fn a_type_is_in_reverse_domain_name_notation_with_one_version_at_most() {
        for good in [
            "nl.brp.verhuizing.binnengemeentelijk",
            "nl.brp.persoon-verhuisd",
            "com.github.pull_request.opened",
            "nl.brp.geboorte.v2",
            "nl.brp.v2.geboorte",
            "nl.brp.geboorte.v2.1",
            "nl.b3.vijf5",
        ] {
            assert_eq!(broken(SOURCE, good, &[]), [""; 0], "{good}");
        }
        for bad in ["geboorte", "nl.", ".nl.brp", "nl..brp", "n.brp", "1nl.brp", "nl.br p", "nl.-a"]
        {
            assert_eq!(broken(SOURCE, bad, &[]), ["nlgov-type"], "{bad}");
        }
        for bad in ["nl.brp.geboorte.2", "nl.brp.v1.geboorte.v2", "nl.brp.2026.geboorte"] {
            assert_eq!(broken(SOURCE, bad, &[]), ["nlgov-type-version"], "{bad}");
        }
    }

    #[test]
    fn a_source_names_organisation_and_system_and_is_no_location() {
        for good in [
            SOURCE,
            "urn:nld:kvknr:09220932.burgerzakensysteem",
            "URN:NLD:oin:00000001823288444000:systeem:x",
        ] {
            assert_eq!(broken(good, "nl.brp.geboorte", &[]), [""; 0], "{good}");
        }
        for poor in [
            "urn:nld:gemeente-nijmegen.burgerzakensysteem",
            "urn:nld:oin:123:systeem:x",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "/sensors/1",
            "https://brp.example.nl",
            "https://brp.example.nl/",
        ] {
            assert_eq!(broken(poor, "nl.brp.geboorte", &[]), ["nlgov-source"], "{poor}");
        }
        for bad in
            ["https://brp.example.nl/personen/1", "s3://bucket/key", "file:/etc/x", "FTP://h/x"]
        {
            assert_eq!(broken(bad, "nl.brp.geboorte", &[]), ["nlgov-source-location"], "{bad}");
        }
        let same = broken("/personen/1", "nl.brp.geboorte", &[("dataref", "/personen/1")]);
        assert_eq!(same, ["nlgov-source-location"]);
    }

    #[test]
    fn an_eidas_legal_identifier_names_an_organisation_too() {
        for good in [
            "urn:nld:eidas:BE/NL/0123456789:systeem:aangiften",
            "urn:nld:eidas:AT/NL/02635542Y.zaaksysteem",
            "URN:NLD:eidas:BE/NL/0123456789:systeem:x",
        ] {
            assert_eq!(broken(good, "nl.brp.geboorte", &[]), [""; 0], "{good}");
        }
        for poor in [
            "urn:nld:eidas:BE/NL/0123456789",
            "urn:nld:eidas:BE/0123456789:systeem:x",
            "urn:nld:eidas:Be/NL/0123456789:systeem:x",
            "urn:nld:eidas:BE/NL/:systeem:x",
            "urn:eu:eidas:BE/NL/0123456789:systeem:x",
        ] {
            assert_eq!(broken(poor, "nl.brp.geboorte", &[]), ["nlgov-source"], "{poor}");
        }
    }

    #[test]
    fn the_number_of_a_person_belongs_in_subject() {
        let (bsn, kind) = ("999990019", "nl.brp.geboorte");
        let with = |id: &str, source: &str, name: &str, value: OwnedValue| {
            let mut event = Event::builder(id, source, kind).subject(bsn);
            if !name.is_empty() {
                event = event.extension(name, value);
            }
            let view = EventView::decode(event.build().unwrap().encode()).unwrap();
            let found = check_profile(&view);
            assert!(found.iter().all(|one| !format!("{one:?} {one}").contains(bsn)), "{found:?}");
            let sensitive = found.into_iter().filter(|one| one.rule == Rule::Sensitive);
            sensitive.map(|one| one.field).collect::<Vec<_>>()
        };
        let text = |text: &str| OwnedValue::String(text.to_owned());
        assert_eq!(with("1", SOURCE, "", text("")), [""; 0]);
        assert_eq!(with(bsn, SOURCE, "", text("")), ["id"]);
        assert_eq!(with(&format!("geboorte-{bsn}"), SOURCE, "", text("")), ["id"]);
        assert_eq!(with("1", &format!("{SOURCE}:{bsn}"), "", text("")), ["source"]);
        assert_eq!(with("1", SOURCE, "partitionkey", text(bsn)), ["partitionkey"]);
        assert_eq!(with("1", SOURCE, "dataref", text(&format!("/p/{bsn}?x"))), ["dataref"]);
        assert_eq!(with("1", SOURCE, "nummer", OwnedValue::Integer(999_990_019)), ["nummer"]);
        // A name may be personal as well; its place is told, which is not always the same.
        let by_place = with("1", SOURCE, "bsn999990019", text(bsn));
        assert!(by_place.len() == 1 && by_place[0].starts_with("attributes["), "{by_place:?}");
        for other in ["999990018", "9999900190", "a999990019", "99999001", "09220932"] {
            assert_eq!(with(other, SOURCE, "kenmerk", text(other)), [""; 0], "{other}");
        }
        assert_eq!(with("1", SOURCE, "sequence", text(bsn)), [""; 0]);
    }

    /// Held against the rule as it is said, for every way to put words of digits together.
    #[test]
    fn words_of_nine_digits_are_found_wherever_they_stand() {
        let plain = |text: &str| {
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
            words.any(|word| word.len() == 9 && word.parse::<Bsn>().is_ok())
        };
        let parts = ["999990019", "99999001", "9999900190", "999990018", "x", "-", "é", "12"];
        let mut found = 0;
        for place in 0..parts.len().pow(4) {
            let part = |of: u32| parts[place / parts.len().pow(of) % parts.len()];
            let text = [part(0), part(1), part(2), part(3)].concat();
            assert_eq!(holds_bsn(&text), plain(&text), "{text}");
            found += usize::from(plain(&text));
        }
        assert!(found > 100, "{found}");
    }

    #[test]
    fn a_sequence_is_what_its_type_says() {
        let sequence = |sequence, kind| {
            broken(SOURCE, "nl.brp.geboorte", &[("sequence", sequence), ("sequencetype", kind)])
        };
        for good in ["1", "2147483647", "-2147483648", "0"] {
            assert_eq!(sequence(good, "Integer"), [""; 0], "{good}");
        }
        for bad in ["2147483648", "01", "+1", "1.0", "a", "-", "-0"] {
            assert_eq!(sequence(bad, "Integer"), ["nlgov-sequence"], "{bad}");
        }
        assert_eq!(sequence("a", "Letters"), [""; 0]);
        assert_eq!(sequence("", "Letters"), ["nlgov-sequence"]);
        assert_eq!(sequence("1", ""), ["nlgov-sequence"]);
        let alone = broken(SOURCE, "nl.brp.geboorte", &[("sequencetype", "Integer")]);
        assert_eq!(alone, ["nlgov-sequence"]);
        assert_eq!(broken(SOURCE, "nl.brp.geboorte", &[("sequence", "x")]), [""; 0]);
    }

    #[test]
    fn what_should_be_is_told_apart_from_what_must_be() {
        let event = Event::builder("1", SOURCE, "nl.brp.geboorte")
            .extension("eennaamvaneenentwintig", "x")
            .extension("dataref", OwnedValue::Boolean(true))
            .data_text("text/plain", "x".repeat(65_536))
            .build()
            .unwrap();
        let found = check_profile(&EventView::decode(event.encode()).unwrap());
        let found: Vec<_> = found.iter().map(|one| (one.rule.name(), one.rule.level())).collect();
        assert_eq!(
            found,
            [
                ("nlgov-attribute-name", Level::Should),
                ("nlgov-datacontenttype", Level::Should),
                ("nlgov-dataref", Level::Must),
                ("nlgov-size", Level::Should),
            ]
        );
    }
}
