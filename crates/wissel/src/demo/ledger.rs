//! What was published, what was to go where, and what came.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wissel_catalogue::{Catalogue, DeclaredSubscription};
use wissel_client::{ClientError, Receipt};
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, Oin};
use wissel_message::{Event, EventView, OwnedData};

use crate::demo::inboxes::Inboxes;

/// Keeps account of every message. What is expected is worked out here, from the
/// catalogue, one subscription after the other: not by the router.
pub(crate) struct Ledger {
    run: String,
    inboxes: Vec<InboxName>,
    subscriptions: Vec<(DeclaredSubscription, Inboxes)>,
    /// What each party may receive, and which fields of it.
    grants: HashMap<(Oin, String), Granted>,
    books: Mutex<Books>,
}

/// Row limits, and the fields allowed when not all are.
struct Granted {
    limits: Vec<Filter>,
    fields: Option<Vec<String>>,
}

/// The books of this moment.
pub(crate) struct Books {
    entries: Vec<Entry>,
    pub(crate) published_by_type: HashMap<String, u64>,
    pub(crate) delivered_to: HashMap<Oin, u64>,
    pub(crate) refusals: Vec<String>,
    pub(crate) receipts: u64,
    pub(crate) deliveries: u64,
    pub(crate) expected: u64,
    pub(crate) duplicates: u64,
    /// Deliveries, and inboxes on receipts, that were not to be.
    pub(crate) wrong: u64,
    /// Microseconds.
    pub(crate) receipt_latency: Histogram<u64>,
    pub(crate) delivery_latency: Histogram<u64>,
}

struct Entry {
    sent: Instant,
    expected: Inboxes,
    delivered: Inboxes,
}

impl Ledger {
    pub(crate) fn new(catalogue: &Catalogue) -> Self {
        let mut inboxes: Vec<InboxName> =
            catalogue.subscriptions().iter().map(|declared| declared.inbox.clone()).collect();
        inboxes.sort();
        inboxes.dedup();
        inboxes.truncate(Inboxes::MAX);
        let subscriptions = catalogue.subscriptions().iter().filter_map(|declared| {
            let number = inboxes.binary_search(&declared.inbox).ok()?;
            Some((declared.clone(), Inboxes::of(number)))
        });
        let granted = catalogue.parties().flat_map(|party| catalogue.grants_to_receive(&party.oin));
        let grants = granted.map(|grant| {
            let fields = grant.fields.as_ref().map(|fields| fields.set.pointers());
            let granted = Granted { limits: grant.filters.clone(), fields };
            ((grant.party, grant.event_type.to_string()), granted)
        });
        Self {
            run: format!("demo-{:08x}", rand::random::<u32>()),
            subscriptions: subscriptions.collect(),
            grants: grants.collect(),
            inboxes: inboxes.clone(),
            books: Mutex::new(Books::default()),
        }
    }

    /// Begins every message id of this run.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    pub(crate) fn inboxes(&self) -> &[InboxName] {
        &self.inboxes
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages are numbered from 0, without gaps.
    pub(crate) fn published(&self, number: u64, event: &Event) {
        let expected = self.expected(event);
        let mut books = self.books();
        debug_assert_eq!(number, books.entries.len() as u64);
        books.entries.push(Entry { sent: Instant::now(), expected, delivered: Inboxes::default() });
        books.expected += expected.len();
        *books.published_by_type.entry(event.event_type().to_owned()).or_default() += 1;
    }

    pub(crate) fn receipt(&self, number: u64, receipt: &Receipt) {
        let inboxes = receipt.inboxes.iter();
        let on_receipt = inboxes.fold(Inboxes::default(), |all, inbox| all | self.bit(inbox));
        let mut books = self.books();
        books.receipts += 1;
        let Some(entry) = books.entry(number) else { return };
        let (differing, took) = ((entry.expected ^ on_receipt).len(), entry.sent.elapsed());
        books.wrong += differing;
        books.receipt_latency.saturating_record(microseconds(took));
    }

    pub(crate) fn refused(&self, number: u64, error: &ClientError) {
        self.books().refusals.push(format!("message {number}: {error}"));
    }

    pub(crate) fn delivered(&self, inbox: &InboxName, event: &Event) {
        // What an earlier run left in a RabbitMQ is not of this run.
        let number = event.id().strip_prefix(&self.run).and_then(|rest| rest.strip_prefix('-'));
        let Some(number) = number.and_then(|number| number.parse().ok()) else { return };
        let bit = self.bit(inbox);
        let within_grant = self.has_only_fields_granted(inbox.owner(), event);
        let mut books = self.books();
        let Some(entry) = books.entry(number) else {
            books.wrong += 1;
            return;
        };
        let took = entry.sent.elapsed();
        let (meant, repeated) =
            (!(entry.expected & bit).is_empty(), !(entry.delivered & bit).is_empty());
        entry.delivered = entry.delivered | bit;
        match (meant && within_grant, repeated) {
            (false, _) => books.wrong += 1,
            (true, true) => books.duplicates += 1,
            (true, false) => {
                books.deliveries += 1;
                books.delivery_latency.saturating_record(microseconds(took));
                *books.delivered_to.entry(inbox.owner()).or_default() += 1;
            }
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        let books = self.books();
        books.deliveries == books.expected
    }

    /// A subscription matches when the type and every filter do, and so do the row
    /// limits of its party's grant to receive the type.
    fn expected(&self, event: &Event) -> Inboxes {
        let mut expected = Inboxes::default();
        let Ok(view) = EventView::decode(event.encode()) else { return expected };
        for (declared, inbox) in &self.subscriptions {
            let of_type = declared.types.is_empty()
                || declared.types.iter().any(|wanted| wanted == event.event_type());
            let grant = self.grants.get(&(declared.name.owner(), event.event_type().to_owned()));
            let Some(Granted { limits, .. }) = grant.filter(|_| of_type) else { continue };
            if declared.filters.iter().chain(limits).all(|filter| filter.matches(&view)) {
                expected = expected | *inbox;
            }
        }
        expected
    }

    /// Looks at every member of the data: it, or what it lies in, is granted.
    fn has_only_fields_granted(&self, party: Oin, event: &Event) -> bool {
        let grant = self.grants.get(&(party, event.event_type().to_owned()));
        let Some(Granted { fields: Some(fields), .. }) = grant else { return true };
        let Some(OwnedData::Text(json)) = event.data() else { return true };
        let Ok(data) = serde_json::from_str(json) else { return false };
        is_granted(&data, "", fields)
    }

    fn bit(&self, inbox: &InboxName) -> Inboxes {
        self.inboxes.binary_search(inbox).map_or_else(|_| Inboxes::default(), Inboxes::of)
    }
}

fn is_granted(value: &Value, pointer: &str, fields: &[String]) -> bool {
    if fields.iter().any(|field| field == pointer) {
        return true;
    }
    let on_the_way = fields.iter().any(|field| field.starts_with(&format!("{pointer}/")));
    match value {
        Value::Object(members) => {
            on_the_way
                && members
                    .iter()
                    .all(|(name, member)| is_granted(member, &format!("{pointer}/{name}"), fields))
        }
        Value::Array(elements) => {
            on_the_way
                && elements.iter().all(|one| is_granted(one, &format!("{pointer}/*"), fields))
        }
        _ => false,
    }
}

impl Books {
    pub(crate) fn published(&self) -> u64 {
        self.entries.len() as u64
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(number).ok()?)
    }
}

impl Default for Books {
    fn default() -> Self {
        // From 1 µs to 10 min, to two digits.
        let histogram =
            || Histogram::new_with_bounds(1, 600_000_000, 2).expect("these bounds are in order");
        Self {
            entries: Vec::new(),
            published_by_type: HashMap::new(),
            delivered_to: HashMap::new(),
            refusals: Vec::new(),
            receipts: 0,
            deliveries: 0,
            expected: 0,
            duplicates: 0,
            wrong: 0,
            receipt_latency: histogram(),
            delivery_latency: histogram(),
        }
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
