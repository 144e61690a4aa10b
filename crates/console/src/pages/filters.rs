//! A limit of a right in words.

use std::collections::BTreeMap;

use wissel_filter::Filter;

use super::text::Texts;

/// `gemeente = 0344 and (plaats begins with A or not (…))`.
pub(super) fn words(text: &Texts, filter: &Filter) -> String {
    match filter {
        Filter::Exact(all) => attributes(text, "=", all),
        Filter::Prefix(all) => attributes(text, text.begins_with, all),
        Filter::Suffix(all) => attributes(text, text.ends_with, all),
        Filter::All(all) => joined(text, text.and, all),
        Filter::Any(all) => joined(text, text.or, all),
        Filter::Not(one) => format!("{} ({})", text.not, words(text, one)),
        Filter::Sql(expression) => expression.clone(),
        // As it is written, should there be more.
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

fn attributes(text: &Texts, how: &str, all: &BTreeMap<String, String>) -> String {
    let each = all.iter().map(|(name, value)| format!("{name} {how} {}", value_of(value)));
    each.collect::<Vec<_>>().join(&format!(" {} ", text.and))
}

/// In quotes where it would not be seen where it ends.
fn value_of(value: &str) -> String {
    let is_plain = |one: char| one.is_alphanumeric() || "-._:/@+".contains(one);
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("“{value}”")
    }
}

fn joined(text: &Texts, by: &str, all: &[Filter]) -> String {
    if let [one] = all {
        return words(text, one);
    }
    let each = all.iter().map(|one| {
        let told = words(text, one);
        if is_one(one) { told } else { format!("({told})") }
    });
    each.collect::<Vec<_>>().join(&format!(" {by} "))
}

/// Whether it cannot be read otherwise between other filters.
fn is_one(filter: &Filter) -> bool {
    match filter {
        Filter::Exact(all) | Filter::Prefix(all) | Filter::Suffix(all) => all.len() == 1,
        Filter::Not(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{DUTCH, ENGLISH};
    use super::*;

    #[test]
    fn a_limit_is_read_as_a_sentence() {
        for (written, english, dutch) in [
            (r#"{"exact":{"gemeente":"0344"}}"#, "gemeente = 0344", "gemeente = 0344"),
            (
                r#"{"exact":{"b":"x","a":"Den Haag"}}"#,
                "a = “Den Haag” and b = x",
                "a = “Den Haag” en b = x",
            ),
            (r#"{"prefix":{"code":"03"}}"#, "code begins with 03", "code begint met 03"),
            (r#"{"suffix":{"code":"44"}}"#, "code ends with 44", "code eindigt op 44"),
            (
                r#"{"any":[{"exact":{"a":"1"}},{"all":[{"exact":{"b":"2"}},{"prefix":{"c":"3"}}]}]}"#,
                "a = 1 or (b = 2 and c begins with 3)",
                "a = 1 of (b = 2 en c begint met 3)",
            ),
            (
                r#"{"any":[{"exact":{"a":"1","b":"2"}},{"sql":"c = 3 OR TRUE"}]}"#,
                "(a = 1 and b = 2) or (c = 3 OR TRUE)",
                "(a = 1 en b = 2) of (c = 3 OR TRUE)",
            ),
            (r#"{"all":[{"exact":{"a":"1"}}]}"#, "a = 1", "a = 1"),
            (r#"{"not":{"exact":{"a":"1"}}}"#, "not (a = 1)", "niet (a = 1)"),
            (r#"{"sql":"EXISTS gemeente"}"#, "EXISTS gemeente", "EXISTS gemeente"),
        ] {
            let filter: Filter = serde_json::from_str(written).unwrap();
            assert_eq!(words(&ENGLISH, &filter), english);
            assert_eq!(words(&DUTCH, &filter), dutch);
        }
    }
}
