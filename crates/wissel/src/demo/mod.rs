//! `wissel demo`: a day between registries and counters, played in seconds, with
//! every delivery checked.

mod inboxes;
mod ledger;
mod report;
mod traffic;
mod view;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wissel_bus_amqp::{Probe, probe};
use wissel_catalogue::Catalogue;
use wissel_client::{Client, ClientError, Publisher};
use wissel_identifiers::{InboxName, Oin};
use wissel_message::Event;

use crate::cli::DemoArguments;
use crate::config::{Bus, Config, Log, bus_of, masked};
use crate::demo::ledger::Ledger;
use crate::demo::report::Report;
use crate::demo::traffic::Traffic;
use crate::exit::Failure;
use crate::identity::Callers;
use crate::serve::{Server, stop_signal};
use crate::{logging, output};

/// The catalogue that is shipped, so that the demo needs no file.
const CATALOGUE: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

pub(crate) async fn run(arguments: DemoArguments) -> Result<(), Failure> {
    // What the AMQP client says of a RabbitMQ that does not let us in is said better below.
    logging::start(&Log { filter: "error,lapin=off".to_owned(), ..Log::default() })?;
    let interrupted = stop_signal()?;
    let directory = tempfile::tempdir().map_err(Failure::internal)?;
    let config = configuration(directory.path(), &arguments)?;
    let catalogue = Catalogue::load(&config.catalogue).map_err(Failure::internal)?;
    find_out_about_bus(&config).await?;

    let server = Server::start(&config, Callers::insecure(&config)?).await?;
    let address = server.address().map_err(Failure::internal)?;
    let stop_server = CancellationToken::new();
    let serving = tokio::spawn(server.serve(stop_server.clone()));
    let connect = |caller: &str| {
        Client::builder(format!("http://{address}")).token(format!("dev.{caller}")).connect()
    };
    wait_until_ready(&connect("operator")?).await?;

    let ledger = Arc::new(Ledger::new(&catalogue));
    let mut receivers = JoinSet::new();
    let stop_receivers = CancellationToken::new();
    for inbox in ledger.inboxes() {
        let client = connect(inbox.owner().as_str())?;
        let (ledger, stop) = (Arc::clone(&ledger), stop_receivers.clone());
        receivers.spawn(receive(client, inbox.clone(), ledger, stop));
    }

    let begun = Instant::now();
    let showing = view::start(&ledger, &catalogue, &arguments);
    let mut publishers = HashMap::new();
    for event_type in catalogue.event_types() {
        let client = connect(event_type.owner.as_str())?;
        publishers.entry(event_type.owner).or_insert_with(|| client.publisher());
    }
    publish(&publishers, &catalogue, &ledger, &arguments, &interrupted).await?;
    let published_for = begun.elapsed();
    wait_for_deliveries(&ledger, &interrupted).await;
    showing.stop().await;

    stop_receivers.cancel();
    while let Some(received) = receivers.join_next().await {
        received.map_err(Failure::internal)??;
    }
    stop_server.cancel();
    serving.await.map_err(Failure::internal)??;

    let report = Report::of(&ledger, published_for);
    if arguments.json {
        output::json(&report)?;
    } else {
        report.print();
    }
    report.verdict()
}

fn configuration(directory: &Path, arguments: &DemoArguments) -> Result<Config, Failure> {
    let catalogue = directory.join("catalogue");
    for below in ["examples", "schemas"] {
        std::fs::create_dir_all(catalogue.join(below)).map_err(Failure::internal)?;
    }
    for (name, text) in CATALOGUE {
        std::fs::write(catalogue.join(name), text).map_err(Failure::internal)?;
    }
    let (bus, bus_password_file) = bus_of(arguments.bus.as_deref())?;
    Ok(Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: directory.join("data"),
        catalogue,
        bus,
        bus_password_file,
        ..Config::default()
    })
}

/// A gateway waits for a RabbitMQ that is not there; who looks at a demonstration does not.
async fn find_out_about_bus(config: &Config) -> Result<(), Failure> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let Bus::Amqp(url) = &config.bus else { return Ok(()) };
    let shown = masked(url);
    let url = Bus::with_password(url, config.bus_password_file.as_deref())?;
    let found = match tokio::time::timeout(PATIENCE, probe(&url)).await {
        Ok(Probe::Passed(_)) => return Ok(()),
        Ok(Probe::NotConnected(fault)) => format!(
            "RabbitMQ cannot be reached, or does not let us in: {fault}; expected one that runs \
             there, and knows this user, password and virtual host"
        ),
        Ok(Probe::NotAllowed(fault)) => {
            format!("RabbitMQ does not let this user make and use queues wissel.…: {fault}")
        }
        Ok(Probe::Blocked(reason)) => format!("RabbitMQ takes no messages: {reason}"),
        Ok(Probe::BadUrl(fault)) => {
            return Err(Failure::usage(format!(
                "bus {shown}: {fault}; expected amqp://user@host:5672/vhost"
            )));
        }
        Ok(_) => "RabbitMQ cannot be used".to_owned(),
        Err(_) => format!("nothing speaks AMQP there within {} s", PATIENCE.as_secs()),
    };
    Err(Failure::unavailable(format!("bus {shown}: {found}")))
}

async fn wait_until_ready(client: &Client) -> Result<(), Failure> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let begun = Instant::now();
    loop {
        let status = client.status().await?;
        // However little disk is left: what it writes is little, and goes away.
        if status.is_up() {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::unavailable(status.bus_detail));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn receive(
    client: Client,
    inbox: InboxName,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let mut open = client.subscribe(inbox.as_str()).credit(500).open().await?;
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => break,
            next = open.next() => next?,
        };
        let Some(delivery) = next else { break };
        ledger.delivered(&inbox, delivery.event());
        match delivery.acknowledge().await {
            Ok(()) | Err(ClientError::LeaseLost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    open.close().await?;
    Ok(())
}

/// Publishes at the rate asked for, until time is over, and waits for receipts.
async fn publish(
    publishers: &HashMap<Oin, Publisher>,
    catalogue: &Catalogue,
    ledger: &Arc<Ledger>,
    arguments: &DemoArguments,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    let day = Duration::from_secs(arguments.seconds);
    let mut traffic = Traffic::new(catalogue, ledger.run())?;
    let mut pulse = tokio::time::interval(Duration::from_millis(5));
    let mut receipts = JoinSet::new();
    let begun = Instant::now();
    let mut sent: u64 = 0;
    while begun.elapsed() < day && !interrupted.is_cancelled() {
        pulse.tick().await;
        let elapsed = begun.elapsed();
        let due = (elapsed.as_secs_f64() * f64::from(arguments.rate)).floor();
        while (sent as f64) < due {
            let event: Event = traffic.next(sent, elapsed.as_secs_f64() / day.as_secs_f64())?;
            let owner = catalogue.event_type(event.event_type()).map(|found| found.owner);
            let publisher = owner.and_then(|owner| publishers.get(&owner));
            let publisher = publisher.ok_or_else(|| Failure::internal("no publisher"))?;
            ledger.published(sent, &event);
            let pending = publisher.send(&event).await?;
            let (ledger, number) = (Arc::clone(ledger), sent);
            receipts.spawn(async move {
                match pending.await {
                    Ok(receipt) => ledger.receipt(number, &receipt),
                    Err(error) => ledger.refused(number, &error),
                }
            });
            sent += 1;
        }
        while receipts.try_join_next().is_some() {}
    }
    while receipts.join_next().await.is_some() {}
    Ok(())
}

async fn wait_for_deliveries(ledger: &Ledger, interrupted: &CancellationToken) {
    const PATIENCE: Duration = Duration::from_secs(20);
    let begun = Instant::now();
    while !ledger.is_complete() && begun.elapsed() < PATIENCE && !interrupted.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
