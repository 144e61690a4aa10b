//! Parties, event types and grants: files in, a checked model out.
//!
//! The catalogue is a directory of TOML files that their owners keep under version
//! control. All files are read as one:
//!
//! ```
//! use wissel_catalogue::Catalogue;
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
//! assert!(catalogue.may_publish(&rvig, "nl.brp.geboorte"));
//! assert!(!catalogue.may_receive(&rvig, "nl.brp.geboorte"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod error;
mod file;
mod model;

pub use error::{CatalogueError, CatalogueErrors};
pub use model::{Action, Catalogue, DeclaredSubscription, EventType, Grant, Party};
