//! What was published, what was to go where, and what came.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wissel_catalogue::{Catalogue, DeclaredSubscription};
use wissel_client::{ClientError, Receipt};
use wissel_identifiers::{InboxName, Oin};
use wissel_message::{Event, EventView};

/// Inboxes by number: a set of them is a set of bits.
type Inboxes = u128;

/// Keeps account of every message. What is expected is worked out here, from the
/// catalogue, one subscription after the other: not by the router.
pub(crate) struct Ledger {
    run: String,
    inboxes: Vec<InboxName>,
    subscriptions: Vec<(DeclaredSubscription, Inboxes)>,
    /// Which parties may receive a type.
    receivers: HashMap<String, Inboxes>,
    books: Mutex<Books>,
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
        inboxes.truncate(128);
        let bits = |wanted: &dyn Fn(&InboxName) -> bool| -> Inboxes {
            let numbered = inboxes.iter().enumerate();
            numbered.filter(|(_, inbox)| wanted(inbox)).map(|(number, _)| 1 << number).sum()
        };
        let subscriptions = catalogue
            .subscriptions()
            .iter()
            .map(|declared| (declared.clone(), bits(&|inbox| *inbox == declared.inbox)));
        let receivers = catalogue.event_types().map(|event_type| {
            let name = event_type.name.clone();
            let may = bits(&|inbox| catalogue.may_receive(&inbox.owner(), &name));
            (event_type.name.clone(), may)
        });
        Self {
            run: format!("demo-{:08x}", rand::random::<u32>()),
            subscriptions: subscriptions.collect(),
            receivers: receivers.collect(),
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
        books.entries.push(Entry { sent: Instant::now(), expected, delivered: 0 });
        books.expected += u64::from(expected.count_ones());
        *books.published_by_type.entry(event.event_type().to_owned()).or_default() += 1;
    }

    pub(crate) fn receipt(&self, number: u64, receipt: &Receipt) {
        let on_receipt: Inboxes = receipt.inboxes.iter().map(|inbox| self.bit(inbox)).sum();
        let mut books = self.books();
        books.receipts += 1;
        let Some(entry) = books.entry(number) else { return };
        let (differing, took) = ((entry.expected ^ on_receipt).count_ones(), entry.sent.elapsed());
        books.wrong += u64::from(differing);
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
        let mut books = self.books();
        let Some(entry) = books.entry(number) else {
            books.wrong += 1;
            return;
        };
        let took = entry.sent.elapsed();
        let (meant, repeated) = (entry.expected & bit != 0, entry.delivered & bit != 0);
        entry.delivered |= bit;
        match (meant, repeated) {
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

    /// A subscription matches when the type and every filter do, and its party may
    /// receive the type.
    fn expected(&self, event: &Event) -> Inboxes {
        let Ok(view) = EventView::decode(event.encode()) else { return 0 };
        let may = self.receivers.get(event.event_type()).copied().unwrap_or_default();
        let mut expected = 0;
        for (declared, inbox) in &self.subscriptions {
            let of_type = declared.types.is_empty()
                || declared.types.iter().any(|wanted| wanted == event.event_type());
            if of_type && declared.filters.iter().all(|filter| filter.matches(&view)) {
                expected |= inbox & may;
            }
        }
        expected
    }

    fn bit(&self, inbox: &InboxName) -> Inboxes {
        self.inboxes.binary_search(inbox).map_or(0, |number| 1 << number)
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
