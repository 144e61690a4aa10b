//! What waits for a retry, on the page of what waits.

use std::time::{Duration, Instant};

use wissel_tests::visitor::Visitor;
use wissel_tests::{Gateway, REGISTRY, event};

use super::{EMBEDDED, inbox, open};

/// It is shown, or told of where the bus cannot show it; why, in the language of who reads.
pub(crate) async fn are_told_of(bus: &str, gateway: &Gateway, visitor: &mut Visitor) {
    gateway.client(REGISTRY).publish(&event("retried", 0)).await.unwrap();
    let mut receiver = open(gateway).await;
    let delivery = receiver.next().await.unwrap().unwrap();
    delivery.retry(Duration::from_secs(3_600), "the lease ended").await.unwrap();
    receiver.close().await.unwrap();
    let (english, dutch) = if bus == EMBEDDED {
        ("the lease ended", "de ontvanger zei niets op tijd")
    } else {
        ("cannot be shown on this bus: 1.", "op deze bus niet te tonen: 1.")
    };
    for (language, expected) in [("en", english), ("nl", dutch)] {
        visitor.get(&format!("/language/{language}")).await;
        let begun = Instant::now();
        loop {
            let page = visitor.get(&format!("/inboxes/{}/messages", inbox())).await.text;
            if page.contains(expected) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{expected} in {page}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
