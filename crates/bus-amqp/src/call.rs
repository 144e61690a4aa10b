//! One call of `enqueue`: what is still unanswered of it, and the room that it takes.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use wissel_bus::BusError;

use crate::codec::Kept;

/// A call that waits for its answers.
pub(crate) struct Call {
    room: Arc<Semaphore>,
    state: Mutex<State>,
    answered: Notify,
    /// Nobody waits for it any longer.
    deadline: Instant,
}

struct State {
    items: Vec<Item>,
    /// Items without an answer.
    unanswered: usize,
    /// Of the room, what was taken and not given back.
    taken: usize,
}

struct Item {
    /// Parts that are not confirmed.
    parts: usize,
    weight: usize,
    answer: Result<(), BusError>,
}

/// A message of a call, or a part of one. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) call: Arc<Call>,
    /// Which item of the call.
    pub(crate) item: usize,
    /// As in [`Enqueue`](wissel_bus::Enqueue).
    pub(crate) lane: u64,
    pub(crate) kept: Kept,
}

impl Call {
    /// `taken`: how much of the room was taken for it; it is given back as items are
    /// answered, and what is left of it when nobody has anything of the call any more.
    pub(crate) fn new(room: Arc<Semaphore>, taken: usize, deadline: Instant) -> Self {
        Self {
            room,
            state: Mutex::new(State { items: Vec::new(), unanswered: 0, taken }),
            answered: Notify::new(),
            deadline,
        }
    }

    /// Adds items, each with its weight, or with an answer; a weight of 0 is the answer
    /// `Ok`. Each is one part, unless [`Call::travels_in`] says otherwise.
    pub(crate) fn add(&self, items: impl Iterator<Item = Result<usize, BusError>>) {
        let mut state = self.state.lock();
        for item in items {
            let item = match item {
                Ok(weight) => Item { parts: weight.min(1), weight, answer: Ok(()) },
                Err(error) => Item { parts: 0, weight: 0, answer: Err(error) },
            };
            state.unanswered += usize::from(item.parts > 0);
            state.items.push(item);
        }
    }

    /// An item travels in so many parts; none of them may be done yet.
    pub(crate) fn travels_in(&self, item: usize, parts: usize) {
        self.state.lock().items[item].parts = parts;
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_given_up(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// A part of each of these items is done.
    fn done(&self, items: impl Iterator<Item = usize>, outcome: &Result<(), BusError>) {
        let mut state = self.state.lock();
        let mut freed = 0;
        for item in items {
            let item = &mut state.items[item];
            if let (Ok(()), Err(error)) = (&item.answer, outcome) {
                item.answer = Err(error.clone());
            }
            item.parts = item.parts.saturating_sub(1);
            if item.parts == 0 {
                freed += item.weight;
                state.unanswered = state.unanswered.saturating_sub(1);
            }
        }
        let all = state.unanswered == 0;
        let freed = if all { state.taken } else { freed.min(state.taken) };
        state.taken -= freed;
        drop(state);
        self.room.add_permits(freed);
        if all {
            self.answered.notify_one();
        }
    }

    /// Waits until every item has its answer.
    pub(crate) async fn answers(&self) -> Vec<Result<(), BusError>> {
        loop {
            {
                let state = self.state.lock();
                if state.unanswered == 0 {
                    return state.items.iter().map(|item| item.answer.clone()).collect();
                }
            }
            self.answered.notified().await;
        }
    }

    /// Answers what has no answer with `error`.
    pub(crate) fn answers_by_now(&self, error: &BusError) -> Vec<Result<(), BusError>> {
        let state = self.state.lock();
        let answer = |item: &Item| match item.parts {
            0 => item.answer.clone(),
            _ => Err(error.clone()),
        };
        state.items.iter().map(answer).collect()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.room.add_permits(self.state.get_mut().taken);
    }
}

/// The calls that these parts, which go out together, are of.
pub(crate) fn calls_of(members: &[Member]) -> Vec<Arc<Call>> {
    let runs = members.chunk_by(|a, b| Arc::ptr_eq(&a.call, &b.call));
    runs.map(|run| Arc::clone(&run[0].call)).collect()
}

/// These parts, which went out together, are done.
pub(crate) fn done(members: &[Member], outcome: &Result<(), BusError>) {
    for run in members.chunk_by(|a, b| Arc::ptr_eq(&a.call, &b.call)) {
        run[0].call.done(run.iter().map(|member| member.item), outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<(), BusError> {
        Err(BusError::Unavailable { reason: "no".to_owned() })
    }

    #[tokio::test]
    async fn an_item_is_answered_when_all_its_parts_are() {
        let room = Arc::new(Semaphore::new(0));
        let call = Call::new(Arc::clone(&room), 30, Instant::now());
        call.add([Ok(10), Err(BusError::Closed), Ok(10)].into_iter());
        call.travels_in(0, 2);
        call.done([0, 2].into_iter(), &Ok(()));
        assert_eq!(room.available_permits(), 10);
        call.done([0].into_iter(), &refused());
        assert_eq!(room.available_permits(), 30, "all that was taken is given back");
        assert_eq!(call.answers().await, [refused(), Err(BusError::Closed), Ok(())]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_gives_back_its_room_when_nobody_has_it_any_more() {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
        let room = Arc::new(Semaphore::new(0));
        let call = Arc::new(Call::new(Arc::clone(&room), 30, Instant::now() + PATIENCE));
        call.add([Ok(10), Ok(10), Ok(10)].into_iter());
        call.done([0].into_iter(), &Ok(()));
        assert!(!call.is_given_up());
        tokio::time::advance(PATIENCE).await;
        assert!(call.is_given_up());
        let with_the_sender = Arc::clone(&call);
        let late = Err(BusError::Closed);
        assert_eq!(call.answers_by_now(&BusError::Closed), [Ok(()), late.clone(), late]);
        drop(call);
        assert_eq!(room.available_permits(), 10, "its bodies are still there");
        with_the_sender.done([1].into_iter(), &Ok(()));
        assert_eq!(room.available_permits(), 20);
        drop(with_the_sender);
        assert_eq!(room.available_permits(), 30, "once, and all of it");
    }
}
