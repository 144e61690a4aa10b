//! What operators do with the pages of the console, on both buses.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "console_pages/retries.rs"]
mod retries;

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use wissel_client::{Client, Event, OpenInbox};
use wissel_testkit::{RabbitMq, free_port};
use wissel_tests::provider::{CLIENT, Provider, SECRET};
use wissel_tests::visitor::{Page, Visitor};
use wissel_tests::{CATALOGUE, Gateway, OPERATOR, PARTIES, REGISTRY, alone, event};

const EMBEDDED: &str = "embedded";
const SCRIPT: &str = "<script>alert(1)</script>";

/// A gateway with a console for whoever comes.
async fn with_console(bus: &str) -> (Gateway, Visitor) {
    let mut gateway = Gateway::stopped(bus);
    let port = free_port().unwrap();
    gateway.write_config(&format!("[console]\nlisten = \"127.0.0.1:{port}\"\n"));
    gateway.start_again().await;
    (gateway, Visitor::of(&format!("http://127.0.0.1:{port}")))
}

fn inbox() -> String {
    format!("{}.inbox", PARTIES[2])
}

async fn open(gateway: &Gateway) -> OpenInbox {
    gateway.client(PARTIES[2]).subscribe(inbox()).open().await.unwrap()
}

/// Rejects so many, each for the reason that belongs to it.
async fn reject(gateway: &Gateway, count: u64, reason: impl Fn(u64) -> String) {
    let mut open = open(gateway).await;
    for number in 0..count {
        open.next().await.unwrap().unwrap().reject(reason(number)).await.unwrap();
    }
    open.close().await.unwrap();
}

async fn dead_letters(operator: &Client, expected: u64) {
    let begun = Instant::now();
    loop {
        let state = operator.get_inbox(&inbox().parse().unwrap()).await.unwrap();
        if state.dead_letters == expected {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{state:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn operate(visitor: &mut Visitor, path: &str, page: &Page, more: &[(&str, &str)]) -> Page {
    let csrf = page.hidden("csrf").to_owned();
    visitor.post(path, &[&[("csrf", csrf.as_str())], more].concat()).await
}

async fn dead_letters_are_mended(bus: &str) {
    let (gateway, mut visitor) = with_console(bus).await;
    let (registry, operator) = (gateway.client(REGISTRY), gateway.client(OPERATOR));
    for number in 0..1_002 {
        registry.publish(&event("d", number)).await.unwrap();
    }
    let reason = |number| match number {
        0 => format!("burger 999990019 {SCRIPT}"),
        1 => "schema of version 2".to_owned(),
        _ => "database is down".to_owned(),
    };
    let path = format!("/inboxes/{}", inbox());
    let page = visitor.get(&format!("{path}/messages")).await;
    assert_eq!((page.status, page.text.matches("/dossier?message=").count()), (200, 100));
    assert!(page.text.contains("nl.brp.geboorte") && !page.text.contains("999990019"));
    reject(&gateway, 1_002, reason).await;
    dead_letters(&operator, 1_002).await;
    retries::shows(&mut visitor, "Nothing waits here").await;

    let page = visitor.get(&path).await;
    assert!(page.text.contains(&format!("{path}/dead-letters")), "{}", page.text);
    let letters = format!("{path}/dead-letters");
    let page = visitor.get(&letters).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for expected in ["database is down", "burger [number] &lt;script&gt;", "schema of version 2"] {
        assert!(page.text.contains(expected), "{expected} in {}", page.text);
    }
    assert!(!page.text.contains(SCRIPT) && !page.text.contains("999990019"));
    // Those behind the first are on the next page.
    let start = page.text.find(&format!("{letters}?after=")).unwrap();
    let behind = visitor.get(page.text[start..].split('"').next().unwrap()).await;
    assert_eq!(behind.status, 200, "{}", behind.text);
    assert!(behind.text.contains("database is down") && !behind.text.contains("burger"));
    assert_eq!(behind.text.matches("<th class=\"nowrap\"").count(), 50);

    // Behind the last the list begins anew.
    let none = visitor.get(&format!("{letters}?after=ffffffffffffffff-ffffffffffffffff")).await;
    assert_eq!((none.status, none.to.as_str()), (303, letters.as_str()));

    // First it is said how many that would be, and nothing is done.
    let chosen = [("what", "redrive"), ("because", "database is down")];
    let (asked, done) = (format!("{letters}/ask"), format!("{letters}/do"));
    let sure = operate(&mut visitor, &asked, &page, &chosen).await;
    assert!(sure.status == 200 && sure.text.contains("1,000"), "{}", sure.text);
    dead_letters(&operator, 1_002).await;
    let without = operate(&mut visitor, &done, &sure, &chosen).await;
    assert_eq!(without.status, 400, "without a reason");
    let nothing = operate(&mut visitor, &done, &sure, &[("what", "purge"), ("why", "x")]).await;
    assert_eq!(nothing.status, 400, "nothing was chosen");
    let why = [&chosen[..], &[("why", "the database of 999990019 is back")]].concat();
    let page = operate(&mut visitor, &done, &sure, &why).await;
    assert!(page.status == 200 && page.text.contains("1,000"), "{}", page.text);
    dead_letters(&operator, 2).await;
    let mut receiver = open(&gateway).await;
    for _ in 0..1_000 {
        receiver.next().await.unwrap().unwrap().acknowledge().await.unwrap();
    }
    receiver.close().await.unwrap();

    // One is looked at: masked, until it is said why.
    let page = visitor.get(&letters).await;
    let start = page.text.find(&format!("{letters}/")).unwrap();
    let one = page.text[start..].split('"').next().unwrap();
    let one = if one.ends_with("/ask") {
        let behind = &page.text[page.text.find("id=\"oldest\"").unwrap()..];
        let start = behind.find(&format!("{letters}/")).unwrap();
        behind[start..].split('"').next().unwrap().to_owned()
    } else {
        one.to_owned()
    };
    let masked = visitor.get(&one).await;
    assert!(masked.status == 200 && masked.text.contains("••••"), "{}", masked.text);
    assert!(!masked.text.contains("999990019"), "{}", masked.text);
    let unmask = format!("{one}/unmask");
    assert_eq!(operate(&mut visitor, &unmask, &masked, &[]).await.status, 400);
    let whole = operate(&mut visitor, &unmask, &masked, &[("why", "a citizen called")]).await;
    assert!(whole.status == 200 && whole.text.contains("999990019"), "{}", whole.text);

    // What happened to it is one page further.
    let start = whole.text.find("/dossier?message=").unwrap();
    let dossier = visitor.get(whole.text[start..].split('"').next().unwrap()).await;
    assert!(dossier.status == 200 && dossier.text.contains("given up"), "{}", dossier.text);
    assert!(!dossier.text.contains("999990019") && !dossier.text.contains(SCRIPT));

    // It alone is delivered again, from its own page.
    let id = one.rsplit('/').next().unwrap();
    let page = visitor.get(&one).await;
    let alone = [("what", "redrive"), ("id", id)];
    let sure = operate(&mut visitor, &asked, &page, &alone).await;
    assert!(sure.text.contains("<strong>1</strong>") && sure.text.contains(id), "{}", sure.text);
    let alone = [&alone[..], &[("why", "the citizen was found")]].concat();
    let page = operate(&mut visitor, &done, &sure, &alone).await;
    assert!(page.status == 200 && page.text.contains("<strong>1</strong>"), "{}", page.text);
    assert_eq!(visitor.get(&one).await.status, 404);
    dead_letters(&operator, 1).await;

    let page = visitor.get(&letters).await;
    let all = [("what", "purge"), ("all", "yes"), ("why", "of no use")];
    let page = operate(&mut visitor, &done, &page, &all).await;
    assert!(page.status == 200 && page.text.contains("<strong>1</strong>"), "{}", page.text);
    dead_letters(&operator, 0).await;
    assert!(visitor.get(&letters).await.text.contains("nothing was given up on"));

    let trail = visitor.get("/records").await.text;
    for expected in [
        "the database of [number] is back",
        "those of reason &quot;database is down&quot;",
        "all: of no use",
        "a citizen called",
        "dead-letters-purged",
        "dead-letter-unmasked",
        "inbox-browsed",
    ] {
        assert!(trail.contains(expected), "{expected} in {trail}");
    }
    // Each act is one record, with who it was.
    let records = gateway.records();
    for (operation, count) in
        [("dead-letters-redriven", 2), ("dead-letters-purged", 1), ("dead-letter-unmasked", 2)]
    {
        let of = format!("\"operation\":\"{operation}\"");
        let lines: Vec<&str> = records.lines().filter(|line| line.contains(&of)).collect();
        assert_eq!(lines.len(), count, "{operation}: {lines:?}");
        assert!(lines.iter().all(|line| line.contains("\"operator\":\"operator\"")), "{lines:?}");
    }
    assert!(!gateway.records().contains("999990019") && !gateway.log().contains("999990019"));
    retries::are_told_of(bus, &gateway, &mut visitor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_mended_embedded() {
    let _alone = alone().await;
    dead_letters_are_mended(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_mended_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    dead_letters_are_mended(&rabbitmq.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_is_paused_and_drained() {
    let _alone = alone().await;
    let (gateway, mut visitor) = with_console(EMBEDDED).await;
    let path = format!("/inboxes/{}", inbox());
    let page = visitor.get(&path).await;
    assert!(page.text.contains("Nobody has it open here"), "{}", page.text);
    let receiver = open(&gateway).await;
    let page = visitor.get(&path).await;
    assert!(page.text.contains("<th scope=\"row\">Agency</th>"), "{}", page.text);
    receiver.close().await.unwrap();
    let switch = format!("{path}/switch");
    for (switched, on) in [("paused", true), ("draining", true), ("paused", false)] {
        let fields = [("switch", switched), ("on", if on { "true" } else { "false" })];
        let answer = operate(&mut visitor, &switch, &page, &fields).await;
        assert_eq!((answer.status, answer.to.as_str()), (303, path.as_str()));
    }
    let operator = gateway.client(OPERATOR);
    let state = operator.get_inbox(&inbox().parse().unwrap()).await.unwrap();
    assert_eq!((state.settings.paused, state.settings.draining), (false, true));
    assert!(visitor.get(&path).await.text.contains("Take in again"));
    // Settings, as a form has them; what cannot be read changes nothing.
    let set = format!("{path}/settings");
    let fields = [("max_attempts", "7"), ("retry_initial", "2s"), ("max_age", "30 days")];
    assert_eq!(operate(&mut visitor, &set, &page, &fields).await.status, 303);
    let unreadable = operate(&mut visitor, &set, &page, &[("max_attempts", "often")]).await;
    assert!(
        unreadable.status == 400 && unreadable.text.contains("expected"),
        "{}",
        unreadable.text
    );
    assert!(unreadable.text.contains(&format!("<a href=\"{path}\">Back to")));
    let senseless = [("retry_initial", "2h"), ("retry_max", "1h")];
    let senseless = operate(&mut visitor, &set, &page, &senseless).await;
    assert!(senseless.status == 400 && senseless.text.contains("retry_max"), "{}", senseless.text);
    let state = operator.get_inbox(&inbox().parse().unwrap()).await.unwrap();
    assert_eq!((state.settings.max_attempts, state.settings.draining), (Some(7), true));
    assert_eq!(state.settings.max_age, Some(Duration::from_secs(30 * 86_400)));
    // What is on record of settings is of no person, and not masked.
    let trail = visitor.get("/records").await.text;
    assert!(trail.contains("max_attempts 7") && trail.contains("max_age 2592000000 ms"), "{trail}");
    let wrong = operate(&mut visitor, &switch, &page, &[("switch", "x"), ("on", "true")]).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text);
    let none =
        operate(&mut visitor, "/inboxes/x/switch", &page, &[("switch", "paused"), ("on", "true")]);
    assert_eq!(none.await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_the_catalogue_are_read_again() {
    let _alone = alone().await;
    let (gateway, mut visitor) = with_console(EMBEDDED).await;
    let page = visitor.get("/catalogue").await;
    assert!(page.text.contains("In force since") && !page.text.contains("is refused"));
    // What has a fault is not in force, and it is said why.
    gateway.write_catalogue(&CATALOGUE.replacen("owner = ", "owner = 'nobody' #", 1));
    let answer = operate(&mut visitor, "/catalogue/read", &page, &[]).await;
    assert_eq!((answer.status, answer.to.as_str()), (303, "/catalogue"));
    let page = visitor.get("/catalogue").await;
    assert!(page.text.contains("is refused") && page.text.contains("nobody"), "{}", page.text);
    assert!(visitor.get("/").await.text.contains("is refused"));
    // What has none is, and it is said what changed.
    let more = format!("[[subscription]]\nname = \"{}.more\"\n", PARTIES[2]);
    gateway.write_catalogue(&format!("{CATALOGUE}\n{more}"));
    assert_eq!(operate(&mut visitor, "/catalogue/read", &page, &[]).await.status, 303);
    let page = visitor.get("/catalogue").await;
    let added = format!("added: Subscription {}.more", PARTIES[2]);
    assert!(page.text.contains(&added) && !page.text.contains("is refused"), "{}", page.text);
    assert!(!visitor.get("/").await.text.contains("is refused"));
    let trail = visitor.get("/records").await.text;
    let told = format!("added subscription {}.more", PARTIES[2]);
    assert!(trail.contains("catalogue-read"), "{trail}");
    assert!(trail.contains(&told), "{trail}");
}

/// What is on record of the operator who signed in: what, and how it ended.
fn acts_on_record(gateway: &Gateway) -> Vec<String> {
    let records = gateway.records();
    let lines = records.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let acts = lines.filter(|line| line["operator"] == SCRIPT && line["actor"] == "operator");
    let told = |line: Json| {
        let of = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        [of("operation"), of("status"), of("reason")].join(" ").trim_end().to_owned()
    };
    acts.map(told).collect()
}

/// The map shows what goes by, from its publisher to its receivers.
async fn lit_by_traffic(gateway: &Gateway, visitor: &mut Visitor) {
    let (client, begun) = (gateway.client(REGISTRY), Instant::now());
    for number in 0.. {
        client.publish(&event("lit", number)).await.unwrap();
        let map = visitor.get("/map").await.text;
        let is_lit = map.matches("class=\"line live\"").count() >= 2;
        if is_lit && map.contains("nl.brp.geboorte<tspan class=\"rate\">") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is lit: {map}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_there_and_a_viewer_changes_nothing() {
    let _alone = alone().await;
    let provider = Provider::start().await;
    provider.say(json!({ "preferred_username": SCRIPT, "roles": ["kijkers"] }), None);
    let mut gateway = Gateway::stopped(EMBEDDED);
    let port = free_port().unwrap();
    let secret = gateway.data_directory().with_file_name("secret");
    std::fs::write(&secret, SECRET).unwrap();
    gateway.write_config(&format!(
        "[console]\nlisten = \"127.0.0.1:{port}\"\n[console.oidc]\nissuer = \"{}\"\n\
         client_id = \"{CLIENT}\"\nclient_secret_file = \"{}\"\n[console.oidc.roles]\n\
         viewer = [\"kijkers\"]\n",
        provider.issuer(),
        secret.display()
    ));
    gateway.start_again().await;
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
    let strange = Event::builder(SCRIPT, source, "nl.brp.geboorte").subject("999990019");
    let strange =
        strange.extension("gemeente", "0344").extension("correlationid", "order 77 & more");
    let strange = strange.data_text("application/json", "{}");
    let published = gateway.client(REGISTRY).publish(&strange.build().unwrap()).await.unwrap();
    let mut visitor = Visitor::of(&format!("http://127.0.0.1:{port}"));
    let page = visitor.follow("/sign-in/provider").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let path = format!("/inboxes/{}", inbox());
    let dossier = format!("/dossier?message={}", published.message_id);
    let letters = format!("{path}/dead-letters");
    let messages = format!("{path}/messages");
    let party = format!("/parties/{REGISTRY}");
    for path in [
        "/",
        "/inboxes",
        path.as_str(),
        messages.as_str(),
        letters.as_str(),
        "/dossier",
        dossier.as_str(),
        "/map",
        "/catalogue",
        "/parties",
        party.as_str(),
        "/subscriptions",
        "/records",
        "/system",
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(!page.text.contains(SCRIPT), "{path}: {}", page.text);
        assert!(!page.text.contains("999990019"), "{path}: {}", page.text);
    }
    // A correlation may be personal: it goes by a form, and is not shown again.
    let page = visitor.get("/dossier").await;
    for (correlation, status) in [("order 77 & more", 200), ("order 78", 404), (" ", 400)] {
        let found =
            operate(&mut visitor, "/dossier/correlated", &page, &[("correlation", correlation)])
                .await;
        let has_it = found.text.contains(&published.message_id.to_string());
        assert_eq!((found.status, has_it), (status, status == 200), "{}", found.text);
        assert!(!found.text.contains("order 7") && !found.text.contains(SCRIPT), "{}", found.text);
    }
    lit_by_traffic(&gateway, &mut visitor).await;
    let system = visitor.get("/system").await.text;
    for known in ["The gateway is ready", "MiB free; at least", "open files", "99 % within"] {
        assert!(system.contains(known), "{known}: {system}");
    }
    // What is not there is a page too, which leads back to where one was.
    for (path, status, back) in [
        ("/inboxes/x", 404, "/inboxes"),
        ("/parties/x", 404, "/parties"),
        ("/dossier?message=x", 400, "/dossier"),
        ("/nothing", 404, "/"),
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, status, "{path}: {}", page.text);
        let main = page.text.split("<main").nth(1).unwrap_or_default();
        assert!(main.contains(&format!("<p><a href=\"{back}\">")), "{path}: {}", page.text);
    }
    let stranger = Visitor::of(&format!("http://127.0.0.1:{port}")).get("/nothing").await;
    assert_eq!((stranger.status, stranger.to.as_str()), (303, "/sign-in"));
    assert_eq!(visitor.get("/health/nothing").await.status, 404);
    let refused = visitor.get(&format!("/records?refused=yes&inbox={}", inbox())).await.text;
    let acts = visitor.get("/records").await.text;
    assert!(acts.contains("inbox-browsed") && !refused.contains("inbox-browsed"), "{refused}");
    // One look is one record, with who it was.
    let looks = acts_on_record(&gateway);
    let expected = [
        "inbox-browsed ok",
        "dead-letters-listed ok",
        "dossier-read ok",
        "dossier-read ok",
        "dossier-read refused UNKNOWN_MESSAGE",
    ];
    assert_eq!(looks[1..], expected, "signed in, and looked");

    let page = visitor.get("/").await;
    let all = [("what", "purge"), ("all", "yes"), ("why", "x")];
    let switch = [("switch", "paused"), ("on", "true")];
    for (action, fields, operation) in [
        (format!("{path}/switch"), &switch[..], "inbox-changed"),
        (format!("{path}/settings"), &[("max_attempts", "5")][..], "inbox-changed"),
        (format!("{letters}/ask"), &all[..], "dead-letters-listed"),
        (format!("{letters}/do"), &all[..], "dead-letters-purged"),
        (format!("{letters}/x/unmask"), &[("why", "x")][..], "dead-letter-unmasked"),
        ("/catalogue/read".to_owned(), &[][..], "catalogue-read"),
    ] {
        let before = acts_on_record(&gateway).len();
        let answer = operate(&mut visitor, &action, &page, fields).await;
        assert_eq!(answer.status, 403, "{action}: {}", answer.text);
        assert!(answer.text.contains("This asks for the role"), "{action}: {}", answer.text);
        // Nothing was done, and who wanted to is on record.
        let refused = format!("{operation} refused NOT_GRANTED");
        assert_eq!(acts_on_record(&gateway)[before..], [refused], "{action}");
    }
}
