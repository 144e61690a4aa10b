use std::fmt;
use std::time::Duration;

/// How the bus reaches RabbitMQ.
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
}

impl AmqpOptions {
    /// Waits 30 s, and has 4,096 messages or 64 MiB unconfirmed at most.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            patience: Duration::from_secs(30),
            unconfirmed_max: 4_096,
            unconfirmed_bytes_max: 64 << 20,
        }
    }
}

impl fmt::Debug for AmqpOptions {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpOptions")
            .field("patience", &self.patience)
            .field("unconfirmed_max", &self.unconfirmed_max)
            .field("unconfirmed_bytes_max", &self.unconfirmed_bytes_max)
            .finish_non_exhaustive()
    }
}
