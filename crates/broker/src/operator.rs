//! Operators: who they are, and what they may do.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wissel_identifiers::Oin;

use crate::{Reason, Refusal};

/// What an operator may do. Whoever has a role may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Role {
    /// Looks, and changes nothing.
    Viewer,
    /// Mends queues, and manages subscriptions.
    Operator,
    /// Has the files of the catalogue read again.
    CatalogueManager,
}

/// A text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; expected viewer, operator or catalogue-manager")]
pub struct UnknownRole(String);

/// The roles of one operator: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Roles(u8);

/// Somebody who sees every queue and does what their roles say, and neither publishes nor reads
/// messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operator {
    /// What they are called, when they signed in by name.
    pub name: Option<Arc<str>>,
    /// Their OIN, when they have one.
    pub oin: Option<Oin>,
    /// What they may do.
    pub roles: Roles,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::CatalogueManager];

    /// Its name, as in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::CatalogueManager => "catalogue-manager",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Roles {
    /// Every role.
    pub const ALL: Self =
        Self(Role::Viewer.bit() | Role::Operator.bit() | Role::CatalogueManager.bit());

    /// These; none when there is none among them.
    #[must_use]
    pub fn of(roles: impl IntoIterator<Item = Role>) -> Option<Self> {
        let bits = roles.into_iter().fold(0, |bits, role| bits | role.bit());
        (bits != 0).then_some(Self(bits | Role::Viewer.bit()))
    }

    /// Whether this is among them.
    #[must_use]
    pub fn holds(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.holds(*role))
    }
}

impl Operator {
    /// Refuses one without this role.
    ///
    /// # Errors
    /// [`Reason::NotGranted`], which says what role it takes.
    pub(crate) fn check(&self, role: Role) -> Result<(), Refusal> {
        if self.roles.holds(role) {
            return Ok(());
        }
        let message = format!("this takes the role {role}; you have: {}", self.roles);
        Err(Refusal::new(Reason::NotGranted, message))
    }
}

impl TryFrom<String> for Role {
    type Error = UnknownRole;

    fn try_from(text: String) -> Result<Self, UnknownRole> {
        let named = Self::ALL.into_iter().find(|role| role.as_str() == text);
        named.ok_or(UnknownRole(text))
    }
}

impl From<Role> for &'static str {
    fn from(role: Role) -> Self {
        role.as_str()
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(role.bit() | Role::Viewer.bit())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Role::as_str).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.oin) {
            (Some(name), _) => f.write_str(name),
            (None, Some(oin)) => write!(f, "operator {oin}"),
            (None, None) => f.write_str("operator"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_role_may_look() {
        assert_eq!(Roles::of([]), None);
        let viewer = Roles::from(Role::Viewer);
        assert!(viewer.holds(Role::Viewer) && !viewer.holds(Role::Operator));
        let manager = Roles::of([Role::CatalogueManager]).unwrap();
        assert!(manager.holds(Role::Viewer) && !manager.holds(Role::Operator));
        assert_eq!(manager.to_string(), "viewer, catalogue-manager");
        assert_eq!(Roles::of(Role::ALL), Some(Roles::ALL));
    }

    #[test]
    fn a_refusal_says_which_role_it_takes() {
        let oin: Oin = "00000001002220647000".parse().unwrap();
        let viewer = Operator { name: None, oin: Some(oin), roles: Role::Viewer.into() };
        assert!(viewer.check(Role::Viewer).is_ok());
        let refusal = viewer.check(Role::Operator).unwrap_err();
        assert_eq!(refusal.reason, Reason::NotGranted);
        assert_eq!(refusal.message, "this takes the role operator; you have: viewer");
    }
}
