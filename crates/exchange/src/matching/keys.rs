//! Pseudonyms of subjects, and the keys that they are made with.
//!
//! A pseudonym is a chain: HMAC-SHA-256 of the subject and its event type under the first
//! key, of that under the second, and so on. So a new key can go over all pseudonyms that
//! there are, of which nobody knows the subjects any more; and who learned the keys before it
//! can make no pseudonym of today. Keys are never taken away.
//!
//! They lie in one file, 32 bytes each, that only its owner can read. The database says how
//! many of them count, and holds a proof of them, so that no other file passes for it. A new
//! key is in the file before the database counts it: one that does not count yet is taken the
//! next time.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wissel_store::{MakeKey, NewKey, Pseudonym, PseudonymKeys, Store, StoreError};

const KEY_BYTES: usize = 32;
/// What the proof is the pseudonym of. No event type has such a name.
const PROOF_OF: &str = "proof of keys";

type Key = [u8; KEY_BYTES];

/// Keys that were read, and agree with the database.
#[derive(Clone)]
pub(crate) struct Keys {
    keys: Vec<Key>,
}

/// Why there are no keys of pseudonyms.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{}: holds {found} bytes, expected whole keys of 32 bytes; put back the file that was \
         kept with the database",
        path.display()
    )]
    NoKeys {
        /// Which.
        path: PathBuf,
        /// How many bytes there are.
        found: usize,
    },
    /// The file holds fewer keys than pseudonyms are made with.
    #[error(
        "{}: holds {found} keys, and pseudonyms are made with {expected}; put back the file that \
         was kept with the database",
        path.display()
    )]
    TooFew {
        /// Which.
        path: PathBuf,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: u32,
    },
    /// The file holds other keys.
    #[error(
        "{}: holds other keys than pseudonyms are made with; put back the file that was kept with \
         the database",
        path.display()
    )]
    OtherKeys {
        /// Which.
        path: PathBuf,
    },
    /// The database cannot be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Puts another key over the pseudonyms of all signals, also while a gateway runs on them.
/// Says how many keys there are now.
///
/// # Errors
/// When key or pseudonyms cannot be written; pseudonyms are as they were.
pub async fn rotate_key(store: &Store, key_file: &Path) -> Result<u32, KeyError> {
    let path = key_file.to_owned();
    let make: MakeKey = Box::new(move |known| Ok(Some(next_key(&path, known)?)));
    store.add_pseudonym_key(make).await?;
    Ok(store.pseudonym_keys().await?.map_or(0, |known| known.count))
}

impl Keys {
    /// The keys that count; makes the first when there is none.
    pub(crate) async fn open(store: &Store, path: &Path) -> Result<Self, KeyError> {
        if store.pseudonym_keys().await?.is_none() {
            let path = path.to_owned();
            let first: MakeKey = Box::new(move |known| match known {
                // Another gateway was first.
                Some(_) => Ok(None),
                None => Ok(Some(next_key(&path, None)?)),
            });
            store.add_pseudonym_key(first).await?;
        }
        let known = store.pseudonym_keys().await?;
        let keys = counted(read(path)?, known, path)?;
        Ok(Self { keys })
    }

    /// With how many keys pseudonyms are made.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    /// The pseudonym of a subject. That of the same subject for another event type is
    /// another, and the two do not tell that they are of one subject.
    pub(crate) fn pseudonym(&self, event_type: &str, subject: &str) -> Pseudonym {
        chain(&self.keys, event_type, subject)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, redacted)", self.keys.len())
    }
}

/// One more key than count, in the file for good.
fn next_key(path: &Path, known: Option<PseudonymKeys>) -> Result<NewKey, KeyError> {
    let mut in_file = read(path)?;
    let counted = counted(in_file.clone(), known, path)?;
    let key = match in_file.get(counted.len()) {
        Some(left_over) => *left_over,
        None => {
            let key: Key = rand::random();
            in_file.push(key);
            write(path, &in_file)?;
            key
        }
    };
    let proof = match known {
        Some(known) => wrapped(&key, &known.proof),
        None => chain(&[key], PROOF_OF, ""),
    };
    Ok(NewKey { wrap: Box::new(move |pseudonym| wrapped(&key, pseudonym)), proof })
}

/// The keys that count, when they are the right ones.
fn counted(
    mut keys: Vec<Key>,
    known: Option<PseudonymKeys>,
    path: &Path,
) -> Result<Vec<Key>, KeyError> {
    let Some(known) = known else { return Ok(Vec::new()) };
    let path = || path.to_owned();
    let count = usize::try_from(known.count).unwrap_or(usize::MAX);
    if keys.len() < count {
        return Err(KeyError::TooFew { path: path(), found: keys.len(), expected: known.count });
    }
    keys.truncate(count);
    if chain(&keys, PROOF_OF, "") != known.proof {
        return Err(KeyError::OtherKeys { path: path() });
    }
    Ok(keys)
}

fn chain(keys: &[Key], event_type: &str, subject: &str) -> Pseudonym {
    let Some((first, others)) = keys.split_first() else {
        debug_assert!(false, "keys that count are never none");
        return [0; 32];
    };
    let mut mac = mac(first);
    mac.update(event_type.as_bytes());
    mac.update(&[0]);
    mac.update(subject.as_bytes());
    let begun = mac.finalize().into_bytes().into();
    others.iter().fold(begun, |pseudonym, key| wrapped(key, &pseudonym))
}

fn wrapped(key: &Key, pseudonym: &Pseudonym) -> Pseudonym {
    let mut mac = mac(key);
    mac.update(pseudonym);
    mac.finalize().into_bytes().into()
}

fn mac(key: &Key) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// The keys of a file; none when there is no file.
fn read(path: &Path) -> Result<Vec<Key>, KeyError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KeyError::File { path: path.to_owned(), error }),
    };
    let (keys, rest) = bytes.as_chunks::<KEY_BYTES>();
    if keys.is_empty() || !rest.is_empty() {
        return Err(KeyError::NoKeys { path: path.to_owned(), found: bytes.len() });
    }
    Ok(keys.to_vec())
}

/// Puts a file with these keys in place of the one that there is, whole or not at all.
fn write(path: &Path, keys: &[Key]) -> Result<(), KeyError> {
    let beside = path.with_extension("keys.new");
    let replace = || {
        // One that was not finished, from before.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(keys.as_flattened())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    replace().map_err(|error| KeyError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const TYPE: &str = "nl.vir.match";

    #[tokio::test]
    async fn keys_are_made_once_and_are_for_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("matching.keys");
        let store = Store::in_memory().unwrap();
        let keys = Keys::open(&store, &path).await.unwrap();
        let again = Keys::open(&store, &path).await.unwrap();
        assert_eq!((keys.count(), again.count()), (1, 1));
        let pseudonym = keys.pseudonym(TYPE, "999990019");
        assert_eq!(pseudonym, again.pseudonym(TYPE, "999990019"));
        assert_ne!(pseudonym, keys.pseudonym(TYPE, "999990020"));
        assert_ne!(pseudonym, keys.pseudonym("nl.other", "999990019"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{keys:?}").contains(&hex(&keys.keys[0])));
    }

    #[tokio::test]
    async fn another_key_goes_over_what_the_ones_before_it_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("matching.keys");
        let store = Store::in_memory().unwrap();
        let before = Keys::open(&store, &path).await.unwrap();
        assert_eq!(rotate_key(&store, &path).await.unwrap(), 2);
        let after = Keys::open(&store, &path).await.unwrap();
        assert_eq!(after.count(), 2);
        let wrapped = wrapped(&after.keys[1], &before.pseudonym(TYPE, "999990019"));
        assert_eq!(after.pseudonym(TYPE, "999990019"), wrapped);
        // Pseudonyms of before cannot be told by who knows the key of before alone.
        assert_ne!(wrapped, before.pseudonym(TYPE, "999990019"));
    }

    #[tokio::test]
    async fn a_key_that_was_written_and_does_not_count_yet_is_taken_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("matching.keys");
        let store = Store::in_memory().unwrap();
        let keys = Keys::open(&store, &path).await.unwrap();
        let known = store.pseudonym_keys().await.unwrap();
        // As it is when the process is killed between file and database.
        next_key(&path, known).unwrap();
        fs::write(path.with_extension("keys.new"), "torn").unwrap();
        let left_over = read(&path).unwrap();
        assert_eq!((left_over.len(), Keys::open(&store, &path).await.unwrap().count()), (2, 1));
        assert_eq!(keys.pseudonym(TYPE, "1"), chain(&left_over[..1], TYPE, "1"));
        rotate_key(&store, &path).await.unwrap();
        assert_eq!(Keys::open(&store, &path).await.unwrap().keys, left_over);
    }

    #[tokio::test]
    async fn no_other_file_passes_for_the_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("matching.keys");
        let store = Store::in_memory().unwrap();
        Keys::open(&store, &path).await.unwrap();
        rotate_key(&store, &path).await.unwrap();
        let right = fs::read(&path).unwrap();
        let refused = async |content: &[u8]| {
            fs::write(&path, content).unwrap();
            Keys::open(&store, &path).await.unwrap_err().to_string()
        };
        assert!(
            refused(&right[..32]).await.contains("holds 1 keys, and pseudonyms are made with 2")
        );
        assert!(refused(&right[..40]).await.contains("holds 40 bytes"));
        assert!(refused(&[7; 64]).await.contains("holds other keys"));
        assert!(rotate_key(&store, &path).await.is_err());
        fs::remove_file(&path).unwrap();
        assert!(Keys::open(&store, &path).await.unwrap_err().to_string().contains("holds 0 keys"));
        fs::write(&path, &right).unwrap();
        assert_eq!(Keys::open(&store, &path).await.unwrap().count(), 2);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
