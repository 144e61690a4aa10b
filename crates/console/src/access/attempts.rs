//! How often one may try to sign in.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Attempts to sign in, by address.
pub(crate) struct Attempts {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
}

/// How many addresses are remembered before those that were quiet are forgotten.
const ADDRESSES: usize = 10_000;

impl Attempts {
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::keyed(Quota::per_minute(per_minute)) }
    }

    /// Whether this address may try once more; it counts.
    pub(crate) fn one_more(&self, address: IpAddr) -> bool {
        if self.limiter.len() >= ADDRESSES {
            self.limiter.retain_recent();
            // Somebody has more addresses than are worth to remember.
            if self.limiter.len() >= ADDRESSES {
                return false;
            }
        }
        self.limiter.check_key(&network(address)).is_ok()
    }
}

/// Who has an IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_so_many_and_another_has_its_own() {
        let attempts = Attempts::new(NonZeroU32::new(3).unwrap());
        let one_more = |address: &str| attempts.one_more(address.parse().unwrap());
        assert!((0..3).all(|_| one_more("192.0.2.1")));
        assert!(!one_more("192.0.2.1") && !one_more("::ffff:192.0.2.1"));
        assert!(one_more("192.0.2.2"));
        assert!((0..3).all(|n| one_more(&format!("2001:db8::{n}"))));
        assert!(!one_more("2001:db8::9") && one_more("2001:db8:0:1::1"));
    }
}
