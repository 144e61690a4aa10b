//! What became of many messages, told in few lines.

use std::collections::BTreeMap;

use wissel_client::{ClientError, Code};

use crate::amounts::amount;
use crate::events::Place;
use crate::exit::Failure;
use crate::output;

/// So many ranges of places are told; who wants all has `--json`.
const RANGES_MAX: usize = 5;

/// What became of a message that has no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Became {
    /// Nothing of it was kept.
    Refused,
    /// It was sent at no attempt, or not let in, so that nothing of it was published.
    Unsent,
    /// It may have been published.
    Unknown,
}

/// What became of the messages so far.
#[derive(Default)]
pub(super) struct Outcomes {
    receipts: u64,
    /// Of these, how many were the receipts of an earlier publish.
    repeated: u64,
    refused: u64,
    /// Trying some of them again makes no sense.
    failed_for_good: bool,
    /// Those without an answer, by what went wrong.
    unknown: BTreeMap<String, Vec<Place>>,
    /// Those that could not be sent, by what went wrong.
    unsent: BTreeMap<String, Vec<Place>>,
    /// From here on nothing was sent.
    stopped_before: Option<Place>,
}

impl Outcomes {
    /// It has a receipt, its first or the one that it got before.
    pub(super) fn published(&mut self, repeated: bool) {
        self.receipts += 1;
        self.repeated += u64::from(repeated);
    }

    /// It is no message, so that it was not sent.
    pub(super) fn unreadable(&mut self) {
        self.refused += 1;
        self.failed_for_good = true;
    }

    /// It has no receipt. One that was not refused is told with the others at the end.
    pub(super) fn failed(&mut self, place: Place, error: &ClientError, told: &Failure) -> Became {
        self.failed_for_good |= !told.is_for_now();
        let became = match error {
            ClientError::Refused(_) | ClientError::InvalidArgument { .. } => Became::Refused,
            ClientError::NotPublished { reason } => match &**reason {
                // About this message, and not the stream: too fast, or no room in an inbox.
                ClientError::Unavailable(refusal) if refusal.code == Code::ResourceExhausted => {
                    Became::Refused
                }
                _ => Became::Unsent,
            },
            _ => Became::Unknown,
        };
        let told = told.message().to_owned();
        match became {
            Became::Refused => self.refused += 1,
            Became::Unsent => self.unsent.entry(told).or_default().push(place),
            Became::Unknown => self.unknown.entry(told).or_default().push(place),
        }
        became
    }

    /// It was given up, and this message is the first that was not sent.
    pub(super) fn stopped_before(&mut self, place: Place) {
        self.stopped_before = Some(place);
    }

    /// There was no message.
    pub(super) fn is_empty(&self) -> bool {
        self.receipts + self.refused == 0 && self.unknown.is_empty() && self.unsent.is_empty()
    }

    /// Those not sent or without an answer by what went wrong, and how many there are of each outcome.
    pub(super) fn tell(&self) {
        for (error, places) in self.unsent.iter().chain(&self.unknown) {
            let mut places = places.clone();
            places.sort();
            output::note(&format!("{}: {error}", ranges(&places)));
        }
        output::note(&self.sums());
    }

    fn sums(&self) -> String {
        let before = match self.repeated {
            0 => String::new(),
            count => format!(" ({count} of them before)"),
        };
        let others =
            [(count(&self.unsent), "not sent"), (count(&self.unknown), "without an answer")];
        let others = others.iter().filter(|(count, _)| *count > 0);
        let others: String = others.map(|(count, what)| format!(", {count} {what}")).collect();
        format!("{} published{before}, {} refused{others}", self.receipts, self.refused)
    }

    /// How the command ends.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let Self { receipts, refused, failed_for_good, .. } = self;
        let mut said = Vec::new();
        if *refused > 0 {
            said.push(amount(*refused, "message was refused", "messages were refused"));
        }
        match count(&self.unsent) {
            0 => {}
            1 => said.push("1 message was not sent, and not published".to_owned()),
            unsent => said.push(format!("{unsent} messages were not sent, and not published")),
        }
        match count(&self.unknown) {
            0 if said.is_empty() && self.stopped_before.is_some() => {
                said.push("the gateway does not answer".to_owned());
            }
            0 => {}
            unknown => {
                let (they_were, them) =
                    if unknown == 1 { ("it was", "it") } else { ("they were", "them") };
                said.push(format!(
                    "of {} it is not known whether {they_were} published. Publish {them} again \
                     with the same source and id: what was published within a day gets its first \
                     receipt again; what a gateway took in the moment before it crashed may come \
                     a second time",
                    amount(unknown, "message", "messages")
                ));
            }
        }
        if said.is_empty() {
            return match receipts {
                0 => Err(Failure::usage("no message in the files; expected at least one")),
                _ => Ok(()),
            };
        }
        let message = said.join("; ");
        let message = match &self.stopped_before {
            Some(place) => format!("{message}. From {place} on nothing was sent"),
            None => message,
        };
        if *failed_for_good {
            Err(Failure::refused(message))
        } else {
            Err(Failure::unavailable(message))
        }
    }
}

fn count(places: &BTreeMap<String, Vec<Place>>) -> usize {
    places.values().map(Vec::len).sum()
}

/// Places in order, as ranges: `births.jsonl:3-9, births.jsonl:12`.
fn ranges(places: &[Place]) -> String {
    let runs: Vec<&[Place]> = places.chunk_by(|before, next| next.follows(before)).collect();
    let told = runs.iter().take(RANGES_MAX).filter_map(|run| Some(run.first()?.up_to(run.last()?)));
    let mut text = told.collect::<Vec<_>>().join(", ");
    let left: usize = runs.iter().skip(RANGES_MAX).map(|run| run.len()).sum();
    if left > 0 {
        text.push_str(&format!(" and {left} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::events::Events;

    #[test]
    fn what_was_published_before_is_told() {
        let mut outcomes = Outcomes::default();
        outcomes.published(false);
        assert_eq!(outcomes.sums(), "1 published, 0 refused");
        outcomes.published(true);
        outcomes.unreadable();
        assert_eq!(outcomes.sums(), "2 published (1 of them before), 1 refused");
    }

    /// Places of the messages of a file with so many lines.
    async fn places(lines: usize) -> Vec<Place> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}\n".repeat(lines)).unwrap();
        let mut events = Events::open(file.path(), true).await.unwrap();
        let mut places = Vec::new();
        while let Some((place, _)) = events.next().await.unwrap() {
            places.push(place);
        }
        places
    }

    fn fail(outcomes: &mut Outcomes, place: &Place, error: ClientError) -> Became {
        outcomes.failed(place.clone(), &error.clone(), &Failure::from(error))
    }

    #[tokio::test]
    async fn what_has_no_answer_may_have_been_published() {
        let places = places(3).await;
        let mut outcomes = Outcomes::default();
        outcomes.published(false);
        for place in &places[1..] {
            let error =
                ClientError::DeadlineExceeded { after: Duration::from_secs(5), before: None };
            assert_eq!(fail(&mut outcomes, place, error), Became::Unknown);
        }
        let failure = outcomes.verdict().unwrap_err();
        assert!(failure.is_for_now(), "exit code 3");
        outcomes.stopped_before(places[0].clone());
        let stopped = outcomes.verdict().unwrap_err();
        assert!(stopped.message().ends_with(":1 on nothing was sent"), "{stopped}");
        let said = failure.message();
        assert!(said.starts_with("of 2 messages it is not known whether"), "{said}");
        assert!(!said.contains("not published"), "{said}");
    }

    #[tokio::test]
    async fn who_was_not_let_in_has_published_nothing() {
        let places = places(2).await;
        let refused = || Box::new(ClientError::CertificateRefused { message: "UnknownCA".into() });
        let mut outcomes = Outcomes::default();
        let error = ClientError::NotPublished { reason: refused() };
        assert_eq!(fail(&mut outcomes, &places[0], error), Became::Unsent);
        let failure = outcomes.verdict().unwrap_err();
        assert_eq!(failure.message(), "1 message was not sent, and not published");
        assert!(!failure.is_for_now(), "exit code 1");
        let error = ClientError::MayBePublished { reason: refused() };
        assert_eq!(fail(&mut outcomes, &places[1], error), Became::Unknown);
    }

    #[tokio::test]
    async fn what_was_not_sent_was_not_published() {
        let places = places(3).await;
        let mut outcomes = Outcomes::default();
        for place in &places[..2] {
            let reason = ClientError::Transport { message: "nothing listens there".to_owned() };
            let error = ClientError::NotPublished { reason: Box::new(reason) };
            assert_eq!(fail(&mut outcomes, place, error), Became::Unsent);
        }
        assert_eq!(outcomes.sums(), "0 published, 0 refused, 2 not sent");
        let failure = outcomes.verdict().unwrap_err();
        assert_eq!(failure.message(), "2 messages were not sent, and not published");
        assert!(failure.is_for_now(), "exit code 3");
        let error = ClientError::DeadlineExceeded { after: Duration::from_secs(5), before: None };
        assert_eq!(fail(&mut outcomes, &places[2], error), Became::Unknown);
        assert_eq!(outcomes.sums(), "0 published, 0 refused, 2 not sent, 1 without an answer");
        let said = outcomes.verdict().unwrap_err().to_string();
        assert!(said.starts_with("2 messages were not sent, and not published; of 1 message it "));
        assert!(said.contains("whether it was published. Publish it again"), "{said}");
    }

    #[tokio::test]
    async fn places_are_told_as_ranges() {
        let all = places(30).await;
        let file = all[0].to_string().trim_end_matches(":1").to_owned();
        let told = |places: &[Place]| ranges(places).replace(&file, "f");
        assert_eq!(told(&all), "f:1-30");
        assert_eq!(told(&[&all[2..4], &all[8..9]].concat()), "f:3-4, f:9");
        let scattered: Vec<Place> = all.iter().step_by(3).cloned().collect();
        assert_eq!(told(&scattered), "f:1, f:4, f:7, f:10, f:13 and 5 more");
    }
}
