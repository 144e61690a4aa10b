use jiff::civil::Date;

/// Why a text is not a term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermError {
    /// There is not one number and then one unit.
    #[error("not a term: '{text}', expected a number and a unit, such as '8 weeks'")]
    Form {
        /// The text.
        text: String,
    },
    /// The number is none, or out of bounds.
    #[error("not a term: '{number}', expected a whole number from 1 to {most}")]
    Number {
        /// What stands where the number is expected.
        number: String,
        /// The highest that there is.
        most: u16,
    },
    /// The unit is none that laws count in.
    #[error(
        "not a term: in '{unit}', expected hours, days, working days, school days, weeks, months \
         or years"
    )]
    Unit {
        /// What stands where the unit is expected.
        unit: String,
    },
}

/// Why days cannot be put on a calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// The last day comes before the first.
    #[error("a holiday from {first} to {last}, expected the last day on or after the first")]
    Backwards {
        /// The first day.
        first: Date,
        /// The last day.
        last: Date,
    },
}
