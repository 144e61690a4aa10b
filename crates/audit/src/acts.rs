//! The latest records but those that every message leaves, in memory: however many messages
//! passed since, who did what is seen at once.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::{Line, Look, Looked};

/// How many are kept.
const KEPT: usize = 1_000;

/// The latest of this process.
#[derive(Debug)]
pub(crate) struct Acts(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    /// Oldest first.
    lines: VecDeque<Line>,
    /// All from this number on are in `lines`.
    since: u64,
}

impl Acts {
    /// From this number on.
    pub(crate) fn since(seq: u64) -> Self {
        Self(Mutex::new(Kept { lines: VecDeque::new(), since: seq }))
    }

    /// Keeps those of written lines that are to be kept.
    pub(crate) fn keep(&self, lines: &[&[u8]]) {
        if lines.is_empty() {
            return;
        }
        let mut kept = self.0.lock();
        for line in lines {
            let Ok(line) = serde_json::from_slice(line) else { continue };
            kept.lines.push_back(line);
            if kept.lines.len() > KEPT
                && let Some(gone) = kept.lines.pop_front()
            {
                kept.since = gone.seq + 1;
            }
        }
    }

    /// What is known of what is looked for, and from which number on that is all.
    pub(crate) fn look(&self, look: &Look) -> (Looked, u64) {
        let kept = self.0.lock();
        let lines = kept.lines.iter().rev().filter(|line| look.is_met_by(line));
        let lines: Vec<Line> = lines.take(look.limit).cloned().collect();
        let is_full = lines.len() == look.limit;
        let further = lines.last().map(|line| line.seq).filter(|_| is_full);
        (Looked { lines, further }, kept.since)
    }
}
