use std::sync::Arc;
use std::time::SystemTime;

use wissel_catalogue::{Action, Catalogue, Mandate};
use wissel_identifiers::{InboxName, Oin};

use crate::{Operator, Reason, Refusal, Role};

/// Who calls, as the transport established it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A party: it publishes, subscribes, and sees what is its own.
    Party(Oin),
    /// A party that acts for another. What the other may do, it may as far as a mandate
    /// goes, which is looked up at every call and every delivery.
    Representative {
        /// Who acts.
        party: Oin,
        /// For whom.
        principal: Oin,
    },
    /// An operator: sees every queue and does what its roles say, and neither publishes
    /// nor reads messages.
    Operator(Arc<Operator>),
}

impl Caller {
    /// The party whose rights count.
    ///
    /// # Errors
    /// [`Reason::NotGranted`] for an operator, which is none.
    pub fn party(&self) -> Result<Oin, Refusal> {
        match *self {
            Self::Party(party) | Self::Representative { principal: party, .. } => Ok(party),
            Self::Operator(_) => Err(Refusal::new(
                Reason::NotGranted,
                "an operator neither publishes nor reads messages; call as a party",
            )),
        }
    }

    /// Refuses a party that the catalogue does not know, and one that acts for another
    /// without any mandate in force.
    pub(crate) fn check(&self, catalogue: &Catalogue) -> Result<(), Refusal> {
        let unknown = |party: Oin| {
            let message = format!("{party} is no party of the catalogue");
            Refusal::new(Reason::NotGranted, message)
        };
        match *self {
            Self::Operator(_) => {}
            Self::Party(party) => {
                catalogue.party(&party).ok_or_else(|| unknown(party))?;
            }
            Self::Representative { party, principal } => {
                let now = SystemTime::now();
                let mut mandates = catalogue.mandates(party, principal).iter();
                if !mandates.any(|mandate| mandate.holds_at(now)) {
                    return Err(no_mandate(party, principal));
                }
            }
        }
        Ok(())
    }

    /// Refuses one that acts for another when no mandate covers this.
    ///
    /// # Errors
    /// [`Reason::NoMandate`] then.
    pub fn check_mandate(
        &self,
        catalogue: &Catalogue,
        action: Action,
        event_type: &str,
    ) -> Result<(), Refusal> {
        let Self::Representative { party, principal } = *self else {
            return Ok(());
        };
        let now = SystemTime::now();
        match catalogue.mandate(party, principal, action, event_type, now) {
            Some(_) => Ok(()),
            None => Err(Refusal::of_field(
                Reason::NoMandate,
                "type",
                format!("party {party} has no mandate of {principal} to {action} this event type"),
            )),
        }
    }

    /// Refuses one that acts for another when no mandate to receive holds.
    pub(crate) fn check_may_receive(&self, catalogue: &Catalogue) -> Result<(), Refusal> {
        let Self::Representative { party, principal } = *self else {
            return self.check(catalogue);
        };
        let now = SystemTime::now();
        let to_receive =
            |mandate: &Mandate| mandate.holds_at(now) && mandate.actions.contains(&Action::Receive);
        let mut mandates = catalogue.mandates(party, principal).iter();
        if mandates.any(|mandate| to_receive(mandate)) {
            Ok(())
        } else {
            Err(no_mandate(party, principal))
        }
    }

    /// Refuses one that acts for another without a mandate to receive whatever comes: an
    /// inbox, and what died in it, may hold every type that its owner receives.
    ///
    /// # Errors
    /// [`Reason::NoMandate`] then.
    pub fn check_may_receive_all(&self, catalogue: &Catalogue) -> Result<(), Refusal> {
        self.check_may_receive(catalogue)?;
        let Self::Representative { party, principal } = *self else { return Ok(()) };
        let now = SystemTime::now();
        let all_types = |mandate: &Mandate| {
            mandate.holds_at(now)
                && mandate.types.is_none()
                && mandate.actions.contains(&Action::Receive)
        };
        if catalogue.mandates(party, principal).iter().any(|mandate| all_types(mandate)) {
            return Ok(());
        }
        let message = format!(
            "the mandate of {principal} for party {party} is limited to some event types; this needs \
             one that is not"
        );
        Err(Refusal::new(Reason::NoMandate, message))
    }

    /// Whether an operator calls.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Operator(_))
    }

    /// Refuses an operator without this role. A party needs none for what is its own.
    ///
    /// # Errors
    /// [`Reason::NotGranted`] then.
    pub(crate) fn check_role(&self, role: Role) -> Result<(), Refusal> {
        match self {
            Self::Operator(operator) => operator.check(role),
            Self::Party(_) | Self::Representative { .. } => Ok(()),
        }
    }

    /// Refuses whoever is no operator, and an operator without this role.
    ///
    /// # Errors
    /// [`Reason::NotGranted`] then.
    pub(crate) fn check_operator(&self, role: Role) -> Result<(), Refusal> {
        if self.is_operator() {
            return self.check_role(role);
        }
        let message = match role {
            Role::Viewer => "this is for operators".to_owned(),
            role => format!("this is for operators with the role {role}"),
        };
        Err(Refusal::new(Reason::NotGranted, message))
    }

    /// Whether the caller may see what this party owns.
    pub(crate) fn may_see(&self, owner: Oin) -> bool {
        match *self {
            Self::Party(party) | Self::Representative { principal: party, .. } => party == owner,
            Self::Operator(_) => true,
        }
    }

    /// Refuses an inbox that the caller may not see as if it did not exist, so
    /// that names cannot be found out by trying.
    pub(crate) fn check_sees(&self, inbox: &InboxName) -> Result<(), Refusal> {
        if self.may_see(inbox.owner()) { Ok(()) } else { Err(Refusal::unknown_inbox(inbox)) }
    }
}

impl From<Operator> for Caller {
    fn from(operator: Operator) -> Self {
        Self::Operator(Arc::new(operator))
    }
}

fn no_mandate(party: Oin, principal: Oin) -> Refusal {
    let message = format!("party {party} has no mandate in force of {principal}");
    Refusal::new(Reason::NoMandate, message)
}
