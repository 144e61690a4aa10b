//! How many handshakes are under way, and with whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Handshakes under way, by address. Nobody keeps others out by beginning many and
/// finishing none.
#[derive(Default)]
pub(crate) struct Handshakes {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A handshake that is under way; it is not when this is dropped.
pub(crate) struct UnderWay {
    handshakes: Arc<Handshakes>,
    address: IpAddr,
}

/// The most that are under way with one address; more are hung up on.
const AT_ONCE_WITH_ONE: usize = 64;

impl Handshakes {
    /// Begins one; none when there are too many with this address.
    pub(crate) fn begin(self: &Arc<Self>, address: IpAddr) -> Option<UnderWay> {
        let address = network(address);
        let mut by_address = self.by_address.lock();
        let count = by_address.entry(address).or_default();
        if *count >= AT_ONCE_WITH_ONE {
            return None;
        }
        *count += 1;
        Some(UnderWay { handshakes: Arc::clone(self), address })
    }
}

/// Who has an IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut by_address = self.handshakes.by_address.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_so_many_and_another_has_its_own() {
        let handshakes = Arc::new(Handshakes::default());
        let begin = |address: &str| handshakes.begin(address.parse().unwrap());
        let mut under_way: Vec<_> = (0..AT_ONCE_WITH_ONE).map(|_| begin("127.0.0.2")).collect();
        assert!(under_way.iter().all(Option::is_some));
        assert!(begin("127.0.0.2").is_none() && begin("::ffff:127.0.0.2").is_none());
        assert!(begin("127.0.0.1").is_some());
        under_way.pop();
        assert!(begin("127.0.0.2").is_some());
        under_way.clear();
        assert!(handshakes.by_address.lock().is_empty());

        let prefix: Vec<_> =
            (0..AT_ONCE_WITH_ONE).map(|n| begin(&format!("2001:db8::{n:x}"))).collect();
        assert!(prefix.iter().all(Option::is_some));
        assert!(begin("2001:db8::ffff").is_none() && begin("2001:db8:0:1::1").is_some());
    }
}
