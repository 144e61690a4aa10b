//! Drawing.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Sparkline, Table, TableState, Wrap};

use super::look::{Gravity, Inbox};
use super::state::{Page, State};
use crate::{inboxes, output};

const HELP: &str = "up, down, page up, page down   choose
enter   look into the inbox, or the dead letter
m       in an inbox: what waits and is in flight at this moment, or its dead letters
esc     back
/       show inboxes of which the name or concern has this
c n d o r x   sort by concern, name, depth, oldest, rate in, dead letters
q, ctrl-c     leave

full          its deliveries are as many as it may have
no receiver   deliveries wait, and there is no consumer
paused        nothing is handed out, as somebody paused it
slow          the oldest has waited for 5 min";

pub(crate) fn draw(state: &State, frame: &mut Frame<'_>) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(header(state)), head);
    if state.has_help {
        frame.render_widget(Paragraph::new(HELP), body);
    } else {
        match &state.page {
            Page::List => list(state, frame, body),
            Page::Inbox(_) | Page::Messages(_) => inbox(state, frame, body),
            Page::Letter(_, id) => letter(state, id, frame, body),
        }
    }
    let foot_text = if state.is_typing {
        format!("/{}_", state.filter)
    } else if state.filter.is_empty() {
        "? help  / filter  enter look  m messages  esc back  q leave".to_owned()
    } else {
        format!("filter: {}  (esc: all)", state.filter)
    };
    frame.render_widget(Line::from(foot_text).dim(), foot);
}

fn header(state: &State) -> Vec<Line<'static>> {
    let first = match &state.trouble {
        Some(trouble) => Line::from(format!("NOT REACHED, trying again: {trouble}")).red().bold(),
        None if state.look.gateway.is_empty() => Line::from("asking the gateway"),
        None if state.look.ready => Line::from(state.look.gateway.clone()).bold(),
        None => Line::from(format!("NOT READY  {}", state.look.gateway)).red().bold(),
    };
    let concerns = state.look.inboxes.iter().filter(|one| one.gravity() != Gravity::Well).count();
    let shown = state.look.inboxes.len();
    let of = state.look.total;
    let traffic = state.look.traffic.map_or_else(String::new, |(came, went)| {
        format!("  in {}/s  out {}/s", output::rate(came), output::rate(went))
    });
    let latencies = ["receipt", "delivery"].into_iter().zip(state.look.latencies);
    let latencies: String = latencies
        .filter_map(|(what, p99)| Some((what, output::short_duration(p99?))))
        .map(|(what, p99)| format!("  {what} p99 {p99}"))
        .collect();
    let looked = state.look.taken_at.map_or_else(String::new, |at| {
        format!("  at {}", output::moment(at).get(11..19).unwrap_or_default())
    });
    let second =
        format!("{shown} of {of} inboxes, {concerns} need a look{traffic}{latencies}{looked}");
    vec![first, Line::from(second)]
}

fn list(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let widths = [6, 6, 4, 7, 6, 6, 5, 12];
    let taken: u16 = widths.iter().map(|width| width + 1).sum();
    let room = usize::from(area.width.saturating_sub(taken));
    let rows = state.inboxes().into_iter().map(|one| {
        let numbers = [
            format!("{}{}", one.depth, one.mark()),
            one.in_flight.to_string(),
            one.consumers.to_string(),
            output::duration(one.oldest),
            output::rate(one.came),
            output::rate(one.settled),
            one.dead_letters.to_string(),
        ];
        let cells = [Line::from(ending(one.name.as_str(), room))].into_iter();
        let cells = cells.chain(numbers.map(|text| Line::from(text).right_aligned()));
        let row = Row::new(cells.chain([Line::from(one.concern())]));
        match one.gravity() {
            Gravity::Grave => row.red(),
            Gravity::Noted => row.yellow(),
            Gravity::Well => row,
        }
    });
    let widths = [Constraint::Fill(1)].into_iter().chain(widths.map(Constraint::Length));
    let names = ["INBOX", "DEPTH", "FLIGHT", "CONS", "OLDEST", "IN/S", "OUT/S", "DEAD", "CONCERN"];
    let table = Table::new(rows, widths)
        .header(Row::new(names).dim())
        .row_highlight_style(Style::new().reversed());
    let mut chosen = TableState::new().with_selected(state.place());
    frame.render_stateful_widget(table, area, &mut chosen);
}

/// A name in so many columns: its end, as inboxes of one party begin alike.
fn ending(name: &str, columns: usize) -> String {
    let length = name.chars().count();
    if length <= columns {
        return name.to_owned();
    }
    let end = name.chars().skip(length + 1 - columns.max(1));
    std::iter::once('…').chain(end).collect()
}

fn facts(one: &Inbox) -> String {
    format!(
        "waiting {}{}  delayed {}  in flight {}  consumers {}  oldest {}\nin {}/s  out {}/s  dead \
         letters {}  {}",
        one.depth - one.delayed.min(one.depth),
        one.mark(),
        one.delayed,
        one.in_flight,
        one.consumers,
        output::duration(one.oldest),
        output::rate(one.came),
        output::rate(one.settled),
        one.dead_letters,
        one.concern()
    )
}

fn inbox(state: &State, frame: &mut Frame<'_>, area: Rect) {
    /// The most receivers that are told of.
    const RECEIVERS: usize = 4;
    let Some(name) = state.open() else { return };
    let one = state.look.inboxes.iter().find(|one| one.name == *name);
    let open = state.look.open.as_ref().filter(|open| open.name == *name);
    let mut receivers: Vec<String> = open.map(|open| open.receivers.clone()).unwrap_or_default();
    if receivers.len() > RECEIVERS {
        let more = receivers.len() - RECEIVERS + 1;
        receivers.truncate(RECEIVERS - 1);
        receivers.push(format!("… and {more} receivers more"));
    }
    let height = 4 + u16::try_from(receivers.len()).unwrap_or_default();
    let [top, spark, below] =
        Layout::vertical([Constraint::Length(height), Constraint::Length(2), Constraint::Fill(1)])
            .areas(area);
    let settings = open.map_or_else(String::new, |open| {
        let own = open.settings.join(", ");
        if own.is_empty() { "settings of the gateway".to_owned() } else { own }
    });
    let told = one.map_or_else(|| "not among those that are shown".to_owned(), facts);
    let receivers: String = receivers.iter().map(|one| format!("\n{one}")).collect();
    let text = format!("{name}\n{told}\n{settings}{receivers}");
    frame.render_widget(Paragraph::new(text), top);
    let history = one.map(|one| one.history.clone()).unwrap_or_default();
    frame.render_widget(Sparkline::default().data(history.into_iter().map(u64::from)), spark);
    if matches!(state.page, Page::Messages(_)) {
        messages(state, frame, below);
    } else {
        letters(state, frame, below);
    }
}

fn messages(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let found = match state.messages() {
        Ok([]) => Err("nothing waits, nothing is in flight"),
        found => found,
    };
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            let why = Paragraph::new(why.to_owned()).wrap(Wrap { trim: false });
            return frame.render_widget(why, area);
        }
    };
    let rows = found.iter().map(|one| {
        let reason = one.history.last().map(|last| last.reason.clone());
        Row::new([
            one.event_type.clone(),
            inboxes::state(one.state),
            one.attempt.to_string(),
            output::moment(one.admitted_at),
            reason.unwrap_or_default(),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(33),
        Constraint::Length(7),
        Constraint::Length(24),
        Constraint::Fill(1),
    ];
    let names = ["NOT SETTLED, BY TYPE", "STATE", "ATTEMPT", "ADMITTED AT", "LAST REASON"];
    frame.render_widget(Table::new(rows, widths).header(Row::new(names).dim()), area);
}

fn letters(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let rows = state.letters().into_iter().map(|one| {
        Row::new([
            one.reason.clone(),
            one.event_type.clone(),
            one.attempts.to_string(),
            output::moment(one.died_at),
        ])
    });
    let widths =
        [Constraint::Fill(2), Constraint::Fill(1), Constraint::Length(8), Constraint::Length(24)];
    let table = Table::new(rows, widths)
        .header(Row::new(["DEAD LETTERS BY REASON", "TYPE", "ATTEMPTS", "DIED AT"]).dim())
        .row_highlight_style(Style::new().reversed());
    let mut chosen = TableState::new().with_selected(state.letter_place());
    frame.render_stateful_widget(table, area, &mut chosen);
}

fn letter(state: &State, id: &str, frame: &mut Frame<'_>, area: Rect) {
    let letters = state.letters();
    let Some(one) = letters.into_iter().find(|one| one.id == id) else {
        frame.render_widget(Paragraph::new("this dead letter is no longer there"), area);
        return;
    };
    let mut lines = vec![
        format!("dead letter  {}", one.id),
        format!("message      {}", one.message),
        format!("type         {}", one.event_type),
        format!("publisher    {}", one.publisher),
        format!("died at      {}", output::moment(one.died_at)),
        format!("reason       {}", one.reason),
        String::new(),
    ];
    let attempts = one.history.iter();
    lines.extend(attempts.map(|(number, at, reason)| {
        format!("attempt {number}  {}  {reason}", output::moment(*at))
    }));
    let text = Paragraph::new(lines.join("\n")).wrap(Wrap { trim: false });
    frame.render_widget(text, area);
}
