//! Random subscriptions and messages, from few values: so they meet.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value as Json, json};
use wissel_filter::Filter;
use wissel_message::{Event, EventView};

const TYPES: [&str; 4] = ["nl.brp.geboorte", "nl.brp.verhuizing", "nl.bag.pand", "nl.brp"];
const NAMES: [&str; 7] = ["subject", "gemeente", "type", "teller", "spoed", "source", "absent"];
const VALUES: [&str; 10] =
    ["1", "12", "123", "2", "nl.brp.geboorte", "nl.", "true", "7", "07", "/bron/1"];
const POINTERS: [&str; 3] = ["/plaats", "/adres/nummer", "/geheim"];

/// One alternative of a subscription.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) types: Vec<&'static str>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) followed: bool,
    pub(crate) target: u16,
}

fn one<'a>(random: &mut SmallRng, of: &[&'a str]) -> &'a str {
    of.choose(random).copied().unwrap_or_default()
}

pub(crate) fn subject(random: &mut SmallRng) -> String {
    one(random, &VALUES[..6]).to_owned()
}

pub(crate) fn alternatives(random: &mut SmallRng) -> Vec<Asked> {
    let target = random.random_range(0..40);
    let count = *[0, 1, 1, 1, 1, 2, 3].choose(random).unwrap_or(&1);
    (0..count)
        .map(|_| Asked {
            types: (0..*[0, 1, 1, 2, 3].choose(random).unwrap_or(&1))
                .map(|_| one(random, &TYPES))
                .collect(),
            filters: (0..*[0, 1, 1, 2, 3].choose(random).unwrap_or(&1))
                .map(|_| filter(random, 0))
                .collect(),
            followed: random.random_bool(0.15),
            target: if random.random_bool(0.8) { target } else { random.random_range(0..40) },
        })
        .collect()
}

pub(crate) fn filter(random: &mut SmallRng, depth: u32) -> Filter {
    serde_json::from_value(filter_json(random, depth)).unwrap()
}

fn filter_json(random: &mut SmallRng, depth: u32) -> Json {
    let deep = if depth < 2 { 9 } else { 5 };
    match random.random_range(0..deep) {
        kind @ 0..3 => {
            let dialect = ["exact", "prefix", "suffix"][kind];
            let count = *[1, 1, 1, 2].choose(random).unwrap_or(&1);
            let values = (0..count)
                .map(|_| (one(random, &NAMES).to_owned(), json!(one(random, &VALUES))))
                .collect();
            Json::Object([(dialect.to_owned(), Json::Object(values))].into_iter().collect())
        }
        3 | 4 => json!({"sql": expression(random, 0)}),
        5 => json!({"not": filter_json(random, depth + 1)}),
        kind => {
            let dialect = if kind % 2 == 0 { "all" } else { "any" };
            let parts: Vec<Json> =
                (0..random.random_range(1..4)).map(|_| filter_json(random, depth + 1)).collect();
            json!({ dialect: parts })
        }
    }
}

/// An expression that is a truth value, more often than not.
fn expression(random: &mut SmallRng, depth: u32) -> String {
    let deep = if depth < 3 { 12 } else { 8 };
    let not = one(random, &["", "", "NOT "]);
    match random.random_range(0..deep) {
        0 => format!(
            "{} {} {}",
            term(random),
            one(random, &["=", "=", "!=", "<>", "<", ">="]),
            term(random)
        ),
        1 => format!("{} = '{}'", operand(random), one(random, &VALUES)),
        2 => format!(
            "{} {not}IN ('{}', '{}', {})",
            operand(random),
            one(random, &VALUES),
            one(random, &VALUES),
            term(random)
        ),
        3 => format!(
            "{} {not}IN ('{}', '{}')",
            operand(random),
            one(random, &VALUES),
            one(random, &VALUES)
        ),
        4 => {
            let pattern =
                one(random, &["1%", "%2", "%", "1_3", "nl.%", "%r%", "1", "%brp.%e", "0_"]);
            format!("{} {not}LIKE '{pattern}'", operand(random))
        }
        5 if random.random_bool(0.5) => {
            let (function, count) = (one(random, &["LEFT", "RIGHT"]), random.random_range(-1..4));
            let equal = one(random, &["=", "!="]);
            format!("{function}({}, {count}) {equal} '{}'", operand(random), one(random, &VALUES))
        }
        5 => format!("EXISTS {}", one(random, &NAMES)),
        6 => one(random, &["TRUE", "FALSE", "spoed", "NOT spoed"]).to_owned(),
        7 => format!("HAS_DATA('{}')", one(random, &POINTERS)),
        8 => format!("NOT ({})", expression(random, depth + 1)),
        _ => {
            let operator = one(random, &["AND", "AND", "OR", "OR", "XOR"]);
            let (left, right) = (expression(random, depth + 1), expression(random, depth + 1));
            format!("({left}) {operator} ({right})")
        }
    }
}

fn operand(random: &mut SmallRng) -> String {
    match random.random_range(0..5) {
        0 => format!("DATA('{}')", one(random, &POINTERS)),
        _ => one(random, &NAMES).to_owned(),
    }
}

fn term(random: &mut SmallRng) -> String {
    match random.random_range(0..6) {
        0 => format!("'{}'", one(random, &VALUES)),
        1 => random.random_range(-2..14).to_string(),
        2 => format!("LENGTH({})", operand(random)),
        3 => format!("LEFT({}, {})", operand(random), random.random_range(-1..4)),
        4 => format!("{} + {}", operand(random), random.random_range(0..4)),
        _ => operand(random),
    }
}

pub(crate) fn event(random: &mut SmallRng) -> EventView {
    let mut event = Event::builder("1", one(random, &["/bron", "/bron/1"]), one(random, &TYPES));
    if random.random_bool(0.8) {
        event = event.subject(subject(random));
    }
    if random.random_bool(0.7) {
        event = event.extension("gemeente", one(random, &VALUES));
    }
    event = match random.random_range(0..4) {
        0 => event.extension("teller", random.random_range(0..13)),
        1 => event.extension("teller", one(random, &["7", "07", "12", "x"])),
        _ => event,
    };
    event = match random.random_range(0..4) {
        0 => event.extension("spoed", random.random_bool(0.5)),
        1 => event.extension("spoed", one(random, &["true", "TRUE", "nee"])),
        _ => event,
    };
    if random.random_bool(0.6) {
        let data = json!({
            "plaats": one(random, &VALUES),
            "adres": {"nummer": random.random_range(0..13)},
        });
        event = event.data_text("application/json", data.to_string());
    }
    EventView::decode(event.build().unwrap().encode()).unwrap()
}
