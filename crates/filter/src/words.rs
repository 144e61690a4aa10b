//! What a string literal becomes when it is cast to the type of an attribute.

use std::borrow::Cow;
use std::sync::Arc;

use crate::cast::Item;

/// The canonical texts of all the values that a string literal can be equal to once it
/// is cast to their type: itself, and `7` for `'+07'`, `true` for `'TRUE'`.
pub(crate) fn spellings(literal: &Arc<str>) -> Vec<Arc<str>> {
    let item = Item::Text(Cow::Borrowed(literal));
    let mut spellings = vec![literal.clone()];
    spellings.extend(item.to_integer().map(|integer| integer.to_string().into()));
    spellings.extend(item.to_boolean().map(|truth| truth.to_string().into()));
    spellings
}

/// Whether an attribute of any type is equal to one of these literals, each cast to its
/// type, exactly when its canonical text is one of them.
///
/// That is so when all are integers in canonical text, or all booleans, or none is
/// either. In a mixed set an Integer is an error, and no match, for the element that is
/// no integer: even if its text is another element.
pub(crate) fn compare_as_text<'a>(literals: impl Iterator<Item = &'a Arc<str>>) -> bool {
    let mut classes = literals.map(|literal| class(literal));
    let first = classes.next().flatten();
    first.is_some() && classes.all(|other| other == first)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Integer,
    Boolean,
    Text,
}

/// None for what is an integer or a boolean, but not in canonical text.
fn class(literal: &str) -> Option<Class> {
    let item = Item::Text(Cow::Borrowed(literal));
    match (item.to_integer(), item.to_boolean()) {
        (None, None) => Some(Class::Text),
        (Some(integer), _) if integer.to_string() == literal => Some(Class::Integer),
        (_, Some(truth)) if truth.to_string() == literal => Some(Class::Boolean),
        _ => None,
    }
}
