//! Why something was refused or given up on, in the language of who reads.

use maud::{Markup, html};
use wissel_broker::Reason;
use wissel_bus::Said;
use wissel_catalogue::Catalogue;
use wissel_exchange::FailureCode;
use wissel_identifiers::Oin;

use super::parties::named;
use super::text::Texts;

/// Why a delivery came to nothing: what Wissel itself says in the language, what a receiver
/// says as it said it. What Wissel says in English only is marked as that.
pub(super) fn given_up(text: &Texts, reason: &str) -> Markup {
    let words = text.said;
    match Said::read(reason) {
        Some(Said::Attempts { attempts, last }) => html! {
            (words(Said::Attempts { attempts, last: "" })) (given_up(text, last))
        },
        Some(Said::Deadline { attempt, last }) => html! {
            (words(Said::Deadline { attempt, last: "" })) (given_up(text, last))
        },
        Some(Said::Unreadable(why)) => html! {
            (words(Said::Unreadable(""))) span lang="en" { (why) }
        },
        Some(Said::Refused(refusal)) => html! {
            (words(Said::Refused(""))) span lang="en" { (refusal) }
            (meaning(text, refusal.split(':').next().unwrap_or_default()))
        },
        Some(fixed) => html! { (words(fixed)) },
        None => html! { (reason) },
    }
}

/// Why something was refused, or not answered: its code, which never changes, and what that
/// means.
pub(super) fn refused(text: &Texts, code: &str) -> Markup {
    html! { span.grave { (code) } (meaning(text, code)) }
}

/// Why a question was not answered: `CODE, by OIN` when a party said so, else a code alone.
pub(super) fn unanswered(text: &Texts, catalogue: &Catalogue, reason: &str) -> Markup {
    let parts = reason.split_once(", by ");
    match parts.and_then(|(code, by)| Some((code, by.parse::<Oin>().ok()?))) {
        Some((code, by)) => html! {
            span.grave { (code) } ", " (text.answered_by) " " (named(catalogue, by))
            (meaning(text, code))
        },
        None => refused(text, reason),
    }
}

fn meaning(text: &Texts, code: &str) -> Markup {
    let of_refusal = Reason::read(code).map(text.refusal);
    let meaning = of_refusal.or_else(|| FailureCode::read(code).map(text.failure));
    html! { @if let Some(meaning) = meaning { " " small { (meaning) } } }
}

#[cfg(test)]
mod tests {
    use super::super::text::{DUTCH, ENGLISH};
    use super::*;

    fn told(text: &Texts, reason: &str) -> String {
        given_up(text, reason).into_string()
    }

    /// Without the elements.
    fn words(markup: &str) -> String {
        let parts = markup.split('<').map(|part| part.rsplit('>').next().unwrap_or_default());
        parts.collect()
    }

    #[test]
    fn what_wissel_says_is_in_the_language_and_what_a_receiver_says_is_not() {
        for said in [
            Said::LeaseEnded,
            Said::TooOld,
            Said::InboxFull,
            Said::CameBack(21),
            Said::NoQuestion,
            Said::NobodyWaits,
            Said::AttributesTooLarge,
            Said::ContentTypeTooLong,
            Said::DataUntold,
            Said::Unreadable("no id"),
        ] {
            let kept = said.to_string();
            assert_eq!(words(&told(&ENGLISH, &kept)), kept);
            assert_ne!(words(&told(&DUTCH, &kept)), kept);
        }
        let last = Said::Attempts { attempts: 5, last: &Said::LeaseEnded.to_string() }.to_string();
        assert_eq!(words(&told(&ENGLISH, &last)), last);
        let dutch = told(&DUTCH, &last);
        assert_eq!(
            dutch,
            "opgegeven na 5 pogingen; de laatste: de ontvanger reageerde niet op tijd"
        );
        let free = Said::Deadline { attempt: 2, last: "database is down" }.to_string();
        assert!(told(&DUTCH, &free).ends_with("poging 2; de laatste: database is down"));
        assert_eq!(told(&DUTCH, "database is down"), "database is down");
    }

    #[test]
    fn what_is_said_in_english_only_is_marked_as_that() {
        let unreadable = Said::Unreadable("no <id>").to_string();
        assert_eq!(
            told(&DUTCH, &unreadable),
            "het bewaarde bericht is niet te lezen: <span lang=\"en\">no &lt;id&gt;</span>"
        );
        for (refusal, expected) in [
            (
                "MINIMISED_DATA_INVALID: data: it is not JSON",
                "<span lang=\"en\">MINIMISED_DATA_INVALID: data: it is not JSON</span> \
                 <small>Wat een ontvanger",
            ),
            ("WRONG_STATE", "<span lang=\"en\">WRONG_STATE</span> <small>Dit kan niet"),
            ("NEW: of later", "<span lang=\"en\">NEW: of later</span>"),
        ] {
            let last = Said::Refused(refusal).to_string();
            let told = told(&DUTCH, &Said::Attempts { attempts: 2, last: &last }.to_string());
            assert!(told.contains(&format!("Wissel kon er niet mee verder: {expected}")), "{told}");
        }
        // A receiver may say the same, and not as Wissel.
        assert_eq!(told(&DUTCH, "INTERNAL: out of memory"), "INTERNAL: out of memory");
    }

    #[test]
    fn every_code_is_told_in_each_language_beside_it() {
        let of_refusals = Reason::ALL
            .map(|reason| (reason.as_str(), (ENGLISH.refusal)(reason), (DUTCH.refusal)(reason)));
        let of_failures = FailureCode::ALL
            .map(|code| (code.as_str(), (ENGLISH.failure)(code), (DUTCH.failure)(code)));
        for (code, english, dutch) in of_refusals.into_iter().chain(of_failures) {
            assert!(english.ends_with('.') && dutch.ends_with('.'), "{code}");
            assert_ne!(english, dutch);
            assert!(refused(&DUTCH, code).into_string().contains(dutch), "{code}");
        }
        let told = refused(&DUTCH, "NOT_GRANTED").into_string();
        assert!(told.contains("NOT_GRANTED</span> <small>Hiervoor ontbreekt het recht."), "{told}");
        assert_eq!(refused(&DUTCH, "NEW").into_string(), "<span class=\"grave\">NEW</span>");
    }

    #[test]
    fn who_gave_no_answer_is_named() {
        const OIN: &str = "00000001002220647000";
        let file = format!("[[party]]\noin = \"{OIN}\"\nname = \"RvIG\"\n");
        let catalogue = Catalogue::from_toml("a.toml", &file).unwrap();
        let told = |reason: &str| unanswered(&DUTCH, &catalogue, reason).into_string();
        let told_of = told(&format!("NOT_FOUND, by {OIN}"));
        assert_eq!(
            told_of,
            format!(
                "<span class=\"grave\">NOT_FOUND</span>, door <a href=\"/parties/{OIN}\">RvIG</a> \
                 <small>Waar naar gevraagd wordt, is daar niet bekend.</small>"
            )
        );
        assert!(told("ANSWER_LATE").contains("<small>Er kwam niet op tijd een antwoord."));
    }
}
