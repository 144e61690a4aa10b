use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wissel_identifiers::Oin;

use crate::keys::{KeySource, Keys};
use crate::{IdentityError, TokenFault};

/// Which tokens are taken.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// Who issues them (`iss`).
    pub issuer: String,
    /// For whom they must be (`aud`).
    pub audience: String,
    /// The claim that holds the party's OIN, such as `sub`.
    pub party_claim: String,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// The issuer's keys.
    pub keys: KeySource,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// The party.
    pub party: Oin,
    /// Until when it says so.
    pub expires_at: SystemTime,
}

/// A token that was checked, to be held against the issuer's keys again.
pub struct TokenProof {
    token: String,
    claims: TokenClaims,
    verified_with: AtomicU64,
}

/// Checks bearer tokens: JWTs (RFC 7519) signed with RS256 or ES256.
pub struct TokenVerifier {
    options: TokenOptions,
    keys: ArcSwap<Keys>,
    /// Counts the key sets that were in force, from 1.
    generation: AtomicU64,
    /// Told when a token names a key that is not known.
    unknown_key: Notify,
}

/// The longest token.
const TOKEN_MAX: usize = 8 << 10;
/// An unknown key makes the keys be fetched again, not more often than this.
const FETCHED_AT_MOST_EVERY: Duration = Duration::from_secs(30);

impl TokenVerifier {
    /// Reads or fetches the issuer's keys.
    ///
    /// # Errors
    /// When there are none to be had.
    pub async fn start(options: TokenOptions) -> Result<Self, IdentityError> {
        let keys = ArcSwap::from_pointee(options.keys.read().await?);
        Ok(Self { options, keys, generation: AtomicU64::new(1), unknown_key: Notify::new() })
    }

    /// Checks a token of a party. Nothing is awaited and nothing fetched.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, token: &str) -> Result<TokenClaims, TokenFault> {
        self.read(&self.verify_claims(token)?)
    }

    /// Checks a token of whomever. Gives all that it claims.
    ///
    /// # Errors
    /// As [`TokenVerifier::verify`].
    pub fn verify_claims(&self, token: &str) -> Result<Map<String, Value>, TokenFault> {
        if token.len() > TOKEN_MAX {
            return Err(TokenFault::TooLong);
        }
        let header = decode_header(token).map_err(|_| TokenFault::Malformed)?;
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(TokenFault::Algorithm);
        }
        // An extension that must be understood, and is not (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        let keys = self.keys.load();
        let key = keys.find(header.kid.as_deref(), header.alg).inspect_err(|fault| {
            if *fault == TokenFault::UnknownKey {
                self.unknown_key.notify_one();
            }
        })?;
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[&self.options.audience]);
        validation.set_issuer(&[&self.options.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = self.options.leeway.as_secs();
        let decoded = decode::<Map<String, Value>>(token, key, &validation);
        let claims = decoded.map_err(|error| fault(error.kind()))?.claims;
        // The moment of expiry itself is too late (RFC 7519, section 4.1.4).
        if self.expires_at(&claims) <= SystemTime::now() {
            return Err(TokenFault::Expired);
        }
        Ok(claims)
    }

    /// Checks a token that is to be held against the keys to come as well.
    ///
    /// # Errors
    /// As [`TokenVerifier::verify`].
    pub fn prove(&self, token: &str) -> Result<TokenProof, TokenFault> {
        // First, so that keys that come meanwhile are asked again.
        let verified_with = AtomicU64::new(self.generation.load(Ordering::Acquire));
        let claims = self.verify(token)?;
        Ok(TokenProof { token: token.to_owned(), claims, verified_with })
    }

    /// Whether a token that was taken would still be. Cheap when the keys are the same.
    ///
    /// # Errors
    /// When it has expired, or its key is gone.
    pub fn check_still_valid(&self, proof: &TokenProof) -> Result<(), TokenFault> {
        if proof.claims.expires_at <= SystemTime::now() {
            return Err(TokenFault::Expired);
        }
        let generation = self.generation.load(Ordering::Acquire);
        if proof.verified_with.load(Ordering::Relaxed) != generation {
            self.verify(&proof.token)?;
            proof.verified_with.store(generation, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads or fetches the keys again. Says whether they are others.
    ///
    /// # Errors
    /// When there are none to be had; those in force stay.
    pub async fn refresh(&self) -> Result<bool, IdentityError> {
        let keys = self.options.keys.read().await?;
        if keys.are_as(&self.keys.load()) {
            return Ok(false);
        }
        self.keys.store(Arc::new(keys));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    /// Where the keys come from.
    #[must_use]
    pub fn key_source(&self) -> &KeySource {
        &self.options.keys
    }

    /// Refreshes the keys now and then, and soon after a token named one that is not
    /// known, until it is stopped.
    pub async fn keep_fresh(&self, every: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
                () = self.unknown_key.notified() => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the keys of the issuer stay as they were");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(FETCHED_AT_MOST_EVERY.min(every)) => {}
            }
        }
    }

    fn read(&self, claims: &Map<String, Value>) -> Result<TokenClaims, TokenFault> {
        let party = claims.get(&self.options.party_claim).and_then(Value::as_str);
        let party = party.and_then(|text| text.parse().ok());
        let wrong = TokenFault::Claim { claim: "of the party", expected: "an OIN" };
        Ok(TokenClaims { party: party.ok_or(wrong)?, expires_at: self.expires_at(claims) })
    }

    fn expires_at(&self, claims: &Map<String, Value>) -> SystemTime {
        let expires = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
        let expires = Duration::try_from_secs_f64(expires).unwrap_or_default();
        let expires = expires.saturating_add(self.options.leeway);
        // One that no clock reaches is no moment.
        SystemTime::UNIX_EPOCH.checked_add(expires).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl TokenProof {
    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &TokenClaims {
        &self.claims
    }
}

impl fmt::Debug for TokenProof {
    /// The token is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenProof").field("claims", &self.claims).finish_non_exhaustive()
    }
}

fn fault(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::ExpiredSignature => TokenFault::Expired,
        ErrorKind::ImmatureSignature => TokenFault::NotYet,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAlgorithm => TokenFault::Algorithm,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "exp" => TokenFault::Claim { claim: "exp", expected: "a moment" },
            "aud" => TokenFault::Audience,
            _ => TokenFault::Issuer,
        },
        _ => TokenFault::Malformed,
    }
}
