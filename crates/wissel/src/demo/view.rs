//! The live view: what goes where.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Gauge, Paragraph, Row, Table};
use ratatui::{DefaultTerminal, Frame, TerminalOptions, Viewport};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wissel_catalogue::Catalogue;

use crate::cli::DemoArguments;
use crate::demo::ledger::Ledger;
use crate::output;

/// A view that is shown until it is stopped.
pub(crate) struct Showing {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// What is shown.
struct View {
    ledger: Arc<Ledger>,
    /// Parties, by what people call them.
    parties: Vec<(wissel_identifiers::Oin, String)>,
    begun: Instant,
    day: Duration,
}

/// Begins to show: a full view on a terminal, a line a second elsewhere, nothing
/// when JSON was asked for.
pub(crate) fn start(
    ledger: &Arc<Ledger>,
    catalogue: &Catalogue,
    arguments: &DemoArguments,
) -> Showing {
    let stop = CancellationToken::new();
    if arguments.json {
        return Showing { stop, task: None };
    }
    let parties = catalogue.parties().map(|party| (party.oin, party.name.clone()));
    let view = View {
        ledger: Arc::clone(ledger),
        parties: parties.collect(),
        begun: Instant::now(),
        day: Duration::from_secs(arguments.seconds),
    };
    let task = tokio::spawn(view.show(stop.clone()));
    Showing { stop, task: Some(task) }
}

impl Showing {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }
}

impl View {
    const HEIGHT: u16 = 24;

    async fn show(self, stop: CancellationToken) {
        let viewport = TerminalOptions { viewport: Viewport::Inline(Self::HEIGHT) };
        let mut terminal = if std::io::stdout().is_terminal() {
            ratatui::try_init_with_options(viewport).ok()
        } else {
            None
        };
        let pause = Duration::from_millis(if terminal.is_some() { 200 } else { 1_000 });
        while !stop.is_cancelled() {
            self.once(terminal.as_mut());
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(pause) => {} }
        }
        if terminal.is_some() {
            self.once(terminal.as_mut());
            ratatui::restore();
            output::line("");
        }
    }

    fn once(&self, terminal: Option<&mut DefaultTerminal>) {
        match terminal {
            Some(terminal) => {
                // A terminal that cannot be drawn on does not end the demo.
                let _ = terminal.draw(|frame| self.draw(frame));
            }
            None => output::line(&self.summary()),
        }
    }

    fn summary(&self) -> String {
        let books = self.ledger.books();
        format!(
            "{}  {} published, {} receipts, {} deliveries",
            self.clock(),
            books.published(),
            books.receipts,
            books.deliveries
        )
    }

    /// How much of the day has passed, from 0 to 1.
    fn part(&self) -> f64 {
        (self.begun.elapsed().as_secs_f64() / self.day.as_secs_f64()).clamp(0.0, 1.0)
    }

    fn clock(&self) -> String {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1440")]
        let minutes = (self.part() * 1_439.0) as u32;
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let [title, day, tables] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Fill(1)])
                .areas(frame.area());
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)])
                .spacing(2)
                .areas(tables);
        frame.render_widget(Paragraph::new(Line::from(self.summary()).bold()), title);
        let gauge = Gauge::default().ratio(self.part()).label(self.clock());
        frame.render_widget(gauge.gauge_style(Style::new().blue()), day);
        frame.render_widget(self.published(), left);
        frame.render_widget(self.delivered(), right);
    }

    fn published(&self) -> Table<'static> {
        let books = self.ledger.books();
        let mut counts: Vec<_> = books.published_by_type.clone().into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        table("published", counts)
    }

    fn delivered(&self) -> Table<'static> {
        let books = self.ledger.books();
        let counts = self
            .parties
            .iter()
            .filter_map(|(oin, name)| Some((name.clone(), *books.delivered_to.get(oin)?)));
        let mut counts: Vec<(String, u64)> = counts.collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        table("delivered to", counts)
    }
}

fn table(title: &'static str, counts: Vec<(String, u64)>) -> Table<'static> {
    let rows = counts.into_iter().map(|(name, count)| {
        Row::new([Line::from(name), Line::from(count.to_string()).right_aligned()])
    });
    Table::new(rows, [Constraint::Fill(1), Constraint::Length(10)])
        .header(Row::new([Line::from(title).dim(), Line::from("messages").dim().right_aligned()]))
}
