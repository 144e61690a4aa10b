//! What the end-to-end tests share: a gateway as a process, and ledgers that
//! publishers and subscribers keep independently.
//!
//! Everything here panics when something is not as it should be: these are tests.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod gateway;
mod load;
pub mod provider;
pub mod rounds;
pub mod visitor;

pub use gateway::{CATALOGUE, Gateway, OPERATOR, OPERATOR_OIN, PARTIES, REGISTRY, wissel_binary};
pub use load::{Load, event, gemeente_of};

use std::sync::LazyLock;

use tokio::sync::{Mutex, MutexGuard};

/// One test that starts servers at a time: the machines are small.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);
    ALONE.lock().await
}
