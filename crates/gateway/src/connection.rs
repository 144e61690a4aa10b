//! A connection: plain or TLS, and one that can be broken off.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use wissel_identity::{Peer, PeerError, ServerTls};

use crate::calls::Calls;
use crate::handshakes::Handshakes;

/// A connection that breaks when a token is cancelled, since the server knows no other
/// way to leave a peer that reads nothing and never closes.
pub(crate) struct Connection {
    stream: Transport,
    peer: ConnectionInfo,
    broken: Pin<Box<WaitForCancellationFutureOwned>>,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What calls find in their extensions: whom the connection's certificate is of.
#[derive(Clone, Default)]
pub(crate) struct ConnectionInfo(pub(crate) Option<Result<Arc<Peer>, PeerError>>);

/// How long a handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(3);
/// How long the other side has to hear why its handshake failed.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many handshakes are under way at a time; others wait.
const HANDSHAKES_AT_ONCE: usize = 512;

/// Connections that are ready for use. One whose handshake fails is left out; what a
/// client does wrong is no error of the server.
pub(crate) fn connections(
    incoming: impl Stream<Item = io::Result<TcpStream>> + Send,
    tls: Option<Arc<ServerTls>>,
    calls: Arc<Calls>,
    broken: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let handshakes = Arc::new(Handshakes::default());
    let accepted = incoming.map(move |stream| {
        let secured = tls.clone().map(|tls| (tls, Arc::clone(&handshakes)));
        accept(stream, secured, Arc::clone(&calls), broken.clone())
    });
    accepted.buffer_unordered(HANDSHAKES_AT_ONCE).filter_map(std::future::ready)
}

async fn accept(
    stream: io::Result<TcpStream>,
    secured: Option<(Arc<ServerTls>, Arc<Handshakes>)>,
    calls: Arc<Calls>,
    broken: CancellationToken,
) -> Option<io::Result<Connection>> {
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => return Some(Err(error)),
    };
    let broken = Box::pin(broken.cancelled_owned());
    let Some((tls, handshakes)) = secured else {
        let (stream, peer) = (Transport::Plain(stream), ConnectionInfo::default());
        return Some(Ok(Connection { stream, peer, broken }));
    };
    // Who is gone already has no address.
    let address = stream.peer_addr().ok()?.ip();
    let Some(_under_way) = handshakes.begin(address) else {
        calls.unproven.count("TLS handshake: too many at a time with one address");
        return None;
    };
    let handshake = TlsAcceptor::from(tls.config()).accept(stream).into_fallible();
    let stream = match tokio::time::timeout(HANDSHAKE_PATIENCE, handshake).await {
        Ok(Ok(stream)) => stream,
        // Somebody who looks whether the port is open.
        Ok(Err((error, _))) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
        Ok(Err((error, stream))) => {
            calls.unproven.count(&format!("TLS handshake: {error}"));
            let _ = tokio::time::timeout(LAST_WORDS, hang_up(stream)).await;
            return None;
        }
        Err(_) => {
            calls.unproven.count("TLS handshake: it took too long");
            return None;
        }
    };
    let chain = stream.get_ref().1.peer_certificates();
    let peer = chain.map(|chain| Peer::from_chain(chain).map(Arc::new));
    let stream = Transport::Tls(Box::new(stream));
    Some(Ok(Connection { stream, peer: ConnectionInfo(peer), broken }))
}

/// Lets the other side hear why: a connection that is closed with something unread takes
/// with it what was said last.
async fn hang_up(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unread = [0; 1_024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A server always waits for something to read, so this is the place to hear it.
        if self.broken.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.peer.clone()
    }
}
