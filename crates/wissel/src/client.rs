//! How the client commands reach the gateway.

use wissel_client::Client;

use crate::cli::Connection;
use crate::exit::Failure;

/// A client for this connection. Nothing is sent yet.
pub(crate) fn connect(connection: &Connection) -> Result<Client, Failure> {
    let mut builder = Client::builder(&connection.server);
    if let Some(file) = &connection.token_file {
        builder = builder.token_file(file);
    } else if let Some(caller) = &connection.caller {
        builder = builder.token(format!("dev.{caller}"));
    } else if let Ok(token) = std::env::var("WISSEL_TOKEN") {
        builder = builder.token(token);
    } else {
        return Err(Failure::usage(
            "who calls? give --as OIN (or --as operator), --token-file FILE, or WISSEL_TOKEN",
        ));
    }
    Ok(builder.connect()?)
}
