//! What commands print.
#![expect(clippy::print_stderr, reason = "the output of a command line program")]

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::exit::Failure;

tokio::task_local! {
    /// What is printed goes here instead, when somebody shows it again and again.
    static KEPT: RefCell<Kept>;
}

struct Kept {
    text: String,
    /// It is for a program, which wants no notes.
    json: bool,
}

/// What something prints, which is not printed: with its notes, unless it is JSON.
pub(crate) async fn kept(
    json: bool,
    printing: impl Future<Output = Result<(), Failure>>,
) -> Result<String, Failure> {
    let printing = async {
        printing.await?;
        Ok::<_, Failure>(KEPT.with(|kept| std::mem::take(&mut kept.borrow_mut().text)))
    };
    let text = KEPT.scope(RefCell::new(Kept { text: String::new(), json }), printing).await?;
    Ok(text.trim_end().to_owned())
}

/// Whether what is printed is kept.
pub(crate) fn is_kept() -> bool {
    KEPT.try_with(|_| ()).is_ok()
}

/// Keeps a line, when lines are kept.
fn keep(line: &str) -> bool {
    let keep = |kept: &RefCell<Kept>| {
        let text = &mut kept.borrow_mut().text;
        text.push_str(line);
        text.push('\n');
    };
    KEPT.try_with(keep).is_ok()
}

/// One line on standard output. A reader that went away ends the program, as it
/// does other programs in a pipe.
pub(crate) fn line(text: &str) {
    if keep(text) {
        return;
    }
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// One line for the person at the terminal, on standard error.
pub(crate) fn note(text: &str) {
    match KEPT.try_with(|kept| kept.borrow().json) {
        Ok(true) => {}
        Ok(false) => drop(keep(text)),
        Err(_) => eprintln!("{text}"),
    }
}

/// A counter on standard error while something is under way, when a person is there.
pub(crate) fn progress(what: &'static str) -> ProgressBar {
    if is_kept() {
        return ProgressBar::hidden();
    }
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg} ({elapsed})") {
        progress.set_style(style);
    }
    progress.set_message(what);
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
}

/// JSON on standard output: one document a call.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string(value).map_err(Failure::internal)?);
    Ok(())
}

/// Attempts, as JSON.
pub(crate) fn history(attempts: &[wissel_client::Attempt]) -> Vec<serde_json::Value> {
    let write = |one: &wissel_client::Attempt| {
        let at = moment(one.at);
        let wissel_client::Attempt { number, reason, before_redrive, .. } = one;
        serde_json::json!({
            "number": number, "at": at, "reason": reason, "before_redrive": before_redrive
        })
    };
    attempts.iter().map(write).collect()
}

/// Why an attempt came to nothing, and whether that was before a redrive.
pub(crate) fn reason(attempt: &wissel_client::Attempt) -> String {
    let wissel_client::Attempt { reason, before_redrive, .. } = attempt;
    if *before_redrive { format!("(before it was redriven) {reason}") } else { reason.clone() }
}

/// A table that fits the terminal. Columns that are marked `>` are numbers; names, in the
/// first, stay whole, so that they can be copied.
pub(crate) fn table(columns: &[&str], rows: Vec<Vec<String>>) {
    line(&table_text(columns, rows));
}

/// Facts about one thing, each behind its name.
pub(crate) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) {
    for (name, value) in facts {
        line(&format!("{name:<12} {value}"));
    }
}

/// A table as [`table`] prints it.
pub(crate) fn table_text(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    filled(table, columns, rows)
}

fn filled(mut table: Table, columns: &[&str], rows: Vec<Vec<String>>) -> String {
    let least = least_widths(columns, &rows);
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| column.trim_start_matches('>')));
    table.add_rows(rows);
    for (index, least) in least.into_iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(least);
        }
    }
    for (index, column) in columns.iter().enumerate() {
        if column.starts_with('>')
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Names, in the first column, stay whole, and so do words in the others. A table that is wider
/// than the terminal even so is wrapped by that.
fn least_widths(columns: &[&str], rows: &[Vec<String>]) -> Vec<ColumnConstraint> {
    /// Reasons and addresses may have words of any length.
    const WORD_MAX: usize = 24;
    /// A cell has a space on either side, which counts as its width.
    const SPACES: u16 = 2;
    let least = |(index, column): (usize, &&str)| {
        if index == 0 && column.len() > 1 {
            return ColumnConstraint::ContentWidth;
        }
        let cells = rows.iter().filter_map(|row| row.get(index)).map(String::as_str);
        let words = cells.chain([column.trim_start_matches('>')]).flat_map(str::split_whitespace);
        let longest = words.map(|word| word.chars().count()).max().unwrap_or_default();
        let longest = u16::try_from(longest.min(WORD_MAX)).unwrap_or_default();
        ColumnConstraint::LowerBoundary(Width::Fixed(longest + SPACES))
    };
    columns.iter().enumerate().map(least).collect()
}

/// So many a second, for people: `0`, `0.4`, `12`, `3400`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate <= 0.0 => "0".to_owned(),
        rate if rate < 0.1 => "<0.1".to_owned(),
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

/// A duration for people: `350 ms`, `12 s`, `3 min`, `5 h`, `2 d`.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A duration beside which a rate stands, which was made with it: `3.0 s`, not `2 s` of 2.997.
pub(crate) fn fine_duration(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 119.95 => format!("{seconds:.1} s"),
        _ => self::duration(duration),
    }
}

/// A duration as it can be typed: `500ms`, `24h`, `1h30m`.
pub(crate) fn exact_duration(duration: Duration) -> String {
    let printer = jiff::fmt::friendly::SpanPrinter::new();
    printer.spacing(jiff::fmt::friendly::Spacing::None).unsigned_duration_to_string(&duration)
}

/// A duration of which fractions of a millisecond matter: `250 µs`, `2.5 ms`.
pub(crate) fn short_duration(short: Duration) -> String {
    match short.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros @ 1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        _ => duration(short),
    }
}

/// RFC 3339, in UTC, to the millisecond.
pub(crate) fn moment(moment: SystemTime) -> String {
    jiff::Timestamp::try_from(moment)
        .map_or_else(|_| "?".to_owned(), |moment| format!("{moment:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_on_a_narrow_terminal() {
        let mut table = Table::new();
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(80);
        let columns = ["TIME", "WHO", "WHAT", "OUTCOME", ">WAITING", "DETAIL"];
        let row = [
            "2026-11-24T10:00:00.000Z",
            "operator",
            "subscription-created",
            "done",
            "12",
            "it was created by its owner, as no receiver was there",
        ];
        let text = filled(table, &columns, vec![row.map(str::to_owned).to_vec()]);
        let words = columns.iter().map(|column| column.trim_start_matches('>'));
        for word in words.chain(row.iter().flat_map(|cell| cell.split(' '))) {
            assert!(text.split_whitespace().any(|found| found == word), "{word} in\n{text}");
        }
    }

    #[test]
    fn rates_are_as_exact_as_people_want_them() {
        let told = [0.0, 0.04, 0.1, 9.94, 9.96, 1234.5].map(rate);
        let short =
            [250, 2_500, 10_000].map(|micros| short_duration(Duration::from_micros(micros)));
        assert_eq!(short, ["250 µs", "2.5 ms", "10 ms"]);
        let fine = [2_997, 3_040, 600_000].map(|ms| fine_duration(Duration::from_millis(ms)));
        assert_eq!(fine, ["3.0 s", "3.0 s", "10 min"]);
        let exact = [500, 90_000, 86_400_000].map(|ms| exact_duration(Duration::from_millis(ms)));
        assert_eq!(exact, ["500ms", "1m30s", "24h"]);
        assert_eq!(told, ["0", "<0.1", "0.1", "9.9", "10", "1234"]);
    }
}
