//! The dialects of the Subscriptions API: what they match, and what is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use wissel_filter::{Filter, FilterFault};
use wissel_message::{Event, EventView};

fn filter(json: &str) -> Filter {
    serde_json::from_str(json).unwrap()
}

fn event() -> EventView {
    let event = Event::builder("1", "/bron", "nl.brp.verhuizing.binnengemeentelijk")
        .extension("gemeente", "0344")
        .extension("teller", 7)
        .extension("spoed", true)
        .data_text("application/json", r#"{"adres":{"plaats":"Utrecht","nr":12},"a/b":[true]}"#);
    EventView::decode(event.build().unwrap().encode()).unwrap()
}

#[test]
fn every_dialect_matches_as_the_standard_says() {
    for (json, expected) in [
        (r#"{"exact":{"gemeente":"0344"}}"#, true),
        (r#"{"exact":{"gemeente":"034"}}"#, false),
        (r#"{"exact":{"gemeente":"0344","source":"/bron"}}"#, true),
        (r#"{"exact":{"gemeente":"0344","source":"/Bron"}}"#, false),
        (r#"{"exact":{"teller":"7","spoed":"true"}}"#, true),
        (r#"{"exact":{"onbekend":"x"}}"#, false),
        (r#"{"prefix":{"type":"nl.brp."}}"#, true),
        (r#"{"prefix":{"type":"NL.brp."}}"#, false),
        (r#"{"prefix":{"type":"nl.brp.","gemeente":"05"}}"#, false),
        (r#"{"prefix":{"onbekend":"x"}}"#, false),
        (r#"{"suffix":{"type":".binnengemeentelijk"}}"#, true),
        (r#"{"suffix":{"type":".binnengemeentelijk","gemeente":"45"}}"#, false),
        (r#"{"suffix":{"onbekend":"x"}}"#, false),
        (r#"{"all":[{"exact":{"gemeente":"0344"}},{"suffix":{"source":"bron"}}]}"#, true),
        (r#"{"all":[{"exact":{"gemeente":"0344"}},{"suffix":{"source":"x"}}]}"#, false),
        (r#"{"any":[{"exact":{"gemeente":"0363"}},{"suffix":{"source":"bron"}}]}"#, true),
        (r#"{"any":[{"exact":{"gemeente":"0363"}},{"suffix":{"source":"x"}}]}"#, false),
        (r#"{"not":{"exact":{"gemeente":"0344"}}}"#, false),
        (r#"{"not":{"exact":{"onbekend":"x"}}}"#, true),
        (r#"{"not":{"not":{"exact":{"gemeente":"0344"}}}}"#, true),
        (r#"{"sql":"gemeente = '0344' AND teller > 6 AND spoed"}"#, true),
        (r#"{"sql":"teller"}"#, false),
        (r#"{"sql":"onbekend = 'x'"}"#, false),
        (r#"{"sql":"NOT (onbekend = 'x')"}"#, false),
        (r#"{"not":{"sql":"onbekend = 'x'"}}"#, true),
        (r#"{"sql":"onbekend = 'x' OR TRUE"}"#, false),
        (r#"{"sql":"DATA('/adres/plaats') = 'Utrecht'"}"#, true),
        (r#"{"sql":"DATA('/adres/nr') + 1 = 13"}"#, true),
        (r#"{"sql":"DATA('/a~1b/0') AND NOT HAS_DATA('/adres') AND HAS_DATA('/adres/nr')"}"#, true),
        (r#"{"sql":"DATA('/adres') = ''"}"#, false),
    ] {
        let filter = filter(json);
        assert_eq!(filter.matches(&event()), expected, "{json}");
        let event = event();
        let facts = wissel_filter::EventFacts::new(&event);
        assert_eq!(filter.compile().unwrap().holds(&facts), expected, "{json}");
    }
}

#[test]
fn faults_are_named_with_their_place() {
    let fault = |json: &str| filter(json).check().unwrap_err().to_string();
    assert_eq!(fault(r#"{"exact":{}}"#), "exact: names no attribute; expected at least one");
    assert!(fault(r#"{"exact":{"A":"x"}}"#).contains("position 1"));
    assert!(fault(r#"{"prefix":{"a":""}}"#).contains("empty value"));
    assert_eq!(fault(r#"{"any":[]}"#), "any: holds no filter; expected at least one");
    assert_eq!(
        fault(r#"{"all":[{"exact":{"a":"b"}},{"not":{"any":[{"suffix":{}}]}}]}"#),
        "all[1].not.any[0].suffix: names no attribute; expected at least one"
    );
    assert_eq!(
        fault(r#"{"any":[{"sql":"TRUE"},{"sql":"subject = '999990019"}]}"#),
        "any[1].sql: column 11: found a string without an end; expected a closing `'`"
    );
    let many: BTreeMap<_, _> = (0..33).map(|index| (format!("a{index}"), "x".to_owned())).collect();
    let error = Filter::Exact(many).check().unwrap_err();
    assert!(matches!(error.fault, FilterFault::TooManyAttributes { found: 33, max: 32 }));
    let unknown = serde_json::from_str::<Filter>(r#"{"regex":{"a":"b"}}"#).unwrap_err();
    assert!(unknown.to_string().contains("exact"), "{unknown}");
}

#[test]
fn limits_hold_for_the_whole_filter() {
    let mut nested = filter(r#"{"exact":{"a":"b"}}"#);
    for _ in 0..15 {
        nested = Filter::Not(nested.into());
    }
    assert!(nested.check().is_ok());
    let error = Filter::Not(nested.into()).check().unwrap_err();
    assert_eq!(error.fault, FilterFault::TooDeep { max: 16 });

    let leaf = filter(r#"{"exact":{"a":"b"}}"#);
    assert!(Filter::Any(vec![leaf.clone(); 1_024]).check().is_ok());
    let error = Filter::Any(vec![leaf; 1_025]).check().unwrap_err();
    assert_eq!(error.fault, FilterFault::TooManyComparisons { max: 1_024 });

    let long = Filter::Sql(format!("a = '{}'", "x".repeat(9_000)));
    assert!(long.check().is_ok());
    let error = Filter::All(vec![long.clone(), long]).check().unwrap_err();
    assert!(matches!(error.fault, FilterFault::TooMuchText { max: 16_384, .. }));
    assert_eq!(error.place, "all[1].sql");
}

#[test]
fn a_reader_does_not_follow_a_filter_into_the_depths() {
    let deep = format!("{}{{\"sql\":\"TRUE\"}}{}", "{\"not\":".repeat(5_000), "}".repeat(5_000));
    let error = serde_json::from_str::<Filter>(&deep).unwrap_err();
    assert!(error.to_string().contains("recursion limit"), "{error}");
}

#[test]
fn no_value_is_shown() {
    let filter = filter(
        r#"{"all":[{"exact":{"subject":"999990019","gemeente":"0344","999990019":"x"}},
            {"not":{"sql":"subject IN ('999990019', '999990020') OR bsn = '999990019'"}},
            {"sql":"subject LIKE '999990019%x' AND DATA('/999990019') = 'x'"}]}"#,
    );
    let condition = filter.compile().unwrap();
    let necessary: Vec<_> =
        condition.clone().into_conjuncts().iter().map(|one| one.necessary()).collect();
    let shown = format!("{filter:?} {condition:?} {necessary:?}");
    assert!(!shown.contains("99999"), "{shown}");
    assert!(shown.contains("gemeente"));
    let bad: Filter = serde_json::from_str(r#"{"exact":{"BSN 999990019":"x"}}"#).unwrap();
    let fault = bad.check().unwrap_err();
    assert!(!format!("{fault} {fault:?} {bad:?}").contains("999990019"));
}

#[test]
fn what_it_reads_is_known() {
    let filter = filter(
        r#"{"any":[{"exact":{"a":"x"}},{"not":{"sql":"b = 1 OR DATA('/x/y') = c AND EXISTS a"}}]}"#,
    );
    assert_eq!(filter.attributes(), ["a", "b", "c"]);
    assert_eq!(filter.data_pointers(), ["/x/y"]);
}

/// An expression that would be an error with every message is told when it is given; one that
/// is kept from before goes on matching nothing.
#[test]
fn functions_that_there_are_not_are_told() {
    let filter = |text: &str| Filter::Any(vec![Filter::Sql(text.to_owned())]);
    let told = |text: &str| filter(text).check().unwrap_err().to_string();
    let unknown = told("LENGTH(id) > 2 AND NOT foo(type, 'x') = 'y'");
    assert!(unknown.starts_with("any[0].sql: no function FOO takes 2 arguments"), "{unknown}");
    assert!(unknown.contains("expected one of LENGTH, CONCAT"), "{unknown}");
    assert!(unknown.ends_with("IS_INT, DATA, HAS_DATA"), "{unknown}");
    let few = told("LEFT(type) = 'nl'");
    assert!(few.contains("LEFT takes 1 argument;") && few.ends_with("expected 2"), "{few}");
    assert!(filter("FOO(type)").compile().is_ok());
    assert!(Filter::check_together(&[filter("FOO(type)")]).is_err());
    assert!(filter("CONCAT_WS(',', type) = 'x' AND DATA('/a') = 1").check().is_ok());
}
