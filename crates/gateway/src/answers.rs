//! The answers of a stream, and the status that ends it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{FutureExt as _, Stream};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use crate::calls::CutOff;

/// How many answers wait for a caller that does not read. Then nothing more is made
/// for it.
const ANSWERS_WAITING: usize = 16;

/// Where the work of a stream puts its answers.
pub(crate) type Answers<T> = mpsc::Sender<T>;

/// Says how a stream ended. Dropped without a word, the work was cut off.
pub(crate) type Ending = oneshot::Sender<Result<(), Status>>;

/// What a caller gets: the answers, and then how the stream ended. The end has a place
/// of its own, so that work never waits for a caller that does not read.
pub(crate) struct AnswerStream<T> {
    answers: mpsc::Receiver<T>,
    end: Option<oneshot::Receiver<Result<(), Status>>>,
    cut_off: CutOff,
}

pub(crate) fn channel<T>(cut_off: CutOff) -> (Answers<T>, Ending, AnswerStream<T>) {
    let (sender, answers) = mpsc::channel(ANSWERS_WAITING);
    let (ending, end) = oneshot::channel();
    let stream = AnswerStream { answers, end: Some(end), cut_off };
    (sender, ending, stream)
}

impl<T> Stream for AnswerStream<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(answer) = ready!(self.answers.poll_recv(context)) {
            return Poll::Ready(Some(Ok(answer)));
        }
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        let ended = ready!(end.poll_unpin(context));
        self.end = None;
        // Work that panicked says nothing; that must not look like a good end.
        let ended = ended.unwrap_or_else(|_| Err(self.cut_off.status()));
        Poll::Ready(ended.err().map(Err))
    }
}
