//! What waits for a retry, on the page of what waits.

use std::time::{Duration, Instant};

use wissel_client::Event;
use wissel_tests::visitor::Visitor;
use wissel_tests::{Gateway, OPERATOR, REGISTRY, event};

use super::{EMBEDDED, inbox, open};

/// It is shown, or told of where the bus cannot show it; why, in the language of who reads.
pub(crate) async fn are_told_of(bus: &str, gateway: &Gateway, visitor: &mut Visitor) {
    gateway.client(REGISTRY).publish(&event("retried", 0)).await.unwrap();
    let mut receiver = open(gateway).await;
    let delivery = receiver.next().await.unwrap().unwrap();
    delivery.retry(Duration::from_secs(3_600), "the lease ended").await.unwrap();
    receiver.close().await.unwrap();
    let (english, dutch) = if bus == EMBEDDED {
        ("the lease ended", "de ontvanger reageerde niet op tijd")
    } else {
        ("1 waits for another attempt; this bus", "wacht er 1 op een nieuwe poging; deze bus")
    };
    for (language, expected) in [("en", english), ("nl", dutch)] {
        visitor.get(&format!("/language/{language}")).await;
        shows(visitor, expected).await;
    }
    if bus == EMBEDDED {
        large_ones_are_not_all_shown(gateway, visitor).await;
    }
}

/// What there is no room for is no fault of the bus, which could show it.
async fn large_ones_are_not_all_shown(gateway: &Gateway, visitor: &mut Visitor) {
    visitor.get("/language/en").await;
    let registry = gateway.client(REGISTRY);
    let mut receiver = open(gateway).await;
    for number in 0..6 {
        let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
        let large = Event::builder(format!("large-{number}"), source, "nl.brp.geboorte");
        let large = large.extension("gemeente", "0344");
        let data = format!("{{\"naam\":\"{}\"}}", "x".repeat(900 << 10));
        let large = large.data_text("application/json", data).build().unwrap();
        registry.publish(&large).await.unwrap();
        let delivery = receiver.next().await.unwrap().unwrap();
        delivery.retry(Duration::from_secs(3_600), "later").await.unwrap();
    }
    receiver.close().await.unwrap();
    let page = shows(visitor, "There is more than is shown here.").await;
    let state = gateway.client(OPERATOR).get_inbox(&inbox().parse().unwrap()).await.unwrap();
    assert!((page.matches("/dossier?message=").count() as u64) < state.depth, "{page}");
    assert!(!page.contains("this bus cannot show") && !page.contains("Nothing waits"), "{page}");
}

/// The page of what waits, once it says this.
pub(crate) async fn shows(visitor: &mut Visitor, expected: &str) -> String {
    let begun = Instant::now();
    loop {
        let page = visitor.get(&format!("/inboxes/{}/messages", inbox())).await.text;
        if page.contains(expected) {
            return page;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{expected} in {page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
