//! Waiting for the next message, and for the end of them.

use std::time::Duration;

use tokio::time::timeout;
use wissel_client::ClientError;

use crate::exit::Failure;

/// Where messages come from.
pub(super) trait Source {
    type Item;

    /// The next one. None is lost when the future is dropped.
    async fn next(&mut self) -> Result<Option<Self::Item>, ClientError>;

    /// Whether its stream is not known to be lost.
    fn is_connected(&self) -> bool;

    /// How many times its stream was opened again.
    fn reconnects(&self) -> u64;

    /// Asks the gateway anything, to hear whether it is there.
    async fn ask(&self) -> Result<(), ClientError>;
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    One(T),
    /// Nothing, for as long as was to be waited, from a gateway that is there.
    Nothing,
    /// The source ended.
    Ended,
}

/// The next message; with `idle`, as long as it does not come for so long. The wait begins anew
/// when the stream is opened again.
///
/// # Errors
/// As [`Source::next`], and when the wait is over and the gateway cannot be reached.
pub(super) async fn next<S: Source>(
    source: &mut S,
    idle: Option<Duration>,
) -> Result<Next<S::Item>, Failure> {
    let Some(idle) = idle else { return Ok(came(source.next().await?)) };
    loop {
        let reconnects = source.reconnects();
        if let Ok(next) = timeout(idle, source.next()).await {
            return Ok(came(next?));
        }
        if !source.is_connected() {
            return Err(Failure::unavailable(
                "the connection to the gateway was lost, and there is no other yet",
            ));
        }
        if source.reconnects() != reconnects {
            continue;
        }
        // A gateway that vanished without a word is noticed only after a while.
        source.ask().await?;
        if let Ok(next) = timeout(Duration::ZERO, source.next()).await {
            return Ok(came(next?));
        }
        if source.is_connected() && source.reconnects() == reconnects {
            return Ok(Next::Nothing);
        }
    }
}

fn came<T>(next: Option<T>) -> Next<T> {
    next.map_or(Next::Ended, Next::One)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::VecDeque;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    /// What befalls a source during one wait; after the last, nothing more does.
    enum Befalls {
        Comes(u32),
        IsLost,
        IsOpenedAgain,
        Nothing,
    }

    struct Scripted {
        script: VecDeque<Befalls>,
        is_connected: bool,
        reconnects: u64,
        is_there: bool,
        asked: Cell<u32>,
    }

    impl Scripted {
        fn new(script: impl IntoIterator<Item = Befalls>) -> Self {
            let script = script.into_iter().collect();
            let asked = Cell::new(0);
            Self { script, is_connected: true, reconnects: 0, is_there: true, asked }
        }
    }

    impl Source for Scripted {
        type Item = u32;

        async fn next(&mut self) -> Result<Option<u32>, ClientError> {
            match self.script.pop_front() {
                Some(Befalls::Comes(number)) => return Ok(Some(number)),
                Some(Befalls::IsLost) => self.is_connected = false,
                Some(Befalls::IsOpenedAgain) => {
                    self.is_connected = true;
                    self.reconnects += 1;
                }
                Some(Befalls::Nothing) | None => {}
            }
            std::future::pending().await
        }

        fn is_connected(&self) -> bool {
            self.is_connected
        }

        fn reconnects(&self) -> u64 {
            self.reconnects
        }

        async fn ask(&self) -> Result<(), ClientError> {
            self.asked.set(self.asked.get() + 1);
            let message = "nobody is there".to_owned();
            if self.is_there { Ok(()) } else { Err(ClientError::Transport { message }) }
        }
    }

    #[tokio::test]
    async fn the_wait_begins_anew_when_the_stream_is_opened_again() {
        let mut source = Scripted::new([Befalls::IsOpenedAgain, Befalls::Comes(7)]);
        assert_eq!(next(&mut source, Some(SOON)).await.unwrap(), Next::One(7));
        assert_eq!(source.asked.get(), 0);
        // So it does when that happens while the gateway is asked.
        let script = [Befalls::Nothing, Befalls::IsOpenedAgain, Befalls::Comes(7)];
        let mut source = Scripted::new(script);
        assert_eq!(next(&mut source, Some(SOON)).await.unwrap(), Next::One(7));
        assert_eq!(source.asked.get(), 1);
    }

    #[tokio::test]
    async fn nothing_came_only_from_a_gateway_that_is_there() {
        let mut source = Scripted::new([]);
        assert_eq!(next(&mut source, Some(SOON)).await.unwrap(), Next::Nothing);
        assert_eq!(source.asked.get(), 1);
        source.is_there = false;
        let failure = next(&mut source, Some(SOON)).await.unwrap_err();
        assert!(failure.is_for_now(), "exit code 3");
        let mut source = Scripted::new([Befalls::IsLost]);
        let failure = next(&mut source, Some(SOON)).await.unwrap_err();
        assert!(failure.is_for_now(), "exit code 3");
    }

    #[tokio::test]
    async fn what_comes_while_the_gateway_is_asked_is_taken() {
        let mut source = Scripted::new([Befalls::Nothing, Befalls::Comes(7)]);
        assert_eq!(next(&mut source, Some(SOON)).await.unwrap(), Next::One(7));
        assert_eq!(source.asked.get(), 1);
    }
}
