//! Whether callers can be known: certificates, keys, revocation lists, tokens.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wissel_identity::{ClientCertificates, End, Part, ServerTls, Speaks};

use super::finding::Findings;
use super::mend;
use crate::cli::ServeArguments;
use crate::config::{Config, Tls};
use crate::output;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// When the alert WisselCertificateEnds tells.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Whether these settings let a gateway start, and know who calls.
pub(super) fn settings(config: &Config, arguments: &ServeArguments, found: &mut Findings) {
    let insecure = arguments.insecure_dev;
    let knows = config.tls.as_ref().is_some_and(|tls| !tls.client_authorities.is_empty());
    let edit = "wissel dev-ca create dev-ca # on a machine of your own";
    match (insecure, knows || config.tokens.is_some()) {
        (true, _) if config.tls.is_some() || config.tokens.is_some() => {
            let section = if config.tls.is_some() { "tls" } else { "tokens" };
            let whence = config.origins.of(section);
            found.error(
                format!("--insecure-dev beside [{section}] ({whence})"),
                "a gateway refuses to start so; leave out one of them",
                mend::with_file("wissel doctor", arguments.config.as_ref()),
            );
        }
        (true, _) => found.note("callers are believed without proof: for development only"),
        (false, false) => found.error(
            "no way to know callers: neither [tls] with client_authorities nor [tokens]",
            "say how callers prove themselves, or use --insecure-dev on a machine of your own",
            edit,
        ),
        (false, true) => {}
    }
    if config.tls.is_none() && !config.listen.ip().is_loopback() {
        found.error(
            config.origins.told(&format!("listen: {} without [tls]", config.listen)),
            "a gateway without TLS serves loopback addresses only; set [tls]",
            edit,
        );
    }
    if !insecure && config.operators.is_empty() {
        found.warning(
            "operators: there are none, so that nobody can mend queues",
            "put the OINs of those who watch in `operators`, and start the gateway again",
            match &arguments.config {
                Some(file) => format!(
                    "editor {} # operators = [\"OIN\"], above the first [section]",
                    file.display()
                ),
                None => "export WISSEL_OPERATORS=OIN # where the gateway is started".to_owned(),
            },
        );
    }
}

/// The files of `[tls]`, and whatever else must stay secret.
pub(super) fn look(config: &Config) -> Findings {
    let mut found = Findings::of("certificates");
    for file in secrets(config) {
        permissions(&file, &mut found);
    }
    if let Some(tls) = &config.console.tls {
        files("[console.tls]", tls, ClientCertificates::Optional, &mut found);
    }
    let Some(tls) = &config.tls else {
        found.note("there is no [tls]: connections are not encrypted");
        return found;
    };
    let clients = if config.tokens.is_some() {
        ClientCertificates::Optional
    } else {
        ClientCertificates::Required
    };
    files("[tls]", tls, clients, &mut found);
    found
}

/// Whether the files of a section go together, and how long they last.
fn files(section: &str, tls: &Tls, clients: ClientCertificates, found: &mut Findings) {
    match ServerTls::load(tls.files(), clients, Speaks::Http2) {
        Ok(loaded) => {
            found.ok(format!("{section}: certificate, key, authorities and lists go together"));
            for end in loaded.ends() {
                time_left(&end, found);
            }
        }
        Err(error) => found.error(
            format!("{section} {error}"),
            "put a certificate, the key that it was made for, and whole files in place; these two \
             print the same when key and certificate belong together",
            format!(
                "openssl x509 -in {} -noout -pubkey; openssl pkey -in {} -pubout",
                tls.certificate.display(),
                tls.key.display()
            ),
        ),
    }
}

fn time_left(end: &End, found: &mut Findings) {
    let End { file, at, part, .. } = end;
    let is_list = *part == Part::RevocationList;
    let (kind, command) =
        if is_list { ("revocation list", "crl") } else { ("certificate", "x509") };
    let (file, until) = (file.display(), output::moment(*at));
    let command = format!("openssl {command} -in {file} -noout -issuer -text");
    let advice =
        "ask its authority for a new one and put it in this place; a gateway reads it by itself";
    let soon = if is_list { DAY } else { SOON };
    match at.duration_since(SystemTime::now()) {
        Err(_) => found.error(format!("{file}: the {kind} is over since {until}"), advice, command),
        Ok(left) => {
            let days = left.as_secs() / DAY.as_secs();
            let what = format!("{file}: the {kind} has {days} days left, until {until}");
            if left < soon { found.warning(what, advice, command) } else { found.ok(what) }
        }
    }
}

/// Files that hold what nobody else may read, as far as they are there.
fn secrets(config: &Config) -> Vec<PathBuf> {
    let in_data_dir = |file: &Option<PathBuf>, name: &str| {
        file.clone().unwrap_or_else(|| config.data_dir.join(name))
    };
    let mut files = vec![
        in_data_dir(&config.audit.subject_key_file, "subjects.key"),
        in_data_dir(&config.exchange.matching_key_file, "matching.keys"),
    ];
    let both = config.tls.iter().chain(&config.console.tls);
    files.extend(both.map(|tls| tls.key.clone()));
    let oidc = config.console.oidc.iter();
    files.extend(oidc.filter_map(|oidc| oidc.client_secret_file.clone()));
    files.extend(config.bus_password_file.clone());
    files.extend(config.exchange.http.iter().filter_map(|http| http.token_file.clone()));
    files.retain(|file| file.exists());
    files
}

fn permissions(file: &Path, found: &mut Findings) {
    let Ok(metadata) = std::fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        found.error(
            format!(
                "{}: mode {mode:03o}, so that others can read or change a secret",
                file.display()
            ),
            "let only the user of the gateway read it",
            format!("chmod 600 {}", file.display()),
        );
    }
}
