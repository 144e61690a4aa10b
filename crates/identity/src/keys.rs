//! The keys of an issuer of tokens.

use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::{IdentityError, TokenFault};

/// Where the keys of an issuer are (JWKS, RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// At a URL: `https://`, or `http://` on a loopback address.
    Url(String),
}

/// Keys by which tokens can be checked.
pub(crate) struct Keys {
    keys: Vec<Key>,
    /// What they were read from.
    text: Vec<u8>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The most bytes of a key set.
const BYTES_MAX: usize = 1 << 20;

impl KeySource {
    /// Whether nothing has to be fetched to read them.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    pub(crate) async fn read(&self) -> Result<Keys, IdentityError> {
        match self {
            Self::File(path) => {
                let text = tokio::fs::read(path).await.map_err(IdentityError::of(path))?;
                Keys::parse(text).map_err(|fault| IdentityError::content(path, fault))
            }
            Self::Url(url) => {
                let text = fetch(url).await?;
                Keys::parse(text).map_err(IdentityError::Fetch)
            }
        }
    }
}

async fn fetch(url: &str) -> Result<Vec<u8>, IdentityError> {
    let failed = |error: reqwest::Error| IdentityError::Fetch(error.to_string());
    let parsed = reqwest::Url::parse(url)
        .map_err(|error| IdentityError::Fetch(format!("{error}; expected https://")))?;
    let is_loopback = matches!(parsed.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && is_loopback) {
        return Err(IdentityError::Fetch("expected https://".to_owned()));
    }
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(failed)?;
    let answer = client.get(parsed).send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(IdentityError::Fetch(format!("answered {}", answer.status())));
    }
    let mut answer = answer;
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        text.extend_from_slice(&chunk);
        if text.len() > BYTES_MAX {
            return Err(IdentityError::Fetch(format!("more than {BYTES_MAX} bytes")));
        }
    }
    Ok(text)
}

impl Keys {
    fn parse(text: Vec<u8>) -> Result<Self, String> {
        let expected = "expected a JWK set (RFC 7517) with a key for RS256 or ES256";
        let set: JwkSet = serde_json::from_slice(&text).map_err(|_| expected.to_owned())?;
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::of).collect();
        if keys.is_empty() { Err(expected.to_owned()) } else { Ok(Self { keys, text }) }
    }

    /// Whether others were read from the same.
    pub(crate) fn are_as(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// The key of this id for this algorithm; without an id, the only one.
    pub(crate) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&DecodingKey, TokenFault> {
        let named = |key: &&Key| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let mut named = self.keys.iter().filter(named);
        match (named.next(), named.next()) {
            (Some(key), None) if key.algorithm == algorithm => Ok(&key.key),
            (Some(_), None) => Err(TokenFault::Algorithm),
            _ => Err(TokenFault::UnknownKey),
        }
    }
}

impl Key {
    /// One for signatures of a kind that is taken.
    fn of(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(_) => Algorithm::ES256,
            _ => return None,
        };
        let common = &jwk.common;
        let for_signatures =
            common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
        let stated = common.key_algorithm.as_ref().map(ToString::to_string);
        let agrees = stated.is_none_or(|stated| stated == format!("{algorithm:?}"));
        if !for_signatures || !agrees {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { id: common.key_id.clone(), algorithm, key })
    }
}
