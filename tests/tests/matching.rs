//! Signals of two parties about one child meet, on both buses: and nobody learns more.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use wissel_client::{ClientError, NewSignal, OpenInbox, RetryPolicy, Subscription, Uuid};
use wissel_message::{Event, OwnedData};
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, OPERATOR, alone, wissel_binary};

const YOUTH_CARE: &str = "00000099000000001000";
const SCHOOL: &str = "00000099000000002000";
const POLICE: &str = "00000099000000003000";
/// Youth care of the municipality that the child moves to.
const ELSEWHERE: &str = "00000099000000004000";
const OUTSIDER: &str = "00000099000000005000";
/// Police that has no inbox for notices, at first.
const LATE: &str = "00000099000000006000";
const WISSEL: &str = "00000099000000009000";

const CHILD: &str = "999990342";
const OTHER_CHILD: &str = "999990019";
const TYPE: &str = "nl.vir.match";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Youth care" },
    { oin = "00000099000000002000", name = "School" },
    { oin = "00000099000000003000", name = "Police" },
    { oin = "00000099000000004000", name = "Youth care elsewhere" },
    { oin = "00000099000000005000", name = "Outsider" },
    { oin = "00000099000000006000", name = "Late" },
    { oin = "00000099000000009000", name = "Wissel", exchange = true },
]

[[event_type]]
name = "nl.vir.match"
owner = "00000099000000009000"
description = "Two parties are concerned with one child."
subject = "none"
sensitivity = "special"
match = { subject = "bsn", keep = "2 years" }

[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000009000"
description = "Nothing that signals are of."

[[grant]]
party = "00000099000000009000"
type = "nl.vir.match"
action = "publish"
purpose = "To tell of matches"
legal_basis = "Jeugdwet, artikel 7.1.2.1"

[[grant]]
party = [
    "00000099000000001000", "00000099000000002000", "00000099000000003000",
    "00000099000000004000", "00000099000000006000",
]
type = "nl.vir.match"
action = "receive"
purpose = "To coordinate help"
legal_basis = "Jeugdwet, artikel 7.1.2.3"

[[subscription]]
name = "00000099000000001000.matches"
[[subscription]]
name = "00000099000000002000.matches"
[[subscription]]
name = "00000099000000003000.matches"
[[subscription]]
name = "00000099000000004000.matches"
"#;

async fn start(bus: &str) -> Gateway {
    let mut gateway = Gateway::stopped(bus);
    gateway.write_catalogue(CATALOGUE);
    gateway.start_again().await;
    gateway
}

async fn file(gateway: &Gateway, party: &str, child: &str, reference: &str) -> Uuid {
    let signal = NewSignal::new(TYPE, child, reference);
    gateway.client(party).file_signal(&signal).await.unwrap().signal_id
}

/// The notices of a party.
struct Notices {
    party: &'static str,
    inbox: OpenInbox,
    ids: BTreeSet<String>,
    /// Whether one may come again, as its acknowledgement was lost with the gateway.
    after_kill: bool,
}

impl Notices {
    async fn open(gateway: &Gateway, party: &'static str) -> Self {
        let inbox = gateway.client(party).subscribe(format!("{party}.matches")).open().await;
        Self { party, inbox: inbox.unwrap(), ids: BTreeSet::new(), after_kill: false }
    }

    /// The same after the gateway was killed.
    async fn again(self, gateway: &Gateway) -> Self {
        drop(self.inbox);
        Self { ids: self.ids, after_kill: true, ..Self::open(gateway, self.party).await }
    }

    /// The next one, which is to come.
    async fn next(&mut self) -> Value {
        loop {
            if let Some(notice) = self.next_or_again().await {
                return notice;
            }
        }
    }

    /// None for one that came before.
    async fn next_or_again(&mut self) -> Option<Value> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.inbox.next()).await;
        let delivery = next.expect("no notice").unwrap().unwrap();
        let event = delivery.event();
        assert_eq!((event.event_type(), event.subject()), (TYPE, None));
        let is_new = self.ids.insert(event.id().to_owned());
        assert!(is_new || self.after_kill, "a notice came twice");
        let Some(OwnedData::Text(text)) = event.data() else { panic!("no data") };
        assert!(!text.contains(CHILD) && !text.contains(OTHER_CHILD));
        let data = serde_json::from_str(text).unwrap();
        delivery.acknowledge().await.unwrap();
        is_new.then_some(data)
    }

    /// What the next one says: what, of which signal, about which party.
    async fn next_is(&mut self, what: &str, signal: Uuid, party: &str) -> Value {
        let notice = self.next().await;
        let found = (
            notice["what"].as_str().unwrap(),
            notice["signal"].as_str().unwrap(),
            notice["party"]["oin"].as_str().unwrap(),
        );
        assert_eq!(found, (what, signal.to_string().as_str(), party));
        notice
    }

    async fn no_more(&mut self) {
        let next = tokio::time::timeout(Duration::from_millis(400), self.inbox.next()).await;
        assert!(next.is_err(), "more than was to come");
    }
}

fn reason(error: &ClientError) -> &str {
    let shown = error.to_string();
    assert!(!shown.contains(CHILD) && !shown.contains(OTHER_CHILD), "{shown}");
    &error.refusal().unwrap_or_else(|| panic!("no refusal: {error}")).reason
}

/// No file in the directory holds this.
fn is_nowhere(text: &str, directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            is_nowhere(text, &path);
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{} holds a subject", path.display());
        }
    }
}

async fn meet_and_both_are_told(bus: &str) {
    let gateway = start(bus).await;
    let mut care = Notices::open(&gateway, YOUTH_CARE).await;
    let mut school = Notices::open(&gateway, SCHOOL).await;
    let mut police = Notices::open(&gateway, POLICE).await;

    // Own signals do not match, nor those about another child.
    let first = file(&gateway, YOUTH_CARE, CHILD, "dossier 1").await;
    let second = file(&gateway, YOUTH_CARE, CHILD, "dossier 2").await;
    file(&gateway, POLICE, OTHER_CHILD, "pv 1").await;
    care.no_more().await;
    police.no_more().await;

    let of_school = file(&gateway, SCHOOL, CHILD, "leerling 7").await;
    let one = school.next_is("match", of_school, YOUTH_CARE).await;
    assert_eq!(one["reference"], "leerling 7");
    assert_eq!(one["party"]["name"], "Youth care");
    // Nothing of the other's signal is told.
    let text = one.to_string();
    assert!(!text.contains("dossier") && !text.contains(&first.to_string()), "{text}");
    school.next_is("match", of_school, YOUTH_CARE).await;
    let mut told = [care.next().await, care.next().await].map(|one| one["signal"].to_string());
    told.sort();
    let mut own = [first, second].map(|one| format!("\"{one}\""));
    own.sort();
    assert_eq!(told, own);

    // A third party meets all three.
    let of_police = file(&gateway, POLICE, CHILD, "pv 2").await;
    for _ in 0..3 {
        assert_eq!(police.next().await["signal"], of_police.to_string());
    }
    school.next_is("match", of_school, POLICE).await;
    for _ in 0..2 {
        assert_eq!(care.next().await["party"]["oin"], POLICE);
    }
    // Filing again is the same signal, and tells nobody again.
    assert_eq!(file(&gateway, POLICE, CHILD, "pv 2").await, of_police);
    for notices in [&mut care, &mut school, &mut police] {
        notices.no_more().await;
    }

    // Each sees its own, and with whom they match.
    let listed = gateway.client(SCHOOL).list_signals().all().await.unwrap();
    assert_eq!((listed.len(), listed[0].signal_id), (1, of_school));
    let mut with: Vec<&str> = listed[0].matches.iter().map(|one| one.party.as_str()).collect();
    with.sort_unstable();
    assert_eq!(with, [YOUTH_CARE, YOUTH_CARE, POLICE]);
    assert!(gateway.client(OUTSIDER).list_signals().all().await.unwrap().is_empty());
}

async fn are_withdrawn_and_forgotten(bus: &str) {
    let gateway = start(bus).await;
    let (care, school) = (gateway.client(YOUTH_CARE), gateway.client(SCHOOL));
    let mut of_care = Notices::open(&gateway, YOUTH_CARE).await;
    let mut of_school = Notices::open(&gateway, SCHOOL).await;

    // Before it met another: it never does.
    let wrong = file(&gateway, YOUTH_CARE, CHILD, "wrong").await;
    let of_another = school.withdraw_signal(wrong).await.unwrap_err();
    assert_eq!(reason(&of_another), "UNKNOWN_SIGNAL");
    care.withdraw_signal(wrong).await.unwrap();
    assert_eq!(reason(&care.withdraw_signal(wrong).await.unwrap_err()), "UNKNOWN_SIGNAL");
    let kept = file(&gateway, SCHOOL, CHILD, "kept").await;
    of_school.no_more().await;

    // After it did: the other is told, and its own signal stays.
    let wrong = file(&gateway, YOUTH_CARE, CHILD, "wrong again").await;
    of_care.next_is("match", wrong, SCHOOL).await;
    of_school.next_is("match", kept, YOUTH_CARE).await;
    care.withdraw_signal(wrong).await.unwrap();
    of_school.next_is("withdrawn", kept, YOUTH_CARE).await;
    of_care.no_more().await;
    let listed = school.list_signals().all().await.unwrap();
    assert!(listed.len() == 1 && listed[0].matches.is_empty());

    // When its time is over, it is gone, and nobody need be told.
    let short = NewSignal::new(TYPE, CHILD, "short").keep_for(Duration::from_secs(1));
    let filed = care.file_signal(&short).await.unwrap();
    assert!(filed.expires_at <= SystemTime::now() + Duration::from_secs(1));
    of_school.next_is("match", kept, YOUTH_CARE).await;
    of_care.next_is("match", filed.signal_id, SCHOOL).await;
    let begun = Instant::now();
    while !care.list_signals().all().await.unwrap().is_empty()
        || !gateway.records().contains("signals-expired")
    {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not forgotten");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    of_school.no_more().await;
    let listed = school.list_signals().all().await.unwrap();
    assert!(listed[0].matches.is_empty());
    let again = file(&gateway, YOUTH_CARE, CHILD, "short").await;
    of_care.next_is("match", again, SCHOOL).await;
}

async fn move_with_the_child(bus: &str) {
    let gateway = start(bus).await;
    let care = gateway.client(YOUTH_CARE);
    let mut of_care = Notices::open(&gateway, YOUTH_CARE).await;
    let mut of_school = Notices::open(&gateway, SCHOOL).await;
    let mut elsewhere = Notices::open(&gateway, ELSEWHERE).await;
    let moved = file(&gateway, YOUTH_CARE, CHILD, "dossier 1").await;
    let of_child = file(&gateway, SCHOOL, CHILD, "leerling 7").await;
    of_care.next_is("match", moved, SCHOOL).await;
    of_school.next_is("match", of_child, YOUTH_CARE).await;

    let to = |party: &str| party.parse().unwrap();
    let outside = care.transfer_signal(moved, to(OUTSIDER), None).await.unwrap_err();
    assert_eq!(reason(&outside), "NOT_GRANTED");
    let itself = care.transfer_signal(moved, to(YOUTH_CARE), None).await.unwrap_err();
    assert_eq!(reason(&itself), "INVALID_REQUEST");
    care.transfer_signal(moved, to(ELSEWHERE), Some("van Utrecht, 17")).await.unwrap();
    let received = elsewhere.next_is("received", moved, YOUTH_CARE).await;
    assert_eq!(received["reference"], "van Utrecht, 17");
    assert!(received["expires_at"].as_str().unwrap().ends_with('Z'));
    elsewhere.next_is("match", moved, SCHOOL).await;
    let told = of_school.next_is("moved", of_child, ELSEWHERE).await;
    assert_eq!(told["previous"]["oin"], YOUTH_CARE);
    of_care.no_more().await;

    // Its former party has it no more.
    assert_eq!(reason(&care.withdraw_signal(moved).await.unwrap_err()), "UNKNOWN_SIGNAL");
    let again = care.transfer_signal(moved, to(ELSEWHERE), None).await.unwrap_err();
    assert_eq!(reason(&again), "UNKNOWN_SIGNAL");
    // A later signal of its own meets both.
    let own = file(&gateway, YOUTH_CARE, CHILD, "dossier 2").await;
    let mut with: Vec<String> = Vec::new();
    for _ in 0..2 {
        let notice = of_care.next().await;
        assert_eq!(notice["signal"], own.to_string());
        with.push(notice["party"]["oin"].as_str().unwrap().to_owned());
    }
    with.sort();
    assert_eq!(with, [SCHOOL, ELSEWHERE]);
}

/// What is to be told outlives the gateway, and waits for whom it is for.
async fn are_told_after_kill_and_once(bus: &str) {
    let mut gateway = start(bus).await;
    let of_late = file(&gateway, LATE, CHILD, "late 1").await;
    let of_school = file(&gateway, SCHOOL, CHILD, "leerling 7").await;
    Notices::open(&gateway, SCHOOL).await.next_is("match", of_school, LATE).await;
    gateway.logs("a message of the exchange is refused; it waits").await;
    gateway.kill().await;
    gateway.start_again().await;
    let late = gateway.client(LATE);
    let mut wanted = Subscription::new(format!("{LATE}.matches").parse().unwrap());
    wanted.types = vec![TYPE.to_owned()];
    late.create_subscription(&wanted).await.unwrap();
    let mut notices = Notices::open(&gateway, LATE).await;
    notices.next_is("match", of_late, SCHOOL).await;
    notices.no_more().await;

    // Killed at once, wherever it is between filing, matching, telling and forgetting that it
    // told: each is told of each.
    let mut told = BTreeSet::new();
    for round in 0..6_u64 {
        let child = file(&gateway, LATE, CHILD, &format!("round {round}")).await;
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        gateway.kill().await;
        gateway.start_again().await;
        notices = notices.again(&gateway).await;
        while !told.contains(&child.to_string()) {
            let notice = notices.next().await;
            assert_eq!(notice["party"]["oin"], SCHOOL);
            told.insert(notice["signal"].as_str().unwrap().to_owned());
        }
    }
    let listed = gateway.client(SCHOOL).list_signals().all().await.unwrap();
    assert_eq!(listed[0].matches.len(), 7, "each pair is one match");
}

#[tokio::test]
async fn signals_on_the_embedded_bus() {
    let _alone = alone().await;
    meet_and_both_are_told("embedded").await;
    are_withdrawn_and_forgotten("embedded").await;
    move_with_the_child("embedded").await;
    are_told_after_kill_and_once("embedded").await;
}

/// A node for each, as what is left in an inbox of one gateway would come to the next.
#[tokio::test]
async fn signals_on_rabbitmq() {
    let _alone = alone().await;
    let node = async || RabbitMq::start().await.unwrap();
    let rabbitmq = node().await;
    meet_and_both_are_told(&rabbitmq.url()).await;
    let rabbitmq = node().await;
    are_withdrawn_and_forgotten(&rabbitmq.url()).await;
    let rabbitmq = node().await;
    move_with_the_child(&rabbitmq.url()).await;
    let rabbitmq = node().await;
    are_told_after_kill_and_once(&rabbitmq.url()).await;
}

#[tokio::test]
async fn what_may_not_be_filed_is_refused_and_on_record() {
    let _alone = alone().await;
    let gateway = start("embedded").await;
    let refused = async |caller: &str, signal: NewSignal, expected: &str| {
        let error = gateway.client(caller).file_signal(&signal).await.unwrap_err();
        assert_eq!(reason(&error), expected, "{error}");
    };
    let signal = |subject: &str, reference: &str| NewSignal::new(TYPE, subject, reference);
    refused(OUTSIDER, signal(CHILD, "1"), "NOT_GRANTED").await;
    refused(OPERATOR, signal(CHILD, "1"), "NOT_GRANTED").await;
    let none = gateway.client(OPERATOR).list_signals().all().await.unwrap_err();
    assert_eq!(reason(&none), "NOT_GRANTED");
    refused(SCHOOL, NewSignal::new("nl.x.y", CHILD, "1"), "UNKNOWN_EVENT_TYPE").await;
    refused(SCHOOL, NewSignal::new("nl.brp.geboorte", CHILD, "1"), "INVALID_REQUEST").await;
    refused(SCHOOL, signal("999990343", "1"), "INVALID_REQUEST").await;
    refused(SCHOOL, signal("Jan Proef", "1"), "INVALID_REQUEST").await;
    refused(SCHOOL, signal(CHILD, ""), "INVALID_REQUEST").await;
    refused(SCHOOL, signal(CHILD, &format!("kind {CHILD}")), "INVALID_REQUEST").await;
    let long = signal(CHILD, "1").keep_for(Duration::from_hours(24 * 731));
    refused(SCHOOL, long, "INVALID_REQUEST").await;
    file(&gateway, SCHOOL, CHILD, "1").await;
    refused(SCHOOL, signal(OTHER_CHILD, "1"), "SIGNAL_EXISTS").await;
    let acting = gateway.builder().token(format!("dev.{OUTSIDER}"));
    let acting = acting.on_behalf_of(SCHOOL.parse().unwrap()).connect().unwrap();
    let none = acting.file_signal(&signal(CHILD, "2")).await.unwrap_err();
    assert_eq!(reason(&none), "NO_MANDATE");

    // Nobody makes notices but the exchange, and it by itself.
    let source = format!("urn:nld:oin:{WISSEL}:systeem:signals");
    let forged = Event::builder("1", source, TYPE).build().unwrap();
    let forged = gateway.client(WISSEL).publish(&forged).await.unwrap_err();
    assert_eq!(reason(&forged), "INVALID_REQUEST");

    let records = gateway.records();
    let filed = |line: &&str| line.contains(r#""operation":"signal-filed""#);
    let refused = records.lines().filter(filed).filter(|line| line.contains("refused"));
    assert_eq!(refused.count(), 11, "{records}");
    let done = records.lines().filter(filed).find(|line| line.contains(r#""status":"ok""#));
    let done = done.unwrap();
    assert!(done.contains(r#""legal_basis":"Jeugdwet, artikel 7.1.2.3""#), "{done}");
    assert!(done.contains(r#""data_subject_id_type":"bsn""#), "{done}");
    wissel_audit::verify(&gateway.records_directory(), |_| {}).unwrap();
}

#[tokio::test]
async fn who_guesses_is_slowed_down_and_on_record() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(
        &CATALOGUE.replace("keep = \"2 years\"", "keep = \"2 years\", signals_per_hour = 3"),
    )
    .await;
    let hasty = gateway.builder().token(format!("dev.{POLICE}"));
    let police = hasty.retry(RetryPolicy::never()).connect().unwrap();
    let guess = async |number: usize| {
        let signal = NewSignal::new(TYPE, CHILD, format!("guess {number}"));
        police.file_signal(&signal).await
    };
    for number in 0..3 {
        let filed = guess(number).await.unwrap();
        // What is withdrawn counts all the same.
        police.withdraw_signal(filed.signal_id).await.unwrap();
    }
    let limited = guess(3).await.unwrap_err();
    assert_eq!(reason(&limited), "RATE_LIMITED");
    let wait = limited.refusal().unwrap().retry_after.unwrap();
    assert!((Duration::from_secs(1_000)..=Duration::from_secs(1_201)).contains(&wait), "{wait:?}");
    // Others go on.
    file(&gateway, SCHOOL, CHILD, "1").await;

    let records = gateway.records();
    let limited = |line: &&str| {
        line.contains(r#""operation":"signal-filed""#)
            && line.contains("RATE_LIMITED")
            && line.contains(&format!(r#""actor":"{POLICE}""#))
            && line.contains(r#""data_subject_id":"#)
    };
    assert_eq!(records.lines().filter(limited).count(), 1, "{records}");
    gateway.logs("a party files more signals than it may").await;
}

/// The binary, on this gateway's state or as its client.
fn wissel(arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = std::process::Command::new(wissel_binary());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout) + &text(output.stderr))
}

#[tokio::test]
async fn a_key_is_added_while_signals_are_filed_and_they_meet_all_the_same() {
    let _alone = alone().await;
    let mut gateway = start("embedded").await;
    let mut care = Notices::open(&gateway, YOUTH_CARE).await;
    let before = file(&gateway, YOUTH_CARE, CHILD, "before").await;
    let data = gateway.data_directory();
    let rotate = || {
        let data = data.display().to_string();
        wissel(&["matching", "rotate-key", "--data-dir", &data, "--json"], "")
    };
    assert_eq!(rotate(), (true, "{\"keys\":2}\n".to_owned()));
    assert_eq!(rotate(), (true, "{\"keys\":3}\n".to_owned()));
    file(&gateway, SCHOOL, CHILD, "after").await;
    care.next_is("match", before, SCHOOL).await;

    // Over a restart too; with another file of keys it does not start.
    gateway.kill().await;
    let keys = data.join("matching.keys");
    let right = std::fs::read(&keys).unwrap();
    assert_eq!(right.len(), 96);
    std::fs::write(&keys, [7; 96]).unwrap();
    gateway.spawn();
    let begun = Instant::now();
    while !gateway.has_ended() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it runs with other keys");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(gateway.log().contains("holds other keys than pseudonyms are made with"));
    assert!(!rotate().0);
    std::fs::write(&keys, right).unwrap();
    gateway.start_again().await;
    file(&gateway, POLICE, CHILD, "later").await;
    care.again(&gateway).await.next_is("match", before, POLICE).await;
}

#[tokio::test]
async fn whom_signals_are_about_is_in_no_file_and_no_log() {
    let _alone = alone().await;
    let gateway = start("embedded").await;
    let mut school = Notices::open(&gateway, SCHOOL).await;
    let first = file(&gateway, YOUTH_CARE, CHILD, "dossier 1").await;
    let of_school = file(&gateway, SCHOOL, CHILD, "leerling 7").await;
    school.next_is("match", of_school, YOUTH_CARE).await;
    gateway.client(YOUTH_CARE).withdraw_signal(first).await.unwrap();
    school.next_is("withdrawn", of_school, YOUTH_CARE).await;

    let url = gateway.url();
    let call = |arguments: &[&str], caller: &str, input: &str| {
        let mut all = arguments.to_vec();
        all.extend(["--server", &url, "--as", caller, "--json"]);
        let (good, said) = wissel(&all, input);
        assert!(good, "{said}");
        assert!(!said.contains(CHILD), "the subject is shown");
        said
    };
    let of_subject = format!("{CHILD}\n");
    let file = ["signals", "file", TYPE, "--subject-file", "-", "--reference", "pv 1"];
    let filed = call(&[&file[..], &["--keep-for", "30 days"]].concat(), POLICE, &of_subject);
    let filed: Value = serde_json::from_str(&filed).unwrap();
    let id = filed["signal_id"].as_str().unwrap();
    school.next_is("match", of_school, POLICE).await;
    let listed: Value = serde_json::from_str(&call(&["signals", "list"], POLICE, "")).unwrap();
    assert_eq!((&listed["signal_id"], &listed["reference"]), (&filed["signal_id"], &"pv 1".into()));
    assert_eq!(listed["matches"][0]["party"], SCHOOL);
    call(&["signals", "transfer", id, "--to", YOUTH_CARE], POLICE, "");
    school.next_is("moved", of_school, YOUTH_CARE).await;
    call(&["signals", "withdraw", id], YOUTH_CARE, "");
    school.next_is("withdrawn", of_school, YOUTH_CARE).await;
    let (good, said) = wissel(&file, "");
    assert!(!good && said.contains("expected one subject"), "{said}");

    is_nowhere(CHILD, &gateway.data_directory());
    assert!(!gateway.log().contains(CHILD));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(gateway.data_directory().join("matching.keys")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}
