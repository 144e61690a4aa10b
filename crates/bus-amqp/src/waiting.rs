//! What was published and has no answer yet, in lanes.
//!
//! RabbitMQ confirms what goes to the same queues by the same channel in its order. So the first of
//! each such lane is waited for; when it is confirmed, those behind it are looked at. To wait for
//! each by itself would wake the sender for each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use wissel_bus::BusError;

use crate::confirm::Tried;
use crate::gathering::Target;

/// What was waited for. Packs are known by their numbers.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A pack was tried.
    Tried(u64, Tried),
    /// A pack that RabbitMQ said no to may be tried again.
    Rested(u64),
    /// These queues were declared again, or could not be.
    Declared(Arc<[Target]>, Result<(), BusError>),
}

/// What goes to these targets by the channel with this id.
type Lane = (Arc<[Target]>, u16);
/// A pack that was published.
type Trying = BoxFuture<'static, Tried>;
/// The first pack of a lane, and its number.
type First = BoxFuture<'static, (Lane, u64, Tried)>;

/// Waits for what comes of packs.
#[derive(Default)]
pub(crate) struct Waiting {
    /// What waits behind the first of each lane.
    lanes: HashMap<Lane, VecDeque<(u64, Trying)>>,
    firsts: FuturesUnordered<First>,
    /// What was done already when those before it were.
    done: VecDeque<(u64, Tried)>,
    others: FuturesUnordered<BoxFuture<'static, Outcome>>,
}

impl Waiting {
    /// A pack was published behind all others of its lane.
    pub(crate) fn published(&mut self, lane: Lane, number: u64, trying: Trying) {
        if let Some(behind) = self.lanes.get_mut(&lane) {
            behind.push_back((number, trying));
        } else {
            self.lanes.insert(lane.clone(), VecDeque::new());
            self.wait_for(lane, number, trying);
        }
    }

    /// Something else is waited for, beside the lanes.
    pub(crate) fn add(&mut self, other: impl Future<Output = Outcome> + Send + 'static) {
        self.others.push(other.boxed());
    }

    /// The next outcome; none when there is nothing to wait for. May be dropped at any time.
    pub(crate) async fn next(&mut self) -> Option<Outcome> {
        if let Some((number, tried)) = self.done.pop_front() {
            return Some(Outcome::Tried(number, tried));
        }
        tokio::select! {
            Some((lane, number, tried)) = self.firsts.next() => {
                self.look_behind(lane);
                Some(Outcome::Tried(number, tried))
            }
            Some(other) = self.others.next() => Some(other),
            else => None,
        }
    }

    /// Nothing is waited for any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn look_behind(&mut self, lane: Lane) {
        while let Some(behind) = self.lanes.get_mut(&lane) {
            match behind.pop_front() {
                None => drop(self.lanes.remove(&lane)),
                Some((number, mut trying)) => match (&mut trying).now_or_never() {
                    Some(tried) => self.done.push_back((number, tried)),
                    None => return self.wait_for(lane, number, trying),
                },
            }
        }
    }

    fn wait_for(&mut self, lane: Lane, number: u64, trying: Trying) {
        self.firsts.push(trying.map(move |tried| (lane, number, tried)).boxed());
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{self, Sender};

    use super::*;

    /// A try whose end is told by hand.
    fn trying() -> (Sender<Tried>, Trying) {
        let (tell, told) = oneshot::channel();
        (tell, async { told.await.unwrap_or(Tried::Broken) }.boxed())
    }

    fn lane(inbox: &str) -> Lane {
        (Arc::new([Target::Inbox(inbox.parse().unwrap())]), 1)
    }

    /// The numbers of all that is done.
    fn done(waiting: &mut Waiting) -> Vec<u64> {
        let next = || match waiting.next().now_or_never().flatten()? {
            Outcome::Tried(number, _) => Some(number),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(next).collect()
    }

    #[tokio::test]
    async fn a_lane_waits_for_its_first_and_for_no_other_lane() {
        let mut waiting = Waiting::default();
        let (a, b) = (lane("00000099000000001000.a"), lane("00000099000000001000.b"));
        let mut ends: VecDeque<Sender<Tried>> = VecDeque::new();
        for (number, lane) in (1..).zip([&a, &a, &a, &b, &b]) {
            let (end, trying) = trying();
            waiting.published(lane.clone(), number, trying);
            ends.push_back(end);
        }
        let mut end = |at: usize| ends.remove(at).unwrap().send(Tried::Confirmed).unwrap();
        assert!(done(&mut waiting).is_empty());
        // The second: not told before the first.
        end(1);
        assert!(done(&mut waiting).is_empty());
        // The fourth, of the other lane.
        end(2);
        assert_eq!(done(&mut waiting), [4]);
        end(0);
        assert_eq!(done(&mut waiting), [1, 2]);
        end(1);
        end(0);
        let mut rest = done(&mut waiting);
        rest.sort_unstable();
        assert_eq!(rest, [3, 5]);
        assert!(waiting.lanes.is_empty(), "a lane in which nothing waits is gone");
        let (end, trying) = trying();
        waiting.published(a, 6, trying);
        end.send(Tried::Nacked).unwrap();
        assert_eq!(done(&mut waiting), [6], "and begins anew");
        assert!(waiting.next().await.is_none(), "there is nothing to wait for");
    }

    #[tokio::test]
    async fn what_else_is_waited_for_comes_beside_the_lanes() {
        let mut waiting = Waiting::default();
        let (_end, trying) = trying();
        waiting.published(lane("00000099000000001000.a"), 1, trying);
        waiting.add(std::future::ready(Outcome::Rested(2)));
        let outcome = waiting.next().await.unwrap();
        assert!(matches!(outcome, Outcome::Rested(2)), "{outcome:?}");
        waiting.clear();
        assert!(waiting.next().await.is_none());
    }
}
