//! The process is killed in the middle, again and again. Every receipt that it gave
//! must be kept, and what it acknowledged before a receipt must stay away.
//!
//! The test runs its own binary again as the process to kill: the test
//! `child_that_is_killed` does nothing unless it is told where.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use wissel_bus::{
    Arrival, Bus, Consumer, Credit, Enqueue, Envelope, InboxName, MessageId, Settlement,
};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};

const DIRECTORY: &str = "WISSEL_KILL_TEST_DIRECTORY";
const ROUND: &str = "WISSEL_KILL_TEST_ROUND";
const ROUNDS: u64 = 6;
const BATCH: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Two inboxes share each message; one of them is never consumed by the child.
fn inboxes() -> [InboxName; 2] {
    ["00000099000000001000.emptied", "00000099000000001000.kept"].map(|name| name.parse().unwrap())
}

fn envelope(number: u64) -> Envelope {
    let mut event = format!("{number} ").into_bytes();
    event.resize(700, b'x');
    Envelope {
        message_id: MessageId::now(),
        publisher: "00000099000000001000".parse().unwrap(),
        admitted_at: SystemTime::now(),
        fields: None,
        replayed: false,
        event: event.into(),
    }
}

fn number_of(envelope: &Envelope) -> u64 {
    let text = std::str::from_utf8(&envelope.event).unwrap();
    assert_eq!(text.len(), 700, "the event is not whole");
    text.split_once(' ').unwrap().0.parse().unwrap()
}

fn open(path: &Path) -> EmbeddedBus {
    EmbeddedBus::open(EmbeddedOptions::new(path)).unwrap()
}

/// What a child said before it was killed.
#[derive(Default)]
struct Said {
    receipts: BTreeSet<u64>,
    /// And whether the same child gave a receipt afterwards.
    acknowledged: BTreeMap<u64, bool>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_receipt_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut said = Said::default();
    for round in 0..ROUNDS {
        let mut child = spawn_child(directory.path(), round);
        let killed_after = Duration::from_millis(150 + 90 * round);
        listen(&mut child, killed_after, &mut said);
    }
    let receipts = said.receipts.len();
    let acknowledged = said.acknowledged.len();
    assert!(receipts > 200, "only {receipts} receipts were given");
    assert!(acknowledged > 50, "only {acknowledged} were acknowledged");
    println!("{receipts} receipts, {acknowledged} acknowledgements, {ROUNDS} kills");

    let bus = open(directory.path());
    let [emptied, kept] = inboxes();
    let left = drain(&bus, &emptied).await;
    let all = drain(&bus, &kept).await;
    for number in &said.receipts {
        assert_eq!(all.get(number), Some(&1), "message {number} was lost");
        let stays_away = said.acknowledged.get(number) == Some(&true);
        match left.get(number) {
            // It may have been acknowledged without our hearing of it.
            None => {}
            Some(1) => assert!(!stays_away, "message {number} came again"),
            Some(times) => panic!("message {number} came {times} times"),
        }
    }
    let unheard = said
        .receipts
        .iter()
        .filter(|number| !said.acknowledged.contains_key(number) && !left.contains_key(number))
        .count();
    let unheard_max = usize::try_from(ROUNDS * BATCH).unwrap();
    assert!(unheard <= unheard_max, "{unheard} are gone unheard");
    bus.close().await;
}

fn spawn_child(directory: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child_that_is_killed", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Listens for a while, kills, and hears the rest.
fn listen(child: &mut Child, killed_after: Duration, said: &mut Said) {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, heard) = std::sync::mpsc::channel();
    let listener = std::thread::spawn(move || {
        for line in stdout.lines() {
            if sender.send(line.unwrap()).is_err() {
                break;
            }
        }
    });
    let begun = heard.iter().any(|line| line.contains("begun"));
    assert!(begun, "the child did not begin");
    std::thread::sleep(killed_after);
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    listener.join().unwrap();

    let mut since_receipt = Vec::new();
    for line in heard.iter() {
        let (what, number) = line.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        match what {
            "receipt" => {
                said.receipts.insert(number);
                let durable = since_receipt.drain(..).map(|number| (number, true));
                said.acknowledged.extend(durable);
            }
            "acknowledged" => since_receipt.push(number),
            other => panic!("the child said {other}"),
        }
    }
    for number in since_receipt {
        said.acknowledged.entry(number).or_insert(false);
    }
}

/// How often each message is in the inbox.
async fn drain(bus: &EmbeddedBus, inbox: &InboxName) -> BTreeMap<u64, u32> {
    let mut waiting = bus.inspect(inbox).await.unwrap().depth;
    let mut consumer = bus.consume(inbox, Credit::of(1000)).await.unwrap();
    let mut found = BTreeMap::new();
    while waiting > 0 {
        let arrival = timeout(PATIENCE, consumer.arrivals.recv()).await.unwrap();
        let Some(Arrival::Delivery(delivery)) = arrival else {
            panic!("the consumer ended");
        };
        *found.entry(number_of(&delivery.envelope)).or_default() += 1;
        acknowledge(&consumer, &delivery).await;
        waiting -= 1;
    }
    found
}

async fn acknowledge(consumer: &Consumer, delivery: &wissel_bus::Delivery) {
    let done = (delivery.tag, Settlement::Acknowledge);
    for answer in consumer.settler.settle(vec![done]).await {
        answer.unwrap();
    }
}

/// The process that is killed: enqueues batches, tells each receipt, and
/// acknowledges half of what it gets back.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let bus = open(Path::new(&directory));
    let [emptied, kept] = inboxes();
    bus.open_inbox(&emptied).await.unwrap();
    bus.open_inbox(&kept).await.unwrap();
    let mut consumer = bus.consume(&emptied, Credit::of(100)).await.unwrap();
    say("begun", &[0]);

    let mut number = round * 1_000_000;
    loop {
        let batch: Vec<u64> = (number..number + BATCH).collect();
        number += BATCH;
        let items = batch.iter().map(|&n| Enqueue::new(envelope(n), inboxes().to_vec())).collect();
        for answer in bus.enqueue(items).await {
            answer.unwrap();
        }
        say("receipt", &batch);

        let mut acknowledged = Vec::new();
        for _ in 0..BATCH / 2 {
            let Some(Arrival::Delivery(delivery)) = consumer.arrivals.recv().await else {
                panic!("the consumer ended");
            };
            acknowledge(&consumer, &delivery).await;
            acknowledged.push(number_of(&delivery.envelope));
        }
        say("acknowledged", &acknowledged);
    }
}

/// One write a line, straight to the pipe.
fn say(what: &str, numbers: &[u64]) {
    let mut lines = String::new();
    for number in numbers {
        lines += &format!("{what} {number}\n");
    }
    std::io::stdout().write_all(lines.as_bytes()).unwrap();
}
