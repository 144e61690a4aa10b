//! Who gets into the console, and as whom.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use serde_json::json;
use wissel_identity::{DevAuthority, Validity};
use wissel_testkit::free_port;
use wissel_tests::provider::{CLIENT, Provider, SECRET, Wrong};
use wissel_tests::visitor::Visitor;
use wissel_tests::{Gateway, alone};

const EMBEDDED: &str = "embedded";

/// A gateway whose console signs in at this provider, with more settings of the console.
async fn with_provider(provider: &Provider, more: &str) -> (Gateway, String) {
    let mut gateway = Gateway::stopped(EMBEDDED);
    let port = free_port().unwrap();
    let secret = gateway.data_directory().with_file_name("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    gateway.write_config(&format!(
        r#"
[console]
listen = "127.0.0.1:{port}"
{more}
[console.oidc]
issuer = "{}"
client_id = "{CLIENT}"
client_secret_file = "{}"
[console.oidc.roles]
viewer = ["kijkers"]
operator = ["beheer"]
catalogue-manager = ["catalogus"]
"#,
        provider.issuer(),
        secret.display()
    ));
    gateway.start_again().await;
    (gateway, format!("http://127.0.0.1:{port}"))
}

fn anna(role: &str) -> serde_json::Value {
    json!({ "preferred_username": "anna", "roles": ["other", role] })
}

async fn signed_in(url: &str) -> Visitor {
    let mut visitor = Visitor::of(url);
    let page = visitor.follow("/sign-in/provider").await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("anna"), "{}", page.text);
    visitor
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_sign_in_at_a_provider() {
    let _alone = alone().await;
    let provider = Provider::start().await;
    let (gateway, url) = with_provider(&provider, "").await;

    let mut stranger = Visitor::of(&url);
    for path in ["/", "/inboxes", "/map"] {
        let page = stranger.get(path).await;
        assert_eq!((page.status, page.to.as_str()), (303, "/sign-in"), "{path}");
    }
    let page = stranger.get("/sign-in").await;
    assert!(page.status == 200 && page.text.contains("/sign-in/provider"), "{}", page.text);
    assert_eq!(stranger.post("/sign-out", &[]).await.status, 401);
    // Health and metrics are told to whoever reaches them.
    assert_eq!(stranger.get("/health/live").await.status, 200);

    provider.say(anna("kijkers"), None);
    let mut visitor = signed_in(&url).await;
    let page = visitor.get("/").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["cache-control"], "no-store");

    // No other site changes anything, and no form that is not of this session.
    let csrf = page.hidden("csrf").to_owned();
    let own = [("csrf", csrf.as_str())];
    assert_eq!(visitor.post_from("/sign-out", &own, "https://evil.example").await.status, 403);
    assert_eq!(visitor.post("/sign-out", &[]).await.status, 403);
    assert_eq!(visitor.post("/sign-out", &[("csrf", "another")]).await.status, 403);
    assert_eq!(visitor.get_as("/", "evil.example").await.status, 421);
    assert_eq!(visitor.get("/").await.status, 200);

    // Each sign-in is a session of its own, and its cookie is worth nothing after its end.
    let mut other = signed_in(&url).await;
    assert_eq!(other.post("/sign-out", &own).await.status, 403, "a form of another session");
    let cookies = visitor.cookies.clone();
    assert_eq!(visitor.post("/sign-out", &own).await.status, 303);
    assert!(!visitor.cookies.contains_key("wissel-session"));
    visitor.cookies = cookies;
    assert_eq!(visitor.get("/").await.status, 303);
    assert_eq!(other.get("/").await.status, 200);

    // The provider may change its key.
    provider.change_key();
    signed_in(&url).await;
    // Whoever has no role is not let in.
    provider.say(json!({ "preferred_username": "bob", "roles": "koffie" }), None);
    let page = Visitor::of(&url).follow("/sign-in/provider").await;
    assert!(page.status == 403 && page.text.contains("no role"), "{}", page.text);

    let records = gateway.records();
    for expected in ["\"operation\":\"signed-in\"", "\"operator\":\"anna\"", "signed-out", "bob"] {
        assert!(records.contains(expected), "{expected}");
    }
    assert!(!records.contains(SECRET) && !gateway.log().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_wrongly_lets_nobody_in() {
    let _alone = alone().await;
    let provider = Provider::start().await;
    let (gateway, url) = with_provider(&provider, "").await;
    for wrong in [
        Wrong::Nonce,
        Wrong::Audience,
        Wrong::Party,
        Wrong::Issuer,
        Wrong::Expired,
        Wrong::Unsigned,
        Wrong::Key,
        Wrong::State,
        Wrong::Refused,
    ] {
        provider.say(anna("beheer"), Some(wrong));
        let mut visitor = Visitor::of(&url);
        let page = visitor.follow("/sign-in/provider").await;
        assert_eq!(page.status, 403, "{wrong:?}: {}", page.text);
        assert!(!visitor.cookies.contains_key("wissel-session"), "{wrong:?}");
        assert_eq!(visitor.get("/").await.status, 303, "{wrong:?}");
    }
    assert!(gateway.records().matches("UNAUTHENTICATED").count() >= 9);

    // A code, and what leads back with it, is good once, and in one browser.
    provider.say(anna("beheer"), None);
    let mut visitor = Visitor::of(&url);
    let begun = visitor.get("/sign-in/provider").await;
    let back = visitor.get(&begun.to).await.to;
    let before = visitor.cookies.clone();
    assert_eq!(Visitor::of(&url).get(&back).await.status, 403);
    assert_eq!(visitor.get(&back).await.status, 303);
    visitor.cookies = before;
    assert_eq!(visitor.get(&back).await.status, 403);

    // Nobody tries for ever.
    let mut guesser = Visitor::of(&url);
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(guesser.get("/sign-in/return?code=x&state=y").await.status);
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_and_are_not_without_number() {
    const IDLE: Duration = Duration::from_secs(4);
    const SESSION: Duration = Duration::from_secs(12);
    let _alone = alone().await;
    let provider = Provider::start().await;
    provider.say(anna("kijkers"), None);
    let settings = "idle_seconds = 4\nsession_seconds = 12\nsessions = 2";
    let (_gateway, url) = with_provider(&provider, settings).await;
    let mut idle = signed_in(&url).await;
    let begun = Instant::now();
    let mut busy = signed_in(&url).await;
    let page = Visitor::of(&url).follow("/sign-in/provider").await;
    assert_eq!(page.status, 503, "{}", page.text);
    while begun.elapsed() < IDLE + Duration::from_millis(500) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(busy.get("/").await.status, 200);
    }
    assert_eq!(idle.get("/").await.status, 303, "idle");
    let status = loop {
        let status = busy.get("/").await.status;
        if status != 200 {
            break status;
        }
        assert!(begun.elapsed() < SESSION * 3, "its time is over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(status, 303);
    assert!(begun.elapsed() >= SESSION, "its time is not over");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_sign_in_by_certificate() {
    let _alone = alone().await;
    let mut gateway = Gateway::stopped(EMBEDDED);
    let port = free_port().unwrap();
    let ca = gateway.authority_directory();
    let authority = DevAuthority::create(&ca).unwrap();
    authority.issue_server(&["127.0.0.1".to_owned()], "gateway", Validity::default()).unwrap();
    let own = authority.issue_client(&["e1"], "anna", Validity::default()).unwrap();
    let strange = authority.issue_client(&["e2"], "bob", Validity::default()).unwrap();
    let pem = std::fs::read_to_string(&own).unwrap();
    let fingerprint = fingerprint(&pem);
    let ca_path = ca.display();
    gateway.write_config(&format!(
        r#"
[console]
listen = "127.0.0.1:{port}"
[console.tls]
certificate = "{ca_path}/gateway.pem"
key = "{ca_path}/gateway.key"
client_authorities = ["{ca_path}/ca.pem"]
revocation_lists = ["{ca_path}/crl.pem"]
[[console.operators]]
name = "anna"
fingerprint = "{fingerprint}"
roles = ["operator"]
"#
    ));
    gateway.start_again().await;
    let url = format!("https://127.0.0.1:{port}");
    let authority_pem = std::fs::read(ca.join("ca.pem")).unwrap();
    let browser = |certificate: Option<&std::path::Path>| {
        let trusted = reqwest::Certificate::from_pem(&authority_pem).unwrap();
        let mut builder = reqwest::Client::builder().tls_certs_only([trusted]);
        if let Some(path) = certificate {
            let mut pem = std::fs::read(path.with_extension("key")).unwrap();
            pem.extend(std::fs::read(path).unwrap());
            builder = builder.identity(reqwest::Identity::from_pem(&pem).unwrap());
        }
        Visitor::with(&url, builder)
    };
    for certificate in [None, Some(strange.as_path())] {
        let mut visitor = browser(certificate);
        assert_eq!(visitor.get("/").await.status, 303);
        assert!(!visitor.get("/sign-in").await.text.contains("/sign-in/certificate"));
        assert_eq!(visitor.post("/sign-in/certificate", &[]).await.status, 403);
    }
    let mut visitor = browser(Some(own.as_path()));
    assert!(visitor.get("/sign-in").await.text.contains("anna"));
    assert_eq!(visitor.post("/sign-in/certificate", &[]).await.status, 303);
    assert!(visitor.cookies.contains_key("__Host-wissel-session"));
    assert_eq!(visitor.get("/").await.status, 200);
    // The cookie is worth nothing without the certificate.
    let mut thief = browser(None);
    thief.cookies = visitor.cookies.clone();
    assert_eq!(thief.get("/").await.status, 303);
    // Nor with it, once it is revoked.
    authority.revoke(&own).unwrap();
    gateway.hang_up().await;
    gateway.logs("certificates and revocation lists read again").await;
    let page = visitor.get("/").await;
    assert_eq!(page.status, 303, "{}", page.text);
}

/// The fields of a form.
type Fields = &'static [(&'static str, &'static str)];

/// Everything that can be asked for, and the role that it takes.
fn acts() -> Vec<(String, Fields, &'static str)> {
    let inbox = format!("/inboxes/{}.inbox", wissel_tests::PARTIES[2]);
    let letters = format!("{inbox}/dead-letters");
    let all: &[_] = &[("what", "purge"), ("all", "yes"), ("why", "x")];
    vec![
        (format!("{inbox}/switch"), &[("switch", "paused"), ("on", "false")], "beheer"),
        (format!("{inbox}/settings"), &[("max_attempts", "5")], "beheer"),
        (format!("{letters}/ask"), all, "beheer"),
        (format!("{letters}/do"), all, "beheer"),
        (format!("{letters}/x/unmask"), &[("why", "x")], "beheer"),
        ("/catalogue/read".to_owned(), &[], "catalogus"),
        // Whoever has a role may look.
        ("/dossier/correlated".to_owned(), &[("correlation", "x")], ""),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_own_and_strangers_nothing() {
    let _alone = alone().await;
    let provider = Provider::start().await;
    let (gateway, url) = with_provider(&provider, "").await;
    for role in ["kijkers", "beheer", "catalogus"] {
        provider.say(anna(role), None);
        let mut visitor = signed_in(&url).await;
        let csrf = visitor.get("/").await.hidden("csrf").to_owned();
        for (path, fields, needed) in acts() {
            let fields = [&[("csrf", csrf.as_str())], fields].concat();
            let answer = visitor.post(&path, &fields).await;
            // What may be done and is not there is another answer.
            let may = needed == role || needed.is_empty();
            let expected = if may { [200, 303, 404].as_slice() } else { &[403] };
            assert!(expected.contains(&answer.status), "{role} {path}: {}", answer.status);
        }
    }
    // A party is nobody here, whatever it shows; nor is who shows nothing.
    let inbox = format!("/inboxes/{}.inbox", wissel_tests::PARTIES[2]);
    let mut paths: Vec<String> =
        ["", "/messages", "/dead-letters", "/dead-letters/x"].map(|one| inbox.clone() + one).into();
    paths.extend(
        [
            "/",
            "/inboxes",
            "/dossier",
            "/map",
            "/catalogue",
            "/parties",
            "/parties/00000099000000001000",
            "/subscriptions",
            "/records",
            "/system",
        ]
        .map(str::to_owned),
    );
    for token in [None, Some(format!("Bearer dev.{}", wissel_tests::PARTIES[2]))] {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.build().unwrap();
        let with = |request: reqwest::RequestBuilder| match &token {
            Some(token) => request.header("authorization", token),
            None => request,
        };
        for path in &paths {
            let answer = with(client.get(format!("{url}{path}"))).send().await.unwrap();
            assert_eq!(answer.status(), 303, "{path}");
            let text = answer.text().await.unwrap();
            assert!(!text.contains(wissel_tests::PARTIES[2]), "{path}: {text}");
        }
        for (path, fields, _) in acts() {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let posted = with(client.post(format!("{url}{path}"))).header("origin", &url);
            let posted = posted.header("content-type", "application/x-www-form-urlencoded");
            let posted = posted.body(fields.join("&")).send().await.unwrap();
            assert!(
                [303, 401, 403].contains(&posted.status().as_u16()),
                "{path}: {}",
                posted.status()
            );
        }
    }
    let records = gateway.records();
    assert!(records.contains(r#""operator":"anna""#), "{records}");
}

fn fingerprint(pem: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::prelude::BASE64_STANDARD.decode(body).unwrap();
    sha2::Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
