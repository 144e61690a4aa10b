//! An entry of a file without what is wrong in it, so that the rest can be read.

use std::borrow::Cow;

use serde_path_to_error::{Path, Segment};
use toml::Spanned;
use toml::de::{DeArray, DeValue};

/// What stands for a field that is missing: the first of them that can be read as one. Every
/// field that must be there is a text.
const STAND_INS: [&str; 2] = ["00000001002220647000", "publish"];

/// An entry, and what was changed in it.
pub(crate) struct Mending<'a> {
    pub(crate) entry: Spanned<DeValue<'a>>,
    /// Fields that were wrong.
    left_out: Vec<Vec<Step>>,
    /// Fields that were missing, and how many stand-ins were tried.
    made_up: Vec<(Vec<Step>, usize)>,
}

/// One step down, from a value into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a field of a table.
    Field(String),
    /// Into an element of a list.
    Element(usize),
}

/// What was done about a fault.
pub(crate) enum Mended {
    /// What is wrong was left out.
    LeftOut,
    /// Something was made up for the field of this name, which is missing.
    MadeUp(String),
    /// The fault comes of what was done about another.
    Known,
    /// Nothing can be: it is the entry that is wrong.
    Not,
    /// The same, of a missing field that was told: nothing that was made up can be read as one.
    NotMadeUp,
}

impl<'a> Mending<'a> {
    pub(crate) fn new(entry: Spanned<DeValue<'a>>) -> Self {
        Self { entry, left_out: Vec::new(), made_up: Vec::new() }
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.left_out.is_empty() && self.made_up.is_empty()
    }

    /// Whether this field of the entry was wrong.
    pub(crate) fn has_left_out(&self, name: &str) -> bool {
        let is_it = |step: &Step| matches!(step, Step::Field(field) if field == name);
        self.left_out.iter().any(|place| place.len() == 1 && is_it(&place[0]))
    }

    /// Does something about a fault at this place, or about the missing field there.
    pub(crate) fn mend(&mut self, place: &[Step], missing: Option<&str>) -> Mended {
        if let Some(name) = missing {
            return self.make_up(place, name);
        }
        if let Some(at) = self.made_up.iter().position(|(made_up, _)| place.starts_with(made_up)) {
            let (place, tried) = self.made_up[at].clone();
            self.made_up[at].1 += 1;
            return if self.put(&place, tried) { Mended::Known } else { Mended::NotMadeUp };
        }
        match leave_out(&mut self.entry, place) {
            Some(depth) => {
                self.left_out.push(place[..depth].to_vec());
                Mended::LeftOut
            }
            None => Mended::Not,
        }
    }

    fn make_up(&mut self, table: &[Step], name: &str) -> Mended {
        let mut place = table.to_vec();
        place.push(Step::Field(name.to_owned()));
        if !self.put(&place, 0) {
            return Mended::Not;
        }
        let is_known = self.left_out.contains(&place);
        self.made_up.push((place, 1));
        if is_known { Mended::Known } else { Mended::MadeUp(name.to_owned()) }
    }

    /// Puts a stand-in at a place; false when there is no other, or no such place.
    fn put(&mut self, place: &[Step], number: usize) -> bool {
        let Some((Step::Field(name), table)) = place.split_last() else { return false };
        let Some(stand_in) = STAND_INS.get(number) else { return false };
        let Some(DeValue::Table(table)) = down(&mut self.entry, table).map(Spanned::get_mut) else {
            return false;
        };
        let value = DeValue::String(Cow::Borrowed(*stand_in));
        table.insert(Spanned::new(0..0, name.clone().into()), Spanned::new(0..0, value));
        true
    }
}

/// The value at a place.
fn down<'v, 'a>(
    value: &'v mut Spanned<DeValue<'a>>,
    place: &[Step],
) -> Option<&'v mut Spanned<DeValue<'a>>> {
    let Some((step, rest)) = place.split_first() else { return Some(value) };
    let next = match (value.get_mut(), step) {
        (DeValue::Table(table), Step::Field(name)) => table.get_mut(name.as_str()),
        (DeValue::Array(list), Step::Element(index)) => list.get_mut(*index),
        _ => None,
    };
    down(next?, rest)
}

/// Takes out what stands at a place, or else the nearest that it stands in; how many steps down
/// that was. None when that is the whole.
fn leave_out(value: &mut Spanned<DeValue<'_>>, place: &[Step]) -> Option<usize> {
    (1..=place.len()).rev().find(|depth| {
        let (last, table) = (&place[depth - 1], &place[..depth - 1]);
        match (down(value, table).map(Spanned::get_mut), last) {
            (Some(DeValue::Table(table)), Step::Field(name)) => {
                table.remove(name.as_str()).is_some()
            }
            (Some(DeValue::Array(list)), Step::Element(index)) if *index < list.len() => {
                let all = std::mem::replace(list, DeArray::new()).into_iter().enumerate();
                *list = all.filter(|(at, _)| at != index).map(|(_, one)| one).collect();
                true
            }
            _ => false,
        }
    })
}

/// The place that a path leads to.
pub(crate) fn steps(path: &Path) -> Vec<Step> {
    let steps = path.iter().filter_map(|segment| match segment {
        // A value with its place is read as if it were a table.
        Segment::Map { key } if key.starts_with("$__serde") => None,
        Segment::Map { key: name } | Segment::Enum { variant: name } => {
            Some(Step::Field(name.clone()))
        }
        Segment::Seq { index } => Some(Step::Element(*index)),
        Segment::Unknown => None,
    });
    steps.collect()
}

/// The name of the last field on the way to a place.
pub(crate) fn field(place: &[Step]) -> Option<&str> {
    place.iter().rev().find_map(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        Step::Element(_) => None,
    })
}

/// The field that is missing, when that is what is wrong.
pub(crate) fn missing_field(error: &toml::de::Error) -> Option<&str> {
    error.message().strip_prefix("missing field `")?.strip_suffix('`')
}
