use std::fmt;

/// One rule that a message breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The attribute at fault.
    pub field: String,
    /// The rule.
    pub rule: Rule,
    /// What is wrong with the value. The value itself is not shown: it may be
    /// personal.
    pub fault: String,
    /// What was expected.
    pub expected: String,
}

/// Every rule that a message breaks; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations(pub(crate) Vec<Violation>);

/// The rules, by name. A name never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// `id`, `source`, `specversion` and `type` are present and not empty.
    Required,
    /// `specversion` is "1.0".
    SpecVersion,
    /// An attribute has a name of a-z and 0-9, which is not taken.
    AttributeName,
    /// An attribute has a value of the type that the specification gives it.
    AttributeType,
    /// An optional attribute is not empty when it is there.
    NotEmpty,
    /// A String holds no control characters and no noncharacters.
    Characters,
    /// A URI or URI-reference is one (RFC 3986).
    Uri,
    /// A Timestamp is one (RFC 3339).
    Timestamp,
    /// `datacontenttype` is a media type (RFC 2046).
    MediaType,
    /// A limit of this gateway on numbers and sizes.
    Limit,
}

impl Rule {
    /// The rule's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "ce-required",
            Self::SpecVersion => "ce-specversion",
            Self::AttributeName => "ce-attribute-name",
            Self::AttributeType => "ce-attribute-type",
            Self::NotEmpty => "ce-not-empty",
            Self::Characters => "ce-string-characters",
            Self::Uri => "ce-uri",
            Self::Timestamp => "ce-timestamp",
            Self::MediaType => "ce-media-type",
            Self::Limit => "limit",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; expected {} [{}]", self.field, self.fault, self.expected, self.rule)
    }
}

impl Violations {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}
