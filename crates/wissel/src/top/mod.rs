//! `wissel top`: what goes on, on a whole screen.

mod draw;
mod look;
mod state;

use std::io::IsTerminal as _;
use std::time::Duration;

use futures::StreamExt as _;
use futures::TryStreamExt as _;
use ratatui::crossterm::event::{self, Event};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use wissel_client::{Client, ClientError, InboxName, InboxOrder, UnsettledDelivery};

use self::look::{Look, Open};
use self::state::{Page, Sort, State};
use crate::cli::TopArguments;
use crate::exit::Failure;
use crate::status::standing;
use crate::{client, inboxes, output};

/// The most inboxes that a gateway tells of at once.
const INBOXES: u32 = 1_000;
/// The most dead letters that are shown, the oldest.
const LETTERS: usize = 200;
/// How often the thread that reads keys finds out that it is no longer wanted.
const KEYS_PAUSE: Duration = Duration::from_millis(100);

/// The most messages that are shown, the first.
const MESSAGES: u32 = 100;

/// What to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    sort: Sort,
    open: Option<InboxName>,
    /// Whether what is not settled of it is shown, and how often that was asked for: it is
    /// looked at once each time, as looking is on record, and work on RabbitMQ.
    messages: Option<u64>,
}

/// What was not settled when it was looked at.
type Messages = Result<Vec<UnsettledDelivery>, String>;

impl Wanted {
    fn of(state: &State) -> Self {
        let messages = matches!(state.page, Page::Messages(_)).then_some(state.looks);
        Self { sort: state.sort, open: state.open().cloned(), messages }
    }
}

/// While it lives, the screen is ours; a panic gives it back as well.
struct Screen(ratatui::DefaultTerminal);

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

pub(crate) async fn run(arguments: TopArguments) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::usage("top wants a terminal; see `wissel status --watch`"));
    }
    let client = client::connect_without_retries(&arguments.connection)?;
    let mut state = State::new();
    let (want, wanted) = watch::channel(Wanted::of(&state));
    let (tell, mut news) = mpsc::channel(1);
    tokio::spawn(fetch(client, arguments.interval, wanted, tell));
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(Failure::internal)?;
    let mut screen = Screen(ratatui::try_init().map_err(Failure::internal)?);
    let mut keys = read_keys();
    while !state.is_over {
        screen.0.draw(|frame| draw::draw(&state, frame)).map_err(Failure::internal)?;
        tokio::select! {
            _ = terminate.recv() => break,
            _ = hang_up.recv() => break,
            told = news.recv() => {
                let told = told.ok_or_else(|| Failure::internal("nothing is fetched any more"))?;
                state.hear(told?);
            }
            key = keys.recv() => match key {
                Some(Event::Key(key)) if key.is_press() => state.press(key),
                // Another size: it is drawn again.
                Some(_) => {}
                None => break,
            },
        }
        let now = Wanted::of(&state);
        want.send_if_modified(|before| {
            let differs = *before != now;
            *before = now;
            differs
        });
    }
    Ok(())
}

/// Reads keys on a thread of its own, which ends when nobody wants them.
fn read_keys() -> mpsc::Receiver<Event> {
    let (send, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !send.is_closed() {
            match event::poll(KEYS_PAUSE) {
                Ok(false) => {}
                Ok(true) => {
                    let Ok(event) = event::read() else { return };
                    if send.blocking_send(event).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
    keys
}

/// Looks every so often, and when something else is wanted. A failure that trying again
/// cannot mend is the last that is told.
async fn fetch(
    client: Client,
    every: Duration,
    mut wanted: watch::Receiver<Wanted>,
    tell: mpsc::Sender<Result<Result<Look, String>, Failure>>,
) {
    let mut looked: Option<(Wanted, Messages)> = None;
    loop {
        let now = wanted.borrow_and_update().clone();
        let news = match look(&client, every, &now, &mut looked).await {
            Ok(look) => Ok(Ok(look)),
            Err(error) if error.is_retryable() => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        };
        if tell.send(news).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

async fn look(
    client: &Client,
    every: Duration,
    wanted: &Wanted,
    looked: &mut Option<(Wanted, Messages)>,
) -> Result<Look, ClientError> {
    let order = match wanted.sort {
        Sort::Concern => InboxOrder::Concern,
        Sort::Name => InboxOrder::Name,
        Sort::Depth => InboxOrder::Depth,
        Sort::Oldest => InboxOrder::Oldest,
        Sort::Rate => InboxOrder::Came,
        Sort::DeadLetters => InboxOrder::DeadLetters,
    };
    let status = client.status().await?;
    let overview = client.overview(order, 0, INBOXES, every).await?;
    let open = match &wanted.open {
        Some(name) => look_into(client, name, wanted, looked).await?,
        None => None,
    };
    let up = output::duration(status.uptime);
    Ok(Look {
        gateway: format!("wissel {}  {}  up {up}", status.version, standing(&status)),
        ready: status.ready,
        traffic: overview
            .traffic
            .map(|traffic| (traffic.messages_per_second, traffic.handed_out_per_second)),
        latencies: overview.traffic.map_or([None; 2], |traffic| {
            [traffic.receipt, traffic.delivery].map(|one| one.map(|latency| latency.p99))
        }),
        taken_at: overview.taken_at,
        total: overview.totals.inboxes,
        inboxes: overview.inboxes.into_iter().map(Into::into).collect(),
        open,
    })
}

/// None when it was removed.
async fn look_into(
    client: &Client,
    name: &InboxName,
    wanted: &Wanted,
    looked: &mut Option<(Wanted, Messages)>,
) -> Result<Option<Open>, ClientError> {
    let inbox = match client.get_inbox(name).await {
        Ok(inbox) => inbox,
        Err(ClientError::Refused(refusal)) if refusal.reason == "UNKNOWN_INBOX" => return Ok(None),
        Err(error) => return Err(error),
    };
    let letters = client.list_dead_letters(name).take(LETTERS).map_ok(Into::into);
    let letters = letters.try_collect().await?;
    // That they cannot be shown is no reason to show nothing else.
    let is_same = |then: &Wanted| then.open == wanted.open && then.messages == wanted.messages;
    if wanted.messages.is_some() && !looked.as_ref().is_some_and(|(then, _)| is_same(then)) {
        let found = client.list_deliveries(name, MESSAGES).await.map_err(|e| e.to_string());
        *looked = Some((wanted.clone(), found));
    }
    let messages = wanted.messages.and(looked.as_ref().map(|(_, found)| found.clone()));
    let settings = inboxes::settings(&inbox);
    let now = std::time::SystemTime::now();
    let receivers = inbox.receivers.iter().map(|one| inboxes::receiver_text(one, now)).collect();
    Ok(Some(Open { name: name.clone(), settings, receivers, letters, messages }))
}
