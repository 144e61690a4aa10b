use std::fmt;
use std::time::Duration;

use lapin::uri::AMQPUri;

use crate::pack::MEMBERS_MAX;

/// How the bus reaches RabbitMQ, and uses it.
#[derive(Clone)]
pub struct AmqpOptions {
    /// `amqp://user:password@host:5672/vhost`.
    pub url: String,
    /// How long a call waits for the broker before it fails.
    pub patience: Duration,
    /// How many messages may be published and not yet confirmed. Then publishers
    /// wait.
    pub unconfirmed_max: usize,
    /// How many bytes of events may be published and not yet confirmed. Then
    /// publishers wait.
    pub unconfirmed_bytes_max: u32,
    /// How messages travel together.
    pub packing: Packing,
    /// How long the archive keeps a message at most. Read when the archive is made;
    /// later it is for RabbitMQ's operator to change, by a policy.
    pub archive_retention: Duration,
    /// How often either side of a connection is heard at least, in whole seconds from 1 to
    /// 65,535 (AMQP 0-9-1, section 4.2.7). When RabbitMQ was not heard for twice as long, a
    /// connection counts as broken, though nobody closed it. RabbitMQ may ask for less, and
    /// `heartbeat` in the query of the URL goes first.
    pub heartbeat: Duration,
}

/// How many messages for the same inboxes travel as one AMQP message, when they
/// come faster than RabbitMQ confirms them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// The most messages of a pack, up to 4,096. 1: messages travel by themselves.
    pub messages_max: usize,
    /// The most bytes of events of a pack. A message of more travels by itself.
    pub bytes_max: usize,
}

/// Why a bus cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmqpError {
    /// The URL is none.
    #[error("not the URL of a RabbitMQ: {reason}; expected amqp://user:password@host:5672/vhost")]
    Url {
        /// What is wrong.
        reason: String,
    },
    /// The heartbeat cannot be.
    #[error("a heartbeat of {heartbeat:?}; expected whole seconds, 1 to 65535")]
    Heartbeat {
        /// What was asked for.
        heartbeat: Duration,
    },
    /// The packing cannot be.
    #[error("packing of {messages_max} messages; expected 1 to {MEMBERS_MAX}")]
    Packing {
        /// The most messages of a pack that were asked for.
        messages_max: usize,
    },
}

impl AmqpOptions {
    /// Waits 30 s, has 4,096 messages or 64 MiB unconfirmed at most, packs, keeps the
    /// archive for a week, and has a heartbeat of 10 s.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            patience: Duration::from_secs(30),
            unconfirmed_max: 4_096,
            unconfirmed_bytes_max: 64 << 20,
            packing: Packing::default(),
            archive_retention: Duration::from_secs(7 * 24 * 60 * 60),
            heartbeat: Duration::from_secs(10),
        }
    }

    /// Where RabbitMQ is, and how often it is to be heard.
    pub(crate) fn uri(&self) -> Result<AMQPUri, AmqpError> {
        let parsed: Result<AMQPUri, String> = self.url.parse();
        let mut uri = parsed.map_err(|reason| AmqpError::Url { reason })?;
        let seconds = u16::try_from(self.heartbeat.as_secs()).ok();
        let seconds = seconds.filter(|seconds| *seconds > 0 && self.heartbeat.subsec_nanos() == 0);
        let seconds = seconds.ok_or(AmqpError::Heartbeat { heartbeat: self.heartbeat })?;
        uri.query.heartbeat.get_or_insert(seconds);
        Ok(uri)
    }
}

impl Packing {
    /// Every message travels by itself.
    pub const OFF: Self = Self { messages_max: 1, bytes_max: 0 };

    pub(crate) fn is_on(self) -> bool {
        self.messages_max > 1
    }

    pub(crate) fn check(self) -> Result<(), AmqpError> {
        let Self { messages_max, .. } = self;
        if (1..=MEMBERS_MAX).contains(&messages_max) {
            return Ok(());
        }
        Err(AmqpError::Packing { messages_max })
    }
}

impl Default for Packing {
    /// Up to 512 messages, or 512 KiB of events.
    fn default() -> Self {
        Self { messages_max: 512, bytes_max: 512 << 10 }
    }
}

impl fmt::Debug for AmqpOptions {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpOptions")
            .field("patience", &self.patience)
            .field("unconfirmed_max", &self.unconfirmed_max)
            .field("unconfirmed_bytes_max", &self.unconfirmed_bytes_max)
            .field("packing", &self.packing)
            .field("archive_retention", &self.archive_retention)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_a_heartbeat() {
        let heartbeat = |url: &str, heartbeat| {
            let options = AmqpOptions { heartbeat, ..AmqpOptions::new(url) };
            options.uri().map(|uri| uri.query.heartbeat)
        };
        let seconds = Duration::from_secs;
        assert_eq!(heartbeat("amqp://h/v", seconds(10)), Ok(Some(10)));
        assert_eq!(heartbeat("amqp://h/v?heartbeat=3", seconds(10)), Ok(Some(3)));
        for wrong in [Duration::ZERO, Duration::from_millis(1_500), seconds(65_536)] {
            let error = heartbeat("amqp://h/v", wrong).unwrap_err();
            assert_eq!(error, AmqpError::Heartbeat { heartbeat: wrong });
            assert!(error.to_string().contains("whole seconds, 1 to 65535"), "{error}");
        }
    }
}
