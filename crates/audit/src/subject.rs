use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::AuditError;

/// The key under which subjects are hashed. Who has it can find the records about a
/// person whose number he knows; nobody can find the number in the records. Keep it as
/// long as the records, and apart from them.
#[derive(Clone)]
pub struct SubjectKey(Hmac<Sha256>);

/// A subject as records hold it: the first 16 bytes of HMAC-SHA-256, in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubjectHash([u8; 16]);

const KEY_BYTES: usize = 32;

impl SubjectKey {
    /// Reads the key from a file; when there is none, makes one that only its owner can
    /// read.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no key.
    pub fn load_or_create(path: &Path) -> Result<Self, AuditError> {
        match fs::read(path) {
            Ok(key) if key.len() == KEY_BYTES => Ok(Self::of(&key)),
            Ok(other) => Err(AuditError::Key { path: path.to_owned(), found: other.len() }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key: [u8; KEY_BYTES] = rand::random();
                let mut options = OpenOptions::new();
                let created = options.write(true).create_new(true).mode(0o600).open(path);
                let mut file = created.map_err(AuditError::of(path))?;
                let written = file.write_all(&key).and_then(|()| file.sync_all());
                written.map_err(AuditError::of(path))?;
                Ok(Self::of(&key))
            }
            Err(error) => Err(AuditError::of(path)(error)),
        }
    }

    /// The hash of a subject.
    #[must_use]
    pub fn hash(&self, subject: &str) -> SubjectHash {
        let mut mac = self.0.clone();
        mac.update(subject.as_bytes());
        let whole = mac.finalize().into_bytes();
        let mut first = [0; 16];
        first.copy_from_slice(&whole[..16]);
        SubjectHash(first)
    }

    /// The hash of a correlation. It is another than that of a subject of the same text.
    #[must_use]
    pub fn correlation(&self, correlation: &str) -> SubjectHash {
        self.hash(&format!("correlation\0{correlation}"))
    }

    fn of(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }
}

impl SubjectHash {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(redacted)")
    }
}

impl fmt::Display for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectHash({self})")
    }
}
