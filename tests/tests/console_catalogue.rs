//! What the catalogue plans and gives no right to, and what the console tells of its parties.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use wissel_client::{Client, Event, Subscription};
use wissel_testkit::free_port;
use wissel_tests::visitor::Visitor;
use wissel_tests::{CATALOGUE, Gateway, PARTIES, REGISTRY, alone, event};

/// An event type by whose law nothing is known yet, and a draft for somebody to receive deaths.
const PLANNED: &str = r#"
[[event_type]]
draft = true
name = "nl.brp.adoptie"
description = "An adoption was registered."

[[grant]]
draft = true
party = "00000099000000001000"
type = "nl.brp.adoptie"
action = "publish"
purpose = "To tell of adoptions"

[[grant]]
draft = true
party = "00000099000000003000"
type = "nl.brp.overlijden"
action = "receive"
purpose = "To end benefits"
legal_basis = "Wet BRP, artikel 3.2"
"#;

/// A gateway with a catalogue of these two files, and a console for whoever comes.
async fn with_console(catalogue: &str, more: &str) -> (Gateway, Visitor) {
    let mut gateway = Gateway::stopped("embedded");
    let port = free_port().unwrap();
    gateway.write_config(&format!("[console]\nlisten = \"127.0.0.1:{port}\"\n"));
    gateway.write_catalogue(catalogue);
    let directory = gateway.data_directory().with_file_name("catalogue");
    std::fs::write(directory.join("more.toml"), more).unwrap();
    gateway.start_again().await;
    (gateway, Visitor::of(&format!("http://127.0.0.1:{port}")))
}

/// A message of this type of the registry.
fn of_type(event_type: &str, id: &str) -> Event {
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
    let event = Event::builder(id, source, event_type).subject("999990019");
    event.data_text("application/json", "{}").build().unwrap()
}

/// Why it is refused, without the name of the event type.
async fn refusal(client: &Client, event_type: &str) -> (String, String) {
    let error = client.publish(&of_type(event_type, "1")).await.unwrap_err();
    let refusal = error.refusal().unwrap_or_else(|| panic!("no refusal: {error}"));
    (refusal.reason.clone(), refusal.message.replace(event_type, "TYPE"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_as_if_it_were_not_there() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(&format!("{CATALOGUE}{PLANNED}")).await;
    let registry = gateway.client(REGISTRY);
    let planned = refusal(&registry, "nl.brp.adoptie").await;
    assert_eq!(planned, refusal(&registry, "nl.brp.onbekend").await);
    assert_eq!(planned.0, "UNKNOWN_EVENT_TYPE");
    // Who is to receive deaths does not yet.
    let receipt = registry.publish(&of_type("nl.brp.overlijden", "2")).await.unwrap();
    assert!(receipt.inboxes.is_empty(), "{:?}", receipt.inboxes);
    let zwolle = gateway.client(PARTIES[1]);
    let subscribe = async |event_type: &str| {
        let name = format!("{}.later", PARTIES[1]).parse().unwrap();
        let wanted = Subscription { types: vec![event_type.to_owned()], ..Subscription::new(name) };
        zwolle.create_subscription(&wanted).await.map(drop).unwrap_err().to_string()
    };
    for event_type in ["nl.brp.adoptie", "nl.brp.overlijden"] {
        let told = subscribe(event_type).await.replace(event_type, "TYPE");
        assert_eq!(told, subscribe("nl.brp.onbekend").await.replace("nl.brp.onbekend", "TYPE"));
    }
    // In force, it goes.
    let for_zwolle = format!("draft = true\nparty = \"{}\"", PARTIES[1]);
    let in_force = PLANNED.replace(&for_zwolle, &for_zwolle.replace("draft = true\n", ""));
    let subscription = format!("[[subscription]]\nname = \"{}.later\"\n", PARTIES[1]);
    gateway.write_catalogue(&format!("{CATALOGUE}{in_force}{subscription}"));
    gateway.logs("catalogue replaced").await;
    let receipt = registry.publish(&of_type("nl.brp.overlijden", "3")).await.unwrap();
    assert_eq!(receipt.inboxes.len(), 1, "{:?}", receipt.inboxes);
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_on_the_map_with_what_they_lack() {
    let _alone = alone().await;
    let (_gateway, mut visitor) = with_console(CATALOGUE, PLANNED).await;
    let map = visitor.get("/map").await.text;
    for expected in [
        // In the drawing.
        "◌ draft: nl.brp.adoptie",
        "lacks owner, receivers, legal basis",
        "class=\"line draft\"",
        // In words, with what to do.
        "no owner: name the party that answers for it",
        "Registry publishes; no legal basis: name the law that allows it",
        "Zwolle receives; lacks nothing: remove draft",
        // In the table.
        "<td class=\"text\">To tell of adoptions</td><td class=\"text\">–</td>",
        "<td>in force</td>",
    ] {
        assert!(map.contains(expected), "{expected} in {map}");
    }
    assert_eq!(map.matches("class=\"line draft\"").count(), 2, "{map}");
    // Those of one party, of which drafts are part.
    let zwolle = visitor.get(&format!("/map?party={}", PARTIES[1])).await.text;
    assert!(zwolle.contains("nl.brp.overlijden") && !zwolle.contains("nl.brp.adoptie"));
    let page = visitor.get("/catalogue").await.text;
    let drafts = page.split("id=\"drafts\"").nth(1).unwrap();
    for expected in ["nl.brp.adoptie", "lacks legal basis, event type in force", "lacks nothing"] {
        assert!(drafts.contains(expected), "{expected} in {drafts}");
    }
    visitor.get("/language/nl").await;
    let map = visitor.get("/map").await.text;
    assert!(map.contains("◌ concept: nl.brp.adoptie") && map.contains("mist eigenaar"), "{map}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_never_lit_even_when_it_was_in_force_just_now() {
    let _alone = alone().await;
    let (gateway, mut visitor) = with_console(CATALOGUE, "").await;
    let (registry, begun) = (gateway.client(REGISTRY), Instant::now());
    for number in 0.. {
        registry.publish(&event("lit", number)).await.unwrap();
        if visitor.get("/map").await.text.contains("line live") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is lit");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let demoted = CATALOGUE
        .replace("name = \"nl.brp.geboorte\"", "draft = true\nname = \"nl.brp.geboorte\"")
        .replace("[[grant]]", "[[grant]]\ndraft = true");
    gateway.write_catalogue(&demoted);
    gateway.logs("catalogue replaced").await;
    let map = visitor.get("/map").await.text;
    assert!(map.contains("◌ draft: nl.brp.geboorte</text>"), "{map}");
    assert!(map.contains("line draft") && !map.contains("line live"), "{map}");
}

/// A mandate of one party for another, to publish, which ends in so many days.
fn mandate(party: &str, principal: &str, days: i64) -> String {
    let seconds = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let until = i64::try_from(seconds).unwrap() + days * 86_400;
    let until = jiff::Timestamp::from_second(until).unwrap();
    format!(
        "[[mandate]]\nparty = \"{party}\"\nfor = \"{principal}\"\naction = \"publish\"\n\
         basis = \"Besluit {days}\"\nuntil = \"{until}\"\n"
    )
}

/// Where the agency gets some fields of some messages, and mandates end and have ended.
fn with_limits() -> String {
    let agency = PARTIES[2];
    let of_agency = format!("party = \"{agency}\"\ntype = \"nl.brp.geboorte\"\n");
    let limits = "fields = [\"/plaats\"]\n\
                  filters = [{ exact = { gemeente = \"0344\", nummer = \"999990019\" } }]\n";
    let birth = "description = \"A birth was registered.\"\n";
    let schema =
        "schema = { type = \"object\", properties = { plaats = { type = \"string\" } } }\n";
    let mandates = [
        mandate(REGISTRY, agency, -3),
        mandate(agency, REGISTRY, 10),
        mandate(agency, PARTIES[0], 900),
    ];
    let limited = CATALOGUE
        .replace(&of_agency, &format!("{of_agency}{limits}"))
        .replace(birth, &format!("{birth}{schema}"));
    limited + &mandates.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_has_a_page() {
    let _alone = alone().await;
    let agency = PARTIES[2];
    let (gateway, mut visitor) = with_console(&with_limits(), PLANNED).await;
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
    let birth = Event::builder("p-1", source, "nl.brp.geboorte");
    let birth = birth.extension("gemeente", "0344").extension("nummer", "999990019");
    let birth = birth.data_text("application/json", "{}").build().unwrap();
    gateway.client(REGISTRY).publish(&birth).await.unwrap();
    let inbox = format!("{agency}.inbox");
    let mut open = gateway.client(agency).subscribe(inbox.as_str()).open().await.unwrap();
    open.next().await.unwrap().unwrap().reject("no").await.unwrap();
    open.close().await.unwrap();

    let list = visitor.get("/parties").await.text;
    let link = format!("<a href=\"/parties/{agency}\">Agency</a>");
    let figures =
        ["0", "1", "3", "1"].map(|one| format!("<td class=\"number\">{one}</td>")).concat();
    let row = format!("{link}</th><td>{agency}</td>{figures}");
    assert!(list.contains(&row), "{row} in {list}");
    let found = visitor.get("/parties?name=aGEN").await.text;
    assert!(found.contains("Agency") && !found.contains("Utrecht"), "{found}");
    assert!(visitor.get("/parties?name=nergens").await.text.contains("No party has this"));

    let begun = Instant::now();
    let path = format!("/parties/{agency}");
    let page = loop {
        let page = visitor.get(&path).await.text;
        // A survey may be some seconds old.
        if page.contains("<dt>Dead letters</dt><dd>1</dd>") {
            break page;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{page}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    for expected in [
        format!("<a href=\"/inboxes/{agency}.inbox\">").as_str(),
        "<td class=\"text\">test</td><td>test</td>",
        "/plaats",
        "gemeente = 0344 and nummer = [number]",
        "Besluit -3",
        "■ has ended",
        "▲ ends in 9 d",
        "Besluit 900",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    assert!(!page.contains("999990019") && page.matches("▲ ends in").count() == 1, "{page}");
    let registry = visitor.get(&format!("/parties/{REGISTRY}")).await.text;
    for expected in ["This party has no inbox", "nl.brp.adoptie", "lacks legal basis"] {
        assert!(registry.contains(expected), "{expected} in {registry}");
    }
    let utrecht = visitor.get(&format!("/parties/{}", PARTIES[0])).await.text;
    assert!(!utrecht.contains("id=\"drafts\""), "{utrecht}");
    let zwolle = visitor.get(&format!("/parties/{}", PARTIES[1])).await.text;
    assert!(zwolle.contains("It acts for nobody"), "{zwolle}");
    // Wherever a party is named, its page is one step away.
    for path in ["/map", "/catalogue", "/inboxes", &format!("/inboxes/{agency}.inbox")] {
        assert!(visitor.get(path).await.text.contains(&link), "{path}");
    }
    for unknown in ["/parties/00000099000000009000", "/parties/%3Cscript%3E"] {
        let page = visitor.get(unknown).await;
        assert!(page.status == 404 && !page.text.contains("script%3E"), "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_have_pages() {
    let _alone = alone().await;
    let mut more = String::new();
    for number in 0..60 {
        write!(
            more,
            "[[event_type]]\nname = \"nl.test.n{number:02}\"\nowner = \"{REGISTRY}\"\n\
             description = \"x\"\n[[grant]]\nparty = \"{REGISTRY}\"\naction = \"publish\"\n\
             type = \"nl.test.n{number:02}\"\npurpose = \"x\"\nlegal_basis = \"y\"\n\
             [[party]]\noin = \"000000990000001{number:02}000\"\nname = \"Gemeente {number:02}\"\n\
             [[mandate]]\nparty = \"000000990000001{number:02}000\"\nfor = \"{REGISTRY}\"\n\
             action = \"publish\"\nbasis = \"x\"\nuntil = \"2099-12-31\"\n\
             [[subscription]]\nname = \"{}.box-{number:02}\"\n",
            PARTIES[2]
        )
        .unwrap();
    }
    let (_gateway, mut visitor) = with_console(CATALOGUE, &more).await;
    let first = visitor.get("/parties?name=gemeente").await.text;
    assert!(first.contains("Gemeente 49") && !first.contains("Gemeente 50"), "{first}");
    let next = "/parties?name=gemeente&amp;after=00000099000000149000";
    assert!(first.contains(next), "{first}");
    let second = visitor.get(&next.replace("&amp;", "&")).await.text;
    assert!(second.contains("Gemeente 50") && !second.contains("Gemeente 49"), "{second}");
    assert!(!second.contains("rel=\"next\""), "{second}");

    let path = format!("/parties/{REGISTRY}");
    let first = visitor.get(&path).await.text;
    assert!(first.contains("nl.test.n47") && !first.contains("nl.test.n48"), "{first}");
    assert!(first.contains("Gemeente 49") && !first.contains("Gemeente 50"), "{first}");
    let second = visitor.get(&format!("{path}?rights=1&mandates=1")).await.text;
    assert!(second.contains("nl.test.n48") && !second.contains("nl.test.n47"), "{second}");
    assert!(second.contains("Gemeente 50") && !second.contains("Gemeente 49"), "{second}");
    let behind = visitor.get(&format!("{path}?rights=18446744073709551615")).await;
    assert_eq!(behind.status, 200, "{}", behind.text);
    // The gravest inboxes; the others are where all are.
    let agency = visitor.get(&format!("/parties/{}", PARTIES[2])).await.text;
    assert_eq!(agency.matches("<a href=\"/inboxes/").count(), 20, "{agency}");
    assert!(agency.contains(&format!("/inboxes?name={}", PARTIES[2])), "{agency}");
}
