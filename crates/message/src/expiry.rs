use crate::{EventView, Timestamp, TimestampError, Value};

/// The attribute of the CloudEvents extension "Expiry Time".
pub(crate) const EXPIRY_TIME: &str = "expirytime";

/// From when on the message is worth nothing, by the CloudEvents extension "Expiry Time":
/// the attribute `expirytime`, a Timestamp or, as JSON has it, text that is one. None when
/// it is absent.
///
/// # Errors
/// When it is neither.
pub fn expiry_time(event: &EventView) -> Result<Option<Timestamp>, TimestampError> {
    match event.extension(EXPIRY_TIME) {
        None => Ok(None),
        Some(Value::Timestamp(moment)) => Ok(Some(moment)),
        Some(Value::String(text)) => text.parse().map(Some),
        Some(_) => Err(TimestampError::Format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, OwnedValue, Rule};

    #[test]
    fn a_timestamp_or_its_text_is_an_expiry_time_and_nothing_else_is_built() {
        let moment: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let of = |value: Option<OwnedValue>| {
            let event = Event::builder("1", "/s", "nl.t.x");
            let event = match value {
                Some(value) => event.extension(EXPIRY_TIME, value),
                None => event,
            };
            expiry_time(&EventView::decode(event.build().unwrap().encode()).unwrap())
        };
        assert_eq!(of(None), Ok(None));
        assert_eq!(of(Some(OwnedValue::Timestamp(moment))), Ok(Some(moment)));
        assert_eq!(of(Some("2026-11-24T11:00:00+01:00".into())), Ok(Some(moment)));
        for wrong in ["tomorrow".into(), OwnedValue::Integer(3)] {
            let event = Event::builder("1", "/s", "nl.t.x").extension(EXPIRY_TIME, wrong);
            let violations = event.build().unwrap_err();
            assert!(violations.iter().any(|one| one.rule == Rule::ExpiryTime), "{violations:?}");
        }
    }
}
