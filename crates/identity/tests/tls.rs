//! Certificates over real connections on a loopback address.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wissel_identifiers::Oin;
use wissel_identity::{
    ClientCertificates, DevAuthority, IdentityError, Peer, PeerError, ServerTls, Speaks, TlsFiles,
    Validity,
};

const UTRECHT: &str = "00000001002220647000";

struct World {
    directory: TempDir,
    authority: DevAuthority,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = DevAuthority::create(directory.path()).unwrap();
        authority.issue_server(&["localhost".to_owned()], "gateway", Validity::default()).unwrap();
        Self { directory, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.path("gateway.pem"),
            key: self.path("gateway.key"),
            client_authorities: vec![self.path("ca.pem")],
            revocation_lists: vec![self.path("crl.pem")],
        }
    }

    fn server(&self, clients: ClientCertificates) -> Arc<ServerTls> {
        Arc::new(ServerTls::load(self.files(), clients, Speaks::Http2).unwrap())
    }

    fn party(&self, name: &str, validity: Validity) -> PathBuf {
        self.authority.issue_party(&oin(), name, validity).unwrap()
    }
}

fn oin() -> Oin {
    UTRECHT.parse().unwrap()
}

/// What the server makes of a client: the peer, or why the handshake failed.
type Met = Result<Option<Result<Peer, PeerError>>, String>;

async fn meet(server: &ServerTls, authority: &Path, certificate: Option<&Path>) -> Met {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(server.config());
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.map_err(|error| error.to_string())?;
        let chain = stream.get_ref().1.peer_certificates().map(<[_]>::to_vec);
        stream.write_all(b"!").await.map_err(|error| error.to_string())?;
        stream.shutdown().await.map_err(|error| error.to_string())?;
        Ok(chain.map(|chain| Peer::from_chain(&chain)))
    });
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_file_iter(authority).unwrap() {
        roots.add(one.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let chain = CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_file(path.with_extension("key")).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    if let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        let _ = stream.read(&mut [0; 1]).await;
    }
    serving.await.unwrap()
}

#[tokio::test]
async fn a_party_is_known_by_the_oin_in_its_certificate() {
    let world = World::new();
    let server = world.server(ClientCertificates::Required);
    let certificate = world.party("utrecht", Validity::default());
    let met = meet(&server, &world.path("ca.pem"), Some(&certificate)).await.unwrap();
    let peer = met.unwrap().unwrap();
    assert_eq!(peer.oin(), oin());
    assert_eq!(server.check_still_valid(peer.proof()), Ok(()));
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_refused() {
    let world = World::new();
    let server = world.server(ClientCertificates::Required);
    let stranger = World::new();
    let hour = Duration::from_secs(3_600);
    let over = Validity { since: 2 * hour, lasts: hour };
    let future = Validity { since: Duration::ZERO, lasts: hour };
    let revoked = world.party("revoked", Validity::default());
    world.authority.revoke(&revoked).unwrap();
    assert!(server.reload().unwrap());
    let server_certificate = world.path("gateway.pem");
    let good = world.party("good", future);
    for (what, certificate, expected) in [
        ("none", None, "sent no certificates"),
        ("of another authority", Some(stranger.party("x", Validity::default())), "BadSignature"),
        ("expired", Some(world.party("expired", over)), "xpired"),
        ("revoked", Some(revoked), "Revoked"),
        ("of a server", Some(server_certificate), "extended key usage"),
    ] {
        let met = meet(&server, &world.path("ca.pem"), certificate.as_deref()).await;
        let refused = met.unwrap_err();
        assert!(refused.contains(expected), "{what}: {refused}");
    }
    assert!(meet(&server, &world.path("ca.pem"), Some(&good)).await.is_ok());
}

#[tokio::test]
async fn a_certificate_without_an_oin_names_nobody() {
    let world = World::new();
    let server = world.server(ClientCertificates::Required);
    for (name, numbers, expected) in [
        ("none", &[][..], "has no OIN"),
        ("wrong", &["123"][..], "is no OIN: an OIN has 20 positions"),
        ("bsn", &["999990019"][..], "is no OIN"),
    ] {
        let certificate = world.authority.issue_client(numbers, name, Validity::default()).unwrap();
        let met = meet(&server, &world.path("ca.pem"), Some(&certificate)).await.unwrap();
        let error = met.unwrap().unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("999990019"), "{error}");
    }
}

#[tokio::test]
async fn where_it_is_optional_a_client_may_have_none_and_not_a_wrong_one() {
    let world = World::new();
    let server = world.server(ClientCertificates::Optional);
    assert!(meet(&server, &world.path("ca.pem"), None).await.unwrap().is_none());
    let stranger = World::new().party("x", Validity::default());
    if stranger.exists() {
        assert!(meet(&server, &world.path("ca.pem"), Some(&stranger)).await.is_err());
    }
}

#[tokio::test]
async fn an_open_connection_ends_to_be_valid_when_its_certificate_is_revoked() {
    let world = World::new();
    let server = world.server(ClientCertificates::Required);
    let certificate = world.party("utrecht", Validity::default());
    let other = world.party("other", Validity::default());
    let ca = world.path("ca.pem");
    let peer = meet(&server, &ca, Some(&certificate)).await.unwrap().unwrap().unwrap();
    let spared = meet(&server, &ca, Some(&other)).await.unwrap().unwrap().unwrap();
    world.authority.revoke(&certificate).unwrap();
    assert_eq!(server.check_still_valid(peer.proof()), Ok(()), "nothing was read again yet");
    assert!(server.reload().unwrap());
    assert!(!server.reload().unwrap(), "nothing changed");
    assert_eq!(server.check_still_valid(peer.proof()), Err(PeerError::Revoked));
    assert_eq!(server.check_still_valid(spared.proof()), Ok(()));
    // A second one is added to the list, and the first stays on it.
    world.authority.revoke(&other).unwrap();
    assert!(server.reload().unwrap());
    assert_eq!(server.check_still_valid(peer.proof()), Err(PeerError::Revoked));
    assert_eq!(server.check_still_valid(spared.proof()), Err(PeerError::Revoked));
}

#[tokio::test]
async fn a_new_certificate_comes_into_force_and_a_broken_one_does_not() {
    let world = World::new();
    let server = world.server(ClientCertificates::Optional);
    let ca = world.path("ca.pem");
    let (certificate, key) = (world.path("gateway.pem"), world.path("gateway.key"));
    std::fs::write(&certificate, "no certificate").unwrap();
    let error = server.reload().unwrap_err();
    assert!(
        matches!(&error, IdentityError::Content { path, .. } if *path == certificate),
        "{error}"
    );
    assert!(meet(&server, &ca, None).await.is_ok(), "the old one stays");

    // One of another authority: who trusts only the first does not connect any more.
    let renewed = World::new();
    std::fs::copy(renewed.path("gateway.pem"), &certificate).unwrap();
    std::fs::copy(renewed.path("gateway.key"), &key).unwrap();
    assert!(server.reload().unwrap());
    assert!(meet(&server, &renewed.path("ca.pem"), None).await.is_ok());
    assert!(meet(&server, &ca, None).await.is_err());
}

#[test]
fn an_authority_is_made_once_and_its_keys_are_kept_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    assert!(DevAuthority::create(world.directory.path()).is_err());
    world.party("utrecht", Validity::default());
    assert!(world.authority.issue_party(&oin(), "utrecht", Validity::default()).is_err());
    assert!(world.authority.issue_party(&oin(), "../x", Validity::default()).is_err());
    for key in ["ca.key", "utrecht.key", "gateway.key"] {
        let mode = std::fs::metadata(world.path(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let again = DevAuthority::open(world.directory.path()).unwrap();
    again.issue_party(&oin(), "second", Validity::default()).unwrap();
}
