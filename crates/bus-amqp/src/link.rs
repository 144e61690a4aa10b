//! The connections to the broker, made again whenever they break.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::StreamExt as _;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wissel_bus::{BusError, InboxName};

use crate::topology;
use crate::up::Side;
pub(crate) use crate::up::{Up, in_time};

/// How long a call that is no publish waits for a broker that is not there: to be told so is an
/// answer, and who changes something keeps others from it meanwhile.
pub(crate) const CALL_PATIENCE: Duration = Duration::from_secs(3);
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const BACKOFF_LEAST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(3);

/// Keeps the connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    uri: AMQPUri,
    state: watch::Sender<State>,
    /// Why the broker takes no publishes now, if so.
    blocked: watch::Sender<Option<String>>,
    /// Declared again whenever a connection is made.
    inboxes: RwLock<HashSet<InboxName>>,
    /// How long the archive keeps what it gets.
    archive_retention: Duration,
    /// Whether the archive was seen to be there.
    has_archive: AtomicBool,
    closing: CancellationToken,
}

#[derive(Clone)]
enum State {
    Up(Up),
    Down(String),
}

impl Link {
    pub(crate) fn new(
        uri: AMQPUri,
        archive_retention: Duration,
        closing: CancellationToken,
    ) -> Self {
        let shared = Shared {
            uri,
            state: watch::Sender::new(State::Down("not connected yet".to_owned())),
            blocked: watch::Sender::new(None),
            inboxes: RwLock::default(),
            archive_retention,
            has_archive: AtomicBool::new(false),
            closing,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Connects, and connects again, until the bus is closed.
    pub(crate) async fn keep(self) {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(BACKOFF_LEAST)
            .with_max_delay(BACKOFF_MOST)
            .with_jitter()
            .without_max_times();
        let mut delays = backoff.build();
        let mut epoch = 0;
        loop {
            epoch += 1;
            let connected = tokio::select! {
                () = self.shared.closing.cancelled() => return,
                connected = self.connect(epoch) => connected,
            };
            match connected {
                Ok(up) => {
                    tracing::info!(broker = %self, "connected to RabbitMQ");
                    delays = backoff.build();
                    let reason = self.serve(up).await;
                    if self.shared.closing.is_cancelled() {
                        return;
                    }
                    tracing::warn!(broker = %self, reason, "lost RabbitMQ; connecting again");
                    self.down(reason);
                }
                Err(error) => self.failed(&error),
            }
            tokio::select! {
                () = self.shared.closing.cancelled() => return,
                () = tokio::time::sleep(delays.next().unwrap_or(BACKOFF_MOST)) => {}
            }
        }
    }

    /// The connections, waiting for them until `deadline`.
    pub(crate) async fn up(&self, deadline: Instant) -> Result<Up, BusError> {
        self.up_after(0, deadline).await
    }

    /// Connections newer than those of `epoch`.
    pub(crate) async fn up_after(&self, epoch: u64, deadline: Instant) -> Result<Up, BusError> {
        let newer = |state: &State| matches!(state, State::Up(up) if up.epoch > epoch);
        let mut state = self.shared.state.subscribe();
        tokio::select! {
            biased;
            () = self.shared.closing.cancelled() => Err(BusError::Closed),
            found = state.wait_for(newer) => match found.as_deref() {
                Ok(State::Up(up)) => Ok(up.clone()),
                _ => Err(BusError::Closed),
            },
            () = tokio::time::sleep_until(deadline) => Err(self.unavailable()),
        }
    }

    /// Waits until there are connections newer than those of `epoch`; for ever when the
    /// bus is closed.
    pub(crate) async fn replaced(&self, epoch: u64) {
        const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
        loop {
            match self.up_after(epoch, Instant::now() + A_DAY).await {
                Ok(_) => return,
                Err(BusError::Closed) => std::future::pending().await,
                Err(_) => {}
            }
        }
    }

    /// Whether the archive is there.
    pub(crate) fn has_archive(&self) -> bool {
        self.shared.has_archive.load(Ordering::Relaxed)
    }

    /// Waits until the bus is closed.
    pub(crate) async fn closed(&self) {
        self.shared.closing.cancelled().await;
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.shared.blocked.borrow().is_some()
    }

    /// Waits while the broker takes no publishes.
    pub(crate) async fn unblocked(&self, deadline: Instant) -> Result<(), BusError> {
        if self.shared.blocked.borrow().is_none() {
            return Ok(());
        }
        let mut blocked = self.shared.blocked.subscribe();
        tokio::select! {
            biased;
            () = self.shared.closing.cancelled() => Err(BusError::Closed),
            _ = blocked.wait_for(Option::is_none) => Ok(()),
            () = tokio::time::sleep_until(deadline) => Err(self.unavailable()),
        }
    }

    /// What an operator should know: whether all is well, and a sentence.
    pub(crate) fn health(&self) -> (bool, String) {
        if let Some(reason) = &*self.shared.blocked.borrow() {
            return (false, format!("RabbitMQ at {self} takes no messages: {reason}"));
        }
        match &*self.shared.state.borrow() {
            State::Up(_) => (true, format!("connected to RabbitMQ at {self}")),
            State::Down(reason) => {
                (false, format!("no connection to RabbitMQ at {self}: {reason}"))
            }
        }
    }

    pub(crate) fn unavailable(&self) -> BusError {
        BusError::Unavailable { reason: self.health().1 }
    }

    /// Why nothing can be kept in the archive that was not seen yet, nor be read from it.
    pub(crate) fn without_archive(&self) -> BusError {
        let (ready, detail) = self.health();
        let reason = if ready { "the archive is not there yet".to_owned() } else { detail };
        BusError::Unavailable { reason }
    }

    pub(crate) fn knows(&self, inbox: &InboxName) -> bool {
        self.shared.inboxes.read().contains(inbox)
    }

    /// Says whether it is new.
    pub(crate) fn add(&self, inbox: &InboxName) -> bool {
        self.shared.inboxes.write().insert(inbox.clone())
    }

    pub(crate) fn forget(&self, inbox: &InboxName) {
        self.shared.inboxes.write().remove(inbox);
    }

    /// A new channel of the connection that consumes, and which time it was made. Nothing is
    /// published by it: a broker that takes no messages would read nothing of that connection any
    /// more.
    pub(crate) async fn channel(&self, deadline: Instant) -> Result<(Channel, u64), BusError> {
        self.open(Side::Consuming, deadline).await
    }

    /// A new channel of the connection that publishes, for publishing with confirms.
    pub(crate) async fn publishing_channel(&self, deadline: Instant) -> Result<Channel, BusError> {
        Ok(self.open(Side::Publishing, deadline).await?.0)
    }

    /// As [`Link::publishing_channel`], of the connection that there is: also while the bus is
    /// being closed, and without waiting for a broker that takes no publishes.
    pub(crate) async fn parting_channel(&self) -> Result<Channel, BusError> {
        let up = match &*self.shared.state.borrow() {
            State::Up(up) if !self.is_blocked() => up.clone(),
            _ => return Err(self.unavailable()),
        };
        up.open(Side::Publishing).await.map_err(|_| self.unavailable())
    }

    async fn open(&self, side: Side, deadline: Instant) -> Result<(Channel, u64), BusError> {
        const PAUSE: Duration = Duration::from_millis(200);
        let mut seen = 0;
        loop {
            let up = self.up_after(seen, deadline).await?;
            match up.open(side).await {
                Ok(channel) => return Ok((channel, up.epoch)),
                Err(_) if Instant::now() >= deadline => return Err(self.unavailable()),
                // A broker that was slow, or has no more channels to give, may have one soon.
                Err(_) if up.is_connected(side) => tokio::time::sleep(PAUSE).await,
                // The connection broke just now: the next one will do.
                Err(_) => seen = up.epoch,
            }
        }
    }

    /// Declares inboxes that somebody deleted.
    pub(crate) async fn declare_again(
        &self,
        inboxes: &[InboxName],
        deadline: Instant,
    ) -> Result<(), BusError> {
        let (channel, _) = self.channel(deadline).await?;
        for inbox in inboxes.iter().filter(|inbox| self.knows(inbox)) {
            if in_time(topology::declare_inbox(&channel, inbox)).await.is_err() {
                return Err(self.unavailable());
            }
        }
        let _ = in_time(channel.close(200, "declared".into())).await;
        Ok(())
    }

    /// Closes the connections.
    pub(crate) async fn close(&self) {
        let last = self.shared.state.send_replace(State::Down("closed".to_owned()));
        if let State::Up(up) = last {
            up.close().await;
        }
    }

    /// Connects, and declares what there is to be; or says why not.
    async fn connect(&self, epoch: u64) -> Result<Up, String> {
        let opening = tokio::time::timeout(CONNECT_PATIENCE, self.open_both(epoch)).await;
        let opened = opening.map_err(|_| "no answer in time".to_owned())?;
        let up = opened.map_err(|error| error.to_string())?;
        let inboxes = self.shared.inboxes.read().iter().cloned().collect();
        let declaring = topology::declare_inboxes(&up.publishing, inboxes);
        declaring.await.map_err(|error| error.to_string())?;
        self.declare_archive(&up.publishing).await;
        Ok(up)
    }

    async fn open_both(&self, epoch: u64) -> lapin::Result<Up> {
        let publishing = self.connection("wissel publishing").await?;
        let consuming = self.connection("wissel consuming").await?;
        Up::new(epoch, publishing, consuming).await
    }

    /// A stream may need a while after its broker was killed. Inboxes do not wait for it.
    async fn declare_archive(&self, connection: &Connection) {
        let declaring = topology::declare_archive(connection, self.shared.archive_retention);
        match in_time(declaring).await {
            Ok(()) => self.shared.has_archive.store(true, Ordering::Relaxed),
            Err(error) => tracing::warn!(broker = %self, %error, "the archive is not there yet"),
        }
    }

    async fn connection(&self, name: &'static str) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Connection::connect_uri(self.shared.uri.clone(), properties).await
    }

    /// Until a connection breaks; says why.
    async fn serve(&self, up: Up) -> String {
        let mut publishing = Box::pin(up.publishing.events_listener());
        let mut consuming = Box::pin(up.consuming.events_listener());
        let mut watched = tokio::time::interval(Duration::from_secs(1));
        self.shared.state.send_replace(State::Up(up.clone()));
        loop {
            let event = tokio::select! {
                () = self.shared.closing.cancelled() => return "closing".to_owned(),
                Some(event) = publishing.next() => event,
                Some(event) = consuming.next() => match event {
                    // Only the publishing connection is blocked in earnest.
                    Event::ConnectionBlocked(_) | Event::ConnectionUnblocked => continue,
                    event => event,
                },
                _ = watched.tick() => {
                    // Should an event ever be missed.
                    if !up.is_whole() {
                        return "a connection is closed".to_owned();
                    }
                    if !self.has_archive() {
                        self.declare_archive(&up.publishing).await;
                    }
                    continue;
                }
            };
            match event {
                Event::ConnectionBlocked(reason) => {
                    tracing::warn!(broker = %self, reason, "RabbitMQ takes no messages");
                    self.shared.blocked.send_replace(Some(reason));
                }
                Event::ConnectionUnblocked => {
                    tracing::info!(broker = %self, "RabbitMQ takes messages again");
                    self.shared.blocked.send_replace(None);
                }
                // Of a channel that somebody asked for what is not there: its own affair.
                Event::Error(_) if up.is_whole() => {}
                Event::Error(error) => return error.to_string(),
                _ => {}
            }
        }
    }

    fn failed(&self, reason: &str) {
        tracing::warn!(broker = %self, reason, "RabbitMQ cannot be reached; trying again");
        self.down(reason.to_owned());
    }

    fn down(&self, reason: String) {
        self.shared.blocked.send_replace(None);
        self.shared.state.send_replace(State::Down(reason));
    }
}

impl fmt::Display for Link {
    /// Host, port and virtual host; never the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { authority, vhost, .. } = &self.shared.uri;
        write!(f, "{}:{} (virtual host {vhost})", authority.host, authority.port)
    }
}
