//! How full an inbox was, as a small line.

use std::fmt::Write as _;

use maud::{Markup, html};

const WIDTH: usize = 120;
const HEIGHT: u64 = 28;

/// A line of these counts, oldest first. The numbers stand beside it in text, so it is not
/// read out.
pub(super) fn sparkline(history: &[u32]) -> Markup {
    let highest = history.iter().copied().max().unwrap_or_default();
    if history.len() < 2 || highest == 0 {
        return html! {};
    }
    let mut points = String::new();
    for (place, count) in history.iter().enumerate() {
        let x = place * WIDTH / (history.len() - 1);
        let y = HEIGHT - 2 - u64::from(*count) * (HEIGHT - 4) / u64::from(highest);
        let _ = write!(points, "{x},{y} ");
    }
    html! {
        svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) aria-hidden="true" {
            polyline points=(points.trim_end()) fill="none" {}
        }
    }
}
