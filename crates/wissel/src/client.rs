//! How the client commands reach the gateway.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wissel_client::{Client, RetryPolicy, TraceContext};

use crate::cli::Connection;
use crate::exit::Failure;
use crate::output;

/// How long making one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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
            output::note(&format!("{server} does not answer yet; trying again: {error}"));
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
    let builder = Client::builder(&connection.server).retry(RetryPolicy::default());
    let builder = match &connection.credentials.authorities {
        Some(file) => builder.authorities(read(file)?),
        None => builder,
    };
    Ok(builder.token(format!("dev.{caller}")).connect()?)
}

fn build(connection: &Connection, retry: RetryPolicy) -> Result<Client, Failure> {
    let mut builder = Client::builder(&connection.server).retry(retry);
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
        return Err(Failure::usage(
            "who calls? give --cert and --key, --token-file FILE or WISSEL_TOKEN, or with a \
             gateway of --insecure-dev --as OIN",
        ));
    }
    Ok(builder.connect()?)
}

impl Connection {
    /// How long a gateway that does not answer is tried, when that is said.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_secs)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}
