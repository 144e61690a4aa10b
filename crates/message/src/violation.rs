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

impl Violation {
    /// A rule that is broken at this attribute.
    pub fn new(
        rule: Rule,
        field: impl Into<String>,
        fault: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), rule, fault: fault.into(), expected: expected.into() }
    }
}

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
    /// `expirytime` is a Timestamp that is still to come.
    ExpiryTime,
    /// `type` is in reverse domain name notation.
    TypeNotation,
    /// `type` has one version at most, prefixed by `v`.
    TypeVersion,
    /// `source` is no location of data.
    SourceLocation,
    /// `dataref` is a URI-reference.
    DataRef,
    /// `sequence` and `sequencetype` are what the extension says.
    Sequence,
    /// The name of an attribute has 20 characters at most.
    NameLength,
    /// `source` is a URN that names the organisation and its system.
    SourceUrn,
    /// `data` is JSON.
    Json,
    /// The message is no larger than 64 KiB.
    Size,
    /// No attribute but `subject` holds the number of a person.
    Sensitive,
    /// `type` is an event type of the catalogue.
    KnownType,
    /// `source` names an organisation that may publish the event type.
    Publisher,
    /// `subject` is an identifier of the kind that the event type has.
    Subject,
    /// `data` fits the schema of the event type.
    Data,
    /// A limit of this gateway on numbers and sizes.
    Limit,
}

/// How much a rule asks, in the words of RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// A message that breaks it is taken, with a warning.
    Should,
    /// A message that breaks it is refused.
    Must,
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
            Self::ExpiryTime => "ce-expirytime",
            Self::TypeNotation => "nlgov-type",
            Self::TypeVersion => "nlgov-type-version",
            Self::SourceLocation => "nlgov-source-location",
            Self::DataRef => "nlgov-dataref",
            Self::Sequence => "nlgov-sequence",
            Self::NameLength => "nlgov-attribute-name",
            Self::SourceUrn => "nlgov-source",
            Self::Json => "nlgov-datacontenttype",
            Self::Size => "nlgov-size",
            Self::Sensitive => "nlgov-sensitive",
            Self::KnownType => "catalogue-type",
            Self::Publisher => "catalogue-publisher",
            Self::Subject => "catalogue-subject",
            Self::Data => "catalogue-data",
            Self::Limit => "limit",
        }
    }

    /// Whether the rule is a MUST or a SHOULD.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::NameLength | Self::SourceUrn | Self::Json | Self::Size | Self::Sensitive => {
                Level::Should
            }
            _ => Level::Must,
        }
    }

    /// What the rule asks and where it stands, in a sentence for people.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Required => {
                "CloudEvents 1.0, \"Required attributes\": id, source, specversion and type are \
                 there and not empty."
            }
            Self::SpecVersion => "CloudEvents 1.0, \"specversion\": the version is \"1.0\".",
            Self::AttributeName => {
                "CloudEvents 1.0, \"Attribute naming convention\": a name is made of a-z and 0-9, \
                 and is not that of another part of the event."
            }
            Self::AttributeType => {
                "CloudEvents 1.0, \"Type system\": an attribute has a value, of the type that the \
                 specification gives it."
            }
            Self::NotEmpty => {
                "CloudEvents 1.0, \"Optional attributes\": when it is there it is not empty; leave \
                 it out instead."
            }
            Self::Characters => {
                "CloudEvents 1.0, \"Type system\": a String has no control characters and no \
                 noncharacters."
            }
            Self::Uri => {
                "CloudEvents 1.0, \"Type system\": a URI or URI-reference follows RFC 3986."
            }
            Self::Timestamp => {
                "CloudEvents 1.0, \"Type system\": a Timestamp can be written as RFC 3339 says."
            }
            Self::ExpiryTime => {
                "CloudEvents extension \"Expiry Time\": it is a Timestamp, and still to come."
            }
            Self::MediaType => {
                "CloudEvents 1.0, \"datacontenttype\": it is a media type (RFC 2046)."
            }
            Self::TypeNotation => {
                "NL GOV profile, \"type\": it is in reverse domain name notation, such as \
                 nl.brp.geboorte."
            }
            Self::TypeVersion => {
                "NL GOV profile, \"type\": when there is a version there is one, prefixed by the \
                 letter v, such as nl.brp.geboorte.v2."
            }
            Self::SourceLocation => {
                "NL GOV profile, \"source\": it does not refer to a location of data; dataref does."
            }
            Self::DataRef => {
                "NL GOV profile, \"dataref\": it is a URI-reference to where the data can be fetched."
            }
            Self::Sequence => {
                "NL GOV profile, \"sequence\": a text that is not empty; with sequencetype Integer \
                 it is a whole number of 32 bits, and sequencetype is never there alone."
            }
            Self::NameLength => {
                "NL GOV profile, \"Attribute naming convention\": a name should not exceed 20 \
                 characters."
            }
            Self::SourceUrn => {
                "NL GOV profile, \"source\": it should be a URN of the namespace nld that names the \
                 organisation, by its OIN, its KvK number or, in the EU, its eIDAS legal identifier, \
                 and then its system."
            }
            Self::Json => "NL GOV profile, \"datacontenttype\": the JSON format should be used.",
            Self::Size => {
                "NL GOV profile, \"Size limits\": intermediaries need not forward more than 64 KiB; \
                 large data should go by reference (dataref)."
            }
            Self::Sensitive => {
                "NL GOV profile, \"Privacy and Security\": sensitive information should not be \
                 carried in context attributes, which everybody on the way may read and log. Only \
                 subject is kept from logs here; put the number there, or in data."
            }
            Self::KnownType => {
                "The catalogue lists every event type, with the party that answers for it."
            }
            Self::Publisher => {
                "The catalogue grants the right to publish an event type; the source names who \
                 publishes."
            }
            Self::Subject => {
                "The catalogue says which kind of identifier the subject of this event type is."
            }
            Self::Data => "The catalogue holds the JSON Schema that data of this event type fits.",
            Self::Limit => "This gateway's limits on numbers and sizes.",
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
    /// Nothing when there is no violation.
    ///
    /// # Errors
    /// All of them, when there are any.
    pub fn none_of(violations: Vec<Violation>) -> Result<(), Self> {
        if violations.is_empty() { Ok(()) } else { Err(Self(violations)) }
    }

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

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl std::error::Error for Violations {}
