//! One pass over a frame in the protobuf format: where is what?

use std::ops::Range;

use smallvec::SmallVec;

/// Why bytes are not a CloudEvent in the protobuf format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame ends in the middle of a field.
    #[error("the frame ends in the middle of a field, at byte {at}")]
    Truncated {
        /// Where, from 0.
        at: usize,
    },
    /// A number of more than 64 bits.
    #[error("a number of more than 64 bits at byte {at}")]
    Varint {
        /// Where, from 0.
        at: usize,
    },
    /// A field of the CloudEvent has another wire type than its own.
    #[error("field {field} has wire type {wire_type} at byte {at}, expected {expected}")]
    WireType {
        /// The number of the field.
        field: u32,
        /// The wire type found.
        wire_type: u8,
        /// The wire type of that field.
        expected: u8,
        /// Where, from 0.
        at: usize,
    },
    /// No field has this number or wire type.
    #[error("not a field of a protobuf message at byte {at}")]
    Key {
        /// Where, from 0.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("field {field} is not UTF-8 text")]
    Utf8 {
        /// The number of the field.
        field: u32,
    },
    /// More attributes than any message needs.
    #[error("more than {max} attributes")]
    TooManyAttributes {
        /// The most that are taken.
        max: usize,
    },
    /// The frame is larger than any message can be.
    #[error("a frame of more than 4 GiB")]
    TooLarge,
}

/// Where a piece stands in the frame. 32 bits keep the view small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// Where a text stands in [`Scanned::texts`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TextSpan {
    start: u32,
    end: u32,
}

/// The value of an attribute: small ones by value, the others by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RawValue {
    /// No member of the oneof is set.
    Unset,
    Boolean(bool),
    Integer(i32),
    String(TextSpan),
    Binary(Span),
    Uri(TextSpan),
    UriReference(TextSpan),
    Timestamp {
        seconds: i64,
        nanoseconds: i32,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum RawData {
    Binary(Span),
    Text(Span),
    Proto(Span),
}

/// What a frame holds, by place.
#[derive(Clone, Default)]
pub(crate) struct Scanned {
    /// Every text of the frame but `data`, checked to be UTF-8 and kept as such, so
    /// that nothing has to be checked again when it is read.
    pub(crate) texts: String,
    pub(crate) id: TextSpan,
    pub(crate) source: TextSpan,
    pub(crate) spec_version: TextSpan,
    pub(crate) event_type: TextSpan,
    /// In the order of the frame; each name once.
    pub(crate) attributes: SmallVec<[(TextSpan, RawValue); 8]>,
    pub(crate) data: Option<RawData>,
}

/// The most entries of the map of attributes. Repeats count, so that a frame of
/// nothing but repeats costs no more than one of as many attributes.
pub(crate) const ATTRIBUTES_MAX: usize = 256;

/// Room for the texts of a usual message, in bytes; more is made when needed.
const TEXTS_EXPECTED: usize = 512;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

pub(crate) fn scan(frame: &[u8]) -> Result<Box<Scanned>, DecodeError> {
    if u32::try_from(frame.len()).is_err() {
        return Err(DecodeError::TooLarge);
    }
    match scan_frame(frame, false) {
        // Once more, to find out which text it is.
        Err(DecodeError::Utf8 { .. }) => scan_frame(frame, true),
        other => other,
    }
}

fn scan_frame(frame: &[u8], check_each_text: bool) -> Result<Box<Scanned>, DecodeError> {
    let reader = Reader::new(frame);
    let mut texts = Texts {
        bytes: Vec::with_capacity(frame.len().min(TEXTS_EXPECTED)),
        check_each: check_each_text,
    };
    let mut scanned = Box::<Scanned>::default();
    scan_event(reader, &mut scanned, &mut texts)?;
    scanned.texts = String::from_utf8(texts.bytes).map_err(|_| DecodeError::Utf8 { field: 0 })?;
    Ok(scanned)
}

/// The texts of a frame behind each other. They are checked to be UTF-8 all at once,
/// which is faster than one by one: each begins where a character begins, so each is
/// UTF-8 when they are together.
struct Texts {
    bytes: Vec<u8>,
    /// Check each, to know which is not.
    check_each: bool,
}

impl Texts {
    #[inline(always)]
    fn push(&mut self, field: u32, text: &[u8]) -> Result<TextSpan, DecodeError> {
        let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
        let wrong = text.first().is_some_and(continues)
            || (self.check_each && std::str::from_utf8(text).is_err());
        if wrong {
            return Err(DecodeError::Utf8 { field });
        }
        let start = place(self.bytes.len())?;
        self.bytes.extend_from_slice(text);
        Ok(TextSpan { start, end: place(self.bytes.len())? })
    }
}

/// The key of a field as it stands in the frame ("Message Structure" of Protocol Buffers).
const fn key(number: u64, wire_type: u8) -> u64 {
    number << 3 | wire_type as u64
}

fn scan_event(
    mut reader: Reader<'_>,
    scanned: &mut Scanned,
    texts: &mut Texts,
) -> Result<(), DecodeError> {
    const KNOWN: [u8; 8] = [LENGTH_DELIMITED; 8];
    const ID: u64 = key(1, LENGTH_DELIMITED);
    const SOURCE: u64 = key(2, LENGTH_DELIMITED);
    const SPEC_VERSION: u64 = key(3, LENGTH_DELIMITED);
    const TYPE: u64 = key(4, LENGTH_DELIMITED);
    const ATTRIBUTE: u64 = key(5, LENGTH_DELIMITED);
    const BINARY_DATA: u64 = key(6, LENGTH_DELIMITED);
    const TEXT_DATA: u64 = key(7, LENGTH_DELIMITED);
    const PROTO_DATA: u64 = key(8, LENGTH_DELIMITED);
    let mut entries = 0;
    while let Some(key) = reader.next_key()? {
        match key {
            ID => scanned.id = reader.text(1, texts)?,
            SOURCE => scanned.source = reader.text(2, texts)?,
            SPEC_VERSION => scanned.spec_version = reader.text(3, texts)?,
            TYPE => scanned.event_type = reader.text(4, texts)?,
            ATTRIBUTE => {
                entries += 1;
                if entries > ATTRIBUTES_MAX {
                    return Err(DecodeError::TooManyAttributes { max: ATTRIBUTES_MAX });
                }
                let (name, value) = scan_attribute(reader.part()?, texts)?;
                put_attribute(scanned, texts, name, value);
            }
            BINARY_DATA => scanned.data = Some(RawData::Binary(reader.span()?)),
            TEXT_DATA => scanned.data = Some(RawData::Text(reader.utf8(7)?)),
            PROTO_DATA => scanned.data = Some(RawData::Proto(reader.span()?)),
            _ => reader.skip_other(key, &KNOWN)?,
        }
    }
    Ok(())
}

/// Of two entries with one name, the last counts, as everywhere in protobuf.
fn put_attribute(scanned: &mut Scanned, texts: &Texts, name: TextSpan, value: RawValue) {
    let bytes = |span: TextSpan| &texts.bytes[span.range()];
    let same = |other: &&mut (TextSpan, RawValue)| bytes(other.0) == bytes(name);
    match scanned.attributes.iter_mut().find(same) {
        Some(earlier) => earlier.1 = value,
        None => scanned.attributes.push((name, value)),
    }
}

/// An entry of the map.
fn scan_attribute(
    mut entry: Reader<'_>,
    texts: &mut Texts,
) -> Result<(TextSpan, RawValue), DecodeError> {
    const NAME: u64 = key(1, LENGTH_DELIMITED);
    const VALUE: u64 = key(2, LENGTH_DELIMITED);
    let mut name = TextSpan::default();
    let mut value = RawValue::Unset;
    while let Some(key) = entry.next_key()? {
        match key {
            NAME => name = entry.text(1, texts)?,
            VALUE => scan_value(entry.part()?, &mut value, texts)?,
            _ => entry.skip_other(key, &[LENGTH_DELIMITED; 2])?,
        }
    }
    Ok((name, value))
}

fn scan_value(
    mut reader: Reader<'_>,
    value: &mut RawValue,
    texts: &mut Texts,
) -> Result<(), DecodeError> {
    const KNOWN: [u8; 7] = [
        VARINT,
        VARINT,
        LENGTH_DELIMITED,
        LENGTH_DELIMITED,
        LENGTH_DELIMITED,
        LENGTH_DELIMITED,
        LENGTH_DELIMITED,
    ];
    const BOOLEAN: u64 = key(1, VARINT);
    const INTEGER: u64 = key(2, VARINT);
    const STRING: u64 = key(3, LENGTH_DELIMITED);
    const BYTES: u64 = key(4, LENGTH_DELIMITED);
    const URI: u64 = key(5, LENGTH_DELIMITED);
    const URI_REFERENCE: u64 = key(6, LENGTH_DELIMITED);
    const TIMESTAMP: u64 = key(7, LENGTH_DELIMITED);
    while let Some(key) = reader.next_key()? {
        match key {
            STRING => *value = RawValue::String(reader.text(3, texts)?),
            BOOLEAN => *value = RawValue::Boolean(reader.raw_varint()? != 0),
            INTEGER => *value = RawValue::Integer(low_32_bits(reader.raw_varint()?)),
            BYTES => *value = RawValue::Binary(reader.span()?),
            URI => *value = RawValue::Uri(reader.text(5, texts)?),
            URI_REFERENCE => *value = RawValue::UriReference(reader.text(6, texts)?),
            TIMESTAMP => *value = scan_timestamp(reader.part()?, *value)?,
            _ => reader.skip_other(key, &KNOWN)?,
        }
    }
    Ok(())
}

/// A second timestamp in one value is merged with the first, as protobuf says.
fn scan_timestamp(mut reader: Reader<'_>, before: RawValue) -> Result<RawValue, DecodeError> {
    const SECONDS: u64 = key(1, VARINT);
    const NANOSECONDS: u64 = key(2, VARINT);
    let (mut seconds, mut nanoseconds) = match before {
        RawValue::Timestamp { seconds, nanoseconds } => (seconds, nanoseconds),
        _ => (0, 0),
    };
    while let Some(key) = reader.next_key()? {
        match key {
            SECONDS => seconds = reader.raw_varint()?.cast_signed(),
            NANOSECONDS => nanoseconds = low_32_bits(reader.raw_varint()?),
            _ => reader.skip_other(key, &[VARINT; 2])?,
        }
    }
    Ok(RawValue::Timestamp { seconds, nanoseconds })
}

/// An int32 travels as 64 bits, of which the low half counts.
#[expect(clippy::cast_possible_truncation, reason = "the high half is dropped on purpose")]
fn low_32_bits(number: u64) -> i32 {
    (number as u32).cast_signed()
}

#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) number: u32,
    wire_type: u8,
    pub(crate) at: usize,
}

/// Reads a stretch of the frame. The small steps are inlined: passed through memory,
/// their results cost more than the steps.
pub(crate) struct Reader<'a> {
    pub(crate) frame: &'a [u8],
    pub(crate) at: usize,
    end: usize,
    /// Where the last key began.
    key_at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0, end: frame.len(), key_at: 0 }
    }

    /// The key of the next field. It may be none that a field can have: whoever does not know
    /// it asks further, by [`Reader::skip_other`].
    #[inline(always)]
    fn next_key(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.at == self.end {
            return Ok(None);
        }
        self.key_at = self.at;
        self.raw_varint().map(Some)
    }

    pub(crate) fn next_field(&mut self) -> Result<Option<Field>, DecodeError> {
        self.next_key()?.map(|key| self.field(key)).transpose()
    }

    fn field(&self, key: u64) -> Result<Field, DecodeError> {
        let at = self.key_at;
        let wire_type = u8::try_from(key & 7).map_err(|_| DecodeError::Key { at })?;
        match u32::try_from(key >> 3) {
            Ok(number @ 1..=0x1FFF_FFFF) => Ok(Field { number, wire_type, at }),
            _ => Err(DecodeError::Key { at }),
        }
    }

    /// Skips a field that is not known. One that is known, by its place among these, has
    /// another wire type than that, and is refused.
    #[cold]
    fn skip_other(&mut self, key: u64, known: &[u8]) -> Result<(), DecodeError> {
        let field = self.field(key)?;
        match known.get(field.number as usize - 1) {
            Some(expected) => field.expect(*expected),
            None => self.skip(field),
        }
    }

    /// Puts a text with the others.
    #[inline(always)]
    fn text(&mut self, field: u32, texts: &mut Texts) -> Result<TextSpan, DecodeError> {
        let span = self.span()?;
        texts.push(field, span.of(self.frame))
    }

    fn utf8(&mut self, field: u32) -> Result<Span, DecodeError> {
        let span = self.span()?;
        match simdutf8::basic::from_utf8(span.of(self.frame)) {
            Ok(_) => Ok(span),
            Err(_) => Err(DecodeError::Utf8 { field }),
        }
    }

    /// What is within a field.
    #[inline(always)]
    fn part(&mut self) -> Result<Reader<'a>, DecodeError> {
        let Span { start, end } = self.span()?;
        let at = start as usize;
        Ok(Reader { frame: self.frame, at, end: end as usize, key_at: at })
    }

    pub(crate) fn nested(&mut self, field: Field) -> Result<Reader<'a>, DecodeError> {
        field.expect(LENGTH_DELIMITED)?;
        self.part()
    }

    /// Where the bytes of a field are, whose key says that it has some.
    #[inline(always)]
    fn span(&mut self) -> Result<Span, DecodeError> {
        let length = self.raw_varint()?;
        let start = self.at;
        self.advance(length)?;
        Ok(Span { start: place(start)?, end: place(self.at)? })
    }

    pub(crate) fn bytes(&mut self, field: Field) -> Result<Span, DecodeError> {
        field.expect(LENGTH_DELIMITED)?;
        self.span()
    }

    pub(crate) fn skip(&mut self, field: Field) -> Result<(), DecodeError> {
        match field.wire_type {
            VARINT => self.raw_varint().map(drop),
            FIXED64 => self.advance(8),
            LENGTH_DELIMITED => self.span().map(drop),
            FIXED32 => self.advance(4),
            // Groups are long deprecated; no field of a CloudEvent is one.
            _ => Err(DecodeError::Key { at: field.at }),
        }
    }

    #[inline(always)]
    fn advance(&mut self, length: u64) -> Result<(), DecodeError> {
        match usize::try_from(length) {
            Ok(length) if length <= self.end - self.at => {
                self.at += length;
                Ok(())
            }
            _ => Err(DecodeError::Truncated { at: self.at }),
        }
    }

    #[inline(always)]
    fn raw_varint(&mut self) -> Result<u64, DecodeError> {
        // Nearly every key and length is one byte.
        match self.frame[self.at..self.end].first() {
            Some(byte) if byte & 0x80 == 0 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let start = self.at;
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.frame[..self.end].get(self.at) else {
                return Err(DecodeError::Truncated { at: start });
            };
            self.at += 1;
            if shift == 63 && *byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError::Varint { at: start })
    }
}

impl Field {
    fn expect(self, expected: u8) -> Result<(), DecodeError> {
        if self.wire_type == expected {
            return Ok(());
        }
        let Self { number: field, wire_type, at } = self;
        Err(DecodeError::WireType { field, wire_type, expected, at })
    }
}

/// The frame is shorter than 4 GiB, which was checked before; so are its parts.
fn place(at: usize) -> Result<u32, DecodeError> {
    u32::try_from(at).map_err(|_| DecodeError::TooLarge)
}

impl TextSpan {
    pub(crate) fn of(self, texts: &str) -> &str {
        &texts[self.range()]
    }

    /// Whether this is the text. By bytes: where characters begin need not be known for that.
    pub(crate) fn holds(self, texts: &str, text: &str) -> bool {
        let bytes = texts.as_bytes();
        self.range().len() == text.len() && &bytes[self.range()] == text.as_bytes()
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Span {
    pub(crate) fn of(self, frame: &[u8]) -> &[u8] {
        &frame[self.range()]
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}
