use jiff::civil::Date;

/// The years for which the date of Easter is known: the calendar is Gregorian from the
/// end of 1582, and 9999 is the last year that there is.
const YEARS: std::ops::RangeInclusive<i16> = 1583..=9999;

/// The Sunday of Easter: the first Sunday after the full moon on or after 21 March, by the
/// tables of the Gregorian calendar. None outside the years 1583 to 9999.
///
/// ```
/// assert_eq!(wissel_terms::easter(2026), Some("2026-04-05".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn easter(year: i16) -> Option<Date> {
    if !YEARS.contains(&year) {
        return None;
    }
    let whole_year = i32::from(year);
    let century = whole_year / 100;

    // The moon: nineteen years make one round, and the tables shift it once in a while,
    // for the leap days that centuries leave out and for the moon's own drift.
    let golden = whole_year % 19;
    let left_out = century - century / 4;
    let drift = (8 * century + 13) / 25;
    let age = (19 * golden + left_out - drift + 15) % 30;
    // The full moon, in days after 21 March; two corrections keep it within the 29 days of
    // a lunar month and on a day of its own within the nineteen years.
    let full_moon = age - i32::from(age == 29 || (age == 28 && golden > 10));

    // 0 is the Sunday itself: how many days the 21 March of the full moon is past one.
    let weekday = (whole_year + whole_year / 4 - left_out + full_moon + 2) % 7;
    let after_21_march = full_moon + 7 - weekday;

    let march = Date::new(year, 3, 21).ok()?;
    march.checked_add(jiff::Span::new().days(after_21_march)).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use proptest::prelude::*;

    use super::*;

    /// Month and day of Easter from 1990 to 2050, as almanacs print them.
    const KNOWN: [(i8, i8); 61] = [
        (4, 15),
        (3, 31),
        (4, 19),
        (4, 11),
        (4, 3),
        (4, 16),
        (4, 7),
        (3, 30),
        (4, 12),
        (4, 4),
        (4, 23),
        (4, 15),
        (3, 31),
        (4, 20),
        (4, 11),
        (3, 27),
        (4, 16),
        (4, 8),
        (3, 23),
        (4, 12),
        (4, 4),
        (4, 24),
        (4, 8),
        (3, 31),
        (4, 20),
        (4, 5),
        (3, 27),
        (4, 16),
        (4, 1),
        (4, 21),
        (4, 12),
        (4, 4),
        (4, 17),
        (4, 9),
        (3, 31),
        (4, 20),
        (4, 5),
        (3, 28),
        (4, 16),
        (4, 1),
        (4, 21),
        (4, 13),
        (3, 28),
        (4, 17),
        (4, 9),
        (3, 25),
        (4, 13),
        (4, 5),
        (4, 25),
        (4, 10),
        (4, 1),
        (4, 21),
        (4, 6),
        (3, 29),
        (4, 17),
        (4, 9),
        (3, 25),
        (4, 14),
        (4, 5),
        (4, 18),
        (4, 10),
    ];

    #[test]
    fn easter_is_when_almanacs_say() {
        for (year, (month, day)) in (1990..).zip(KNOWN) {
            assert_eq!(easter(year), Date::new(year, month, day).ok(), "{year}");
        }
    }

    #[test]
    fn easter_is_right_at_the_ends_of_its_range_and_where_corrections_count() {
        let known = [
            (1583, 4, 10),
            (1598, 3, 22),
            (1609, 4, 19),
            (1666, 4, 25),
            (1818, 3, 22),
            (1886, 4, 25),
            (1943, 4, 25),
            (1954, 4, 18),
            (1981, 4, 19),
            (2076, 4, 19),
            (2100, 3, 28),
            (2285, 3, 22),
            (2299, 4, 16),
        ];
        for (year, month, day) in known {
            assert_eq!(easter(year), Date::new(year, month, day).ok(), "{year}");
        }
        assert_eq!((easter(1582), easter(-1), easter(9999).is_some()), (None, None, true));
    }

    /// The same by other tables: those of Lilius, with golden number and epact, as
    /// Knuth wrote them down.
    fn by_epact(year: i32) -> (i32, i32) {
        let golden = year % 19 + 1;
        let century = year / 100 + 1;
        let solar = 3 * century / 4 - 12;
        let lunar = (8 * century + 5) / 25 - 5;
        let sunday = 5 * year / 4 - solar - 10;
        let mut epact = (11 * golden + 20 + lunar - solar).rem_euclid(30);
        if (epact == 25 && golden > 11) || epact == 24 {
            epact += 1;
        }
        let mut full_moon = 44 - epact;
        if full_moon < 21 {
            full_moon += 30;
        }
        let day = full_moon + 7 - (sunday + full_moon) % 7;
        if day > 31 { (4, day - 31) } else { (3, day) }
    }

    #[test]
    fn every_year_agrees_with_the_tables_of_epacts() {
        for year in YEARS {
            let date = easter(year).unwrap();
            let found = (i32::from(date.month()), i32::from(date.day()));
            assert_eq!(found, by_epact(year.into()), "{year}");
        }
    }

    proptest! {
        #[test]
        fn easter_is_a_sunday_from_22_march_to_25_april(year in YEARS) {
            let date = easter(year).unwrap();
            prop_assert_eq!(date.weekday(), Weekday::Sunday);
            prop_assert!(Date::new(year, 3, 22).unwrap() <= date);
            prop_assert!(date <= Date::new(year, 4, 25).unwrap());
        }
    }
}
