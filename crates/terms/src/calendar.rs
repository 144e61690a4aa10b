use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};

use crate::{CalendarError, Holiday};

/// Which days are free: Saturdays, Sundays and the recognised holidays, which it knows
/// itself, and those that are told.
///
/// Nothing is told of itself: neither the days that the government declares equal to
/// holidays, which the Staatscourant publishes some years ahead, nor the holidays of
/// schools, which are not the same in each region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    declared: BTreeSet<Date>,
    /// First and last day of each.
    school_holidays: Vec<(Date, Date)>,
}

impl Calendar {
    /// With the free days of the law, and no others.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a day on a level with the recognised holidays, as the government may by art.
    /// 3(3) of the Algemene termijnenwet: a day between a holiday and a weekend, mostly.
    pub fn declare(&mut self, day: Date) {
        self.declared.insert(day);
    }

    /// Adds a holiday of schools, with its first and its last day. They count for
    /// terms in school days only.
    ///
    /// # Errors
    /// When the last day comes before the first.
    pub fn add_school_holiday(&mut self, first: Date, last: Date) -> Result<(), CalendarError> {
        if last < first {
            return Err(CalendarError::Backwards { first, last });
        }
        self.school_holidays.push((first, last));
        Ok(())
    }

    /// Is it a recognised holiday, or a day that was declared equal to one?
    #[must_use]
    pub fn is_holiday(&self, day: Date) -> bool {
        self.declared.contains(&day) || Holiday::on(day).is_some()
    }

    /// Is it none of Saturday, Sunday and holiday?
    #[must_use]
    pub fn is_working_day(&self, day: Date) -> bool {
        !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.is_holiday(day)
    }

    /// Is it a working day outside the holidays of schools?
    #[must_use]
    pub fn is_school_day(&self, day: Date) -> bool {
        let away = self.school_holidays.iter().any(|(first, last)| (*first..=*last).contains(&day));
        !away && self.is_working_day(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn working_days_are_none_of_saturday_sunday_and_holiday() {
        let calendar = Calendar::new();
        // Thursday to Tuesday around Easter 2026.
        let working = ["2026-04-02", "2026-04-07"];
        let free = ["2026-04-03", "2026-04-04", "2026-04-05", "2026-04-06"];
        assert!(working.map(date).into_iter().all(|day| calendar.is_working_day(day)));
        assert!(!free.map(date).into_iter().any(|day| calendar.is_working_day(day)));
        assert!(!calendar.is_holiday(date("2026-04-04")), "a Saturday is free, and no holiday");
    }

    #[test]
    fn a_declared_day_is_a_holiday() {
        let mut calendar = Calendar::new();
        let bridge = date("2026-05-15");
        assert!(calendar.is_working_day(bridge));
        calendar.declare(bridge);
        assert!(calendar.is_holiday(bridge) && !calendar.is_working_day(bridge));
        assert!(!calendar.is_school_day(bridge));
    }

    #[test]
    fn the_holidays_of_schools_count_for_school_days_only() {
        let mut calendar = Calendar::new();
        let (first, last) = (date("2026-10-17"), date("2026-10-25"));
        calendar.add_school_holiday(first, last).unwrap();
        let monday = date("2026-10-19");
        assert!(calendar.is_working_day(monday) && !calendar.is_school_day(monday));
        assert!(calendar.is_school_day(date("2026-10-16")));
        assert!(calendar.is_school_day(date("2026-10-26")));
        assert_eq!(
            calendar.add_school_holiday(last, first).unwrap_err().to_string(),
            "a holiday from 2026-10-25 to 2026-10-17, expected the last day on or after the first"
        );
        calendar.add_school_holiday(first, first).unwrap();
    }
}
