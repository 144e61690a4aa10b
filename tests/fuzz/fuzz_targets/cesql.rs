//! Any text as an expression: it is read or refused, printed so that it reads back, and
//! compiled to what holds exactly when it is true.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wissel_filter::limits::EXPRESSION_BYTES_MAX;
use wissel_filter::{EventFacts, Expression, Filter};
use wissel_fuzz::{check_condition, event_for, fixed_events, meets_limit, split, words_of};

fuzz_target!(|input: &[u8]| {
    let (text, mut choices) = split(input);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let filter = Filter::Sql(text.to_owned());
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(error.column() >= 1 && error.column() <= text.chars().count() + 1);
            assert!(error.to_string().is_ascii(), "an error that shows some of the text");
            let _ = error.render(text);
            assert!(filter.check().is_err());
            return;
        }
    };
    let printed = expression.to_string();
    match Expression::parse(&printed) {
        Ok(again) => {
            assert!(again == expression, "{printed}");
            assert_eq!(again.to_string(), printed);
        }
        // Blanks make it longer.
        Err(error) => assert!(printed.len() > EXPRESSION_BYTES_MAX, "{printed}: {error}"),
    }

    let condition = filter.compile().expect("what is read can be compiled");
    let _ = (condition.explain(), format!("{condition:?} {expression:?} {filter:?}"));
    let mut words = vec![String::new()];
    words_of(text, &mut words);
    let operands = expression.operands();
    let made = [(); 3].map(|()| event_for(&operands, &words, &mut choices));
    for event in fixed_events().iter().chain(made.iter().flatten()) {
        let evaluation = expression.evaluate(&EventFacts::new(event));
        assert_eq!(filter.matches(event), evaluation.passes());
        if !meets_limit(&evaluation) {
            check_condition(&condition, evaluation.passes(), event);
        }
    }
});
