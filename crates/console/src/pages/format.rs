//! Numbers and times, as people read them.

use std::time::{Duration, SystemTime};

use super::text::Texts;

/// With the separator of thousands of the language.
pub(super) fn count(text: &Texts, count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(text.thousands);
        }
        out.push(digit);
    }
    out
}

/// As [`count`], of what may be more.
pub(super) fn least(text: &Texts, number: u64, is_least: bool) -> String {
    format!("{}{}", if is_least { "≥ " } else { "" }, count(text, number))
}

/// The two largest units at most.
pub(super) fn age(text: &Texts, age: Duration) -> String {
    let seconds = age.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} {} {minutes} min", text.hours),
        _ => format!("{days} d {hours} {}", text.hours),
    }
}

/// One of which fractions of a second matter.
pub(super) fn short(text: &Texts, short: Duration) -> String {
    let (number, unit) = match short.as_micros() {
        0..1_000 => return format!("{} µs", short.as_micros()),
        1_000..1_000_000 => (short.as_secs_f64() * 1_000.0, "ms"),
        _ => (short.as_secs_f64(), "s"),
    };
    format!("{} {unit}", decimal(text, number))
}

/// In UTC, to the second.
pub(super) fn moment(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    at.unwrap_or_else(|_| "–".to_owned())
}

/// So many in a second.
pub(super) fn rate(text: &Texts, per_second: f64) -> String {
    format!("{}/s", decimal(text, per_second))
}

/// Below 10 with one decimal.
fn decimal(text: &Texts, number: f64) -> String {
    if number < 10.0 {
        format!("{number:.1}").replace('.', &text.decimal.to_string())
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{DUTCH, ENGLISH};
    use super::*;

    #[test]
    fn numbers_are_written_as_in_the_language() {
        assert_eq!(count(&ENGLISH, 1_234_567), "1,234,567");
        assert_eq!(count(&DUTCH, 1_234_567), "1.234.567");
        assert_eq!(count(&DUTCH, 999), "999");
        assert_eq!(rate(&DUTCH, 0.25), "0,2/s");
        assert_eq!(rate(&ENGLISH, 1200.4), "1200/s");
        let shorts = [250, 2_500, 50_000, 1_500_000].map(Duration::from_micros);
        let shorts = shorts.map(|one| short(&DUTCH, one));
        assert_eq!(shorts, ["250 µs", "2,5 ms", "50 ms", "1,5 s"]);
        assert_eq!(age(&ENGLISH, Duration::from_secs(59)), "59 s");
        assert_eq!(age(&DUTCH, Duration::from_secs(7_260)), "2 u 1 min");
        assert_eq!(age(&ENGLISH, Duration::from_secs(90_000)), "1 d 1 h");
    }
}
