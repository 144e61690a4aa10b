use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wissel_broker::{Role, Roles};
use wissel_console::{AccessOptions, CertificateOf, OidcOptions, SessionOptions};
use wissel_identity::{ClientCertificates, ServerTls, Speaks};

use super::Tls;
use crate::exit::Failure;

/// What operators see over HTTP.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Console {
    /// Where it listens; none: nowhere.
    pub(crate) listen: Option<SocketAddr>,
    /// How browsers reach it, `https://HOST`; as it listens when it is not said.
    pub(crate) origin: Option<String>,
    /// How long an operator may do nothing before they sign in again, in seconds.
    pub(crate) idle_seconds: u64,
    /// How long they stay signed in at most, in seconds.
    pub(crate) session_seconds: u64,
    /// How many may be signed in.
    pub(crate) sessions: usize,
    /// TLS of its own.
    pub(crate) tls: Option<Tls>,
    /// A provider of OpenID Connect to sign in at.
    pub(crate) oidc: Option<Oidc>,
    /// Operators who sign in by certificate.
    pub(crate) operators: Vec<OperatorOf>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oidc {
    /// The issuer: its settings are at `/.well-known/openid-configuration` below it.
    pub(crate) issuer: String,
    /// Who the console is there.
    pub(crate) client_id: String,
    /// A file with what it proves that with; none for a public client.
    pub(crate) client_secret_file: Option<PathBuf>,
    /// What is asked for beside `openid`.
    #[serde(default = "Oidc::default_scopes")]
    pub(crate) scopes: Vec<String>,
    /// The claim by which people are called.
    #[serde(default = "Oidc::default_name_claim")]
    pub(crate) name_claim: String,
    /// The claim that roles follow from.
    #[serde(default = "Oidc::default_roles_claim")]
    pub(crate) roles_claim: String,
    /// The values of that claim that give each role.
    pub(crate) roles: ClaimedRoles,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ClaimedRoles {
    pub(crate) viewer: Vec<String>,
    pub(crate) operator: Vec<String>,
    pub(crate) catalogue_manager: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperatorOf {
    /// What they are called.
    pub(crate) name: String,
    /// The SHA-256 of their certificate (DER), in hexadecimal; colons may stand between.
    pub(crate) fingerprint: String,
    /// What they may do.
    pub(crate) roles: Vec<Role>,
}

impl Default for Console {
    fn default() -> Self {
        let SessionOptions { idle, lasts, most } = SessionOptions::default();
        Self {
            listen: None,
            origin: None,
            idle_seconds: idle.as_secs(),
            session_seconds: lasts.as_secs(),
            sessions: most,
            tls: None,
            oidc: None,
            operators: Vec::new(),
        }
    }
}

impl Console {
    /// How operators prove who they are, at a console that listens there. Who believes all
    /// callers believes whoever reaches the console too, where nothing else is said.
    pub(crate) fn access(&self, believes_all: bool) -> Result<AccessOptions, Failure> {
        let access = self.access_without_tls(believes_all)?;
        let tls = self.tls.as_ref().map(|tls| {
            ServerTls::load(tls.files(), ClientCertificates::Optional, Speaks::Http1)
                .map(Arc::new)
                .map_err(|error| Failure::usage(format!("[console.tls] {error}")))
        });
        Ok(AccessOptions { tls: tls.transpose()?, ..access })
    }

    /// The same, before the files of its TLS are read.
    pub(crate) fn access_without_tls(&self, believes_all: bool) -> Result<AccessOptions, Failure> {
        let is_loopback = self.listen.is_some_and(|address| address.ip().is_loopback());
        let knows_some = self.oidc.is_some() || !self.operators.is_empty();
        if knows_some && self.tls.is_none() && !is_loopback {
            return Err(Failure::usage(
                "console.listen: who signs in needs an encrypted connection; expected [console.tls], \
                 or a loopback address behind a proxy",
            ));
        }
        let by_certificate =
            self.tls.as_ref().is_some_and(|tls| !tls.client_authorities.is_empty());
        if !self.operators.is_empty() && !by_certificate {
            return Err(Failure::usage(
                "[[console.operators]] sign in by certificate; expected [console.tls] with \
                 client_authorities",
            ));
        }
        let certificates = self.operators.iter().map(OperatorOf::certificate);
        Ok(AccessOptions {
            insecure_dev: believes_all && is_loopback && !knows_some,
            origin: self.origin.clone(),
            tls: None,
            oidc: self.oidc.as_ref().map(Oidc::options).transpose()?,
            certificates: certificates.collect::<Result<_, _>>()?,
            sessions: SessionOptions {
                idle: Duration::from_secs(self.idle_seconds),
                lasts: Duration::from_secs(self.session_seconds),
                most: self.sessions,
            },
        })
    }
}

impl Oidc {
    fn options(&self) -> Result<OidcOptions, Failure> {
        let secret = self.client_secret_file.as_ref().map(|path| {
            let secret = std::fs::read_to_string(path).map_err(|error| {
                let path = path.display();
                Failure::usage(format!("console.oidc.client_secret_file {path}: {error}"))
            })?;
            Ok::<_, Failure>(secret.trim_end_matches(['\r', '\n']).to_owned())
        });
        let ClaimedRoles { viewer, operator, catalogue_manager } = self.roles.clone();
        let roles = [
            (Role::Viewer, viewer),
            (Role::Operator, operator),
            (Role::CatalogueManager, catalogue_manager),
        ];
        if roles.iter().all(|(_, values)| values.is_empty()) {
            return Err(Failure::usage(
                "[console.oidc.roles] gives nobody a role; expected values of the claim for viewer, \
                 operator or catalogue-manager",
            ));
        }
        Ok(OidcOptions {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: secret.transpose()?,
            scopes: self.scopes.clone(),
            name_claim: self.name_claim.clone(),
            roles_claim: self.roles_claim.clone(),
            roles: roles.into(),
        })
    }

    fn default_scopes() -> Vec<String> {
        vec!["profile".to_owned()]
    }

    fn default_name_claim() -> String {
        "preferred_username".to_owned()
    }

    fn default_roles_claim() -> String {
        "roles".to_owned()
    }
}

impl OperatorOf {
    fn certificate(&self) -> Result<CertificateOf, Failure> {
        let Self { name, fingerprint, roles } = self.clone();
        let wrong = |what: &str| Failure::usage(format!("[[console.operators]] {name}: {what}"));
        let digits: String = fingerprint.chars().filter(|one| *one != ':').collect();
        let mut bytes = [0; 32];
        hex::decode_to_slice(&digits, &mut bytes)
            .map_err(|_| wrong("fingerprint: expected a SHA-256, 64 hexadecimal digits"))?;
        let roles = Roles::of(roles)
            .ok_or_else(|| wrong("roles: expected viewer, operator or catalogue-manager"))?;
        Ok(CertificateOf { name, fingerprint: bytes, roles })
    }
}
