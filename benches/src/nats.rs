//! NATS JetStream as a peer: a server of one's own, with a stream in files.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Message};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;

use crate::work::{messages, per_second};

/// A server on a free port of 127.0.0.1, with files of its own. Ends when it is dropped.
pub struct Nats {
    port: u16,
    server: Child,
    _directory: TempDir,
}

const STREAM: &str = "events";
const SUBJECT: &str = "events.geboorte";
/// As many as one of our streams may have under way; with 1,000 it took 5 % fewer a second.
const WINDOW: usize = 4_000;
const START_PATIENCE: Duration = Duration::from_secs(10);

impl Nats {
    /// Starts a server; none when `nats-server` is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Option<Self>> {
        const PLACES: [&str; 3] = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
        let mut places = PLACES.iter().map(|place| Path::new(place).join("nats-server"));
        let Some(program) = places.find(|place| place.exists()) else { return Ok(None) };
        let directory = tempfile::tempdir()?;
        let port = wissel_testkit::free_port()?;
        let mut command = Command::new(program);
        command.args(["--jetstream", "--addr", "127.0.0.1", "--port", &port.to_string()]);
        command.arg("--store_dir").arg(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().context("nats-server")?;
        let nats = Self { port, server, _directory: directory };
        let begun = Instant::now();
        while let Err(error) = nats.connect().await {
            if begun.elapsed() > START_PATIENCE {
                bail!("nats-server does not answer: {error}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Some(nats))
    }

    async fn connect(&self) -> Result<jetstream::Context> {
        let client = async_nats::connect(format!("127.0.0.1:{}", self.port)).await?;
        let context = jetstream::new(client);
        context
            .get_or_create_stream(Config {
                name: STREAM.to_owned(),
                subjects: vec!["events.>".to_owned()],
                storage: StorageType::File,
                ..Config::default()
            })
            .await?;
        Ok(context)
    }

    /// Publishes `count` messages with at most 4,000 without an answer. Messages a second.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn publish(&self, count: u64) -> Result<f64> {
        let context = self.connect().await?;
        let messages = messages("nats", count)?;
        let context = &context;
        let begun = Instant::now();
        let mut answers = stream::iter(messages)
            .map(|body| async move { context.publish(SUBJECT, body).await?.await })
            .buffered(WINDOW);
        let mut answered = 0;
        while let Some(answer) = answers.next().await {
            answer?;
            answered += 1;
        }
        ensure!(answered == count, "{answered} answers for {count} messages");
        Ok(per_second(count, begun.elapsed()))
    }

    /// Takes and acknowledges `count` messages. Messages a second.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn receive(&self, name: &str, count: u64) -> Result<f64> {
        let context = self.connect().await?;
        let stream = context.get_stream(STREAM).await?;
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: 5_000,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let mut messages = consumer.stream().max_messages_per_batch(500).messages().await?;
        let begun = Instant::now();
        for _ in 0..count {
            let message: Message = messages.try_next().await?.context("the stream ended")?;
            if let Err(error) = message.ack().await {
                bail!("an acknowledgement failed: {error}");
            }
        }
        let rate = per_second(count, begun.elapsed());
        stream.delete_consumer(name).await?;
        stream.purge().await?;
        Ok(rate)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
