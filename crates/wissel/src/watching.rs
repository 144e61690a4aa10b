//! Looking again and again, for `--watch`.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime};

use ratatui::crossterm::{cursor, queue, terminal};

use crate::cli::LookArguments;
use crate::exit::Failure;
use crate::output;

/// Does what prints something: once, or with `--watch` again and again.
pub(crate) async fn show<F>(
    look: &LookArguments,
    mut print: impl FnMut() -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let json = look.json;
    match look.watch.watch {
        Some(every) => again_and_again(every, json, || output::kept(json, print())).await,
        None => print().await,
    }
}

/// Looks every so often, until the process is stopped, and shows what is found: in place on
/// a terminal, below what was before elsewhere. A gateway that does not answer is told of,
/// and asked again.
///
/// Gives the first failure that trying again cannot mend.
pub(crate) async fn again_and_again<F>(
    every: Duration,
    json: bool,
    mut look: impl FnMut() -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<String, Failure>>,
{
    let in_place = std::io::stdout().is_terminal() && !json;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let found = look().await;
        if let Err(failure) = &found
            && !failure.is_for_now()
        {
            return found.map(drop);
        }
        let now = output::moment(SystemTime::now());
        match found {
            Ok(text) if json && text.is_empty() => {}
            Ok(text) if json => output::line(&text),
            Ok(text) if in_place => paint(&format!("{now}\n\n{text}")),
            Ok(text) => output::line(&format!("{now}\n{text}\n")),
            Err(failure) if in_place => paint(&format!("{now}\n\n{failure}; trying again")),
            Err(failure) => output::note(&format!("{now} {failure}; trying again")),
        }
    }
}

/// Puts a text in place of what is on the terminal. A terminal that went away ends the
/// program.
fn paint(text: &str) {
    let height = terminal::size().map_or(usize::MAX, |(_, height)| usize::from(height));
    if painted(text, height).is_err() {
        std::process::exit(0);
    }
}

fn painted(text: &str, height: usize) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    queue!(out, cursor::MoveTo(0, 0))?;
    // Lines are overwritten and then cut: nothing flickers.
    for line in fitting(text, height) {
        write!(out, "{line}")?;
        queue!(out, terminal::Clear(terminal::ClearType::UntilNewLine))?;
        write!(out, "\r\n")?;
    }
    queue!(out, terminal::Clear(terminal::ClearType::FromCursorDown))?;
    out.flush()
}

/// As many lines as there is room for above the cursor, and how many there are beyond.
fn fitting(text: &str, height: usize) -> Vec<String> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let room = height.saturating_sub(1).max(1);
    if lines.len() <= room {
        return lines;
    }
    let beyond = lines.len() - (room - 1);
    let shown = lines.into_iter().take(room - 1);
    shown.chain([format!("… and {beyond} lines more")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        assert_eq!(fitting("a\nb\nc", 4), ["a", "b", "c"]);
        assert_eq!(fitting("a\nb\nc", 3), ["a", "… and 2 lines more"]);
        assert_eq!(fitting("a\nb\nc", 0), ["… and 3 lines more"]);
    }
}
