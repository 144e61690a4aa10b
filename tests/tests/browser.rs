//! The console in a real browser: whether everybody can use it, with a keyboard alone, on a
//! narrow screen, in the dark, and without a script.
//!
//! `SCREENSHOTS=DIR` keeps what it saw.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "browser/chromium.rs"]
mod chromium;

use std::time::{Duration, Instant};

use wissel_client::Event;
use wissel_testkit::free_port;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone};

use self::chromium::{Chromium, Key};

/// A gateway with an inbox that nobody reads, so many dead letters as its database was down,
/// four for another reason, a flow that nobody takes, and two that are drafts: of one it is
/// not known whose it is, of the other by which law. What a message and a receiver say is
/// hostile to a browser.
async fn gateway(down: u64) -> (Gateway, String) {
    let mut gateway = Gateway::stopped("embedded");
    let port = free_port().unwrap();
    gateway.write_config(&format!("[console]\nlisten = \"127.0.0.1:{port}\"\n"));
    let untaken = format!(
        "[[event_type]]\nname = \"nl.test.ongezien\"\nowner = \"{REGISTRY}\"\n\
         description = '''Nobody takes it. {HOSTILE}'''\n\
         [[grant]]\nparty = \"{REGISTRY}\"\ntype = \"nl.test.ongezien\"\naction = \"publish\"\n\
         purpose = '''To tell {HOSTILE}'''\nlegal_basis = '''Wet BRP {HOSTILE}'''\n\
         [[party]]\noin = \"00000099000000005000\"\nname = '''{HOSTILE}'''\n\
         [[grant]]\nparty = \"00000099000000005000\"\ntype = \"nl.brp.geboorte\"\n\
         action = \"receive\"\npurpose = '''{HOSTILE}'''\nlegal_basis = '''{HOSTILE}'''\n\
         [[event_type]]\ndraft = true\nname = \"nl.test.van-niemand\"\n\
         description = '''{HOSTILE}'''\n\
         [[event_type]]\ndraft = true\nname = \"nl.test.zonder-wet\"\nowner = \"{REGISTRY}\"\n\
         description = \"Planned.\"\n\
         [[grant]]\ndraft = true\nparty = \"{REGISTRY}\"\ntype = \"nl.test.zonder-wet\"\n\
         action = \"publish\"\npurpose = '''{HOSTILE}'''\n\
         [[grant]]\ndraft = true\nparty = \"{}\"\ntype = \"nl.brp.overlijden\"\n\
         action = \"receive\"\npurpose = \"x\"\nlegal_basis = \"y\"\n\
         [[mandate]]\nparty = \"{}\"\nfor = \"{REGISTRY}\"\naction = \"publish\"\n\
         basis = '''{HOSTILE}'''\nuntil = \"2020-01-01\"\n",
        PARTIES[1], PARTIES[2]
    );
    gateway.write_catalogue(wissel_tests::CATALOGUE);
    let more = gateway.data_directory().with_file_name("catalogue").join("more.toml");
    std::fs::write(more, untaken).unwrap();
    gateway.start_again().await;
    let registry = gateway.client(REGISTRY);
    let events: Vec<_> = (0..down + 20).map(hostile).collect();
    for events in events.chunks(500) {
        assert!(registry.publish_batch(events).await.unwrap().iter().all(Result::is_ok));
    }
    let mut open = gateway.client(PARTIES[2]).subscribe(inbox()).open().await.unwrap();
    let other = format!("burger 999990019 onbekend {HOSTILE}");
    for number in 0..down + 4 {
        let reason = if number < down { "database is down" } else { &other };
        open.next().await.unwrap().unwrap().reject(reason).await.unwrap();
    }
    open.close().await.unwrap();
    (gateway, format!("http://127.0.0.1:{port}"))
}

/// A message of which everything that may be text is hostile.
fn hostile(number: u64) -> Event {
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
    let data = serde_json::json!({ "naam": HOSTILE, HOSTILE: number });
    let event = Event::builder(format!("{HOSTILE}{number}"), source, "nl.brp.geboorte");
    let event = event.subject(HOSTILE).extension("gemeente", "0344").extension("note", HOSTILE);
    event.data_text("application/json", data.to_string()).build().unwrap()
}

/// Text that takes over a page on which it is not text.
const HOSTILE: &str = "</a><img src=x onerror=\"document.title='taken'\">";

/// Complains when some of [`HOSTILE`] is more than text, or the browser had to stop it.
async fn taken(browser: &Chromium) -> Option<String> {
    let images = browser.number("document.querySelectorAll('img, [onerror]').length").await;
    let title = browser.text_of("document.title").await;
    let complaints = browser.complaints().await;
    let is_taken = images > 0.0 || title == "taken" || !complaints.is_empty();
    is_taken.then(|| format!("{images} images, {title:?}, {complaints:?}"))
}

fn inbox() -> String {
    format!("{}.inbox", PARTIES[2])
}

async fn pages(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let letters = gateway.client(OPERATOR).list_dead_letters(&inbox().parse().unwrap());
    let letter = letters.all().await.unwrap().remove(0);
    let inbox = format!("/inboxes/{}", inbox());
    vec![
        ("letter", format!("{inbox}/dead-letters/{}", letter.dead_letter_id)),
        ("course", format!("/dossier?message={}", letter.message_id)),
        ("overview", "/".to_owned()),
        ("inboxes", "/inboxes".to_owned()),
        ("dead-letters", format!("{inbox}/dead-letters")),
        ("messages", format!("{inbox}/messages")),
        ("inbox", inbox),
        ("dossier", "/dossier".to_owned()),
        ("map", "/map".to_owned()),
        ("catalogue", "/catalogue".to_owned()),
        ("parties", "/parties".to_owned()),
        ("party", format!("/parties/{}", PARTIES[2])),
        ("party-with-drafts", format!("/parties/{REGISTRY}")),
        ("party-hostile", "/parties/00000099000000005000".to_owned()),
        ("no-parties", "/parties?name=nergens".to_owned()),
        ("subscriptions", "/subscriptions".to_owned()),
        ("records", "/records".to_owned()),
        ("system", "/system".to_owned()),
        ("not-there", "/inboxes/00000001002220647000.nergens".to_owned()),
    ]
}

/// Languages, widths and schemes, each with each.
fn looks() -> impl Iterator<Item = (&'static str, u32, &'static str)> {
    ["en", "nl"].into_iter().flat_map(|language| {
        let widths = [1440, 390].into_iter();
        widths.flat_map(move |width| ["light", "dark"].map(|scheme| (language, width, scheme)))
    })
}

/// What is wrong with a page for somebody.
async fn unfit(browser: &Chromium, look: &str, is_fault: bool) -> Vec<String> {
    let mut faults = browser.axe().await;
    faults.extend(browser.cut_off().await);
    let elsewhere = browser
        .number(
            "performance.getEntriesByType('resource')\
             .filter((one) => !one.name.startsWith(location.origin)).length",
        )
        .await;
    if elsewhere > 0.0 {
        faults.push("it asks for something elsewhere".to_owned());
    }
    // What looks like a card is a table all the same, in every browser.
    let of_tables = ":is(thead, tbody, tr, th, td)";
    let without = format!(
        "document.querySelectorAll('.cards:not([role]), .cards {of_tables}:not([role])').length"
    );
    if browser.number(&without).await > 0.0 {
        faults.push("a part of a table has no role".to_owned());
    }
    let stops = "[...document.querySelectorAll('.wide[tabindex]')]\
                 .filter((one) => one.scrollWidth <= one.clientWidth).length";
    if browser.number(stops).await > 0.0 {
        faults.push("Tab stops where nothing scrolls".to_owned());
    }
    // A page that says that something is not there is a complaint of the browser.
    faults.extend(taken(browser).await.filter(|_| !is_fault));
    faults.into_iter().map(|fault| format!("{look}: {fault}")).collect()
}

/// What of a page is cut off at widths between those of [`looks`].
async fn cut_off(browser: &Chromium, look: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for width in [1280, 1150, 800, 500] {
        browser.look(width, "light").await;
        browser.keep_picture(&format!("{}-{width}", look.replace(' ', "-"))).await;
        let found = browser.cut_off().await.into_iter();
        faults.extend(found.map(|fault| format!("{look} {width}: {fault}")));
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_for_everybody() {
    let _alone = alone().await;
    let (gateway, url) = gateway(20).await;
    let browser = Chromium::start().await;
    let mut faults = Vec::new();
    let pages = pages(&gateway).await;
    for (language, width, scheme) in looks() {
        browser.go(&format!("{url}/language/{language}")).await;
        browser.look(width, scheme).await;
        for (name, path) in &pages {
            browser.go(&format!("{url}{path}")).await;
            let look = format!("{name} {language} {width} {scheme}");
            browser.keep_picture(&format!("{name}-{language}-{width}-{scheme}")).await;
            faults.extend(unfit(&browser, &look, *name == "not-there").await);
            if (width, scheme) == (1440, "light") {
                faults.extend(cut_off(&browser, &format!("{name} {language}")).await);
                browser.look(width, scheme).await;
            }
        }
        // What is asked before something is done, and what is shown when it was said why.
        browser.go(&format!("{url}/inboxes/{}/dead-letters", inbox())).await;
        browser.click("form[action$='/ask'] button").await;
        browser.shows("20").await.unwrap();
        faults.extend(unfit(&browser, &format!("ask {width} {scheme}"), false).await);
        browser.go(&format!("{url}{}", pages[0].1)).await;
        browser.tab_to("why").await;
        browser.type_in("a citizen called").await;
        browser.press(Key::Enter).await;
        browser.shows("naam").await.unwrap();
        browser.keep_picture(&format!("unmasked-{language}-{width}-{scheme}")).await;
        faults.extend(unfit(&browser, &format!("unmasked {width} {scheme}"), false).await);
    }
    browser.close().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_mends_an_inbox_with_the_keyboard() {
    let _alone = alone().await;
    let (gateway, url) = gateway(1_000).await;
    let browser = Chromium::start().await;
    browser.look(1440, "light").await;
    browser.go(&format!("{url}/language/en")).await;
    browser.go(&url).await;
    // The first thing is a way past the navigation, and the focus is seen.
    let begun = Instant::now();
    while browser.focused().await != "Skip to content" {
        // A page that was not drawn yet takes no key.
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", browser.focused().await);
        if browser.has_no_focus().await {
            browser.press(Key::Tab).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_ne!(
        browser.text_of("getComputedStyle(document.activeElement).outlineStyle").await,
        "none"
    );
    // The inbox that needs somebody is named on the first page.
    browser.tab_to(&inbox()).await;
    browser.press(Key::Enter).await;
    // Why, in a sentence: which one depends on how long it has waited by now.
    let given_up = browser.shows("Deliveries were given up on.").await;
    given_up.or(browser.shows("nobody reads them").await).unwrap();
    browser.tab_to("Look at the dead letters").await;
    browser.press(Key::Enter).await;
    browser.shows("database is down").await.unwrap();
    browser.tab_to("Deliver again…").await;
    browser.press(Key::Enter).await;
    browser.shows("1,000 dead letters would be delivered again").await.unwrap();
    browser.tab_to("why").await;
    browser.type_in("the database is back").await;
    browser.press(Key::Enter).await;
    let mended = "1,000 dead letters are on their way again";
    browser.shows_within(mended, Duration::from_secs(20)).await.unwrap();
    let state = gateway.client(OPERATOR).get_inbox(&inbox().parse().unwrap()).await.unwrap();
    assert_eq!(state.dead_letters, 4);
    // What was done is in the audit trail; one message is followed to its end.
    browser.tab_to("Audit trail").await;
    browser.press(Key::Enter).await;
    browser.shows("the database is back").await.unwrap();
    browser.go(&format!("{url}/inboxes/{}/dead-letters", inbox())).await;
    browser.click("#oldest ~ div a").await;
    browser.shows("What happened").await.unwrap();
    assert!(!browser.source().await.contains("999990019"));
    browser.shows("onerror").await.unwrap();
    assert_eq!(taken(&browser).await, None);
    browser.click("a[href^='/dossier?']").await;
    browser.shows("given up").await.unwrap();
    // The flow that does not cohere is marked on the map.
    browser.go(&format!("{url}/map")).await;
    browser.shows("nl.test.ongezien").await.unwrap();
    browser.shows("nobody may receive").await.unwrap();
    for (draft, lacks) in [
        ("nl.test.van-niemand", "no owner: name the party that answers for it"),
        ("nl.test.zonder-wet", "no legal basis: name the law that allows it"),
    ] {
        // In the drawing, and in words below it with what to do.
        let marked = format!(
            "[...document.querySelectorAll('svg .lacking')].some((one) => \
             one.textContent.includes('draft: {draft}')) && \
             [...document.querySelectorAll('#incoherent ~ ul > li')].find((one) => \
             one.textContent.includes('{draft}'))?.innerText"
        );
        let told = browser.text_of(&marked).await;
        assert!(told.contains(lacks), "{draft}: {told}");
    }
    // From the map to a party.
    browser.tab_to("Registry").await;
    browser.press(Key::Enter).await;
    browser.shows("What it may").await.unwrap();
    browser.shows("nl.test.zonder-wet").await.unwrap();
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_whole_without_a_script_and_live_with_one() {
    let _alone = alone().await;
    let (gateway, url) = gateway(20).await;
    let browser = Chromium::start().await;
    browser.go(&format!("{url}/language/en")).await;
    let path = format!("{url}/inboxes/{}", inbox());
    browser.go(&path).await;
    browser.shows("Go on").await.unwrap_err();
    let settings = wissel_client::InboxSettings { paused: true, ..Default::default() };
    let operator = gateway.client(OPERATOR);
    operator.set_inbox(&inbox().parse().unwrap(), &settings, &["paused"]).await.unwrap();
    // Figures come up to date by themselves.
    browser.shows_within("Nothing is handed out until", Duration::from_secs(20)).await.unwrap();
    // Tab stops at a table once it is too wide to be seen whole.
    browser.go(&format!("{path}/dead-letters")).await;
    assert_eq!(browser.number("document.querySelectorAll('.wide[tabindex]').length").await, 0.0);
    let narrowed = "document.querySelectorAll('.wide').forEach((one) => one.style.width = '60px'), \
                    dispatchEvent(new Event('resize')), \
                    document.querySelectorAll('.wide:not([tabindex=\"0\"])').length";
    assert_eq!(browser.number(&format!("({narrowed})")).await, 0.0);
    browser.without_script().await;
    for (_, path) in pages(&gateway).await {
        browser.go(&format!("{url}{path}")).await;
        let source = browser.source().await;
        assert!(source.contains("</main>"), "{path}: {source}");
    }
    browser.go(&path).await;
    browser.click("form[action$='/switch'] button").await;
    // A button works without a script.
    let begun = Instant::now();
    while operator.get_inbox(&inbox().parse().unwrap()).await.unwrap().settings.paused {
        assert!(begun.elapsed() < Duration::from_secs(10), "it stays paused");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    browser.close().await;
}
