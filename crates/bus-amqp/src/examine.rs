//! Whether a RabbitMQ would do, without leaving anything there.

use std::time::Duration;

use futures::StreamExt as _;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Connection, ConnectionProperties, Event};

use crate::server::{self, Server};

/// How far a probe came. None holds the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// A message went to a queue of ours, and was confirmed. With what the server says that it
    /// is, if it could be understood.
    Passed(Option<Server>),
    /// There is no URL that can be read.
    BadUrl(String),
    /// Nothing answers there, or it does not let us in.
    NotConnected(String),
    /// We may not make or use a queue `wissel.…`.
    NotAllowed(String),
    /// It takes no messages, by an alarm of memory or disk.
    Blocked(String),
}

/// Connects, makes a queue that goes with the connection, and publishes an empty message to
/// it. Waits for as long as it takes: limit it from outside.
pub async fn probe(url: &str) -> Probe {
    let uri: AMQPUri = match url.parse() {
        Ok(uri) => uri,
        Err(fault) => return Probe::BadUrl(fault),
    };
    let properties = ConnectionProperties::default().with_connection_name("wissel doctor".into());
    let said = server::ask(&uri).await.ok();
    let connection = match Connection::connect_uri(uri, properties).await {
        Ok(connection) => connection,
        Err(error) => return Probe::NotConnected(error.to_string()),
    };
    let mut events = Box::pin(connection.events_listener());
    let blocked = async {
        while let Some(event) = events.next().await {
            if let Event::ConnectionBlocked(reason) = event {
                return reason;
            }
        }
        std::future::pending().await
    };
    let found = tokio::select! {
        used = use_queue(&connection) => match used {
            Ok(()) => Probe::Passed(said),
            Err(error) => Probe::NotAllowed(error.to_string()),
        },
        reason = blocked => Probe::Blocked(reason),
    };
    // What does not say goodbye in time is left.
    const PATIENCE: Duration = Duration::from_secs(1);
    let _ = tokio::time::timeout(PATIENCE, connection.close(200, "goodbye".into())).await;
    found
}

async fn use_queue(connection: &Connection) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let name = format!("wissel.doctor.{}", uuid::Uuid::now_v7());
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare(name.clone().into(), options, FieldTable::default()).await?;
    let confirm = channel
        .basic_publish(
            "".into(),
            name.clone().into(),
            BasicPublishOptions::default(),
            b"",
            BasicProperties::default(),
        )
        .await?;
    confirm.await?;
    channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
    Ok(())
}
