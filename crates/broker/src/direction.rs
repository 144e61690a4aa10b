//! Where a message goes, when that is not for subscriptions alone to say.

use wissel_catalogue::TypeRights;
use wissel_identifiers::{InboxName, Oin};
use wissel_message::EventView;

use crate::entitlement::Target;
use crate::{Reason, Refusal};

/// Where a message is to go. Grants hold whichever it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Direction {
    /// To whoever subscribes: what is published.
    #[default]
    Subscribed,
    /// To one party: to this one, of those who subscribe; or to the only one who does.
    One(Option<Oin>),
    /// To one party, as [`Direction::One`], that is asked: what it is told is worth nothing
    /// once nobody waits for its answer.
    Asked(Option<Oin>),
    /// To a party that waits for it at a gateway, as that party may have it.
    Reply {
        /// Who waits.
        to: Oin,
        /// The inbox of the gateway where it waits.
        inbox: InboxName,
    },
}

/// A direction that was looked at.
#[derive(Debug)]
pub(crate) enum Destination {
    Subscribed,
    One(Option<Oin>),
    Asked(Option<Oin>),
    Target(Target),
}

/// Attributes whose names begin so are Wissel's to write.
pub const RESERVED: &str = "wissel";
/// Names, to the exchange, the parties that got a message, separated by spaces.
pub const RECIPIENTS: &str = "wisselrecipients";

impl Direction {
    /// Holds a direction against the message's type and rights.
    pub(crate) fn check(
        &self,
        event: &EventView,
        rights: &TypeRights,
    ) -> Result<Destination, Refusal> {
        match self {
            Self::Subscribed => {
                check_published(event, rights)?;
                Ok(Destination::Subscribed)
            }
            Self::One(party) => Ok(Destination::One(*party)),
            Self::Asked(party) => Ok(Destination::Asked(*party)),
            Self::Reply { to, inbox } => {
                let grant = rights.receive_grant(to).filter(|grant| grant.covers(event));
                let grant = grant.ok_or_else(|| {
                    Refusal::of_field(
                        Reason::NotGranted,
                        "type",
                        format!("party {to}, which waits for it, has no grant to receive it"),
                    )
                })?;
                let fields = grant.fields.clone();
                let inbox = inbox.clone();
                Ok(Destination::Target(Target { inbox, fields, watches: false }))
            }
        }
    }
}

/// What is published is no message of a pattern, and has no attribute that is not its
/// publisher's to write.
fn check_published(event: &EventView, rights: &TypeRights) -> Result<(), Refusal> {
    if rights.event_type.ask.is_some() {
        let message = "a question, which is asked and not published; expected a call of Asking";
        return Err(Refusal::of_field(Reason::InvalidRequest, "type", message));
    }
    if rights.event_type.is_status {
        let message =
            "says how a case stands, which is not simply published; expected a call of Cases";
        return Err(Refusal::of_field(Reason::InvalidRequest, "type", message));
    }
    if rights.event_type.matching.is_some() {
        let message = "tells that signals match, which is the exchange's alone to say";
        return Err(Refusal::of_field(Reason::InvalidRequest, "type", message));
    }
    check_reserved(event)
}

/// Refuses a message with an attribute that is Wissel's to write.
///
/// # Errors
/// [`Reason::InvalidMessage`] with the name of the attribute.
pub fn check_reserved(event: &EventView) -> Result<(), Refusal> {
    match event.attribute_names().find(|name| name.starts_with(RESERVED)) {
        None => Ok(()),
        Some(name) => Err(Refusal::of_field(
            Reason::InvalidMessage,
            name,
            format!("names that begin with {RESERVED} are reserved; expected another name"),
        )),
    }
}

/// The parties that own these inboxes, each once.
pub(crate) fn owners<'a>(inboxes: impl Iterator<Item = &'a InboxName>) -> Vec<Oin> {
    let mut parties: Vec<Oin> = inboxes.map(InboxName::owner).collect();
    parties.sort_unstable();
    parties.dedup();
    parties
}

/// Their numbers, separated by spaces.
pub(crate) fn list(parties: &[Oin]) -> String {
    let texts: Vec<&str> = parties.iter().map(Oin::as_str).collect();
    texts.join(" ")
}
