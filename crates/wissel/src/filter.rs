//! `wissel filter`.

mod explain;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use wissel_filter::{
    DataFacts, ErrorKind, Evaluation, Expression, Facts, Operand, Output, ParseError,
};
use wissel_message::{Event, EventView, Value};

use crate::cli::{EvalArguments, FilterCommand};
use crate::exit::Failure;
use crate::output;

pub(crate) async fn run(command: FilterCommand) -> Result<(), Failure> {
    match command {
        FilterCommand::Eval(arguments) if arguments.jsonl => lines(&arguments.lines).await,
        FilterCommand::Eval(arguments) => one(&arguments).await,
        FilterCommand::Explain(arguments) => explain::run(&arguments),
    }
}

/// Reads an expression; what is none is shown with a mark where it goes wrong.
pub(crate) fn expression(text: &str) -> Result<Expression, Failure> {
    let failure = |error: ParseError| {
        Failure::usage(format!("this is no expression:\n{}", error.render(text)))
    };
    Expression::parse(text).map_err(failure)
}

/// What is printed of an evaluation.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

async fn one(arguments: &EvalArguments) -> Result<(), Failure> {
    let text = arguments.expression.as_deref().unwrap_or_default();
    let attributes = match &arguments.event {
        None => JsonEvent::default(),
        Some(file) => {
            let mut json = Vec::new();
            let read = async { open(file).await?.read_to_end(&mut json).await };
            read.await.map_err(|error| unreadable(file, &error))?;
            JsonEvent::parse(&json)
                .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?
        }
    };
    let expression = match expression(text) {
        Ok(expression) => expression,
        Err(failure) => {
            output::json(&Answer { error: Some(ErrorKind::Parse.name()), ..Answer::default() })?;
            return Err(failure);
        }
    };
    let evaluation = expression.evaluate(&attributes);
    for error in &evaluation.errors {
        output::note(&error.to_string());
    }
    output::json(&answer(evaluation))
}

/// Answers every line, whatever is in it.
async fn lines(file: &Path) -> Result<(), Failure> {
    let mut reader = open(file).await.map_err(|error| unreadable(file, &error))?;
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).await;
        if read.map_err(|error| unreadable(file, &error))? == 0 {
            return Ok(());
        }
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = answer_line(&line);
        if let Some(message) = &answer.message {
            output::note(&format!("line {number}: {message}"));
        }
        output::json(&answer)?;
    }
}

/// A line of `--jsonl`.
#[derive(Deserialize)]
struct Line {
    expression: String,
    #[serde(default)]
    event: Option<Box<RawValue>>,
}

fn answer_line(line: &[u8]) -> Answer {
    let wrong = |message: String| Answer {
        error: Some(ErrorKind::Generic.name()),
        message: Some(message),
        ..Answer::default()
    };
    let line: Line = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => {
            let expected = "expected {\"expression\":…,\"event\":{…}}";
            return wrong(format!("{error}; {expected}"));
        }
    };
    let event = match line.event {
        Some(event) => JsonEvent::parse(event.get().as_bytes()),
        None => Ok(JsonEvent::default()),
    };
    let event = match event {
        Ok(event) => event,
        Err(error) => return wrong(format!("event: {error}")),
    };
    match Expression::parse(&line.expression) {
        Ok(expression) => answer(expression.evaluate(&event)),
        Err(_) => Answer { error: Some(ErrorKind::Parse.name()), ..Answer::default() },
    }
}

fn answer(evaluation: Evaluation) -> Answer {
    let value = match evaluation.value {
        Output::Boolean(truth) => Json::from(truth),
        Output::Integer(integer) => Json::from(integer),
        Output::String(text) => Json::from(text),
    };
    let error = evaluation.errors.first().map(|error| error.kind.name());
    Answer { value: Some(value), error, message: None }
}

/// An event as JSON has it: what is text there is text here, whatever the attribute. It
/// need not be complete.
struct JsonEvent {
    attributes: BTreeMap<String, Attribute>,
    data: Option<DataFacts>,
}

enum Attribute {
    Boolean(bool),
    Integer(i32),
    Text(String),
}

impl Default for JsonEvent {
    /// What every valid event has.
    fn default() -> Self {
        let required =
            [("id", "1"), ("source", "/example"), ("specversion", "1.0"), ("type", "example")];
        let text = |(name, text): (&str, &str)| (name.to_owned(), Attribute::Text(text.to_owned()));
        Self { attributes: required.map(text).into(), data: None }
    }
}

impl JsonEvent {
    fn parse(json: &[u8]) -> Result<Self, String> {
        let members: Option<BTreeMap<String, Box<RawValue>>> = serde_json::from_slice(json)
            .map_err(|error| format!("{error}; expected a CloudEvent in JSON"))?;
        let members = members.unwrap_or_default();
        let mut event = Self::default();
        for (name, raw) in &members {
            if name == "data" || name == "data_base64" {
                continue;
            }
            let value: Json = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
            let attribute = match value {
                Json::Null => continue,
                Json::Bool(truth) => Attribute::Boolean(truth),
                Json::String(text) => Attribute::Text(text),
                Json::Number(number) => {
                    let integer = number.as_i64().and_then(|number| i32::try_from(number).ok());
                    let integer =
                        integer.ok_or("an attribute is a number, but no 32-bit integer")?;
                    Attribute::Integer(integer)
                }
                Json::Array(_) | Json::Object(_) => {
                    return Err("an attribute is an array or an object".to_owned());
                }
            };
            event.attributes.insert(name.clone(), attribute);
        }
        event.data = match members.get("data") {
            Some(data) if event.is_json() => DataFacts::parse(data.get().as_bytes()),
            Some(_) => None,
            None if members.contains_key("data_base64") => decoded(json),
            None => None,
        };
        Ok(event)
    }

    /// Whether `data` is JSON, as the JSON format says.
    fn is_json(&self) -> bool {
        let Some(Attribute::Text(content_type)) = self.attributes.get("datacontenttype") else {
            return true;
        };
        let mut essence = content_type.split(';');
        let essence = essence.next().unwrap_or_default().trim().to_ascii_lowercase();
        essence.ends_with("/json") || essence.ends_with("+json")
    }
}

/// The data of an event that has it in base64.
fn decoded(json: &[u8]) -> Option<DataFacts> {
    let event = Event::from_json(json).ok()?;
    DataFacts::of(&EventView::decode(event.encode()).ok()?)
}

impl Facts for JsonEvent {
    fn value(&self, operand: &Operand) -> Option<Value<'_>> {
        match operand {
            Operand::Attribute(name) => Some(match self.attributes.get(&**name)? {
                Attribute::Boolean(truth) => Value::Boolean(*truth),
                Attribute::Integer(integer) => Value::Integer(*integer),
                Attribute::Text(text) => Value::String(text),
            }),
            Operand::Data(pointer) => self.data.as_ref()?.value(pointer),
        }
    }
}

async fn open(file: &Path) -> std::io::Result<Box<dyn AsyncBufRead + Unpin + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(tokio::io::stdin())));
    }
    Ok(Box::new(BufReader::new(tokio::fs::File::open(file).await?)))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_gets_an_answer() {
        for (line, expected) in [
            (r#"{"expression":"1 + 1"}"#, r#"{"value":2}"#),
            (r#"{"expression":"EXISTS id","event":null}"#, r#"{"value":true}"#),
            (r#"{"expression":"a","event":{"a":"x"}}"#, r#"{"value":"x"}"#),
            (r#"{"expression":"a = 7 AND b","event":{"a":7,"b":true}}"#, r#"{"value":true}"#),
            (
                r#"{"expression":"a","event":{"a":null}}"#,
                r#"{"value":false,"error":"missingAttribute"}"#,
            ),
            (r#"{"expression":"1 / 0"}"#, r#"{"value":0,"error":"math"}"#),
            (r#"{"expression":"1 /"}"#, r#"{"error":"parse"}"#),
            (
                r#"{"expression":"time","event":{"time":"2018-04-26T14:48:09+02:00"}}"#,
                r#"{"value":"2018-04-26T14:48:09+02:00"}"#,
            ),
            (r#"{"expression":"DATA('/a')","event":{"data":{"a":"x"}}}"#, r#"{"value":"x"}"#),
            (
                r#"{"expression":"HAS_DATA('/a')","event":{"datacontenttype":"text/plain","data":{"a":1}}}"#,
                r#"{"value":false}"#,
            ),
        ] {
            let answer = serde_json::to_string(&answer_line(line.as_bytes())).unwrap();
            assert_eq!(answer, expected, "{line}");
        }
        for wrong in ["", "[]", "{}", r#"{"expression":1}"#, r#"{"expression":"a","event":[]}"#] {
            let answer = answer_line(wrong.as_bytes());
            assert_eq!((answer.error, answer.value), (Some("generic"), None), "{wrong}");
            assert!(answer.message.is_some());
        }
        assert_eq!(answer_line(b"\xff\xfe").error, Some("generic"));
    }
}
