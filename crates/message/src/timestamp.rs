use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

/// A moment, as CloudEvents' Timestamp type has it: RFC 3339, to the nanosecond,
/// in the years 0001 to 9999.
///
/// ```
/// use wissel_message::Timestamp;
///
/// let time: Timestamp = "2026-11-24T10:00:00.5+01:00".parse()?;
/// assert_eq!(time.to_string(), "2026-11-24T09:00:00.5Z");
/// # Ok::<(), wissel_message::TimestampError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    /// Since 1970, rounded down.
    seconds: i64,
    /// After `seconds`.
    nanoseconds: i32,
}

/// Why something is not a [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The text is no RFC 3339 timestamp.
    #[error("not an RFC 3339 timestamp such as 2026-11-24T10:00:00Z")]
    Format,
    /// The seconds or nanoseconds are outside of the years 0001 to 9999.
    #[error("outside of the years 0001 to 9999, or with nanoseconds outside of 0 to 999,999,999")]
    Range,
}

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const LAST_NANOSECOND: i32 = 999_999_999;

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    const MIN: Self = Self { seconds: -62_135_596_800, nanoseconds: 0 };
    /// The end of 9999-12-31T23:59:59Z.
    const MAX: Self = Self { seconds: 253_402_300_799, nanoseconds: LAST_NANOSECOND };

    /// From seconds since 1970 and the nanoseconds after them, as in
    /// `google.protobuf.Timestamp`.
    ///
    /// # Errors
    /// [`TimestampError::Range`].
    pub fn new(seconds: i64, nanoseconds: i32) -> Result<Self, TimestampError> {
        let in_range = (Self::MIN.seconds..=Self::MAX.seconds).contains(&seconds)
            && (0..=LAST_NANOSECOND).contains(&nanoseconds);
        if in_range { Ok(Self { seconds, nanoseconds }) } else { Err(TimestampError::Range) }
    }

    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The moment on this machine's clock; none when it cannot show it.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let nanoseconds = Duration::from_nanos(u64::try_from(self.nanoseconds).ok()?);
        let whole = if self.seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(whole)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(whole)
        };
        whole?.checked_add(nanoseconds)
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`Timestamp::seconds`], from 0 to 999,999,999.
    #[must_use]
    pub fn nanoseconds(&self) -> i32 {
        self.nanoseconds
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads an RFC 3339 `date-time`. Digits past the nanosecond are dropped. A
    /// leap second (`:60`, the last second of a month in UTC) becomes the last
    /// nanosecond of second 59: the clocks of computers do not have it.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let parts = Parts::read(text.as_bytes()).ok_or(TimestampError::Format)?;
        let leap = parts.second == 60;
        let second = if leap { 59 } else { parts.second };
        let local =
            DateTime::new(parts.year, parts.month, parts.day, parts.hour, parts.minute, second, 0)
                .map_err(|_| TimestampError::Format)?;
        let since_1970 = local.duration_since(EPOCH).as_secs();
        let seconds = since_1970 - i64::from(parts.offset_minutes) * 60;
        if !leap {
            return Self::new(seconds, parts.nanoseconds);
        }
        if !ends_a_month(seconds) {
            return Err(TimestampError::Format);
        }
        Self::new(seconds, LAST_NANOSECOND)
    }
}

/// Whether the next second is the first of a month, in UTC.
fn ends_a_month(seconds: i64) -> bool {
    let next = EPOCH.checked_add(SignedDuration::from_secs(seconds + 1));
    match next {
        Ok(next) => next.day() == 1 && next.time() == jiff::civil::Time::midnight(),
        // The second after the last year that there is.
        Err(_) => true,
    }
}

/// The fields of an RFC 3339 `date-time`, as they stand there.
struct Parts {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanoseconds: i32,
    offset_minutes: i32,
}

impl Parts {
    fn read(text: &[u8]) -> Option<Self> {
        let (fixed, tail) = text.split_at_checked(19)?;
        let separated = fixed[4] == b'-'
            && fixed[7] == b'-'
            && matches!(fixed[10], b'T' | b't')
            && fixed[13] == b':'
            && fixed[16] == b':';
        if !separated {
            return None;
        }
        let two = |at: usize| two_digits(&fixed[at..at + 2]);
        let century = i16::from(two(0)?);
        let (nanoseconds, offset) = read_fraction(tail)?;
        Some(Self {
            year: century * 100 + i16::from(two(2)?),
            month: two(5)?,
            day: two(8)?,
            hour: two(11)?,
            minute: two(14)?,
            second: two(17).filter(|second| *second <= 60)?,
            nanoseconds,
            offset_minutes: read_offset(offset)?,
        })
    }
}

fn two_digits(text: &[u8]) -> Option<i8> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            i8::try_from((tens - b'0') * 10 + (ones - b'0')).ok()
        }
        _ => None,
    }
}

/// The nanoseconds of an optional fraction, and what follows it.
fn read_fraction(tail: &[u8]) -> Option<(i32, &[u8])> {
    let Some((b'.', fraction)) = tail.split_first() else {
        return Some((0, tail));
    };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.count();
    if length == 0 {
        return None;
    }
    let padded = fraction[..length].iter().chain([b'0'; 9].iter()).take(9);
    let nanoseconds = padded.fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    Some((nanoseconds, &fraction[length..]))
}

/// `Z`, or `±hh:mm`: in minutes east of Greenwich.
fn read_offset(text: &[u8]) -> Option<i32> {
    match text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = two_digits(&[*h1, *h2]).filter(|hours| *hours < 24)?;
            let minutes = two_digits(&[*m1, *m2]).filter(|minutes| *minutes < 60)?;
            let east = i32::from(hours) * 60 + i32::from(minutes);
            Some(if *sign == b'-' { -east } else { east })
        }
        _ => None,
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with no more digits than are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_1970 = SignedDuration::new(self.seconds, self.nanoseconds);
        // The calendar reaches from the year -9999 to 9999, so it has the moment.
        let moment = EPOCH.checked_add(since_1970).map_err(|_| fmt::Error)?;
        write!(f, "{moment}Z")
    }
}

impl From<SystemTime> for Timestamp {
    /// Moments outside of the years 0001 to 9999 become the nearest one inside.
    fn from(moment: SystemTime) -> Self {
        match moment.duration_since(UNIX_EPOCH) {
            Ok(after) => SignedDuration::try_from(after).map_or(Self::MAX, Self::clamped),
            Err(earlier) => SignedDuration::try_from(earlier.duration())
                .map_or(Self::MIN, |before| Self::clamped(-before)),
        }
    }
}

impl Timestamp {
    fn clamped(since_1970: SignedDuration) -> Self {
        let mut seconds = since_1970.as_secs();
        let mut nanoseconds = since_1970.subsec_nanos();
        if nanoseconds < 0 {
            seconds = seconds.saturating_sub(1);
            nanoseconds += 1_000_000_000;
        }
        let moment = Self { seconds, nanoseconds };
        moment.clamp(Self::MIN, Self::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_and_written_in_utc() {
        for (text, expected) in [
            ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
            ("2026-11-24t10:00:00z", "2026-11-24T10:00:00Z"),
            ("2026-11-24T10:00:00.123456789+02:00", "2026-11-24T08:00:00.123456789Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
            ("2026-11-24T10:00:00.1234567899Z", "2026-11-24T10:00:00.123456789Z"),
            ("2024-02-29T00:30:00+01:00", "2024-02-28T23:30:00Z"),
            ("2026-11-24T10:00:00-00:00", "2026-11-24T10:00:00Z"),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(time.to_string(), expected);
            assert_eq!(Timestamp::new(time.seconds(), time.nanoseconds()), Ok(time));
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T10:00:00",
            "2026-11-24T10:00Z",
            "24-11-2026T10:00:00Z",
            "2026-11-24T10:00:00.Z",
            "2026-11-24T10:00:00+0100",
            "2026-11-24T10:00:00+01",
            "2026-11-24 10:00:00Z",
            "2026-13-24T10:00:00Z",
            "2026-02-29T10:00:00Z",
            "2026-11-24T10:00:61Z",
            "2026-11-24T10:00:60Z",
            "2026-11-24T10:60:00Z",
            "2026-11-24T10:00:00+24:00",
            "2026-11-24T10:00:00+01:60",
            "+026-11-24T10:00:00Z",
            "٢026-11-24T10:00:00Z",
            "2026-11-24T25:00:00Z",
            "2026-11-24T10:00:00Z[UTC]",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError::Format), "{text}");
        }
        assert_eq!(Timestamp::new(0, -1), Err(TimestampError::Range));
        assert_eq!(Timestamp::new(253_402_300_800, 0), Err(TimestampError::Range));
    }

    #[test]
    fn a_leap_second_is_the_end_of_its_month() {
        for text in
            ["2016-12-31T23:59:60Z", "2017-01-01T00:59:60.5+01:00", "1990-12-31T15:59:60-08:00"]
        {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(time.nanoseconds(), 999_999_999, "{text}");
            assert!(time.to_string().ends_with("-12-31T23:59:59.999999999Z"));
        }
        assert_eq!("9999-12-31T23:59:60Z".parse(), Ok(Timestamp::MAX));
    }

    #[test]
    fn what_lies_outside_of_the_years_is_refused_or_brought_in() {
        for text in
            ["0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"]
        {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError::Range), "{text}");
        }
        let half_before = UNIX_EPOCH - Duration::from_millis(500);
        assert_eq!(Timestamp::from(half_before).to_string(), "1969-12-31T23:59:59.5Z");
        let far = Duration::from_secs(300_000_000_000);
        assert_eq!(Timestamp::from(UNIX_EPOCH + far), Timestamp::MAX);
        assert_eq!(Timestamp::from(UNIX_EPOCH - far), Timestamp::MIN);
    }
}
