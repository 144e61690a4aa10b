//! The suite that every [`Bus`] must pass.
//!
//! A bus implements [`Fixture`] in its tests and calls [`conformance_suite!`],
//! which makes one test of each case:
//!
//! ```ignore
//! wissel_bus::conformance_suite!(MyFixture::start().await);
//! ```
//!
//! The expression is evaluated once a test, in an `async` block. Cases make up
//! inbox names that no other case and no other run uses, so they may all share
//! one broker. The crate that calls the macro needs `tokio` with its macros and
//! its multi-threaded runtime.
//!
//! [`conformance_suite!`]: crate::conformance_suite

mod archive;
mod browsing;
mod consumers;
mod dead_letters;
mod lifecycle;
mod load;
mod queueing;
mod retries;
mod settling;
mod support;
mod walks;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::Bus;

/// The cases, one function each. They panic when the bus breaks a promise.
pub mod cases {
    pub use super::archive::*;
    pub use super::browsing::*;
    pub use super::consumers::*;
    pub use super::dead_letters::*;
    pub use super::lifecycle::*;
    pub use super::load::*;
    pub use super::queueing::*;
    pub use super::retries::*;
    pub use super::settling::*;
    pub use super::walks::*;
}

/// No case takes longer than this.
pub const CASE_TIMEOUT: Duration = Duration::from_secs(90);

/// Makes the bus that is put to the test.
#[async_trait]
pub trait Fixture: Send + Sync + 'static {
    /// A bus that takes messages.
    async fn bus(&self) -> Arc<dyn Bus>;

    /// Closes the bus and opens one again over the same storage.
    async fn reopen(&self, old: Arc<dyn Bus>) -> Arc<dyn Bus>;

    /// The hardest end that this fixture can give a bus from inside the process,
    /// then one opened again over the same storage. Reopens it when there is
    /// nothing harder.
    async fn crash(&self, old: Arc<dyn Bus>) -> Arc<dyn Bus> {
        self.reopen(old).await
    }

    /// Whether removing an inbox also removes its retries that wait. If not, they
    /// come when the inbox is opened again.
    fn forgets_waiting_retries(&self) -> bool {
        true
    }
}

/// Runs one case. For [`conformance_suite!`](crate::conformance_suite).
///
/// # Panics
/// When the case does, and when it takes longer than [`CASE_TIMEOUT`].
pub async fn run(name: &str, case: impl Future<Output = ()>) {
    let outcome = tokio::time::timeout(CASE_TIMEOUT, case).await;
    assert!(outcome.is_ok(), "case {name} took over {CASE_TIMEOUT:?}");
}

/// Makes one test of each case of the suite; see
/// [the module's page](crate::conformance).
#[macro_export]
macro_rules! conformance_suite {
    ($fixture:expr) => {
        $crate::conformance_suite! { @cases $fixture;
            deliveries_come_in_order,
            calls_without_awaiting_keep_their_order,
            each_lane_keeps_its_order,
            one_message_reaches_each_of_its_inboxes,
            an_item_without_inboxes_is_ok,
            an_unknown_inbox_fails_only_its_own_item,
            large_and_empty_messages_pass,
            an_acknowledged_delivery_never_comes_again,
            a_released_delivery_comes_again_with_the_same_attempt,
            settling_twice_is_not_held,
            a_tag_of_another_consumer_is_not_held,
            a_retry_comes_after_its_delay,
            several_delays_pass_side_by_side,
            attempts_are_counted,
            the_reason_of_each_attempt_is_kept,
            a_redrive_keeps_the_attempts_before,
            attempts_without_the_bus_count,
            what_is_not_handed_out_is_no_attempt,
            a_dead_letter_is_shown,
            dead_letters_come_in_pages,
            a_page_of_dead_letters_is_bounded_in_bytes,
            redrive_puts_all_dead_letters_back,
            redrive_puts_some_dead_letters_back,
            redrive_can_go_to_another_inbox,
            purged_dead_letters_are_gone,
            buried_messages_are_dead_letters,
            many_dead_letters_can_be_mended,
            a_walk_redrives_purges_and_leaves,
            a_walk_may_be_over_some,
            a_dropped_walk_leaves_the_rest,
            others_may_look_during_a_walk,
            a_walk_ends_however_much_dies_meanwhile,
            credit_is_never_exceeded,
            credit_in_bytes_is_never_exceeded,
            a_dropped_consumer_gives_back_in_order,
            deliveries_of_a_dropped_consumer_go_to_another,
            two_consumers_share_an_inbox,
            one_that_consumes_alone_has_everything_in_order,
            inspect_counts,
            inspect_tells_the_oldest,
            the_level_follows,
            what_waits_is_shown_and_stays,
            what_is_in_flight_is_shown_and_stays,
            what_is_shown_is_bounded_in_bytes,
            looking_changes_no_order,
            an_empty_inbox_shows_nothing_to_whoever_looks,
            a_retry_shows_its_attempts,
            retries_that_wait_are_shown_or_else_counted,
            the_archive_keeps_what_it_is_given,
            a_page_of_the_archive_is_bounded_in_bytes,
            the_archive_ends_with_its_time,
            the_archive_survives_a_crash,
            opening_twice_changes_nothing,
            removing_ends_consumers_and_may_be_repeated,
            a_removed_inbox_begins_anew,
            unknown_inboxes_are_refused,
            reopening_keeps_everything,
            a_crash_keeps_everything,
            a_closed_bus_refuses_every_call,
            many_messages_pass,
            a_slow_consumer_holds_back_nobody,
        }
    };
    (@cases $fixture:expr; $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                $crate::conformance::run(stringify!($case), async {
                    let fixture = $fixture;
                    $crate::conformance::cases::$case(&fixture).await;
                })
                .await;
            }
        )*
    };
}
