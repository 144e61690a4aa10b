//! The commands that need no gateway, as people and scripts run them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wissel_tests::{CATALOGUE, Gateway, OPERATOR, REGISTRY, alone, event, wissel_binary};

/// How it ended, and what it said on both outputs.
struct Run {
    code: i32,
    out: String,
    err: String,
}

fn wissel(directory: &Path, arguments: &str) -> Run {
    let mut command = std::process::Command::new(wissel_binary());
    command.args(arguments.split(' ')).current_dir(directory);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/catalogue").canonicalize().unwrap()
}

#[test]
fn the_shipped_catalogue_coheres_and_its_examples_are_good() {
    let (shipped, here) = (shipped(), tempfile::tempdir().unwrap());
    let catalogue = shipped.display();
    let checked = wissel(here.path(), &format!("catalogue check {catalogue} --strict --json"));
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    let counts: Value = serde_json::from_str(&checked.out).unwrap();
    assert!(counts["event_types"].as_u64().unwrap() >= 60, "{counts}");
    let examples: Vec<String> = fs::read_dir(shipped.join("examples"))
        .unwrap()
        .map(|file| file.unwrap().path().display().to_string())
        .collect();
    let all = examples.join(" ");
    let checked = wissel(here.path(), &format!("check --strict --catalogue {catalogue} {all}"));
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    assert_eq!(counts["event_types"], examples.len());
}

#[test]
fn a_bad_message_is_explained_rule_by_rule() {
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(here.path().join(name), text).unwrap();
    write(
        "bad.json",
        r#"{"specversion":"0.3","id":"1","source":"https://brp.nl/personen/999990019","type":"geboorte",
            "sequencetype":"Integer","eenveeltelangenaamvooreenattribuut":null}"#,
    );
    write(
        "poor.json",
        r#"{"specversion":"1.0","id":"1","source":"/brp","type":"nl.brp.geboorte"}"#,
    );
    write("none.json", "[1, 2");
    let bad = wissel(here.path(), "check bad.json");
    assert_eq!(bad.code, 1);
    for rule in ["ce-specversion", "nlgov-type", "nlgov-source-location", "nlgov-sequence"] {
        assert!(bad.out.contains(&format!("  {rule}: ")), "{rule} in {}", bad.out);
    }
    // An attribute that is null is not there; a value is not shown.
    assert!(!bad.out.contains("nlgov-attribute-name") && !bad.out.contains("999990019"));
    let poor = wissel(here.path(), "check poor.json --json");
    assert_eq!(poor.code, 0, "{}", poor.out);
    let findings: Value = serde_json::from_str(&poor.out).unwrap();
    assert_eq!(findings["findings"][0]["rule"], "nlgov-source");
    assert_eq!(findings["findings"][0]["level"], "warning");
    assert_eq!(wissel(here.path(), "check poor.json --strict").code, 1);
    let catalogue = shipped().display().to_string();
    let held = wissel(here.path(), &format!("check poor.json --catalogue {catalogue}"));
    assert!(held.code == 1 && held.out.contains("catalogue-data"), "{}", held.out);
    write(
        "many.json",
        r#"{"specversion":"1.0","id":"","source":"/brp","type":"nl.brp.geboorte","Gemeente":"0344",
            "time":"gisteren","teller":1.5}"#,
    );
    let many = wissel(here.path(), "check many.json --json");
    let findings: Value = serde_json::from_str(&many.out).unwrap();
    let errors = findings["findings"].as_array().unwrap().iter();
    let mut fields: Vec<&str> = errors
        .filter(|one| one["level"] == "error")
        .map(|one| one["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["attributes[0]", "id", "teller", "time"], "all at once: {}", many.out);
    write("half.json", "{\"id\": ");
    let half = wissel(here.path(), "check half.json --json");
    let findings: Value = serde_json::from_str(&half.out).unwrap();
    assert_eq!((half.code, &findings["findings"][0]["rule"]), (1, &Value::from("ce-json")));
    assert_eq!(wissel(here.path(), "check none.json").code, 2);
    assert_eq!(wissel(here.path(), "check absent.json").code, 2);
}

#[test]
fn a_catalogue_with_faults_is_refused_with_file_and_line() {
    let here = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(here.path().join("a.toml"), text).unwrap();
    write("[[event_type]]\nname = \"nl.x.y\"\ndescription = \"x\"\n");
    let checked = wissel(here.path(), "catalogue check .");
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("a.toml:1: error: ") && checked.out.contains("`owner`"));
    // So is all that is wrong, in one go, and the directory may be given as elsewhere.
    write(
        "[[party]]\noin = \"000000990000\"\nname = \"A\"\n\
         [[party]]\noin = \"00000099000000001000\"\nname = \"B\"\n\
         [[event_type]]\nname = \"nl.x.y\"\nowner = \"000000990000\"\ndescription = \"x\"\n",
    );
    let several = wissel(here.path(), "catalogue check --catalogue .");
    assert_eq!((several.code, several.out.lines().count()), (1, 2), "{}", several.out);
    assert!(
        several.out.contains("a.toml:2: error: oin")
            && several.out.contains("a.toml:9: error: owner")
    );
    assert_eq!(wissel(here.path(), "catalogue check . --catalogue .").code, 2);
    // What is no fault is told beside it.
    write(
        "[[party]]\noin = \"00000099000000001000\"\nname = \" \"\n\
         [[event_type]]\nname = \"nl.x.y\"\nowner = \"00000099000000001000\"\ndescription = \"x\"\n",
    );
    let both = wissel(here.path(), "catalogue check .");
    assert_eq!(both.code, 1);
    assert!(both.out.contains(": error: ") && both.out.contains("a.toml:4: warning: "));

    let two = "[[party]]\noin = \"00000099000000001000\"\nname = \"A\"\n\
               [[party]]\noin = \"00000099000000002000\"\nname = \"B\"\n";
    write(&format!(
        "{two}[[mandate]]\nparty = \"00000099000000001000\"\nfor = \"00000099000000002000\"\n\
         action = \"publish\"\nbasis = \"x\"\nuntil = \"2020-01-01\"\n"
    ));
    let lenient = wissel(here.path(), "catalogue check .");
    assert!(lenient.code == 0 && lenient.out.contains("a.toml:12: warning: "), "{}", lenient.out);
    let strict = wissel(here.path(), "catalogue check . --strict");
    assert!(strict.code == 1 && strict.out.contains("has ended"), "{}", strict.out);
}

#[test]
fn a_draft_is_a_warning_that_says_what_it_lacks() {
    let here = tempfile::tempdir().unwrap();
    let planned = "[[event_type]]\ndraft = true\nname = \"nl.x.y\"\ndescription = \"x\"\n";
    fs::write(here.path().join("a.toml"), planned).unwrap();
    let lenient = wissel(here.path(), "catalogue check .");
    assert_eq!(lenient.code, 0, "{}", lenient.out);
    let told = "a.toml:1: warning: event type nl.x.y is a draft; lacks an owner, ";
    assert!(lenient.out.contains(told), "{}", lenient.out);
    assert_eq!(wissel(here.path(), "catalogue check . --strict").code, 1);
}

#[test]
fn a_gateway_that_would_know_nobody_does_not_start() {
    let here = tempfile::tempdir().unwrap();
    let without = wissel(here.path(), "serve");
    assert!(without.code == 2 && without.err.contains("--insecure-dev"), "{}", without.err);
    fs::write(here.path().join("w.toml"), "[tokens]\nissuer = \"x\"\njwks_file = \"j\"\n").unwrap();
    let open = wissel(here.path(), "serve --config w.toml --listen 0.0.0.0:0");
    assert!(open.code == 2 && open.err.contains("[tls]"), "{}", open.err);
    let insecure = wissel(here.path(), "serve --insecure-dev --listen 0.0.0.0:0");
    assert!(insecure.code == 2 && insecure.err.contains("loopback"), "{}", insecure.err);
    fs::write(
        here.path().join("t.toml"),
        "[tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_authorities = [\"a\"]\n",
    )
    .unwrap();
    let absent = wissel(here.path(), "serve --config t.toml");
    assert!(absent.code == 2 && absent.err.contains("[tls] c: "), "{}", absent.err);
}

#[test]
fn a_gateway_whose_port_is_taken_leaves_nothing_behind() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("catalogue.toml"), CATALOGUE).unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let serve = "serve --insecure-dev --catalogue catalogue.toml --data-dir data --listen";
    for addresses in [taken.to_string(), format!("127.0.0.1:0 --console {taken}")] {
        let run = wissel(here.path(), &format!("{serve} {addresses}"));
        assert!(run.code == 3 && run.err.contains(&format!("listen {taken}: ")), "{}", run.err);
        assert!(!here.path().join("data").exists());
    }
}

#[test]
fn an_authority_is_made_once() {
    let here = tempfile::tempdir().unwrap();
    assert_eq!(wissel(here.path(), "dev-ca create ca").code, 0);
    let again = wissel(here.path(), "dev-ca create ca");
    assert!(again.code == 2 && again.err.contains("is there already"), "{}", again.err);
    assert_eq!(wissel(here.path(), "dev-ca party 123 --ca ca").code, 2);
    let made = wissel(here.path(), &format!("dev-ca party {REGISTRY} --ca ca --name rvig"));
    assert_eq!(made.out.lines().collect::<Vec<_>>(), ["ca/rvig.pem", "ca/rvig.key"]);
    assert_eq!(wissel(here.path(), "dev-ca revoke ca/rvig.pem --ca ca").code, 0);
    assert_eq!(wissel(here.path(), "dev-ca revoke ca/ca.key --ca ca").code, 2);
    let token = wissel(here.path(), &format!("dev-ca token {REGISTRY} --ca ca"));
    assert!(token.code == 0 && token.out.starts_with("ey"), "{}", token.err);
    let elsewhere = wissel(here.path(), &format!("dev-ca token {REGISTRY} --ca cb"));
    assert!(elsewhere.code == 2 && elsewhere.err.contains("tokens.key"), "{}", elsewhere.err);
    assert!(!here.path().join("cb").exists());
}

#[test]
fn input_that_is_none_is_told_from_what_was_refused() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("none.json"), "[]").unwrap();
    assert_eq!(wissel(here.path(), "check none.json").code, 2);
    let nothing = wissel(here.path(), &format!("publish --as {REGISTRY} none.json"));
    assert!(nothing.code == 2 && nothing.err.contains("no message"), "{}", nothing.err);
    let absent = wissel(here.path(), "inboxes list --token-file absent");
    assert!(absent.code == 2 && absent.err.contains("absent"), "{}", absent.err);
}

#[test]
fn a_demo_on_a_rabbitmq_that_is_not_there_says_so_and_ends() {
    let port = wissel_testkit::free_port().unwrap();
    let begun = std::time::Instant::now();
    let mut demo = std::process::Command::new(wissel_binary());
    let demo = demo.args(["demo", "--seconds", "1", "--json"]);
    let output =
        demo.env("WISSEL_DEMO_BUS", format!("amqp://u:geheim@127.0.0.1:{port}/v")).output();
    let output = output.unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(err.starts_with("error: bus amqp://u:***@127.0.0.1:") && err.lines().count() == 1);
    assert!(!err.contains("geheim"), "{err}");
}

#[test]
fn a_gateway_that_does_not_answer_is_given_up_and_what_it_was_sent_is_not_called_unpublished() {
    let here = tempfile::tempdir().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    let line = r#"{"specversion":"1.0","id":"1","source":"/brp","type":"nl.brp.geboorte"}"#;
    fs::write(here.path().join("two.jsonl"), format!("{line}\n{line}\n")).unwrap();
    let publish = format!("publish --as {REGISTRY} --server {server} --timeout 3 two.jsonl");
    let took = || {
        let begun = std::time::Instant::now();
        let run = wissel(here.path(), &format!("{publish} --json-lines"));
        assert_eq!(run.code, 3, "{}", run.err);
        assert!(run.err.contains("two.jsonl:1-2: ") && run.err.contains("of 2 messages it is not"));
        assert!(!run.err.contains("not published"), "{}", run.err);
        begun.elapsed()
    };
    // One of them meets nothing else that keeps the machine busy.
    assert!((0..3).any(|_| took() < std::time::Duration::from_secs(7)), "it is waited for longer");
    let run = wissel(here.path(), &publish);
    assert!(run.code == 2 && run.err.contains("--json-lines"), "{}", run.err);
    // Where nobody listens it is certain.
    drop(silent);
    let run = wissel(here.path(), &format!("{publish} --json-lines"));
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(run.err.contains("two.jsonl:1-2: "), "{}", run.err);
    assert!(run.err.contains("0 published, 0 refused, 2 not sent"), "{}", run.err);
    assert!(run.err.contains("error: 2 messages were not sent, and not published"), "{}", run.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_changed_is_found() {
    let _alone = alone().await;
    let mut gateway = Gateway::start("embedded").await;
    gateway.client(REGISTRY).publish(&event("audit", 0)).await.unwrap();
    let refused = wissel_message::Event::builder("x", "/s", "nl.brp.onbekend").build().unwrap();
    gateway.client(REGISTRY).publish(&refused).await.unwrap_err();
    gateway.client(OPERATOR).list_inboxes().all().await.unwrap();
    gateway.kill().await;
    let records = gateway.records();
    for expected in [
        r#""operation":"admission","status":"ok""#,
        r#""reason":"UNKNOWN_EVENT_TYPE""#,
        r#""purpose":"test""#,
    ] {
        assert!(records.contains(expected), "{expected} in {records}");
    }
    let directory = gateway.records_directory();
    let verify =
        |more: &str| wissel(Path::new("."), &format!("audit verify {}{more}", directory.display()));
    let whole = verify(" --json");
    assert_eq!(whole.code, 0, "{}", whole.err);
    let whole: Value = serde_json::from_str(&whole.out).unwrap();
    assert_eq!(whole["records"].as_u64().unwrap(), records.lines().count() as u64);
    // What it prints can be noted and asked for.
    let told = verify("").out;
    let head = told.lines().find_map(|line| line.strip_prefix("head ")).unwrap();
    let head = head.split(' ').next().unwrap();
    assert_eq!(whole["head"], head);
    assert_eq!(verify(&format!(" --head {head} --from-first")).code, 0);
    let other = verify(&format!(" --head {}", "0".repeat(64)));
    assert!(other.code == 1 && other.err.contains("which was the head once"), "{}", other.err);
    assert_eq!(verify(" --head 123").code, 2);
    let nowhere = wissel(Path::new("."), "audit verify /nonexistent");
    assert!(nowhere.code == 2 && !nowhere.err.contains("broken"), "{}", nowhere.err);

    let file = directory.join("records-000001.jsonl");
    fs::write(&file, records.replace("UNKNOWN_EVENT_TYPE", "NOT_GRANTED")).unwrap();
    let broken = verify("");
    assert!(broken.code == 1 && broken.err.contains("records-000001.jsonl:3"), "{}", broken.err);
}

#[test]
fn the_catalogue_is_shown_by_event_type_and_by_party() {
    let (shipped, here) = (shipped(), tempfile::tempdir().unwrap());
    let run =
        |what: &str| wissel(here.path(), &format!("{what} --catalogue {}", shipped.display()));
    let lines = |run: &Run| -> Vec<Value> {
        run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };

    let types = lines(&run("catalogue list --json"));
    assert!(types.len() >= 60, "{}", types.len());
    let birth = types.iter().find(|one| one["event_type"] == "nl.brp.geboorte").unwrap();
    assert_eq!(lines(&run("catalogue show nl.brp.geboorte --json")), std::slice::from_ref(birth));
    assert_eq!((&birth["owner"], &birth["subject"]), (&REGISTRY.into(), &"bsn".into()));
    assert_eq!((&birth["retention"], &birth["deadline"]), (&"P1Y".into(), &"PT8H".into()));
    assert_eq!(birth["sensitivity"], "personal");
    assert_eq!(birth["schema"]["title"], "Birth");
    let receivers = birth["receive"].as_array().unwrap();
    assert!(receivers.len() > 1, "{birth}");
    let of = |one: &Value, what: &str| one[what].as_str().unwrap().to_owned();
    for grant in receivers.iter().chain(birth["publish"].as_array().unwrap()) {
        assert!(!of(grant, "purpose").is_empty() && !of(grant, "legal_basis").is_empty());
    }

    let shown = run("catalogue show nl.brp.geboorte").out;
    for part in ["1 party may publish it", "Wet BRP", "/geboortedatum", "8 hours", "1 year"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let party = of(&receivers[0], "party");
    let parties = lines(&run("parties list --json"));
    assert!(parties.iter().any(|one| one["oin"] == party.as_str()), "{parties:?}");
    let utrecht = lines(&run("parties show 00000001002220647000 --json")).remove(0);
    let inboxes = utrecht["inboxes"].as_array().unwrap();
    assert!(inboxes.contains(&"00000001002220647000.inwoners".into()), "{inboxes:?}");
    assert!(utrecht["grants"].as_array().unwrap().len() > 5, "{utrecht}");
    assert!(!utrecht["mandates"].as_array().unwrap().is_empty(), "{utrecht}");
    let shown = run("parties show 00000001002220647000").out;
    for part in ["00000001002220647000.inwoners", "Gemeentewet", "may receive", "Munitax"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    // What is not there is told, with where to look.
    let absent = run("catalogue show nl.brp.niets");
    assert!(absent.code == 1 && absent.err.contains("wissel catalogue list"), "{}", absent.err);
    let absent = run("parties show 00000099000000990000");
    assert!(absent.code == 1 && absent.err.contains("wissel parties list"), "{}", absent.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_of_a_gateway_is_shown_and_compared() {
    let _alone = alone().await;
    let gateway = Gateway::start("embedded").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogue.toml");
    fs::write(&file, CATALOGUE).unwrap();
    let file = file.display().to_string();
    let run = |caller: &str, what: &str| {
        wissel(Path::new("."), &format!("{what} --as {caller} --server {}", gateway.url()))
    };
    for what in [
        "catalogue list --json",
        "catalogue show nl.brp.geboorte",
        "parties list",
        "parties show 00000099000000002000 --json",
    ] {
        let asked = run(OPERATOR, what);
        assert_eq!(asked.code, 0, "{what}: {}", asked.err);
        let read = wissel(Path::new("."), &format!("{what} --catalogue {file}"));
        assert!(!read.out.is_empty() && asked.out == read.out, "{what}: {}", asked.out);
    }
    let refused = run(REGISTRY, "catalogue list");
    assert!(refused.code == 1 && refused.err.contains("NOT_GRANTED"), "{}", refused.err);

    let later = directory.path().join("later.toml");
    let before = run(OPERATOR, &format!("catalogue diff {file}"));
    assert!(before.code == 0 && before.out.is_empty(), "{}{}", before.out, before.err);
    fs::write(&later, CATALOGUE.replacen("A birth was registered.", "A birth is known.", 1))
        .unwrap();
    let changed = run(OPERATOR, &format!("catalogue diff {} --json", later.display()));
    assert_eq!(changed.out.lines().count(), 1, "{}{}", changed.out, changed.err);
    assert!(changed.out.contains("nl.brp.geboorte"), "{}", changed.out);
}

/// The first lines that a command prints that goes on until it is stopped.
fn first_lines(command: &mut std::process::Command, count: usize) -> Vec<String> {
    use std::io::{BufRead as _, BufReader};
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines = lines.take(count).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_looks_again_and_speaks_json() {
    let _alone = alone().await;
    let gateway = Gateway::start("embedded").await;
    let receipt = gateway.client(REGISTRY).publish(&event("watched", 1)).await.unwrap();
    let (message, inbox) = (receipt.message_id.to_string(), receipt.inboxes[0].to_string());
    let records = gateway.records_directory().display().to_string();
    let catalogue = shipped().display().to_string();
    let server = ["--as", OPERATOR, "--server", &gateway.url()].map(str::to_owned);
    let asks = |arguments: &[&str]| -> Vec<String> {
        let arguments = arguments.iter().map(ToString::to_string);
        arguments.chain(server.clone()).collect()
    };
    let reads =
        |arguments: &[&str]| -> Vec<String> { arguments.iter().map(ToString::to_string).collect() };
    for arguments in [
        asks(&["status"]),
        asks(&["inboxes", "list"]),
        asks(&["inboxes", "show", &inbox]),
        asks(&["inboxes", "messages", &inbox]),
        asks(&["dead-letters", "list", &inbox]),
        asks(&["subscriptions", "list"]),
        asks(&["subscriptions", "show", &inbox]),
        asks(&["dossier", "show", &message]),
        asks(&["archive", "list"]),
        asks(&["parties", "list"]),
        asks(&["catalogue", "show", "nl.brp.geboorte"]),
        asks(&["cases", "list"]),
        asks(&["audit", "list"]),
        reads(&["audit", "list", "--records", &records]),
        reads(&["parties", "list", "--catalogue", &catalogue]),
        reads(&["catalogue", "list", "--catalogue", &catalogue]),
    ] {
        let command = || {
            let mut command = std::process::Command::new(wissel_binary());
            command.args(&arguments);
            command
        };
        let once = command().arg("--json").output().unwrap();
        assert!(once.status.success(), "{arguments:?}: {once:?}");
        let once: Vec<Value> = String::from_utf8(once.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let again = first_lines(command().args(["--json", "--watch", "0.5"]), 2 * once.len());
        let keys = |value: &Value| -> Vec<String> {
            let fields = value.as_object().map(|fields| fields.keys().cloned().collect());
            fields.unwrap_or_default()
        };
        assert_eq!(again.len(), 2 * once.len(), "{arguments:?}");
        for (line, once) in again.iter().zip(once.iter().cycle()) {
            let again: Value = serde_json::from_str(line).unwrap();
            let is_so = keys(once).iter().all(|key| again.get(key).is_some());
            assert!(is_so || again.get("at").is_some(), "{arguments:?}: {line} and {once}");
        }
        let shown = first_lines(command().args(["--watch", "0.5"]), 3);
        let moments = shown.iter().filter(|line| line.ends_with('Z') && line.len() == 24).count();
        assert!(moments >= 1, "{arguments:?}: {shown:?}");
    }
    // The trail, chosen from.
    let listed = |more: &[&str]| {
        let mut command = std::process::Command::new(wissel_binary());
        let output =
            command.args(["audit", "list", "--records", &records, "--json"]).args(more).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(listed(&[]).contains(r#""operation":"started""#));
    assert!(!listed(&[]).contains(r#""operation":"admission""#));
    let admissions = listed(&["--operation", "admission"]);
    assert!(admissions.contains(&message) && admissions.lines().count() == 1, "{admissions}");
    // A gateway tells the same.
    let asked = |caller: &str, more: &[&str]| {
        let mut command = std::process::Command::new(wissel_binary());
        command.args(["audit", "list", "--json", "--as", caller, "--server", &gateway.url()]);
        let output = command.args(more).output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code().unwrap(), out, err)
    };
    let admitted = ["--operation", "admission", "--since", "1 hour"];
    assert_eq!(asked(OPERATOR, &admitted), (0, listed(&admitted), String::new()));
    assert_eq!(
        asked(OPERATOR, &["--inbox", &inbox, "--limit", "1"]).1,
        listed(&["--inbox", &inbox, "--limit", "1"])
    );
    let (code, _, err) = asked(REGISTRY, &[]);
    assert!(code == 1 && err.contains("NOT_GRANTED"), "{err}");
    assert_eq!(listed(&["--refused"]), "");
    let refused = gateway.client(OPERATOR).publish(&event("refused", 1)).await.unwrap_err();
    assert!(listed(&["--refused", "--limit", "1"]).contains("refused"), "{refused}");
}
