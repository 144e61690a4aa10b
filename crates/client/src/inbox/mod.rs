//! Deliveries of one inbox.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::stream::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wissel_identifiers::InboxName;

use crate::{Client, ClientError};

mod delivery;
mod doubts;
mod link;
mod settlements;
mod worker;

pub use delivery::Delivery;
use link::Link;
use worker::Worker;

/// How many deliveries, and how many settlements, are on their way between the
/// caller and the background task. More waits where it is.
const HAND_OVER: usize = 256;

/// Opens an inbox; from [`Client::subscribe`].
#[derive(Debug, Clone)]
#[must_use = "nothing is opened before `open`"]
pub struct OpenInboxBuilder {
    client: Client,
    inbox: String,
    credit: u32,
    lease: Duration,
}

/// The deliveries of an inbox; from [`Client::subscribe`]. Also a
/// [`Stream`] of them.
///
/// # Broken connections
/// When the stream is lost, or the gateway shuts down, it is opened again by
/// itself, for as long as it takes; and once when the token is over that it was opened
/// with. The gateway gives back what was unsettled, so
/// the deliveries that came by the lost stream are stale: settling one gives
/// [`ClientError::LeaseLost`] and changes nothing, and its message comes again as
/// another [`Delivery`]. Stale deliveries that were not yet taken are left out.
///
/// # Ended leases
/// The gateway tells which deliveries are no longer held.
/// [`Delivery::is_lease_lost`] and the error of settling say so of one;
/// [`OpenInbox::lease_lost`] counts them all. A receiver with a growing count
/// needs a longer lease, less credit, or [`Delivery::extend_lease`].
///
/// # Deliveries that cannot be read
/// A message that this version cannot decode is rejected, so that an operator sees
/// it as a dead letter; it does not end the stream.
///
/// # Dropping
/// Ends the stream at once; everything unsettled is given back. The last
/// settlements may not have been sent: use [`OpenInbox::close`].
pub struct OpenInbox {
    deliveries: mpsc::Receiver<Result<Delivery, ClientError>>,
    counts: Arc<Counts>,
    closing: CancellationToken,
    worker: AbortOnDropHandle<u64>,
    inbox: InboxName,
}

/// What happened since the inbox was opened.
#[derive(Debug, Default)]
struct Counts {
    leases_lost: AtomicU64,
    reconnects: AtomicU64,
    /// The stream was lost, and is not yet opened again.
    is_cut_off: AtomicBool,
}

impl Client {
    /// Begins to open an inbox, named `OIN.name`, which the caller owns.
    pub fn subscribe(&self, inbox: impl Into<String>) -> OpenInboxBuilder {
        OpenInboxBuilder {
            client: self.clone(),
            inbox: inbox.into(),
            credit: 100,
            lease: Duration::from_secs(30),
        }
    }
}

// === impl OpenInboxBuilder ===

impl OpenInboxBuilder {
    /// The most deliveries unsettled at a time, from 1 to 10,000. Default 100. Besides, nothing
    /// more comes while 64 MiB, or what the gateway's operator set, are unsettled.
    pub fn credit(mut self, credit: u32) -> Self {
        self.credit = credit;
        self
    }

    /// How long there is to settle a delivery, from 1 s to 15 min. Default 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Opens the inbox. Tries again while the gateway is unavailable, until
    /// [`crate::ClientBuilder::call_timeout`].
    ///
    /// # Errors
    /// [`ClientError::InvalidArgument`] for a wrong name, credit or lease;
    /// [`ClientError::Refused`] with `UNKNOWN_INBOX` when there is no such inbox, or
    /// it is another party's.
    pub async fn open(self) -> Result<OpenInbox, ClientError> {
        let inbox: InboxName = self
            .inbox
            .parse()
            .map_err(|error| ClientError::invalid("inbox", format!("{error}")))?;
        if !(1..=10_000).contains(&self.credit) {
            return Err(ClientError::invalid("credit", "expected 1 to 10,000"));
        }
        check_lease(self.lease)?;

        let opening = link::Opening {
            client: self.client,
            inbox: inbox.clone(),
            credit: self.credit,
            lease: self.lease,
        };
        let link = opening.open_in_time().await?;
        Ok(OpenInbox::start(inbox, opening, link))
    }
}

fn check_lease(lease: Duration) -> Result<(), ClientError> {
    let allowed = Duration::from_secs(1)..=Duration::from_secs(15 * 60);
    if allowed.contains(&lease) {
        Ok(())
    } else {
        Err(ClientError::invalid("lease", "expected 1 s to 15 min"))
    }
}

// === impl OpenInbox ===

impl OpenInbox {
    fn start(inbox: InboxName, opening: link::Opening, link: Link) -> Self {
        let (to_caller, deliveries) = mpsc::channel(HAND_OVER);
        let counts = Arc::new(Counts::default());
        let closing = CancellationToken::new();
        let worker = Worker::new(opening, to_caller, Arc::clone(&counts), closing.clone());
        Self {
            deliveries,
            counts,
            closing,
            worker: AbortOnDropHandle::new(tokio::spawn(worker.run(link))),
            inbox,
        }
    }

    /// The next delivery. Waits for as long as it takes; `None` after an error.
    ///
    /// # Errors
    /// What another attempt would not mend, such as [`ClientError::Refused`] with
    /// `INBOX_CLOSED`. Nothing comes after it.
    ///
    /// # Cancel safety
    /// No delivery is lost when the future is dropped before it ends.
    pub async fn next(&mut self) -> Result<Option<Delivery>, ClientError> {
        std::future::poll_fn(|cx| self.poll_delivery(cx)).await.transpose()
    }

    /// How many deliveries were lost to an ended lease or a lost stream since the
    /// inbox was opened. Their messages come again.
    #[must_use]
    pub fn lease_lost(&self) -> u64 {
        self.counts.leases_lost.load(Ordering::Relaxed)
    }

    /// How many times the stream was opened again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.counts.reconnects.load(Ordering::Relaxed)
    }

    /// Whether the stream stands: nothing comes while it was lost and is not yet opened again.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.counts.is_cut_off.load(Ordering::Relaxed)
    }

    /// The inbox.
    #[must_use]
    pub fn name(&self) -> &InboxName {
        &self.inbox
    }

    /// Sends the settlements made so far, then ends the stream in good order, for which the
    /// gateway has 5 s. What is unsettled is given back; settling it afterwards gives
    /// [`ClientError::LeaseLost`].
    ///
    /// Tells how many settlements, of all since the inbox was opened, are not known to have been
    /// taken by the gateway: 0 when all were. The gateway does not answer them one by one, so in
    /// doubt are those that were under way when a stream was lost, at most twice the credit each
    /// time; those of deliveries of which the lease had ended; and, when the stream cannot be
    /// ended in good order now, the last ones. What was not taken comes again, and once it is
    /// settled anew it is no longer in doubt.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the background task failed.
    pub async fn close(self) -> Result<u64, ClientError> {
        self.closing.cancel();
        // The task must not wait for anybody to take what it has.
        drop(self.deliveries);
        self.worker.await.map_err(|_| ClientError::Closed)
    }

    fn poll_delivery(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Delivery, ClientError>>> {
        loop {
            match ready!(self.deliveries.poll_recv(cx)) {
                Some(Ok(delivery)) if delivery.is_lease_lost() => {}
                other => return Poll::Ready(other),
            }
        }
    }
}

impl Stream for OpenInbox {
    type Item = Result<Delivery, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_delivery(cx)
    }
}

impl fmt::Debug for OpenInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenInbox")
            .field("inbox", &self.inbox)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
