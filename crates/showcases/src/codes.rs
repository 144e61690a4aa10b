//! The code list of how cases stand, as people read it in three languages.

/// A code, and what it says in Dutch, English and German.
const CODES: [(&str, [&str; 3]); 12] = [
    ("RECEIVED", ["ontvangen", "received", "eingegangen"]),
    ("IN_PROGRESS", ["in behandeling", "being processed", "in Bearbeitung"]),
    ("SUSPENDED", ["opgeschort", "suspended", "ausgesetzt"]),
    ("RESUMED", ["hervat", "resumed", "wieder aufgenommen"]),
    ("EXTENDED", ["verdaagd", "term extended", "Frist verlängert"]),
    ("DECIDED", ["besloten", "decided", "entschieden"]),
    ("NOT_COMPETENT", ["niet bevoegd", "not competent", "nicht zuständig"]),
    ("WITHDRAWN", ["ingetrokken", "withdrawn", "zurückgezogen"]),
    ("FORWARDED", ["doorgezonden", "sent on", "weitergeleitet"]),
    ("REMINDED", ["herinnerd", "reminded", "erinnert"]),
    ("LAPSED", ["termijn verstreken", "term ended", "Frist abgelaufen"]),
    ("CONSENTED", ["van rechtswege verleend", "granted by law", "kraft Gesetzes genehmigt"]),
];

/// The languages of the list, by their ISO 639 codes.
const LANGUAGES: [&str; 3] = ["nl", "en", "de"];

/// What a code says in a language; none: one of them is not in the list.
pub(crate) fn text(code: &str, language: &str) -> Option<&'static str> {
    let language = LANGUAGES.iter().position(|one| *one == language)?;
    let (_, texts) = CODES.iter().find(|(one, _)| *one == code)?;
    texts.get(language).copied()
}

#[cfg(test)]
mod tests {
    use wissel_client::CaseState as State;

    use super::*;

    #[test]
    fn every_state_has_a_text_of_its_own_in_every_language() {
        let states = [
            State::Received,
            State::InProgress,
            State::Suspended,
            State::Resumed,
            State::Extended(None),
            State::Decided,
            State::NotCompetent,
            State::Withdrawn,
            State::Forwarded,
            State::Reminded,
            State::Lapsed,
            State::Consented,
        ];
        for language in LANGUAGES {
            let mut texts: Vec<&str> =
                states.iter().map(|state| text(state.as_str(), language).unwrap()).collect();
            texts.sort_unstable();
            texts.dedup();
            assert_eq!(texts.len(), CODES.len(), "{language}");
        }
        assert_eq!((text("DECIDED", "fr"), text("LOST", "nl")), (None, None));
    }
}
