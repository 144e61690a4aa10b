//! A broker on the embedded bus, with one party that publishes and one that receives.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::sync::Arc;
use std::time::Duration;

use wissel_broker::{
    Broker, BrokerOptions, Caller, Leased, Operator, Receipt, Refusal, Roles, Session,
    SessionEvent, SessionOptions, Subscription, Verdict,
};
use wissel_bus::InboxState;
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_identifiers::InboxName;
use wissel_message::{Event, EventBuilder, EventView};
use wissel_store::Store;

pub(crate) const REGISTRY: &str = "00000099000000001000";
pub(crate) const RECEIVER: &str = "00000099000000002000";

pub(crate) const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Receiver" },
]
[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
archive = "30 days"
[[event_type]]
name = "nl.brp.spoed"
owner = "00000099000000001000"
description = "Something that cannot wait."
deadline = "3 seconds"
[[grant]]
party = "00000099000000001000"
type = ["nl.brp.geboorte", "nl.brp.spoed"]
action = "publish"
purpose = "To tell"
legal_basis = "Wet BRP"
[[grant]]
party = "00000099000000002000"
type = ["nl.brp.geboorte", "nl.brp.spoed"]
action = "receive"
purpose = "To know"
legal_basis = "Wet BRP"
[[subscription]]
name = "00000099000000002000.inbox"
[[subscription]]
name = "00000099000000002000.second"
types = ["nl.brp.geboorte"]
"#;

/// The same without a grant to receive, and without subscriptions.
pub(crate) const CATALOGUE_WITHOUT_RECEIVER: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Receiver" },
]
[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
archive = "30 days"
"#;

/// A broker, and where its bus is.
pub(crate) struct Place {
    pub(crate) broker: Arc<Broker>,
    pub(crate) bus: Arc<EmbeddedBus>,
    pub(crate) store: Store,
    directory: tempfile::TempDir,
}

/// A receiver at an inbox.
pub(crate) struct Receiver {
    pub(crate) session: Session,
    waiting: std::collections::VecDeque<Leased>,
}

impl Place {
    pub(crate) async fn new(more: &str) -> Self {
        Self::with(more, BrokerOptions::default()).await
    }

    pub(crate) async fn with(more: &str, options: BrokerOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::at(directory, Store::in_memory().unwrap(), more, options).await
    }

    async fn at(
        directory: tempfile::TempDir,
        store: Store,
        more: &str,
        options: BrokerOptions,
    ) -> Self {
        let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.path())).unwrap();
        let bus = Arc::new(bus);
        let catalogue = Catalogue::from_toml("test", &format!("{CATALOGUE}{more}")).unwrap();
        let on: Arc<dyn wissel_bus::Bus> = Arc::clone(&bus) as _;
        let broker = Broker::start(on, store.clone(), catalogue, options).await.unwrap();
        broker.prepared().await;
        Self { broker, bus, store, directory }
    }

    /// Stops, and starts over the same state.
    pub(crate) async fn again(self, more: &str) -> Self {
        self.broker.shut_down(Duration::from_secs(10)).await;
        let Self { broker, bus, store, directory } = self;
        drop((broker, bus));
        Self::at(directory, store, more, BrokerOptions::default()).await
    }

    pub(crate) async fn publish(&self, event: EventBuilder) -> Result<Receipt, Refusal> {
        self.publish_all([event].into_iter()).await.remove(0)
    }

    pub(crate) async fn publish_all(
        &self,
        events: impl Iterator<Item = EventBuilder>,
    ) -> Vec<Result<Receipt, Refusal>> {
        let frames = events.map(|event| event.build().unwrap().encode()).collect();
        self.broker.publish(&party(REGISTRY), frames).await
    }

    pub(crate) async fn open(&self, local: &str) -> Receiver {
        self.open_with(local, 100).await
    }

    pub(crate) async fn open_with(&self, local: &str, credit: u16) -> Receiver {
        let options = SessionOptions { credit, lease: Duration::from_secs(30) };
        let session = self.broker.open_session(&party(RECEIVER), &inbox(local), options).await;
        Receiver { session: session.unwrap(), waiting: Default::default() }
    }

    pub(crate) async fn state(&self, local: &str) -> InboxState {
        self.broker.inbox(&operator(), &inbox(local)).await.unwrap().state
    }
}

impl Receiver {
    /// The next delivery, which must come.
    pub(crate) async fn next(&mut self) -> Leased {
        self.within(Duration::from_secs(15)).await.expect("a delivery comes")
    }

    /// The next delivery, if one comes in time.
    pub(crate) async fn within(&mut self, patience: Duration) -> Option<Leased> {
        let taking = async {
            loop {
                if let Some(leased) = self.waiting.pop_front() {
                    return leased;
                }
                match self.session.next().await {
                    SessionEvent::Deliveries(deliveries) => self.waiting.extend(deliveries),
                    SessionEvent::LeaseLost(_) => {}
                    SessionEvent::Ended(end) => panic!("ended: {end:?}"),
                }
            }
        };
        tokio::time::timeout(patience, taking).await.ok()
    }

    /// The `id` of the next message, which is acknowledged.
    pub(crate) async fn next_id(&mut self) -> String {
        let leased = self.next().await;
        let id = id_of(&leased);
        self.settle(leased.id, Verdict::Acknowledge).await;
        id
    }

    pub(crate) async fn settle(&mut self, id: u64, verdict: Verdict) {
        self.session.settle(&[id], &verdict);
        self.session.settled().await;
    }
}

pub(crate) fn id_of(leased: &Leased) -> String {
    EventView::decode(leased.envelope.event.clone()).unwrap().id().to_owned()
}

pub(crate) fn party(oin: &str) -> Caller {
    Caller::Party(oin.parse().unwrap())
}

/// An operator with every role.
pub(crate) fn operator() -> Caller {
    Operator { name: None, oin: None, roles: Roles::ALL }.into()
}

pub(crate) fn inbox(local: &str) -> InboxName {
    format!("{RECEIVER}.{local}").parse().unwrap()
}

pub(crate) fn event(id: &str) -> EventBuilder {
    Event::builder(id, format!("urn:nld:oin:{REGISTRY}:systeem:BRP"), "nl.brp.geboorte")
}

pub(crate) fn urgent(id: &str) -> EventBuilder {
    Event::builder(id, format!("urn:nld:oin:{REGISTRY}:systeem:BRP"), "nl.brp.spoed")
}

pub(crate) fn subscription(local: &str) -> Subscription {
    Subscription {
        name: format!("{RECEIVER}.{local}").parse().unwrap(),
        inbox: inbox(local),
        types: Vec::new(),
        filters: Vec::new(),
        follows: false,
        ordered: false,
        created_at: std::time::SystemTime::now(),
        declared: false,
    }
}
