use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use wissel_identifiers::Oin;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{PeerError, ProvenChain};

/// A party, by the certificate that it proved itself with.
pub struct Peer {
    oin: Oin,
    proof: Arc<ProvenChain>,
}

impl Peer {
    /// Reads who a certificate is of. The first of the chain is that of the party; whether
    /// it is to be trusted has been found out before, in the handshake.
    ///
    /// # Errors
    /// When it names no party.
    pub fn from_chain(chain: &[CertificateDer<'_>]) -> Result<Self, PeerError> {
        Self::of_proof(Arc::new(ProvenChain::from_chain(chain)?))
    }

    /// The party that a chain is of.
    ///
    /// # Errors
    /// When it names no party.
    pub fn of_proof(proof: Arc<ProvenChain>) -> Result<Self, PeerError> {
        let oin = oin_of(&proof)?;
        Ok(Self { oin, proof })
    }

    /// The party.
    #[must_use]
    pub fn oin(&self) -> Oin {
        self.oin
    }

    /// Until when the certificate is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.proof.not_after()
    }

    /// What it proved itself with.
    #[must_use]
    pub fn proof(&self) -> &ProvenChain {
        &self.proof
    }
}

fn oin_of(proof: &ProvenChain) -> Result<Oin, PeerError> {
    let first = proof.chain.first().ok_or(PeerError::Unreadable)?;
    let (_, certificate) = X509Certificate::from_der(first).map_err(|_| PeerError::Unreadable)?;
    let mut serial_numbers = certificate.subject().iter_by_oid(&SERIAL_NUMBER);
    let serial_number = serial_numbers.next().ok_or(PeerError::NoOin)?;
    if serial_numbers.next().is_some() {
        return Err(PeerError::SeveralOins);
    }
    let text = serial_number.as_str().map_err(|_| PeerError::NoOin)?;
    text.parse().map_err(PeerError::NotAnOin)
}

/// The attribute serialNumber (X.520, 2.5.4.5).
const SERIAL_NUMBER: x509_parser::der_parser::Oid<'static> = x509_parser::der_parser::oid!(2.5.4.5);

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("oin", &self.oin).finish_non_exhaustive()
    }
}
