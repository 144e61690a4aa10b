//! Why something was refused or given up on, in the language of who reads.

use maud::{Markup, html};
use wissel_broker::Reason;
use wissel_bus::Said;

use super::text::Texts;

/// Why a delivery came to nothing: what Wissel itself says in the language, what a receiver
/// says as it said it.
pub(super) fn given_up(text: &Texts, reason: &str) -> String {
    Said::read(reason).map_or_else(|| reason.to_owned(), text.said)
}

/// Why something was refused: its code, which never changes, and what that means.
pub(super) fn refused(text: &Texts, code: &str) -> Markup {
    html! {
        span.grave { (code) }
        @if let Some(reason) = Reason::read(code) { " " small { ((text.refusal)(reason)) } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{DUTCH, ENGLISH};
    use super::*;

    #[test]
    fn what_wissel_says_is_in_the_language_and_what_a_receiver_says_is_not() {
        for said in [
            Said::LeaseEnded,
            Said::TooOld,
            Said::InboxFull,
            Said::CameBack(21),
            Said::Unreadable("no id"),
        ] {
            let kept = said.to_string();
            assert_eq!(given_up(&ENGLISH, &kept), kept);
            assert_ne!(given_up(&DUTCH, &kept), kept);
        }
        let last = Said::Attempts { attempts: 5, last: &Said::LeaseEnded.to_string() }.to_string();
        let dutch = given_up(&DUTCH, &last);
        assert_eq!(dutch, "opgegeven na 5 pogingen; de laatste: de ontvanger zei niets op tijd");
        let free = Said::Deadline { attempt: 2, last: "database is down" }.to_string();
        assert!(given_up(&DUTCH, &free).ends_with("poging 2; de laatste: database is down"));
        assert_eq!(given_up(&DUTCH, "database is down"), "database is down");
    }

    #[test]
    fn every_refusal_is_told_in_each_language_beside_its_code() {
        for reason in Reason::ALL {
            let (english, dutch) = ((ENGLISH.refusal)(reason), (DUTCH.refusal)(reason));
            assert!(english.ends_with('.') && dutch.ends_with('.'), "{reason}");
            assert_ne!(english, dutch);
        }
        let told = refused(&DUTCH, "NOT_GRANTED").into_string();
        assert!(told.contains("NOT_GRANTED</span> <small>Hier is geen recht op."), "{told}");
        assert_eq!(refused(&DUTCH, "NEW").into_string(), "<span class=\"grave\">NEW</span>");
    }
}
