use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use wissel_identifiers::Oin;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::PeerError;

/// A party, by the certificate that it proved itself with.
pub struct Peer {
    oin: Oin,
    not_after: SystemTime,
    /// The certificate, and those that lead to a trust anchor.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The trust anchors and revocation lists that it was last held against.
    pub(crate) verified_with: AtomicU64,
}

impl Peer {
    /// Reads who a certificate is of. The first of the chain is that of the party; whether
    /// it is to be trusted has been found out before, in the handshake.
    ///
    /// # Errors
    /// When it names no party.
    pub fn from_chain(chain: &[CertificateDer<'_>]) -> Result<Self, PeerError> {
        let first = chain.first().ok_or(PeerError::Unreadable)?;
        let (_, certificate) =
            X509Certificate::from_der(first).map_err(|_| PeerError::Unreadable)?;
        let mut serial_numbers = certificate.subject().iter_by_oid(&SERIAL_NUMBER);
        let serial_number = serial_numbers.next().ok_or(PeerError::NoOin)?;
        if serial_numbers.next().is_some() {
            return Err(PeerError::SeveralOins);
        }
        let text = serial_number.as_str().map_err(|_| PeerError::NoOin)?;
        let oin = text.parse().map_err(PeerError::NotAnOin)?;
        let not_after = certificate.validity().not_after.timestamp();
        let not_after = Duration::from_secs(u64::try_from(not_after).unwrap_or_default());
        Ok(Self {
            oin,
            not_after: SystemTime::UNIX_EPOCH + not_after,
            chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
            verified_with: AtomicU64::new(0),
        })
    }

    /// The party.
    #[must_use]
    pub fn oin(&self) -> Oin {
        self.oin
    }

    /// Until when the certificate is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

/// The attribute serialNumber (X.520, 2.5.4.5).
const SERIAL_NUMBER: x509_parser::der_parser::Oid<'static> = x509_parser::der_parser::oid!(2.5.4.5);

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("oin", &self.oin).finish_non_exhaustive()
    }
}
