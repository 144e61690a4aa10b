use std::cell::RefCell;

/// What a thread remembers while it matches one message: which targets it found, and
/// which conditions it looked at. Kept from message to message, so that matching takes
/// no memory; a number of the message tells what is of now.
#[derive(Default)]
pub(crate) struct Scratch {
    message: u32,
    /// By target: the last message that found it.
    found: Vec<u32>,
    /// By predicate: the last message that looked at it, and what came out in the
    /// lowest bit.
    looked_at: Vec<u32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// Runs `work` with this thread's scratch, made ready for another message. `work` does
    /// not match another one.
    pub(crate) fn with<R>(work: impl FnOnce(&mut Self) -> R) -> R {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.begin();
            work(scratch)
        })
    }

    fn begin(&mut self) {
        const LAST: u32 = u32::MAX >> 1;
        if self.message == LAST {
            *self = Self::default();
        }
        self.message += 1;
    }

    pub(crate) fn is_found(&self, target: u32) -> bool {
        self.found.get(target as usize) == Some(&self.message)
    }

    pub(crate) fn set_found(&mut self, target: u32) {
        *at(&mut self.found, target) = self.message;
    }

    /// Whether a predicate holds, looked at once for a message.
    pub(crate) fn once(&mut self, predicate: u32, look: impl FnOnce() -> bool) -> bool {
        let mark = at(&mut self.looked_at, predicate);
        if *mark >> 1 != self.message {
            *mark = self.message << 1 | u32::from(look());
        }
        *mark & 1 == 1
    }
}

fn at(marks: &mut Vec<u32>, number: u32) -> &mut u32 {
    let place = number as usize;
    if marks.len() <= place {
        // Grows seldom: to twice what is asked for.
        marks.resize(place * 2 + 64, 0);
    }
    &mut marks[place]
}
