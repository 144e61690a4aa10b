use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::TestkitError;

/// Stands between a client and RabbitMQ: counts the messages that RabbitMQ sends, and breaks
/// connections, or has them fall silent, when told to.
pub struct Proxy {
    port: u16,
    delivered: Arc<AtomicU64>,
    /// The last thing that was done to all connections. Dropped, it breaks them.
    deeds: watch::Sender<Deed>,
}

/// What is done to all the connections that there are.
#[derive(Clone, Copy)]
enum Deed {
    Break,
    Silence,
}

impl Proxy {
    /// In front of the node of this URL, `amqp://host:port/…`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(url: &str) -> Result<Self, TestkitError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let rest = url.strip_prefix("amqp://").unwrap_or(url);
        let node = rest.split('/').next().unwrap_or(rest).to_owned();
        let delivered = Arc::new(AtomicU64::new(0));
        let (deeds, done) = watch::channel(Deed::Break);
        let counted = Arc::clone(&delivered);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut done = done.clone();
                if done.has_changed().is_err() {
                    return;
                }
                done.mark_unchanged();
                let (node, counted) = (node.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(node).await else { return };
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    let deed = tokio::select! {
                        _ = tokio::io::copy(&mut from_client, &mut to_server) => return,
                        _ = count(&mut from_server, &mut to_client, &counted) => return,
                        deed = done.changed() => deed,
                    };
                    // Open at both ends, and nothing passes.
                    while deed.is_ok() && matches!(*done.borrow(), Deed::Silence) {
                        if done.changed().await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok(Self { port, delivered, deeds })
    }

    /// `amqp://127.0.0.1:port/%2f`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}/%2f", self.port)
    }

    /// How many messages RabbitMQ sent.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Breaks all connections. New ones are made.
    pub fn break_connections(&self) {
        self.deeds.send_replace(Deed::Break);
    }

    /// Nothing passes any more over the connections that there are, and neither end is told,
    /// until they are broken. New ones are made, and work.
    pub fn silence_connections(&self) {
        self.deeds.send_replace(Deed::Silence);
    }
}

/// Passes frames on, and counts those that begin a message.
async fn count(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    delivered: &AtomicU64,
) -> std::io::Result<()> {
    /// The type, the channel and the length of what follows.
    const HEAD: usize = 7;
    const METHOD: u8 = 1;
    const DELIVER: [u8; 4] = [0, 60, 0, 60];
    const GET_OK: [u8; 4] = [0, 60, 0, 71];
    let mut frame = vec![0; HEAD];
    loop {
        frame.truncate(HEAD);
        from.read_exact(&mut frame).await?;
        let length = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]) as usize;
        frame.resize(HEAD + length + 1, 0);
        from.read_exact(&mut frame[HEAD..]).await?;
        let method = frame.get(HEAD..HEAD + 4);
        if frame[0] == METHOD && (method == Some(&DELIVER) || method == Some(&GET_OK)) {
            delivered.fetch_add(1, Ordering::Relaxed);
        }
        to.write_all(&frame).await?;
    }
}
