use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::stream::{Stream, poll_fn};
use tokio::sync::mpsc;
use wissel_proto::wissel::v1::PublishStreamRequest;

/// How many messages the transport took of one stream. It takes none before there is a
/// connection, and of those that it did not take it is certain that they were not sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    messages: usize,
    /// Nothing more is handed to the transport.
    is_over: bool,
}

impl Taken {
    /// What the transport takes from here is counted.
    pub(super) fn count(
        self,
        mut requests: mpsc::Receiver<PublishStreamRequest>,
    ) -> impl Stream<Item = PublishStreamRequest> + Send + 'static {
        poll_fn(move |context| self.take(&mut requests, context))
    }

    /// Ends the stream, and tells how many messages were taken until then.
    pub(super) fn end(&self) -> usize {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_over = true;
        state.messages
    }

    fn take(
        &self,
        requests: &mut mpsc::Receiver<PublishStreamRequest>,
        context: &mut Context<'_>,
    ) -> Poll<Option<PublishStreamRequest>> {
        // Held while a request is taken: one that is taken is counted, or none is taken any more.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            return Poll::Ready(None);
        }
        let taken = requests.poll_recv(context);
        if let Poll::Ready(Some(request)) = &taken {
            state.messages += request.events.len();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_not_taken_in_time_is_taken_no_more() {
        let (sender, requests) = mpsc::channel(2);
        let taken = Taken::default();
        let mut stream = Box::pin(taken.clone().count(requests));
        let events = vec![bytes::Bytes::new(); 3];
        sender.send(PublishStreamRequest { events: events.clone() }).await.unwrap();
        sender.send(PublishStreamRequest { events }).await.unwrap();
        assert_eq!(stream.next().await.unwrap().events.len(), 3);
        assert_eq!(taken.end(), 3);
        assert_eq!(stream.next().await, None);
    }
}
