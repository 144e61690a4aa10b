//! How visitors come in: plain or over TLS, so many at a time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;
use wissel_identity::{ProvenChain, ServerTls};

/// The most connections at a time; others wait.
const CONNECTIONS: usize = 512;
/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A listener of the console.
pub(crate) struct Entrance {
    address: SocketAddr,
    coming: mpsc::Receiver<(Connection, Visitor)>,
    _accepting: AbortOnDropHandle<()>,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) address: IpAddr,
    /// The certificate that they proved themselves with, if any.
    pub(crate) certificate: Option<Arc<ProvenChain>>,
}

/// A connection; it counts until it is dropped.
pub(crate) struct Connection {
    stream: Transport,
    _counted: OwnedSemaphorePermit,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Entrance {
    /// Lets in who comes, over TLS when there is some.
    pub(crate) fn open(listener: TcpListener, tls: Option<Arc<ServerTls>>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (ready, coming) = mpsc::channel(1);
        let accepting = tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(CONNECTIONS));
            loop {
                let Ok(counted) = Arc::clone(&room).acquire_owned().await else { return };
                let (stream, from) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "the console cannot take a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let (ready, tls) = (ready.clone(), tls.clone());
                tokio::spawn(async move {
                    let Some((stream, certificate)) = secured(stream, tls).await else { return };
                    let visitor = Visitor { address: from.ip(), certificate };
                    let _ = ready.send((Connection { stream, _counted: counted }, visitor)).await;
                });
            }
        });
        Ok(Self { address, coming, _accepting: AbortOnDropHandle::new(accepting) })
    }
}

/// The connection, and whom its certificate is of; none when the handshake fails.
async fn secured(
    stream: TcpStream,
    tls: Option<Arc<ServerTls>>,
) -> Option<(Transport, Option<Arc<ProvenChain>>)> {
    let Some(tls) = tls else { return Some((Transport::Plain(stream), None)) };
    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
    let stream = match tokio::time::timeout(PATIENCE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake with the console");
            return None;
        }
        Err(_) => return None,
    };
    let chain = stream.get_ref().1.peer_certificates();
    let certificate = chain.and_then(|chain| ProvenChain::from_chain(chain).ok());
    Some((Transport::Tls(Box::new(stream)), certificate.map(Arc::new)))
}

impl Listener for Entrance {
    type Io = Connection;
    type Addr = Visitor;

    async fn accept(&mut self) -> (Connection, Visitor) {
        match self.coming.recv().await {
            Some(coming) => coming,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Visitor> {
        Ok(Visitor { address: self.address.ip(), certificate: None })
    }
}

impl Connected<IncomingStream<'_, Entrance>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, Entrance>) -> Self {
        stream.remote_addr().clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
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
}
