use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::{IdentityError, Peer, PeerError};

/// The files that TLS is set up with, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The gateway's certificate, and those that lead to an authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities by which client certificates are trusted.
    pub client_authorities: Vec<PathBuf>,
    /// Revocation lists of those authorities (PEM or DER). When there are any, a client
    /// certificate of which no list says anything is refused, and so is one when its list
    /// is over its own time.
    pub revocation_lists: Vec<PathBuf>,
}

/// Whether a client must have a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// A connection without one is refused.
    Required,
    /// A client without one proves itself in another way.
    Optional,
}

/// TLS for a server that knows its clients by their certificates. What it was set up with
/// can be exchanged while it is in use.
pub struct ServerTls {
    files: TlsFiles,
    clients: ClientCertificates,
    state: ArcSwap<State>,
    generations: AtomicU64,
}

/// What is in force.
struct State {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// No two are alike; from 1.
    generation: u64,
    /// What the files held.
    contents: Vec<Vec<u8>>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file at fault, and why.
    pub fn load(files: TlsFiles, clients: ClientCertificates) -> Result<Self, IdentityError> {
        let contents = read_all(&files)?;
        let state = ArcSwap::from_pointee(State::new(&files, contents, clients, 1)?);
        Ok(Self { files, clients, state, generations: AtomicU64::new(1) })
    }

    /// The configuration of this moment, for the next handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.state.load().config)
    }

    /// Reads the files again. Says whether something changed.
    ///
    /// # Errors
    /// When a file is at fault; what was in force stays.
    pub fn reload(&self) -> Result<bool, IdentityError> {
        let contents = read_all(&self.files)?;
        if contents == self.state.load().contents {
            return Ok(false);
        }
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let state = State::new(&self.files, contents, self.clients, generation)?;
        self.state.store(Arc::new(state));
        Ok(true)
    }

    /// Holds the peer of an open connection against what is in force now. Cheap when
    /// nothing was exchanged since the last time.
    ///
    /// # Errors
    /// When its certificate has expired, was revoked, or is not trusted any more.
    pub fn check_still_valid(&self, peer: &Peer) -> Result<(), PeerError> {
        if SystemTime::now() > peer.not_after() {
            return Err(PeerError::Expired);
        }
        let state = self.state.load();
        if peer.verified_with.load(Ordering::Relaxed) == state.generation {
            return Ok(());
        }
        let (certificate, intermediates) = peer.chain.split_first().ok_or(PeerError::Unreadable)?;
        let verified =
            state.verifier.verify_client_cert(certificate, intermediates, UnixTime::now());
        verified.map_err(|_| PeerError::Revoked)?;
        peer.verified_with.store(state.generation, Ordering::Relaxed);
        Ok(())
    }
}

impl State {
    fn new(
        files: &TlsFiles,
        contents: Vec<Vec<u8>>,
        clients: ClientCertificates,
        generation: u64,
    ) -> Result<Self, IdentityError> {
        let mut parts = contents.iter();
        let mut next = || parts.next().map(Vec::as_slice).unwrap_or_default();
        let certificates = certificates(&files.certificate, next())?;
        let key = PrivateKeyDer::from_pem_slice(next())
            .map_err(|_| IdentityError::content(&files.key, "expected a private key in PEM"))?;
        let mut roots = RootCertStore::empty();
        for path in &files.client_authorities {
            for authority in self::certificates(path, next())? {
                roots.add(authority)?;
            }
        }
        let mut lists = Vec::new();
        for path in &files.revocation_lists {
            lists.extend(revocation_lists(path, next())?);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = if roots.is_empty() {
            WebPkiClientVerifier::no_client_auth()
        } else {
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .with_crls(lists)
                    .only_check_end_entity_revocation()
                    .enforce_revocation_expiration();
            match clients {
                ClientCertificates::Required => builder.build()?,
                ClientCertificates::Optional => builder.allow_unauthenticated().build()?,
            }
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(certificates, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Who comes back is looked at again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), verifier, generation, contents })
    }
}

/// What each file holds, in the order of [`State::new`].
fn read_all(files: &TlsFiles) -> Result<Vec<Vec<u8>>, IdentityError> {
    let TlsFiles { certificate, key, client_authorities, revocation_lists } = files;
    let all = [certificate, key].into_iter().chain(client_authorities).chain(revocation_lists);
    all.map(|path| std::fs::read(path).map_err(IdentityError::of(path))).collect()
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let wrong = || IdentityError::content(path, "expected one or more certificates in PEM");
    let all: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| wrong())?;
    if all.is_empty() { Err(wrong()) } else { Ok(all) }
}

fn revocation_lists(
    path: &Path,
    content: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, IdentityError> {
    use x509_parser::prelude::{CertificateRevocationList, FromDer as _};
    let of_pem = CertificateRevocationListDer::pem_slice_iter(content);
    let mut lists: Vec<_> = of_pem.filter_map(Result::ok).collect();
    if lists.is_empty() {
        lists.push(CertificateRevocationListDer::from(content.to_vec()));
    }
    for list in &lists {
        let (_, parsed) = CertificateRevocationList::from_der(list).map_err(|_| {
            IdentityError::content(path, "expected a revocation list in PEM or DER")
        })?;
        let Some(next_update) = parsed.next_update() else { continue };
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        let day = 24 * 60 * 60;
        if next_update.timestamp() < now + day {
            let (file, until) = (path.display(), next_update.to_string());
            tracing::warn!(
                %file, %until,
                "a revocation list is over, or within a day: then its authority's clients are refused"
            );
        }
    }
    Ok(lists)
}
