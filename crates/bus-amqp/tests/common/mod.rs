//! What the tests of the bus on RabbitMQ share.

use std::time::Duration;

use uuid::Uuid;
use wissel_bus::{Envelope, InboxName, MessageId};

/// A message whose event is its number, with spaces up to this length.
pub(crate) fn message(number: usize, length: usize) -> Envelope {
    let mut event = number.to_string().into_bytes();
    event.resize(length.max(event.len()), b' ');
    Envelope {
        message_id: MessageId::now(),
        publisher: "00000099000000001000".parse().unwrap(),
        admitted_at: std::time::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000),
        fields: None,
        replayed: false,
        event: event.into(),
    }
}

/// A name that no other test has.
pub(crate) fn inbox_name(label: &str) -> InboxName {
    let letters = Uuid::now_v7().simple().to_string().replace(|c: char| c.is_ascii_digit(), "x");
    let unique = format!("{:x}", Uuid::now_v7().as_u64_pair().1 & 0xff_ffff);
    format!("00000099000000001000.{label}-{letters}-{unique}").parse().unwrap()
}
