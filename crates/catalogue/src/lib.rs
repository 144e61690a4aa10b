//! Parties, event types, grants and mandates: files in, a checked model out.
//!
//! The catalogue is a directory of TOML files that their owners keep under version
//! control. What says `draft = true` there is planned: it stands in [`Drafts`], apart from
//! all that gives a right. All files are read as one:
//!
//! ```
//! use wissel_catalogue::{Action, Catalogue};
//!
//! let catalogue = Catalogue::from_toml("example.toml", r#"
//!     [[party]]
//!     oin = "00000099000000001000"
//!     name = "RvIG"
//!
//!     [[event_type]]
//!     name = "nl.brp.geboorte"
//!     owner = "00000099000000001000"
//!     description = "A birth was registered."
//!
//!     [[grant]]
//!     party = "00000099000000001000"
//!     type = "nl.brp.geboorte"
//!     action = "publish"
//!     purpose = "To tell of changes in the base registry of persons"
//!     legal_basis = "Wet BRP, artikel 3.2"
//! "#)?;
//!
//! let rvig = "00000099000000001000".parse()?;
//! assert!(catalogue.grant(&rvig, Action::Publish, "nl.brp.geboorte").is_some());
//! assert!(catalogue.grant(&rvig, Action::Receive, "nl.brp.geboorte").is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cases;
mod catalogue;
mod changes;
mod check;
mod conformance;
mod drafts;
mod error;
mod file;
mod mending;
mod model;
mod reading;
mod reports;

pub use cases::{CaseTerm, Dispatch, Silence};
pub use catalogue::{Catalogue, TypeRights};
pub use changes::{Change, How, Part};
pub use drafts::{DraftGrant, DraftType, Drafts, Lack};
pub use error::{CatalogueError, CatalogueErrors};
pub use model::{
    Action, Ask, Audience, DeclaredSubscription, EventType, Fields, Grant, Mandate, Matching,
    Party, Sensitivity, SubjectKind,
};
pub use reports::{Datum, Report};
