//! What was published and has no answer yet, in lanes.
//!
//! RabbitMQ confirms what goes to the same queues in its order. So the first of each lane is
//! waited for; when it is confirmed, those behind it are looked at. To wait for each by itself
//! would wake the sender for each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use wissel_bus::BusError;

use crate::confirm::Tried;
use crate::gathering::Target;

/// What came of a pack, known by its number.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Of one try.
    Tried(Tried),
    /// Of what it takes to try again.
    Again(Result<(), BusError>),
}

type Trying = BoxFuture<'static, Tried>;

/// Waits for outcomes.
#[derive(Default)]
pub(crate) struct Waiting {
    /// What waits behind the first of each lane.
    lanes: HashMap<Arc<[Target]>, VecDeque<(u64, Trying)>>,
    firsts: FuturesUnordered<BoxFuture<'static, (Arc<[Target]>, u64, Tried)>>,
    /// What was done already when those before it were.
    done: VecDeque<(u64, Tried)>,
    again: FuturesUnordered<BoxFuture<'static, (u64, Outcome)>>,
}

impl Waiting {
    /// A pack to these targets was published behind all others to them.
    pub(crate) fn published(&mut self, targets: &Arc<[Target]>, number: u64, trying: Trying) {
        if let Some(behind) = self.lanes.get_mut(targets) {
            behind.push_back((number, trying));
        } else {
            self.lanes.insert(Arc::clone(targets), VecDeque::new());
            self.wait_for(Arc::clone(targets), number, trying);
        }
    }

    /// A pack is to be tried again when this is done.
    pub(crate) fn before_again(
        &mut self,
        number: u64,
        doing: impl Future<Output = Result<(), BusError>> + Send + 'static,
    ) {
        self.again.push(doing.map(move |done| (number, Outcome::Again(done))).boxed());
    }

    /// The next outcome; none when there is nothing to wait for. May be dropped at any time.
    pub(crate) async fn next(&mut self) -> Option<(u64, Outcome)> {
        if let Some((number, tried)) = self.done.pop_front() {
            return Some((number, Outcome::Tried(tried)));
        }
        tokio::select! {
            Some((targets, number, tried)) = self.firsts.next() => {
                self.look_behind(targets);
                Some((number, Outcome::Tried(tried)))
            }
            Some(again) = self.again.next() => Some(again),
            else => None,
        }
    }

    /// Nothing is waited for any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn look_behind(&mut self, targets: Arc<[Target]>) {
        while let Some(behind) = self.lanes.get_mut(&targets) {
            match behind.pop_front() {
                None => drop(self.lanes.remove(&targets)),
                Some((number, mut trying)) => match (&mut trying).now_or_never() {
                    Some(tried) => self.done.push_back((number, tried)),
                    None => return self.wait_for(targets, number, trying),
                },
            }
        }
    }

    fn wait_for(&mut self, targets: Arc<[Target]>, number: u64, trying: Trying) {
        self.firsts.push(trying.map(move |tried| (targets, number, tried)).boxed());
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

    fn lane(inbox: &str) -> Arc<[Target]> {
        Arc::new([Target::Inbox(inbox.parse().unwrap())])
    }

    /// The numbers of all that is done.
    fn done(waiting: &mut Waiting) -> Vec<u64> {
        let next = || waiting.next().now_or_never().flatten();
        std::iter::from_fn(next).map(|(number, _)| number).collect()
    }

    #[tokio::test]
    async fn a_lane_waits_for_its_first_and_for_no_other_lane() {
        let mut waiting = Waiting::default();
        let (a, b) = (lane("00000099000000001000.a"), lane("00000099000000001000.b"));
        let mut ends: VecDeque<Sender<Tried>> = VecDeque::new();
        for (number, lane) in (1..).zip([&a, &a, &a, &b, &b]) {
            let (end, trying) = trying();
            waiting.published(lane, number, trying);
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
        waiting.published(&a, 6, trying);
        end.send(Tried::Nacked).unwrap();
        assert_eq!(done(&mut waiting), [6], "and begins anew");
        assert!(waiting.next().await.is_none(), "there is nothing to wait for");
    }

    #[tokio::test]
    async fn what_is_to_be_tried_again_is_told_beside_the_lanes() {
        let mut waiting = Waiting::default();
        let (_end, trying) = trying();
        waiting.published(&lane("00000099000000001000.a"), 1, trying);
        waiting.before_again(2, std::future::ready(Err(BusError::Closed)));
        let (number, outcome) = waiting.next().await.unwrap();
        assert_eq!(number, 2);
        assert!(matches!(outcome, Outcome::Again(Err(BusError::Closed))), "{outcome:?}");
        waiting.clear();
        assert!(waiting.next().await.is_none());
    }
}
