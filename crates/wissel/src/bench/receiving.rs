//! The receiving side: what comes out of an inbox, and when.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wissel_identifiers::InboxName;

use super::publishing::histogram;
use crate::cli::BenchArguments;
use crate::client;
use crate::exit::Failure;

/// How many deliveries may be in hand.
const CREDIT: u32 = 1_000;

/// Takes messages out of an inbox while others publish.
pub(super) struct Receiver {
    coming: mpsc::UnboundedReceiver<Result<(String, Instant), Failure>>,
    _taking: AbortOnDropHandle<()>,
}

/// What came.
pub(super) struct Received {
    /// From when a message was to be sent to its delivery, in microseconds.
    pub(super) latencies: Histogram<u64>,
    /// Deliveries of a message that had come before.
    pub(super) again: u64,
    /// Messages with a receipt that did not come.
    pub(super) missing: u64,
    /// Deliveries of other messages, which were given back.
    pub(super) others: u64,
}

impl Receiver {
    pub(super) async fn open(
        arguments: &BenchArguments,
        inbox: &InboxName,
        run: &str,
    ) -> Result<Self, Failure> {
        let client = match &arguments.receive_as {
            Some(party) => client::connect_as(&arguments.connection, party.as_str())?,
            None => client::connect(&arguments.connection)?,
        };
        let mut open = client.subscribe(inbox.as_str()).credit(CREDIT).open().await?;
        let (tell, coming) = mpsc::unbounded_channel();
        let run = run.to_owned();
        let taking = tokio::spawn(async move {
            loop {
                let delivery = match open.next().await {
                    Ok(Some(delivery)) => delivery,
                    Ok(None) => return,
                    Err(error) => {
                        let _ = tell.send(Err(error.into()));
                        return;
                    }
                };
                let (id, at) = (delivery.event().id().to_owned(), Instant::now());
                // What is not of this run stays for its receiver.
                let settled = if id.starts_with(&run) {
                    delivery.acknowledge().await
                } else {
                    delivery.retry(Duration::from_secs(60), "taken by a benchmark").await
                };
                let told = settled.map(|()| (id, at)).map_err(Failure::from);
                if tell.send(told).is_err() {
                    return;
                }
            }
        });
        Ok(Self { coming, _taking: AbortOnDropHandle::new(taking) })
    }

    /// Waits until all that was confirmed has come, or nothing does any more.
    pub(super) async fn finish(
        mut self,
        sent_at: &HashMap<String, Instant>,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Received, Failure> {
        let mut came: HashMap<String, ()> = HashMap::with_capacity(sent_at.len());
        let mut latencies = histogram();
        let (mut again, mut others) = (0, 0);
        while came.len() < sent_at.len() {
            let coming = tokio::select! {
                () = stop.cancelled() => break,
                coming = tokio::time::timeout(patience, self.coming.recv()) => coming,
            };
            let Ok(Some(told)) = coming else { break };
            let (id, at) = told?;
            match sent_at.get(&id) {
                None => others += 1,
                Some(_) if came.contains_key(&id) => again += 1,
                Some(since) => {
                    let micros = at.saturating_duration_since(*since).as_micros();
                    latencies.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX).max(1));
                    came.insert(id, ());
                }
            }
        }
        let missing = (sent_at.len() - came.len()) as u64;
        Ok(Received { latencies, again, missing, others })
    }
}
