//! What feeds an inbox, and who may open it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wissel_broker::{
    Broker, BrokerOptions, Caller, Reason, Refusal, Session, SessionEnd, SessionEvent,
    SessionOptions, Subscription,
};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_message::Event;
use wissel_store::Store;

const REGISTRY: &str = "00000099000000001000";
const ZWOLLE: &str = "00000099000000002000";
const SUPPLIER: &str = "00000099000000003000";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Zwolle" },
    { oin = "00000099000000003000", name = "Supplier" },
]
[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
[[event_type]]
name = "nl.brp.huwelijk"
owner = "00000099000000001000"
description = "A marriage was registered."
[[event_type]]
name = "nl.woz.waarde"
owner = "00000099000000001000"
description = "A value was set."
[[grant]]
party = "00000099000000001000"
type = ["nl.brp.geboorte", "nl.brp.huwelijk", "nl.woz.waarde"]
action = "publish"
purpose = "To tell"
legal_basis = "Wet BRP"
[[grant]]
party = "00000099000000002000"
type = ["nl.brp.geboorte", "nl.brp.huwelijk", "nl.woz.waarde"]
action = "receive"
purpose = "To know"
legal_basis = "Wet BRP"
[[mandate]]
party = "00000099000000003000"
for = "00000099000000002000"
type = ["nl.brp.geboorte", "nl.woz.waarde"]
action = "receive"
basis = "Mandaatbesluit"
until = "2999-12-31"
"#;

async fn start(directory: &Path, subscriptions: &str) -> Arc<Broker> {
    let bus = EmbeddedBus::open(EmbeddedOptions::new(directory)).unwrap();
    let catalogue = catalogue(subscriptions);
    let store = Store::in_memory().unwrap();
    let options = BrokerOptions::default();
    let broker = Broker::start(Arc::new(bus), store, catalogue, options).await.unwrap();
    broker.prepared().await;
    broker
}

fn catalogue(subscriptions: &str) -> Catalogue {
    Catalogue::from_toml("test", &format!("{CATALOGUE}{subscriptions}")).unwrap()
}

fn declared(local: &str, what: &str) -> String {
    format!("[[subscription]]\nname = \"{ZWOLLE}.{local}\"\n{what}\n")
}

fn party(oin: &str) -> Caller {
    Caller::Party(oin.parse().unwrap())
}

async fn open(broker: &Arc<Broker>, caller: &Caller, local: &str) -> Result<Session, Refusal> {
    let options = SessionOptions { credit: 10, lease: Duration::from_secs(30) };
    broker.open_session(caller, &format!("{ZWOLLE}.{local}").parse().unwrap(), options).await
}

/// Where a message of this type goes.
async fn publish(broker: &Arc<Broker>, id: &str, event_type: &str) -> Vec<String> {
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
    let event = Event::builder(id, source, event_type).build().unwrap();
    let outcome = broker.publish(&party(REGISTRY), vec![event.encode()]).await.pop().unwrap();
    outcome.unwrap().inboxes.iter().map(|inbox| inbox.local().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mandate_for_some_types_opens_an_inbox_that_holds_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let all = [
        declared("all", ""),
        declared("brp", r#"filters = [{ prefix = { type = "nl.brp." } }]"#),
        declared("woz", r#"filters = [{ prefix = { type = "nl.woz." } }]"#),
        declared("birth", r#"filters = [{ exact = { type = "nl.brp.geboorte" } }]"#),
        declared("own", r#"types = ["nl.brp.geboorte", "nl.woz.waarde"]"#),
    ];
    let broker = start(directory.path(), &all.concat()).await;
    let supplier = Caller::Representative {
        party: SUPPLIER.parse().unwrap(),
        principal: ZWOLLE.parse().unwrap(),
    };
    for local in ["all", "brp"] {
        assert!(open(&broker, &party(ZWOLLE), local).await.is_ok());
        let refusal = open(&broker, &supplier, local).await.err().unwrap();
        assert_eq!(refusal.reason, Reason::NoMandate);
        let says = |text: &str| refusal.message.contains(text);
        assert!(says("may hold nl.brp.huwelijk,") && says("an inbox of its own"), "{refusal}");
    }
    for local in ["woz", "birth"] {
        assert!(open(&broker, &supplier, local).await.is_ok(), "{local}");
    }

    // A marriage that waits from before is not the supplier's either.
    let wider =
        all.concat().replace(r#"types = ["nl.brp.geboorte", "#, "types = [\"nl.brp.huwelijk\", ");
    broker.replace_catalogue(catalogue(&wider)).await.unwrap();
    publish(&broker, "1", "nl.brp.huwelijk").await;
    broker.replace_catalogue(catalogue(&all.concat())).await.unwrap();
    let mut session = open(&broker, &supplier, "own").await.unwrap();
    let ended = session.next().await;
    let SessionEvent::Ended(SessionEnd::Refused(refusal)) = ended else { panic!("{ended:?}") };
    assert_eq!(refusal.reason, Reason::NoMandate);
    assert!(refusal.message.contains("of type nl.brp.huwelijk"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_subscription_rests_while_one_of_its_name_is_declared() {
    let directory = tempfile::tempdir().unwrap();
    let broker = start(directory.path(), "").await;
    let stored = Subscription {
        name: format!("{ZWOLLE}.a").parse().unwrap(),
        inbox: format!("{ZWOLLE}.a").parse().unwrap(),
        types: vec!["nl.brp.geboorte".to_owned()],
        filters: Vec::new(),
        follows: false,
        ordered: false,
        created_at: std::time::SystemTime::now(),
        declared: false,
    };
    broker.create_subscription(&party(ZWOLLE), stored.clone()).await.unwrap();
    assert_eq!(publish(&broker, "1", "nl.brp.geboorte").await, ["a"]);
    for what in [r#"types = ["nl.brp.huwelijk"]"#, r#"types = ["nl.brp.geboorte"]"#] {
        broker.replace_catalogue(catalogue(&declared("a", what))).await.unwrap();
        let of_file = broker.delete_subscription(&party(ZWOLLE), &stored.name).await;
        assert_eq!(of_file.unwrap_err().reason, Reason::InvalidRequest);
        broker.replace_catalogue(catalogue("")).await.unwrap();
        assert_eq!(publish(&broker, &format!("2{what}"), "nl.brp.geboorte").await, ["a"]);
        assert!(publish(&broker, &format!("3{what}"), "nl.brp.huwelijk").await.is_empty());
    }
    broker.delete_subscription(&party(ZWOLLE), &stored.name).await.unwrap();
    broker.replace_catalogue(catalogue(&declared("b", ""))).await.unwrap();
    broker.replace_catalogue(catalogue("")).await.unwrap();
    assert!(publish(&broker, "4", "nl.brp.geboorte").await.is_empty());
}
