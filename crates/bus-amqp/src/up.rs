//! Connections to the broker that work, and what is opened over them.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection};

use crate::topology;

/// How many channels publish: RabbitMQ has 32 messages of a channel under way to a quorum queue.
const PUBLISHING_CHANNELS: usize = 4;

/// Connections that worked when they were last seen. One publishes, the other
/// consumes, so that a broker that blocks publishers still takes acknowledgements.
#[derive(Clone)]
pub(crate) struct Up {
    /// Counts the connections made.
    pub(crate) epoch: u64,
    publish: Arc<[Arc<Channel>]>,
    pub(crate) publishing: Arc<Connection>,
    pub(crate) consuming: Arc<Connection>,
}

/// Which of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Its channels are for publishing with confirms.
    Publishing,
    Consuming,
}

/// What the client library does not answer within a few seconds it never answers: a
/// connection broke at a bad moment.
pub(crate) async fn in_time<T>(asking: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    const PATIENCE: Duration = Duration::from_secs(5);
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

impl Up {
    /// With the channels that publish.
    pub(crate) async fn new(
        epoch: u64,
        publishing: Connection,
        consuming: Connection,
    ) -> lapin::Result<Self> {
        let publish = publishing_channels(&publishing).await?;
        topology::declare_exchange(&publish[0]).await?;
        let (publishing, consuming) = (Arc::new(publishing), Arc::new(consuming));
        Ok(Self { epoch, publish, publishing, consuming })
    }

    /// By which channel goes what is published of a lane.
    pub(crate) fn channel_of_lane(&self, lane: u64) -> &Arc<Channel> {
        let number = lane % self.publish.len().max(1) as u64;
        &self.publish[usize::try_from(number).unwrap_or_default()]
    }

    /// A new channel.
    pub(crate) async fn open(&self, side: Side) -> lapin::Result<Channel> {
        match side {
            Side::Publishing => in_time(confirming_channel(&self.publishing)).await,
            Side::Consuming => in_time(self.consuming.create_channel()).await,
        }
    }

    pub(crate) fn is_connected(&self, side: Side) -> bool {
        let connection = match side {
            Side::Publishing => &self.publishing,
            Side::Consuming => &self.consuming,
        };
        connection.status().connected()
    }

    /// Whether both connections work, and the channels that publish.
    pub(crate) fn is_whole(&self) -> bool {
        let connected = [Side::Publishing, Side::Consuming].map(|side| self.is_connected(side));
        connected == [true; 2] && self.publish.iter().all(|one| one.status().connected())
    }

    pub(crate) async fn close(&self) {
        let close = |connection: &Arc<Connection>| {
            let connection = Arc::clone(connection);
            async move { in_time(connection.close(200, "goodbye".into())).await }
        };
        let _ = tokio::join!(close(&self.publishing), close(&self.consuming));
    }
}

async fn publishing_channels(connection: &Connection) -> lapin::Result<Arc<[Arc<Channel>]>> {
    let mut channels = Vec::new();
    for _ in 0..PUBLISHING_CHANNELS {
        channels.push(Arc::new(confirming_channel(connection).await?));
    }
    Ok(channels.into())
}

async fn confirming_channel(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}
