use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// A moment, as CloudEvents' Timestamp type has it: RFC 3339, to the nanosecond.
///
/// ```
/// use wissel_message::Timestamp;
///
/// let time: Timestamp = "2026-11-24T10:00:00.5+01:00".parse()?;
/// assert_eq!(time.to_string(), "2026-11-24T09:00:00.5Z");
/// # Ok::<(), wissel_message::TimestampError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

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

impl Timestamp {
    /// The seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the range of
    /// `google.protobuf.Timestamp`.
    const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

    /// From seconds since 1970 and the nanoseconds after them, as in
    /// `google.protobuf.Timestamp`.
    ///
    /// # Errors
    /// [`TimestampError::Range`].
    pub fn new(seconds: i64, nanoseconds: i32) -> Result<Self, TimestampError> {
        if !Self::SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanoseconds) {
            return Err(TimestampError::Range);
        }
        let moment = jiff::Timestamp::from_second(seconds)
            .and_then(|moment| moment.checked_add(jiff::SignedDuration::new(0, nanoseconds)))
            .map_err(|_| TimestampError::Range)?;
        Ok(Self(moment))
    }

    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        let whole = self.0.as_second();
        if self.0.subsec_nanosecond() < 0 {
            whole - 1
        } else {
            whole
        }
    }

    /// Nanoseconds after [`Timestamp::seconds`], from 0 to 999,999,999.
    #[must_use]
    pub fn nanoseconds(&self) -> i32 {
        self.0.subsec_nanosecond().rem_euclid(1_000_000_000)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        // RFC 3339 is narrower than what the parser takes: it wants the 'T' (or
        // 't', or a blank), seconds, and an offset without seconds.
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 20
            && matches!(bytes[10], b'T' | b't' | b' ')
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && bytes[13] == b':'
            && bytes[16] == b':'
            && has_rfc3339_offset(&bytes[19..]);
        if !shaped {
            return Err(TimestampError::Format);
        }
        let moment: jiff::Timestamp = text.parse().map_err(|_| TimestampError::Format)?;
        let checked = Self(moment);
        Self::new(checked.seconds(), checked.nanoseconds())
    }
}

/// Takes what follows the seconds: an optional fraction, then `Z` or `±hh:mm`.
fn has_rfc3339_offset(tail: &[u8]) -> bool {
    let offset = match tail.split_first() {
        Some((b'.', fraction)) => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        _ => tail,
    };
    match offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<SystemTime> for Timestamp {
    /// Moments outside of the years 0001 to 9999 become the nearest one inside.
    fn from(moment: SystemTime) -> Self {
        match jiff::Timestamp::try_from(moment) {
            Ok(inside) => Self(inside),
            Err(_) if moment < SystemTime::UNIX_EPOCH => Self(jiff::Timestamp::MIN),
            Err(_) => Self(jiff::Timestamp::MAX),
        }
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
            (
                "2026-11-24T10:00:00.123456789+02:00",
                "2026-11-24T08:00:00.123456789Z",
            ),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
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
            "2026-13-24T10:00:00Z",
            "2026-11-24T25:00:00Z",
            "2026-11-24T10:00:00Z[UTC]",
        ] {
            assert_eq!(
                text.parse::<Timestamp>(),
                Err(TimestampError::Format),
                "{text}"
            );
        }
        assert_eq!(Timestamp::new(0, -1), Err(TimestampError::Range));
        assert_eq!(
            Timestamp::new(253_402_300_800, 0),
            Err(TimestampError::Range)
        );
    }
}
