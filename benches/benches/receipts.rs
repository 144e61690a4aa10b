//! The memory of receipts: what it costs to remember a message, and to find out that one
//! is new, or known. The peer of a look-up is one in a hash map of as many in memory.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use wissel_benches::{Arguments, Report};
use wissel_bus::MessageId;
use wissel_identifiers::Oin;
use wissel_receipts::{Identity, IdentityKey, ReceiptOptions, Receipts, Remembered};
use wissel_tests::{PARTIES, REGISTRY};

const REMEMBERED: u64 = 1_000_000;
const LOOKED_UP: u64 = 100_000;

fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("receipts", &arguments);
    let directory = tempfile::tempdir()?;
    let options = ReceiptOptions { capacity: 2 * REMEMBERED, ..ReceiptOptions::default() };
    let receipts = Receipts::open(directory.path(), options)?;
    let key = receipts.identity_key().clone();
    let publisher: Oin = REGISTRY.parse()?;
    let identity = |number| identity(&key, &publisher, number);

    let remembered = remembered()?;
    let begun = Instant::now();
    for number in 0..REMEMBERED {
        while !receipts.remember(identity(number), remembered.clone()) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    receipts.settle();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let rate = REMEMBERED as f64 / begun.elapsed().as_secs_f64();
    report.figure("remember", "messages/s", &[rate]);

    let map: HashMap<Identity, u64> =
        (0..REMEMBERED).map(|number| (identity(number), number)).collect();
    let (mut new, mut known, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let fresh: Vec<Identity> = (REMEMBERED..REMEMBERED + LOOKED_UP).map(identity).collect();
        new.push(nanoseconds(&fresh, |identity| receipts.find(identity).is_none())?);
        peers.push(nanoseconds(&fresh, |identity| !map.contains_key(&identity))?);
        let again: Vec<Identity> =
            (0..LOOKED_UP).map(|number| identity(number * 7_919 % REMEMBERED)).collect();
        known.push(nanoseconds(&again, |identity| receipts.find(identity).is_some())?);
    }
    report.ratio("find out that a message is new", "ns", &new, "a hash map", &peers);
    report.figure("find the receipt of a repeat", "ns", &known);
    report.finish();
    Ok(())
}

fn identity(key: &IdentityKey, publisher: &Oin, number: u64) -> Identity {
    key.hash(publisher, "urn:nld:oin:00000099000000001000:systeem:BRP", &number.to_string())
}

fn remembered() -> Result<Remembered> {
    let inboxes: Result<Vec<_>, _> =
        PARTIES.iter().map(|party| format!("{party}.inbox").parse()).collect();
    Ok(Remembered {
        message_id: MessageId::now(),
        admitted_at: SystemTime::now(),
        inboxes: inboxes?.into(),
    })
}

/// The mean time of one look-up.
#[expect(clippy::cast_precision_loss, reason = "times are far below 2^52 ns")]
fn nanoseconds(identities: &[Identity], is_right: impl Fn(Identity) -> bool) -> Result<f64> {
    let begun = Instant::now();
    let right = identities.iter().filter(|identity| black_box(is_right(**identity))).count();
    let took = begun.elapsed();
    ensure!(right == identities.len(), "{right} of {} are right", identities.len());
    Ok(took.as_nanos() as f64 / identities.len() as f64)
}
