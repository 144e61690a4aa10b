use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::Hasher as _;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use wissel_identifiers::Oin;

use crate::ReceiptsError;

/// What stands for publisher, source and id of a message: 128 bits that nobody
/// outside can steer to those of another, as they depend on a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(u128);

/// The secret on which an [`Identity`] depends.
#[derive(Clone)]
pub struct IdentityKey(SipHasher13);

const SECRET_BYTES: usize = 16;

/// Before the secret in its file; tells the format of everything beside it.
const HEADER: &str = "wissel receipts 1 ";

impl IdentityKey {
    /// A secret that nobody has, and that is gone with this value.
    #[must_use]
    pub fn random() -> Self {
        Self::of(&rand::random())
    }

    /// Reads the secret; none when there is no such file.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, ReceiptsError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ReceiptsError::of(path)(error)),
        };
        let wrong = |found| ReceiptsError::Secret { path: path.to_owned(), found };
        let text = str::from_utf8(&text).map_err(|_| wrong("no text"))?;
        let digits = text.strip_prefix(HEADER).ok_or_else(|| wrong("another format"))?;
        let mut secret = [0; SECRET_BYTES];
        let decoded = hex::decode_to_slice(digits.trim_end(), &mut secret);
        decoded.map_err(|_| wrong("a damaged secret"))?;
        Ok(Some(Self::of(&secret)))
    }

    /// Makes a secret, in a file that only its owner can read. After a crash the file is
    /// there whole or not at all.
    pub(crate) fn create(path: &Path) -> Result<Self, ReceiptsError> {
        let secret: [u8; SECRET_BYTES] = rand::random();
        let new = path.with_extension("new");
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            writeln!(file, "{HEADER}{}", hex::encode(secret))?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
        };
        write().map_err(ReceiptsError::of(path))?;
        Ok(Self::of(&secret))
    }

    /// What stands for a message.
    #[must_use]
    pub fn hash(&self, publisher: &Oin, source: &str, id: &str) -> Identity {
        let mut hasher = self.0;
        // A number has 20 positions, and source and id hold no byte that is no UTF-8, so
        // that no two messages give the same bytes.
        hasher.write(publisher.as_str().as_bytes());
        hasher.write(source.as_bytes());
        hasher.write(&[0xff]);
        hasher.write(id.as_bytes());
        Identity(hasher.finish128().as_u128())
    }

    pub(crate) fn of(secret: &[u8; SECRET_BYTES]) -> Self {
        Self(SipHasher13::new_with_key(secret))
    }
}

impl Identity {
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    pub(crate) fn first_bits(self) -> u64 {
        u64::try_from(self.0 >> 64).unwrap_or_default()
    }

    pub(crate) fn last_bits(self) -> u64 {
        u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or_default()
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(redacted)")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:032x})", self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn oin(text: &str) -> Oin {
        text.parse().unwrap()
    }

    #[test]
    fn each_part_counts_and_so_does_where_it_ends() {
        let key = IdentityKey::random();
        let (one, other) = (oin("00000099000000001000"), oin("00000099000000002000"));
        let identity = key.hash(&one, "/a", "b");
        assert_eq!(identity, key.hash(&one, "/a", "b"));
        assert_ne!(identity, key.hash(&other, "/a", "b"));
        assert_ne!(identity, key.hash(&one, "/ab", ""));
        assert_ne!(identity, key.hash(&one, "/", "ab"));
        assert_ne!(identity, IdentityKey::random().hash(&one, "/a", "b"));
    }

    /// What is on disk is found by every later version.
    #[test]
    fn the_hash_of_a_secret_stays_what_it_is() {
        let key = IdentityKey::of(b"0123456789abcdef");
        let identity = key.hash(&oin("00000099000000001000"), "urn:a", "1");
        assert_eq!(format!("{identity:?}"), "Identity(55ccf9e498f9b6eed86e967c63b01187)");
    }

    #[test]
    fn a_secret_is_kept_for_its_owner_alone_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert!(IdentityKey::load(&path).unwrap().is_none());
        let made = IdentityKey::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let found = IdentityKey::load(&path).unwrap().unwrap();
        let one = oin("00000099000000001000");
        assert_eq!(made.hash(&one, "/a", "b"), found.hash(&one, "/a", "b"));
        for wrong in ["", "wissel receipts 2 00", "wissel receipts 1 00"] {
            fs::write(&path, wrong).unwrap();
            let error = IdentityKey::load(&path).unwrap_err();
            assert!(matches!(error, ReceiptsError::Secret { .. }), "{error}");
        }
    }
}
