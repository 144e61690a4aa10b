//! What is true at one moment.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use crate::register::Register;

/// How the gateway and its inboxes fare at one moment.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Whether messages are taken.
    pub ready: bool,
    /// Whether the bus is there.
    pub bus_ready: bool,
    /// Since when the gateway runs.
    pub started_at: Option<SystemTime>,
    /// Since when the catalogue is in force.
    pub catalogue_since: Option<SystemTime>,
    /// Subscriptions in force.
    pub subscriptions: u64,
    /// Inboxes.
    pub inboxes: u64,
    /// Of those, how many hold deliveries that nobody reads.
    pub inboxes_unread: u64,
    /// All inboxes together.
    pub total: InboxGauges,
    /// How long ago the inboxes were looked at.
    pub survey_age: Duration,
    /// The inboxes that fare worst, by name.
    pub worst: Vec<(String, InboxGauges)>,
    /// Bytes that are free where the data directory is.
    pub disk_free: Option<u64>,
    /// Bytes that must be free there for the gateway to be ready.
    pub disk_mark: u64,
    /// When certificates end: `gateway`, and what others are called.
    pub certificates: Vec<Expiry>,
    /// When revocation lists end.
    pub revocation_lists: Vec<Expiry>,
    /// This process.
    pub process: Option<Process>,
}

/// How one inbox fares, or all together.
#[derive(Debug, Clone, Copy, Default)]
pub struct InboxGauges {
    /// Deliveries that wait for a receiver.
    pub waiting: u64,
    /// Deliveries that wait for a retry.
    pub delayed: u64,
    /// Deliveries with a receiver.
    pub in_flight: u64,
    /// Dead letters.
    pub dead: u64,
    /// Streams that are open.
    pub consumers: u64,
    /// How old the oldest delivery is that is not settled.
    pub oldest_age: Duration,
}

/// When something that lasts for a time ends.
#[derive(Debug, Clone)]
pub struct Expiry {
    /// What.
    pub name: String,
    /// When.
    pub at: SystemTime,
}

/// What the operating system says of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process {
    /// Memory, in bytes.
    pub resident_bytes: u64,
    /// Processor time that was used.
    pub cpu: Duration,
    /// Open files and connections.
    pub open_files: u64,
    /// The most of those.
    pub open_files_max: u64,
}

type Count = Gauge<u64, AtomicU64>;
type Real = Gauge<f64, AtomicU64>;
type Named = Vec<(&'static str, String)>;

/// The gauges of a [`State`].
#[derive(Debug, Default)]
pub(crate) struct StateGauges {
    ready: Count,
    bus_ready: Count,
    started_at: Real,
    catalogue_since: Real,
    subscriptions: Count,
    inboxes: Count,
    inboxes_unread: Count,
    deliveries: Family<Named, Count>,
    dead_letters: Count,
    consumers: Count,
    oldest_age: Real,
    survey_age: Real,
    inbox_deliveries: Family<Named, Count>,
    inbox_dead_letters: Family<Named, Count>,
    inbox_consumers: Family<Named, Count>,
    inbox_oldest_age: Family<Named, Real>,
    disk_free: Count,
    disk_mark: Count,
    certificates: Family<Named, Real>,
    revocation_lists: Family<Named, Real>,
    resident: Count,
    cpu: Real,
    open_files: Count,
    open_files_max: Count,
}

impl StateGauges {
    pub(crate) fn new(register: &mut Register) -> Self {
        let all = Self::default();
        let seconds = || Some(Unit::Seconds);
        let bytes = || Some(Unit::Bytes);
        let r = register;
        r.add("ready", None, "", "1 when messages are taken", &all.ready);
        r.add("bus_ready", None, "", "1 when the bus is there", &all.bus_ready);
        r.add("start_time", seconds(), "", "When the gateway started, since 1970", &all.started_at);
        let help = "When the catalogue in force was loaded, since 1970";
        r.add("catalogue_loaded_time", seconds(), "", help, &all.catalogue_since);
        r.add("subscriptions", None, "", "Subscriptions in force", &all.subscriptions);
        r.add("inboxes", None, "", "Inboxes", &all.inboxes);
        let help = "Inboxes with deliveries that have waited for 30 s, and no receiver";
        r.add("inboxes_unread", None, "", help, &all.inboxes_unread);
        let help = "Deliveries that are not settled, over all inboxes: `waiting` for a receiver, \
                    `delayed` for a retry, `in_flight` with a receiver";
        r.add("deliveries", None, "state", help, &all.deliveries);
        r.add("dead_letters", None, "", "Dead letters, over all inboxes", &all.dead_letters);
        r.add("consumers", None, "", "Streams that are open, over all inboxes", &all.consumers);
        let help = "Age of the oldest delivery that is not settled, over all inboxes";
        r.add("oldest_delivery_age", seconds(), "", help, &all.oldest_age);
        let help = "How long ago the inboxes were looked at";
        r.add("survey_age", seconds(), "", help, &all.survey_age);
        let help = "Deliveries that are not settled, for the 20 inboxes that fare worst";
        r.add("inbox_deliveries", None, "inbox, state", help, &all.inbox_deliveries);
        let help = "Dead letters, for the 20 inboxes that fare worst";
        r.add("inbox_dead_letters", None, "inbox", help, &all.inbox_dead_letters);
        let help = "Streams that are open, for the 20 inboxes that fare worst";
        r.add("inbox_consumers", None, "inbox", help, &all.inbox_consumers);
        let help = "Age of the oldest delivery, for the 20 inboxes that fare worst";
        r.add("inbox_oldest_age", seconds(), "inbox", help, &all.inbox_oldest_age);
        let help = "Free space where the data directory is";
        r.add("data_free", bytes(), "", help, &all.disk_free);
        let help = "Free space below which the gateway is not ready";
        r.add("data_free_mark", bytes(), "", help, &all.disk_mark);
        let help = "When a certificate ends, since 1970: of the `gateway`, the `console`, or an \
                    authority of either";
        r.add("certificate_expiry_time", seconds(), "certificate", help, &all.certificates);
        let help = "When a file of revocation lists ends, since 1970; then the clients of its \
                    authority are refused";
        r.add("revocation_list_expiry_time", seconds(), "list", help, &all.revocation_lists);
        r.add("resident_memory", bytes(), "", "Memory of the process", &all.resident);
        let help = "Processor time of the process since it started";
        r.add("cpu_time", seconds(), "", help, &all.cpu);
        r.add("open_files", None, "", "Open files and connections", &all.open_files);
        r.add("open_files_max", None, "", "The most of those", &all.open_files_max);
        all
    }

    pub(crate) fn set(&self, state: &State) {
        self.ready.set(state.ready.into());
        self.bus_ready.set(state.bus_ready.into());
        self.started_at.set(since_1970(state.started_at));
        self.catalogue_since.set(since_1970(state.catalogue_since));
        self.subscriptions.set(state.subscriptions);
        self.inboxes.set(state.inboxes);
        self.inboxes_unread.set(state.inboxes_unread);
        for (name, count) in by_state(&state.total) {
            self.deliveries.get_or_create(&vec![("state", name.to_owned())]).set(count);
        }
        self.dead_letters.set(state.total.dead);
        self.consumers.set(state.total.consumers);
        self.oldest_age.set(state.total.oldest_age.as_secs_f64());
        self.survey_age.set(state.survey_age.as_secs_f64());
        self.set_worst(&state.worst);
        self.disk_free.set(state.disk_free.unwrap_or_default());
        self.disk_mark.set(state.disk_mark);
        for (family, label, expiries) in [
            (&self.certificates, "certificate", &state.certificates),
            (&self.revocation_lists, "list", &state.revocation_lists),
        ] {
            family.clear();
            for Expiry { name, at } in expiries {
                let label = vec![(label, name.clone())];
                family.get_or_create(&label).set(since_1970(Some(*at)));
            }
        }
        let process = state.process.unwrap_or_default();
        self.resident.set(process.resident_bytes);
        self.cpu.set(process.cpu.as_secs_f64());
        self.open_files.set(process.open_files);
        self.open_files_max.set(process.open_files_max);
    }

    fn set_worst(&self, worst: &[(String, InboxGauges)]) {
        self.inbox_deliveries.clear();
        self.inbox_dead_letters.clear();
        self.inbox_consumers.clear();
        self.inbox_oldest_age.clear();
        for (inbox, gauges) in worst {
            for (name, count) in by_state(gauges) {
                let labels = vec![("inbox", inbox.clone()), ("state", name.to_owned())];
                self.inbox_deliveries.get_or_create(&labels).set(count);
            }
            let label = vec![("inbox", inbox.clone())];
            self.inbox_dead_letters.get_or_create(&label).set(gauges.dead);
            self.inbox_consumers.get_or_create(&label).set(gauges.consumers);
            self.inbox_oldest_age.get_or_create(&label).set(gauges.oldest_age.as_secs_f64());
        }
    }
}

fn by_state(gauges: &InboxGauges) -> [(&'static str, u64); 3] {
    [("waiting", gauges.waiting), ("delayed", gauges.delayed), ("in_flight", gauges.in_flight)]
}

fn since_1970(moment: Option<SystemTime>) -> f64 {
    let since = moment.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    since.unwrap_or_default().as_secs_f64()
}
