use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::fault::{DataFault, DataFaults, FAULTS_MAX};
use crate::projection;
use crate::{FieldSet, FieldsError, Projection};

/// A JSON Schema of `data`, compiled.
///
/// What it takes of JSON Schema is what can be checked in bounded time: a `$ref` leads
/// to a place in the same document and never back to itself, all of them written out
/// make no more than 10,000 nodes, and patterns are regular expressions without
/// backtracking (no look-around, no back-references). `format` is checked.
pub struct DataSchema {
    pub(crate) document: Value,
    validator: Validator,
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Not a JSON Schema.
    #[error("{pointer}: not a JSON Schema (draft 2020-12): {message}")]
    Invalid {
        /// Where in the schema.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// A reference that is not allowed.
    #[error(
        "{pointer}: {fault}; expected a $ref such as #/$defs/adres, that does not lead back to itself"
    )]
    Reference {
        /// Where in the schema.
        pointer: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// Written out, it is larger than is taken.
    #[error("with every $ref written out it has more than {max} nodes, expected at most that")]
    TooLarge {
        /// The most nodes.
        max: usize,
    },
}

/// The most nodes of a schema with every reference written out.
const NODES_MAX: usize = 10_000;
/// The most bytes that one compiled pattern takes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl DataSchema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When it is no JSON Schema, or not one of bounded cost.
    pub fn compile(document: &Value) -> Result<Self, SchemaError> {
        weigh(document)?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .build(document)
            .map_err(|error| SchemaError::Invalid {
                pointer: error.instance_path().to_string(),
                message: error.to_string(),
            })?;
        Ok(Self { document: document.clone(), validator })
    }

    /// Whether data fits.
    ///
    /// # Errors
    /// Where it does not, the first 20 places at most.
    pub fn validate(&self, data: &Value) -> Result<(), DataFaults> {
        if self.validator.is_valid(data) {
            return Ok(());
        }
        let errors = self.validator.iter_errors(data).take(FAULTS_MAX);
        Err(DataFaults(errors.map(|error| DataFault::of(&error)).collect()))
    }

    /// What is left of the schema for a receiver that gets these fields only.
    ///
    /// # Errors
    /// When the schema does not know one of the fields.
    pub fn project(&self, fields: &FieldSet) -> Result<Projection, FieldsError> {
        projection::project(self, fields)
    }

    /// The schema as it was given.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }
}

impl fmt::Debug for DataSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSchema").finish_non_exhaustive()
    }
}

/// Bounds what the schema can cost: a few references that lead to each other can make
/// the work double at each step.
fn weigh(document: &Value) -> Result<(), SchemaError> {
    let mut weighing = Weighing { document, entered: Vec::new(), nodes: 0 };
    weighing.enter(document, &mut String::new())
}

struct Weighing<'a> {
    document: &'a Value,
    /// The references that were followed to come here.
    entered: Vec<&'a str>,
    nodes: usize,
}

impl<'a> Weighing<'a> {
    fn enter(&mut self, node: &'a Value, pointer: &mut String) -> Result<(), SchemaError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(SchemaError::TooLarge { max: NODES_MAX });
        }
        match node {
            Value::Object(members) => {
                for (name, member) in members {
                    let length = pointer.len();
                    pointer.push('/');
                    pointer.push_str(name);
                    self.member(name, member, pointer)?;
                    pointer.truncate(length);
                }
                Ok(())
            }
            Value::Array(elements) => {
                elements.iter().try_for_each(|element| self.enter(element, pointer))
            }
            _ => Ok(()),
        }
    }

    fn member(
        &mut self,
        name: &str,
        member: &'a Value,
        pointer: &mut String,
    ) -> Result<(), SchemaError> {
        let refuse = |fault| Err(SchemaError::Reference { pointer: pointer.clone(), fault });
        match (name, member) {
            ("$ref", Value::String(target)) => {
                if self.entered.contains(&target.as_str()) {
                    return refuse("a reference that leads back to itself");
                }
                let Some(found) = resolve(self.document, target) else {
                    return refuse("a reference that leads nowhere in this document");
                };
                self.entered.push(target);
                self.enter(found, pointer)?;
                self.entered.pop();
                Ok(())
            }
            ("$dynamicRef" | "$recursiveRef" | "$anchor" | "$dynamicAnchor", Value::String(_)) => {
                refuse("another kind of reference than $ref")
            }
            // Definitions are weighed where they are used.
            ("$defs" | "definitions", Value::Object(_)) if !self.entered.is_empty() => Ok(()),
            _ => self.enter(member, pointer),
        }
    }
}

/// What a `$ref` such as `#/$defs/adres` leads to.
pub(crate) fn resolve<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(reference.strip_prefix('#')?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(document: &Value) -> String {
        DataSchema::compile(document).unwrap_err().to_string()
    }

    #[test]
    fn a_schema_that_is_none_is_refused_with_its_place() {
        assert!(
            fault(&json!({"properties": {"a": {"type": "no-type"}}})).contains("/properties/a")
        );
        assert!(fault(&json!({"pattern": "(?=a)"})).contains("pattern"));
        assert!(fault(&json!({"format": "no-such-format"})).contains("format"));
    }

    #[test]
    fn references_stay_in_the_document_and_do_not_lead_back() {
        assert!(fault(&json!({"$ref": "https://example.nl/x.json"})).contains("leads nowhere"));
        assert!(fault(&json!({"$ref": "file:///etc/passwd"})).contains("leads nowhere"));
        assert!(fault(&json!({"properties": {"a": {"$ref": "#"}}})).contains("back to itself"));
        assert!(fault(&json!({"$dynamicRef": "#x"})).contains("another kind"));
        let good = json!({
            "$defs": {"adres": {"type": "string"}},
            "properties": {"a": {"$ref": "#/$defs/adres"}, "b": {"$ref": "#/$defs/adres"}},
        });
        DataSchema::compile(&good).unwrap();
    }

    #[test]
    fn a_schema_bomb_is_refused_at_once() {
        let mut definitions = serde_json::Map::new();
        for level in 0..60 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            definitions.insert(format!("d{level}"), json!({"allOf": [next, next]}));
        }
        definitions.insert("d60".to_owned(), json!({"type": "string"}));
        let bomb = json!({"$defs": definitions, "$ref": "#/$defs/d0"});
        assert!(fault(&bomb).contains("nodes"), "{}", fault(&bomb));
    }

    #[test]
    fn faults_name_the_place_and_never_the_value() {
        let schema = DataSchema::compile(&json!({
            "type": "object",
            "properties": {
                "huisnummer": {"type": "integer", "maximum": 99_999},
                "postcode": {"type": "string", "pattern": "^[0-9]{4}[A-Z]{2}$"},
                "personen": {"additionalProperties": {"type": "integer"}},
            },
            "required": ["postcode", "woonplaats"],
            "additionalProperties": false,
        }))
        .unwrap();
        let data = json!({
            "huisnummer": 999_990_019,
            "postcode": "999990019",
            "bsn999990019": 1,
            "personen": {"999990019": "x"},
        });
        let text = schema.validate(&data).unwrap_err().to_string();
        for expected in [
            "/huisnummer: too large, expected at most 99999",
            "/postcode: expected text that fits",
            "\"woonplaats\" is absent",
            "/personen/*: another type, expected integer",
            "a member that the schema does not know",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains("999990019"), "{text}");
    }
}
