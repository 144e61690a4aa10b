//! What the fuzz targets share: events made for an expression, and what must be so of
//! every condition.

use std::sync::LazyLock;

use arbitrary::Unstructured;
use serde_json::{Map, Value as Json};
use wissel_filter::{Condition, EventFacts, Facts, Necessary, Operand};
use wissel_message::{Event, EventBuilder, EventView, OwnedValue, Timestamp};

/// What is read and, after the first zero byte, what an event for it is made from: with
/// no zero byte, that is what is read once more.
#[must_use]
pub fn split(input: &[u8]) -> (&[u8], Unstructured<'_>) {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let (read, rest) = input.split_at(end);
    (read, Unstructured::new(rest.get(1..).unwrap_or(read)))
}

/// Events that are there for every input.
#[must_use]
pub fn fixed_events() -> &'static [EventView] {
    static EVENTS: LazyLock<Vec<EventView>> = LazyLock::new(|| {
        let event = || Event::builder("1", "/bron", "nl.brp.geboorte");
        let events = [
            event(),
            event().extension("a", "7").extension("b", true).extension("teller", i32::MIN),
            event().subject("é_%\\'\"").extension("b", OwnedValue::Binary("ab".into())),
            event().extension("gemeente", "0344").data_text(
                "application/json",
                r#"{"a":7,"b":{"a":"TRUE","c":[1.5,null,"x"]},"adres":{"gemeente":"0344"},"":0}"#,
            ),
            event().data_bytes("application/json", "not JSON").time(Timestamp::now()),
        ];
        events.into_iter().map(|event| view(event).expect("it keeps the rules")).collect()
    });
    &EVENTS
}

/// An event that has some of the operands, with values like those that are compared with;
/// none when these break a rule of CloudEvents.
#[must_use]
pub fn event_for(
    operands: &[Operand],
    words: &[String],
    choices: &mut Unstructured<'_>,
) -> Option<EventView> {
    let required = |choices: &mut Unstructured<'_>, usual: &str| match choices.arbitrary() {
        Ok(true) => word(words, choices),
        _ => usual.to_owned(),
    };
    let (id, source) = (required(choices, "1"), required(choices, "/s"));
    let mut event = Event::builder(id, source, required(choices, "nl.t"));
    let mut data = Json::Null;
    for operand in operands {
        let Some(value) = value(words, choices) else { continue };
        event = match operand {
            Operand::Attribute(name) => match &**name {
                "id" | "source" | "specversion" | "type" | "datacontenttype" => event,
                "time" => event.time(Timestamp::new(1, 5).ok()?),
                "dataschema" => event.data_schema("https://example.nl/schema"),
                "subject" => event.subject(value.as_value().canonical()),
                _ => event.extension(&**name, value),
            },
            Operand::Data(pointer) => {
                put(&mut data, pointer, json_of(&value));
                event
            }
        };
    }
    if !data.is_null() {
        event = event.data_json(&data);
    }
    view(event)
}

fn view(event: EventBuilder) -> Option<EventView> {
    EventView::decode(event.build().ok()?.encode()).ok()
}

/// The words of an expression: what stands between quotes, and each number.
pub fn words_of(sql: &str, words: &mut Vec<String>) {
    words.extend(sql.split(['\'', '"']).skip(1).step_by(2).map(str::to_owned));
    let numbers = sql.split(|one: char| !one.is_ascii_digit());
    words.extend(numbers.filter(|digits| !digits.is_empty()).map(str::to_owned));
}

/// A word, or one like it: what a pattern stands for, with more before or behind it, cut,
/// or with another case.
fn word(words: &[String], choices: &mut Unstructured<'_>) -> String {
    let word = choices.choose(words).map_or("", |word| word.as_str());
    match choices.int_in_range(0..=9).unwrap_or(0) {
        0 => word.replace('%', "").replace('_', "é"),
        1 => word.replace('%', "ab").replace('_', "7").replace('\\', ""),
        2 => format!("x{word}"),
        3 => format!("{word}x"),
        4 => word.to_lowercase(),
        5 => word.to_uppercase(),
        6 => word.chars().skip(1).collect(),
        7 => word.replace('\\', ""),
        _ => word.to_owned(),
    }
}

/// The value of an operand; none to leave it out.
fn value(words: &[String], choices: &mut Unstructured<'_>) -> Option<OwnedValue> {
    Some(match choices.int_in_range(0..=11).ok()? {
        0 => return None,
        1 => OwnedValue::Boolean(choices.arbitrary().ok()?),
        2 => OwnedValue::Integer(choices.arbitrary().ok()?),
        3 => OwnedValue::Integer(word(words, choices).parse().unwrap_or(0)),
        4 => OwnedValue::String(choices.arbitrary::<&str>().ok()?.to_owned()),
        5 => OwnedValue::Binary(word(words, choices).into()),
        6 => OwnedValue::UriReference(word(words, choices)),
        7 => OwnedValue::Timestamp(Timestamp::new(choices.arbitrary().ok()?, 0).ok()?),
        _ => OwnedValue::String(word(words, choices)),
    })
}

fn json_of(value: &OwnedValue) -> Json {
    match value {
        OwnedValue::Boolean(truth) => Json::from(*truth),
        OwnedValue::Integer(integer) => Json::from(*integer),
        OwnedValue::Timestamp(moment) => Json::from(f64::from(moment.nanoseconds()) + 0.5),
        other => Json::from(other.as_value().canonical()),
    }
}

/// Puts a value at a JSON Pointer, where something else has to make room.
fn put(data: &mut Json, pointer: &str, value: Json) {
    let mut at = data;
    for step in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = Json::Object(Map::new());
        }
        let step = step.replace("~1", "/").replace("~0", "~");
        at = &mut at[step];
    }
    *at = value;
}

/// Holds a condition against what is expected of it, and what is necessary for it
/// against the event.
///
/// # Panics
/// When these do not agree.
pub fn check_condition(condition: &Condition, expected: bool, event: &EventView) {
    let facts = EventFacts::new(event);
    assert_eq!(condition.holds(&facts), expected, "{}", condition.explain());
    assert!(!expected || !condition.is_never());
    let conjuncts = condition.clone().into_conjuncts();
    assert_eq!(conjuncts.iter().all(|one| one.holds(&facts)), expected, "{}", condition.explain());
    for one in conjuncts.iter().chain([condition]) {
        let (holds, necessary) = (one.holds(&facts), one.necessary());
        let satisfied = is_satisfied(&necessary, &facts);
        let explained = || format!("{}needs {}", one.explain(), necessary.explain());
        assert!(satisfied || !holds, "lost: {}", explained());
        assert!(!necessary.is_exact() || satisfied == holds, "not exact: {}", explained());
    }
}

/// Whether an event has what is necessary.
fn is_satisfied(necessary: &Necessary, facts: &impl Facts) -> bool {
    let look = |operand, test: &dyn Fn(&str) -> bool| {
        facts.value(operand).is_some_and(|value| test(&value.canonical()))
    };
    match necessary {
        Necessary::Nothing => true,
        Necessary::OneOf { operand, values, .. } => {
            assert!(values.is_sorted());
            look(operand, &|found| values.iter().any(|value| **value == *found))
        }
        Necessary::Prefix { operand, value, .. } => {
            look(operand, &|found| found.starts_with(&**value))
        }
        Necessary::Suffix { operand, value, .. } => {
            look(operand, &|found| found.ends_with(&**value))
        }
        Necessary::All(parts) => parts.iter().all(|part| is_satisfied(part, facts)),
        Necessary::Any(parts) => parts.iter().any(|part| is_satisfied(part, facts)),
    }
}

/// Whether evaluation is stopped by a limit. Of what is compiled each part has limits of
/// its own, so it may come further.
#[must_use]
pub fn meets_limit(evaluation: &wissel_filter::Evaluation) -> bool {
    evaluation.errors.iter().any(|error| error.kind == wissel_filter::ErrorKind::Generic)
}
