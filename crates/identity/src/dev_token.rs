use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::json;
use wissel_identifiers::Oin;

use crate::IdentityError;
use crate::authority::write_new;

/// Issues tokens for development, with a key in a directory: `tokens.key`, and the set of
/// public keys `jwks.json` that a gateway checks them by.
pub struct DevTokenIssuer {
    key: EncodingKey,
    /// The `iss` of its tokens.
    pub issuer: String,
}

const KEY_ID: &str = "wissel-development-only";

impl DevTokenIssuer {
    /// Opens the issuer in a directory, and makes it when it is not there.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open_or_create(directory: &Path) -> Result<Self, IdentityError> {
        let path = directory.join("tokens.key");
        if !path.exists() {
            fs::create_dir_all(directory).map_err(IdentityError::of(directory))?;
            let pair = KeyPair::generate().map_err(IdentityError::make)?;
            write_new(&path, &pair.serialize_pem(), 0o600)?;
        }
        let pem = fs::read_to_string(&path).map_err(IdentityError::of(&path))?;
        let pair = KeyPair::from_pem(&pem).map_err(IdentityError::make)?;
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let jwks = directory.join("jwks.json");
        if !jwks.exists() {
            let mut jwk =
                Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(IdentityError::make)?;
            jwk.common.key_id = Some(KEY_ID.to_owned());
            let text = serde_json::to_string_pretty(&JwkSet { keys: vec![jwk] });
            write_new(&jwks, &text.map_err(IdentityError::make)?, 0o644)?;
        }
        Ok(Self { key, issuer: "wissel-development-only".to_owned() })
    }

    /// A token of a party for an audience.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn issue(
        &self,
        party: &Oin,
        audience: &str,
        valid_for: Duration,
    ) -> Result<String, IdentityError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let claims = json!({
            "iss": self.issuer,
            "sub": party,
            "aud": audience,
            "iat": now.as_secs(),
            "exp": (now + valid_for).as_secs(),
        });
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.key).map_err(IdentityError::make)
    }
}
