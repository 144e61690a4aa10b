//! Publish and publish batch: repeats, refusals, tokens, limits.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use wissel_client::{
    Client, ClientError, Event, MAX_BATCH, RetryPolicy, Token, TokenError, TokenProvider,
};

use crate::peer::{
    INBOX, PARTY, Peer, SOURCE, bus_unavailable, event, in_time, quick, refusal, typed_event,
};

#[tokio::test]
async fn a_message_gets_a_receipt_and_a_repeat_gets_it_again() {
    let peer = Peer::start().await;
    let client = peer.client();

    let receipt = client.publish(&event(1)).await.unwrap();
    assert_eq!(receipt.id, "1");
    assert_eq!(receipt.source, SOURCE);
    assert_eq!(receipt.message_id.get_version_num(), 7);
    assert_eq!(receipt.inboxes[0].as_str(), INBOX);
    assert!(!receipt.repeated);

    let again = client.publish(&event(1)).await.unwrap();
    assert_eq!(again.message_id, receipt.message_id);
    assert!(again.repeated);
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong() {
    let peer = Peer::start().await;
    let unknown = typed_event(1, "nl.unknown");
    let error = peer.client().publish(&unknown).await.unwrap_err();

    let ClientError::Refused(refusal) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert_eq!(refusal.reason, "UNKNOWN_EVENT_TYPE");
    assert_eq!(refusal.violations[0].field, "type");
    assert_eq!(peer.state.calls.load(Ordering::Relaxed), 1, "not repeated");
}

#[tokio::test]
async fn unavailable_is_tried_again() {
    let peer = Peer::start().await;
    let failures = [bus_unavailable(), bus_unavailable()];
    peer.state.failures.lock().unwrap().extend(failures);

    in_time(peer.client().publish(&event(1))).await.unwrap();
    assert_eq!(peer.state.calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn without_retries_unavailable_is_told_at_once() {
    let peer = Peer::start().await;
    let client = peer.builder().retry(RetryPolicy::never());
    let client = client.connect().unwrap();
    peer.state.failures.lock().unwrap().push_back(bus_unavailable());

    let error = client.publish(&event(1)).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable(_)), "{error:?}");
    assert!(error.is_retryable());
    assert_eq!(error.refusal().unwrap().reason, "BUS_UNAVAILABLE");
    assert_eq!(peer.state.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_broken_connection_is_made_again() {
    let peer = Peer::start().await;
    let client = peer.client();
    for id in 0..20 {
        in_time(client.publish(&event(id))).await.unwrap();
        peer.state.wire.cut();
    }
    assert_eq!(peer.state.log.lock().unwrap().admitted.len(), 20);
}

#[tokio::test]
async fn when_nobody_listens_the_deadline_holds() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let client = Client::builder(format!("http://{address}"))
        .retry(quick())
        .call_timeout(Duration::from_millis(200))
        .connect()
        .unwrap();

    let mut shortest = Duration::MAX;
    // One of them meets nothing else that keeps the machine busy.
    for id in 0..3 {
        let began = Instant::now();
        let error = in_time(client.publish(&event(id))).await.unwrap_err();
        shortest = shortest.min(began.elapsed());
        // Told as it was, or as that before the attempt that the deadline ended.
        let is_either = match &error {
            ClientError::Transport { message } => message.contains("nothing listens there"),
            ClientError::DeadlineExceeded { before: Some(before), .. } => {
                before.contains("nothing listens there")
            }
            _ => false,
        };
        assert!(is_either, "{error:?}");
        assert!(error.is_retryable());
    }
    assert!(shortest < Duration::from_secs(2), "{shortest:?}");
}

#[tokio::test]
async fn who_speaks_otherwise_is_told_of() {
    const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 10];
    const NO_HTTP2: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    for (scheme, said, expected) in [
        ("http", ALERT, "endpoint: speaks TLS (use https://)"),
        ("http", NO_HTTP2, "or is no gateway (expected the address of `listen`)"),
        ("https", SETTINGS, "endpoint: speaks no TLS; use http://"),
        ("https", NO_HTTP2, "endpoint: speaks no TLS; use http://"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(said));
                // Until the client has read it and goes away.
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
        });
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let builder = Client::builder(format!("{scheme}://{address}"));
        let mut builder = builder.retry(RetryPolicy::never());
        if scheme == "https" {
            builder = builder.authorities(certificate.cert.pem());
        }
        let error = in_time(builder.connect().unwrap().publish(&event(1))).await.unwrap_err();
        assert!(matches!(error, ClientError::WrongEndpoint { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn who_answers_by_http_alone_is_no_gateway() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    // The head of the answer on stream 1, which is all of it: `:status: 404`.
    const NOT_FOUND: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x8d];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = read_request(&mut stream)
                .and_then(|()| stream.write_all(&[SETTINGS, NOT_FOUND].concat()));
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    let builder = Client::builder(format!("http://{address}")).retry(RetryPolicy::never());
    let error = in_time(builder.connect().unwrap().publish(&event(1))).await.unwrap_err();
    assert!(matches!(error, ClientError::WrongEndpoint { .. }), "{error:?}");
    assert!(error.to_string().contains("what answers there is no gateway"), "{error}");
}

/// Reads frames of HTTP/2 until the head of a request.
fn read_request(stream: &mut std::net::TcpStream) -> std::io::Result<()> {
    const HEADERS: u8 = 1;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface)?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        std::io::copy(&mut (&*stream).take(length.into()), &mut std::io::sink())?;
        if head[3] == HEADERS {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn who_does_not_answer_is_left_at_the_deadline() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeout = Duration::from_millis(200);
    let client = Client::builder(format!("http://{}", silent.local_addr().unwrap()))
        .call_timeout(timeout)
        .connect()
        .unwrap();
    let error = in_time(client.publish(&event(1))).await.unwrap_err();
    let expected = matches!(error, ClientError::DeadlineExceeded { after, .. } if after == timeout);
    assert!(expected, "{error:?}");
}

#[tokio::test]
async fn a_batch_has_one_outcome_for_each_in_order() {
    let peer = Peer::start().await;
    let batch = [event(1), typed_event(2, "nl.unknown"), event(3)];
    let outcomes = peer.client().publish_batch(&batch).await.unwrap();

    assert_eq!(outcomes.len(), 3);
    assert_eq!(outcomes[0].as_ref().unwrap().id, "1");
    let refused = outcomes[1].as_ref().unwrap_err();
    assert_eq!(refused.reason, "UNKNOWN_EVENT_TYPE");
    assert_eq!(refused.violations[0].field, "type");
    assert_eq!(outcomes[2].as_ref().unwrap().id, "3");
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let peer = Peer::start().await;
    let client = peer.builder().max_message_bytes(10_000).connect().unwrap();
    let large = Event::builder("1", SOURCE, "nl.brp.verhuizing")
        .data_bytes("application/octet-stream", vec![0; 10_000])
        .build()
        .unwrap();
    let fits = Event::builder("2", SOURCE, "nl.brp.verhuizing")
        .data_bytes("application/octet-stream", vec![0; 9_700])
        .build()
        .unwrap();

    client.publish(&fits).await.unwrap();
    let too_large = client.publish(&large).await.unwrap_err();
    assert!(matches!(too_large, ClientError::InvalidArgument { .. }));
    let too_large = client.publisher().send(&large).await.unwrap_err();
    assert!(matches!(too_large, ClientError::InvalidArgument { .. }));
    let too_large = client.publish_batch(&[fits.clone(), fits]).await;
    assert!(matches!(too_large, Err(ClientError::InvalidArgument { .. })));
    let too_many = vec![event(1); MAX_BATCH + 1];
    let too_many = client.publish_batch(&too_many).await;
    assert!(matches!(too_many, Err(ClientError::InvalidArgument { .. })));
    assert_eq!(peer.state.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_a_fault_of_protocol() {
    let peer = Peer::start().await;
    let unimplemented = Status::unimplemented("");
    peer.state.failures.lock().unwrap().push_back(unimplemented);
    let error = peer.client().publish(&event(1)).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
}

/// Gives another token each time.
struct Counting(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl TokenProvider for Counting {
    async fn token(&self) -> Result<Token, TokenError> {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        match count {
            0 => Ok("first".into()),
            1 => Ok(format!("dev.{PARTY}").into()),
            _ => Err(TokenError::new("no more")),
        }
    }
}

#[tokio::test]
async fn the_token_is_asked_for_at_each_call() {
    let peer = Peer::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let client = peer.builder().token_provider(Counting(Arc::clone(&asked)));
    let client = client.connect().unwrap();

    let error = client.publish(&event(1)).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().reason, "UNAUTHENTICATED");
    client.publish(&event(1)).await.unwrap();
    let error = client.publish(&event(1)).await.unwrap_err();
    assert!(matches!(error, ClientError::Token(_)), "{error:?}");
}

#[tokio::test]
async fn a_token_comes_from_a_file() {
    let peer = Peer::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("dev.{PARTY}\n")).unwrap();
    let client = peer.builder().token_file(file.path()).connect().unwrap();
    client.publish(&event(1)).await.unwrap();
}

#[tokio::test]
async fn retry_after_is_kept_to() {
    let peer = Peer::start().await;
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_millis(300)));
    let later = Status::with_error_details(Code::Unavailable, "later", details);
    peer.state.failures.lock().unwrap().push_back(later);

    let began = Instant::now();
    in_time(peer.client().publish(&event(1))).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));

    // The code alone says that it may work later; the reason is not needed.
    let plain = refusal(Code::Unavailable, "SHUTTING_DOWN", "elsewhere");
    peer.state.failures.lock().unwrap().push_back(plain);
    in_time(peer.client().publish(&event(2))).await.unwrap();
}
