//! How the client commands reach the gateway.

use std::path::Path;

use wissel_client::Client;

use crate::cli::Connection;
use crate::exit::Failure;

/// A client for this connection. Nothing is sent yet.
pub(crate) fn connect(connection: &Connection) -> Result<Client, Failure> {
    let mut builder = Client::builder(&connection.server);
    if let Some(file) = &connection.authorities {
        builder = builder.authorities(read(file)?);
    }
    if let (Some(certificate), Some(key)) = (&connection.cert, &connection.key) {
        builder = builder.certificate(read(certificate)?, read(key)?);
    }
    if let Some(principal) = connection.on_behalf_of {
        builder = builder.on_behalf_of(principal);
    }
    if let Some(file) = &connection.token_file {
        // It is read again at each call; that it is there at all is told now.
        read(file)?;
        builder = builder.token_file(file);
    } else if let Some(caller) = &connection.caller {
        builder = builder.token(format!("dev.{caller}"));
    } else if let Ok(token) = std::env::var("WISSEL_TOKEN") {
        builder = builder.token(token);
    } else if connection.cert.is_none() {
        return Err(Failure::usage(
            "who calls? give --cert and --key, --token-file FILE or WISSEL_TOKEN, or with a \
             gateway of --insecure-dev --as OIN",
        ));
    }
    Ok(builder.connect()?)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}
