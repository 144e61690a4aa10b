use std::io;
use std::time::{Duration, Instant};

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

/// How many messages are ready in a queue: those that no consumer holds.
///
/// RabbitMQ waits 250 ms for a quorum queue to say, and then answers that there are none
/// (`rabbit_quorum_queue:stat/2`). So none is taken for an answer only when it was told before that,
/// and is asked for again otherwise.
///
/// # Errors
///
/// As of [`Channel::queue_declare`]; and that it timed out when every answer was late for a minute.
pub async fn messages_ready(channel: &Channel, queue: &str) -> lapin::Result<u32> {
    const LATE: Duration = Duration::from_millis(200);
    const PATIENCE: Duration = Duration::from_secs(60);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let asked = Instant::now();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
        if found.message_count() > 0 || asked.elapsed() < LATE {
            return Ok(found.message_count());
        }
    }
    Err(io::Error::from(io::ErrorKind::TimedOut).into())
}
