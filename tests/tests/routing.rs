//! Routing by every dialect, by content, and by who is followed: over the wire.
#![allow(clippy::unwrap_used, reason = "tests")]

use wissel_client::{Client, ClientError, Filter, Followed, Subscription};
use wissel_message::{Event, EventBuilder};
use wissel_tests::{Gateway, OPERATOR, alone};

const RVIG: &str = "00000099000000001000";
const UTRECHT: &str = "00000099000000002000";
const PENSIONS: &str = "00000099000000003000";
/// Of the test range.
const SUBJECT: &str = "999990342";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Utrecht" },
    { oin = "00000099000000003000", name = "Pensions" },
]

[[event_type]]
name = "nl.brp.verhuizing"
owner = "00000099000000001000"
description = "Somebody moved."
subject = "bsn"

[event_type.schema]
type = "object"
[event_type.schema.properties]
plaats = { type = "string" }
kinderen = { type = "integer" }

[[grant]]
party = "00000099000000001000"
type = "nl.brp.verhuizing"
action = "publish"
purpose = "To tell of changes"
legal_basis = "Wet BRP, artikel 3.2"

[[grant]]
party = "00000099000000002000"
type = "nl.brp.verhuizing"
action = "receive"
purpose = "To keep records of residents"
legal_basis = "Wet BRP, artikel 3.9"

[[grant]]
party = "00000099000000003000"
type = "nl.brp.verhuizing"
action = "receive"
purpose = "To know where to write"
legal_basis = "Pensioenwet, artikel 16"
fields = ["/plaats"]
"#;

fn moved(id: &str, gemeente: &str, data: &str) -> EventBuilder {
    Event::builder(id, format!("urn:nld:oin:{RVIG}:systeem:BRP"), "nl.brp.verhuizing")
        .subject(SUBJECT)
        .extension("gemeente", gemeente)
        .data_text("application/json", data)
}

/// The local names of the inboxes that it went to, in alphabetical order.
async fn publish(client: &Client, event: EventBuilder) -> Vec<String> {
    let receipt = client.publish(&event.build().unwrap()).await.unwrap();
    let mut inboxes: Vec<String> =
        receipt.inboxes.iter().map(|inbox| inbox.local().to_owned()).collect();
    inboxes.sort();
    inboxes
}

fn filter(name: &str, value: &str, dialect: fn(Values) -> Filter) -> Filter {
    dialect([(name.to_owned(), value.to_owned())].into())
}

type Values = std::collections::BTreeMap<String, String>;

async fn subscribe(client: &Client, name: &str, filter: Filter) -> Result<(), ClientError> {
    let wanted = Subscription { filters: vec![filter], ..Subscription::new(name.parse().unwrap()) };
    client.create_subscription(&wanted).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_routes_and_is_in_force_after_a_restart() {
    let _alone = alone().await;
    let mut gateway = Gateway::with_catalogue(CATALOGUE).await;
    let utrecht = gateway.client(UTRECHT);
    let sql = |text: &str| Filter::Sql(text.to_owned());
    let wanted = [
        ("exact", filter("gemeente", "0344", Filter::Exact)),
        ("prefix", filter("gemeente", "03", Filter::Prefix)),
        ("suffix", filter("gemeente", "44", Filter::Suffix)),
        ("not", Filter::Not(filter("gemeente", "0344", Filter::Exact).into())),
        (
            "any",
            Filter::Any(vec![
                filter("gemeente", "0363", Filter::Exact),
                Filter::All(vec![sql("EXISTS subject"), filter("gemeente", "04", Filter::Prefix)]),
            ]),
        ),
        ("sql", sql("gemeente IN ('0363', '0599') AND LENGTH(subject) = 9")),
        ("data", sql("DATA('/plaats') = 'Zwolle' AND DATA('/kinderen') > 1")),
        ("error", sql("niets = 'x' OR TRUE")),
    ];
    for (name, filter) in wanted {
        subscribe(&utrecht, &format!("{UTRECHT}.{name}"), filter).await.unwrap();
    }
    for again in [false, true] {
        if again {
            gateway.kill().await;
            gateway.start_again().await;
        }
        let rvig = gateway.client(RVIG);
        let id = |number: u32| format!("{again}-{number}");
        let found = publish(&rvig, moved(&id(1), "0344", "{}")).await;
        assert_eq!(found, ["exact", "prefix", "suffix"]);
        assert_eq!(
            publish(&rvig, moved(&id(2), "0363", "{}")).await,
            ["any", "not", "prefix", "sql"]
        );
        assert_eq!(publish(&rvig, moved(&id(3), "0400", "{}")).await, ["any", "not"]);
        let data = r#"{"plaats":"Zwolle","kinderen":2}"#;
        assert_eq!(publish(&rvig, moved(&id(4), "0193", data)).await, ["data", "not"]);
    }
    // An operator sees what is filtered on, and not whom.
    let listed = gateway.client(OPERATOR).list_subscriptions().all().await.unwrap();
    // Not when they were made: a number of seconds may have these digits.
    let filters: Vec<_> = listed.iter().map(|one| &one.filters).collect();
    let shown = format!("{filters:?}");
    assert!(shown.contains("gemeente IN ('***', '***') AND LENGTH(subject) = 9"), "{shown}");
    assert!(!shown.contains("0344") && !shown.contains("Zwolle"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_grant_does_not_give_cannot_be_asked_for_by_a_filter() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(CATALOGUE).await;
    let (rvig, pensions) = (gateway.client(RVIG), gateway.client(PENSIONS));
    let sql = |text: &str| Filter::Sql(text.to_owned());
    // Whether there are children would be told by which messages come.
    let probe = sql("DATA('/plaats') = 'Zwolle' AND DATA('/kinderen') > 1");
    let refused = subscribe(&pensions, &format!("{PENSIONS}.probe"), probe).await.unwrap_err();
    let refusal = refused.refusal().unwrap();
    assert_eq!(refusal.reason, "INVALID_SUBSCRIPTION");
    assert_eq!(refusal.violations[0].field, "subscription.filters[0]");
    assert!(refusal.violations[0].description.contains("no grant of the owner allows"));
    let allowed = sql("DATA('/plaats') = 'Zwolle'");
    subscribe(&pensions, &format!("{PENSIONS}.plaats"), allowed).await.unwrap();
    let data = r#"{"plaats":"Zwolle","kinderen":2}"#;
    assert_eq!(publish(&rvig, moved("1", "0193", data)).await, ["plaats"]);

    // Nor when the grant becomes narrower later.
    gateway.write_catalogue(&CATALOGUE.replace(r#"["/plaats"]"#, r#"["/kinderen"]"#));
    gateway.logs("catalogue replaced").await;
    assert!(publish(&rvig, moved("2", "0193", data)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_follows_subjects_that_change_all_day() {
    let _alone = alone().await;
    let mut gateway = Gateway::with_catalogue(CATALOGUE).await;
    let (rvig, pensions) = (gateway.client(RVIG), gateway.client(PENSIONS));
    let name = format!("{PENSIONS}.klanten").parse().unwrap();
    let follows = Subscription { follows_subjects: true, ..Subscription::new(name) };
    pensions.create_subscription(&follows).await.unwrap();
    assert!(publish(&rvig, moved("1", "0344", "{}")).await.is_empty());

    let many: Vec<String> = (0..9_999).map(|number| format!("{number:09}")).collect();
    let followed = pensions.follow_subjects(&follows.name, many.clone(), vec![]).await.unwrap();
    assert_eq!(followed, Followed { added: 9_999, removed: 0, total: 9_999 });
    assert!(publish(&rvig, moved("2", "0344", "{}")).await.is_empty());
    let one = || vec![SUBJECT.to_owned()];
    let followed = pensions.follow_subjects(&follows.name, one(), many).await.unwrap();
    assert_eq!(followed, Followed { added: 1, removed: 9_999, total: 1 });
    assert_eq!(publish(&rvig, moved("3", "0344", "{}")).await, ["klanten"]);

    // It is kept, and nobody can read whom it is about.
    gateway.kill().await;
    gateway.start_again().await;
    let (rvig, pensions) = (gateway.client(RVIG), gateway.client(PENSIONS));
    assert_eq!(publish(&rvig, moved("4", "0344", "{}")).await, ["klanten"]);
    // Nor is it lost when a declared subscription of its name comes and goes.
    gateway.write_catalogue(&format!("{CATALOGUE}\n[[subscription]]\nname = \"{}\"", follows.name));
    gateway.logs("catalogue replaced").await;
    gateway.write_catalogue(CATALOGUE);
    gateway.logs("the stored one is back").await;
    assert_eq!(publish(&rvig, moved("4b", "0344", "{}")).await, ["klanten"]);
    for file in ["control.sqlite", "control.sqlite-wal"] {
        let kept = std::fs::read(gateway.data_directory().join(file)).unwrap_or_default();
        let found = kept.windows(SUBJECT.len()).any(|bytes| bytes == SUBJECT.as_bytes());
        assert!(!found, "{file}");
    }
    let followed = pensions.follow_subjects(&follows.name, vec![], one()).await.unwrap();
    assert_eq!(followed, Followed { added: 0, removed: 1, total: 0 });
    assert!(publish(&rvig, moved("5", "0344", "{}")).await.is_empty());

    // Only its owner, and only what follows.
    let reason = |error: ClientError| error.refusal().unwrap().reason.clone();
    let of_another = gateway.client(UTRECHT).follow_subjects(&follows.name, one(), vec![]).await;
    assert_eq!(reason(of_another.unwrap_err()), "UNKNOWN_SUBSCRIPTION");
    let operator = gateway.client(OPERATOR);
    let of_operator = operator.follow_subjects(&follows.name, one(), vec![]).await;
    assert_eq!(reason(of_operator.unwrap_err()), "NOT_GRANTED");
    let tried = operator.create_subscription(&follows).await.unwrap_err();
    assert_eq!(reason(tried), "SUBSCRIPTION_EXISTS", "whether it is the same is not told");
    let plain = Subscription::new(format!("{PENSIONS}.alles").parse().unwrap());
    pensions.create_subscription(&plain).await.unwrap();
    let refused = pensions.follow_subjects(&plain.name, one(), vec![]).await.unwrap_err();
    assert_eq!(reason(refused), "INVALID_REQUEST");
    let empty = vec![SUBJECT.to_owned(), String::new()];
    let refused = pensions.follow_subjects(&follows.name, empty, vec![]).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().violations[0].field, "add[1]");
    assert!(!format!("{refused:?}").contains(SUBJECT));
    let records = gateway.records();
    assert!(records.contains(r#""operation":"subscription-changed""#), "{records}");
    assert!(!records.contains(SUBJECT));
}
