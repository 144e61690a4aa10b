//! Counting: from a beginning to the end of a term, and back from an end.

use jiff::civil::Date;
use jiff::{Span, Timestamp};

use crate::{Calendar, Term, Unit, amsterdam};

impl Term {
    /// When the term is over that begins at a moment: the end of its last day, which is the
    /// midnight after it in Amsterdam.
    ///
    /// The day on which it begins does not count: a week from any moment on Monday ends with
    /// the next Monday. Months and years end on the day of the same number, or the last of
    /// the month when it has none: a month from 31 January ends with 28 or 29 February. The
    /// end is then extended as the Algemene termijnenwet says, when it holds
    /// ([`Term::is_extended`]). Hours are exact, to the moment.
    ///
    /// [`Timestamp::MAX`] for what would end after it, in the year 9999.
    #[must_use]
    pub fn ends(self, start: Timestamp, calendar: &Calendar) -> Timestamp {
        if self.unit() == Unit::Hours {
            let hours = Span::new().hours(i32::from(self.count()));
            return start.checked_add(hours).unwrap_or(Timestamp::MAX);
        }
        let first = amsterdam::clock(start).date();
        let last = self.last_day(first, calendar);
        last.map_or(Timestamp::MAX, amsterdam::end_of)
    }

    /// The moment from which exactly this much is left until another, such as the end of a
    /// term: when to remind of it. Counted back, and so not extended (art. 1(2) of the
    /// Algemene termijnenwet): it may be a Sunday.
    ///
    /// Before the end of a day, whole days are left: 3 working days before the end of a
    /// Tuesday is the beginning of the Friday. [`Timestamp::MIN`] for what would be before
    /// it.
    #[must_use]
    pub fn reminder(self, end: Timestamp, calendar: &Calendar) -> Timestamp {
        if self.unit() == Unit::Hours {
            let hours = Span::new().hours(i32::from(self.count()));
            return end.checked_sub(hours).unwrap_or(Timestamp::MIN);
        }
        let clock = amsterdam::clock(end);
        let day = match self.counted(calendar) {
            Some(counts) => nth_day_back(clock.date(), self.count(), counts),
            None => clock.date().checked_sub(self.span()).ok(),
        };
        day.map_or(Timestamp::MIN, |day| amsterdam::moment(day.to_datetime(clock.time())))
    }

    /// The last day of the term of which a day is the beginning. None when it is past the
    /// end of the calendar.
    fn last_day(self, first: Date, calendar: &Calendar) -> Option<Date> {
        let last = match self.counted(calendar) {
            Some(counts) => nth_day(first, self.count(), counts)?,
            None => first.checked_add(self.span()).ok()?,
        };
        if self.is_extended() { self.extend(first, last, calendar) } else { Some(last) }
    }

    /// Puts off the end of a term by articles 1 and 2: until it is a working day, and there
    /// are two of them in a term of three days or more.
    fn extend(self, first: Date, mut last: Date, calendar: &Calendar) -> Option<Date> {
        let needed = if self.is_three_days() { 2 } else { 0 };
        let mut working = 0;
        let mut day = first;
        while working < needed && day < last {
            day = day.tomorrow().ok()?;
            working += u8::from(calendar.is_working_day(day));
        }
        while !calendar.is_working_day(last) || working < needed {
            last = last.tomorrow().ok()?;
            working = working.saturating_add(u8::from(calendar.is_working_day(last)));
        }
        Some(last)
    }

    /// Is it a term of at least three days?
    fn is_three_days(self) -> bool {
        match self.unit() {
            Unit::Hours => false,
            Unit::Days | Unit::WorkingDays | Unit::SchoolDays => self.count() >= 3,
            Unit::Weeks | Unit::Months | Unit::Years => true,
        }
    }

    /// Which days count, for a unit that leaves days out.
    fn counted(self, calendar: &Calendar) -> Option<impl Fn(Date) -> bool> {
        let of_schools = match self.unit() {
            Unit::WorkingDays => false,
            Unit::SchoolDays => true,
            Unit::Hours | Unit::Days | Unit::Weeks | Unit::Months | Unit::Years => return None,
        };
        Some(move |day| match of_schools {
            true => calendar.is_school_day(day),
            false => calendar.is_working_day(day),
        })
    }

    /// What it is on the calendar. Nothing for a unit that is not counted there.
    fn span(self) -> Span {
        let count = i32::from(self.count());
        match self.unit() {
            Unit::Days => Span::new().days(count),
            Unit::Weeks => Span::new().weeks(count),
            Unit::Months => Span::new().months(count),
            Unit::Years => Span::new().years(count),
            Unit::Hours | Unit::WorkingDays | Unit::SchoolDays => Span::new(),
        }
    }
}

/// The day after another that is the so-many-th of those that count.
fn nth_day(mut day: Date, count: u16, counts: impl Fn(Date) -> bool) -> Option<Date> {
    let mut left = count;
    while left > 0 {
        day = day.tomorrow().ok()?;
        left -= u16::from(counts(day));
    }
    Some(day)
}

/// The same, back.
fn nth_day_back(mut day: Date, count: u16, counts: impl Fn(Date) -> bool) -> Option<Date> {
    let mut left = count;
    while left > 0 {
        day = day.yesterday().ok()?;
        left -= u16::from(counts(day));
    }
    Some(day)
}
