//! Throw-away servers for tests.
//!
//! ```no_run
//! # async fn example() -> Result<(), wissel_testkit::TestkitError> {
//! let mut rabbitmq = wissel_testkit::RabbitMq::start().await?;
//! println!("{}", rabbitmq.url());
//! rabbitmq.kill().await?;
//! rabbitmq.start_again().await?;
//! # Ok(())
//! # }
//! ```

mod installation;
mod proxy;
mod queues;
mod rabbitmq;
mod readied;

pub use proxy::Proxy;
pub use queues::messages_ready;
pub use rabbitmq::{RabbitMq, TestkitError, free_port, shared_rabbitmq_url};
pub use readied::{Readied, Resource};
