//! A wire that can be cut: a proxy on loopback.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::plan::Cut;

/// Hands on what comes to a port of its own, and cuts all its connections, or has them fall
/// silent, when it is told to. Its connections end when it is dropped.
pub struct Proxy {
    port: u16,
    wire: Arc<Wire>,
    _accepting: AbortOnDropHandle<()>,
}

/// What all connections of a proxy know.
struct Wire {
    target: u16,
    /// Bytes that are handed on before the cut.
    left: AtomicI64,
    reset: AtomicBool,
    /// How many times it was cut.
    cuts: watch::Sender<u64>,
    /// How many times it fell silent.
    silences: watch::Sender<u64>,
}

/// How long a cut waits for its bytes; then it comes between two frames.
const PATIENCE: Duration = Duration::from_millis(250);
const UNCUT: i64 = i64::MAX;

impl Proxy {
    /// A proxy to this port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(target: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let wire = Arc::new(Wire {
            target,
            left: AtomicI64::new(UNCUT),
            reset: AtomicBool::new(false),
            cuts: watch::Sender::new(0),
            silences: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&wire)));
        Ok(Self { port, wire, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections that there are, within what is sent next. Ends when they are
    /// cut.
    pub async fn cut(&self, cut: Cut) {
        let mut cuts = self.wire.cuts.subscribe();
        self.wire.reset.store(cut.reset, Ordering::SeqCst);
        self.wire.left.store(cut.after_bytes.into(), Ordering::SeqCst);
        if tokio::time::timeout(PATIENCE, cuts.changed()).await.is_err() {
            self.wire.cut();
        }
    }

    /// Nothing passes any more over the connections that there are, and no end is told, until
    /// they are cut. New ones work.
    pub fn silence(&self) {
        self.wire.silences.send_modify(|silences| *silences += 1);
    }
}

async fn accept(listener: TcpListener, wire: Arc<Wire>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(connect(client, Arc::clone(&wire)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(mut client: TcpStream, wire: Arc<Wire>) {
    let (mut cuts, mut silences) = (wire.cuts.subscribe(), wire.silences.subscribe());
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", wire.target)).await else { return };
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let is_cut = tokio::select! {
        biased;
        _ = cuts.changed() => true,
        _ = silences.changed() => cuts.changed().await.is_ok(),
        _ = async {
            tokio::try_join!(
                hand_on(from_client, to_server, &wire),
                hand_on(from_server, to_client, &wire),
            )
        } => false,
    };
    if is_cut && wire.reset.load(Ordering::SeqCst) {
        // Without lingering, closing is a reset.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn hand_on(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, wire: &Wire) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        let allowed = wire.allowed(length);
        to.write_all(&buffer[..allowed]).await?;
        if allowed < length {
            wire.cut();
            // Whoever connected the two ends them. Nothing goes behind what was cut off: no
            // wire has a hole.
            std::future::pending::<()>().await;
        }
    }
}

impl Wire {
    /// How much of what has come is handed on.
    fn allowed(&self, length: usize) -> usize {
        let wanted = i64::try_from(length).unwrap_or(i64::MAX);
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            (left != UNCUT).then(|| left.saturating_sub(wanted).max(0))
        });
        match taken {
            // Nothing is to be cut.
            Err(_) => length,
            Ok(left) => usize::try_from(left.min(wanted)).unwrap_or(0),
        }
    }

    fn cut(&self) {
        self.left.store(UNCUT, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that gives back what it gets.
    async fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reading, mut writing) = stream.split();
                    let _ = tokio::io::copy(&mut reading, &mut writing).await;
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn what_is_cut_ends_after_so_many_bytes_and_new_connections_work() {
        let proxy = Proxy::to(echo().await).await.unwrap();
        for reset in [false, true] {
            let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
            stream.write_all(b"0123456789").await.unwrap();
            let mut whole = [0; 10];
            stream.read_exact(&mut whole).await.unwrap();
            assert_eq!(&whole, b"0123456789");

            // 10 bytes there, and 4 of the 10 back.
            let cut = proxy.cut(Cut { after_bytes: 14, reset });
            let talk = async {
                stream.write_all(b"abcdefghij").await.unwrap();
                let mut rest = Vec::new();
                let ended = stream.read_to_end(&mut rest).await;
                (rest, ended)
            };
            let ((), (rest, ended)) = tokio::join!(cut, talk);
            if reset {
                assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            } else {
                ended.unwrap();
                assert_eq!(rest, b"abcd");
            }
        }
    }

    /// Much waits to be handed on, as after a pause of the gateway.
    #[tokio::test]
    async fn nothing_comes_behind_what_was_cut_off() {
        let sent: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for after_bytes in [10, 20_000, 100_001] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let proxy = Proxy::to(listener.local_addr().unwrap().port()).await.unwrap();
            let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            let talk = async {
                let mut came = Vec::new();
                let _ = tokio::join!(server.write_all(&sent), stream.read_to_end(&mut came));
                came
            };
            let ((), came) = tokio::join!(proxy.cut(Cut { after_bytes, reset: false }), talk);
            assert!(came.len() <= after_bytes as usize, "{} of {after_bytes}", came.len());
            assert!(sent.starts_with(&came), "a hole within {} bytes", came.len());
        }
    }

    #[tokio::test]
    async fn what_falls_silent_stays_open_and_new_connections_work() {
        let proxy = Proxy::to(echo().await).await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
            stream.write_all(b"0").await.unwrap();
            stream.read_exact(&mut [0; 1]).await.unwrap();
            proxy.silence();
            streams.push(stream);
        }
        for stream in &mut streams {
            stream.write_all(b"1").await.unwrap();
            let mut nothing = [0; 1];
            let reading = tokio::time::timeout(PATIENCE, stream.read(&mut nothing));
            assert!(reading.await.is_err(), "nothing comes, not even an end");
        }
        proxy.cut(Cut { after_bytes: 100, reset: false }).await;
        for mut stream in streams {
            // An end, or a reset, as what was sent was not read.
            let ended = stream.read(&mut [0; 1]).await;
            assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        }
    }

    #[tokio::test]
    async fn an_idle_connection_is_cut_all_the_same() {
        let proxy = Proxy::to(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        stream.write_all(b"0").await.unwrap();
        stream.read_exact(&mut [0; 1]).await.unwrap();
        proxy.cut(Cut { after_bytes: 100, reset: false }).await;
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
