//! CESQL 1.0.0, case by case. The tables cover what the conformance kit of the
//! specification (`cesql/cesql_tck`) covers, and where the text says more, more.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use wissel_filter::{ErrorKind, Expression, Facts, Operand, Output};
use wissel_message::{OwnedValue, Value};

use ErrorKind::{Cast, FunctionEvaluation, Generic, Math, MissingAttribute, MissingFunction};

/// The attributes of an event, and no more.
struct Attributes(BTreeMap<String, OwnedValue>);

impl Facts for Attributes {
    fn value(&self, operand: &Operand) -> Option<Value<'_>> {
        match operand {
            Operand::Attribute(name) => self.0.get(&**name).map(OwnedValue::as_value),
            Operand::Data(_) => None,
        }
    }
}

fn event() -> Attributes {
    let text = |text: &str| OwnedValue::from(text);
    let attributes = [
        ("specversion", text("1.0")),
        ("id", text("myId")),
        ("source", OwnedValue::UriReference("http://localhost/source".to_owned())),
        ("type", text("example.event.success")),
        ("time", OwnedValue::Timestamp("2018-04-26T12:48:09Z".parse().unwrap())),
        ("mybool", OwnedValue::from(true)),
        ("myint", OwnedValue::from(10)),
        ("myext", text("my extension")),
        ("hop", text("5")),
        ("ttl", text("10")),
        ("sequence", text("05")),
        ("firstname", text("Francesco")),
        ("lastname", text("Guardiani")),
        ("binary", OwnedValue::Binary(vec![0_u8, 1, 2].into())),
        ("1a", text("one")),
    ];
    Attributes(attributes.map(|(name, value)| (name.to_owned(), value)).into())
}

trait Expected {
    fn output(&self) -> Output;
}

impl Expected for bool {
    fn output(&self) -> Output {
        Output::Boolean(*self)
    }
}

impl Expected for i32 {
    fn output(&self) -> Output {
        Output::Integer(*self)
    }
}

impl Expected for &str {
    fn output(&self) -> Output {
        Output::String((*self).to_owned())
    }
}

/// Evaluates to the value, without an error.
fn gives(cases: &[(&str, &dyn Expected)]) {
    for (text, expected) in cases {
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found = expression.evaluate(&event());
        assert_eq!(found.value, expected.output(), "{text}");
        assert!(found.errors.is_empty(), "{text}: {:?}", found.errors);
    }
}

/// Evaluates to the value, with this error first.
fn fails(cases: &[(&str, &dyn Expected, ErrorKind)]) {
    for (text, expected, kind) in cases {
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found = expression.evaluate(&event());
        assert_eq!(found.value, expected.output(), "{text}");
        assert_eq!(found.errors.first().map(|error| error.kind), Some(*kind), "{text}");
    }
}

#[test]
fn literals() {
    gives(&[
        ("TRUE", &true),
        ("tRuE", &true),
        ("false", &false),
        ("0", &0),
        ("007", &7),
        ("+7", &7),
        ("2147483647", &i32::MAX),
        ("-2147483648", &i32::MIN),
        ("'abc'", &"abc"),
        ("\"AbC\"", &"AbC"),
        (r#"'a"b\'c'"#, &"a\"b'c"),
        (r#""a'b\"c""#, &"a'b\"c"),
        (r"'a\b'", &r"a\b"),
        (r"'a\\'", &r"a\\"),
        ("'été'", &"été"),
        ("''", &""),
        (" \t\r\n 1 ", &1),
    ]);
}

#[test]
fn signs() {
    gives(&[
        ("-10", &-10),
        ("--10", &10),
        ("---10", &-10),
        ("-'10'", &-10),
        ("--'10'", &10),
        ("-TRUE", &-1),
        ("- 5", &-5),
        ("NOT TRUE", &false),
        ("not false", &true),
        ("NOT NOT TRUE", &true),
        ("NOT 'TRUE'", &false),
        ("NOT 'FALSE'", &true),
        ("NOT 10", &false),
        ("NOT 0", &true),
    ]);
    fails(&[
        ("-missing", &0, MissingAttribute),
        ("NOT missing", &false, MissingAttribute),
        ("NOT 'abc'", &false, Cast),
        ("-'abc'", &0, Cast),
        ("--2147483648", &0, Math),
    ]);
}

#[test]
fn arithmetic() {
    gives(&[
        ("4 * 2 + 4 / 2", &10),
        ("4 * (2 + 4) / 2", &12),
        ("4 * (2 + 3)", &20),
        ("(2 + 3) * 4", &20),
        ("10 - 2 - 3", &5),
        ("10 - (2 - 3)", &11),
        ("100 / 5 / 2", &10),
        ("5 / 3", &1),
        ("-5 / 3", &-1),
        ("5 % 2", &1),
        ("-5 % 3", &-2),
        ("5 % -3", &2),
        ("-2147483648 % -1", &0),
        ("4 + 1", &5),
        ("-4 + 1", &-3),
        ("-4 + -1", &-5),
        ("4 + -1", &3),
        ("4 - 1", &3),
        ("4-1", &3),
        ("4 -1", &3),
        ("4 +1", &5),
        ("-4 - 1", &-5),
        ("'5' + 3", &8),
        ("5 + '3'", &8),
        ("'5' + '+3'", &8),
        ("5 + TRUE", &6),
        ("myint * 2", &20),
        ("hop + ttl", &15),
    ]);
    fails(&[
        ("5 / 0", &0, Math),
        ("5 % 0", &0, Math),
        ("missing / 0", &0, MissingAttribute),
        ("missing % 0", &0, MissingAttribute),
        ("1 / missing", &0, MissingAttribute),
        ("missing * 5", &0, MissingAttribute),
        ("'5avc4' + 10", &0, Cast),
        ("2147483647 + 1", &0, Math),
        ("-2147483648 - 1", &0, Math),
        ("65536 * 65536", &0, Math),
        ("-2147483648 / -1", &0, Math),
        ("1 + 5 / 0", &0, Math),
    ]);
}

#[test]
fn comparisons() {
    gives(&[
        ("TRUE = FALSE", &false),
        ("FALSE = FALSE", &true),
        ("1 = 2", &false),
        ("2 = 2", &true),
        ("'abc' = '123'", &false),
        ("'abc' = 'abc'", &true),
        ("'abc' = 'ABC'", &false),
        ("TRUE != FALSE", &true),
        ("2 != 2", &false),
        ("'abc' <> '123'", &true),
        ("'abc' <> 'abc'", &false),
        ("2 <= 2", &true),
        ("3 <= 2", &false),
        ("1 < 2", &true),
        ("2 < 2", &false),
        ("2 >= 3", &false),
        ("2 > 1", &true),
        ("'10' > '9'", &true),
        ("TRUE > FALSE", &true),
        ("true = 'TRUE'", &false),
        ("'TRUE' = true", &true),
        ("TRUE = \"true\" AND FALSE = \"false\"", &true),
        ("TRUE = \"TRUE\" OR FALSE = \"FALSE\"", &false),
        ("2 = TRUE", &true),
        ("TRUE = 1", &true),
        ("5 = '05'", &false),
        ("'05' = 5", &true),
        ("5 = 'abc'", &false),
        ("sequence = 5", &true),
        ("sequence = '5'", &false),
        ("sequence = 6", &false),
        ("'10' = myint", &true),
        ("myint = '10'", &true),
        ("myint = '010'", &false),
        ("'010' = myint", &true),
        // From left to right.
        ("1 = 1 = TRUE", &true),
        ("3 > 2 > 1", &false),
    ]);
    fails(&[
        ("missing = 2", &false, MissingAttribute),
        ("missing != 2", &false, MissingAttribute),
        ("missing <> 2", &false, MissingAttribute),
        ("missing <= 2", &false, MissingAttribute),
        ("2 = missing", &false, MissingAttribute),
        ("missing = \"\"", &false, MissingAttribute),
        ("'abc' = 5", &false, Cast),
        ("'abc' = 0", &false, Cast),
        ("'abc' = TRUE", &false, Cast),
        ("'abc' < 5", &false, Cast),
    ]);
}

#[test]
fn logic() {
    gives(&[
        ("FALSE AND FALSE", &false),
        ("FALSE AND TRUE", &false),
        ("TRUE AND FALSE", &false),
        ("TRUE and TRUE", &true),
        ("FALSE OR FALSE", &false),
        ("FALSE OR TRUE", &true),
        ("TRUE or FALSE", &true),
        ("FALSE XOR FALSE", &false),
        ("FALSE XOR TRUE", &true),
        ("TRUE xor FALSE", &true),
        ("TRUE XOR TRUE", &false),
        ("false and (1 != 1 / 0)", &false),
        ("true or (1 != 1 / 0)", &true),
        ("FALSE AND missing", &false),
        ("TRUE OR missing = 'x'", &true),
        ("'true' AND 1", &true),
        // One precedence, from left to right.
        ("TRUE OR FALSE AND FALSE", &false),
        ("TRUE XOR TRUE OR TRUE", &true),
        ("TRUE OR TRUE XOR TRUE", &false),
        // NOT binds tighter than a comparison.
        ("NOT TRUE = FALSE", &true),
        ("NOT 1 = 2", &false),
        ("NOT (1 = 2)", &true),
    ]);
    fails(&[
        ("true and (1 != 1 / 0)", &false, Math),
        ("true and (1 = 1 / 0)", &false, Math),
        ("false or (1 != 1 / 0)", &false, Math),
        ("false or (1 = 1 / 0)", &false, Math),
        ("true AND (missing = \"\")", &false, MissingAttribute),
        ("missing = 'x' OR TRUE", &false, MissingAttribute),
        ("TRUE XOR missing", &false, MissingAttribute),
        ("'abc' OR TRUE", &false, Cast),
    ]);
}

#[test]
fn like() {
    gives(&[
        ("'abc' LIKE 'abc'", &true),
        (r"'ab\c' LIKE 'ab\c'", &true),
        ("'abc' NOT LIKE 'abc'", &false),
        ("'abc' like 'a%b%c'", &true),
        ("'azzzbzzzc' LIKE 'a%b%c'", &true),
        ("'a%b%c' LIKE 'a%b%c'", &true),
        ("'ac' LIKE 'abc'", &false),
        ("'' LIKE 'abc'", &false),
        ("'' LIKE '%'", &true),
        ("'.ab.cde.' LIKE '.%.%.'", &true),
        ("'ab.cde' LIKE '.%.%.'", &false),
        ("'abc' LIKE 'a_b_c'", &false),
        ("'a_b_c' LIKE 'a_b_c'", &true),
        ("'abzc' LIKE 'a_b_c'", &false),
        ("'azbzc' LIKE 'a_b_c'", &true),
        ("'.a.b.' LIKE '._._.'", &true),
        ("'abcd.' LIKE '._._.'", &false),
        ("'é' LIKE '_'", &true),
        (r"'a_b_c' LIKE 'a\_b\_c'", &true),
        (r"'a_b_c' NOT LIKE 'a\_b\_c'", &false),
        (r"'azbzc' LIKE 'a\_b\_c'", &false),
        (r"'abc' LIKE 'a\%b\%c'", &false),
        (r"'a%b%c' LIKE 'a\%b\%c'", &true),
        (r"'azbzc' LIKE 'a\%b\%c'", &false),
        (r"'abc%' LIKE 'abc\%'", &true),
        (r"'abcd' LIKE 'abc\%'", &false),
        (r"'abc123123%456_dzf' LIKE 'abc%123\%456\_d_f'", &true),
        ("'ABC' LIKE 'abc'", &false),
        ("234 LIKE '23_'", &true),
        ("2344 LIKE '23%'", &true),
        ("2344 LIKE '23_'", &false),
        ("TRUE LIKE 'tr%'", &true),
        ("TRUE LIKE '%ue'", &true),
        ("FALSE LIKE 'tr%'", &false),
        ("FALSE LIKE 'fal%'", &true),
        ("-10 LIKE '-1_'", &true),
        ("'b' LIKE '_b%'", &false),
        ("'abcd1' LIKE '_b%'", &true),
    ]);
    fails(&[
        ("missing LIKE 'custom%'", &false, MissingAttribute),
        ("missing NOT LIKE 'custom%'", &false, MissingAttribute),
        ("id LIKE 'no%' OR missing LIKE '%ext'", &false, MissingAttribute),
    ]);
}

#[test]
fn exists_and_in() {
    gives(&[
        ("EXISTS specversion", &true),
        ("EXISTS id", &true),
        ("exists type", &true),
        ("EXISTS source", &true),
        ("EXISTS time", &true),
        ("EXISTS mycoolextension", &false),
        ("NOT EXISTS mycoolextension", &true),
        ("123 IN (1, 2, 3, 12, 13, 23, 123)", &true),
        ("123 NOT IN (1, 2, 3, 12, 13, 23, 123)", &false),
        ("'abc' IN ('abc', \"bcd\")", &true),
        ("'aaa' IN ('abc', \"bcd\")", &false),
        ("'aaa' not in ('abc', \"bcd\")", &true),
        ("TRUE IN (TRUE, FALSE)", &true),
        ("FALSE IN (TRUE)", &false),
        ("source IN (myext, 'http://localhost/source')", &true),
        ("source IN (id, 'xyz')", &false),
        ("'true' IN (TRUE, 'false')", &true),
        ("'true' IN ('TRUE', 'false')", &false),
        ("TRUE IN ('TRUE', 'false')", &true),
        ("'1' IN (1, 2)", &true),
        ("1 IN ('01', '2')", &true),
        ("myint IN ('010')", &true),
        ("1 + 1 IN (2)", &1),
    ]);
    fails(&[
        ("missing IN ('a')", &false, MissingAttribute),
        ("missing NOT IN ('a')", &false, MissingAttribute),
        ("'a' IN (missing, 'a')", &false, MissingAttribute),
        ("'a' IN ('a', missing)", &false, MissingAttribute),
        ("1 IN ('abc')", &false, Cast),
        ("1 IN (1, 1 / 0)", &false, Math),
    ]);
}

#[test]
fn casts() {
    gives(&[
        ("INT('1')", &1),
        ("INT('-1')", &-1),
        ("int(1)", &1),
        ("INT(-1)", &-1),
        ("INT(TRUE)", &1),
        ("INT(FALSE)", &0),
        ("BOOL('TRUE')", &true),
        ("BOOL(\"false\")", &false),
        ("BOOL(FALSE)", &false),
        ("BOOL(1)", &true),
        ("BOOL(0)", &false),
        ("Bool(-50)", &true),
        ("STRING(TRUE)", &"true"),
        ("STRING(FALSE)", &"false"),
        ("STRING(1)", &"1"),
        ("STRING(-1)", &"-1"),
        ("STRING(\"abc\")", &"abc"),
        ("IS_INT('12')", &true),
        ("IS_INT('abc')", &false),
        ("IS_BOOL('True')", &true),
        ("is_bool('abc')", &false),
    ]);
    fails(&[
        ("INT('ABC')", &0, Cast),
        ("INT('2147483648')", &0, Cast),
        ("INT('')", &0, Cast),
        ("BOOL('ABC')", &false, Cast),
        ("BOOL(missing)", &false, MissingAttribute),
        ("STRING(missing)", &"", MissingAttribute),
        ("IS_INT(missing)", &false, MissingAttribute),
    ]);
}

#[test]
fn functions() {
    gives(&[
        ("LENGTH('abc')", &3),
        ("LENGTH('')", &0),
        ("LENGTH('été')", &3),
        ("LENGTH(TRUE)", &4),
        ("CONCAT('a', 'b', 'c')", &"abc"),
        ("CONCAT()", &""),
        ("CONCAT('a', 1, TRUE)", &"a1true"),
        ("CONCAT_WS(',', 'a', 'b', 'c')", &"a,b,c"),
        ("CONCAT_WS(',')", &""),
        ("CONCAT_WS(',', 'a')", &"a"),
        ("LOWER('AbCÉ')", &"abcé"),
        ("UPPER('AbCé')", &"ABCÉ"),
        ("TRIM('   a b c   ')", &"a b c"),
        ("TRIM('\u{a0}\u{2003}a\u{200b}')", &"a\u{200b}"),
        ("LEFT('abc', 2)", &"ab"),
        ("LEFT('abc', 10)", &"abc"),
        ("LEFT('', 0)", &""),
        ("LEFT('été', 1)", &"é"),
        ("RIGHT('abc', 2)", &"bc"),
        ("RIGHT('abc', 10)", &"abc"),
        ("RIGHT('', 0)", &""),
        ("RIGHT('été', '2')", &"té"),
        ("SUBSTRING('abcdef', 1)", &"abcdef"),
        ("SUBSTRING('abcdef', 2)", &"bcdef"),
        ("SUBSTRING('Quadratically', 5)", &"ratically"),
        ("SUBSTRING('Sakila', -3)", &"ila"),
        ("SUBSTRING('abcdef', 1, 6)", &"abcdef"),
        ("SUBSTRING('abcdef', 2, 4)", &"bcde"),
        ("SUBSTRING('abcdef', 2, 0)", &""),
        ("SUBSTRING('abcdef', 5, 40)", &"ef"),
        ("SUBSTRING('Sakila', -5, 3)", &"aki"),
        ("SUBSTRING('Sakila', -6)", &"Sakila"),
        ("SUBSTRING('Quadratically', 0)", &""),
        ("SUBSTRING('Quadratically', 0, 1)", &""),
        ("SUBSTRING('étés', 2, 2)", &"té"),
        ("SUBSTRING(CONCAT('ab', 'cd'), 2, 2)", &"bc"),
        ("ABS(10)", &10),
        ("ABS(-10)", &10),
        ("abs (0)", &0),
        ("ABS(-2147483647)", &i32::MAX),
    ]);
    fails(&[
        ("CONCAT_WS()", &false, MissingFunction),
        ("ABC(1)", &false, MissingFunction),
        ("LENGTH()", &false, MissingFunction),
        ("LENGTH('a', 'b')", &false, MissingFunction),
        ("SUBSTRING('a')", &false, MissingFunction),
        ("my_function(1 / 0)", &false, MissingFunction),
        ("LEFT('abc', -2)", &"abc", FunctionEvaluation),
        ("RIGHT('abc', -2)", &"abc", FunctionEvaluation),
        ("SUBSTRING('abcdef', 10)", &"", FunctionEvaluation),
        ("SUBSTRING('abcdef', -10)", &"", FunctionEvaluation),
        ("SUBSTRING('abcdef', 10, 10)", &"", FunctionEvaluation),
        ("SUBSTRING('abcdef', -10, 10)", &"", FunctionEvaluation),
        ("SUBSTRING('abcdef', 2, -1)", &"", FunctionEvaluation),
        ("SUBSTRING('', 1)", &"", FunctionEvaluation),
        ("SUBSTRING('abc', -2147483648)", &"", FunctionEvaluation),
        ("ABS(-2147483648)", &i32::MAX, Math),
        ("LENGTH(missing)", &0, MissingAttribute),
        ("CONCAT('a', missing)", &"", MissingAttribute),
        ("LEFT('abc', 'x')", &"", Cast),
        ("LENGTH(LEFT('abc', -2))", &0, FunctionEvaluation),
    ]);
}

#[test]
fn attributes() {
    gives(&[
        ("id", &"myId"),
        ("mybool", &true),
        ("myint", &10),
        ("myext", &"my extension"),
        ("source", &"http://localhost/source"),
        ("time", &"2018-04-26T12:48:09Z"),
        ("binary", &"AAEC"),
        ("1a", &"one"),
    ]);
    fails(&[
        ("subject", &false, MissingAttribute),
        ("(subject)", &false, MissingAttribute),
        ("DATA('/x')", &false, MissingAttribute),
        ("DATA('/x') + 1", &0, MissingAttribute),
    ]);
    gives(&[("HAS_DATA('/x')", &false), ("has_data(\"\")", &false)]);
}

#[test]
fn examples_of_the_specification() {
    gives(&[
        ("int(hop) < int(ttl) and int(hop) < 1000", &true),
        ("INT(hop) < INT(ttl) AND INT(hop) < 1000", &true),
        ("hop < ttl", &true),
        ("firstname = 'Francesco' OR subject = 'Francesco'", &true),
        ("(firstname = 'Francesco' AND lastname = 'Guardiani') OR subject = 'x'", &true),
        ("LENGTH(sequence + 10)", &2),
        ("id LIKE 'my%' AND source LIKE '%/source'", &true),
        ("id LIKE 'my%' OR missing LIKE '%ext'", &true),
        (
            "(id = 'myId' AND type LIKE '%.success') OR (id = 'notmyId' AND \
             source LIKE 'http://%' AND type LIKE '%.warning') OR (missing = 'x')",
            &true,
        ),
        (
            "(id = 'myId' OR type LIKE '%.success') AND \
             (id = 'notmyId' OR source LIKE 'https://%' OR type LIKE '%.warning')",
            &false,
        ),
    ]);
    fails(&[
        ("firstname = 'Doug' OR subject = 'Francesco'", &false, MissingAttribute),
        ("type LIKE 'example.%' AND missing LIKE 'custom%'", &false, MissingAttribute),
    ]);
}

#[test]
fn every_error_is_kept() {
    let found = Expression::parse("missing + 1 / 0 + 'x'").unwrap().evaluate(&event());
    let kinds: Vec<_> = found.errors.iter().map(|error| error.kind).collect();
    assert_eq!(kinds, [MissingAttribute, Math, Cast]);
    assert_eq!(found.errors[0].to_string(), "missingAttribute: attribute missing is not there");
}

#[test]
fn strings_have_a_limit() {
    let mut doubled = format!("'{}'", "a".repeat(1_000));
    for _ in 0..3 {
        doubled = format!("CONCAT({doubled}, {doubled})");
    }
    let length = |text: &str| Expression::parse(text).unwrap().evaluate(&event());
    assert_eq!(length(&format!("LENGTH({doubled})")).value, Output::Integer(8_000));

    let mut grown = String::from("'aaaaaaaaaaaaaaaaaaaa'");
    for _ in 0..20 {
        grown = format!("CONCAT_WS({grown}, id, id, id)");
    }
    let found = length(&grown);
    assert_eq!(found.value, Output::String(String::new()));
    assert_eq!(found.errors[0].kind, Generic);
}

/// The place and the expectation of a parse error.
fn refused(text: &str) -> (usize, String) {
    let error = Expression::parse(text).map(|_| panic!("{text} is taken")).unwrap_err();
    (error.column(), error.to_string())
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    for (text, column) in [
        ("", 1),
        ("  ", 3),
        ("ABC", 1),
        ("Hop = 1", 1),
        ("my_attribute", 1),
        ("ABC(", 5),
        ("ABC(1", 6),
        ("ABC(1,", 7),
        ("ABC(1,)", 7),
        ("(1 + 2", 7),
        ("1 + 2)", 6),
        ("()", 2),
        ("1 +", 4),
        ("1 + + 2", 5),
        ("+ 1", 1),
        ("+'5'", 1),
        ("+5a", 2),
        ("1 2", 3),
        ("a b", 3),
        ("NOT", 4),
        ("a NOT", 6),
        ("a NOT = 1", 7),
        ("'abc", 1),
        (r"'abc\'", 1),
        ("\"abc'", 1),
        ("'it''s'", 5),
        ("x LIKE 123", 8),
        ("x LIKE y", 8),
        ("x LIKE ('a')", 8),
        ("x LIKE CONCAT('a')", 8),
        ("x LIKE", 7),
        ("x IN", 5),
        ("x IN ()", 7),
        ("x IN 'a'", 6),
        ("x IN ('a' 'b')", 11),
        ("EXISTS", 7),
        ("EXISTS 'a'", 8),
        ("EXISTS (a)", 8),
        ("EXISTS 5", 8),
        ("2147483648", 1),
        ("-2147483649", 1),
        ("1.5", 2),
        ("a == 1", 4),
        ("a & b", 3),
        ("a = 1;", 6),
        ("é", 1),
        ("abs2(1)", 1),
        ("_abs(1)", 1),
        ("LIKE(1)", 1),
        ("AND", 1),
        ("DATA(x)", 6),
        ("DATA('x')", 6),
        ("DATA('/a~2')", 6),
        ("DATA()", 6),
        ("DATA('/a', 1)", 10),
        ("HAS_DATA(1)", 10),
    ] {
        assert_eq!(refused(text).0, column, "{text}: {}", refused(text).1);
    }
}

#[test]
fn a_parse_error_points_and_shows_no_content() {
    let text = "gemeente = '999990019' 'BSN'\nAND x";
    let error = Expression::parse(text).unwrap_err();
    assert_eq!(error.to_string(), "column 24: found a string; expected an operator or the end");
    assert!(!format!("{error:?}").contains("999990019"));
    assert_eq!(
        error.render(text),
        "gemeente = '999990019' 'BSN'\n                       ^\n\
         column 24: found a string; expected an operator or the end"
    );
    // A long line is cut around the fault, a second line is counted from its start.
    let long = format!("'{}' =\n{} ? {}", "é".repeat(80), "a = 1 OR ".repeat(20), "x".repeat(90));
    let rendered = Expression::parse(&long).unwrap_err().render(&long);
    let lines: Vec<_> = rendered.lines().collect();
    assert_eq!(lines[0].chars().nth(lines[1].chars().count() - 1), Some('?'));
    assert!(lines[0].starts_with('…') && lines[0].ends_with('…'));
}

#[test]
fn limits_are_kept_and_named() {
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&nested(64)).is_ok());
    assert!(refused(&nested(65)).1.contains("at most 64 levels"));
    assert!(refused(&"(".repeat(16_000)).1.contains("at most 64 levels"));
    assert!(refused(&"NOT ".repeat(4_000)).1.contains("at most 64 levels"));
    assert!(refused(&"-".repeat(16_000)).1.contains("at most 64 levels"));
    assert!(refused(&"ABS(".repeat(4_000)).1.contains("at most 64 levels"));
    assert!(refused(&"1 IN (".repeat(2_000)).1.contains("at most 64 levels"));
    assert!(refused(&format!("a{}", " LIKE ''".repeat(2_000))).1.contains("at most 64 levels"));
    assert!(refused(&"1+".repeat(8_100)).1.contains("at most 8192 parts"));
    assert!(refused(&" ".repeat(20_000)).1.contains("at most 16384 bytes"));
    assert!(refused(&" ".repeat(20_000)).1.contains("20000 bytes"));

    let chain = vec!["id='a'"; 1_000].join(" OR ");
    let chain = Expression::parse(&chain).unwrap();
    assert_eq!(chain.evaluate(&event()).value, Output::Boolean(false));
}
