//! Any JSON as a filter: it is checked, compiled to what holds exactly when it matches,
//! and masked so that no value is left.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wissel_filter::{EventFacts, Expression, Filter, Operand};
use wissel_fuzz::{check_condition, event_for, fixed_events, meets_limit, split, words_of};
use wissel_message::EventView;

fuzz_target!(|input: &[u8]| {
    let (json, mut choices) = split(input);
    let Ok(filter) = serde_json::from_slice::<Filter>(json) else { return };
    let again = serde_json::to_string(&filter).expect("a filter can be written");
    assert!(serde_json::from_str::<Filter>(&again).is_ok_and(|again| again == filter));
    assert_masked(&filter, &filter.masked());
    let _ = format!("{filter:?} {:?}", (filter.attributes(), filter.data_pointers()));

    let condition = match (filter.check(), filter.compile()) {
        (Ok(()), Ok(condition)) => condition,
        (Err(error), Err(same)) => {
            assert_eq!(error, same);
            assert!(error.to_string().is_ascii(), "an error that shows some of the filter");
            return;
        }
        _ => panic!("what is checked is what can be compiled"),
    };
    let _ = (condition.explain(), condition.necessary().explain(), format!("{condition:?}"));
    let mut words = vec![String::new()];
    each_text(&filter, &mut |text| {
        words.push(text.to_owned());
        words_of(text, &mut words);
    });
    let operands: Vec<Operand> = filter.operands().into_iter().collect();
    let made = [(); 3].map(|()| event_for(&operands, &words, &mut choices));
    for event in fixed_events().iter().chain(made.iter().flatten()) {
        if !is_limited(&filter, event) {
            check_condition(&condition, filter.matches(event), event);
        }
    }
});

/// Every value and expression of a filter.
fn each_text(filter: &Filter, visit: &mut impl FnMut(&str)) {
    match filter {
        Filter::Exact(values) | Filter::Prefix(values) | Filter::Suffix(values) => {
            values.values().for_each(|value| visit(value));
        }
        Filter::All(filters) | Filter::Any(filters) => {
            filters.iter().for_each(|filter| each_text(filter, visit));
        }
        Filter::Not(filter) => each_text(filter, visit),
        Filter::Sql(text) => visit(text),
        _ => {}
    }
}

/// Whether any expression is stopped by a limit.
fn is_limited(filter: &Filter, event: &EventView) -> bool {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => {
            filters.iter().any(|filter| is_limited(filter, event))
        }
        Filter::Not(filter) => is_limited(filter, event),
        Filter::Sql(text) => Expression::parse(text)
            .is_ok_and(|expression| meets_limit(&expression.evaluate(&EventFacts::new(event)))),
        _ => false,
    }
}

fn assert_masked(filter: &Filter, masked: &Filter) {
    match (filter, masked) {
        (Filter::Exact(_), Filter::Exact(values))
        | (Filter::Prefix(_), Filter::Prefix(values))
        | (Filter::Suffix(_), Filter::Suffix(values)) => {
            assert!(values.values().all(|value| value == "***"));
        }
        (Filter::All(filters), Filter::All(masked))
        | (Filter::Any(filters), Filter::Any(masked)) => {
            assert_eq!(filters.len(), masked.len());
            filters.iter().zip(masked).for_each(|(filter, masked)| assert_masked(filter, masked));
        }
        (Filter::Not(filter), Filter::Not(masked)) => assert_masked(filter, masked),
        (Filter::Sql(text), Filter::Sql(masked)) => {
            assert_masked_expression(masked, Expression::parse(text).is_ok());
        }
        _ => panic!("masked, a filter keeps its form"),
    }
}

/// Nothing but the mask stands between quotes; outside of them, only what can be no value.
fn assert_masked_expression(masked: &str, is_valid: bool) {
    let unmasked = ["'***'", "\"***\"", "***"].iter().fold(masked.to_owned(), |text, mask| {
        // A blank keeps what is on both sides apart.
        text.replace(mask, " ")
    });
    assert!(!unmasked.contains(['\'', '"']), "a quote is left");
    let mut runs = unmasked.split(|one: char| !one.is_ascii_digit());
    assert!(runs.all(|digits| digits.len() <= 5), "a long number is left");
    // No expression has other characters outside of its strings.
    let can_stand = |one: char| one.is_ascii_alphanumeric() || " \t\r\n_!<>=+-*/%(),".contains(one);
    assert!(!is_valid || unmasked.chars().all(can_stand), "some of a string is left");
}
