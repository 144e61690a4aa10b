use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::TermError;

/// A length of time as laws name it: a whole number of one unit, such as `8 weeks`.
///
/// Read from text of that form: a number from 1 to 9999, a space, a unit in the singular or
/// the plural.
///
/// ```
/// use wissel_terms::Term;
///
/// let term: Term = "3 working days".parse()?;
/// assert_eq!(term.to_string(), "3 working days");
/// assert_eq!(
///     "3 lunches".parse::<Term>().unwrap_err().to_string(),
///     "not a term: in 'lunches', expected hours, days, working days, school days, weeks, \
///      months or years"
/// );
/// # Ok::<(), wissel_terms::TermError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Term {
    count: NonZeroU16,
    unit: Unit,
}

/// What a term is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Exact hours of 60 minutes, whatever the clock does.
    Hours,
    /// Days of the calendar.
    Days,
    /// Days that are none of Saturday, Sunday and holiday.
    WorkingDays,
    /// Working days outside the holidays of schools.
    SchoolDays,
    /// Weeks: the same day of the week.
    Weeks,
    /// Months: the same day of the month, or its last when it has no such day.
    Months,
    /// Years: the same day of the year, 28 February for the 29th.
    Years,
}

impl Term {
    /// The highest number.
    pub const MOST: u16 = 9999;

    /// A term of so many of a unit. None for more than [`Term::MOST`].
    #[must_use]
    pub fn new(count: NonZeroU16, unit: Unit) -> Option<Self> {
        (count.get() <= Self::MOST).then_some(Self { count, unit })
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> u16 {
        self.count.get()
    }

    /// Of what.
    #[must_use]
    pub fn unit(self) -> Unit {
        self.unit
    }

    /// Does the Algemene termijnenwet extend it? By art. 4(a) it does not when the term is
    /// in hours, in more than 90 days, in more than twelve weeks, in more than three
    /// months, or in years. What counts is the unit that was chosen: 12 weeks are extended,
    /// and so are 90 days, 13 weeks are not.
    ///
    /// Of a term in working days or school days the question never comes up: it ends on
    /// one.
    #[must_use]
    pub fn is_extended(self) -> bool {
        match self.unit {
            Unit::Hours | Unit::Years => false,
            Unit::Days | Unit::WorkingDays | Unit::SchoolDays => self.count() <= 90,
            Unit::Weeks => self.count() <= 12,
            Unit::Months => self.count() <= 3,
        }
    }
}

impl Unit {
    const ALL: [Self; 7] = [
        Self::Hours,
        Self::Days,
        Self::WorkingDays,
        Self::SchoolDays,
        Self::Weeks,
        Self::Months,
        Self::Years,
    ];

    /// Its name in the plural.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hours => "hours",
            Self::Days => "days",
            Self::WorkingDays => "working days",
            Self::SchoolDays => "school days",
            Self::Weeks => "weeks",
            Self::Months => "months",
            Self::Years => "years",
        }
    }

    fn singular(self) -> &'static str {
        let plural = self.name();
        &plural[..plural.len() - 1]
    }
}

impl FromStr for Term {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        let form = || TermError::Form { text: shown(text) };
        let (number, unit) = text.split_once(' ').ok_or_else(form)?;
        if number.is_empty() || unit.is_empty() {
            return Err(form());
        }
        let no_number = || TermError::Number { number: shown(number), most: Self::MOST };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(no_number());
        }
        let count: NonZeroU16 = number.parse().map_err(|_| no_number())?;
        let known = |one: &Unit| one.name() == unit || one.singular() == unit;
        let no_unit = || TermError::Unit { unit: shown(unit) };
        let unit = Unit::ALL.into_iter().find(known).ok_or_else(no_unit)?;
        Self::new(count, unit).ok_or_else(no_number)
    }
}

impl TryFrom<String> for Term {
    type Error = TermError;

    fn try_from(text: String) -> Result<Self, TermError> {
        text.parse()
    }
}

impl From<Term> for String {
    fn from(term: Term) -> Self {
        term.to_string()
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.count() == 1 { self.unit.singular() } else { self.unit.name() };
        write!(f, "{} {unit}", self.count)
    }
}

/// As much of a text as an error shows.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_term_is_read_from_text_and_written_as_such() {
        let known = [
            ("48 hours", 48, Unit::Hours),
            ("3 days", 3, Unit::Days),
            ("3 working days", 3, Unit::WorkingDays),
            ("3 school days", 3, Unit::SchoolDays),
            ("8 weeks", 8, Unit::Weeks),
            ("6 months", 6, Unit::Months),
            ("9999 years", 9999, Unit::Years),
            ("1 working day", 1, Unit::WorkingDays),
        ];
        for (text, count, unit) in known {
            let term: Term = text.parse().unwrap();
            assert_eq!((term.count(), term.unit()), (count, unit));
            assert_eq!(term.to_string(), text);
        }
        assert_eq!("2 week".parse::<Term>().unwrap().to_string(), "2 weeks");
    }

    #[test]
    fn an_error_says_what_was_expected() {
        let form = "expected a number and a unit, such as '8 weeks'";
        let number = "expected a whole number from 1 to 9999";
        let unit = "expected hours, days, working days, school days, weeks, months or years";
        let wrong = [
            ("", form),
            ("8", form),
            ("weeks", form),
            (" weeks", form),
            ("8 ", form),
            ("8weeks", form),
            ("0 days", number),
            ("-1 days", number),
            ("+1 days", number),
            ("1.5 days", number),
            ("10000 days", number),
            ("70000 days", number),
            ("eight weeks", number),
            ("8  weeks", unit),
            ("8 Weeks", unit),
            ("8 weekss", unit),
            ("8 business days", unit),
            ("8 weeks ", unit),
        ];
        for (text, expected) in wrong {
            let error = text.parse::<Term>().unwrap_err().to_string();
            assert!(error.ends_with(expected), "{text:?}: {error}");
        }
        let long = format!("8 {}", "x".repeat(1000));
        assert!(long.parse::<Term>().unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn serde_reads_and_writes_the_text() {
        let term: Term = serde_json::from_str("\"8 weeks\"").unwrap();
        assert_eq!(serde_json::to_string(&term).unwrap(), "\"8 weeks\"");
        let error = serde_json::from_str::<Term>("\"8 cats\"").unwrap_err();
        assert!(error.to_string().contains("in 'cats', expected"), "{error}");
    }

    #[test]
    fn the_bounds_of_article_4_are_those_of_each_unit() {
        let extended = ["90 days", "12 weeks", "8 weeks", "3 months", "1 day", "1 month"];
        let not = ["91 days", "13 weeks", "4 months", "1 year", "2 years", "1 hour", "72 hours"];
        for text in extended {
            assert!(text.parse::<Term>().unwrap().is_extended(), "{text}");
        }
        for text in not {
            assert!(!text.parse::<Term>().unwrap().is_extended(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(count in 1..=Term::MOST, unit in 0_usize..7) {
            let term = Term::new(NonZeroU16::new(count).unwrap(), Unit::ALL[unit]).unwrap();
            prop_assert_eq!(term.to_string().parse::<Term>(), Ok(term));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = text.parse::<Term>();
        }
    }
}
