use std::time::Instant;

use anyhow::{Result, ensure};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};
use wissel_identifiers::InboxName;
use wissel_routing::Router;

use crate::median;

use super::measure::views;
use super::names::party;
use super::wissel::name_of;
use super::workload::{Kind, Workload};

/// W3 with what a match leads to in life.
#[derive(Debug)]
pub struct Inboxes {
    /// Nanoseconds a message, one for each round.
    pub matching: Vec<f64>,
    /// Bytes a subscription, asked of the allocator.
    pub bytes: f64,
}

/// Subscriptions that feed one inbox.
const OF_INBOX: u32 = 1_000;
const BATCH: u32 = 64;

/// Subscriptions to a subject each, that lead to inboxes by name.
///
/// # Errors
/// When a message does not find its inbox.
pub fn inboxes(size: u32, rounds: u32, messages: u32) -> Result<Inboxes> {
    let workload = Workload::new(Kind::Subjects, size)?;
    let inboxes = (0..=size / OF_INBOX).map(|number| format!("{}.i{number}", party(number)));
    let inboxes: Vec<InboxName> = inboxes.map(|name| name.parse()).collect::<Result<_, _>>()?;
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    let router = Router::default();
    for subscription in workload.subscriptions() {
        let number = subscription.number;
        let inbox = inboxes[number as usize % inboxes.len()].clone();
        let filters = subscription.filters()?;
        router.insert(&name_of(number)?, &subscription.types, &filters, inbox)?;
    }
    let change = region.change();
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);

    let (table, mut targets, mut matching) = (router.snapshot(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut batches = Vec::new();
        for batch in 0..messages.div_ceil(BATCH) {
            let seed = u64::from(round) << 32 | u64::from(batch);
            let views = views(&workload.frames(BATCH, seed)?)?;
            let begun = Instant::now();
            for message in &views {
                targets.clear();
                table.route(message, &mut targets);
                ensure!(targets.len() == 1, "{} inboxes; expected one", targets.len());
            }
            batches.push(begun.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH));
        }
        matching.push(median(&batches));
    }
    Ok(Inboxes { matching, bytes: held as f64 / f64::from(size) })
}
