//! The gRPC face of the broker: transport, identity, error mapping.
//!
//! Nothing is decided here: a call is read, its caller is established, the broker
//! is asked, and the answer is written.

mod answers;
mod archive;
mod asking;
mod authenticate;
mod budget;
mod calls;
mod cases;
mod catalogue;
mod connection;
mod dossiers;
mod fields;
mod gateway;
mod handshakes;
mod health;
mod letters;
mod matching;
mod operations;
mod overview;
mod proofs;
mod publishing;
mod records;
mod settings;
mod status;
mod subscribing;
mod subscriptions;
mod traced;
mod unproven;

pub use authenticate::{Authenticate, DevelopmentTokens, Identity, Who};
pub use gateway::{Gateway, GatewayError, GatewayOptions};
pub use proofs::Proofs;
pub use status::to_status;
