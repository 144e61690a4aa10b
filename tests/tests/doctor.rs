//! One thing is broken at a time, and the doctor finds it and says what to do.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use wissel_identity::{DevAuthority, Validity};
use wissel_tests::{CATALOGUE, Gateway, alone, wissel_binary};

/// Settings with which all is well, but for what `more` says; tables come last.
fn settings(here: &Path, more: &str) {
    std::fs::write(here.join("catalogue.toml"), CATALOGUE).unwrap();
    let base = "catalogue = \"catalogue.toml\"\noperators = [\"00000004194049711000\"]\n";
    let (roots, tables) = more.split_once("---").unwrap_or((more, ""));
    let tls = "[tls]\ncertificate = \"ca/gateway.pem\"\nkey = \"ca/gateway.key\"\n\
               client_authorities = [\"ca/ca.pem\"]\nrevocation_lists = [\"ca/crl.pem\"]\n";
    let limits = if tables.contains("[limits]") { "" } else { "[limits]\ndisk_free_bytes = 1\n" };
    std::fs::write(here.join("w.toml"), format!("{base}{roots}\n{tls}{limits}{tables}")).unwrap();
}

/// A directory with an authority and settings with which all is well.
fn well(lasts: Duration) -> (tempfile::TempDir, DevAuthority) {
    let here = tempfile::tempdir().unwrap();
    let authority = DevAuthority::create(&here.path().join("ca")).unwrap();
    let validity = Validity { since: Duration::from_secs(3_600), lasts };
    authority.issue_server(&["localhost".to_owned()], "gateway", validity).unwrap();
    settings(here.path(), "");
    time_service(here.path(), "yes");
    (here, authority)
}

/// Puts a program in place of the system's own `timedatectl`, whose service is none of ours.
fn time_service(here: &Path, says: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let bin = here.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = bin.join("timedatectl");
    std::fs::write(&program, format!("#!/bin/sh\n[ \"$1\" = show ] && echo {says}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn doctor(here: &Path, more: &[&str]) -> (i32, Value) {
    doctor_with(here, more, &[])
}

/// With these variables.
fn doctor_with(here: &Path, more: &[&str], variables: &[(&str, &str)]) -> (i32, Value) {
    let mut command = Command::new(wissel_binary());
    let path = format!("{}:{}", here.join("bin").display(), std::env::var("PATH").unwrap());
    command.args(["doctor", "--json"]).args(more).current_dir(here).env("PATH", path);
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let told = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), told)
}

/// The only finding of this severity: what, advice and command, of this check.
fn only(told: &Value, severity: &str, check: &str) -> String {
    let all = told["findings"].as_array().unwrap();
    let found: Vec<&Value> = all.iter().filter(|one| one["severity"] == severity).collect();
    assert!(found.len() == 1 && found[0]["check"] == check, "{severity} {check}: {told:#}");
    let text = |name: &str| found[0][name].as_str().unwrap().to_owned();
    format!("{} | {} | {}", text("what"), text("advice"), text("command"))
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn nothing_is_wrong_where_all_is_well() {
    let (here, _) = well(YEAR);
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!((code, &told["errors"]), (0, &0.into()), "{told:#}");
}

#[test]
fn certificates_and_keys() {
    let (here, _) = well(Duration::from_secs(60));
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "certificates"), &["gateway.pem", "is over since", "openssl x509"]);

    let (here, _) = well(Duration::from_secs(10 * 24 * 60 * 60));
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert!(code == 0 && told["warnings"].as_u64().unwrap() > 0, "{told:#}");
    let (code, _) = doctor(here.path(), &["--config", "w.toml", "--strict"]);
    assert_eq!(code, 1);

    let (here, authority) = well(YEAR);
    let other = ["localhost".to_owned()];
    authority.issue_server(&other, "other", Validity::default()).unwrap();
    std::fs::copy(here.path().join("ca/other.key"), here.path().join("ca/gateway.key")).unwrap();
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "certificates"), &["KeyMismatch", "belong together", "openssl pkey"]);

    use std::os::unix::fs::PermissionsExt as _;
    let (here, _) = well(YEAR);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(here.path().join("ca/gateway.key"), open.clone()).unwrap();
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "certificates"), &["mode 644", "chmod 600 ca/gateway.key"]);

    // So are those of the console, and its secret at the provider.
    let (here, authority) = well(YEAR);
    let soon = Validity { since: Duration::from_secs(3_600), lasts: Duration::from_secs(86_400) };
    authority.issue_server(&["localhost".to_owned()], "console", soon).unwrap();
    std::fs::write(here.path().join("secret"), "s").unwrap();
    std::fs::set_permissions(here.path().join("secret"), open).unwrap();
    let console = "---[console.tls]\ncertificate = \"ca/console.pem\"\nkey = \"ca/console.key\"\n\
                   [console.oidc]\nissuer = \"https://idp.example\"\nclient_id = \"w\"\n\
                   client_secret_file = \"secret\"\n[console.oidc.roles]\nviewer = [\"all\"]\n";
    settings(here.path(), console);
    let (_, told) = doctor(here.path(), &["--config", "w.toml"]);
    has(&only(&told, "error", "certificates"), &["mode 644", "chmod 600 secret"]);
    let all = told["findings"].as_array().unwrap();
    let warned = |one: &&Value| one["severity"] == "warning" && one["check"] == "certificates";
    let warned: Vec<&Value> = all.iter().filter(warned).collect();
    assert_eq!(warned.len(), 1, "{told:#}");
    has(warned[0]["what"].as_str().unwrap(), &["ca/console.pem", "0 days left"]);
}

#[test]
fn settings_catalogue_and_disk() {
    let (here, _) = well(YEAR);
    settings(here.path(), "nonsense = 1");
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(
        &only(&told, "error", "configuration"),
        &["nonsense", "wissel config show --config w.toml"],
    );

    settings(here.path(), "");
    let wrong = CATALOGUE.replace("description = \"A birth was registered.\"", "");
    std::fs::write(here.path().join("catalogue.toml"), wrong).unwrap();
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    let found = only(&told, "error", "catalogue");
    has(&found, &["description", "wissel catalogue check catalogue.toml"]);

    settings(here.path(), "---[limits]\ndisk_free_bytes = 1152921504606846976\n");
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "disk"), &["MiB free; at least", "lower the mark", "du -xh"]);

    settings(here.path(), "data_dir = \"catalogue.toml\"");
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "disk"), &["cannot be written", "install -d -m 700"]);
}

#[test]
fn what_serve_refuses_the_doctor_finds() {
    let (here, _) = well(YEAR);
    let provider = "[console.oidc]\nissuer = \"https://idp.example\"\nclient_id = \"w\"\n\
                    [console.oidc.roles]\n";
    let service = "[[exchange.http]]\ninbox = \"00000099000000003000.vragen\"\n";
    for (tables, expected) in [
        ("[log]\nfilter = \"info,,=x=y\"\n".to_owned(), "w.toml: log.filter: "),
        ("[tracing]\nsample = 2\n".to_owned(), "w.toml: tracing.sample: 2"),
        ("[tracing]\nendpoint = \"here\"\n".to_owned(), "w.toml: tracing.endpoint: "),
        (format!("[console]\nlisten = \"127.0.0.1:0\"\n{provider}"), "nobody a role"),
        (
            "[console]\nlisten = \"127.0.0.1:0\"\norigin = \"ftp://x\"\n".to_owned(),
            "w.toml: console.origin: ",
        ),
        (format!("{service}url = \"http://registry.example\"\n"), "w.toml: [[exchange.http]] "),
    ] {
        settings(here.path(), &format!("---{tables}"));
        let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
        assert_eq!(code, 1, "{tables}");
        has(&only(&told, "error", "configuration"), &[expected]);
        let mut serve = Command::new(wissel_binary());
        let args = ["serve", "--config", "w.toml", "--listen", "127.0.0.1:0"];
        let refused = serve.args(args).current_dir(here.path()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{tables}");
    }
    let tokens = "---[tokens]\nissuer = \"https://i.example\"\njwks_file = \"absent.json\"\n";
    settings(here.path(), tokens);
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "tokens"), &["[tokens] ", "absent.json"]);
}

/// Faults that settings may have each: what to set, above and in tables; where it is set by a
/// variable; and a part of what is found.
const WRONG: [(&str, (&str, &str), &str, &str); 5] = [
    (
        "---[tracing]\nendpoint = \"here\"\n",
        ("WISSEL_TRACING__ENDPOINT", "here"),
        "configuration",
        "tracing.endpoint: ",
    ),
    (
        "---[console]\nlisten = \"127.0.0.1:0\"\norigin = \"ftp://x\"\n",
        ("WISSEL_CONSOLE__ORIGIN", "ftp://x"),
        "configuration",
        "console.origin: ",
    ),
    (
        "---[tokens]\nissuer = \"https://i.example\"\njwks_file = \"absent.json\"\n",
        ("WISSEL_TOKENS__JWKS_FILE", "absent.json"),
        "tokens",
        "[tokens] ",
    ),
    (
        "bus = \"amqp://u@127.0.0.1:1/v\"\nbus_password_file = \"absent\"",
        ("WISSEL_BUS_PASSWORD_FILE", "absent"),
        "bus",
        "bus_password_file absent: ",
    ),
    (
        "---[limits]\ndisk_free_bytes = 1152921504606846976\n",
        ("WISSEL_LIMITS__DISK_FREE_BYTES", "1152921504606846976"),
        "disk",
        "lower the mark (",
    ),
];

#[test]
fn a_hint_names_the_file_that_was_given() {
    let (here, _) = well(YEAR);
    let file = ["--config", "other.toml"];
    for (more, _, check, part) in WRONG {
        settings(here.path(), more);
        std::fs::rename(here.path().join("w.toml"), here.path().join("other.toml")).unwrap();
        let (_, told) = doctor(here.path(), &file);
        has(&only(&told, "error", check), &[part, "other.toml"]);
        assert!(!told.to_string().contains("wissel.toml"), "{told:#}");
    }
    settings(here.path(), "");
    std::fs::rename(here.path().join("w.toml"), here.path().join("other.toml")).unwrap();
    let (_, told) = doctor(here.path(), &[&file[..], &["--insecure-dev"]].concat());
    let found = only(&told, "error", "configuration");
    has(&found, &["beside [tls] (other.toml)", "wissel doctor --config other.toml"]);
}

#[test]
fn what_a_variable_set_is_told_with_its_name_and_so_is_its_hint() {
    let (here, _) = well(YEAR);
    for (more, (variable, value), check, part) in WRONG {
        // All else that it takes stands in the file.
        let key = variable.rsplit("__").next().unwrap().trim_start_matches("WISSEL_");
        let is_of_key = |line: &&str| !line.starts_with(&key.to_lowercase());
        let more: Vec<&str> = more.split_inclusive('\n').filter(is_of_key).collect();
        settings(here.path(), &more.concat());
        let (code, told) = doctor_with(here.path(), &["--config", "w.toml"], &[(variable, value)]);
        let found = only(&told, "error", check);
        has(&found, &[part]);
        has(&found, &[variable]);
        assert!(code == 1 && !found.contains("w.toml: "), "{found}");
    }
    // Without a file there is none to name.
    let (_, told) = doctor_with(here.path(), &[], &[("WISSEL_TRACING__ENDPOINT", "here")]);
    let all = told["findings"].as_array().unwrap().iter();
    let found: String = all.map(Value::to_string).filter(|one| one.contains("endpoint")).collect();
    has(
        &found,
        &["WISSEL_TRACING__ENDPOINT: tracing.endpoint: ", "export WISSEL_TRACING__ENDPOINT="],
    );
    assert!(!told.to_string().contains("wissel.toml"), "{told:#}");
}

#[test]
fn a_rabbitmq_that_is_not_there_or_says_nothing_does_not_hang_it() {
    let (here, _) = well(YEAR);
    let port = wissel_testkit::free_port().unwrap();
    settings(here.path(), &format!("bus = \"amqp://127.0.0.1:{port}/%2f\""));
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "bus"), &["cannot be reached", "rabbitmq-diagnostics listeners"]);

    // Takes connections, and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    settings(here.path(), &format!("bus = \"amqp://127.0.0.1:{port}/%2f\""));
    let began = Instant::now();
    let (code, told) = doctor(here.path(), &["--config", "w.toml", "--timeout", "2"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(code, 1);
    has(&only(&told, "error", "bus"), &["not done within 2 s", "--timeout"]);
}

#[tokio::test]
async fn a_gateway_that_runs_is_looked_at_and_its_directory_is_in_use() {
    let _alone = alone().await;
    let gateway = Gateway::start("embedded").await;
    let (here, _) = well(YEAR);
    settings(here.path(), &format!("data_dir = {:?}", gateway.data_directory()));
    let server = gateway.url();
    let all = ["--config", "w.toml", "--server", &server, "--as", "operator"];
    let (code, told) = doctor(here.path(), &all);
    assert_eq!(code, 0, "{told:#}");
    let text = told.to_string();
    has(&text, &["a gateway has it open", "fuser -v", "it is ready", "version", "whole, "]);
    has(&text, &["its clock is within a second"]);
    // And one that does not.
    let port = wissel_testkit::free_port().unwrap();
    let gone = format!("http://127.0.0.1:{port}");
    let all = ["--config", "w.toml", "--server", &gone, "--as", "operator", "--timeout", "3"];
    let (code, told) = doctor(here.path(), &all);
    assert_eq!(code, 1);
    has(&only(&told, "error", "gateway"), &["systemctl status wissel"]);
}

#[tokio::test]
async fn rabbitmq_is_tried_with_a_message() {
    let _alone = alone().await;
    let rabbitmq = wissel_testkit::RabbitMq::start().await.unwrap();
    let (here, _) = well(YEAR);
    settings(here.path(), &format!("bus = {:?}", rabbitmq.url()));
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 0, "{told:#}");
    has(&told.to_string(), &["takes messages", "it is RabbitMQ ", "ask its node"]);
    let queues = rabbitmq.control(&["list_queues", "name", "--quiet"]).await.unwrap();
    assert!(!queues.contains("wissel.doctor"), "nothing is left: {queues}");

    let reader = rabbitmq.add_reader("reader", "a-word", "some-queue").await.unwrap();
    settings(here.path(), &format!("bus = {reader:?}"));
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "bus"), &["does not let this user", "rabbitmqctl set_permissions"]);
    assert!(!told.to_string().contains("a-word"), "no password is told");

    // An alarm of memory, for any use is too much.
    rabbitmq.control(&["set_vm_memory_high_watermark", "0.00001"]).await.unwrap();
    settings(here.path(), &format!("bus = {:?}", rabbitmq.url()));
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1);
    has(&only(&told, "error", "bus"), &["takes no messages", "rabbitmq-diagnostics alarms"]);
}

#[test]
fn a_clock_that_nobody_keeps_right_is_told_of() {
    let (here, _) = well(YEAR);
    let clock = |told: &Value| {
        let all = told["findings"].as_array().unwrap().iter();
        let of_clock = all.filter(|one| one["check"] == "clock");
        of_clock.map(Value::to_string).collect::<String>()
    };
    has(&clock(&doctor(here.path(), &["--config", "w.toml"]).1), &["a time service keeps it"]);
    time_service(here.path(), "no");
    let (_, told) = doctor(here.path(), &["--config", "w.toml"]);
    has(&clock(&told), &["warning", "no time service", "timedatectl set-ntp true"]);
    time_service(here.path(), "");
    let (_, told) = doctor(here.path(), &["--config", "w.toml"]);
    has(&clock(&told), &["not known here"]);
}

#[test]
fn what_was_written_in_the_future_and_a_catalogue_that_does_not_cohere_are_found() {
    let (here, _) = well(YEAR);
    let data = here.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let store = std::fs::File::create(data.join("control.sqlite")).unwrap();
    store.set_modified(std::time::SystemTime::now() + Duration::from_secs(3_600)).unwrap();
    let (code, told) = doctor(here.path(), &["--config", "w.toml"]);
    assert_eq!(code, 1, "{told:#}");
    has(&only(&told, "error", "clock"), &["control.sqlite", "to come", "timedatectl"]);
    has(&told.to_string(), &["nobody has a grant to receive event type nl.brp.overlijden"]);
}
