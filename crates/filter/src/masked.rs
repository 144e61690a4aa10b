use std::collections::BTreeMap;

use wissel_message::show_attribute_name;

use crate::Filter;

/// What stands in the place of a value.
const MASK: &str = "***";

impl Filter {
    /// The same filter without its values, for who may see that there is one and not
    /// whom it is about: operators. What is compared stays: names, operators, functions.
    #[must_use]
    pub fn masked(&self) -> Self {
        let values = |values: &BTreeMap<String, String>| {
            let names = values.keys().enumerate();
            let names = names.map(|(place, name)| show_attribute_name(name, place).into_owned());
            names.map(|name| (name, MASK.to_owned())).collect()
        };
        let list = |filters: &[Self]| filters.iter().map(Self::masked).collect();
        match self {
            Self::Exact(exact) => Self::Exact(values(exact)),
            Self::Prefix(prefix) => Self::Prefix(values(prefix)),
            Self::Suffix(suffix) => Self::Suffix(values(suffix)),
            Self::All(all) => Self::All(list(all)),
            Self::Any(any) => Self::Any(list(any)),
            Self::Not(not) => Self::Not(not.masked().into()),
            Self::Sql(text) => Self::Sql(mask_expression(text)),
        }
    }
}

/// An expression without what stands between quotes, and without long numbers.
fn mask_expression(text: &str) -> String {
    /// As of a length or a count; a municipality has four digits, a person nine.
    const DIGITS_SHOWN: usize = 3;
    let mut masked = String::new();
    let mut digits = 0;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        digits = if next.is_ascii_digit() { digits + 1 } else { 0 };
        match next {
            '\'' | '"' => {
                skip_to(next, &mut rest);
                masked.push(next);
                masked.push_str(MASK);
                masked.push(next);
            }
            _ if digits <= DIGITS_SHOWN => masked.push(next),
            _ if digits == DIGITS_SHOWN + 1 => {
                masked.truncate(masked.len() - DIGITS_SHOWN);
                masked.push_str(MASK);
            }
            _ => {}
        }
    }
    masked
}

/// Passes over the rest of what stands between quotes.
fn skip_to(quote: char, rest: &mut std::str::Chars<'_>) {
    while let Some(next) = rest.next() {
        if next == '\\' {
            rest.next();
        } else if next == quote {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_left() {
        for (written, expected) in [
            (r#"{"exact":{"subject":"999990019"}}"#, r#"{"exact":{"subject":"***"}}"#),
            (r#"{"not":{"prefix":{"a":"999"}}}"#, r#"{"not":{"prefix":{"a":"***"}}}"#),
            (
                r#"{"any":[{"sql":"subject = '999990019' OR subject IN (999990342, \"9\")"}]}"#,
                r#"{"any":[{"sql":"subject = '***' OR subject IN (***, \"***\")"}]}"#,
            ),
            (
                r#"{"sql":"a LIKE 'it\\'s 999990019%' AND LENGTH(a) = 9 AND b = 12345"}"#,
                r#"{"sql":"a LIKE '***' AND LENGTH(a) = 9 AND b = ***"}"#,
            ),
            (r#"{"sql":"a = 'not ended 999990019"}"#, r#"{"sql":"a = '***'"}"#),
        ] {
            let filter: Filter = serde_json::from_str(written).unwrap();
            assert_eq!(serde_json::to_string(&filter.masked()).unwrap(), expected);
        }
    }
}
