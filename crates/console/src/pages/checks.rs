//! What a check of readiness found, in the language of who reads.

use maud::{Markup, html};
use wissel_broker::Check;

use super::text::Texts;

/// A sentence, and beside it what the gateway says of it everywhere.
pub(super) fn found(text: &Texts, check: &Check) -> Markup {
    html! {
        @match sentence(text, check) {
            Some(sentence) => { (sentence) " " small lang="en" { (check.detail) } },
            None => (check.detail),
        }
    }
}

fn sentence(text: &Texts, check: &Check) -> Option<&'static str> {
    let known = text.checks.iter().find(|(name, ..)| *name == check.name);
    known.map(|(_, holds, does_not)| if check.ok { *holds } else { *does_not })
}

#[cfg(test)]
mod tests {
    use super::super::text::{DUTCH, ENGLISH};
    use super::*;

    #[test]
    fn a_check_is_told_in_the_language_with_its_detail_beside_it() {
        let check = |name, ok| Check { name, ok, detail: "12 MiB <free>".to_owned() };
        let dutch = found(&DUTCH, &check("disk", false)).into_string();
        assert!(dutch.starts_with("Er is te weinig schijfruimte vrij"), "{dutch}");
        assert!(dutch.ends_with("<small lang=\"en\">12 MiB &lt;free&gt;</small>"), "{dutch}");
        assert_eq!(sentence(&ENGLISH, &check("inboxes", true)), Some("Every inbox is open."));
        assert_eq!(found(&DUTCH, &check("new", true)).into_string(), "12 MiB &lt;free&gt;");
        for (one, other) in ENGLISH.checks.iter().zip(DUTCH.checks) {
            assert_eq!(one.0, other.0);
        }
    }
}
