//! Values that nobody can guess.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What is kept of a secret that another holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

/// 256 bits by the operating system's generator, as text for cookies and forms.
pub(crate) fn unguessable() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Whether two are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

impl Digest {
    /// Of a secret. How long a look-up by it takes tells nothing of the secret.
    pub(crate) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        let (one, other) = (unguessable(), unguessable());
        assert_eq!(one.len(), 43);
        assert!(same(&one, &one) && !same(&one, &other) && !same(&one, &one[1..]));
        assert!(Digest::of(&one) == Digest::of(&one) && Digest::of(&one) != Digest::of(&other));
    }
}
