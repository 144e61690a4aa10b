//! Minimising, held against a simple model: values, and a walk over them.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Map, Value};
use wissel_schema::{FieldSet, parse};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("d/e"), Just("~"), Just("é\"")]
        .prop_map(str::to_owned)
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        ".{0,5}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn pointers() -> impl Strategy<Value = Vec<Vec<String>>> {
    let step = prop_oneof![4 => name(), 1 => Just("*".to_owned())];
    prop::collection::vec(prop::collection::vec(step, 1..4), 0..5)
}

/// What the fields allow of a value: none is nothing at all.
fn model(value: &Value, fields: &[&[String]]) -> Option<Value> {
    if fields.iter().any(|field| field.is_empty()) {
        return Some(value.clone());
    }
    let below = |name: &str| -> Vec<&[String]> {
        fields.iter().filter(|field| field[0] == name).map(|field| &field[1..]).collect()
    };
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter_map(|(name, member)| {
                let fields = below(name);
                if fields.is_empty() { None } else { Some((name.clone(), model(member, &fields)?)) }
            });
            Some(Value::Object(kept.collect()))
        }
        Value::Array(elements) => {
            let fields = below("*");
            let kept = elements.iter().filter_map(|element| {
                if fields.is_empty() { None } else { model(element, &fields) }
            });
            Some(Value::Array(kept.collect()))
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn keeps_what_is_allowed_and_nothing_else(value in json(), pointers in pointers()) {
        let texts: Vec<String> = pointers
            .iter()
            .map(|steps| {
                let escaped = steps.iter().map(|step| step.replace('~', "~0").replace('/', "~1"));
                escaped.map(|step| format!("/{step}")).collect()
            })
            .collect();
        let set = FieldSet::new(texts.iter().map(String::as_str)).unwrap();
        let minimised = set.minimise(&value.to_string()).unwrap();
        let fields: Vec<&[String]> = pointers.iter().map(Vec::as_slice).collect();
        let expected = model(&value, &fields).unwrap_or(Value::Null);
        prop_assert_eq!(parse(minimised.as_bytes()).unwrap(), expected);
        // What is minimised stays as it is when it is minimised again.
        prop_assert_eq!(&set.minimise(&minimised).unwrap(), &minimised);
    }
}
