//! Tokens that are taken, and those that are not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use wissel_identity::{DevTokenIssuer, KeySource, TokenFault, TokenOptions, TokenVerifier};

const PARTY: &str = "00000001002220647000";
const HOUR: Duration = Duration::from_secs(3_600);

fn options(issuer: &str, keys: KeySource) -> TokenOptions {
    TokenOptions {
        issuer: issuer.to_owned(),
        audience: "wissel".to_owned(),
        party_claim: "sub".to_owned(),
        leeway: Duration::ZERO,
        keys,
    }
}

async fn verifier_of(directory: &Path, issuer: &str) -> TokenVerifier {
    let keys = KeySource::File(directory.join("jwks.json"));
    TokenVerifier::start(options(issuer, keys)).await.unwrap()
}

async fn world() -> (TempDir, DevTokenIssuer, TokenVerifier) {
    let directory = tempfile::tempdir().unwrap();
    let issuer = DevTokenIssuer::open_or_create(directory.path()).unwrap();
    let verifier = verifier_of(directory.path(), &issuer.issuer).await;
    (directory, issuer, verifier)
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_good_token_names_its_party() {
    let (_directory, issuer, verifier) = world().await;
    let party = PARTY.parse().unwrap();
    let token = issuer.issue(&party, "wissel", HOUR).unwrap();
    let claims = verifier.verify(&token).unwrap();
    assert_eq!(claims.party, party);
    assert!(claims.expires_at > SystemTime::now());
}

#[tokio::test]
async fn tokens_that_prove_nothing_are_refused_without_being_shown() {
    let (directory, issuer, verifier) = world().await;
    let party = PARTY.parse().unwrap();
    let good = issuer.issue(&party, "wissel", HOUR).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = |header: Value, claims: &str| {
        format!("{}.{claims}.", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()))
    };
    let claims = |change: fn(&mut Value)| {
        let mut claims = json!({
            "iss": issuer.issuer, "sub": PARTY, "aud": "wissel", "exp": now() + 3_600,
        });
        change(&mut claims);
        claims
    };
    let pem = std::fs::read_to_string(directory.path().join("tokens.key")).unwrap();
    let key = rcgen::KeyPair::from_pem(&pem).unwrap();
    let key_of_issuer = EncodingKey::from_ec_der(&key.serialize_der());
    let signed = |claims: Value| {
        let header = Header {
            kid: Some("wissel-development-only".to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, &claims, &key_of_issuer).unwrap()
    };
    let public = std::fs::read(directory.path().join("jwks.json")).unwrap();
    let symmetric =
        encode(&Header::new(Algorithm::HS256), &claims(|_| {}), &EncodingKey::from_secret(&public));
    let other_key = EncodingKey::from_ec_der(&rcgen::KeyPair::generate().unwrap().serialize_der());
    let of_other = |kid: &str| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims(|_| {}), &other_key).unwrap()
    };
    let tampered = {
        let claims = claims(|claims| claims["sub"] = json!("00000099000000001000"));
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        format!("{}.{claims}.{}", parts[0], parts[2])
    };
    let claim = |claim, expected| TokenFault::Claim { claim, expected };
    let critical = {
        let header = Header {
            kid: Some("wissel-development-only".to_owned()),
            crit: Some(vec!["x".to_owned()]),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, &claims(|_| {}), &key_of_issuer).unwrap()
    };
    for (what, token, expected) in [
        ("a critical extension", critical, TokenFault::Malformed),
        (
            "another audience",
            signed(claims(|c| c["aud"] = json!("elsewhere"))),
            TokenFault::Audience,
        ),
        (
            "no audience",
            signed(claims(|c| drop(c.as_object_mut().unwrap().remove("aud")))),
            TokenFault::Audience,
        ),
        ("another issuer", signed(claims(|c| c["iss"] = json!("evil"))), TokenFault::Issuer),
        ("expired", signed(claims(|c| c["exp"] = json!(now() - 10))), TokenFault::Expired),
        (
            "no expiry",
            signed(claims(|c| drop(c.as_object_mut().unwrap().remove("exp")))),
            claim("exp", "a moment"),
        ),
        ("not yet", signed(claims(|c| c["nbf"] = json!(now() + 600))), TokenFault::NotYet),
        (
            "no OIN",
            signed(claims(|c| c["sub"] = json!("999990019"))),
            claim("of the party", "an OIN"),
        ),
        ("alg none", unsigned(json!({"alg": "none"}), parts[1]), TokenFault::Malformed),
        ("alg None", unsigned(json!({"alg": "nOnE"}), parts[1]), TokenFault::Malformed),
        ("signature taken off", format!("{}.{}.", parts[0], parts[1]), TokenFault::Signature),
        ("HS256 with the public key", symmetric.unwrap(), TokenFault::Algorithm),
        ("tampered", tampered, TokenFault::Signature),
        ("of another key", of_other("wissel-development-only"), TokenFault::Signature),
        ("of an unknown key", of_other("elsewhere"), TokenFault::UnknownKey),
        ("too long", "a".repeat(9_000), TokenFault::TooLong),
        ("nothing", String::new(), TokenFault::Malformed),
    ] {
        let fault = verifier.verify(&token).unwrap_err();
        assert_eq!(fault, expected, "{what}");
        let shown = format!("{fault} {fault:?}");
        assert!(!shown.contains("999990019") && (token.len() < 9 || !shown.contains(&token)));
    }
}

#[tokio::test]
async fn rsa_keys_are_taken_too_and_each_key_for_its_own_algorithm_only() {
    let directory = tempfile::tempdir().unwrap();
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    // PKCS#8 around PKCS#1: 26 bytes in front.
    let pkcs8 = pair.unwrap().serialize_der();
    let key = EncodingKey::from_rsa_der(&pkcs8[26..]);
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
    jwk.common.key_id = Some("rsa".to_owned());
    let set = serde_json::to_string(&JwkSet { keys: vec![jwk] }).unwrap();
    std::fs::write(directory.path().join("jwks.json"), set).unwrap();
    let verifier = verifier_of(directory.path(), "i").await;
    let claims = json!({"iss": "i", "sub": PARTY, "aud": ["x", "wissel"], "exp": now() + 60});
    let sign = |algorithm| {
        let header = Header { kid: Some("rsa".to_owned()), ..Header::new(algorithm) };
        encode(&header, &claims, &key).unwrap()
    };
    assert_eq!(verifier.verify(&sign(Algorithm::RS256)).unwrap().party.as_str(), PARTY);
    assert_eq!(verifier.verify(&sign(Algorithm::RS512)).unwrap_err(), TokenFault::Algorithm);
}

#[tokio::test]
async fn keys_are_exchanged_and_broken_ones_are_not_taken() {
    let (directory, issuer, verifier) = world().await;
    let party = PARTY.parse().unwrap();
    let token = issuer.issue(&party, "wissel", HOUR).unwrap();
    let jwks = directory.path().join("jwks.json");
    std::fs::write(&jwks, "{\"keys\": []}").unwrap();
    assert!(verifier.refresh().await.is_err());
    assert!(verifier.verify(&token).is_ok(), "the old ones stay");

    let second = tempfile::tempdir().unwrap();
    let renewed = DevTokenIssuer::open_or_create(second.path()).unwrap();
    std::fs::copy(second.path().join("jwks.json"), &jwks).unwrap();
    verifier.refresh().await.unwrap();
    assert!(verifier.verify(&token).is_err());
    assert!(verifier.verify(&renewed.issue(&party, "wissel", HOUR).unwrap()).is_ok());
}

#[tokio::test]
async fn a_token_goes_with_its_key() {
    let (directory, issuer, verifier) = world().await;
    let token = issuer.issue(&PARTY.parse().unwrap(), "wissel", HOUR).unwrap();
    let proof = verifier.prove(&token).unwrap();
    assert!(!format!("{proof:?}").contains(&token));
    assert!(!verifier.refresh().await.unwrap());
    assert_eq!(verifier.check_still_valid(&proof), Ok(()));

    let second = tempfile::tempdir().unwrap();
    DevTokenIssuer::open_or_create(second.path()).unwrap();
    let jwks = directory.path().join("jwks.json");
    let before = std::fs::read(&jwks).unwrap();
    std::fs::copy(second.path().join("jwks.json"), &jwks).unwrap();
    assert!(verifier.refresh().await.unwrap());
    assert!(verifier.check_still_valid(&proof).is_err());
    std::fs::write(&jwks, before).unwrap();
    assert!(verifier.refresh().await.unwrap());
    assert_eq!(verifier.check_still_valid(&proof), Ok(()));
    assert!(verifier.prove("x").is_err());
}

/// Serves each answer to one request.
async fn serve(answers: Vec<String>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 2_000]).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn keys_come_from_a_url_that_is_not_followed_elsewhere() {
    let (directory, issuer, _) = world().await;
    let set = std::fs::read_to_string(directory.path().join("jwks.json")).unwrap();
    let good = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{set}",
        set.len()
    );
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let url = serve(vec![good.clone(), redirect.to_owned(), good]).await;
    let verifier =
        TokenVerifier::start(options(&issuer.issuer, KeySource::Url(url))).await.unwrap();
    let token = issuer.issue(&PARTY.parse().unwrap(), "wissel", HOUR).unwrap();
    assert!(verifier.verify(&token).is_ok());
    assert!(verifier.refresh().await.is_err());
    assert!(verifier.verify(&token).is_ok());
    verifier.refresh().await.unwrap();
    for url in ["http://example.nl/jwks.json", "ftp://127.0.0.1/", "file:///etc/passwd", "x"] {
        let options = options("i", KeySource::Url(url.to_owned()));
        assert!(TokenVerifier::start(options).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn an_unknown_key_makes_the_keys_be_read_again() {
    let (directory, _, verifier) = world().await;
    let second = tempfile::tempdir().unwrap();
    let renewed = DevTokenIssuer::open_or_create(second.path()).unwrap();
    let jwks = std::fs::read_to_string(second.path().join("jwks.json")).unwrap();
    std::fs::write(directory.path().join("jwks.json"), jwks).unwrap();
    let verifier = Arc::new(verifier);
    let stop = CancellationToken::new();
    let fresh = Arc::clone(&verifier);
    let stopped = stop.clone();
    let keeping = tokio::spawn(async move { fresh.keep_fresh(HOUR, stopped).await });
    let key = EncodingKey::from_ec_der(&rcgen::KeyPair::generate().unwrap().serialize_der());
    let header = Header { kid: Some("new".to_owned()), ..Header::new(Algorithm::ES256) };
    let unknown = encode(&header, &json!({}), &key).unwrap();
    assert_eq!(verifier.verify(&unknown).unwrap_err(), TokenFault::UnknownKey);
    let token = renewed.issue(&PARTY.parse().unwrap(), "wissel", HOUR).unwrap();
    for _ in 0..100 {
        if verifier.verify(&token).is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(verifier.verify(&token).is_ok());
    stop.cancel();
    keeping.await.unwrap();
}
