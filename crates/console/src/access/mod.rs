//! Who may see and do what.
//!
//! A visitor proves who they are at a provider of OpenID Connect (`oidc`) or by the
//! certificate of their connection, and has a session from then on (`sessions`), by a cookie
//! (`cookie`). A page asks for an [`Operator`], and what changes something takes a [`Form`]. What
//! they may do is decided by the broker, which puts it on record with their name. `guard` refuses
//! requests that other sites make a browser send.

mod attempts;
mod cookie;
pub(crate) mod guard;
mod oidc;
mod operator;
mod secret;
mod sessions;

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wissel_broker::Roles;
use wissel_identity::{ProvenChain, ServerTls};

use self::attempts::Attempts;
use self::cookie::Cookie;
use self::guard::Names;
pub use self::oidc::OidcOptions;
use self::oidc::Provider;
pub(crate) use self::operator::{FORM_MAX, Form, Operator};
pub(crate) use self::sessions::Identity;
pub use self::sessions::SessionOptions;
use self::sessions::{Session, Sessions};
use crate::entrance::Visitor;

/// How operators prove who they are.
#[derive(Clone, Default)]
pub struct AccessOptions {
    /// Whether whoever reaches the console is believed to be an operator with every role
    /// (`--insecure-dev`).
    pub insecure_dev: bool,
    /// How browsers reach it, such as `https://wissel.example.nl`; none: as it listens.
    pub origin: Option<String>,
    /// Its own TLS.
    pub tls: Option<Arc<ServerTls>>,
    /// A provider to sign in at.
    pub oidc: Option<OidcOptions>,
    /// Whose certificates are those of operators.
    pub certificates: Vec<CertificateOf>,
    /// How long they stay signed in.
    pub sessions: SessionOptions,
}

/// An operator, by certificate.
#[derive(Debug, Clone)]
pub struct CertificateOf {
    /// What they are called.
    pub name: String,
    /// The SHA-256 of their certificate (DER).
    pub fingerprint: [u8; 32],
    /// What they may do.
    pub roles: Roles,
}

/// Everything that decides over access.
pub(crate) struct Access {
    sessions: Sessions,
    pub(crate) names: Names,
    tls: Option<Arc<ServerTls>>,
    provider: Option<Provider>,
    certificates: Vec<CertificateOf>,
    attempts: Attempts,
    /// Of whoever comes, where everybody is believed.
    everybody: Option<Session>,
    /// Whether browsers reach it over TLS.
    secure: bool,
}

/// How often one may try to sign in from one address.
const ATTEMPTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

impl Access {
    pub(crate) fn new(
        options: AccessOptions,
        listens: std::net::SocketAddr,
        stopping: CancellationToken,
    ) -> Result<Self, String> {
        let AccessOptions { insecure_dev, origin, tls, oidc, certificates, sessions } = options;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = origin.unwrap_or_else(|| format!("{scheme}://{listens}"));
        let names = Names::of(&origin, listens).map_err(|fault| format!("origin: {fault}"))?;
        let provider = oidc.map(|oidc| Provider::new(oidc, &origin, stopping)).transpose();
        let everybody = insecure_dev
            .then(|| Session::of(Identity::new("operator", Roles::ALL, "development", None)));
        Ok(Self {
            sessions: Sessions::new(sessions),
            names,
            tls,
            provider: provider.map_err(|fault| format!("oidc.{fault}"))?,
            certificates,
            attempts: Attempts::new(ATTEMPTS_PER_MINUTE),
            everybody,
            secure: origin.starts_with("https://"),
        })
    }

    /// Whether there is any way to be let in.
    pub(crate) fn knows_anybody(&self) -> bool {
        self.everybody.is_some() || self.provider.is_some() || !self.certificates.is_empty()
    }

    /// Whether one signs in at a provider.
    pub(crate) fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// Whether another attempt to sign in is taken from an address.
    pub(crate) fn one_more(&self, visitor: &Visitor) -> bool {
        self.attempts.one_more(visitor.address)
    }

    /// The operator whose certificate the visitor has shown.
    pub(crate) fn by_certificate(&self, visitor: &Visitor) -> Option<Identity> {
        let shown = visitor.certificate.as_ref().filter(|shown| self.is_valid(shown))?;
        let of = self.certificates.iter().find(|one| one.fingerprint == *shown.fingerprint())?;
        let certificate = Some(Arc::clone(shown));
        Some(Identity::new(&of.name, of.roles, "certificate", certificate))
    }

    fn is_valid(&self, shown: &ProvenChain) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.check_still_valid(shown).is_ok())
    }

    pub(crate) fn session_cookie(&self) -> Cookie {
        Cookie::session(self.secure)
    }

    pub(crate) fn signing_in_cookie(&self) -> Cookie {
        Cookie::signing_in(self.secure)
    }

    /// Begins a session; gives its id, or says why there is none.
    pub(crate) fn let_in(&self, identity: Identity) -> Result<String, &'static str> {
        self.sessions.begin(identity).map_err(|_| "as many are signed in as may be")
    }

    /// Ends a session.
    pub(crate) fn let_out(&self, id: &str) -> Option<Arc<Identity>> {
        self.sessions.end(id)
    }

    /// The session of a request. One by certificate holds on a connection with that
    /// certificate, and as long as it is valid.
    fn session(&self, id: Option<&str>, visitor: Option<&Visitor>) -> Option<Session> {
        if let Some(everybody) = &self.everybody {
            return Some(everybody.clone());
        }
        let session = self.sessions.find(id?)?;
        if let Some(certificate) = &session.identity.certificate {
            let shown = visitor?.certificate.as_ref()?;
            if shown.fingerprint() != certificate.fingerprint() || !self.is_valid(shown) {
                return None;
            }
        }
        Some(session)
    }
}
