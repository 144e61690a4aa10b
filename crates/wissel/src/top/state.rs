//! What is shown, and what a key does to it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use wissel_client::{InboxName, UnsettledDelivery};

use super::look::{Inbox, Letter, Look};

/// By what inboxes are put in order, the highest first, but names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Concern,
    Name,
    Depth,
    Oldest,
    Rate,
    DeadLetters,
}

/// Where somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Page {
    List,
    Inbox(InboxName),
    /// What is not settled of an inbox.
    Messages(InboxName),
    /// A dead letter, by its id.
    Letter(InboxName, String),
}

/// All that is shown follows from this.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) look: Look,
    /// Why the gateway was not reached last.
    pub(crate) trouble: Option<String>,
    pub(crate) page: Page,
    pub(crate) sort: Sort,
    pub(crate) filter: String,
    pub(crate) is_typing: bool,
    pub(crate) has_help: bool,
    /// The inbox that is chosen; it stays so when the order changes.
    chosen: Option<InboxName>,
    /// Which dead letter of the inbox that is open.
    letter: usize,
    /// How often somebody asked for what is not settled of an inbox.
    pub(crate) looks: u64,
    pub(crate) is_over: bool,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            look: Look::default(),
            trouble: None,
            page: Page::List,
            sort: Sort::Concern,
            filter: String::new(),
            is_typing: false,
            has_help: false,
            chosen: None,
            letter: 0,
            looks: 0,
            is_over: false,
        }
    }

    /// What was found out; what was known stays when the gateway was not reached.
    pub(crate) fn hear(&mut self, news: Result<Look, String>) {
        match news {
            Ok(look) => (self.look, self.trouble) = (look, None),
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// The inbox that is open.
    pub(crate) fn open(&self) -> Option<&InboxName> {
        match &self.page {
            Page::List => None,
            Page::Inbox(name) | Page::Messages(name) | Page::Letter(name, _) => Some(name),
        }
    }

    /// The inboxes that pass the filter, in order.
    pub(crate) fn inboxes(&self) -> Vec<&Inbox> {
        let passes = |one: &&Inbox| {
            one.name.as_str().contains(&self.filter)
                || (!self.filter.is_empty() && one.concern().contains(&self.filter))
        };
        let mut inboxes: Vec<&Inbox> = self.look.inboxes.iter().filter(passes).collect();
        inboxes.sort_by(|one, other| one.name.cmp(&other.name));
        match self.sort {
            Sort::Name => {}
            Sort::Concern => {
                inboxes.sort_by_key(|one| std::cmp::Reverse((one.gravity(), one.oldest)));
            }
            Sort::Depth => {
                inboxes.sort_by_key(|one| std::cmp::Reverse(one.depth + one.in_flight));
            }
            Sort::Oldest => inboxes.sort_by_key(|one| std::cmp::Reverse(one.oldest)),
            Sort::Rate => inboxes.sort_by(|one, other| other.came.total_cmp(&one.came)),
            Sort::DeadLetters => inboxes.sort_by_key(|one| std::cmp::Reverse(one.dead_letters)),
        }
        inboxes
    }

    /// Which of them is chosen: the first when the chosen one is not there.
    pub(crate) fn place(&self) -> usize {
        let inboxes = self.inboxes();
        let place = inboxes.iter().position(|one| Some(&one.name) == self.chosen.as_ref());
        place.unwrap_or(0)
    }

    /// The dead letters of the inbox that is open, those of one reason together, the reason
    /// of most first.
    pub(crate) fn letters(&self) -> Vec<&Letter> {
        let open = self.look.open.as_ref().filter(|open| Some(&open.name) == self.open());
        let mut letters: Vec<&Letter> =
            open.map(|open| open.letters.iter().collect()).unwrap_or_default();
        let mut counts = std::collections::HashMap::new();
        for letter in &letters {
            *counts.entry(letter.reason.as_str()).or_insert(0_usize) += 1;
        }
        letters.sort_by_key(|one| {
            (std::cmp::Reverse(counts[one.reason.as_str()]), one.reason.as_str(), one.died_at)
        });
        letters
    }

    /// What is not settled of the inbox that is open, or why that is not known.
    pub(crate) fn messages(&self) -> Result<&[UnsettledDelivery], &str> {
        let open = self.look.open.as_ref().filter(|open| Some(&open.name) == self.open());
        match open.and_then(|open| open.messages.as_ref()) {
            Some(Ok(messages)) => Ok(messages),
            Some(Err(why)) => Err(why),
            None => Err("looking"),
        }
    }

    /// Which dead letter is chosen.
    pub(crate) fn letter_place(&self) -> usize {
        self.letter.min(self.letters().len().saturating_sub(1))
    }

    pub(crate) fn press(&mut self, key: KeyEvent) {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            self.is_over |= key.code == KeyCode::Char('c');
        } else if self.is_typing {
            self.type_filter(key.code);
        } else if self.has_help {
            self.has_help = false;
        } else {
            self.command(key.code);
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(letter) => self.filter.push(letter),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.is_typing = false;
            }
            _ => {}
        }
    }

    fn command(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('q') => self.is_over = true,
            KeyCode::Char('?') => self.has_help = true,
            KeyCode::Char('/') if self.page == Page::List => self.is_typing = true,
            KeyCode::Char('c') => self.sort = Sort::Concern,
            KeyCode::Char('n') => self.sort = Sort::Name,
            KeyCode::Char('d') => self.sort = Sort::Depth,
            KeyCode::Char('o') => self.sort = Sort::Oldest,
            KeyCode::Char('r') => self.sort = Sort::Rate,
            KeyCode::Char('x') => self.sort = Sort::DeadLetters,
            KeyCode::Up | KeyCode::Char('k') => self.go(-1),
            KeyCode::Down | KeyCode::Char('j') => self.go(1),
            KeyCode::PageUp => self.go(-10),
            KeyCode::PageDown => self.go(10),
            KeyCode::Enter => self.enter(),
            KeyCode::Char('m') => self.turn(),
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.back(),
            _ => {}
        }
    }

    fn go(&mut self, by: isize) {
        if self.page == Page::List {
            let inboxes = self.inboxes();
            let place = self.place().saturating_add_signed(by).min(inboxes.len().max(1) - 1);
            self.chosen = inboxes.get(place).map(|one| one.name.clone());
        } else {
            let last = self.letters().len().saturating_sub(1);
            self.letter = self.letter_place().saturating_add_signed(by).min(last);
        }
    }

    fn enter(&mut self) {
        let page = match &self.page {
            Page::List => self.inboxes().get(self.place()).map(|one| Page::Inbox(one.name.clone())),
            Page::Inbox(name) => {
                let letters = self.letters();
                let letter = letters.get(self.letter_place());
                letter.map(|letter| Page::Letter(name.clone(), letter.id.clone()))
            }
            Page::Messages(_) | Page::Letter(..) => None,
        };
        if let Some(page) = page {
            if let Page::Inbox(name) = &page {
                (self.chosen, self.letter) = (Some(name.clone()), 0);
            }
            self.page = page;
        }
    }

    /// From what an inbox gave up on to what it still has, and back.
    fn turn(&mut self) {
        match &self.page {
            Page::Inbox(name) => {
                self.looks += 1;
                self.page = Page::Messages(name.clone());
            }
            Page::Messages(name) => self.page = Page::Inbox(name.clone()),
            Page::List | Page::Letter(..) => {}
        }
    }

    fn back(&mut self) {
        match &self.page {
            Page::List => self.filter.clear(),
            Page::Inbox(_) => self.page = Page::List,
            Page::Messages(name) | Page::Letter(name, _) => {
                self.page = Page::Inbox(name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::draw::draw;
    use super::super::look::Open;
    use super::*;

    fn inbox(name: &str, depth: u64, consumers: u32, oldest: u64) -> Inbox {
        Inbox {
            name: format!("00000001002220647000.{name}").parse().unwrap(),
            depth,
            depth_is_least: false,
            delayed: 0,
            in_flight: 0,
            consumers,
            oldest: Duration::from_secs(oldest),
            dead_letters: 0,
            came: 0.0,
            settled: 0.0,
            told: None,
            history: vec![1, 2, 3],
        }
    }

    fn letter(id: &str, reason: &str) -> Letter {
        Letter {
            id: id.to_owned(),
            message: "m".to_owned(),
            event_type: "nl.brp.geboorte".to_owned(),
            publisher: "p".to_owned(),
            died_at: SystemTime::UNIX_EPOCH,
            attempts: 2,
            reason: reason.to_owned(),
            history: vec![(1, SystemTime::UNIX_EPOCH, "the first fault".to_owned())],
        }
    }

    fn state() -> State {
        let well = Inbox { settled: 4.0, ..inbox("well", 900, 1, 1) };
        let told = |what: &str| Some(what.to_owned());
        let unread = Inbox { told: told("no receiver"), ..inbox("unread", 3, 0, 5) };
        let stalled = Inbox { told: told("paused"), ..inbox("stalled", 2, 1, 40) };
        let mut state = State::new();
        let open = Open {
            name: unread.name.clone(),
            settings: vec!["max_attempts = 2".to_owned()],
            receivers: vec!["received by x: 3 of 5 in hand".to_owned()],
            letters: vec![letter("1", "once"), letter("2", "often"), letter("3", "often")],
            messages: Some(Err("read at another gateway".to_owned())),
        };
        state.hear(Ok(Look {
            ready: true,
            total: 3,
            inboxes: vec![well, stalled, unread],
            open: Some(open),
            ..Look::default()
        }));
        state
    }

    fn press(state: &mut State, keys: &str) {
        for key in keys.chars() {
            let code = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
            state.press(code.into());
        }
    }

    fn names(state: &State) -> Vec<&str> {
        state.inboxes().iter().map(|one| one.name.local()).collect()
    }

    fn screen(state: &State, width: u16, height: u16) -> String {
        let backend = ratatui::backend::TestBackend::new(width, height);
        let mut terminal = ratatui::Terminal::new(backend).unwrap();
        terminal.draw(|frame| draw(state, frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_gravest_is_first_and_keys_sort_and_filter() {
        let mut state = state();
        assert_eq!(names(&state), ["unread", "stalled", "well"]);
        let concerns: Vec<&str> = state.inboxes().iter().map(|one| one.concern()).collect();
        assert_eq!(concerns, ["no receiver", "paused", ""]);
        // What is chosen stays so in another order.
        press(&mut state, "jd");
        assert_eq!((names(&state)[0], state.place()), ("well", 2));
        press(&mut state, "n/stall\n");
        assert_eq!((names(&state), state.is_typing), (vec!["stalled"], false));
        press(&mut state, "/q");
        assert!(names(&state).is_empty() && !state.is_over);
        assert_eq!(state.place(), 0);
        state.press(KeyCode::Esc.into());
        assert_eq!(names(&state).len(), 3);
        press(&mut state, "q");
        assert!(state.is_over);
    }

    #[test]
    fn a_gateway_that_went_away_is_told_and_what_was_known_stays() {
        let mut state = state();
        state.hear(Err("refused".to_owned()));
        let shown = screen(&state, 80, 24);
        assert!(shown.contains("NOT REACHED") && shown.contains("unread"), "{shown}");
        state.hear(Ok(Look::default()));
        assert!(!screen(&state, 80, 24).contains("NOT REACHED"));
    }

    #[test]
    fn enter_leads_to_an_inbox_and_on_to_a_dead_letter() {
        let mut state = state();
        let shown = screen(&state, 80, 24);
        assert!(shown.contains("no receiver") && shown.contains("paused"), "{shown}");
        press(&mut state, "\n");
        let shown = screen(&state, 80, 24);
        assert!(shown.contains("max_attempts = 2"), "{shown}");
        assert!(shown.contains("3 of 5 in hand"), "{shown}");
        assert!(shown.find("often").unwrap() < shown.find("once").unwrap(), "{shown}");
        press(&mut state, "m");
        assert!(screen(&state, 80, 24).contains("read at another gateway"));
        press(&mut state, "m");
        press(&mut state, "jj\n");
        let shown = screen(&state, 80, 24);
        assert!(shown.contains("the first fault") && shown.contains("once"), "{shown}");
        press(&mut state, "?");
        assert!(screen(&state, 80, 24).contains("page up"));
        // A terminal of hardly any size is no fault.
        screen(&state, 3, 1);
    }
}
