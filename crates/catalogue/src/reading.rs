//! From the text of a file to its entries, with what is wrong in each.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::file::{EventType, File, Grant};
use crate::mending::{Mended, Mending, field, missing_field, steps};

/// What a file may hold.
const TABLES: [&str; 5] = ["party", "event_type", "grant", "mandate", "subscription"];

/// Why an entry of a file, or the file, cannot be read.
pub(crate) struct Unreadable {
    /// Where what is wrong begins.
    pub(crate) start: Option<usize>,
    /// What is wrong.
    pub(crate) message: String,
}

impl File {
    /// Reads a file: its entries that can be read, each of which has all that its kind must
    /// have unless it is a draft, and what is wrong with the others.
    pub(crate) fn read(text: &str) -> (Self, Vec<Unreadable>) {
        let mut file = Self::default();
        let tables = match DeTable::parse(text) {
            Ok(tables) => tables.into_inner(),
            Err(error) => {
                let message = error.message().to_owned();
                return (file, vec![Unreadable { start: start(&error), message }]);
            }
        };
        let mut reading = Reading { text, wrong: Vec::new() };
        for (name, entries) in tables {
            let start = name.span().start;
            match name.get_ref().as_ref() {
                "party" => file.party = reading.entries("party", start, entries, nothing),
                "event_type" => {
                    let missing = EventType::missing;
                    file.event_type = reading.entries("event_type", start, entries, missing);
                }
                "grant" => file.grant = reading.entries("grant", start, entries, Grant::missing),
                "mandate" => file.mandate = reading.entries("mandate", start, entries, nothing),
                "subscription" => {
                    file.subscription = reading.entries("subscription", start, entries, nothing);
                }
                other => {
                    let expected = TABLES.map(|name| format!("`{name}`")).join(", ");
                    let message = format!("unknown field `{other}`, expected one of {expected}");
                    reading.wrong(Some(start), message);
                }
            }
        }
        reading.wrong.sort_by_key(|unreadable| unreadable.start);
        (file, reading.wrong)
    }
}

struct Reading<'a> {
    text: &'a str,
    wrong: Vec<Unreadable>,
}

impl Reading<'_> {
    /// The entries of a kind, which begin there. `missing` names what one must have besides,
    /// and has not.
    fn entries<T: DeserializeOwned>(
        &mut self,
        name: &str,
        start: usize,
        entries: Spanned<DeValue<'_>>,
        missing: fn(&T) -> Vec<&'static str>,
    ) -> Vec<Spanned<T>> {
        match entries.into_inner() {
            DeValue::Array(entries) => {
                entries.into_iter().filter_map(|entry| self.entry(entry, missing)).collect()
            }
            other => {
                let message =
                    format!("{name}: found one {}; expected [[{name}]]", other.type_str());
                self.wrong(Some(start), message);
                Vec::new()
            }
        }
    }

    /// An entry, when nothing is wrong with it. What is wrong is left out, what is missing is
    /// made up, and the rest read again, so that everything that is wrong with it is told.
    fn entry<T: DeserializeOwned>(
        &mut self,
        entry: Spanned<DeValue<'_>>,
        missing: fn(&T) -> Vec<&'static str>,
    ) -> Option<Spanned<T>> {
        let start_of_entry = entry.span().start;
        let before = self.wrong.len();
        let mut mending = Mending::new(entry);
        let read: Spanned<T> = loop {
            let reading = ValueDeserializer::from(mending.entry.clone());
            let wrong = match serde_path_to_error::deserialize(reading) {
                Ok(read) => break read,
                Err(wrong) => wrong,
            };
            let place = steps(wrong.path());
            let error = wrong.into_inner();
            let told = told(field(&place), &error, self.text);
            match mending.mend(&place, missing_field(&error)) {
                Mended::LeftOut => self.wrong(start(&error), told),
                Mended::MadeUp(name) => self.lacks(before, start(&error), &name),
                Mended::Known => {}
                Mended::Not => {
                    self.wrong(start(&error), told);
                    return None;
                }
                Mended::NotMadeUp => return None,
            }
        };
        for name in missing(read.get_ref()) {
            if !mending.has_left_out(name) && !mending.has_left_out("draft") {
                self.lacks(before, Some(start_of_entry), name);
            }
        }
        (mending.is_untouched() && self.wrong.len() == before).then_some(read)
    }

    /// Tells that a field is missing, together with others that are missing there. What was told
    /// of this entry begins with number `first`.
    fn lacks(&mut self, first: usize, start: Option<usize>, name: &str) {
        let message = format!("missing field `{name}`");
        let told = self.wrong[first..].iter_mut();
        let mut of_missing = told.filter(|told| told.message.starts_with("missing field"));
        match of_missing.find(|told| told.start == start) {
            Some(told) => told.message = format!("{}, {message}", told.message),
            None => self.wrong(start, message),
        }
    }

    fn wrong(&mut self, start: Option<usize>, message: String) {
        self.wrong.push(Unreadable { start, message });
    }
}

/// For entries that, once they can be read, have all that they must have.
fn nothing<T>(_: &T) -> Vec<&'static str> {
    Vec::new()
}

fn start(error: &toml::de::Error) -> Option<usize> {
    error.span().map(|span| span.start)
}

/// What is wrong, with its field; of an OIN with what stands there, and what one looks like.
fn told(field: Option<&str>, error: &toml::de::Error, text: &str) -> String {
    // A value that stands there by mistake may be the number of a person.
    let message = match error.message().split_once("expected ") {
        Some((begin, expected))
            if begin.starts_with("invalid type") || begin.starts_with("invalid value") =>
        {
            format!("another kind of value; expected {expected}")
        }
        _ => error.message().to_owned(),
    };
    let names_field = ["unknown field", "missing field", "duplicate field"];
    let field = match field {
        Some(field) if !names_field.iter().any(|begin| message.starts_with(begin)) => field,
        _ => return message,
    };
    if !["oin", "owner", "party", "for"].contains(&field) {
        return format!("{field}: {message}");
    }
    let written = error.span().and_then(|span| text.get(span)).unwrap_or_default();
    // Whatever else stands there by mistake may be the number of a person.
    let shown = written.trim_matches('"').starts_with("0000") && written.len() < 40;
    let found = if shown { format!("{written}: ") } else { String::new() };
    format!("{field}: {found}{message}; expected 20 positions, such as 00000001002220647000")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: &str = "[[grant]]\ntype = 'nl.x.y'\naction = 'publish'\npurpose = 'p'\n\
                         legal_basis = 'b'\n";

    fn faults(text: &str) -> Vec<String> {
        File::read(text).1.into_iter().map(|unreadable| unreadable.message).collect()
    }

    fn fault(text: &str) -> String {
        let faults = faults(text);
        assert!(faults.len() == 1, "{faults:?}");
        faults[0].clone()
    }

    #[test]
    fn a_mistyped_oin_is_told_with_its_field_and_what_one_looks_like() {
        let seen = "such as 00000001002220647000";
        let one = fault(&format!("{GRANT}party = \"0000000100222064700\""));
        assert!(one.starts_with("party: \"0000000100222064700\": an OIN has 20"), "{one}");
        assert!(one.ends_with(seen), "{one}");
        let listed = format!("{GRANT}party = ['00000001002220647000', '0000000100222064700x']");
        let listed = fault(&listed);
        assert!(listed.starts_with("party: ") && listed.ends_with(seen), "{listed}");
        let owner = fault("[[event_type]]\nname = 'nl.x.y'\ndescription = 'x'\nowner = '4'");
        assert!(owner.starts_with("owner: an OIN has 20") && owner.ends_with(seen), "{owner}");
        // It may be the number of a person.
        let person = fault(&format!("{GRANT}party = '999990019'"));
        assert!(!person.contains("999990019"), "{person}");
        let number = fault(&format!("{GRANT}party = 4"));
        assert!(number.contains("expected a text, or a list of texts"), "{number}");
    }

    #[test]
    fn other_fields_are_named_as_well() {
        let action = fault(&format!("{}party = []", GRANT.replace("'publish'", "'push'")));
        assert!(action.starts_with("action: unknown variant `push`"), "{action}");
        let unknown = faults(&format!("{GRANT}party = []\npropose = 'p'"));
        assert!(unknown.len() == 1 && unknown[0].starts_with("unknown field `propose`"));
        let party = fault("party = 3");
        assert_eq!(party, "party: found one integer; expected [[party]]");
        assert!(fault("[[partij]]\noin = 1").starts_with("unknown field `partij`, expected one"));
    }

    #[test]
    fn everything_that_is_wrong_is_told_and_the_rest_is_read() {
        let good = "[[party]]\noin = '00000001002220647000'\nname = 'Utrecht'\n";
        let text = format!(
            "{GRANT}party = ['00000001', '00000001002220647000', '00000002']\n\
             [[party]]\noin = '00000003'\nname = 4\n{good}[[party]]\nname = 'x'\n\
             [[event_type]]\nname = 'nl.x.y'\n"
        );
        let (file, wrong) = File::read(&text);
        let line = |one: &Unreadable| text[..one.start.unwrap()].lines().count();
        let told: Vec<String> =
            wrong.iter().map(|one| format!("{} {}", line(one), &one.message[..14])).collect();
        let expected = [
            "6 party: an OIN ",
            "6 party: an OIN ",
            "8 oin: an OIN ha",
            "9 name: another ",
            "12 missing field ",
            "14 missing field ",
        ];
        assert_eq!(told, expected);
        assert!(file.party.len() == 1 && file.grant.is_empty() && file.event_type.is_empty());
    }

    /// What is wrong with a file, each with its line.
    fn told(text: &str) -> Vec<String> {
        let line = |start: usize| text[..start].matches('\n').count() + 1;
        let told = File::read(text).1.into_iter();
        told.map(|one| format!("{} {}", line(one.start.unwrap()), one.message)).collect()
    }

    #[test]
    fn all_fields_that_are_missing_are_told_at_once() {
        let missing = |names: &str| {
            let names = names.split(' ').map(|name| format!("missing field `{name}`"));
            format!("1 {}", names.collect::<Vec<_>>().join(", "))
        };
        for (text, names) in [
            ("[[party]]\n", "oin name"),
            ("[[mandate]]\nparty = '00000001002220647000'\n", "for action basis until"),
            ("[[mandate]]\n", "party for action basis until"),
            ("[[grant]]\n", "party type action purpose legal_basis"),
            ("[[event_type]]\n", "name owner description"),
            ("[[subscription]]\n", "name"),
        ] {
            assert_eq!(told(text), [missing(names)]);
        }
        // A field that is wrong is not missing, and hides none that is.
        let mandate = "[[mandate]]\nparty = 4\nuntil = '2030-01-01'\nbases = 'x'\n";
        let expected = [
            "1 missing field `for`, missing field `action`, missing field `basis`",
            "2 party: a number, expected",
            "4 unknown field `bases`",
        ];
        begin(&told(mandate), &expected);
        let event_type = "[[event_type]]\nname = 4\nowner = 'x'\n";
        let expected = ["1 missing field `description`", "2 name: another kind", "3 owner: an OIN"];
        begin(&told(event_type), &expected);
        let draft = "[[event_type]]\nname = 'nl.x.y'\ndraft = 'yes'\n";
        begin(&told(draft), &["3 draft: another kind of value"]);
    }

    fn begin(told: &[String], expected: &[&str]) {
        let is_so = told.iter().zip(expected).all(|(told, begin)| told.starts_with(begin));
        assert!(is_so && told.len() == expected.len(), "{told:#?} and not {expected:#?}");
    }

    #[test]
    fn what_is_wrong_in_a_table_of_an_entry_hides_nothing() {
        let within = "within: another kind of value";
        let keep = "keep: another kind of value";
        let end = "owner = '4'\ndescription = 4\n";
        let owner = "owner: an OIN has 20";
        let description = "description: another kind of value";
        let event_type = "[[event_type]]\nname = 'nl.x.y'\n";
        for (text, expected) in [
            // A table by its header.
            (
                format!("{event_type}{end}[event_type.ask]\nanswer = 'nl.x.z'\nwithin = 4\n"),
                vec![format!("3 {owner}"), format!("4 {description}"), format!("7 {within}")],
            ),
            // Dotted keys.
            (
                format!("{event_type}match.keep = 4\nmatch.subject = 'bsn'\n{end}"),
                vec![format!("3 {keep}"), format!("5 {owner}"), format!("6 {description}")],
            ),
            // Inline.
            (
                format!("{event_type}ask = {{ within = 4, answer = 4, until = 4 }}\n{end}"),
                vec![
                    "3 answer: another kind".to_owned(),
                    "3 unknown field `until`".to_owned(),
                    format!("3 {within}"),
                    format!("4 {owner}"),
                    format!("5 {description}"),
                ],
            ),
            (
                format!("{event_type}{end}[event_type.report]\nremind = ['1 day', 4, true]\n"),
                vec![
                    format!("3 {owner}"),
                    format!("4 {description}"),
                    "5 missing field `status`, missing field `object`, missing field `field`, \
                     missing field `about`, missing field `corrections`"
                        .to_owned(),
                    "6 remind: another kind".to_owned(),
                    "6 remind: another kind".to_owned(),
                ],
            ),
        ] {
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            let mut told = told(&text);
            told.sort();
            begin(&told, &expected);
        }
    }

    #[test]
    fn one_where_a_list_is_expected_is_told_with_its_line() {
        let one = "[[event_type]]\nname = 'nl.x.y'\nowner = '00000001002220647000'\n\
                   description = 'x'\n[party]\noin = '00000001002220647000'\nname = 'x'\n";
        assert_eq!(told(one), ["5 party: found one table; expected [[party]]"]);
        assert_eq!(told("\nparty = 3\n"), ["2 party: found one integer; expected [[party]]"]);
        assert_eq!(told("\n[grant.x]\n"), ["2 grant: found one table; expected [[grant]]"]);
        begin(&told("\nparty = [\n4]\n"), &["3 another kind of value"]);
    }
}
