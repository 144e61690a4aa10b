//! What is compiled is held against what is written, for random filters and events.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wissel_message::{Event, EventView, OwnedValue};

use crate::cast::with_canonical;
use crate::condition::Condition;
use crate::evaluate::evaluate;
use crate::functions::Function;
use crate::like::Pattern;
use crate::sql::{Arithmetic, Binary, Comparison, Literal, Logic, Node, fold, parse, print};
use crate::{EventFacts, Facts, Filter, Necessary, Operand};

const NAMES: [&str; 3] = ["a", "b", "type"];
const TEXTS: [&str; 14] =
    ["a", "ab", "abc", "b", "7", "07", "+7", "-7", "0", "true", "TRUE", "false", "a_%", "é"];

/// The kinds of value, by number, as values cannot be shown.
fn value_of(number: usize) -> OwnedValue {
    match number {
        0 => OwnedValue::from(true),
        1 => OwnedValue::from(false),
        2..6 => OwnedValue::from([7, 0, 1, -7][number - 2]),
        6 => OwnedValue::Timestamp("2024-01-01T00:00:00Z".parse().unwrap()),
        7 => OwnedValue::Binary(vec![0_u8, 1].into()),
        8 => OwnedValue::UriReference("a".to_owned()),
        _ => OwnedValue::from(TEXTS[number - 9]),
    }
}

fn event() -> impl Strategy<Value = EventView> {
    let data = prop::sample::select(
        &[
            "",
            r#"{"a":"abc"}"#,
            r#"{"a":7,"b":"7"}"#,
            r#"{"a":true,"b":{"a":1}}"#,
            r#"{"a":7.5,"b":null}"#,
            "[]",
            "no JSON",
        ][..],
    );
    let optional = || proptest::option::weighted(0.8, 0..9 + TEXTS.len());
    (optional(), optional(), prop::sample::select(&["a", "abc", "7"][..]), data).prop_map(
        |(a, b, event_type, data)| {
            let mut event = Event::builder("1", "/s", event_type);
            for (name, value) in [("a", a), ("b", b)] {
                if let Some(number) = value {
                    event = event.extension(name, value_of(number));
                }
            }
            if !data.is_empty() {
                event = event.data_text("application/json", data);
            }
            EventView::decode(event.build().unwrap().encode()).unwrap()
        },
    )
}

fn operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        4 => prop::sample::select(&NAMES[..]).prop_map(|name| Operand::Attribute(name.into())),
        1 => prop::sample::select(&["/a", "/b", "/b/a", ""][..])
            .prop_map(|pointer| Operand::Data(pointer.into())),
    ]
}

fn literal() -> impl Strategy<Value = Node> {
    prop_oneof![
        any::<bool>().prop_map(Literal::Boolean),
        prop::sample::select(&[7, 0, 1, -7, i32::MIN, i32::MAX][..]).prop_map(Literal::Integer),
        text_literal(),
        text_literal(),
    ]
    .prop_map(Node::Literal)
}

fn text_literal() -> impl Strategy<Value = Literal> {
    prop::sample::select(&TEXTS[..]).prop_map(|text| Literal::String(text.into()))
}

fn pattern() -> impl Strategy<Value = std::sync::Arc<Pattern>> {
    prop_oneof![
        prop::sample::select(&["a%", "%c", "%", "abc", "", "a%c", "7%", "%e", "_b%", "%b_%"][..])
            .prop_map(str::to_owned),
        r#"[ab7%_]{0,4}"#,
    ]
    .prop_map(|pattern| Pattern::new(&pattern).into())
}

/// What filters are mostly made of.
fn simple() -> impl Strategy<Value = Node> {
    let read = || operand().prop_map(Node::Read);
    let texts = || prop::collection::vec(text_literal().prop_map(Node::Literal), 1..4);
    let equality = prop::sample::select(&[Comparison::Equal, Comparison::NotEqual][..]);
    prop_oneof![
        3 => (read(), equality, text_literal()).prop_map(|(left, operator, right)| {
            Node::binary(left, Binary::Compare(operator), Node::Literal(right))
        }),
        1 => (text_literal(), read()).prop_map(|(left, right)| {
            Node::binary(Node::Literal(left), Binary::Compare(Comparison::Equal), right)
        }),
        2 => (read(), pattern(), any::<bool>()).prop_map(|(text, pattern, negated)| {
            Node::Like { text: text.into(), pattern, negated }
        }),
        2 => (read(), texts(), any::<bool>()).prop_map(|(value, set, negated)| {
            Node::In { value: value.into(), set, negated }
        }),
        1 => operand().prop_map(Node::Exists),
        1 => read(),
        1 => literal(),
    ]
}

fn binary() -> impl Strategy<Value = Binary> {
    prop::sample::select(
        &[
            Binary::Logic(Logic::And),
            Binary::Logic(Logic::Or),
            Binary::Logic(Logic::And),
            Binary::Logic(Logic::Or),
            Binary::Logic(Logic::Xor),
            Binary::Compare(Comparison::Equal),
            Binary::Compare(Comparison::NotEqual),
            Binary::Compare(Comparison::Less),
            Binary::Compare(Comparison::GreaterOrEqual),
            Binary::Calculate(Arithmetic::Add),
            Binary::Calculate(Arithmetic::Subtract),
            Binary::Calculate(Arithmetic::Divide),
            Binary::Calculate(Arithmetic::Remainder),
        ][..],
    )
}

fn call(arguments: Vec<Node>) -> Node {
    let names = ["LENGTH", "CONCAT", "LEFT", "SUBSTRING", "BOOL", "IS_INT", "UPPER", "NONE"];
    let name = names[arguments.len() * 3 % names.len()];
    match Function::named(name, arguments.len()) {
        Some(function) => Node::Call(function, arguments),
        None => Node::CallOfNone(name.into(), arguments),
    }
}

fn node() -> impl Strategy<Value = Node> {
    simple().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            6 => (inner.clone(), binary(), inner.clone())
                .prop_map(|(left, operator, right)| Node::binary(left, operator, right)),
            2 => inner.clone().prop_map(|node| Node::Not(node.into())),
            1 => inner.clone().prop_map(|node| Node::Negate(node.into())),
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(call),
            1 => (inner.clone(), pattern(), any::<bool>()).prop_map(|(text, pattern, negated)| {
                Node::Like { text: text.into(), pattern, negated }
            }),
            1 => (inner.clone(), prop::collection::vec(inner, 1..3), any::<bool>())
                .prop_map(|(value, set, negated)| Node::In { value: value.into(), set, negated }),
        ]
    })
}

fn values() -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
    let value = prop::sample::select(&TEXTS[..]).prop_map(str::to_owned);
    prop::collection::btree_map(name, value, 1..3)
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        values().prop_map(Filter::Exact),
        values().prop_map(Filter::Prefix),
        values().prop_map(Filter::Suffix),
        node().prop_map(|node| Filter::Sql(print(&node))),
        node().prop_map(|node| Filter::Sql(print(&node))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            several().prop_map(Filter::All),
            several().prop_map(Filter::Any),
            inner.clone().prop_map(|filter| Filter::Not(filter.into())),
        ]
    })
}

fn satisfied(necessary: &Necessary, facts: &impl Facts) -> bool {
    let look = |operand, test: &dyn Fn(&str) -> bool| {
        facts.value(operand).is_some_and(|value| with_canonical(&value, test))
    };
    match necessary {
        Necessary::Nothing => true,
        Necessary::OneOf { operand, values, .. } => {
            assert!(values.is_sorted() && !values.is_empty());
            look(operand, &|found| values.iter().any(|value| **value == *found))
        }
        Necessary::Prefix { operand, value, .. } => {
            look(operand, &|found| found.starts_with(&**value))
        }
        Necessary::Suffix { operand, value, .. } => {
            look(operand, &|found| found.ends_with(&**value))
        }
        Necessary::All(parts) => parts.iter().all(|part| satisfied(part, facts)),
        Necessary::Any(parts) => parts.iter().any(|part| satisfied(part, facts)),
    }
}

/// No part of a composed necessity is `Nothing`.
fn well_formed(necessary: &Necessary) -> bool {
    match necessary {
        Necessary::All(parts) => {
            parts.len() > 1
                && parts.iter().all(|part| *part != Necessary::Nothing && well_formed(part))
        }
        Necessary::Any(parts) => {
            parts.len() != 1
                && parts.iter().all(|part| *part != Necessary::Nothing && well_formed(part))
        }
        _ => true,
    }
}

fn check_condition(condition: &Condition, expected: bool, facts: &impl Facts) {
    assert_eq!(condition.holds(facts), expected, "{condition:?}");
    let conjuncts = condition.clone().into_conjuncts();
    assert_eq!(conjuncts.iter().all(|one| one.holds(facts)), expected, "{condition:?}");
    assert_eq!(Condition::all(conjuncts.clone()), *condition);
    assert!(!condition.is_never() || !expected);
    for one in conjuncts.iter().chain([condition]) {
        let (holds, necessary) = (one.holds(facts), one.necessary());
        assert!(well_formed(&necessary), "{necessary:?}");
        let satisfied = satisfied(&necessary, facts);
        assert!(!holds || satisfied, "{}\nneeds {}", one.explain(), necessary.explain());
        if necessary.is_exact() {
            assert_eq!(holds, satisfied, "{}\nneeds {}", one.explain(), necessary.explain());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_printed_reads_back(node in node()) {
        let text = print(&node);
        prop_assert!(parse(&text).is_ok_and(|read| read == node), "{text}");
    }

    #[test]
    fn folding_changes_nothing(node in node(), event in event()) {
        let facts = EventFacts::new(&event);
        let folded = fold(&node);
        prop_assert_eq!(evaluate(&folded, &facts), evaluate(&node, &facts), "{}", print(&node));
    }

    #[test]
    fn what_is_compiled_holds_when_the_expression_is_true(
        node in node(), events in prop::collection::vec(event(), 4),
    ) {
        let condition = crate::compile::compile(&node);
        for event in events {
            let facts = EventFacts::new(&event);
            check_condition(&condition, evaluate(&node, &facts).passes(), &facts);
        }
    }

    #[test]
    fn chains_of_simple_tests_too(
        first in simple(),
        rest in prop::collection::vec((binary(), simple()), 1..5),
        negated in any::<bool>(),
        events in prop::collection::vec(event(), 8),
    ) {
        let rest = rest.into_iter().filter(|(operator, _)| matches!(operator, Binary::Logic(_)));
        let chain = rest.fold(first, |left, (operator, right)| Node::binary(left, operator, right));
        let node = if negated { Node::Not(chain.into()) } else { chain };
        let condition = crate::compile::compile(&node);
        for event in events {
            let facts = EventFacts::new(&event);
            check_condition(&condition, evaluate(&node, &facts).passes(), &facts);
        }
    }

    #[test]
    fn a_compiled_filter_holds_when_what_is_written_matches(
        filter in filter(), events in prop::collection::vec(event(), 4),
    ) {
        let condition = filter.compile().unwrap();
        for event in events {
            check_condition(&condition, filter.matches(&event), &EventFacts::new(&event));
        }
        let json = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), filter);
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(text in "[a-z0-9_'\"\\\\()%,=<>+*/ -]{0,40}|.{0,40}") {
        if let Err(error) = parse(&text) {
            let _ = error.render(&text);
        }
    }
}

fn condition(sql: &str) -> Condition {
    Filter::Sql(sql.to_owned()).compile().unwrap()
}

#[test]
fn what_is_simple_is_compiled_to_something_simple() {
    for (sql, explained) in [
        ("a = 'x'", "a is \"x\"\n"),
        ("NOT (a <> 'x')", "a is \"x\"\n"),
        ("'x' = a", "a is \"x\"\n"),
        ("'07' = a", "CESQL: '07' = a\n"),
        ("a LIKE 'x%'", "a starts with \"x\"\n"),
        ("a LIKE '%x'", "a ends with \"x\"\n"),
        (r"a LIKE 'x\%'", "a is \"x%\"\n"),
        ("a LIKE '%'", "a is there\n"),
        ("EXISTS a", "a is there\n"),
        ("EXISTS id", "always\n"),
        ("a IN ('y', 'x')", "a is one of \"x\", \"y\"\n"),
        ("a IN ('7', '8')", "a is one of \"7\", \"8\"\n"),
        ("a IN ('07', '8')", "CESQL: a IN ('07', '8')\n"),
        ("a = 'x' OR a = 'y' OR a IN ('x', 'z')", "a is one of \"x\", \"y\", \"z\"\n"),
        ("a = 'x' OR b = 'y'", "CESQL: a = 'x' OR b = 'y'\n"),
        ("a != 'x'", "all of these:\n  a is there\n  this is not so:\n    a is \"x\"\n"),
        ("a = 'x' AND b LIKE 'y%'", "all of these:\n  a is \"x\"\n  b starts with \"y\"\n"),
        ("EXISTS a OR b = 'x'", "at least one of these:\n  a is there\n  b is \"x\"\n"),
        ("DATA('/x') = 'y'", "data at \"/x\" is \"y\"\n"),
        ("1 + 1 = 2", "always\n"),
        ("1 / 0 = 0", "CESQL: 1 / 0 = 0\n"),
        ("2 > 3 OR a = CONCAT('x', 'y')", "a is \"xy\"\n"),
        ("'x'", "never\n"),
        ("LENGTH(a)", "never\n"),
        ("a", "CESQL: a\n"),
    ] {
        assert_eq!(condition(sql).explain(), explained, "{sql}");
    }
}

#[test]
fn what_an_index_can_look_up() {
    for (sql, explained) in [
        ("a = 'x'", "a is one of \"x\", and that is all\n"),
        ("a = 7", "nothing that can be looked up\n"),
        ("'+7' = a", "a is one of \"+7\", \"7\"\n"),
        ("a IN ('TRUE', '07')", "a is one of \"07\", \"7\", \"TRUE\", \"true\"\n"),
        ("a LIKE 'x%y'", "all of these:\n  a starts with \"x\"\n  a ends with \"y\"\n"),
        ("a LIKE 'x_'", "a starts with \"x\"\n"),
        (
            "a = 'x' OR b = 'y'",
            "at least one of these:\n  a is one of \"x\"\n  b is one of \"y\"\n",
        ),
        ("a = 'x' OR LENGTH(b) > 7", "nothing that can be looked up\n"),
        (
            "(a = 'x' OR b = 'y') AND LENGTH(b) > 7",
            "at least one of these:\n  a is one of \"x\"\n  b is one of \"y\"\n",
        ),
        ("a = 'x' XOR b = 'y'", "nothing that can be looked up\n"),
        ("NOT (a = 'x')", "nothing that can be looked up\n"),
        ("'x' = 1", "nothing that can be looked up\n"),
        ("'x'", "at least one of these:\n"),
    ] {
        assert_eq!(condition(sql).necessary().explain(), explained, "{sql}");
    }
}

#[test]
fn conditions_that_are_alike_are_equal() {
    assert!(condition("a = 'x' OR a = 'y'") == condition("a IN ('y', 'x')"));
    let exact: Filter = serde_json::from_str(r#"{"exact":{"a":"x"}}"#).unwrap();
    assert!(exact.compile().unwrap() == condition("a LIKE 'x'"));
    assert!(condition("a = 7") == condition("a=(007)"));
}

#[test]
fn a_long_chain_is_taken_in_a_small_stack() {
    let deepest = format!("{}a{}", "ABS(1 + 2 * (".repeat(21), "))".repeat(21));
    let chain = vec!["a='x'"; 1_300].join(" OR ");
    let mixed = ["a='x' AND", "b='y' OR"].repeat(600).join(" ") + " TRUE";
    let work = move || {
        for text in [deepest, chain, mixed] {
            let Ok(node) = parse(&text) else { panic!("{} bytes", text.len()) };
            let condition = crate::compile::compile(&node);
            let _ = (condition.necessary(), condition.explain(), condition.clone());
            assert!(parse(&print(&node)).is_ok_and(|read| read == node));
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn each_part_of_what_is_compiled_has_limits_of_its_own() {
    let long = "x".repeat(60_000);
    let event = Event::builder("1", "/s", "t").extension("a", long).build().unwrap();
    let event = EventView::decode(event.encode()).unwrap();
    let chain = |terms| vec!["LENGTH(UPPER(a)) = 60000"; terms].join(" AND ");
    let constant = format!("{}'{}'{}", "UPPER(".repeat(60), "x".repeat(8_000), ")".repeat(60));
    for (sql, as_written, compiled) in [
        (chain(4), true, true),
        (chain(5), false, true),
        (format!("LENGTH({constant}) = 8000"), false, true),
        ("LENGTH(CONCAT(a, a)) > 0".to_owned(), false, false),
    ] {
        let filter = Filter::Sql(sql);
        assert_eq!(filter.matches(&event), as_written, "{filter:?}");
        let condition = filter.compile().unwrap();
        assert_eq!(condition.holds(&EventFacts::new(&event)), compiled, "{condition:?}");
    }
}
