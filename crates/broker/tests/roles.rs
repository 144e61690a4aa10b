//! What an operator may do is decided here, whichever way they came; and each look and act is one
//! record with who it was.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use wissel_audit::{Line, Look, RecordLog, RecordOptions, SubjectKey};
use wissel_broker::{
    BrokerOptions, Caller, InboxSettings, Operator, Reason, Records, RedriveOptions, Refusal, Role,
    Roles, Verdict, Which,
};
use wissel_bus::{DeadLetter, Page};

use common::{Place, RECEIVER, REGISTRY, event, inbox, operator, party, subscription};

const OIN: &str = "00000099000000009000";

/// A broker with records, and so many dead letters in the inbox.
async fn with_dead_letters(count: usize) -> (Place, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let records = Records {
        log: RecordLog::open(&directory.path().join("records"), RecordOptions::default()).unwrap(),
        subjects: SubjectKey::load_or_create(&directory.path().join("key")).unwrap(),
    };
    let options = BrokerOptions { records: Some(records), ..BrokerOptions::default() };
    let place = Place::with("", options).await;
    let mut receiver = place.open("inbox").await;
    for number in 0..count {
        place.publish(event(&number.to_string()).subject("999990019")).await.unwrap();
        let leased = receiver.next().await;
        receiver.settle(leased.id, Verdict::Reject { reason: "no".into() }).await;
    }
    (place, directory)
}

fn anna(roles: impl Into<Roles>) -> Caller {
    let (name, oin) = (Some("anna".into()), Some(OIN.parse().unwrap()));
    Operator { name, oin, roles: roles.into() }.into()
}

/// What is on record but for what every message leaves, the first before the second.
async fn records(place: &Place) -> Vec<Line> {
    let looked = place
        .broker
        .look_at_records(&operator(), Look { limit: 100, ..Look::default() })
        .await
        .unwrap();
    looked.lines.into_iter().rev().collect()
}

/// What is put on record by this.
async fn recorded<T>(place: &Place, deed: impl Future<Output = T>) -> (T, Vec<Line>) {
    let before = records(place).await.len();
    let outcome = deed.await;
    (outcome, records(place).await.split_off(before))
}

async fn letters(place: &Place, caller: &Caller) -> Vec<DeadLetter> {
    let page = Page { after: None, limit: 10 };
    place.broker.dead_letters(caller, &inbox("inbox"), page).await.unwrap()
}

fn redrive(which: Which) -> RedriveOptions {
    RedriveOptions { which, to: None, per_second: None, why: None }
}

/// Everything that changes what is in an inbox, how it behaves, or what comes there.
async fn mend(place: &Place, caller: &Caller) -> Vec<(&'static str, Result<(), Refusal>)> {
    let (broker, name) = (&place.broker, inbox("inbox"));
    let id = letters(place, caller).await[0].id.clone();
    let paused = |settings| InboxSettings { paused: true, ..settings };
    let created = subscription("created");
    let patience = Duration::from_secs(1);
    vec![
        ("inbox-changed", broker.set_inbox(caller, &name, paused).await.map(drop)),
        (
            "dead-letters-listed",
            broker.count_dead_letters(caller, &name, Which::All, patience).await.map(drop),
        ),
        (
            "dead-letter-unmasked",
            broker.unmask_dead_letter(caller, &name, &id, "why").await.map(drop),
        ),
        (
            "dead-letters-redriven",
            broker.redrive(caller, &name, redrive(Which::All), |_| ()).await.map(drop),
        ),
        (
            "dead-letters-purged",
            broker.purge_dead_letters(caller, &name, Which::All, None).await.map(drop),
        ),
        (
            "subscription-created",
            broker.create_subscription(caller, created.clone()).await.map(drop),
        ),
        ("subscription-deleted", broker.delete_subscription(caller, &created.name).await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_looks_and_a_catalogue_manager_does_not_mend() {
    let (place, _directory) = with_dead_letters(1).await;
    for role in [Role::Viewer, Role::CatalogueManager] {
        let caller = anna(role);
        let (broker, name) = (&place.broker, inbox("inbox"));
        assert_eq!(broker.inboxes(&caller, None, 10).await.unwrap().len(), 2);
        broker.inbox(&caller, &name).await.unwrap();
        broker.browse(&caller, &name, 10).await.unwrap();
        assert_eq!(broker.subscriptions(&caller, None, 10).unwrap().len(), 2);
        let letter = letters(&place, &caller).await.remove(0);
        broker.dead_letter(&caller, &name, &letter.id).await.unwrap();

        let (outcomes, lines) = recorded(&place, mend(&place, &caller)).await;
        // The first is the look for the letter that is mended.
        assert_eq!(lines.len(), 1 + outcomes.len());
        for ((operation, outcome), line) in outcomes.into_iter().zip(&lines[1..]) {
            let refusal = outcome.unwrap_err();
            assert_eq!(refusal.reason, Reason::NotGranted, "{role} {operation}: {refusal}");
            assert!(refusal.message.contains("the role operator"), "{operation}: {refusal}");
            assert_eq!((&*line.operation, &*line.status), (operation, "refused"));
            assert_eq!(line.reason.as_deref(), Some("NOT_GRANTED"));
            assert_eq!(
                (&*line.actor, line.operator.as_deref()),
                (&*format!("operator {OIN}"), Some("anna"))
            );
        }
    }
    assert_eq!(place.state("inbox").await.dead_letters, 1);
    for (operation, outcome) in mend(&place, &anna(Role::Operator)).await {
        outcome.unwrap_or_else(|refusal| panic!("{operation}: {refusal}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_catalogue_manager_has_the_files_read_again() {
    let (place, _directory) = with_dead_letters(0).await;
    let broker = &place.broker;
    let mut asked = broker.asked_to_read().unwrap();
    for caller in [anna(Role::Viewer), anna(Role::Operator), party(RECEIVER), party(REGISTRY)] {
        let (outcome, lines) = recorded(&place, broker.read_catalogue_again(&caller)).await;
        let refusal = outcome.unwrap_err();
        assert_eq!(refusal.reason, Reason::NotGranted);
        assert!(refusal.message.contains("catalogue-manager"), "{refusal}");
        assert_eq!((lines.len(), &*lines[0].status), (1, "refused"));
    }
    assert!(asked.try_recv().is_err());
    let reader = async { broker.note_reading(Vec::new(), asked.recv().await) };
    let manager = anna(Role::CatalogueManager);
    let reading = recorded(&place, broker.read_catalogue_again(&manager));
    let ((outcome, lines), ()) = tokio::join!(reading, reader);
    assert!(outcome.unwrap().faults.is_empty());
    assert_eq!((lines.len(), &*lines[0].operation, &*lines[0].status), (1, "catalogue-read", "ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_look_and_act_is_one_record_with_its_operator() {
    let (place, _directory) = with_dead_letters(3).await;
    let (broker, name, caller) = (&place.broker, inbox("inbox"), anna(Role::Operator));
    let letter = letters(&place, &caller).await.remove(0);
    let message = letter.envelope.message_id.to_string();
    let one = Which::These(vec![letter.id.clone()]);
    let why = RedriveOptions { why: Some("999990019 called".into()), ..redrive(one) };
    let because = Which::Because("no".to_owned());
    let patience = Duration::from_secs(1);

    let look = broker.look_at_dead_letters(&caller, &name, None, patience, 10);
    let (_, looked) = recorded(&place, look).await;
    let (_, browsed) = recorded(&place, broker.browse(&caller, &name, 10)).await;
    let (_, shown) = recorded(&place, broker.dead_letter(&caller, &name, &letter.id)).await;
    let unmask = broker.unmask_dead_letter(&caller, &name, &letter.id, "999990019 asks");
    let (_, unmasked) = recorded(&place, unmask).await;
    let (_, redriven) = recorded(&place, broker.redrive(&caller, &name, why, |_| ())).await;
    let purge = broker.purge_dead_letters(&caller, &name, because, Some("of no use"));
    let (purged, removed) = recorded(&place, purge).await;
    assert_eq!(purged.unwrap(), 2);

    let redriven_to = format!("1 chosen, to {name}: [number] called");
    for (lines, operation, message, detail) in [
        (looked, "dead-letters-listed", None, "at most 500"),
        (browsed, "inbox-browsed", None, "at most 10"),
        (shown, "dead-letters-listed", Some(&message), "one"),
        (unmasked, "dead-letter-unmasked", Some(&message), "[number] asks"),
        (redriven, "dead-letters-redriven", Some(&message), &*redriven_to),
        (removed, "dead-letters-purged", None, "those of reason \"no\": of no use"),
    ] {
        let [line] = &lines[..] else { panic!("{operation}: {lines:?}") };
        assert_eq!((&*line.operation, &*line.status), (operation, "ok"));
        assert_eq!(line.operator.as_deref(), Some("anna"), "{operation}");
        assert_eq!(line.actor, format!("operator {OIN}"), "{operation}");
        assert_eq!(line.inbox.as_deref(), Some(name.as_str()), "{operation}");
        assert_eq!((line.message_id.as_ref(), line.detail.as_deref()), (message, Some(detail)));
    }
    // Without a reason nothing is unmasked.
    let blank = broker.unmask_dead_letter(&caller, &name, &letter.id, " ").await;
    assert_eq!(blank.unwrap_err().reason, Reason::InvalidRequest);
}
