//! How full an inbox was.

use std::sync::Arc;

use wissel_bus::InboxState;

/// The most surveys that are remembered of an inbox.
pub const HISTORY_LENGTH: usize = 60;

/// What was before, and what is now. An inbox in which nothing is costs nothing.
pub(super) fn extended(before: &Arc<[u32]>, now: &InboxState) -> Arc<[u32]> {
    let filled = u32::try_from(now.depth + now.in_flight).unwrap_or(u32::MAX);
    if filled == 0 && before.iter().all(|count| *count == 0) {
        return Arc::default();
    }
    let skip = (before.len() + 1).saturating_sub(HISTORY_LENGTH);
    before.iter().skip(skip).copied().chain([filled]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let mut history: Arc<[u32]> = Arc::default();
        for depth in 0..100 {
            history = extended(&history, &InboxState { depth, ..InboxState::default() });
        }
        assert_eq!(history.len(), HISTORY_LENGTH);
        assert_eq!((history[0], history[HISTORY_LENGTH - 1]), (40, 99));
        for _ in 0..HISTORY_LENGTH + 1 {
            history = extended(&history, &InboxState::default());
        }
        assert!(history.is_empty());
    }
}
