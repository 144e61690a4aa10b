use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CertificateError, Error, RootCertStore, ServerConfig};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::{IdentityError, PeerError, ProvenChain};

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

/// When what a file holds is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The file.
    pub file: PathBuf,
    /// When the first of its certificates or lists is over.
    pub at: SystemTime,
    /// What it holds.
    pub part: Part,
    /// Which of the files that hold that, from 1; 0 where there is one.
    pub number: u32,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate of the server.
    Certificate,
    /// Authorities that clients are known by.
    Authority,
    /// Revocation lists.
    RevocationList,
}

/// What is spoken over a connection (ALPN, RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/2, as gRPC does.
    Http2,
    /// HTTP/1.1.
    Http1,
}

/// TLS for a server that knows its clients by their certificates. What it was set up with
/// can be exchanged while it is in use.
pub struct ServerTls {
    files: TlsFiles,
    clients: ClientCertificates,
    speaks: Speaks,
    state: ArcSwap<State>,
    generations: AtomicU64,
}

/// What is in force.
struct State {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// When the first of the revocation lists is over.
    lists_until: Option<SystemTime>,
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
    pub fn load(
        files: TlsFiles,
        clients: ClientCertificates,
        speaks: Speaks,
    ) -> Result<Self, IdentityError> {
        let contents = read_all(&files)?;
        let state = ArcSwap::from_pointee(State::new(&files, contents, clients, speaks, 1)?);
        let tls = Self { files, clients, speaks, state, generations: AtomicU64::new(1) };
        tls.warn_of_old_lists();
        Ok(tls)
    }

    /// The configuration of this moment, for the next handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.state.load().config)
    }

    /// Warns when a revocation list is over, or will be within a day.
    pub fn warn_of_old_lists(&self) {
        let soon = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
        if let Some(until) = self.state.load().lists_until
            && until < soon
        {
            let seconds_left =
                until.duration_since(SystemTime::now()).unwrap_or_default().as_secs();
            tracing::warn!(
                seconds_left,
                "a revocation list is over, or within a day: then its authority's clients are refused"
            );
        }
    }

    /// When each file ends that is in force: certificate, authorities, revocation lists.
    #[must_use]
    pub fn ends(&self) -> Vec<End> {
        let TlsFiles { certificate, key, client_authorities, revocation_lists } = &self.files;
        let own = [certificate, key].map(|file| (file, Part::Certificate, 0)).into_iter();
        let authorities = client_authorities.iter().zip(1..);
        let authorities = authorities.map(|(file, number)| (file, Part::Authority, number));
        let lists = revocation_lists.iter().zip(1..);
        let lists = lists.map(|(file, number)| (file, Part::RevocationList, number));
        let files = own.chain(authorities).chain(lists);
        let state = self.state.load();
        let mut ends = Vec::new();
        for ((file, part, number), content) in files.zip(&state.contents) {
            let mut at = None;
            if part != Part::RevocationList {
                at = first_end(content);
            } else if self::revocation_lists(file, content, &mut at).is_err() {
                continue;
            }
            ends.extend(at.map(|at| End { file: file.clone(), at, part, number }));
        }
        ends
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
        let state = State::new(&self.files, contents, self.clients, self.speaks, generation)?;
        self.state.store(Arc::new(state));
        self.warn_of_old_lists();
        Ok(true)
    }

    /// Holds the peer of an open connection against what is in force now. Cheap when
    /// nothing was exchanged since the last time, and no revocation list is over.
    ///
    /// # Errors
    /// When its certificate has expired, was revoked, or is not trusted any more; when the
    /// revocation list that would say so is over.
    pub fn check_still_valid(&self, peer: &ProvenChain) -> Result<(), PeerError> {
        self.check_at(peer, SystemTime::now())
    }

    fn check_at(&self, peer: &ProvenChain, now: SystemTime) -> Result<(), PeerError> {
        if now > peer.not_after() {
            return Err(PeerError::Expired);
        }
        let state = self.state.load();
        let a_list_is_over = state.lists_until.is_some_and(|until| until < now);
        if !a_list_is_over && peer.verified_with.load(Ordering::Relaxed) == state.generation {
            return Ok(());
        }
        let (certificate, intermediates) = peer.chain.split_first().ok_or(PeerError::Unreadable)?;
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(since_1970);
        let verified = state.verifier.verify_client_cert(certificate, intermediates, now);
        verified.map_err(|error| match error {
            // The list of its authority, and not that of another.
            Error::InvalidCertificate(
                CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. },
            ) => PeerError::RevocationListOver,
            _ => PeerError::Revoked,
        })?;
        peer.verified_with.store(state.generation, Ordering::Relaxed);
        Ok(())
    }
}

impl State {
    fn new(
        files: &TlsFiles,
        contents: Vec<Vec<u8>>,
        clients: ClientCertificates,
        speaks: Speaks,
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
        let (mut lists, mut lists_until) = (Vec::new(), None);
        for path in &files.revocation_lists {
            lists.extend(revocation_lists(path, next(), &mut lists_until)?);
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
        config.alpn_protocols = vec![speaks.protocol().to_vec()];
        // Who comes back is looked at again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), verifier, lists_until, generation, contents })
    }
}

impl Speaks {
    fn protocol(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
        }
    }
}

/// When the first of some certificates ends.
fn first_end(pem: &[u8]) -> Option<SystemTime> {
    let all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    let ends = all.filter_map(|certificate| {
        let (_, parsed) = X509Certificate::from_der(&certificate).ok()?;
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    });
    ends.min()
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

/// The lists of a file. Moves `first_over` to when the first of them is over.
fn revocation_lists(
    path: &Path,
    content: &[u8],
    first_over: &mut Option<SystemTime>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, IdentityError> {
    let of_pem = CertificateRevocationListDer::pem_slice_iter(content);
    let mut lists: Vec<_> = of_pem.filter_map(Result::ok).collect();
    if lists.is_empty() {
        lists.push(CertificateRevocationListDer::from(content.to_vec()));
    }
    for list in &lists {
        let (_, parsed) = CertificateRevocationList::from_der(list).map_err(|_| {
            IdentityError::content(path, "expected a revocation list in PEM or DER")
        })?;
        if let Some(next_update) = parsed.next_update() {
            let seconds = u64::try_from(next_update.timestamp()).unwrap_or_default();
            let until = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            *first_over = Some(first_over.map_or(until, |first| first.min(until)));
        }
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DevAuthority, Validity};

    #[test]
    fn a_list_that_is_over_ends_what_is_open() {
        let day = Duration::from_secs(24 * 60 * 60);
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let authority = DevAuthority::create(directory.path()).unwrap();
        let valid = Validity { lasts: 7_300 * day, ..Validity::default() };
        authority.issue_server(&["localhost".to_owned()], "gateway", valid).unwrap();
        let oin = "00000001002220647000".parse().unwrap();
        let party = authority.issue_party(&oin, "utrecht", valid).unwrap();
        let files = TlsFiles {
            certificate: path("gateway.pem"),
            key: path("gateway.key"),
            client_authorities: vec![path("ca.pem")],
            revocation_lists: vec![path("crl.pem")],
        };
        let tls = ServerTls::load(files, ClientCertificates::Required, Speaks::Http2).unwrap();
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(party).unwrap().map(Result::unwrap).collect();
        let peer = ProvenChain::from_chain(&chain).unwrap();
        let ends = tls.ends();
        let parts: Vec<(Part, u32)> = ends.iter().map(|end| (end.part, end.number)).collect();
        let all = [(Part::Certificate, 0), (Part::Authority, 1), (Part::RevocationList, 1)];
        assert_eq!(parts, all);
        let left = ends[0].at.duration_since(SystemTime::now()).unwrap();
        assert!(left > 7_290 * day && left < 7_301 * day, "{left:?}");
        let now = SystemTime::now();
        assert_eq!(tls.check_at(&peer, now), Ok(()));
        assert_eq!(tls.check_at(&peer, now + 3_649 * day), Ok(()));
        let later = now + 3_651 * day;
        assert_eq!(tls.check_at(&peer, later), Err(PeerError::RevocationListOver));
        assert_eq!(tls.check_at(&peer, later + 7_300 * day), Err(PeerError::Expired));
    }
}
