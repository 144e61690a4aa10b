//! How full an inbox was, as a small line.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::format::count;
use super::text::Texts;

const WIDTH: usize = 120;
const HEIGHT: u64 = 28;

/// A line of these counts above nothing, oldest first, and below it the highest: a line alone
/// does not say how much it is. When there was nothing, it says so.
pub(super) fn sparkline(text: &Texts, history: &[u32]) -> Markup {
    let highest = history.iter().copied().max().unwrap_or_default();
    let bottom = HEIGHT - 1;
    let mut points = String::new();
    for (place, count) in history.iter().enumerate() {
        let x = place * WIDTH / (history.len() - 1).max(1);
        let y = bottom - u64::from(*count) * (HEIGHT - 2) / u64::from(highest.max(1));
        let _ = write!(points, "{x},{y} ");
    }
    let points = points.trim_end();
    html! {
        div.course {
            @if history.len() > 1 && highest > 0 {
                svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) aria-hidden="true" {
                    polygon points={ "0," (bottom) " " (points) " " (WIDTH) "," (bottom) } {}
                    polyline points=(points) fill="none" {}
                }
            }
            small {
                @if highest > 0 { (text.highest_was) " " (count(text, highest.into())) }
                @else { (text.nothing_lately) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{DUTCH, ENGLISH};
    use super::*;

    #[test]
    fn there_is_always_something_to_see() {
        let of = |history: &[u32]| sparkline(&ENGLISH, history).into_string();
        for empty in [&[][..], &[0, 0, 0]] {
            assert!(of(empty).contains("empty lately") && !of(empty).contains("<svg"));
        }
        assert!(of(&[7]).contains("highest: 7") && !of(&[7]).contains("<svg"));
        let risen = of(&[0, 1_000, 500]);
        assert!(risen.contains("<polyline points=\"0,27 60,1 120,14\""), "{risen}");
        assert!(risen.contains("<polygon points=\"0,27 0,27 60,1 120,14 120,27\""), "{risen}");
        assert!(sparkline(&DUTCH, &[0, 1_000]).into_string().contains("hoogste: 1.000"));
    }
}
