//! What Wissel itself says of a delivery that comes again or is given up on.

use std::fmt;

/// Why a delivery comes again or was given up on, where Wissel itself says so. What a receiver says
/// is free text. [`Display`](fmt::Display) writes it as it is kept, [`Said::read`] knows it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// The receiver said nothing in time.
    LeaseEnded,
    /// The grant to receive the event type is gone.
    GrantGone,
    /// The message is outside the row limits of the grant.
    OutsideLimits,
    /// Whether it is outside them cannot be told any more.
    LimitsUntold,
    /// Its `expirytime` has passed.
    Expired,
    /// It is older than its inbox keeps messages.
    TooOld,
    /// Its inbox was full.
    InboxFull,
    /// The AMQP client of its owner rejected it.
    RejectedByClient,
    /// The AMQP client of its owner did not take it in time.
    TooOldForClient,
    /// RabbitMQ gave it up, and it is not known why.
    GivenUpByRabbit,
    /// It is in an inbox of questions, and is none.
    NoQuestion,
    /// It is a question, and nobody waits for its answer any more.
    NobodyWaits,
    /// Its attributes are more than the headers of an AMQP message hold.
    AttributesTooLarge,
    /// Its `datacontenttype` is longer than AMQP has room for.
    ContentTypeTooLong,
    /// Where its data begins cannot be told.
    DataUntold,
    /// The AMQP client of its owner gave it back so often.
    CameBack(u32),
    /// It was attempted as often as it may be.
    Attempts {
        /// How often.
        attempts: u32,
        /// Why the last attempt failed.
        last: &'a str,
    },
    /// Its deadline passed.
    Deadline {
        /// At which attempt.
        attempt: u32,
        /// Why that failed.
        last: &'a str,
    },
    /// What is stored of it cannot be read, and why.
    Unreadable(&'a str),
    /// What Wissel was to do with it was refused: the code of the refusal, and its message.
    Refused(&'a str),
}

impl Said<'static> {
    /// Those that are always the same words.
    const FIXED: [Self; 15] = [
        Self::LeaseEnded,
        Self::GrantGone,
        Self::OutsideLimits,
        Self::LimitsUntold,
        Self::Expired,
        Self::TooOld,
        Self::InboxFull,
        Self::RejectedByClient,
        Self::TooOldForClient,
        Self::GivenUpByRabbit,
        Self::NoQuestion,
        Self::NobodyWaits,
        Self::AttributesTooLarge,
        Self::ContentTypeTooLong,
        Self::DataUntold,
    ];
}

impl<'a> Said<'a> {
    /// What this reason says, when it is one of ours.
    #[must_use]
    pub fn read(reason: &'a str) -> Option<Self> {
        if let Some(said) = Said::FIXED.iter().find(|said| said.to_string() == reason) {
            return Some(*said);
        }
        if let Some(rest) = reason.strip_prefix("given up after ") {
            let (attempts, last) = rest.split_once("; the last: ")?;
            let attempts = attempts.strip_suffix(" attempts").or(attempts.strip_suffix(" attempt"));
            return Some(Self::Attempts { attempts: attempts?.parse().ok()?, last });
        }
        if let Some(rest) = reason.strip_prefix("past its deadline, at attempt ") {
            let (attempt, last) = rest.split_once("; the last: ")?;
            return Some(Self::Deadline { attempt: attempt.parse().ok()?, last });
        }
        if let Some(rest) = reason.strip_prefix("came back ") {
            let times =
                rest.strip_suffix(" times from the AMQP client of its owner, unacknowledged");
            return Some(Self::CameBack(times?.parse().ok()?));
        }
        if let Some(refusal) = reason.strip_prefix("Wissel could not go on with it: ") {
            return Some(Self::Refused(refusal));
        }
        reason.strip_prefix("the stored message cannot be read: ").map(Self::Unreadable)
    }
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fixed = match self {
            Self::LeaseEnded => "the lease ended",
            Self::GrantGone => "the grant to receive this event type is gone",
            Self::OutsideLimits => "outside the row limits of the grant of now",
            Self::LimitsUntold => {
                "the grant has changed, and its row limits look into fields that this message was \
                 stored without"
            }
            Self::Expired => "expired: its expirytime has passed",
            Self::TooOld => "expired: older than the inbox keeps messages",
            Self::InboxFull => "the inbox was full",
            Self::RejectedByClient => "rejected by the AMQP client of its owner",
            Self::TooOldForClient => "expired: it waited too long for the AMQP client of its owner",
            Self::GivenUpByRabbit => "given up on by RabbitMQ",
            Self::NoQuestion => "it is no question",
            Self::NobodyWaits => "nobody waits for it",
            Self::AttributesTooLarge => {
                "its attributes do not fit in the headers of an AMQP message"
            }
            Self::ContentTypeTooLong => {
                "its datacontenttype is longer than an AMQP message can have"
            }
            Self::DataUntold => "its data cannot be told from its attributes",
            Self::CameBack(times) => {
                return write!(
                    f,
                    "came back {times} times from the AMQP client of its owner, unacknowledged"
                );
            }
            Self::Attempts { attempts: 1, last } => {
                return write!(f, "given up after 1 attempt; the last: {last}");
            }
            Self::Attempts { attempts, last } => {
                return write!(f, "given up after {attempts} attempts; the last: {last}");
            }
            Self::Deadline { attempt, last } => {
                return write!(f, "past its deadline, at attempt {attempt}; the last: {last}");
            }
            Self::Unreadable(why) => {
                return write!(f, "the stored message cannot be read: {why}");
            }
            Self::Refused(refusal) => {
                return write!(f, "Wissel could not go on with it: {refusal}");
            }
        };
        f.write_str(fixed)
    }
}

impl From<Said<'_>> for String {
    fn from(said: Said<'_>) -> Self {
        said.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_again_and_nothing_else_is() {
        let of_more = [
            Said::CameBack(21),
            Said::Attempts { attempts: 1, last: "the lease ended" },
            Said::Attempts { attempts: 5, last: "the lease ended" },
            Said::Deadline { attempt: 2, last: "no room; the last: one" },
            Said::Unreadable("no id"),
            Said::Refused("NOT_GRANTED: no right"),
        ];
        for said in Said::FIXED.into_iter().chain(of_more) {
            let words = said.to_string();
            assert!(!words.is_empty(), "{said:?}");
            assert_eq!(Said::read(&words), Some(said), "{words}");
        }
        // As it was written before.
        let before = Said::read("given up after 1 attempts; the last: x");
        assert_eq!(before, Some(Said::Attempts { attempts: 1, last: "x" }));
        for free in [
            "",
            "database is down",
            "given up after all",
            "came back home",
            "given up after x attempts; the last: y",
        ] {
            assert_eq!(Said::read(free), None, "{free}");
        }
    }
}
