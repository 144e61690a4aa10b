//! Who calls: certificates, bearer tokens, and an authority for development.
//!
//! ```text
//! TLS handshake -> ServerTls (trust anchors, revocation lists) -> certificate -> Peer (OIN)
//! bearer token  -> TokenVerifier (keys of the issuer: JWKS)    -> TokenClaims (OIN)
//! ```
//!
//! - A party's certificate holds its OIN in Subject.serialNumber, as those of PKIoverheid
//!   do. Trust anchors, revocation lists and the gateway's own certificate are files, which
//!   are read again without a restart ([`ServerTls::reload`]); what is held against them
//!   includes connections that are open ([`ServerTls::check_still_valid`]).
//! - A token is a JWT (RFC 7519), signed with RS256 or ES256 by a key of the issuer's JWKS
//!   (RFC 7517), which is a file or fetched from a URL.
//! - A [`DevAuthority`] makes certificates and tokens on a machine of one's own. Everything
//!   it makes says that it is for development only.

mod authority;
mod chain;
mod dev_token;
mod error;
mod keys;
mod peer;
mod tls;
mod token;

pub use authority::{DevAuthority, Validity};
pub use chain::{ProvenChain, Subject};
pub use dev_token::DevTokenIssuer;
pub use error::{IdentityError, PeerError, TokenFault};
pub use keys::KeySource;
pub use peer::Peer;
pub use tls::{ClientCertificates, End, Part, ServerTls, Speaks, TlsFiles};
pub use token::{TokenClaims, TokenOptions, TokenProof, TokenVerifier};
