//! Identifiers of Dutch public bodies: a value exists only when it is valid.
//!
//! ```
//! use wissel_identifiers::Oin;
//!
//! let utrecht: Oin = "00000001002220647000".parse()?;
//! assert_eq!(utrecht.as_str(), "00000001002220647000");
//! assert!("00000001002220647".parse::<Oin>().is_err());
//! # Ok::<(), wissel_identifiers::OinError>(())
//! ```

mod oin;
mod scoped_name;

pub use oin::{Oin, OinError};
pub use scoped_name::{InboxName, ScopedNameError, SubscriptionName};
