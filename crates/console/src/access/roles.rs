use serde::{Deserialize, Serialize};

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks, and changes nothing.
    Viewer,
    /// Mends queues.
    Operator,
    /// Sees what the catalogue lacks, and has it read again.
    CatalogueManager,
}

/// The roles of one operator. Whoever has one may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Roles(u8);

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
}

impl Roles {
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn holds(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Their names, one after the other.
    pub(crate) fn text(self) -> String {
        let held = Role::ALL.into_iter().filter(|role| self.holds(*role)).map(Role::as_str);
        held.collect::<Vec<_>>().join(", ")
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let bits = roles.into_iter().fold(0, |bits, role| bits | 1 << role as u8);
        let may_look = if bits == 0 { 0 } else { 1 << Role::Viewer as u8 };
        Self(bits | may_look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_role_may_look() {
        let none: Roles = [].into_iter().collect();
        assert!(none.is_empty() && Role::ALL.iter().all(|role| !none.holds(*role)));
        let viewer: Roles = [Role::Viewer].into_iter().collect();
        assert!(viewer.holds(Role::Viewer) && !viewer.holds(Role::Operator));
        let manager: Roles = [Role::CatalogueManager].into_iter().collect();
        assert!(manager.holds(Role::Viewer) && !manager.holds(Role::Operator));
        assert_eq!(manager.text(), "viewer, catalogue-manager");
    }
}
