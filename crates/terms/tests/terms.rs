//! When terms end, article by article, and against a model that goes day by day.
#![allow(clippy::unwrap_used, reason = "tests")]

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;
use wissel_terms::{Calendar, Holiday, Term};

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn term(text: &str) -> Term {
    text.parse().unwrap()
}

/// Midday of a day in Amsterdam, near enough: 12:00 by UTC.
fn midday(day: &str) -> Timestamp {
    moment(&format!("{day}T12:00:00Z"))
}

/// The last day of a term that begins on a day.
fn last_day_by(calendar: &Calendar, length: &str, start: &str) -> Date {
    let ends = term(length).ends(midday(start), calendar);
    let clock = ends.in_tz("Europe/Amsterdam").unwrap();
    assert_eq!((clock.hour(), clock.minute(), clock.second()), (0, 0, 0), "{length} {start}");
    clock.date().yesterday().unwrap()
}

#[track_caller]
fn check(length: &str, start: &str, last: &str) {
    assert_eq!(last_day_by(&Calendar::new(), length, start), date(last), "{length} from {start}");
}

#[test]
fn the_day_on_which_a_term_begins_does_not_count() {
    check("1 day", "2026-11-23", "2026-11-24");
    check("3 days", "2026-11-23", "2026-11-26");
    check("1 week", "2026-11-23", "2026-11-30");
    check("6 weeks", "2026-11-11", "2026-12-23");
    check("8 weeks", "2026-11-11", "2027-01-06");
    // From the first to the last moment of the day.
    for start in ["2026-11-23T00:00:00+01:00", "2026-11-23T23:59:59+01:00"] {
        let ends = term("1 day").ends(moment(start), &Calendar::new());
        assert_eq!(ends, moment("2026-11-25T00:00:00+01:00"));
    }
    // The day of Amsterdam counts: by UTC it is still the day before.
    let ends = term("1 day").ends(moment("2026-11-22T23:30:00Z"), &Calendar::new());
    assert_eq!(ends, moment("2026-11-25T00:00:00+01:00"));
}

#[test]
fn article_1_a_term_that_ends_on_a_free_day_goes_on_to_the_first_that_is_none() {
    // Saturday and Sunday, to Monday.
    check("1 day", "2026-11-20", "2026-11-23");
    check("2 days", "2026-11-20", "2026-11-23");
    check("8 weeks", "2026-09-26", "2026-11-23");
    check("8 weeks", "2026-09-27", "2026-11-23");
    // Each holiday: New Year's Day on a Friday,
    check("1 week", "2026-12-25", "2027-01-04");
    // Good Friday and the three days after it,
    for (start, last) in [
        ("2026-03-05", "2026-04-02"),
        ("2026-03-06", "2026-04-07"),
        ("2026-03-07", "2026-04-07"),
        ("2026-03-08", "2026-04-07"),
        ("2026-03-09", "2026-04-07"),
        ("2026-03-10", "2026-04-07"),
    ] {
        check("4 weeks", start, last);
    }
    // the King's birthday on a Monday, with the weekend before it,
    check("2 weeks", "2026-04-11", "2026-04-28");
    check("2 weeks", "2026-04-13", "2026-04-28");
    // 5 May on a Tuesday, Ascension Day on a Thursday, Whit Monday,
    check("2 weeks", "2026-04-21", "2026-05-06");
    check("2 weeks", "2026-04-30", "2026-05-15");
    check("2 weeks", "2026-05-11", "2026-05-26");
    check("2 weeks", "2026-05-09", "2026-05-26");
    // and Christmas, on Friday and Saturday.
    check("2 weeks", "2026-12-11", "2026-12-28");
    check("2 weeks", "2026-12-12", "2026-12-28");
}

#[test]
fn article_1_the_26th_the_27th_and_the_30th_of_april() {
    // 2025: the 27th is a Sunday, celebrated on Saturday the 26th. Monday is a day as any.
    check("1 week", "2025-04-19", "2025-04-28");
    check("1 week", "2025-04-20", "2025-04-28");
    // 2023: the 27th is a Thursday; the 26th is not free.
    check("1 week", "2023-04-19", "2023-04-26");
    check("1 week", "2023-04-20", "2023-04-28");
    // The 30th was a holiday until 2013, and the 27th was not.
    check("1 week", "2013-04-23", "2013-05-01");
    check("1 week", "2015-04-23", "2015-04-30");
    check("1 week", "2012-04-20", "2012-04-27");
}

#[test]
fn article_1_2_what_is_counted_back_is_not_extended() {
    let calendar = Calendar::new();
    // The end of Wednesday 25 November 2026.
    let end = moment("2026-11-26T00:00:00+01:00");
    let cases = [
        ("3 days", "2026-11-23T00:00:00+01:00"),
        // A Sunday, and it stays one.
        ("4 days", "2026-11-22T00:00:00+01:00"),
        ("1 week", "2026-11-19T00:00:00+01:00"),
        ("3 working days", "2026-11-23T00:00:00+01:00"),
        ("4 working days", "2026-11-20T00:00:00+01:00"),
        ("1 month", "2026-10-26T00:00:00+01:00"),
        ("1 year", "2025-11-26T00:00:00+01:00"),
        ("36 hours", "2026-11-24T12:00:00+01:00"),
        // Across the change of the clock, by the calendar and by the hour.
        ("5 weeks", "2026-10-22T00:00:00+02:00"),
        ("840 hours", "2026-10-22T01:00:00+02:00"),
    ];
    for (length, expected) in cases {
        assert_eq!(term(length).reminder(end, &calendar), moment(expected), "{length}");
    }
    // From within a day the time of day stays.
    let monday = moment("2026-11-23T15:00:00+01:00");
    let friday = moment("2026-11-20T15:00:00+01:00");
    assert_eq!(term("1 working day").reminder(monday, &calendar), friday);
    // A month that has no such day, back.
    let end = moment("2026-03-31T00:00:00+02:00");
    let expected = moment("2026-02-28T00:00:00+01:00");
    assert_eq!(term("1 month").reminder(end, &calendar), expected);
}

#[test]
fn article_2_a_term_of_three_days_has_two_that_are_not_free() {
    // From Thursday: Friday, and after the weekend Monday. No more is needed.
    check("3 days", "2026-11-19", "2026-11-23");
    // From Friday: Saturday, Sunday, Monday is one; Tuesday the other.
    check("3 days", "2026-11-20", "2026-11-24");
    check("3 days", "2026-11-21", "2026-11-24");
    check("3 days", "2026-11-22", "2026-11-25");
    // Two days need no two: only article 1.
    check("2 days", "2026-11-20", "2026-11-23");
    // From the Thursday before Easter: four free days, then Tuesday and Wednesday.
    check("3 days", "2026-04-02", "2026-04-08");
    check("4 days", "2026-04-02", "2026-04-08");
    check("5 days", "2026-04-02", "2026-04-08");
    check("6 days", "2026-04-02", "2026-04-08");
    check("7 days", "2026-04-02", "2026-04-09");
    // From Christmas Eve 2026, a Thursday: Friday to Sunday are free.
    check("3 days", "2026-12-24", "2026-12-29");
    check("4 days", "2026-12-24", "2026-12-29");
    // A week may need it too, with days that were declared.
    let mut calendar = Calendar::new();
    for day in ["2026-12-28", "2026-12-29", "2026-12-30"] {
        calendar.declare(date(day));
    }
    assert_eq!(last_day_by(&calendar, "1 week", "2026-12-24"), date("2027-01-04"));
}

#[test]
fn article_3_3_a_declared_day_counts_as_a_holiday() {
    check("2 weeks", "2026-05-01", "2026-05-15");
    let mut calendar = Calendar::new();
    calendar.declare(date("2026-05-15"));
    assert_eq!(last_day_by(&calendar, "2 weeks", "2026-04-30"), date("2026-05-18"));
    assert_eq!(last_day_by(&calendar, "2 weeks", "2026-05-01"), date("2026-05-18"));
    assert_eq!(last_day_by(&calendar, "3 working days", "2026-05-13"), date("2026-05-20"));
}

#[test]
fn article_4_longer_terms_end_on_whatever_day_it_is() {
    // 90 days to Saturday 21 November 2026, and 91 to the same day.
    check("90 days", "2026-08-23", "2026-11-23");
    check("91 days", "2026-08-22", "2026-11-21");
    check("12 weeks", "2026-08-29", "2026-11-23");
    check("13 weeks", "2026-08-22", "2026-11-21");
    check("3 months", "2026-08-21", "2026-11-23");
    check("4 months", "2026-07-21", "2026-11-21");
    check("12 months", "2025-11-21", "2026-11-21");
    check("1 year", "2025-11-21", "2026-11-21");
    // Hours end at their moment, on a Sunday too.
    let ends = term("48 hours").ends(moment("2026-11-20T10:15:30+01:00"), &Calendar::new());
    assert_eq!(ends, moment("2026-11-22T10:15:30+01:00"));
}

#[test]
fn months_end_on_the_same_day_or_the_last() {
    check("1 month", "2028-01-31", "2028-02-29");
    check("1 month", "2027-12-31", "2028-01-31");
    // 28 February 2026 is a Saturday: extended.
    check("1 month", "2026-01-31", "2026-03-02");
    check("1 month", "2025-01-31", "2025-02-28");
    check("6 months", "2025-08-31", "2026-02-28");
    check("6 months", "2027-08-31", "2028-02-29");
    check("1 year", "2028-02-29", "2029-02-28");
    check("4 years", "2024-02-29", "2028-02-29");
    check("1 month", "2100-01-31", "2100-03-01");
    check("1 month", "2026-09-15", "2026-10-15");
}

#[test]
fn working_days_and_school_days_leave_days_out() {
    check("1 working day", "2026-11-20", "2026-11-23");
    check("3 working days", "2026-11-18", "2026-11-23");
    check("3 working days", "2026-11-21", "2026-11-25");
    check("5 working days", "2026-04-30", "2026-05-08");
    check("10 working days", "2026-12-24", "2027-01-11");
    // 101 weekdays to Friday 22 May, of which five are holidays; then Whit Monday.
    check("100 working days", "2026-01-01", "2026-05-29");
    let mut calendar = Calendar::new();
    calendar.add_school_holiday(date("2026-10-17"), date("2026-10-25")).unwrap();
    assert_eq!(last_day_by(&calendar, "3 school days", "2026-10-14"), date("2026-10-26"));
    assert_eq!(last_day_by(&calendar, "3 working days", "2026-10-14"), date("2026-10-19"));
    assert_eq!(last_day_by(&Calendar::new(), "3 school days", "2026-10-14"), date("2026-10-19"));
}

#[test]
fn a_term_across_the_change_of_the_clock_ends_at_midnight_all_the_same() {
    let calendar = Calendar::new();
    let spring = term("1 week").ends(moment("2026-03-24T10:00:00+01:00"), &calendar);
    assert_eq!(spring, moment("2026-04-01T00:00:00+02:00"));
    let autumn = term("1 week").ends(moment("2026-10-20T10:00:00+02:00"), &calendar);
    assert_eq!(autumn, moment("2026-10-28T00:00:00+01:00"));
    // On the days themselves, which are Sundays: terms that are not extended.
    let spring = term("1 year").ends(moment("2025-03-29T10:00:00+01:00"), &calendar);
    assert_eq!(spring, moment("2026-03-30T00:00:00+02:00"));
    // Hours pass by, whatever the clock shows.
    let hours = term("24 hours").ends(moment("2026-03-28T12:00:00+01:00"), &calendar);
    assert_eq!(hours, moment("2026-03-29T13:00:00+02:00"));
    let hours = term("24 hours").ends(moment("2026-10-24T12:00:00+02:00"), &calendar);
    assert_eq!(hours, moment("2026-10-25T11:00:00+01:00"));
}

#[test]
fn beyond_the_end_of_time_is_the_end_of_time() {
    let calendar = Calendar::new();
    for length in ["9999 years", "9999 months", "9999 working days", "9999 weeks"] {
        let start = moment("9990-01-01T00:00:00Z");
        let ends = term(length).ends(start, &calendar);
        assert_eq!(ends, Timestamp::MAX, "{length}");
    }
    assert_eq!(term("9999 hours").ends(Timestamp::MAX, &calendar), Timestamp::MAX);
    assert_eq!(term("9999 years").reminder(Timestamp::MIN, &calendar), Timestamp::MIN);
    assert_eq!(term("9 hours").reminder(Timestamp::MIN, &calendar), Timestamp::MIN);
    // A calendar without a school day.
    let mut holiday = Calendar::new();
    holiday.add_school_holiday(Date::MIN, Date::MAX).unwrap();
    assert_eq!(term("1 school day").ends(midday("9950-01-01"), &holiday), Timestamp::MAX);
}

fn is_free(day: Date) -> bool {
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    weekend || Holiday::ALL.iter().any(|holiday| holiday.in_year(day.year()) == Some(day))
}

proptest! {
    #[test]
    fn a_term_ends_at_the_first_day_that_all_articles_allow(
        days in 0_i32..40_000, count in 1_u16..=120, unit in 0_usize..4,
    ) {
        let start = date("1991-01-01").checked_add(days.days()).unwrap();
        let unit = ["days", "weeks", "months", "years"][unit];
        let term = term(&format!("{count} {unit}"));
        let last = last_day_by(&Calendar::new(), &term.to_string(), &start.to_string());

        let span = match unit {
            "days" => i32::from(count).days(),
            "weeks" => i32::from(count).weeks(),
            "months" => i32::from(count).months(),
            _ => i32::from(count).years(),
        };
        let plain = start.checked_add(span).unwrap();
        let most = match unit { "days" => 90, "weeks" => 12, "months" => 3, _ => 0 };
        if count > most {
            prop_assert_eq!(last, plain);
            return Ok(());
        }
        let allowed = |end: Date| {
            let mut working = 0;
            let mut day = start;
            while day < end {
                day = day.tomorrow().unwrap();
                working += u32::from(!is_free(day));
            }
            let three_days = unit != "days" || count >= 3;
            !is_free(end) && (!three_days || working >= 2)
        };
        let mut expected = plain;
        while !allowed(expected) {
            expected = expected.tomorrow().unwrap();
        }
        prop_assert_eq!(last, expected);
    }

    #[test]
    fn working_days_are_counted_one_by_one(days in 0_i32..40_000, count in 1_u16..=60) {
        let start = date("1991-01-01").checked_add(days.days()).unwrap();
        let length = format!("{count} working days");
        let last = last_day_by(&Calendar::new(), &length, &start.to_string());
        prop_assert!(!is_free(last));
        let mut working = 0;
        let mut day = start;
        while day < last {
            day = day.tomorrow().unwrap();
            working += u16::from(!is_free(day));
        }
        prop_assert_eq!(working, count);
    }

    #[test]
    fn a_later_beginning_never_ends_earlier(
        seconds in 0_i64..3_000_000_000, later in 0_i64..10_000_000,
        count in 1_u16..=100, unit in 0_usize..7,
    ) {
        let units =
            ["hours", "days", "working days", "school days", "weeks", "months", "years"];
        let term = term(&format!("{count} {}", units[unit]));
        let calendar = Calendar::new();
        let first = Timestamp::from_second(seconds).unwrap();
        let second = Timestamp::from_second(seconds + later).unwrap();
        prop_assert!(first < term.ends(first, &calendar));
        prop_assert!(term.ends(first, &calendar) <= term.ends(second, &calendar));
        prop_assert!(term.reminder(second, &calendar) < second);
    }
}
