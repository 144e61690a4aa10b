//! What parties are told: of which of their signals, what, and about which other party.

use serde_json::json;
use uuid::Uuid;
use wissel_catalogue::Catalogue;
use wissel_identifiers::Oin;
use wissel_message::{Event, Timestamp};
use wissel_store::{NoticeOf, SignalNotice, Tell};

use crate::Exchange;

impl Exchange {
    /// Writes notices, by the catalogue that is in force.
    pub(super) fn notices(&self) -> Tell {
        let catalogue = self.broker.catalogue();
        Box::new(move |notice| write(&catalogue, notice))
    }
}

/// A notice as a message of the exchange, without a subject. None when nobody is the exchange.
fn write(catalogue: &Catalogue, notice: &SignalNotice) -> Option<Vec<u8>> {
    let exchange = catalogue.exchange()?;
    let SignalNotice {
        what, signal, event_type, reference, expires_at, party, previous, at, ..
    } = notice;
    let party_of = |oin: &Oin| {
        let name = catalogue.party(oin).map(|party| party.name.as_str());
        json!({ "oin": oin.as_str(), "name": name.unwrap_or_default() })
    };
    let mut data = json!({
        "what": what.name(),
        "signal": signal.to_string(),
        "reference": reference,
        "party": party_of(party),
    });
    if let Some(previous) = previous {
        data["previous"] = party_of(previous);
    }
    if *what == NoticeOf::Received {
        data["expires_at"] = Timestamp::from(*expires_at).to_string().into();
    }
    let source = format!("urn:nld:oin:{exchange}:systeem:signals");
    let event = Event::builder(Uuid::now_v7().to_string(), source, event_type.as_str())
        .time(Timestamp::from(*at))
        .data_text("application/json", data.to_string())
        .build();
    match event {
        Ok(event) => Some(event.encode().to_vec()),
        Err(error) => {
            tracing::error!(%error, "a notice of signals cannot be written");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use wissel_message::{Data, EventView};

    use super::*;

    #[test]
    fn a_notice_says_what_and_with_whom_and_nothing_of_the_other_signal() {
        let catalogue = Catalogue::from_toml(
            "test",
            r#"party = [
                { oin = "00000099000000001000", name = "Wissel", exchange = true },
                { oin = "00000099000000002000", name = "Youth care" },
            ]"#,
        )
        .unwrap();
        let oin = |number: u8| format!("0000009900000000{number}000").parse::<Oin>().unwrap();
        let notice = SignalNotice {
            what: NoticeOf::Match,
            signal: Uuid::nil(),
            event_type: "nl.vir.match".to_owned(),
            receiver: oin(3),
            reference: "dossier 7".to_owned(),
            expires_at: UNIX_EPOCH + Duration::from_secs(2),
            party: oin(2),
            previous: None,
            at: UNIX_EPOCH + Duration::from_secs(1),
        };
        let data = |notice: &SignalNotice| {
            let frame = write(&catalogue, notice).unwrap();
            let view = EventView::decode(frame.into()).unwrap();
            assert_eq!(view.source(), "urn:nld:oin:00000099000000001000:systeem:signals");
            assert_eq!((view.event_type(), view.subject()), ("nl.vir.match", None));
            let Some(Data::Text(data)) = view.data() else { panic!("no data") };
            data.to_owned()
        };
        assert_eq!(
            data(&notice),
            concat!(
                r#"{"party":{"name":"Youth care","oin":"00000099000000002000"},"#,
                r#""reference":"dossier 7","#,
                r#""signal":"00000000-0000-0000-0000-000000000000","what":"match"}"#
            )
        );
        let previous = Some(oin(4));
        let moved = SignalNotice { what: NoticeOf::Moved, previous, ..notice.clone() };
        assert!(data(&moved).contains(r#""previous":{"name":"","oin":"00000099000000004000"}"#));
        let received = SignalNotice { what: NoticeOf::Received, ..notice.clone() };
        assert!(data(&received).contains(r#""expires_at":"1970-01-01T00:00:02Z""#));

        let nobody = Catalogue::from_toml("test", "party = []").unwrap();
        assert_eq!(write(&nobody, &notice), None);
    }
}
