use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use wissel_broker::{Role, Roles};
use wissel_identifiers::Oin;

/// Who are operators over gRPC, and no parties: by OIN, with what they may do.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(try_from = "Vec<Entry>", into = "Vec<Entry>")]
pub(crate) struct Operators(BTreeMap<Oin, Roles>);

/// One of them, as it is written: a table with `oin` and `roles`; or an OIN alone, which has the
/// role `operator`.
#[derive(Clone, Serialize)]
struct Entry {
    oin: Oin,
    roles: Vec<Role>,
}

/// The variable with their OINs, between commas.
pub(super) const VARIABLE: &str = "WISSEL_OPERATORS";

/// What the variable says, when it names somebody. It is read here, as an OIN alone looks like a
/// number to whatever reads the others.
pub(super) fn of_variable() -> Option<Vec<String>> {
    let text = std::env::var(VARIABLE).ok()?;
    let named = text.split(',').map(str::trim).filter(|oin| !oin.is_empty());
    Some(named.map(str::to_owned).collect()).filter(|named: &Vec<String>| !named.is_empty())
}

impl Operators {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What each may do.
    pub(crate) fn by_oin(&self) -> &BTreeMap<Oin, Roles> {
        &self.0
    }
}

impl TryFrom<Vec<Entry>> for Operators {
    type Error = String;

    fn try_from(entries: Vec<Entry>) -> Result<Self, String> {
        let mut operators = BTreeMap::new();
        for Entry { oin, roles } in entries {
            let expected = "expected viewer, operator or catalogue-manager";
            let roles = Roles::of(roles).ok_or_else(|| format!("roles of {oin}: {expected}"))?;
            if operators.insert(oin, roles).is_some() {
                return Err(format!("{oin} is there twice; expected it once"));
            }
        }
        Ok(Self(operators))
    }
}

impl From<Operators> for Vec<Entry> {
    fn from(operators: Operators) -> Self {
        let entry = |(oin, roles): (Oin, Roles)| Entry { oin, roles: roles.iter().collect() };
        operators.0.into_iter().map(entry).collect()
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

/// Reads an [`Entry`].
struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an OIN between quotes, or a table with `oin` and `roles`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        let oin = text.parse().map_err(E::custom)?;
        Ok(Entry { oin, roles: vec![Role::Operator] })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            oin: Oin,
            roles: Vec<Role>,
        }
        let Table { oin, roles } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Entry { oin, roles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const ANNA: &str = "00000099000000004000";

    fn read(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    fn roles(text: &str) -> Roles {
        read(text).unwrap().operators.by_oin()[&ANNA.parse().unwrap()]
    }

    #[test]
    fn an_oin_alone_mends_and_does_not_manage_the_catalogue() {
        let alone = roles(&format!("operators = ['{ANNA}']"));
        assert!(alone.holds(Role::Operator) && !alone.holds(Role::CatalogueManager));
        let told = |named: &str| {
            roles(&format!("[[operators]]\noin = '{ANNA}'\nroles = [{named}]")).to_string()
        };
        assert_eq!(told("'viewer'"), "viewer");
        assert_eq!(told("'operator', 'catalogue-manager'"), "viewer, operator, catalogue-manager");
    }

    #[test]
    fn what_is_wrong_is_told_with_what_was_expected() {
        for (text, expected) in [
            ("operators = [4]".to_owned(), "an OIN between quotes, or a table"),
            ("operators = ['4']".to_owned(), "an OIN has 20 positions"),
            (format!("operators = [{{ oin = '{ANNA}', roles = [] }}]"), "expected viewer"),
            (format!("operators = [{{ oin = '{ANNA}' }}]"), "missing field `roles`"),
            (format!("operators = [{{ oin = '{ANNA}', roles = ['root'] }}]"), "expected viewer"),
            (format!("operators = [{{ oin = '{ANNA}', role = 'viewer' }}]"), "unknown field"),
            (format!("operators = ['{ANNA}', '{ANNA}']"), "twice"),
        ] {
            let fault = read(&text).unwrap_err();
            assert!(fault.contains(expected), "{text}: {fault}");
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        let config = read(&format!("operators = ['{ANNA}']")).unwrap();
        let shown = toml::to_string_pretty(&config).unwrap();
        assert!(shown.contains("[[operators]]"), "{shown}");
        assert_eq!(roles(&shown), Role::Operator.into());
    }
}
