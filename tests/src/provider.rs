//! A provider of OpenID Connect on a loopback address, which signs whoever comes in at once:
//! codes that are good once, PKCE that is checked, tokens that are signed. It can be told to
//! be wrong in one way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::task::AbortOnDropHandle;

/// Who the console is at the provider.
pub const CLIENT: &str = "wissel-console";
/// What it proves that with.
pub const SECRET: &str = "s3cret+of/the=console";

/// The provider; it ends when it is dropped.
pub struct Provider {
    state: Arc<Inner>,
    _serving: AbortOnDropHandle<()>,
}

/// In which way it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The token is of another sign-in.
    Nonce,
    /// The token is for another client.
    Audience,
    /// The token is for several, and was asked for by another.
    Party,
    /// The token is of another issuer.
    Issuer,
    /// The token has expired.
    Expired,
    /// The token is not signed.
    Unsigned,
    /// The token is signed by a key that is not the provider's.
    Key,
    /// The browser is sent back with another state.
    State,
    /// The provider refuses.
    Refused,
}

struct Inner {
    issuer: String,
    keys: Mutex<Vec<(String, EncodingKey)>>,
    strange: EncodingKey,
    codes: Mutex<HashMap<String, HashMap<String, String>>>,
    told: Mutex<(Option<Wrong>, Value)>,
}

impl Provider {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Inner {
            issuer,
            keys: Mutex::new(vec![("first".to_owned(), key())]),
            strange: key(),
            codes: Mutex::default(),
            told: Mutex::new((None, json!({}))),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { state, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// From now on it says this of whoever comes, and is wrong in this way.
    pub fn say(&self, claims: Value, wrong: Option<Wrong>) {
        *self.state.told.lock().unwrap() = (wrong, claims);
    }

    /// Signs with another key from now on, and no longer has the one before.
    pub fn change_key(&self) {
        *self.state.keys.lock().unwrap() = vec![("second".to_owned(), key())];
    }
}

fn key() -> EncodingKey {
    EncodingKey::from_ec_der(&KeyPair::generate().unwrap().serialize_der())
}

async fn configuration(State(inner): State<Arc<Inner>>) -> Json<Value> {
    let issuer = &inner.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
    }))
}

async fn keys(State(inner): State<Arc<Inner>>) -> Json<JwkSet> {
    let keys = inner.keys.lock().unwrap();
    let keys = keys.iter().map(|(id, key)| {
        let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(id.clone());
        jwk
    });
    Json(JwkSet { keys: keys.collect() })
}

async fn authorize(
    State(inner): State<Arc<Inner>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let is = |name: &str, value: &str| asked.get(name).is_some_and(|given| given == value);
    let is_whole = is("response_type", "code")
        && is("client_id", CLIENT)
        && is("code_challenge_method", "S256")
        && asked["scope"].split(' ').any(|scope| scope == "openid");
    if !is_whole {
        return (StatusCode::BAD_REQUEST, "not a request of an authorisation code").into_response();
    }
    let wrong = inner.told.lock().unwrap().0;
    let state = if wrong == Some(Wrong::State) { "another" } else { &asked["state"] };
    let to = &asked["redirect_uri"];
    if wrong == Some(Wrong::Refused) {
        return Redirect::to(&format!("{to}?error=access_denied&state={state}")).into_response();
    }
    let code = format!("{:032x}", rand::random::<u128>());
    let back = format!("{to}?code={code}&state={state}");
    inner.codes.lock().unwrap().insert(code, asked);
    Redirect::to(&back).into_response()
}

async fn token(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(asked): Form<HashMap<String, String>>,
) -> Response {
    let escaped = |text: &str| {
        let pairs = serde_urlencoded::to_string([("", text)]).unwrap();
        pairs.trim_start_matches('=').to_owned()
    };
    let proof = BASE64_STANDARD.encode(format!("{}:{}", escaped(CLIENT), escaped(SECRET)));
    let is_proven =
        headers.get("authorization").is_some_and(|given| *given == *format!("Basic {proof}"));
    let begun = inner.codes.lock().unwrap().remove(&asked["code"]);
    let Some(begun) = begun.filter(|_| is_proven && asked["grant_type"] == "authorization_code")
    else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })))
            .into_response();
    };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&asked["code_verifier"]));
    if challenge != begun["code_challenge"] || asked["redirect_uri"] != begun["redirect_uri"] {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })))
            .into_response();
    }
    let id_token = inner.id_token(&begun["nonce"]);
    let answer = json!({ "access_token": "x", "token_type": "Bearer", "id_token": id_token });
    Json(answer).into_response()
}

impl Inner {
    fn id_token(&self, nonce: &str) -> String {
        let (wrong, more) = self.told.lock().unwrap().clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let is = |one: Wrong| wrong == Some(one);
        let mut claims = json!({
            "iss": if is(Wrong::Issuer) { "http://127.0.0.1:1" } else { &self.issuer },
            "aud": CLIENT,
            "sub": "7f3a",
            "iat": now,
            "exp": if is(Wrong::Expired) { now - 3_600 } else { now + 60 },
            "nonce": if is(Wrong::Nonce) { "another" } else { nonce },
        });
        if is(Wrong::Audience) {
            claims["aud"] = json!("another");
        }
        if is(Wrong::Party) {
            (claims["aud"], claims["azp"]) = (json!([CLIENT, "another"]), json!("another"));
        }
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        if is(Wrong::Unsigned) {
            let encoded = |part: Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
            return format!("{}.{}.", encoded(json!({ "alg": "none" })), encoded(claims));
        }
        let keys = self.keys.lock().unwrap();
        let (id, key) = &keys[0];
        let header = Header { kid: Some(id.clone()), ..Header::new(Algorithm::ES256) };
        let key = if is(Wrong::Key) { &self.strange } else { key };
        encode(&header, &claims, key).unwrap()
    }
}
