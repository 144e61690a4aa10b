//! Signing in at a provider of OpenID Connect (Core 1.0): the authorisation code with PKCE
//! (RFC 7636, S256), `state` and `nonce`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use wissel_broker::{Role, Roles};
use wissel_identity::{KeySource, TokenOptions, TokenVerifier};

use super::secret::{Digest, same, unguessable};
use super::sessions::Identity;

/// A provider, and what is believed of what it says.
#[derive(Clone)]
pub struct OidcOptions {
    /// The issuer, `https://…`; on a loopback address `http://` too. Its settings are at
    /// `/.well-known/openid-configuration` below it.
    pub issuer: String,
    /// Who the console is at the provider.
    pub client_id: String,
    /// What it proves that with; none for a public client.
    pub client_secret: Option<String>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim by which people are called, on pages and in the record.
    pub name_claim: String,
    /// The claim that holds what roles follow from: a text, or several.
    pub roles_claim: String,
    /// The values of that claim that give each role.
    pub roles: BTreeMap<Role, Vec<String>>,
}

/// A provider in use.
pub(crate) struct Provider {
    options: OidcOptions,
    /// Where the provider sends people back to.
    return_to: String,
    found: OnceCell<Found>,
    under_way: Mutex<HashMap<Digest, UnderWay>>,
    http: reqwest::Client,
    stopping: CancellationToken,
}

/// What the provider says of itself.
struct Found {
    authorization: Url,
    token: Url,
    verifier: Arc<TokenVerifier>,
}

/// A sign-in that has begun.
struct UnderWay {
    nonce: String,
    verifier: String,
    state: String,
    begun: Instant,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// How long a sign-in may be under way.
const WITHIN: Duration = Duration::from_secs(600);
/// How many are under way at most.
const AT_ONCE: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer of a provider.
const ANSWER_MAX: usize = 256 << 10;
const LEEWAY: Duration = Duration::from_secs(60);
const KEYS_EVERY: Duration = Duration::from_secs(300);

impl Provider {
    pub(crate) fn new(
        options: OidcOptions,
        origin: &str,
        stopping: CancellationToken,
    ) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        endpoint("issuer", &options.issuer)?;
        let return_to = format!("{}/sign-in/return", origin.trim_end_matches('/'));
        let (found, under_way) = (OnceCell::new(), Mutex::default());
        Ok(Self { options, return_to, found, under_way, http, stopping })
    }

    /// Begins a sign-in: where to send the browser, and what it is known by when it is back.
    pub(crate) async fn begin(&self) -> Result<(String, String), String> {
        let found = self.found.get_or_try_init(|| self.discover()).await?;
        let (id, state, nonce, verifier) =
            (unguessable(), unguessable(), unguessable(), unguessable());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let scopes: Vec<&str> = self.options.scopes.iter().map(String::as_str).collect();
        let scope = [&["openid"], &scopes[..]].concat().join(" ");
        let mut to = found.authorization.clone();
        to.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.options.client_id)
            .append_pair("redirect_uri", &self.return_to)
            .append_pair("scope", &scope)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let mut under_way = self.under_way.lock();
        if under_way.len() >= AT_ONCE {
            under_way.retain(|_, one| one.begun.elapsed() < WITHIN);
        }
        if under_way.len() >= AT_ONCE {
            return Err("too many sign-ins are under way".to_owned());
        }
        let begun = Instant::now();
        under_way.insert(Digest::of(&id), UnderWay { nonce, verifier, state, begun });
        Ok((to.into(), id))
    }

    /// Ends a sign-in: who it is of. It can be ended once.
    pub(crate) async fn end(&self, id: &str, state: &str, code: &str) -> Result<Identity, String> {
        let one = self.under_way.lock().remove(&Digest::of(id));
        let one = one.filter(|one| one.begun.elapsed() < WITHIN);
        let one = one.ok_or("no sign-in is under way in this browser, or it took too long")?;
        if !same(&one.state, state) {
            return Err("the state is another than the one of this sign-in".to_owned());
        }
        let found = self.found.get().ok_or("no sign-in was begun")?;
        let tokens = self.exchange(found, code, &one.verifier).await?;
        let claims = self.claims(found, &tokens.id_token).await?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if !text("nonce").is_some_and(|nonce| same(nonce, &one.nonce)) {
            return Err("id_token: the nonce is another than the one of this sign-in".to_owned());
        }
        let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        match text("azp") {
            Some(party) if party != self.options.client_id => {
                return Err("id_token: it is for another client (azp)".to_owned());
            }
            None if several => return Err("id_token: it is for several, without azp".to_owned()),
            _ => {}
        }
        let subject = text("sub").ok_or("id_token: it has no sub")?;
        let name = text(&self.options.name_claim).unwrap_or(subject);
        let name = name.chars().filter(|one| !one.is_control()).take(100).collect::<String>();
        let roles = self.roles(&claims).ok_or_else(|| format!("{name} has no role here"))?;
        Ok(Identity::new(&name, roles, "oidc", None))
    }

    async fn exchange(&self, found: &Found, code: &str, verifier: &str) -> Result<Tokens, String> {
        let OidcOptions { client_id, client_secret, .. } = &self.options;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.return_to),
            ("code_verifier", verifier),
        ];
        let mut request = self.http.post(found.token.clone());
        match client_secret {
            Some(secret) => {
                // Both are form-encoded first (RFC 6749, section 2.3.1).
                let encoded =
                    |text: &str| url_encoded(&[("", text)]).trim_start_matches('=').to_owned();
                request = request.basic_auth(encoded(client_id), Some(encoded(secret)));
            }
            None => form.push(("client_id", client_id)),
        }
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(url_encoded(&form));
        let answer = answer(request, "token endpoint").await?;
        serde_json::from_slice(&answer)
            .map_err(|_| "token endpoint: expected JSON with an id_token".to_owned())
    }

    /// What a token says. One by a key that is not known yet is held against fresh ones.
    async fn claims(&self, found: &Found, token: &str) -> Result<Map<String, Value>, String> {
        let told = |fault| format!("id_token: {fault}");
        match found.verifier.verify_claims(token) {
            Err(wissel_identity::TokenFault::UnknownKey) => {
                found.verifier.refresh().await.map_err(|error| error.to_string())?;
                found.verifier.verify_claims(token).map_err(told)
            }
            outcome => outcome.map_err(told),
        }
    }

    async fn discover(&self) -> Result<Found, String> {
        let issuer = self.options.issuer.trim_end_matches('/');
        let url = endpoint("issuer", &format!("{issuer}/.well-known/openid-configuration"))?;
        let answer = answer(self.http.get(url), "openid-configuration").await?;
        let all: Discovered = serde_json::from_slice(&answer)
            .map_err(|_| "openid-configuration: expected the endpoints of a provider".to_owned())?;
        if all.issuer != self.options.issuer {
            return Err(
                "openid-configuration: its issuer is another than console.oidc.issuer".into()
            );
        }
        endpoint("jwks_uri", &all.jwks_uri)?;
        let options = TokenOptions {
            issuer: all.issuer,
            audience: self.options.client_id.clone(),
            party_claim: "sub".to_owned(),
            leeway: LEEWAY,
            keys: KeySource::Url(all.jwks_uri),
        };
        let verifier = TokenVerifier::start(options).await.map_err(|error| error.to_string())?;
        let verifier = Arc::new(verifier);
        let (fresh, stopping) = (Arc::clone(&verifier), self.stopping.clone());
        tokio::spawn(async move { fresh.keep_fresh(KEYS_EVERY, stopping).await });
        Ok(Found {
            authorization: endpoint("authorization_endpoint", &all.authorization_endpoint)?,
            token: endpoint("token_endpoint", &all.token_endpoint)?,
            verifier,
        })
    }

    /// What the claims give; none when that is no role.
    fn roles(&self, claims: &Map<String, Value>) -> Option<Roles> {
        let said: Vec<&str> = match claims.get(&self.options.roles_claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let given = self
            .options
            .roles
            .iter()
            .filter(|(_, values)| values.iter().any(|value| said.contains(&value.as_str())));
        Roles::of(given.map(|(role, _)| *role))
    }
}

fn url_encoded(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://localhost/").expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// A URL that nobody can listen in on.
fn endpoint(what: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{what}: {error}; expected https://"))?;
    let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    if url.scheme() == "https" || (url.scheme() == "http" && is_loopback) {
        Ok(url)
    } else {
        Err(format!("{what}: expected https://"))
    }
}

/// What is answered. Nothing of it is told but its status, as it may be anything.
async fn answer(request: reqwest::RequestBuilder, what: &str) -> Result<Vec<u8>, String> {
    let failed = |error: reqwest::Error| format!("{what}: {}", error.without_url());
    let mut answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("{what}: it answered {}", answer.status()));
    }
    let mut all = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        all.extend_from_slice(&chunk);
        if all.len() > ANSWER_MAX {
            return Err(format!("{what}: it answered more than {ANSWER_MAX} bytes"));
        }
    }
    Ok(all)
}
