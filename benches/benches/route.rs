//! Matching one message against subject-level subscriptions. The peer is a plain
//! hash look-up by subject, which is the limit.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use wissel_benches::{Arguments, Report};
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, SubscriptionName};
use wissel_message::{Event, EventView};
use wissel_routing::Router;

const OWNER: &str = "00000099000000002000";
const TYPE: &str = "nl.brp.geboorte";
const MATCHES: u32 = 20_000;

fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("route", &arguments);
    for count in [1_000_u32, 100_000, 1_000_000] {
        let router = Router::default();
        let mut limit: HashMap<String, Vec<InboxName>> = HashMap::new();
        for number in 0..count {
            insert(&router, number)?;
            limit.entry(subject(number)).or_default().push(inbox(number)?);
        }
        let events = (0..1_000).map(|index| event(index * 7_919 % count));
        let events: Vec<EventView> = events.collect::<Result<_>>()?;

        let (mut ours, mut peers, mut inserts) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..arguments.rounds {
            let table = router.snapshot();
            let mut targets = Vec::new();
            ours.push(nanoseconds(MATCHES, |index| {
                targets.clear();
                table.route(&events[index as usize % events.len()], &mut targets);
                assert_eq!(black_box(&targets).len(), 1);
            }));
            peers.push(nanoseconds(MATCHES, |index| {
                let event = &events[index as usize % events.len()];
                let found = event.subject().and_then(|subject| limit.get(subject));
                assert_eq!(black_box(found).map_or(0, Vec::len), 1);
            }));
            drop(table);
            let first = count + round * 1_000;
            let mut failure = Ok(());
            inserts.push(
                nanoseconds(1_000, |index| {
                    failure = insert(&router, first + index);
                }) / 1_000.0,
            );
            failure?;
        }
        let what = format!("one message against {count} subjects");
        report.ratio(&what, "ns", &ours, "a plain hash look-up", &peers);
        report.figure(&format!("inserting one beside {count}"), "µs", &inserts);
    }
    report.finish();
    Ok(())
}

fn nanoseconds(times: u32, mut work: impl FnMut(u32)) -> f64 {
    let begun = Instant::now();
    (0..times).for_each(&mut work);
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(times)
}

fn insert(router: &Router<InboxName>, number: u32) -> Result<()> {
    let name: SubscriptionName = format!("{OWNER}.s{number}").parse()?;
    let exact = BTreeMap::from([("subject".to_owned(), subject(number))]);
    router.insert(&name, &[TYPE.to_owned()], &[Filter::Exact(exact)], inbox(number)?);
    Ok(())
}

/// A thousand subscriptions feed one inbox.
fn inbox(number: u32) -> Result<InboxName> {
    Ok(format!("{OWNER}.i{}", number / 1_000).parse()?)
}

fn subject(number: u32) -> String {
    format!("{number:09}")
}

fn event(number: u32) -> Result<EventView> {
    let event = Event::builder("1", "urn:nld:oin:00000099000000001000:systeem:BRP", TYPE)
        .subject(subject(number))
        .extension("gemeente", "0344")
        .data_text("application/json", "{}");
    Ok(EventView::decode(event.build()?.encode())?)
}
