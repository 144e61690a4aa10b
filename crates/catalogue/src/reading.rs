//! From the text of a file to its entries, with what is wrong in each.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use crate::file::File;

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
            match name.get_ref().as_ref() {
                "party" => file.party = reading.entries("party", entries),
                "event_type" => file.event_type = reading.entries("event_type", entries),
                "grant" => file.grant = reading.entries("grant", entries),
                "mandate" => file.mandate = reading.entries("mandate", entries),
                "subscription" => file.subscription = reading.entries("subscription", entries),
                other => {
                    let expected = TABLES.map(|name| format!("`{name}`")).join(", ");
                    let message = format!("unknown field `{other}`, expected one of {expected}");
                    reading.wrong(Some(name.span().start), message);
                }
            }
        }
        reading.lacking(&mut file.event_type, |one| one.missing());
        reading.lacking(&mut file.grant, |one| one.missing());
        reading.wrong.sort_by_key(|unreadable| unreadable.start);
        (file, reading.wrong)
    }
}

struct Reading<'a> {
    text: &'a str,
    wrong: Vec<Unreadable>,
}

impl Reading<'_> {
    fn entries<T: DeserializeOwned>(
        &mut self,
        name: &str,
        entries: Spanned<DeValue<'_>>,
    ) -> Vec<Spanned<T>> {
        match entries.into_inner() {
            DeValue::Array(entries) => {
                entries.into_iter().filter_map(|entry| self.entry(entry)).collect()
            }
            other => {
                let message =
                    format!("{name}: found one {}; expected [[{name}]]", other.type_str());
                self.wrong(None, message);
                Vec::new()
            }
        }
    }

    /// An entry, when nothing is wrong with it. What is wrong is left out and the rest read
    /// again, so that everything that is wrong with it is told.
    fn entry<T: DeserializeOwned>(
        &mut self,
        mut entry: Spanned<DeValue<'_>>,
    ) -> Option<Spanned<T>> {
        let mut left_out: Vec<String> = Vec::new();
        loop {
            let reading = ValueDeserializer::from(entry.clone());
            let wrong = match serde_path_to_error::deserialize(reading) {
                Ok(read) => return left_out.is_empty().then_some(read),
                Err(wrong) => wrong,
            };
            let field = field(wrong.path());
            let error = wrong.into_inner();
            let lacks = |name: &String| error.message() == format!("missing field `{name}`");
            if left_out.iter().any(lacks) {
                return None;
            }
            self.wrong(start(&error), told(field.as_deref(), &error, self.text));
            left_out.push(start(&error).and_then(|start| leave_out(entry.get_mut(), start))?);
        }
    }

    /// Leaves out entries that lack fields.
    fn lacking<T>(&mut self, entries: &mut Vec<Spanned<T>>, missing: fn(&T) -> Vec<&'static str>) {
        entries.retain(|entry| {
            let missing = missing(entry.get_ref()).into_iter();
            let missing: Vec<_> = missing.map(|field| format!("missing field `{field}`")).collect();
            if !missing.is_empty() {
                self.wrong(Some(entry.span().start), missing.join(", "));
            }
            missing.is_empty()
        });
    }

    fn wrong(&mut self, start: Option<usize>, message: String) {
        self.wrong.push(Unreadable { start, message });
    }
}

fn start(error: &toml::de::Error) -> Option<usize> {
    error.span().map(|span| span.start)
}

/// Takes the field of a table out in which this place lies, or, of a list in it, the element.
/// Its name; none when the place lies in no field.
fn leave_out(table: &mut DeValue<'_>, place: usize) -> Option<String> {
    let DeValue::Table(table) = table else { return None };
    let (name, value) = table
        .iter_mut()
        .find(|(name, value)| (name.span().start..value.span().end).contains(&place))?;
    let name = name.get_ref().to_string();
    if let DeValue::Array(list) = value.get_mut()
        && list.iter().any(|one| one.span().contains(&place))
    {
        let all = std::mem::replace(list, DeArray::new()).into_iter();
        *list = all.filter(|one| !one.span().contains(&place)).collect();
    } else {
        table.remove(name.as_str());
    }
    Some(name)
}

/// The field that is read at the end of a path, by its name.
fn field(path: &Path) -> Option<String> {
    let mut names = path.iter().filter_map(|segment| match segment {
        // A value with its place is read as if it were a table.
        Segment::Map { key } if !key.starts_with("$__serde") => Some(key.clone()),
        _ => None,
    });
    names.next_back()
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
        let owner = fault("[[event_type]]\nname = 'nl.x.y'\nowner = '4'");
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
}
