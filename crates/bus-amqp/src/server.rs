//! What a server says that it is, before anybody signs in.

use std::io;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use lapin::protocol::{AMQPClass, connection, parse_class};
use lapin::tcp::AMQPUriTcpExt as _;
use lapin::types::AMQPValue;
use lapin::uri::AMQPUri;

/// AMQP 0-9-1, section 4.2.2.
const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// Type (1 byte), channel (2), size (4).
const FRAME_HEADER: usize = 7;
/// More than a server tells of itself.
const FRAME_MAX: u32 = 128 << 10;

/// What a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// What it is called, such as `RabbitMQ`.
    pub product: String,
    /// Its version, such as `3.10.8`.
    pub version: String,
}

impl Server {
    /// The oldest RabbitMQ that Wissel is tried on.
    pub const OLDEST: (u32, u32) = (3, 10);

    /// Whether it is a RabbitMQ as old as [`Server::OLDEST`] or newer.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        let mut numbers = self.version.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            return false;
        };
        self.product == "RabbitMQ" && (major, minor) >= Self::OLDEST
    }
}

/// Asks it by a connection of its own, which the client that Wissel uses does not tell of.
pub(crate) async fn ask(uri: &AMQPUri) -> io::Result<Server> {
    let runtime = lapin::runtime::default_runtime().map_err(io::Error::other)?;
    let mut stream = uri.connect_async(&runtime).await?;
    stream.write_all(PROTOCOL_HEADER).await?;
    stream.flush().await?;
    let mut header = [0; FRAME_HEADER];
    stream.read_exact(&mut header).await?;
    let size = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
    if size > FRAME_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut payload = Vec::new();
    (&mut stream).take(size.into()).read_to_end(&mut payload).await?;
    read(&payload).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// None when it is no `connection.start`, or does not say.
fn read(payload: &[u8]) -> Option<Server> {
    let (_, class) = parse_class(payload).ok()?;
    let AMQPClass::Connection(connection::AMQPMethod::Start(start)) = class else { return None };
    let said = |name: &str| match start.server_properties.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    };
    Some(Server { product: said("product")?, version: said("version")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_held_against_the_oldest() {
        for (product, version, is_supported) in [
            ("RabbitMQ", "3.10.8", true),
            ("RabbitMQ", "4.0.5+deb13", true),
            ("RabbitMQ", "3.9.29", false),
            ("RabbitMQ", "new", false),
            ("LavinMQ", "4.0.0", false),
        ] {
            let server = Server { product: product.to_owned(), version: version.to_owned() };
            assert_eq!(server.is_supported(), is_supported, "{server:?}");
        }
    }

    #[test]
    fn what_is_no_start_is_nothing() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[0, 10, 0, 10, 0, 9]), None);
        // connection.close-ok
        assert_eq!(read(&[0, 10, 0, 51]), None);
    }

    #[tokio::test]
    async fn a_real_server_says_what_it_is() {
        let rabbitmq = wissel_testkit::RabbitMq::start().await.unwrap();
        let server = ask(&rabbitmq.url().parse().unwrap()).await.unwrap();
        assert!(server.is_supported(), "{server:?}");
    }
}
