//! How the client commands reach the gateway.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wissel_client::{Client, ClientBuilder, ClientError, RetryPolicy, TraceContext};

use crate::cli::{Connection, Credentials};
use crate::exit::Failure;
use crate::output;

/// How long making one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What says who calls.
pub(crate) const WHO: &str = "give --cert and --key, --token-file FILE or WISSEL_TOKEN, or with a \
     gateway of --insecure-dev --as OIN";

/// The gateway that is called: a command calls one, and what is wrong with it may be found out
/// at any call.
static CALLED: OnceLock<String> = OnceLock::new();

/// The address of the gateway that this command calls.
pub(crate) fn called() -> &'static str {
    CALLED.get().map_or("--server", String::as_str)
}

/// A client for this connection, which tries again. Nothing is sent yet.
pub(crate) fn connect(connection: &Connection) -> Result<Client, Failure> {
    // Who looks again and again tells at once that nobody answers.
    if output::is_kept() {
        return build(connection, RetryPolicy::never());
    }
    let server = connection.server.clone();
    let told = AtomicBool::new(false);
    let retry = RetryPolicy::default().on_failure(move |error| {
        if !told.swap(true, Ordering::Relaxed) {
            output::note(&match error.refusal() {
                Some(_) => format!("refused for now: {error}; trying again"),
                None => format!("{server} does not answer yet; trying again: {error}"),
            });
        }
    });
    build(connection, retry)
}

/// The same, whose calls stand there in a trace, if anywhere.
pub(crate) fn connect_in(
    trace: Option<TraceContext>,
    connection: &Connection,
) -> Result<Client, Failure> {
    let client = connect(connection)?;
    Ok(trace.map(|trace| client.in_trace(trace)).unwrap_or(client))
}

/// A client that says at once when the gateway does not answer, for who wants to know just
/// that, or asks again anyway.
pub(crate) fn connect_without_retries(connection: &Connection) -> Result<Client, Failure> {
    build(connection, RetryPolicy::never())
}

/// A client for this connection that calls as a party, with a development token.
pub(crate) fn connect_as(connection: &Connection, caller: &str) -> Result<Client, Failure> {
    let builder = begin(connection, RetryPolicy::default());
    let builder = match &connection.credentials.authorities {
        Some(file) => builder.authorities(read(file)?),
        None => builder,
    };
    finish(builder.token(format!("dev.{caller}")), connection)
}

fn begin(connection: &Connection, retry: RetryPolicy) -> ClientBuilder {
    let _ = CALLED.set(connection.server.clone());
    Client::builder(&connection.server).retry(retry)
}

/// The client, or which option keeps it from being made.
fn finish(builder: ClientBuilder, connection: &Connection) -> Result<Client, Failure> {
    builder.connect().map_err(|error| wrong_option(&error, connection))
}

fn wrong_option(error: &ClientError, connection: &Connection) -> Failure {
    let ClientError::InvalidArgument { argument, message } = error else {
        return Failure::usage(error);
    };
    let file = |file: &Option<PathBuf>| {
        file.as_ref().map(|file| file.display().to_string()).unwrap_or_default()
    };
    let Credentials { cert, key, authorities, .. } = &connection.credentials;
    let (cert, key, authorities) = (file(cert), file(key), file(authorities));
    match *argument {
        "endpoint" => Failure::usage(format!("--server {}: {message}", connection.server)),
        "authorities" => Failure::usage(format!("--ca {authorities}: {message}")),
        "certificate" => Failure::usage(format!("--cert {cert}: {message}")),
        "key" => Failure::usage(format!("--key {key}: {message}")),
        "certificate and key" => {
            Failure::usage(format!("--key {key} does not belong to --cert {cert}"))
        }
        _ => Failure::usage(error),
    }
}

fn build(connection: &Connection, retry: RetryPolicy) -> Result<Client, Failure> {
    let mut builder = begin(connection, retry);
    if let Some(timeout) = connection.timeout() {
        builder = builder.call_timeout(timeout).connect_timeout(timeout.min(CONNECT_TIMEOUT));
    }
    if let Some(file) = &connection.credentials.authorities {
        builder = builder.authorities(read(file)?);
    }
    if let (Some(certificate), Some(key)) =
        (&connection.credentials.cert, &connection.credentials.key)
    {
        builder = builder.certificate(read(certificate)?, read(key)?);
    }
    if let Some(principal) = connection.on_behalf_of {
        builder = builder.on_behalf_of(principal);
    }
    if let Some(file) = &connection.credentials.token_file {
        // It is read again at each call; that it is there at all is told now.
        read(file)?;
        builder = builder.token_file(file);
    } else if let Some(caller) = &connection.credentials.caller {
        builder = builder.token(format!("dev.{caller}"));
    } else if let Ok(token) = std::env::var("WISSEL_TOKEN") {
        builder = builder.token(token);
    } else if connection.credentials.cert.is_none() {
        return Err(Failure::usage(format!("who calls? {WHO}")));
    }
    finish(builder, connection)
}

impl Connection {
    /// Whether nothing says who calls.
    pub(crate) fn is_anonymous(&self) -> bool {
        let Credentials { caller, cert, token_file, .. } = &self.credentials;
        let is_given = caller.is_some() || cert.is_some() || token_file.is_some();
        !is_given && std::env::var_os("WISSEL_TOKEN").is_none()
    }

    /// How long a gateway that does not answer is tried, when that is said.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_secs)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use wissel_identity::{DevAuthority, Validity};

    use super::*;

    #[tokio::test]
    async fn an_option_that_is_wrong_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let authority = DevAuthority::create(directory.path()).unwrap();
        let oin = "00000001002220647000".parse().unwrap();
        for name in ["one", "other"] {
            authority.issue_party(&oin, name, Validity::default()).unwrap();
        }
        let told = |server: &str, ca: &str, cert: &str, key: &str| {
            let credentials = Credentials {
                caller: None,
                cert: Some(path(cert)),
                key: Some(path(key)),
                authorities: Some(path(ca)),
                token_file: None,
            };
            let server = server.to_owned();
            let connection = Connection { server, credentials, on_behalf_of: None, timeout: None };
            connect(&connection).map(drop).map_err(|failure| failure.message().to_owned())
        };
        let server = "https://localhost:7400";
        let named = |option: &str, name: &str| format!("{option} {}", path(name).display());
        assert_eq!(told(server, "ca.pem", "one.pem", "one.key"), Ok(()));
        for (outcome, expected) in [
            (
                told("127.0.0.1:7400", "ca.pem", "one.pem", "one.key"),
                "--server 127.0.0.1:7400: expected https://".to_owned(),
            ),
            (
                told(server, "one.key", "one.pem", "one.key"),
                named("--ca", "one.key") + ": no certificate in it; expected PEM",
            ),
            (
                told(server, "ca.pem", "one.pem", "other.key"),
                named("--key", "other.key") + &named(" does not belong to --cert", "one.pem"),
            ),
            (
                told(server, "ca.pem", "one.key", "one.key"),
                named("--cert", "one.key") + ": no certificate in it; expected PEM",
            ),
            (
                told(server, "ca.pem", "one.pem", "one.pem"),
                named("--key", "one.pem") + ": no private key in it; expected one in PEM",
            ),
        ] {
            let error = outcome.unwrap_err();
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
