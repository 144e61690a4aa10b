use std::sync::Arc;

use smallvec::SmallVec;
use wissel_filter::Operand;

use crate::key::{Key, PlaceKeys};
use crate::predicates::Predicate;

/// One alternative of a subscription, as it is held against a message. There may be
/// millions, most of them filed in one place and with nothing left to check there.
///
/// In this order in memory: what a match reads comes first, together.
#[repr(C)]
pub(crate) struct Entry<T> {
    /// Equal targets have the same number, others another one.
    pub(crate) target_number: u32,
    /// What must hold besides what the place says.
    pub(crate) left: Box<[Arc<Predicate>]>,
    pub(crate) target: T,
    /// The key of the subscription's name.
    pub(crate) name: Key,
    /// Where it is filed: what it matches is found in one of these at least.
    pub(crate) places: SmallVec<[Place; 1]>,
    /// The next alternative of the same subscription.
    pub(crate) next: Option<Arc<Entry<T>>>,
}

/// Where an entry is filed.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) key: Key,
    pub(crate) filing: Arc<Filing>,
}

/// How entries are filed; shared by all that are filed alike.
pub(crate) enum Filing {
    /// Under no event type, and nothing else.
    Anywhere,
    /// Under an event type, by its key, and nothing else.
    Type,
    /// Under the values of these together; and what makes the keys of each.
    Equal(Shape, SmallVec<[PlaceKeys; 2]>),
    /// Under the beginning of a text, or its end.
    Affix(AffixFiling),
    /// Under a set of subjects.
    Set,
}

/// Messages of one event type, by its key, or all.
pub(crate) type Scope = Option<Key>;

/// Which values a key stands for: that of the type, when the scope is one, and these.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) scope: Scope,
    pub(crate) operands: SmallVec<[Operand; 2]>,
}

/// Which beginning, or end, of what.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct AffixFiling {
    pub(crate) scope: Scope,
    pub(crate) operand: Operand,
    pub(crate) affix: Affix,
    pub(crate) text: Arc<str>,
}

/// Which end of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Affix {
    Prefix,
    Suffix,
}

/// What stands for an operand in a key.
pub(crate) fn name_of(operand: &Operand) -> &str {
    match operand {
        Operand::Attribute(name) => name,
        // Starts with a slash or is empty, as the name of no attribute does or is.
        Operand::Data(pointer) => pointer,
    }
}
