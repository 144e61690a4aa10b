use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::der_parser::Oid;
use x509_parser::oid_registry::{
    OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, OID_X509_SERIALNUMBER,
};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

use crate::PeerError;

/// The certificate that a client proved itself with, and those that lead to a trust anchor.
pub struct ProvenChain {
    not_after: SystemTime,
    subject: Subject,
    fingerprint: [u8; 32],
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The trust anchors and revocation lists that it was last held against.
    pub(crate) verified_with: AtomicU64,
}

/// Whom a certificate is of. What stands there several times is left out, as nobody can say
/// which is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Subject.commonName.
    pub common_name: Option<String>,
    /// Subject.organizationName.
    pub organization: Option<String>,
    /// Subject.serialNumber: the OIN, in the certificate of a party.
    pub serial_number: Option<String>,
}

impl ProvenChain {
    /// Reads a chain. Whether it is to be trusted has been found out before, in the handshake.
    ///
    /// # Errors
    /// When its first certificate cannot be read.
    pub fn from_chain(chain: &[CertificateDer<'_>]) -> Result<Self, PeerError> {
        let first = chain.first().ok_or(PeerError::Unreadable)?;
        let (_, certificate) =
            X509Certificate::from_der(first).map_err(|_| PeerError::Unreadable)?;
        let not_after = certificate.validity().not_after.timestamp();
        let not_after = Duration::from_secs(u64::try_from(not_after).unwrap_or_default());
        Ok(Self {
            not_after: SystemTime::UNIX_EPOCH + not_after,
            subject: Subject::of(certificate.subject()),
            fingerprint: Sha256::digest(first).into(),
            chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
            verified_with: AtomicU64::new(0),
        })
    }

    /// Until when the certificate is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whom it is of.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The SHA-256 of the certificate (DER).
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

impl Subject {
    fn of(name: &X509Name<'_>) -> Self {
        let only = |oid: &Oid<'_>| {
            let mut values = name.iter_by_oid(oid);
            let value = values.next()?.as_str().ok()?.to_owned();
            values.next().is_none().then_some(value)
        };
        Self {
            common_name: only(&OID_X509_COMMON_NAME),
            organization: only(&OID_X509_ORGANIZATION_NAME),
            serial_number: only(&OID_X509_SERIALNUMBER),
        }
    }
}

impl fmt::Debug for ProvenChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenChain").field("subject", &self.subject).finish_non_exhaustive()
    }
}
