//! `wissel bench`: how fast a gateway takes messages and hands them out.

mod publishing;
mod receiving;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wissel_message::Event;

use self::publishing::{Lane, Published};
use self::receiving::Receiver;
use self::report::Report;
use crate::cli::BenchArguments;
use crate::events::Events;
use crate::exit::Failure;
use crate::{client, output};

/// How long is waited for messages that are yet to come out of the inbox.
const LAST_ONES: Duration = Duration::from_secs(30);

/// What all lanes share.
struct Plan {
    event: Event,
    /// Every id of this run begins so.
    run: String,
    begun: Instant,
    /// Between two messages; none: as fast as they are confirmed.
    period: Option<Duration>,
    /// The first message that is not sent any more.
    count: u64,
    /// When nothing more is sent.
    until: Option<Instant>,
    next: AtomicU64,
    stop: CancellationToken,
    progress: ProgressBar,
}

impl Plan {
    /// The next message, and when it is to be sent; none when it is over.
    fn take(&self) -> Option<(u64, Option<Instant>)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.period.map(|period| {
            let nanos = period.as_nanos().saturating_mul(number.into());
            self.begun + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        });
        let is_late = self.until.is_some_and(|until| due.unwrap_or_else(Instant::now) >= until);
        (number < self.count && !is_late && !self.stop.is_cancelled()).then_some((number, due))
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }
}

pub(crate) async fn run(arguments: BenchArguments) -> Result<(), Failure> {
    refuse_by_mistake(&arguments)?;
    let event = template(&arguments).await?;
    let run = format!("bench-{:016x}", rand::random::<u64>());
    let receiver = match &arguments.inbox {
        Some(inbox) => Some(Receiver::open(&arguments, inbox, &run).await?),
        None => None,
    };
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let _interrupt = AbortOnDropHandle::new(tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.cancel();
        }
    }));
    let begun = Instant::now() + Duration::from_millis(50);
    let plan = Arc::new(Plan {
        event,
        run,
        begun,
        period: arguments.rate.map(|rate| Duration::from_secs(1) / rate),
        count: arguments.count.unwrap_or(u64::MAX),
        until: arguments.count.is_none().then(|| begun + arguments.seconds),
        next: AtomicU64::new(0),
        stop: stop.clone(),
        progress: output::progress("confirmed"),
    });
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..arguments.connections {
        let client = client::connect(&arguments.connection)?;
        let lane = Lane::new(&client, arguments.window, arguments.connection.timeout());
        lanes.spawn(lane.run(Arc::clone(&plan)));
    }
    let mut published = Published::default();
    while let Some(lane) = lanes.join_next().await {
        published.add(lane.map_err(Failure::internal)??);
    }
    let took = begun.elapsed();
    let received = match receiver {
        Some(receiver) => {
            plan.progress.set_message("confirmed; waiting for the last deliveries");
            Some(receiver.finish(&published.sent_at, LAST_ONES, &stop).await?)
        }
        None => None,
    };
    plan.progress.finish_and_clear();
    Report { published, received, took }.print(arguments.json)
}

/// Messages go to real receivers: not by mistake.
fn refuse_by_mistake(arguments: &BenchArguments) -> Result<(), Failure> {
    let server = &arguments.connection.server;
    let host = server.split_once("://").map_or(server.as_str(), |(_, host)| host);
    let local = ["127.0.0.1", "localhost", "[::1]"];
    if arguments.yes || local.iter().any(|one| host.starts_with(one)) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{server} is another machine, and its receivers get every message of this; say --yes if \
         that is meant"
    )))
}

async fn template(arguments: &BenchArguments) -> Result<Event, Failure> {
    let mut events = Events::open(&arguments.file, false).await?;
    match events.next().await? {
        Some((_, Ok(event))) => Ok(event),
        Some((place, Err(error))) => Err(Failure::usage(format!("{place}: {error}"))),
        None => Err(Failure::usage("no message in the file; expected one")),
    }
}
