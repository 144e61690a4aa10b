//! What rounds came to, in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

/// Numbers of one round, or of many.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Rounds.
    pub rounds: u64,
    /// Of those, rounds in which nothing went wrong.
    pub calm_rounds: u64,
    /// How long they took.
    pub took: Duration,
    /// Messages published.
    pub messages: u64,
    /// Messages with a receipt.
    pub receipts: u64,
    /// Times that a publisher did not know what had become of a message.
    pub unknown_outcomes: u64,
    /// Messages that were published again with their receipt in hand.
    pub repeats: u64,
    /// Of those, how many got their first receipt again.
    pub repeats_recognised: u64,
    /// Deliveries that came, all counted.
    pub deliveries: u64,
    /// Those that came again because a subscriber asked for it.
    pub retries: u64,
    /// Those that came again because nobody had settled them.
    pub unsettled_again: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Dead letters that came again when they were redriven.
    pub redriven: u64,
    /// Duplicates: deliveries that came again although their subscriber had settled them.
    pub duplicates: Duplicates,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Faults that could not be made here.
    pub skipped: BTreeMap<&'static str, u64>,
}

/// Duplicates by what allows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// Settled when the lease had ended.
    pub late: u64,
    /// Settled while a fault could lose the settlement.
    pub fault: u64,
    /// A second message: published again when nobody knew of the first.
    pub second_message: u64,
    /// A dead letter that was acknowledged as well, or is there twice.
    pub dead_letter: u64,
}

impl Duplicates {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.late + self.fault + self.second_message + self.dead_letter
    }
}

impl Counts {
    /// Adds those of other rounds.
    pub fn add(&mut self, other: &Self) {
        let mut numbers_of_other = other.clone();
        let numbers = self.numbers_mut().into_iter().zip(numbers_of_other.numbers_mut());
        for ((_, number), (_, other)) in numbers {
            *number += *other;
        }
        self.took += other.took;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (kind, count) in &other.skipped {
            *self.skipped.entry(kind).or_default() += count;
        }
    }

    /// What stands in the table, with its name.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        let mut counts = self.clone();
        let numbers = counts.numbers_mut();
        let mut rows: Vec<(String, u64)> =
            numbers.into_iter().map(|(name, number)| (name.to_owned(), *number)).collect();
        let faults = self.faults.iter().map(|(kind, count)| (format!("fault: {kind}"), *count));
        rows.extend(faults);
        let skipped = self.skipped.iter();
        rows.extend(skipped.map(|(kind, count)| (format!("not possible here: {kind}"), *count)));
        rows
    }

    fn numbers_mut(&mut self) -> Vec<(&'static str, &mut u64)> {
        vec![
            ("rounds", &mut self.rounds),
            ("of those without a fault", &mut self.calm_rounds),
            ("messages", &mut self.messages),
            ("receipts", &mut self.receipts),
            ("outcomes unknown to the publisher", &mut self.unknown_outcomes),
            ("published again with a receipt", &mut self.repeats),
            ("of those answered with the first receipt", &mut self.repeats_recognised),
            ("deliveries", &mut self.deliveries),
            ("came again as asked for", &mut self.retries),
            ("came again unsettled", &mut self.unsettled_again),
            ("dead letters", &mut self.dead_letters),
            ("dead letters redriven", &mut self.redriven),
            ("duplicates: settled after the lease", &mut self.duplicates.late),
            ("duplicates: settlement lost in a fault", &mut self.duplicates.fault),
            ("duplicates: second message after a fault", &mut self.duplicates.second_message),
            ("duplicates: dead letter after a fault", &mut self.duplicates.dead_letter),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_up() {
        let mut one = Counts { rounds: 1, messages: 10, ..Counts::default() };
        one.faults.insert("disk full", 1);
        one.duplicates.late = 3;
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!((sum.rounds, sum.messages, sum.duplicates.total()), (2, 20, 6));
        assert_eq!(sum.faults["disk full"], 2);
        assert!(sum.rows().contains(&("fault: disk full".to_owned(), 2)));
    }
}
