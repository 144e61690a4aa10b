use std::fmt;

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan as _};

use crate::easter;

/// A day that article 3 of the Algemene termijnenwet calls a recognised holiday, or puts on
/// a level with one. Easter Day and Whit Sunday are not among them: they are Sundays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holiday {
    /// *Nieuwjaarsdag*, 1 January.
    NewYearsDay,
    /// *Goede Vrijdag*, two days before Easter; by art. 3(2).
    GoodFriday,
    /// *Tweede paasdag*, the day after Easter.
    EasterMonday,
    /// *Koningsdag*: 27 April, the 26th when that is a Sunday. Before 2014 *Koninginnedag*:
    /// 30 April, the 29th when that is a Sunday, as it was from 1980.
    KingsDay,
    /// *Bevrijdingsdag*, 5 May. Every year, also where employers do not give it.
    LiberationDay,
    /// *Hemelvaartsdag*, 39 days after Easter.
    AscensionDay,
    /// *Tweede pinksterdag*, 50 days after Easter.
    WhitMonday,
    /// *Eerste kerstdag*, 25 December.
    ChristmasDay,
    /// *Tweede kerstdag*, 26 December.
    BoxingDay,
}

impl Holiday {
    /// All, in the order of the year; Ascension Day may come before Liberation Day.
    pub const ALL: [Self; 9] = [
        Self::NewYearsDay,
        Self::GoodFriday,
        Self::EasterMonday,
        Self::KingsDay,
        Self::LiberationDay,
        Self::AscensionDay,
        Self::WhitMonday,
        Self::ChristmasDay,
        Self::BoxingDay,
    ];

    /// On which day it falls in a year. None for those that go by Easter, outside the
    /// years for which [`easter`] is known.
    ///
    /// ```
    /// use wissel_terms::Holiday;
    ///
    /// // 27 April 2025 was a Sunday.
    /// assert_eq!(Holiday::KingsDay.in_year(2025), Some("2025-04-26".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_year(self, year: i16) -> Option<Date> {
        let fixed = |month, day| Date::new(year, month, day).ok();
        let by_easter = |days: Span| easter(year)?.checked_add(days).ok();
        match self {
            Self::NewYearsDay => fixed(1, 1),
            Self::GoodFriday => by_easter(-2.days()),
            Self::EasterMonday => by_easter(1.day()),
            Self::KingsDay if year < 2014 => not_on_sunday(fixed(4, 30)?),
            Self::KingsDay => not_on_sunday(fixed(4, 27)?),
            Self::LiberationDay => fixed(5, 5),
            Self::AscensionDay => by_easter(39.days()),
            Self::WhitMonday => by_easter(50.days()),
            Self::ChristmasDay => fixed(12, 25),
            Self::BoxingDay => fixed(12, 26),
        }
    }

    /// Which holiday a day is. The first of [`Holiday::ALL`] when it is two.
    #[must_use]
    pub fn on(day: Date) -> Option<Self> {
        Self::ALL.into_iter().find(|holiday| holiday.in_year(day.year()) == Some(day))
    }
}

impl fmt::Display for Holiday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NewYearsDay => "New Year's Day",
            Self::GoodFriday => "Good Friday",
            Self::EasterMonday => "Easter Monday",
            Self::KingsDay => "King's Day",
            Self::LiberationDay => "Liberation Day",
            Self::AscensionDay => "Ascension Day",
            Self::WhitMonday => "Whit Monday",
            Self::ChristmasDay => "Christmas Day",
            Self::BoxingDay => "Boxing Day",
        })
    }
}

/// The day itself, or the Saturday before a Sunday.
fn not_on_sunday(day: Date) -> Option<Date> {
    if day.weekday() == Weekday::Sunday { day.yesterday().ok() } else { Some(day) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn the_holidays_of_2026_are_those_of_the_calendar_on_the_wall() {
        let expected = [
            "2026-01-01",
            "2026-04-03",
            "2026-04-06",
            "2026-04-27",
            "2026-05-05",
            "2026-05-14",
            "2026-05-25",
            "2026-12-25",
            "2026-12-26",
        ];
        let found = Holiday::ALL.map(|holiday| holiday.in_year(2026).unwrap());
        assert_eq!(found, expected.map(date));
        for (day, holiday) in found.into_iter().zip(Holiday::ALL) {
            assert_eq!(Holiday::on(day), Some(holiday));
        }
    }

    #[test]
    fn ascension_and_whitsun_follow_easter() {
        let known = [
            (1990, "1990-05-24", "1990-06-04"),
            (2000, "2000-06-01", "2000-06-12"),
            (2008, "2008-05-01", "2008-05-12"),
            (2011, "2011-06-02", "2011-06-13"),
            (2016, "2016-05-05", "2016-05-16"),
            (2024, "2024-05-09", "2024-05-20"),
            (2025, "2025-05-29", "2025-06-09"),
            (2038, "2038-06-03", "2038-06-14"),
        ];
        for (year, ascension, whit) in known {
            assert_eq!(Holiday::AscensionDay.in_year(year), Some(date(ascension)));
            assert_eq!(Holiday::WhitMonday.in_year(year), Some(date(whit)));
        }
    }

    #[test]
    fn the_birthday_of_king_or_queen_is_not_celebrated_on_a_sunday() {
        let known = [
            (2000, "2000-04-29"),
            (2006, "2006-04-29"),
            (2012, "2012-04-30"),
            (2013, "2013-04-30"),
            (2014, "2014-04-26"),
            (2015, "2015-04-27"),
            (2024, "2024-04-27"),
            (2025, "2025-04-26"),
            (2031, "2031-04-26"),
        ];
        for (year, day) in known {
            assert_eq!(Holiday::KingsDay.in_year(year), Some(date(day)));
        }
        // In 2026 it is the 27th, so the 26th and the old 30th are days as others.
        assert_eq!(Holiday::on(date("2026-04-26")), None);
        assert_eq!(Holiday::on(date("2026-04-30")), None);
        // And before 2014 the 27th was.
        assert_eq!(Holiday::on(date("2012-04-27")), None);
    }

    #[test]
    fn a_year_has_nine_unless_ascension_day_is_liberation_day() {
        let mut fewer = Vec::new();
        for year in 2000..=2100 {
            let days: BTreeSet<Date> =
                Holiday::ALL.iter().filter_map(|holiday| holiday.in_year(year)).collect();
            match days.len() {
                9 => {}
                8 => fewer.push(year),
                other => panic!("{other} holidays in {year}"),
            }
        }
        assert_eq!(fewer, [2005, 2016]);
        for year in fewer {
            let day = Date::new(year, 5, 5).ok();
            assert_eq!(Holiday::AscensionDay.in_year(year), day);
        }
    }

    #[test]
    fn before_the_gregorian_calendar_only_fixed_days_are_known() {
        assert_eq!(Holiday::GoodFriday.in_year(1582), None);
        assert_eq!(Holiday::ChristmasDay.in_year(1582), Some(date("1582-12-25")));
    }
}
