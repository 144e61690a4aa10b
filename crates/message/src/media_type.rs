//! Media types, as far as an event needs them.

/// `type/subtype`, then parameters `; name=value` (RFC 2045, section 5.1). A value is
/// a token, or a quoted string (RFC 822), in which `;` and `\\"` may stand.
pub(crate) fn is_media_type(text: &str) -> bool {
    if text == USUAL {
        return true;
    }
    let (essence, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    let Some((main, sub)) = essence.trim_end_matches(BLANKS).split_once('/') else {
        return false;
    };
    if !is_token(main) || !is_token(sub) {
        return false;
    }
    while let Some(parameter) = rest.strip_prefix(';') {
        match after_parameter(parameter.trim_start_matches(BLANKS)) {
            Some(after) => rest = after.trim_start_matches(BLANKS),
            None => return false,
        }
    }
    rest.is_empty()
}

/// `*/json`, or a subtype that ends in `+json`; parameters do not matter
/// (`json-format.md`, section 3.1.1).
pub(crate) fn is_json(media_type: &str) -> bool {
    if media_type == USUAL {
        return true;
    }
    let essence = media_type.split(';').next().unwrap_or_default();
    let Some((_, sub)) = essence.trim_matches(BLANKS).split_once('/') else {
        return false;
    };
    let suffix = sub.rsplit_once('+').map_or(sub, |(_, suffix)| suffix);
    suffix.eq_ignore_ascii_case("json")
}

/// What nearly every message says.
const USUAL: &str = "application/json";

const BLANKS: [char; 2] = [' ', '\t'];

/// What follows `name=value`.
fn after_parameter(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    if !is_token(name) {
        return None;
    }
    if let Some(quoted) = value.strip_prefix('"') {
        return after_quoted(quoted);
    }
    let (token, after) = value.split_at(value.find([';', ' ', '\t']).unwrap_or(value.len()));
    is_token(token).then_some(after)
}

/// What follows the closing quote.
fn after_quoted(text: &str) -> Option<&str> {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some(&text[at + 1..]),
            '\\' => drop(characters.next()?),
            _ => {}
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    let taken = |byte: u8| {
        byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'(' | b')'
                    | b'<'
                    | b'>'
                    | b'@'
                    | b','
                    | b';'
                    | b':'
                    | b'\\'
                    | b'"'
                    | b'/'
                    | b'['
                    | b']'
                    | b'?'
                    | b'='
            )
    };
    !text.is_empty() && text.bytes().all(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_told_from_other_texts() {
        for (text, expected) in [
            ("application/json", true),
            ("application/json;charset=utf-8", true),
            ("application/json ; charset=\"utf-8\" ; a=b", true),
            ("multipart/mixed; boundary=\"a;b=c\"; x=y", true),
            ("a/b; c=\"say \\\"hi\\\"; é\"", true),
            ("a/b; c=\"\"", true),
            ("application/vnd.geo+json", true),
            ("", false),
            ("json", false),
            ("a/b/c", false),
            ("a/", false),
            ("a b/c", false),
            ("a/b;", false),
            ("a/b; c", false),
            ("a/b; c=", false),
            ("a/b; c=\"d", false),
            ("a/b; c=\"d\\\"", false),
            ("a/b; c=\"d\"e", false),
            ("a/b; c=d e", false),
            ("a/b; c=d, e/f", false),
        ] {
            assert_eq!(is_media_type(text), expected, "{text}");
        }
    }

    #[test]
    fn json_is_told_by_the_subtype() {
        for (text, expected) in [
            ("application/json", true),
            ("TEXT/JSON; charset=utf-8", true),
            ("application/geo+JSON ;x=y", true),
            ("application/jsonlines", false),
            ("text/plain; x=a/json", false),
            ("json", false),
        ] {
            assert_eq!(is_json(text), expected, "{text}");
        }
    }
}
