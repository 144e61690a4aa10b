//! Who may do what: over the wire, with those who try what they may not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant, SystemTime};

use wissel_client::{Client, ClientError, Filter, InboxSettings, OpenInbox, Subscription, Which};
use wissel_identity::{DevAuthority, DevTokenIssuer, Validity};
use wissel_message::{Event, EventBuilder, OwnedData};
use wissel_tests::{Gateway, OPERATOR, alone};

const RVIG: &str = "00000099000000001000";
const UTRECHT: &str = "00000099000000002000";
const PENSIONS: &str = "00000099000000003000";
const SUPPLIER: &str = "00000099000000004000";
const COURT: &str = "00000099000000005000";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Utrecht" },
    { oin = "00000099000000003000", name = "Pensions" },
    { oin = "00000099000000004000", name = "Supplier" },
    { oin = "00000099000000005000", name = "Court", strict = true },
]

[[event_type]]
name = "nl.brp.overlijden"
owner = "00000099000000001000"
description = "A death was registered."
subject = "bsn"
retention = "1 year"

[event_type.schema]
type = "object"
required = ["datum", "naam"]
additionalProperties = false
dependentRequired = { plaats = ["land"] }
[event_type.schema.properties]
datum = { type = "string", pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" }
naam = { type = "object", properties = { voornaam = { type = "string" }, achternaam = { type = "string" } } }
plaats = { type = "string" }
land = { type = "string" }

[[event_type]]
name = "nl.brp.terugmelding"
owner = "00000099000000001000"
description = "Doubt about a datum."
audience = "exactly-one"

[[event_type]]
name = "nl.rechtspraak.uitspraak"
owner = "00000099000000005000"
description = "A judgment."
subject = "none"

[[grant]]
party = "00000099000000001000"
type = "nl.brp.overlijden"
action = "publish"
purpose = "To tell of changes"
legal_basis = "Wet BRP, artikel 3.2"

[[grant]]
party = "00000099000000005000"
type = "nl.rechtspraak.uitspraak"
action = "publish"
purpose = "To publish judgments"
legal_basis = "Grondwet, artikel 121"

[[grant]]
party = ["00000099000000002000", "00000099000000003000"]
type = "nl.rechtspraak.uitspraak"
action = "receive"
purpose = "To know the law"
legal_basis = "Grondwet, artikel 121"

[[grant]]
party = "00000099000000002000"
type = "nl.brp.terugmelding"
action = "publish"
purpose = "To report doubt"
legal_basis = "Wet BRP, artikel 2.34"

[[grant]]
party = ["00000099000000001000", "00000099000000003000"]
type = "nl.brp.terugmelding"
action = "receive"
purpose = "To examine doubt"
legal_basis = "Wet BRP, artikel 2.34"

[[grant]]
party = "00000099000000002000"
type = "nl.brp.overlijden"
action = "receive"
purpose = "To keep records of residents"
legal_basis = "Wet BRP, artikel 3.9"
filters = [{ exact = { gemeente = "0344" } }]

[[grant]]
party = "00000099000000003000"
type = "nl.brp.overlijden"
action = "receive"
purpose = "To end pensions"
legal_basis = "Pensioenwet, artikel 16"
fields = ["/datum", "/naam/achternaam", "/plaats"]

[[subscription]]
name = "00000099000000002000.inbox"

[[subscription]]
name = "00000099000000003000.inbox"
types = ["nl.brp.overlijden", "nl.rechtspraak.uitspraak"]
"#;

fn death(id: &str, gemeente: &str) -> EventBuilder {
    Event::builder(id, format!("urn:nld:oin:{RVIG}:systeem:BRP"), "nl.brp.overlijden")
        .subject("999990342")
        .extension("gemeente", gemeente)
        .data_text(
            "application/json",
            r#"{"datum":"2026-11-24","naam":{"voornaam":"Jan","achternaam":"Proef"}}"#,
        )
}

async fn publish(client: &Client, event: EventBuilder) -> Result<Vec<String>, String> {
    match client.publish(&event.build().unwrap()).await {
        Ok(receipt) => Ok(receipt.inboxes.iter().map(ToString::to_string).collect()),
        Err(error) => Err(reason(&error)),
    }
}

/// The stable code, and what it says.
fn reason(error: &ClientError) -> String {
    assert!(!error.to_string().contains("99999034"), "{error}");
    let refusal = error.refusal().unwrap_or_else(|| panic!("no refusal: {error}"));
    format!("{} {}", refusal.reason, refusal.message)
}

async fn open(client: &Client, party: &str) -> Result<OpenInbox, ClientError> {
    client.subscribe(format!("{party}.inbox").as_str()).open().await
}

async fn next_json(inbox: &mut OpenInbox) -> String {
    let next = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await;
    let delivery = next.unwrap().unwrap().unwrap();
    let Some(OwnedData::Text(json)) = delivery.event().data().cloned() else { panic!("no data") };
    delivery.acknowledge().await.unwrap();
    json
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_what_its_grant_allows_and_no_more() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(CATALOGUE).await;
    let rvig = gateway.client(RVIG);
    let utrecht = format!("{UTRECHT}.inbox");
    let pensions = format!("{PENSIONS}.inbox");
    assert_eq!(publish(&rvig, death("1", "0363")).await.unwrap(), [pensions.as_str()]);
    let both = publish(&rvig, death("2", "0344")).await.unwrap();
    assert!(both.contains(&utrecht) && both.contains(&pensions) && both.len() == 2);

    let mut inbox = open(&gateway.client(UTRECHT), UTRECHT).await.unwrap();
    let whole = r#"{"datum":"2026-11-24","naam":{"voornaam":"Jan","achternaam":"Proef"}}"#;
    assert_eq!(next_json(&mut inbox).await, whole);
    let mut inbox = open(&gateway.client(PENSIONS), PENSIONS).await.unwrap();
    let less = r#"{"datum":"2026-11-24","naam":{"achternaam":"Proef"}}"#;
    assert_eq!(next_json(&mut inbox).await, less);
    assert_eq!(next_json(&mut inbox).await, less);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_publisher_may_not_do_is_refused_with_a_reason() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(CATALOGUE).await;
    let (rvig, utrecht) = (gateway.client(RVIG), gateway.client(UTRECHT));
    let refused = async |client: &Client, event: EventBuilder, expected: &str| {
        let refusal = publish(client, event).await.unwrap_err();
        assert!(refusal.starts_with(expected), "{expected}: {refusal}");
        refusal
    };
    let data = |json: &str| death("3", "0344").data_text("application/json", json);
    refused(&utrecht, death("1", "0344"), "NOT_GRANTED").await;
    let of_another = format!("urn:nld:oin:{UTRECHT}:systeem:x");
    let event = Event::builder("2", of_another, "nl.brp.overlijden").subject("999990343");
    let refusal = refused(&rvig, event, "SOURCE_OF_ANOTHER source: ").await;
    assert!(refusal.contains("subject: "), "all that is wrong is told at once: {refusal}");
    refused(&rvig, death("3", "0344").subject("999990343"), "INVALID_MESSAGE").await;
    refused(&rvig, data(r#"{"datum":"2026-11-24"}"#), "INVALID_MESSAGE data: \"naam\"").await;
    refused(&rvig, data(r#"{"datum":"gisteren","naam":{}}"#), "INVALID_MESSAGE data/datum").await;
    let unknown = data(r#"{"datum":"2026-11-24","naam":{},"999990342":1}"#);
    refused(&rvig, unknown, "INVALID_MESSAGE data: a member").await;
    let twice = data(r#"{"datum":"2026-11-24","naam":{},"naam":{}}"#);
    assert!(refused(&rvig, twice, "INVALID_MESSAGE").await.contains("twice"));
    let deep = format!(r#"{{"naam":{}{}}}"#, "[".repeat(60_000), "]".repeat(60_000));
    assert!(refused(&rvig, data(&deep), "INVALID_MESSAGE").await.contains("128 levels"));
    // Whoever gets `plaats` and not `land` would get what the schema forbids.
    let tied = data(r#"{"datum":"2026-11-24","naam":{},"plaats":"Utrecht","land":"NL"}"#);
    refused(&rvig, tied, "MINIMISED_DATA_INVALID").await;
    refused(&rvig, death("3", "0344").extension("sequencetype", "Integer"), "INVALID_MESSAGE")
        .await;

    // Nothing of all that was kept.
    let mut inbox = open(&gateway.client(PENSIONS), PENSIONS).await.unwrap();
    publish(&rvig, death("4", "0344")).await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await;
    assert_eq!(first.unwrap().unwrap().unwrap().event().id(), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_should_be_is_a_warning_and_for_a_strict_party_a_refusal() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(CATALOGUE).await;
    let poor = |source: &str, event_type: &str| {
        Event::builder("1", source, event_type).data_text("text/plain", "x")
    };
    let court = gateway.client(COURT);
    let refusal = publish(&court, poor("/court", "nl.rechtspraak.uitspraak")).await.unwrap_err();
    assert!(refusal.contains("[nlgov-source]") && refusal.contains("[nlgov-datacontenttype]"));

    gateway.write_catalogue(&CATALOGUE.replace(", strict = true", ""));
    gateway.logs("catalogue replaced").await;
    let event = poor("/court", "nl.rechtspraak.uitspraak").build().unwrap();
    let receipt = court.publish(&event).await.unwrap();
    let rules: Vec<&str> = receipt.warnings.iter().map(|one| one.rule.as_str()).collect();
    assert_eq!(rules, ["nlgov-source", "nlgov-datacontenttype"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_that_is_not_met_is_refused_with_the_count() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(CATALOGUE).await;
    let utrecht = gateway.client(UTRECHT);
    let report = |id: &str| {
        Event::builder(id, format!("urn:nld:oin:{UTRECHT}:systeem:x"), "nl.brp.terugmelding")
    };
    let none = publish(&utrecht, report("1")).await.unwrap_err();
    assert!(none.starts_with("AUDIENCE_UNMET") && none.contains("finds 0"), "{none}");
    for (party, count) in [(RVIG, 1), (PENSIONS, 2)] {
        for local in ["reports", "reports-too"] {
            let mut wanted = Subscription::new(format!("{party}.{local}").parse().unwrap());
            wanted.types = vec!["nl.brp.terugmelding".to_owned()];
            gateway.client(party).create_subscription(&wanted).await.unwrap();
        }
        let outcome = publish(&utrecht, report("1")).await;
        match count {
            // Two inboxes of one party are one recipient.
            1 => assert_eq!(outcome.unwrap().len(), 2),
            _ => {
                let outcome = publish(&utrecht, report("2")).await.unwrap_err();
                assert!(outcome.contains("finds 2"), "{outcome}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_subscriber_may_not_do_is_refused() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(CATALOGUE).await;
    let (utrecht, pensions) = (gateway.client(UTRECHT), gateway.client(PENSIONS));
    let wanted = |name: &str, types: &[&str], gemeente: &str| {
        let mut wanted = Subscription::new(name.parse().unwrap());
        wanted.types = types.iter().map(|one| (*one).to_owned()).collect();
        let filter = [("gemeente".to_owned(), gemeente.to_owned())].into();
        wanted.filters = vec![Filter::Exact(filter)];
        wanted
    };
    let create = async |client: &Client, wanted: Subscription| {
        client.create_subscription(&wanted).await.map_err(|error| reason(&error))
    };
    // Outside of every grant, in the name of another, and feeding another's inbox.
    let outside = wanted(&format!("{UTRECHT}.a"), &["nl.brp.geboorte"], "0344");
    assert!(create(&utrecht, outside).await.unwrap_err().starts_with("INVALID_SUBSCRIPTION"));
    let of_another = wanted(&format!("{UTRECHT}.a"), &["nl.brp.overlijden"], "0344");
    assert!(create(&pensions, of_another).await.unwrap_err().starts_with("NOT_GRANTED"));
    let mut feeding = wanted(&format!("{PENSIONS}.a"), &["nl.brp.overlijden"], "0344");
    feeding.inbox = Some(format!("{UTRECHT}.inbox").parse().unwrap());
    assert!(create(&pensions, feeding).await.unwrap_err().starts_with("INVALID_SUBSCRIPTION"));

    // A subscription to all of the Netherlands stays within the row limits, and cannot be
    // made wider.
    let narrow = wanted(&format!("{UTRECHT}.b"), &["nl.brp.overlijden"], "0344");
    create(&utrecht, narrow.clone()).await.unwrap();
    let mut wider = narrow;
    wider.filters.clear();
    assert!(create(&utrecht, wider).await.unwrap_err().starts_with("SUBSCRIPTION_EXISTS"));
    let mut all = wanted(&format!("{UTRECHT}.c"), &["nl.brp.overlijden"], "0344");
    all.filters = vec![Filter::Prefix([("gemeente".to_owned(), "0".to_owned())].into())];
    create(&utrecht, all).await.unwrap();
    let inboxes = publish(&gateway.client(RVIG), death("1", "0363")).await.unwrap();
    assert_eq!(inboxes, [format!("{PENSIONS}.inbox")]);

    // What belongs to another looks as if it were not there, whatever is tried.
    for local in ["inbox", "b", "nonsense"] {
        let name = format!("{UTRECHT}.{local}").parse().unwrap();
        let told = [
            open_error(&pensions, &format!("{UTRECHT}.{local}")).await,
            reason(&pensions.get_inbox(&name).await.unwrap_err()),
            reason(&pensions.list_dead_letters(&name).all().await.unwrap_err()),
            reason(&pensions.redrive(&name, Which::All).await.unwrap_err()),
        ];
        assert!(told.iter().all(|one| one.starts_with("UNKNOWN_INBOX")), "{told:?}");
        let name = format!("{UTRECHT}.{local}").parse().unwrap();
        let told = reason(&pensions.get_subscription(&name).await.unwrap_err());
        assert!(told.starts_with("UNKNOWN_SUBSCRIPTION"), "{told}");
    }
    let records = gateway.records();
    let tried = |line: &&str| {
        line.contains(r#""operation":"inbox-opened","status":"refused""#)
            && line.contains(&format!(r#""inbox":"{UTRECHT}.inbox""#))
    };
    assert_eq!(records.lines().filter(tried).count(), 1, "{records}");
    assert!(!records.contains("nonsense"), "a name that is made up is not kept");
    let of_operator = open_error(&gateway.client(OPERATOR), &format!("{UTRECHT}.inbox")).await;
    assert!(of_operator.starts_with("NOT_GRANTED"), "{of_operator}");
}

async fn open_error(client: &Client, inbox: &str) -> String {
    reason(&client.subscribe(inbox).open().await.map(drop).unwrap_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_goes_takes_the_right_of_a_running_stream() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(CATALOGUE).await;
    let rvig = gateway.client(RVIG);
    let mut inbox = open(&gateway.client(PENSIONS), PENSIONS).await.unwrap();
    publish(&rvig, death("1", "0344")).await.unwrap();
    next_json(&mut inbox).await;

    // An invalid version is refused, and the old one stays.
    gateway.write_catalogue("[[party]]\noin = \"1\"");
    gateway.logs("is refused; the old one stays").await;
    publish(&rvig, death("2", "0344")).await.unwrap();
    next_json(&mut inbox).await;

    gateway.hang_up().await;
    gateway.logs("SIGHUP").await;

    // A narrower one holds for what waits already.
    inbox.close().await.unwrap();
    publish(&rvig, death("3", "0344")).await.unwrap();
    let narrower = CATALOGUE
        .replace(r#"fields = ["/datum", "/naam/achternaam", "/plaats"]"#, r#"fields = ["/datum"]"#);
    gateway.write_catalogue(&narrower);
    gateway.logs("catalogue replaced").await;
    let mut inbox = open(&gateway.client(PENSIONS), PENSIONS).await.unwrap();
    assert_eq!(next_json(&mut inbox).await, r#"{"datum":"2026-11-24"}"#);

    // Without the grant nothing comes any more, neither what waits nor what is new.
    let start = narrower.find("[[grant]]\nparty = \"00000099000000003000\"").unwrap();
    let end = start + narrower[start..].find("\n\n").unwrap();
    let without = format!("{}{}", &narrower[..start], &narrower[end..])
        .replace(r#"types = ["nl.brp.overlijden", "nl.rechtspraak.uitspraak"]"#, "");
    publish(&rvig, death("4", "0344")).await.unwrap();
    next_json(&mut inbox).await;
    gateway.write_catalogue(&without);
    let begun = Instant::now();
    loop {
        let inboxes = publish(&rvig, death(&format!("5-{:?}", begun.elapsed()), "0344")).await;
        if inboxes.unwrap() == [format!("{UTRECHT}.inbox")] {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while let Ok(next) = tokio::time::timeout(Duration::from_millis(500), inbox.next()).await {
        // What was handed out before the change may still come; nothing after it.
        next.unwrap().unwrap().acknowledge().await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acting_for_another_needs_a_mandate_and_ends_with_it() {
    let _alone = alone().await;
    let end = SystemTime::now() + Duration::from_secs(6);
    let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mandates = format!(
        r#"
[[mandate]]
party = "{SUPPLIER}"
for = "{UTRECHT}"
type = "nl.brp.overlijden"
action = "receive"
basis = "Mandaatbesluit 2026"
until = "{}"

[[mandate]]
party = "{SUPPLIER}"
for = "{RVIG}"
action = "publish"
basis = "Mandaatbesluit 2026"
until = "2999-12-31"

[[subscription]]
name = "{UTRECHT}.deaths"
types = ["nl.brp.overlijden"]
"#,
        wissel_message::Timestamp::new(i64::try_from(end).unwrap(), 0).unwrap()
    );
    let gateway = Gateway::with_catalogue(&format!("{CATALOGUE}{mandates}")).await;
    let acting_for = |principal: &str| {
        let builder = gateway.builder().token(format!("dev.{SUPPLIER}"));
        builder.on_behalf_of(principal.parse().unwrap()).connect().unwrap()
    };
    let supplier = gateway.client(SUPPLIER);
    assert!(publish(&supplier, death("1", "0344")).await.unwrap_err().starts_with("NOT_GRANTED"));
    // Pensions may not publish it either; what is missing first is a mandate.
    let none = publish(&acting_for(PENSIONS), death("1", "0344")).await.unwrap_err();
    assert!(none.starts_with("NO_MANDATE"), "{none}");
    let none = open_error(&acting_for(PENSIONS), &format!("{PENSIONS}.inbox")).await;
    assert!(none.starts_with("NO_MANDATE"), "{none}");
    let to_publish_only = open_error(&acting_for(RVIG), &format!("{RVIG}.inbox")).await;
    assert!(to_publish_only.starts_with("NO_MANDATE"), "{to_publish_only}");

    // A mandate for one type shows nothing of the others.
    let name = format!("{UTRECHT}.inbox").parse().unwrap();
    let limited = acting_for(UTRECHT).list_dead_letters(&name).all().await.unwrap_err();
    assert!(reason(&limited).starts_with("NO_MANDATE"), "{limited}");
    let limited = acting_for(UTRECHT).redrive(&name, Which::All).await.unwrap_err();
    assert!(reason(&limited).starts_with("NO_MANDATE"), "{limited}");

    let others = open_error(&acting_for(UTRECHT), &format!("{UTRECHT}.inbox")).await;
    assert!(others.starts_with("NO_MANDATE") && others.contains("of its own"), "{others}");

    let deaths = format!("{UTRECHT}.deaths");
    let mut inbox = acting_for(UTRECHT).subscribe(deaths.as_str()).open().await.unwrap();
    publish(&acting_for(RVIG), death("1", "0344")).await.unwrap();
    next_json(&mut inbox).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), inbox.next()).await.unwrap();
    let ended = reason(&ended.unwrap_err());
    assert!(ended.starts_with("NO_MANDATE"), "{ended}");
    let again = open_error(&acting_for(UTRECHT), &deaths).await;
    assert!(again.starts_with("NO_MANDATE"), "{again}");

    // Both are on record, and the record is whole.
    let records = gateway.records();
    let delivery = records.lines().find(|line| line.contains("\"delivery\"")).unwrap();
    assert!(delivery.contains(&format!(r#""actor":"{SUPPLIER}","on_behalf_of":"{UTRECHT}""#)));
    assert!(delivery.contains(r#""legal_basis":"Wet BRP, artikel 3.9""#), "{delivery}");
    assert!(!records.contains("999990342") && delivery.contains(r#""data_subject_id_type":"bsn""#));
    wissel_audit::verify(&gateway.records_directory(), |_| {}).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_prove_who_they_are_gets_nothing() {
    let _alone = alone().await;
    let gateway = Gateway::secure(CATALOGUE).await;
    let ca = gateway.authority_directory();
    let hour = Duration::from_secs(3_600);
    let refused = async |client: Client, expected: &str| {
        let error = publish_error(&client).await;
        assert!(error.contains(expected), "{expected}: {error}");
    };
    let authority = gateway.authority();
    let over = Validity { since: 2 * hour, lasts: hour };
    let party = RVIG.parse().unwrap();
    let expired = authority.issue_party(&party, "expired", over).unwrap();
    let without = authority.issue_client(&[], "without", Validity::default()).unwrap();
    let stranger = tempfile::tempdir().unwrap();
    let strange = DevAuthority::create(stranger.path()).unwrap();
    let strange = strange.issue_party(&party, "strange", Validity::default()).unwrap();
    refused(gateway.with_certificate(&expired).connect().unwrap(), "CertificateExpired").await;
    refused(gateway.with_certificate(&strange).connect().unwrap(), "the gateway does not trust")
        .await;
    refused(gateway.with_certificate(&without).connect().unwrap(), "has no OIN").await;
    refused(gateway.builder().connect().unwrap(), "expected a client certificate").await;

    let issuer = DevTokenIssuer::open_or_create(&ca).unwrap();
    let token = |audience: &str, valid_for| issuer.issue(&party, audience, valid_for).unwrap();
    let with_token = |token: String| gateway.builder().token(token).connect().unwrap();
    refused(with_token(token("elsewhere", hour)), "another audience").await;
    refused(with_token(token("wissel", Duration::ZERO)), "expired").await;
    refused(with_token(format!("dev.{RVIG}")), "not a signed JWT").await;
    let good = token("wissel", hour);
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
    refused(with_token(unsigned), "not a signed JWT").await;
    let mixed = gateway.with_certificate(&certificate(&gateway, UTRECHT)).token(good.clone());
    refused(mixed.connect().unwrap(), "another party than the client certificate").await;

    publish(&with_token(good.clone()), death("1", "0344")).await.unwrap();
    publish(&gateway.client(RVIG), death("2", "0344")).await.unwrap();
    let log = gateway.log();
    assert!(!log.contains(&good) && !log.contains("999990342"));
}

async fn publish_error(client: &Client) -> String {
    let event = death("1", "0344").build().unwrap();
    // What is not trusted is not tried again.
    let publishing = tokio::time::timeout(Duration::from_secs(10), client.publish(&event));
    publishing.await.unwrap().unwrap_err().to_string()
}

/// The file of a party's certificate.
fn certificate(gateway: &Gateway, party: &str) -> std::path::PathBuf {
    drop(gateway.client(party));
    gateway.authority_directory().join(format!("{party}.pem"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_and_an_expired_token_end_running_streams() {
    let _alone = alone().await;
    let gateway = Gateway::secure(CATALOGUE).await;
    let mut inbox = open(&gateway.client(UTRECHT), UTRECHT).await.unwrap();
    let mut other = open(&gateway.client(PENSIONS), PENSIONS).await.unwrap();
    publish(&gateway.client(RVIG), death("1", "0344")).await.unwrap();
    next_json(&mut inbox).await;
    next_json(&mut other).await;

    gateway.authority().revoke(&certificate(&gateway, UTRECHT)).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), inbox.next()).await.unwrap();
    assert!(ended.is_err());
    gateway.logs("read again").await;
    publish(&gateway.client(RVIG), death("2", "0344")).await.unwrap();
    next_json(&mut other).await;

    let issuer = DevTokenIssuer::open_or_create(&gateway.authority_directory()).unwrap();
    let token = issuer.issue(&PENSIONS.parse().unwrap(), "wissel", Duration::from_secs(4)).unwrap();
    let client = gateway.builder().token(token).connect().unwrap();
    let mut by_token = open(&client, PENSIONS).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), by_token.next()).await.unwrap();
    let ended = reason(&ended.unwrap_err());
    assert!(ended.starts_with("UNAUTHENTICATED") && ended.contains("expired"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_gives_up_when_its_owner_says_so() {
    let _alone = alone().await;
    let mut gateway = Gateway::with_catalogue(CATALOGUE).await;
    let pensions = gateway.client(PENSIONS);
    let name = format!("{PENSIONS}.inbox").parse().unwrap();
    let attempts = |count| InboxSettings { max_attempts: Some(count), ..Default::default() };
    let only = ["max_attempts"];
    let of_another = gateway.client(UTRECHT).set_inbox(&name, &attempts(1), &only).await;
    assert!(reason(&of_another.unwrap_err()).starts_with("UNKNOWN_INBOX"));
    let none = pensions.set_inbox(&name, &attempts(0), &only).await.unwrap_err();
    assert!(reason(&none).starts_with("INVALID_REQUEST"));
    pensions.set_inbox(&name, &attempts(2), &only).await.unwrap();
    gateway.kill().await;
    gateway.start_again().await;
    assert_eq!(pensions.get_inbox(&name).await.unwrap().settings, attempts(2));

    publish(&gateway.client(RVIG), death("1", "0344")).await.unwrap();
    let mut inbox = open(&pensions, PENSIONS).await.unwrap();
    for attempt in 1..=2 {
        let next = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await;
        let delivery = next.unwrap().unwrap().unwrap();
        assert_eq!(delivery.attempt(), attempt);
        delivery.retry(Duration::ZERO, "again").await.unwrap();
    }
    let begun = Instant::now();
    while pensions.get_inbox(&name).await.unwrap().dead_letters == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
