//! Identifiers of the Dutch public sector: a value exists only when it is valid.
//!
//! | type | what it names | what is checked | by |
//! |---|---|---|---|
//! | [`Oin`] | an organisation | register, main number, zeros at the end | Logius, OIN-Stelsel |
//! | [`Bsn`] * | a person | 9 digits, eleven-test | Wet algemene bepalingen BSN |
//! | [`Rsin`] | a legal person | 9 digits, eleven-test | Handelsregisterbesluit |
//! | [`ANummer`] * | a person in the BRP | 10 digits, two sums | Logisch Ontwerp BRP |
//! | [`KvkNumber`] | a registration in the HR | 8 digits, not all zeros | KvK |
//! | [`Vestigingsnummer`] | an establishment | 12 digits, not all zeros | KvK |
//! | [`Brin`] | a school, or its location | digits and letters | DUO |
//! | [`BagObjectId`] | an address or building | 16 digits, municipality, kind of object | Catalogus BAG |
//! | [`WozObjectNumber`] | an object of valuation | 12 digits, not all zeros | Wet WOZ |
//! | [`CadastralDesignation`] | a parcel or apartment right | its parts | Kadasterwet |
//! | [`Kenteken`] * | a vehicle | side code | RDW |
//! | [`Postcode`] | a few addresses | digits, letters that are used | PostNL |
//! | [`Gemeentecode`] | a municipality | 4 digits, not 0000 | CBS |
//!
//! Each is read by `FromStr` and by serde, from text. An error says which check failed,
//! and never shows the text.
//!
//! Those with a * are personal. They redact themselves in `Debug` and `Display`, so that
//! they cannot slip into a log, and are read by a method that says what it does:
//!
//! ```
//! use wissel_identifiers::{Bsn, Oin};
//!
//! let bsn: Bsn = "999990019".parse()?;
//! assert_eq!(format!("{bsn} {bsn:?}"), "[bsn] Bsn(redacted)");
//! assert_eq!(bsn.expose(), "999990019");
//!
//! let utrecht: Oin = "00000001002220647000".parse()?;
//! assert_eq!(utrecht.as_str(), "00000001002220647000");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! serde writes them out, personal ones too: who serialises a message means to send it.
//!
//! [`SourceUrn`] reads the `source` of a message under the NL GOV profile. [`InboxName`]
//! and [`SubscriptionName`] are Wissel's own: an OIN, a dot, and a name.

/// The example in the README holds.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod error;
mod kenteken;
mod kind;
mod oin;
mod organisations;
mod persons;
mod places;
mod scoped_name;
mod source_urn;
mod text;

pub use error::{IdentifierError, IdentifierFault};
pub use kenteken::Kenteken;
pub use kind::{IdentifierKind, UnknownKind};
pub use oin::{Oin, OinError, OinRegister};
pub use organisations::{Brin, KvkNumber, Vestigingsnummer};
pub use persons::{ANummer, Bsn, Rsin};
pub use places::{
    BagKind, BagObjectId, CadastralDesignation, Gemeentecode, Postcode, WozObjectNumber,
};
pub use scoped_name::{InboxName, ScopedNameError, SubscriptionName};
pub use source_urn::{Organisation, SourceError, SourceUrn};
