//! How `serve` knows callers, as the configuration says.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wissel_gateway::{Authenticate, DevelopmentTokens, Proofs};
use wissel_identity::{
    ClientCertificates, KeySource, ServerTls, Speaks, TlsFiles, TokenOptions, TokenVerifier,
};

use crate::config::{Config, Tls, Tokens};
use crate::exit::Failure;

/// What callers prove themselves with.
pub(crate) struct Callers {
    pub(crate) authenticator: Arc<dyn Authenticate>,
    pub(crate) tls: Option<Arc<ServerTls>>,
    tokens: Option<(Arc<TokenVerifier>, Duration)>,
}

impl Callers {
    /// Whether callers are believed to be who they say they are.
    pub(crate) fn believes_all(&self) -> bool {
        self.tls.is_none() && self.tokens.is_none()
    }

    /// Believes whoever says who they are: loudly, and on loopback only.
    pub(crate) fn insecure(config: &Config) -> Result<Self, Failure> {
        let sections = [("[tls]", config.tls.is_some()), ("[tokens]", config.tokens.is_some())];
        if let Some((section, _)) = sections.iter().find(|(_, is_set)| *is_set) {
            return Err(Failure::usage(format!(
                "{section} is configured, and --insecure-dev would ignore it: callers would be \
                 believed without proof, in plain text; expected one or the other"
            )));
        }
        if !config.listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "listen: development tokens are believed without proof, so the gateway listens on \
                 loopback addresses only; {} is none",
                config.listen
            )));
        }
        tracing::warn!(
            "INSECURE: development tokens are believed without proof: never use this for real data"
        );
        Ok(Self { authenticator: Arc::new(DevelopmentTokens), tls: None, tokens: None })
    }

    /// Certificates, tokens, or both.
    pub(crate) async fn proven(config: &Config) -> Result<Self, Failure> {
        let Config { tls, tokens, .. } = config;
        let knows_nobody = tls.as_ref().is_none_or(|tls| tls.client_authorities.is_empty());
        if knows_nobody && tokens.is_none() {
            return Err(Failure::usage(
                "no way to know callers is configured: expected [tls] with client_authorities, or \
                 [tokens]; on a machine of your own --insecure-dev does without",
            ));
        }
        if tls.is_none() && !config.listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "listen: bearer tokens are for encrypted connections; expected [tls], or a loopback \
                 address behind a proxy, found {}",
                config.listen
            )));
        }
        let clients = if tokens.is_some() {
            ClientCertificates::Optional
        } else {
            ClientCertificates::Required
        };
        let tls = match tls {
            Some(tls) => {
                let tls = ServerTls::load(tls.files(), clients, Speaks::Http2);
                Some(Arc::new(tls.map_err(|error| Failure::usage(format!("[tls] {error}")))?))
            }
            None => None,
        };
        let tokens = match tokens {
            Some(tokens) => {
                let verifier = TokenVerifier::start(tokens.options()?).await;
                let verifier =
                    verifier.map_err(|error| Failure::unavailable(format!("[tokens] {error}")))?;
                Some((Arc::new(verifier), Duration::from_secs(tokens.refresh_seconds)))
            }
            None => None,
        };
        let proofs = Proofs {
            tls: tls.clone(),
            tokens: tokens.as_ref().map(|(verifier, _)| Arc::clone(verifier)),
            operators: config.operators.by_oin().clone(),
        };
        Ok(Self { authenticator: Arc::new(proofs), tls, tokens })
    }

    /// What bearer tokens are held against.
    pub(crate) fn verifier(&self) -> Option<Arc<TokenVerifier>> {
        self.tokens.as_ref().map(|(verifier, _)| Arc::clone(verifier))
    }

    /// Keeps the issuer's keys fresh, until it is stopped.
    pub(crate) fn keep_fresh(&self, stop: CancellationToken) {
        if let Some((verifier, every)) = &self.tokens {
            let (verifier, every) = (Arc::clone(verifier), *every);
            tokio::spawn(async move { verifier.keep_fresh(every, stop).await });
        }
    }
}

impl Tls {
    /// The files, as TLS is set up with them.
    pub(crate) fn files(&self) -> TlsFiles {
        let Self { certificate, key, client_authorities, revocation_lists } = self.clone();
        TlsFiles { certificate, key, client_authorities, revocation_lists }
    }

    /// Every file that is read.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let own = [&self.certificate, &self.key].into_iter();
        own.chain(&self.client_authorities).chain(&self.revocation_lists)
    }
}

impl Tokens {
    /// How tokens are held against their issuer's keys.
    pub(crate) fn options(&self) -> Result<TokenOptions, Failure> {
        let keys = match (&self.jwks_file, &self.jwks_url) {
            (Some(file), None) => KeySource::File(file.clone()),
            (None, Some(url)) => KeySource::Url(url.clone()),
            _ => {
                let message = "[tokens] expected the issuer's keys: jwks_file, or jwks_url";
                return Err(Failure::usage(message));
            }
        };
        Ok(TokenOptions {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            party_claim: self.party_claim.clone(),
            leeway: Duration::from_secs(self.leeway_seconds),
            keys,
        })
    }
}
