use std::io;
use std::path::{Path, PathBuf};

use wissel_identifiers::OinError;

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file does not hold what it must.
    #[error("{}: {fault}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        fault: String,
    },
    /// TLS cannot be set up with what the files hold.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The trust anchors and revocation lists do not go together.
    #[error("client authorities and revocation lists: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The keys of an issuer cannot be fetched.
    #[error("the keys of the issuer cannot be fetched: {0}")]
    Fetch(String),
    /// A certificate, key or token cannot be made.
    #[error("cannot be made: {0}")]
    Make(String),
}

/// Why a certificate names no party, or does not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// Not an X.509 certificate.
    #[error("the client certificate cannot be read")]
    Unreadable,
    /// There is no serialNumber in the subject.
    #[error("the client certificate has no OIN, expected one in Subject.serialNumber")]
    NoOin,
    /// There are several.
    #[error("the client certificate has several Subject.serialNumber, expected one")]
    SeveralOins,
    /// It is no OIN.
    #[error("Subject.serialNumber of the client certificate is no OIN: {0}")]
    NotAnOin(OinError),
    /// Its time is over.
    #[error("the client certificate has expired")]
    Expired,
    /// It was revoked, or its authority is not trusted any more.
    #[error("the client certificate is revoked, or its authority is not trusted any more")]
    Revoked,
    /// Nothing says that it was not revoked.
    #[error("the revocation list of the client certificate's authority is over its time")]
    RevocationListOver,
}

/// Why a token is not accepted. Holds nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It is too long.
    #[error("the token is longer than 8 KiB")]
    TooLong,
    /// It is no signed JWT of a kind that is taken.
    #[error("not a signed JWT, expected one signed with RS256 or ES256")]
    Malformed,
    /// Its algorithm is not taken.
    #[error("another algorithm, expected RS256 or ES256")]
    Algorithm,
    /// No key of the issuer has its key id.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is for another audience.
    #[error("the token is for another audience")]
    Audience,
    /// It is by another issuer.
    #[error("the token is by another issuer")]
    Issuer,
    /// A claim is missing, or is not what it must be.
    #[error("the claim {claim} is absent or wrong, expected {expected}")]
    Claim {
        /// Which.
        claim: &'static str,
        /// What was expected.
        expected: &'static str,
    },
}

impl IdentityError {
    pub(crate) fn of(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }

    pub(crate) fn content(path: &Path, fault: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), fault: fault.into() }
    }

    pub(crate) fn make(error: impl std::fmt::Display) -> Self {
        Self::Make(error.to_string())
    }
}
