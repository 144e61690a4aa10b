//! What is left of a schema for a receiver that gets some of the fields.

use serde_json::{Map, Value};

use crate::compile::resolve;
use crate::fields::{EVERY, Node};
use crate::{DataFaults, DataSchema, FieldSet, FieldsError, parse};

/// The schema that minimised data fits: the whole one, in which nothing is required
/// that the receiver does not get.
#[derive(Debug)]
pub struct Projection {
    schema: DataSchema,
    is_certain: bool,
}

/// What ties the members of an object together, or the elements of an array: without
/// some of them, what was valid may not be.
const TIES: [&str; 15] = [
    "minProperties",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "enum",
    "const",
    "contains",
    "uniqueItems",
    "prefixItems",
    "patternProperties",
    "unevaluatedItems",
];

impl Projection {
    /// Whether data that fits the whole schema always fits this one when it is
    /// minimised. Then there is no need to look.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.is_certain
    }

    /// Whether minimised data fits.
    ///
    /// # Errors
    /// Where it does not.
    pub fn validate(&self, minimised: &str) -> Result<(), DataFaults> {
        let data = parse(minimised.as_bytes());
        data.map_or(Ok(()), |data| self.schema.validate(&data))
    }
}

pub(crate) fn project(schema: &DataSchema, fields: &FieldSet) -> Result<Projection, FieldsError> {
    let document = &schema.document;
    check_known(document, document, &fields.root, &mut String::new())?;
    let mut is_certain = true;
    let mut projected = cut(document, document, &fields.root, &mut is_certain);
    if let (Value::Object(projected), Some(definitions)) = (&mut projected, document.get("$defs")) {
        projected.insert("$defs".to_owned(), definitions.clone());
    }
    let compiled = DataSchema::compile(&projected);
    let schema =
        compiled.map_err(|error| FieldsError::Projection { message: error.to_string() })?;
    Ok(Projection { schema, is_certain })
}

/// The schema without what it requires of fields that are not there any more.
fn cut(document: &Value, schema: &Value, node: &Node, is_certain: &mut bool) -> Value {
    let (Node::Some(allowed), Value::Object(members)) = (node, schema) else {
        return schema.clone();
    };
    if members.keys().any(|keyword| TIES.contains(&keyword.as_str())) {
        *is_certain = false;
    }
    let mut left = Map::new();
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("required", Value::Array(required)) => {
                let is_left =
                    |name: &&Value| name.as_str().is_some_and(|name| allowed.contains_key(name));
                let required = required.iter().filter(is_left).cloned().collect();
                left.insert(keyword.clone(), Value::Array(required));
            }
            ("properties", Value::Object(properties)) => {
                let mut cut_each = |(name, property): (&String, &Value)| {
                    let property = match allowed.get(name.as_str()) {
                        Some(child) => cut(document, property, child, is_certain),
                        None => property.clone(),
                    };
                    (name.clone(), property)
                };
                let properties = properties.iter().map(&mut cut_each).collect();
                left.insert(keyword.clone(), Value::Object(properties));
            }
            ("items", items) => {
                let child = allowed.get(EVERY);
                let items = child
                    .map_or_else(|| items.clone(), |child| cut(document, items, child, is_certain));
                left.insert(keyword.clone(), items);
            }
            ("allOf", Value::Array(all)) => {
                let mut cut_each = |one| cut(document, one, node, is_certain);
                let all = all.iter().map(&mut cut_each).collect();
                left.insert(keyword.clone(), Value::Array(all));
            }
            ("$ref", Value::String(target)) => {
                if let Some(found) = resolve(document, target) {
                    let written_out = cut(document, found, node, is_certain);
                    left.insert("allOf".to_owned(), Value::Array(vec![written_out]));
                    // An `allOf` beside a `$ref` is replaced by it: too rare to merge.
                    *is_certain &= !members.contains_key("allOf");
                }
            }
            _ => {
                left.insert(keyword.clone(), value.clone());
            }
        }
    }
    Value::Object(left)
}

/// Refuses a field that the schema does not know.
fn check_known(
    document: &Value,
    schema: &Value,
    node: &Node,
    pointer: &mut String,
) -> Result<(), FieldsError> {
    let Node::Some(members) = node else { return Ok(()) };
    for (name, child) in members {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let mut below = Vec::new();
        find(document, schema, name, &mut below);
        if below.is_empty() {
            return Err(FieldsError::Unknown { pointer: pointer.clone() });
        }
        // One of the alternatives has to know what lies below.
        let mut outcome = Ok(());
        for schema in below {
            outcome = check_known(document, schema, child, &mut pointer.clone());
            if outcome.is_ok() {
                break;
            }
        }
        outcome?;
        pointer.truncate(length);
    }
    Ok(())
}

/// The schemas that say something of this member, wherever they stand.
fn find<'a>(document: &'a Value, schema: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    let direct = if name == EVERY { schema.get("items") } else { None };
    let property = schema.get("properties").and_then(|properties| properties.get(name));
    found.extend(direct.into_iter().chain(property));
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for one in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            find(document, one, name, found);
        }
    }
    for keyword in ["if", "then", "else"] {
        if let Some(one) = schema.get(keyword) {
            find(document, one, name, found);
        }
    }
    let target = schema.get("$ref").and_then(Value::as_str);
    if let Some(target) = target.and_then(|target| resolve(document, target)) {
        find(document, target, name, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> DataSchema {
        DataSchema::compile(&json!({
            "$defs": {"adres": {
                "type": "object",
                "properties": {"postcode": {"type": "string"}, "huisnummer": {"type": "integer"}},
                "required": ["postcode", "huisnummer"],
            }},
            "type": "object",
            "properties": {
                "naam": {"type": "string"},
                "adres": {"$ref": "#/$defs/adres"},
                "kinderen": {"type": "array", "items": {
                    "properties": {"naam": {"type": "string"}, "bsn": {"type": "string"}},
                    "required": ["naam", "bsn"],
                }},
            },
            "required": ["naam", "adres"],
            "additionalProperties": false,
        }))
        .unwrap()
    }

    fn project(fields: &[&str]) -> Result<Projection, FieldsError> {
        schema().project(&FieldSet::new(fields.iter().copied()).unwrap())
    }

    #[test]
    fn a_field_that_the_schema_does_not_know_is_refused() {
        for known in ["/naam", "/adres/postcode", "/kinderen/*/bsn", ""] {
            project(&[known]).unwrap();
        }
        for unknown in ["/achternaam", "/adres/plaats", "/naam/eerste", "/kinderen/0/bsn"] {
            let error = project(&["/adres/postcode", unknown]).unwrap_err().to_string();
            assert!(unknown.starts_with(error.split(':').next().unwrap()), "{error}");
        }
    }

    #[test]
    fn nothing_is_required_that_is_not_there_any_more() {
        let projection = project(&["/adres/postcode", "/kinderen/*/naam"]).unwrap();
        assert!(projection.is_certain());
        let minimised = r#"{"adres":{"postcode":"3500AA"},"kinderen":[{"naam":"A"}]}"#;
        projection.validate(minimised).unwrap();
        assert!(projection.validate(r#"{"adres":{}}"#).is_err());
        assert!(projection.validate(r#"{"adres":{"postcode":1}}"#).is_err());
    }

    #[test]
    fn a_schema_that_ties_fields_together_may_break() {
        let schema = DataSchema::compile(&json!({
            "properties": {"van": {"type": "string"}, "tot": {"type": "string"}},
            "dependentRequired": {"tot": ["van"]},
        }))
        .unwrap();
        let projection = schema.project(&FieldSet::new(["/tot"]).unwrap()).unwrap();
        assert!(!projection.is_certain());
        let error = projection.validate(r#"{"tot":"2026"}"#).unwrap_err().to_string();
        assert!(error.contains("dependentRequired") || error.contains("van"), "{error}");
    }
}
