//! Many messages over one stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use wissel_message::Event;

use crate::{Client, ClientError, Receipt};

mod outbound;
mod worker;

use worker::{Entry, Worker};

/// Publishes without end over one stream; from [`Client::publisher`].
///
/// Messages that are ready go together in one request. After a broken connection, or
/// when the token with which it was opened is over, the stream is opened again, and what
/// has no outcome yet is sent again; the gateway recognises what it has already. A message that the bus cannot take for
/// now is sent again later, behind those that came after it: who needs the order
/// kept waits for each receipt.
///
/// Dropping a publisher abandons what has no outcome yet: those
/// [`PendingReceipt`]s give [`ClientError::Closed`]. [`Publisher::close`] waits for
/// them first.
///
/// ```no_run
/// # async fn run(client: wissel_client::Client, events: Vec<wissel_client::Event>) -> Result<(), wissel_client::ClientError> {
/// let publisher = client.publisher();
/// let mut receipts = Vec::new();
/// for event in &events {
///     receipts.push(publisher.send(event).await?);
/// }
/// for receipt in receipts {
///     println!("{}", receipt.await?.message_id);
/// }
/// publisher.close().await
/// # }
/// ```
pub struct Publisher {
    client: Client,
    options: PublisherOptions,
    accepted: mpsc::Sender<Entry>,
    places: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    giving_up: oneshot::Sender<Duration>,
    worker: AbortOnDropHandle<()>,
}

/// How a [`Publisher`] behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherOptions {
    /// The most messages without an outcome; [`Publisher::send`] waits for a place.
    /// Default 4,000, as on the gateway; taken as at least 1.
    pub max_in_flight: u32,
    /// The most bytes of messages without an outcome. Default 64 MiB; a larger
    /// message goes alone.
    pub max_bytes_in_flight: u32,
    /// How long a message is tried before it fails with the last error, counted
    /// from [`Publisher::send`]. Default 1 minute; `None`: without end. It is
    /// looked at when the stream fails or the bus is unavailable, not while the
    /// gateway is at work.
    pub give_up_after: Option<Duration>,
}

/// The receipt to come of one message: a future. When it is dropped the message is
/// published all the same.
#[must_use = "whether the message was refused is known here only"]
pub struct PendingReceipt {
    outcome: oneshot::Receiver<Result<Receipt, ClientError>>,
}

impl Client {
    /// A publisher with the default options. The stream is opened by the first
    /// message.
    ///
    /// # Panics
    /// When called outside a Tokio runtime.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        self.publisher_with(PublisherOptions::default())
    }

    /// A publisher with these options.
    ///
    /// # Panics
    /// When called outside a Tokio runtime.
    #[must_use]
    pub fn publisher_with(&self, options: PublisherOptions) -> Publisher {
        Publisher::start(self.clone(), options)
    }
}

impl Publisher {
    fn start(client: Client, mut options: PublisherOptions) -> Self {
        options.max_in_flight = options.max_in_flight.max(1);
        options.max_bytes_in_flight = options.max_bytes_in_flight.max(1);
        // Every entry holds a place, so there is always room in the channel.
        let places = places(options.max_in_flight);
        let (accepted, to_send) = mpsc::channel(places);
        let worker = Worker::new(client.clone(), to_send);
        let (giving_up, given_up) = oneshot::channel();
        Self {
            client,
            places: Arc::new(Semaphore::new(places)),
            bytes: Arc::new(Semaphore::new(self::places(options.max_bytes_in_flight))),
            options,
            accepted,
            giving_up,
            worker: AbortOnDropHandle::new(tokio::spawn(worker.run(given_up))),
        }
    }

    /// Hands a message over to be published, and gives the receipt to come. Waits
    /// while too many messages are without an outcome.
    ///
    /// # Errors
    /// [`ClientError::InvalidArgument`] when the message is larger than a request
    /// may be. The other errors come from the receipt.
    ///
    /// # Cancel safety
    /// When the future is dropped before it ends, nothing was handed over.
    pub async fn send(&self, event: &Event) -> Result<PendingReceipt, ClientError> {
        let frame = self.client.frame(event)?;
        let weight =
            u32::try_from(frame.len()).unwrap_or(u32::MAX).min(self.options.max_bytes_in_flight);
        let place = Arc::clone(&self.places).acquire_owned();
        let place = place.await.map_err(|_| ClientError::Closed)?;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(weight);
        let bytes = bytes.await.map_err(|_| ClientError::Closed)?;

        let (sender, outcome) = oneshot::channel();
        let give_up_after = self.options.give_up_after;
        let entry = Entry {
            frame,
            outcome: sender,
            give_up_at: give_up_after.and_then(|time| Instant::now().checked_add(time)),
            delays: None,
            may_be_kept: false,
            refused_for_now: None,
            _room: (place, bytes),
        };
        let handed_over = self.accepted.send(entry).await;
        handed_over.map_err(|_| ClientError::Closed)?;
        Ok(PendingReceipt { outcome })
    }

    /// Waits until every message handed over before has its outcome. What is handed
    /// over in the meantime waits for this.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the background task has ended.
    pub async fn flush(&self) -> Result<(), ClientError> {
        let all = self.places.acquire_many(self.options.max_in_flight);
        let _ = all.await.map_err(|_| ClientError::Closed)?;
        if self.worker.is_finished() {
            return Err(ClientError::Closed);
        }
        Ok(())
    }

    /// Waits until every message has its outcome, then ends the stream in good
    /// order. Takes at most about [`PublisherOptions::give_up_after`] when the
    /// gateway is gone.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the background task had ended before.
    pub async fn close(self) -> Result<(), ClientError> {
        drop(self.accepted);
        self.worker.await.map_err(|_| ClientError::Closed)
    }

    /// Gives up on every message that has no outcome. The reason that its [`PendingReceipt`]
    /// gives is the last answer to it, or [`ClientError::DeadlineExceeded`] `after` so long.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the background task had ended before.
    pub async fn give_up(self, after: Duration) -> Result<(), ClientError> {
        self.giving_up.send(after).map_err(|_| ClientError::Closed)?;
        self.worker.await.map_err(|_| ClientError::Closed)
    }
}

fn places(count: u32) -> usize {
    usize::try_from(count).map_or(Semaphore::MAX_PERMITS, |count| count.min(Semaphore::MAX_PERMITS))
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("options", &self.options)
            .field("free_places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

// === impl PublisherOptions ===

impl PublisherOptions {
    /// Sets [`PublisherOptions::max_in_flight`].
    #[must_use]
    pub fn max_in_flight(mut self, messages: u32) -> Self {
        self.max_in_flight = messages;
        self
    }

    /// Sets [`PublisherOptions::max_bytes_in_flight`].
    #[must_use]
    pub fn max_bytes_in_flight(mut self, bytes: u32) -> Self {
        self.max_bytes_in_flight = bytes;
        self
    }

    /// Sets [`PublisherOptions::give_up_after`].
    #[must_use]
    pub fn give_up_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.give_up_after = time.into();
        self
    }
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 4_000,
            max_bytes_in_flight: 64 << 20,
            give_up_after: Some(Duration::from_secs(60)),
        }
    }
}

// === impl PendingReceipt ===

impl Future for PendingReceipt {
    /// Errors say whether the message was published:
    ///
    /// - [`ClientError::Refused`]: it was not, and will not be as it is.
    /// - [`ClientError::NotPublished`]: it was not; its reason says whether it may be later.
    /// - [`ClientError::MayBePublished`], and [`ClientError::Closed`] when the publisher was
    ///   dropped: it is not known. Publishing it again is safe.
    type Output = Result<Receipt, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome)
            .poll(cx)
            .map(|outcome| outcome.unwrap_or(Err(ClientError::Closed)))
    }
}

impl fmt::Debug for PendingReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingReceipt").finish_non_exhaustive()
    }
}
