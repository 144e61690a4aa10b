use std::cell::OnceCell;
use std::fmt;

use wissel_message::{EventView, Value};

use crate::Operand;
use crate::data::DataFacts;

/// What a condition asks of a message.
pub trait Facts {
    /// The value of an operand; none when the message does not have it.
    ///
    /// It must be the same value each time it is asked for.
    fn value(&self, operand: &Operand) -> Option<Value<'_>>;
}

/// The facts of one event, for use without an index. JSON `data` is read at most once,
/// and only when a condition asks.
///
/// ```
/// use wissel_filter::{EventFacts, Expression, Output};
/// use wissel_message::{Event, EventView};
///
/// let event = Event::builder("1", "/bron", "nl.brp.geboorte")
///     .data_text("application/json", r#"{"adres":{"gemeente":"0344"}}"#)
///     .build()?;
/// let event = EventView::decode(event.encode())?;
///
/// let expression = Expression::parse("DATA('/adres/gemeente') = '0344'")?;
/// assert_eq!(expression.evaluate(&EventFacts::new(&event)).value, Output::Boolean(true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EventFacts<'e> {
    event: &'e EventView,
    data: OnceCell<Option<DataFacts>>,
}

impl<'e> EventFacts<'e> {
    /// The facts of an event.
    #[must_use]
    pub fn new(event: &'e EventView) -> Self {
        Self { event, data: OnceCell::new() }
    }

    fn data(&self) -> Option<&DataFacts> {
        self.data.get_or_init(|| DataFacts::of(self.event)).as_ref()
    }
}

impl Facts for EventFacts<'_> {
    fn value(&self, operand: &Operand) -> Option<Value<'_>> {
        match operand {
            Operand::Attribute(name) => self.event.attribute(name),
            Operand::Data(pointer) => self.data()?.value(pointer),
        }
    }
}

impl fmt::Debug for EventFacts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFacts").field("event", self.event).finish_non_exhaustive()
    }
}
