use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;
use wissel_bus::MessageId;
use wissel_identifiers::InboxName;

use crate::ReceiptsError;

/// What a receipt said, beyond the source and id that whoever asks has at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Wissel's own id of the message.
    pub message_id: MessageId,
    /// When it was admitted. Kept to the nanosecond.
    pub admitted_at: SystemTime,
    /// The inboxes it went to, in the order of the receipt.
    pub inboxes: Arc<[InboxName]>,
}

/// A [`Remembered`] as it is on disk, with numbers in place of names: 16 bytes of message
/// id, 8 of nanoseconds since 1970, and 4 for each inbox; all big endian.
pub(crate) struct Stored {
    pub(crate) message_id: MessageId,
    pub(crate) admitted_at: SystemTime,
    pub(crate) inboxes: Vec<u32>,
}

/// How many inboxes one unit of capacity pays for.
const INBOXES_PER_UNIT: usize = 16;

impl Remembered {
    /// How many units of the capacity it takes.
    pub(crate) fn units(&self) -> u64 {
        u64::try_from(1 + self.inboxes.len() / INBOXES_PER_UNIT).unwrap_or(u64::MAX)
    }
}

impl Stored {
    /// Appends it to `value`.
    pub(crate) fn encode(
        message_id: MessageId,
        admitted_at: SystemTime,
        inboxes: &[u32],
        value: &mut Vec<u8>,
    ) {
        let since = admitted_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        value.extend_from_slice(message_id.0.as_bytes());
        value.extend_from_slice(&u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).to_be_bytes());
        for inbox in inboxes {
            value.extend_from_slice(&inbox.to_be_bytes());
        }
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, ReceiptsError> {
        let damaged = || ReceiptsError::Damaged { expected: "a message id, a time, and inboxes" };
        let (id, rest) = value.split_first_chunk::<16>().ok_or_else(damaged)?;
        let (nanoseconds, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (numbers, []) = rest.as_chunks::<4>() else { return Err(damaged()) };
        let since = Duration::from_nanos(u64::from_be_bytes(*nanoseconds));
        Ok(Self {
            message_id: MessageId(Uuid::from_bytes(*id)),
            admitted_at: SystemTime::UNIX_EPOCH + since,
            inboxes: numbers.iter().map(|number| u32::from_be_bytes(*number)).collect(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back_and_what_is_cut_off_does_not() {
        let admitted_at = SystemTime::UNIX_EPOCH + Duration::new(1_790_000_000, 123_456_789);
        let message_id = MessageId::now();
        let mut value = Vec::new();
        Stored::encode(message_id, admitted_at, &[7, 70_000], &mut value);
        assert_eq!(value.len(), 32);
        let stored = Stored::decode(&value).unwrap();
        assert_eq!((stored.message_id, stored.admitted_at), (message_id, admitted_at));
        assert_eq!(stored.inboxes, [7, 70_000]);
        for length in [0, 15, 23, 26, 31] {
            assert!(Stored::decode(&value[..length]).is_err(), "{length}");
        }
    }
}
