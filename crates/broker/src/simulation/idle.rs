//! When everything waits: that is when the bus writes and reads, and when time goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use wissel_bus_embedded::driven::Driver;

/// Tells when no task can go on.
#[derive(Default)]
pub(super) struct Idle {
    pub(super) driver: Mutex<Option<Driver>>,
    tell: AtomicU8,
    told: Notify,
}

/// When it is told.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Tell {
    Never,
    /// When the bus has something to do as well.
    Work,
    Always,
}

impl Idle {
    pub(super) fn tell(&self, when: Tell) {
        self.tell.store(when as u8, Ordering::Relaxed);
    }

    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// No task can go on. When that is told, time does not go on yet.
    fn parked(&self) {
        let tell = self.tell.load(Ordering::Relaxed);
        let has_work = || self.driver.lock().as_ref().is_some_and(Driver::has_work);
        if tell == Tell::Always as u8 || tell == Tell::Work as u8 && has_work() {
            self.told.notify_one();
        }
    }

    /// A runtime whose time stands still while anything can go on.
    pub(super) fn runtime(self: &Arc<Self>) -> Runtime {
        let idle = Arc::clone(self);
        Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_park(move || idle.parked())
            .build()
            .unwrap()
    }
}
