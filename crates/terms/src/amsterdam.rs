//! The time of day in the European Netherlands.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{self, TimeZone, TimeZoneDatabase};

const NAME: &str = "Europe/Amsterdam";

/// The machine's own copy first, which is kept up to date; the one that came along where
/// there is none.
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| {
    let own = tz::db().get(NAME);
    own.or_else(|_| TimeZoneDatabase::bundled().get(NAME)).expect("the bundled database has it")
});

/// What a clock in Amsterdam shows at a moment.
pub(crate) fn clock(moment: Timestamp) -> DateTime {
    ZONE.to_datetime(moment)
}

/// When a clock in Amsterdam shows it. A time that the clock skips in spring is an hour
/// later, and of a time that it shows twice in autumn it is the first. The last moment
/// that there is, for what comes after it.
pub(crate) fn moment(clock: DateTime) -> Timestamp {
    ZONE.to_timestamp(clock).unwrap_or(Timestamp::MAX)
}

/// When a day is over: the following midnight.
pub(crate) fn end_of(day: Date) -> Timestamp {
    day.tomorrow().map_or(Timestamp::MAX, |next| moment(next.to_datetime(Time::midnight())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_that_came_along_is_that_of_amsterdam() {
        let bundled = TimeZoneDatabase::bundled().get(NAME).unwrap();
        let summer: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        let winter: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(bundled.to_datetime(summer).hour(), 14);
        assert_eq!(bundled.to_datetime(winter).hour(), 13);
        assert_eq!(bundled.to_datetime(summer), clock(summer));
    }

    #[test]
    fn a_day_on_which_the_clock_changes_has_23_or_25_hours() {
        for (day, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)] {
            let day: Date = day.parse().unwrap();
            let length = end_of(day).duration_since(end_of(day.yesterday().unwrap()));
            assert_eq!(length.as_hours(), hours, "{day}");
        }
    }

    #[test]
    fn a_time_that_the_clock_skips_is_an_hour_later_and_of_two_it_is_the_first() {
        let at = |text: &str| moment(text.parse().unwrap());
        assert_eq!(at("2026-03-29T02:30"), "2026-03-29T01:30:00Z".parse().unwrap());
        assert_eq!(at("2026-10-25T02:30"), "2026-10-25T00:30:00Z".parse().unwrap());
    }
}
