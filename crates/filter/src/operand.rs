use std::fmt;
use std::sync::Arc;

use wissel_message::show_attribute_name;

/// What a condition reads of a message.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operand {
    /// A context attribute, by its name.
    Attribute(Arc<str>),
    /// A value in JSON `data`, by its JSON Pointer (RFC 6901).
    Data(Arc<str>),
}

/// The attributes that every valid event has.
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

impl Operand {
    /// Whether every valid event has it.
    pub(crate) fn is_required(&self) -> bool {
        matches!(self, Self::Attribute(name) if REQUIRED.contains(&&**name))
    }
}

impl fmt::Debug for Operand {
    /// A name or a pointer that could hold a personal number is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) if show_attribute_name(name, 0) == **name => f.write_str(name),
            Self::Attribute(_) => f.write_str("attribute"),
            Self::Data(pointer) if pointer.bytes().filter(u8::is_ascii_digit).count() < 8 => {
                write!(f, "data{pointer}")
            }
            Self::Data(_) => f.write_str("data"),
        }
    }
}
