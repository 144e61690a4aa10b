//! What operators see over HTTP: pages, health and metrics.
//!
//! | path | what it is |
//! |---|---|
//! | `/sign-in`, `/`, `/inboxes`, … | pages for operators ([which](../../../docs/operations/console.md)) |
//! | `/health/live` | 200 while the process answers |
//! | `/health/ready` | 200 when messages are taken, else 503: what is wrong, by check |
//! | `/health/started` | 200 once every inbox was open |
//! | `/metrics` | metrics, in the text format of OpenMetrics ([which](../../../docs/metrics.md)) |
//!
//! It listens on an address of its own, which parties need not reach. Health and metrics hold
//! no personal data, and are told to whoever reaches that address.

mod access;
mod console;
mod entrance;
mod health;
mod pages;
mod scrape;
mod vitals;

pub use access::{AccessOptions, CertificateOf, OidcOptions, SessionOptions};
pub use console::{Console, ConsoleError, ConsoleOptions};
pub use vitals::Vitals;
