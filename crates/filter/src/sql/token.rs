use super::error::ParseError;
use super::tree::{Arithmetic, Binary, Comparison, Logic};

/// A token, and where it stands.
#[derive(Clone)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind<'t> {
    /// Digits, without a sign.
    Digits(&'t str),
    /// Letters, digits and `_`: an attribute, a function or `TRUE` and `FALSE`.
    Name(&'t str),
    /// The value of a string literal.
    Text(String),
    /// Any operator with an operand on each side.
    Binary(Binary),
    Not,
    Like,
    In,
    Exists,
    Open,
    Close,
    Comma,
    End,
}

/// Cuts a text into tokens.
pub(super) struct Tokens<'t> {
    pub(super) text: &'t str,
    at: usize,
}

impl<'t> Tokens<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Token<'t>, ParseError> {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\r', '\n']);
        let start = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            self.at = start;
            return Ok(Token { kind: Kind::End, start, end: start });
        };
        let (kind, length) = match first {
            '\'' | '"' => self.string(start, first)?,
            _ if is_of_name(first) => {
                let length = rest.find(|one| !is_of_name(one)).unwrap_or(rest.len());
                (word(&rest[..length]), length)
            }
            _ => symbol(rest).ok_or_else(|| {
                let found = "a character that CESQL does not use";
                let expected = "an operator, a literal, an attribute or a function";
                ParseError::new(self.text, start, found, expected)
            })?,
        };
        self.at = start + length;
        Ok(Token { kind, start, end: self.at })
    }

    /// Whether a digit follows directly on the byte at `end`.
    pub(super) fn digit_follows(&self, end: usize) -> bool {
        self.text.as_bytes().get(end).is_some_and(u8::is_ascii_digit)
    }

    /// A string literal. A backslash takes the character after it along, so that it
    /// can keep the quote from closing the string; the backslash itself goes only when
    /// it did that. (So do the lexers of the CloudEvents SDKs: what is meant for
    /// `LIKE`, such as `\%`, arrives there.)
    fn string(&self, start: usize, quote: char) -> Result<(Kind<'t>, usize), ParseError> {
        let mut value = String::new();
        let mut rest = self.text[start + 1..].char_indices();
        while let Some((place, one)) = rest.next() {
            if one == quote {
                return Ok((Kind::Text(value), place + 2));
            }
            if one != '\\' {
                value.push(one);
                continue;
            }
            match rest.next() {
                Some((_, taken)) if taken == quote => value.push(quote),
                Some((_, taken)) => value.extend(['\\', taken]),
                None => break,
            }
        }
        let expected = if quote == '"' { "a closing `\"`" } else { "a closing `'`" };
        Err(ParseError::new(self.text, start, "a string without an end", expected))
    }
}

fn is_of_name(one: char) -> bool {
    one.is_ascii_alphanumeric() || one == '_'
}

fn word(word: &str) -> Kind<'_> {
    let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        Kind::Digits(word)
    } else if is("and") {
        Kind::Binary(Binary::Logic(Logic::And))
    } else if is("or") {
        Kind::Binary(Binary::Logic(Logic::Or))
    } else if is("xor") {
        Kind::Binary(Binary::Logic(Logic::Xor))
    } else if is("not") {
        Kind::Not
    } else if is("like") {
        Kind::Like
    } else if is("in") {
        Kind::In
    } else if is("exists") {
        Kind::Exists
    } else {
        Kind::Name(word)
    }
}

fn symbol<'t>(rest: &str) -> Option<(Kind<'t>, usize)> {
    let compare = |operator| Kind::Binary(Binary::Compare(operator));
    let calculate = |operator| Kind::Binary(Binary::Calculate(operator));
    let mut two = rest.bytes();
    Some(match (two.next()?, two.next()) {
        (b'!', Some(b'=')) | (b'<', Some(b'>')) => (compare(Comparison::NotEqual), 2),
        (b'<', Some(b'=')) => (compare(Comparison::LessOrEqual), 2),
        (b'>', Some(b'=')) => (compare(Comparison::GreaterOrEqual), 2),
        (b'=', _) => (compare(Comparison::Equal), 1),
        (b'<', _) => (compare(Comparison::Less), 1),
        (b'>', _) => (compare(Comparison::Greater), 1),
        (b'+', _) => (calculate(Arithmetic::Add), 1),
        (b'-', _) => (calculate(Arithmetic::Subtract), 1),
        (b'*', _) => (calculate(Arithmetic::Multiply), 1),
        (b'/', _) => (calculate(Arithmetic::Divide), 1),
        (b'%', _) => (calculate(Arithmetic::Remainder), 1),
        (b'(', _) => (Kind::Open, 1),
        (b')', _) => (Kind::Close, 1),
        (b',', _) => (Kind::Comma, 1),
        _ => return None,
    })
}

impl Kind<'_> {
    /// What it is, without its content.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Digits(_) => "a number",
            Self::Name(_) => "a name",
            Self::Text(_) => "a string",
            Self::Binary(operator) => operator.describe(),
            Self::Not => "`NOT`",
            Self::Like => "`LIKE`",
            Self::In => "`IN`",
            Self::Exists => "`EXISTS`",
            Self::Open => "`(`",
            Self::Close => "`)`",
            Self::Comma => "`,`",
            Self::End => "the end",
        }
    }
}

impl Binary {
    fn describe(self) -> &'static str {
        match self {
            Self::Logic(Logic::And) => "`AND`",
            Self::Logic(Logic::Or) => "`OR`",
            Self::Logic(Logic::Xor) => "`XOR`",
            Self::Compare(Comparison::Equal) => "`=`",
            Self::Compare(Comparison::NotEqual) => "`<>`",
            Self::Compare(Comparison::Less) => "`<`",
            Self::Compare(Comparison::LessOrEqual) => "`<=`",
            Self::Compare(Comparison::Greater) => "`>`",
            Self::Compare(Comparison::GreaterOrEqual) => "`>=`",
            Self::Calculate(Arithmetic::Add) => "`+`",
            Self::Calculate(Arithmetic::Subtract) => "`-`",
            Self::Calculate(Arithmetic::Multiply) => "`*`",
            Self::Calculate(Arithmetic::Divide) => "`/`",
            Self::Calculate(Arithmetic::Remainder) => "`%`",
        }
    }

    /// As it is written in an expression.
    pub(super) fn symbol(self) -> &'static str {
        self.describe().trim_matches('`')
    }
}
