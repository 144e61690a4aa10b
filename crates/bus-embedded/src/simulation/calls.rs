//! Calls to the bus that are under way, polled by hand.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use wissel_bus::BusError;

use super::Found;

/// What a call came to.
#[derive(Debug)]
pub(super) enum Answer {
    Each(Vec<Result<(), BusError>>),
    One(Result<(), BusError>),
    Count(Result<u64, BusError>),
}

/// What it should come to, for each that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Fine,
    UnknownInbox,
    NotHeld,
}

pub(super) struct Call {
    pub(super) number: u64,
    future: Pin<Box<dyn Future<Output = Answer> + Send>>,
    /// Known once the writer had it.
    pub(super) expected: Option<Vec<Expected>>,
    /// The moment that an answer promises to keep, and whether over a loss of power.
    pub(super) promises: Option<(usize, bool)>,
    /// How many were asked.
    pub(super) answers: usize,
}

impl Call {
    pub(super) fn new(
        number: u64,
        answers: usize,
        future: impl Future<Output = Answer> + Send + 'static,
    ) -> Self {
        Self { number, future: Box::pin(future), expected: None, promises: None, answers }
    }

    /// None while there is no answer.
    pub(super) fn poll(&mut self) -> Option<Answer> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }
}

impl Answer {
    pub(super) fn each(self) -> Vec<Result<(), BusError>> {
        match self {
            Self::Each(answers) => answers,
            Self::One(answer) => vec![answer],
            Self::Count(answer) => vec![answer.map(|_| ())],
        }
    }
}

impl Expected {
    pub(super) fn is(self, answer: &Result<(), BusError>) -> bool {
        match answer {
            Ok(()) => self == Self::Fine,
            Err(BusError::UnknownInbox(_)) => self == Self::UnknownInbox,
            Err(BusError::NotHeld(_)) => self == Self::NotHeld,
            Err(_) => false,
        }
    }
}

/// The answer of a call that waits for nothing.
pub(super) fn now<T>(future: impl Future<Output = T>) -> Result<T, Found> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => Err(Found("a call waits that should not".to_owned())),
    }
}
