//! The built-in functions (CESQL 1.0.0, sections 3.5.1, 3.5.2 and 3.7).

use std::borrow::Cow;

use crate::cast::Item;
use crate::evaluate::{Arguments, Made};
use crate::evaluation::ErrorKind;
use crate::sql::Type;

/// A built-in function.
///
/// `IS_BOOL` and `IS_INT` are of the drafts of CESQL: whether the cast would succeed.
/// Version 1.0 has the casts without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    Length,
    Concat,
    ConcatWs,
    Lower,
    Upper,
    Trim,
    Left,
    Right,
    Substring,
    Abs,
    Int,
    Bool,
    String,
    IsBool,
    IsInt,
}

/// A value, and the error that comes with it.
pub(crate) struct Returned<'a> {
    pub(crate) value: Item<'a>,
    pub(crate) error: Option<(ErrorKind, &'static str)>,
}

const FUNCTIONS: [(Function, &str, Type, &[Type]); 15] = [
    (Function::Length, "LENGTH", Type::Integer, &[Type::String]),
    (Function::Concat, "CONCAT", Type::String, &[]),
    (Function::ConcatWs, "CONCAT_WS", Type::String, &[]),
    (Function::Lower, "LOWER", Type::String, &[Type::String]),
    (Function::Upper, "UPPER", Type::String, &[Type::String]),
    (Function::Trim, "TRIM", Type::String, &[Type::String]),
    (Function::Left, "LEFT", Type::String, &[Type::String, Type::Integer]),
    (Function::Right, "RIGHT", Type::String, &[Type::String, Type::Integer]),
    (Function::Substring, "SUBSTRING", Type::String, &[Type::String, Type::Integer, Type::Integer]),
    (Function::Abs, "ABS", Type::Integer, &[Type::Integer]),
    (Function::Int, "INT", Type::Integer, &[Type::Integer]),
    (Function::Bool, "BOOL", Type::Boolean, &[Type::Boolean]),
    (Function::String, "STRING", Type::String, &[Type::String]),
    (Function::IsBool, "IS_BOOL", Type::Boolean, &[]),
    (Function::IsInt, "IS_INT", Type::Boolean, &[]),
];

impl Function {
    /// The function with a name, in capitals, that takes so many arguments.
    pub(crate) fn named(name: &str, arguments: usize) -> Option<Self> {
        let (function, ..) = *FUNCTIONS.iter().find(|(_, other, ..)| *other == name)?;
        let takes = match function {
            Self::Concat => true,
            Self::ConcatWs => arguments >= 1,
            Self::Substring => matches!(arguments, 2 | 3),
            Self::Left | Self::Right => arguments == 2,
            _ => arguments == 1,
        };
        takes.then_some(function)
    }

    /// What can be called in place of a call that cannot be.
    pub(crate) fn expected(name: &str) -> String {
        let known = FUNCTIONS.iter().find(|(_, other, ..)| *other == name);
        match known.map(|(function, ..)| function) {
            None => {
                let names = FUNCTIONS.iter().map(|(_, name, ..)| *name);
                let names: Vec<&str> = names.chain(["DATA", "HAS_DATA"]).collect();
                format!("one of {}", names.join(", "))
            }
            Some(Self::ConcatWs) => "at least 1".to_owned(),
            Some(Self::Substring) => "2 or 3".to_owned(),
            Some(Self::Left | Self::Right) => "2".to_owned(),
            Some(_) => "1".to_owned(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.signature().1
    }

    pub(crate) fn returns(self) -> Type {
        self.signature().2
    }

    /// The type that an argument is cast to; none when it is taken as it is.
    pub(crate) fn parameter(self, place: usize) -> Option<Type> {
        match self {
            Self::IsBool | Self::IsInt => None,
            Self::Concat | Self::ConcatWs => Some(Type::String),
            _ => self.signature().3.get(place).copied(),
        }
    }

    fn signature(self) -> &'static (Self, &'static str, Type, &'static [Type]) {
        let mut all = FUNCTIONS.iter();
        all.find(|(function, ..)| *function == self).expect("every function is in the table")
    }

    /// Calls the function. The arguments have the types of its parameters.
    pub(crate) fn call<'a>(self, mut arguments: Arguments<'a>, made: &mut Made) -> Returned<'a> {
        match self {
            Self::Concat => return concat("", &arguments, made),
            Self::ConcatWs => {
                let delimiter = arguments.remove(0).into_text();
                return concat(&delimiter, &arguments, made);
            }
            _ => {}
        }
        let mut rest = arguments.into_iter();
        let first = rest.next().expect("every other function has an argument");
        let mut number = || rest.next().and_then(|item| item.to_integer());
        match self {
            Self::Length => {
                let length = first.with_text(|text| text.chars().count());
                Item::Integer(i32::try_from(length).unwrap_or(i32::MAX)).into()
            }
            Self::Lower => made.text(first.with_text(str::to_lowercase)),
            Self::Upper => made.text(first.with_text(str::to_uppercase)),
            Self::Trim => part(first.into_text(), |text| text.trim()).into(),
            Self::Left => left(first.into_text(), number().unwrap_or(0)),
            Self::Right => right(first.into_text(), number().unwrap_or(0)),
            Self::Substring => substring(first.into_text(), number().unwrap_or(0), number()),
            Self::Abs => absolute(first.to_integer().unwrap_or(0)),
            Self::IsBool => Item::Boolean(first.to_boolean().is_some()).into(),
            Self::IsInt => Item::Boolean(first.to_integer().is_some()).into(),
            // The cast was the whole of it.
            _ => first.into(),
        }
    }
}

impl<'a> From<Item<'a>> for Returned<'a> {
    fn from(value: Item<'a>) -> Self {
        Self { value, error: None }
    }
}

fn failed<'a>(value: Item<'a>, why: &'static str) -> Returned<'a> {
    Returned { value, error: Some((ErrorKind::FunctionEvaluation, why)) }
}

fn concat<'a>(delimiter: &str, items: &[Item<'_>], made: &mut Made) -> Returned<'a> {
    let mut joined = String::new();
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            joined.push_str(delimiter);
        }
        item.with_text(|text| joined.push_str(text));
        if joined.len() > made.left() {
            break;
        }
    }
    made.text(joined)
}

/// A part of a text, borrowed when the text is.
fn part(text: Cow<'_, str>, cut: impl Fn(&str) -> &str) -> Item<'_> {
    Item::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
        Cow::Owned(text) => Cow::Owned(cut(&text).to_owned()),
    })
}

fn left(text: Cow<'_, str>, count: i32) -> Returned<'_> {
    match usize::try_from(count) {
        Ok(count) => part(text, |text| &text[..byte_of(text, count)]).into(),
        Err(_) => failed(Item::Text(text), "LEFT of a negative number of characters"),
    }
}

fn right(text: Cow<'_, str>, count: i32) -> Returned<'_> {
    match usize::try_from(count) {
        Ok(count) => {
            let skipped = |text: &str| text.chars().count().saturating_sub(count);
            part(text, |text| &text[byte_of(text, skipped(text))..]).into()
        }
        Err(_) => failed(Item::Text(text), "RIGHT of a negative number of characters"),
    }
}

fn substring(text: Cow<'_, str>, position: i32, length: Option<i32>) -> Returned<'_> {
    let nothing = Item::zero(Type::String);
    let Ok(length) = length.map_or(Ok(usize::MAX), usize::try_from) else {
        return failed(nothing, "SUBSTRING of a negative length");
    };
    let characters = text.chars().count();
    let from_start = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    if from_start > characters {
        return failed(nothing, "SUBSTRING from a position outside the string");
    }
    let skipped = match position {
        0 => return nothing.into(),
        1.. => from_start - 1,
        _ => characters - from_start,
    };
    let cut = |text: &str| {
        let start = byte_of(text, skipped);
        start..start + byte_of(&text[start..], length)
    };
    let range = cut(&text);
    part(text, |text| &text[range.clone()]).into()
}

fn absolute<'a>(integer: i32) -> Returned<'a> {
    match integer.checked_abs() {
        Some(absolute) => Item::Integer(absolute).into(),
        None => Returned {
            value: Item::Integer(i32::MAX),
            error: Some((ErrorKind::Math, "ABS of -2147483648 is out of range")),
        },
    }
}

/// Where a character starts in the text; its end when it has fewer.
fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len(), |(place, _)| place)
}
