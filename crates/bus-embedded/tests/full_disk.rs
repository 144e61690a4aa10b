//! The disk takes nothing more. The enqueue that meets it fails, later ones fail,
//! what is durable is still handed out, and nothing with a receipt is lost.
//!
//! A limit on the size of files stands in for the full disk. It has to be set for
//! a process, so the test runs its own binary again under a shell that sets it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use wissel_bus::{
    Arrival, Bus, BusError, Credit, Enqueue, Envelope, InboxName, MessageId, Settlement,
};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};

const DIRECTORY: &str = "WISSEL_FULL_DISK_TEST_DIRECTORY";

/// The size of the engine's journal when it is made: it is filled, and no further.
const LIMIT_BYTES: usize = 64 << 20;
const MESSAGE_BYTES: usize = 1024;
const BATCH: usize = 500;
const PATIENCE: Duration = Duration::from_secs(20);

fn inbox() -> InboxName {
    "00000099000000001000.full".parse().unwrap()
}

fn open(path: &Path) -> EmbeddedBus {
    EmbeddedBus::open(EmbeddedOptions::new(path)).unwrap()
}

fn batch() -> Vec<Enqueue> {
    let envelope = Envelope {
        message_id: MessageId::now(),
        publisher: "00000099000000001000".parse().unwrap(),
        admitted_at: SystemTime::now(),
        fields: None,
        replayed: false,
        event: vec![7; MESSAGE_BYTES].into(),
    };
    let item = Enqueue::new(envelope, vec![inbox()]);
    vec![item; BATCH]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Shells count blocks of 512 bytes. Without the trap, the signal would end the
    // process before it sees the error.
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$0\" child_on_a_full_disk --exact --nocapture",
        LIMIT_BYTES / 512
    );
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(std::env::current_exe().unwrap())
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let receipts: u64 = stdout
        .lines()
        .find_map(|line| line.strip_prefix("receipts "))
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no count of receipts in {stdout}"));
    assert!(receipts > 10_000, "only {receipts} receipts");

    let bus = open(directory.path());
    let depth = bus.inspect(&inbox()).await.unwrap().depth;
    // The batch that failed may be there or not.
    let possible = receipts..=receipts + BATCH as u64;
    assert!(possible.contains(&depth), "{receipts} receipts, {depth} there");
    for answer in bus.enqueue(batch()).await {
        assert_eq!(answer, Ok(()), "after a restart the bus takes messages again");
    }
    bus.close().await;
}

/// The process whose files may not grow.
#[tokio::test(flavor = "multi_thread")]
async fn child_on_a_full_disk() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let bus = open(Path::new(&directory));
    bus.open_inbox(&inbox()).await.unwrap();

    let mut receipts = 0;
    let failure = loop {
        let answers = bus.enqueue(batch()).await;
        if let Some(failure) = answers.iter().find_map(|answer| answer.clone().err()) {
            assert!(answers.iter().all(Result::is_err), "all of a batch or none");
            break failure;
        }
        receipts += answers.len();
        assert!(receipts < 4 * LIMIT_BYTES / MESSAGE_BYTES, "never full");
    };
    assert!(matches!(failure, BusError::Storage { .. }), "{failure:?}");
    assert!(!bus.health().ready);
    for answer in bus.enqueue(batch()).await {
        assert!(matches!(answer, Err(BusError::Storage { .. })));
    }

    let mut consumer = bus.consume(&inbox(), Credit::of(10)).await.unwrap();
    for _ in 0..100 {
        let arrival = timeout(PATIENCE, consumer.arrivals.recv()).await.unwrap();
        let Some(Arrival::Delivery(delivery)) = arrival else {
            panic!("the consumer ended");
        };
        let retry = Settlement::Retry { after: Duration::ZERO, reason: "again".to_owned() };
        let answers = consumer.settler.settle(vec![(delivery.tag, retry)]).await;
        assert!(matches!(answers[0], Err(BusError::Storage { .. })));
        let done = (delivery.tag, Settlement::Acknowledge);
        let answers = consumer.settler.settle(vec![done]).await;
        assert_eq!(answers, [Ok(())], "still held after a retry that failed");
    }
    timeout(PATIENCE, bus.close()).await.expect("close ends");
    println!("\nreceipts {receipts}");
}
