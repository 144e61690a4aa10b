//! A record as a line, and the chain that lines make.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Record;
use crate::text::{Moments, write_record};

/// What a chain is at one point: the last line's number and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: String,
}

/// The hash of a record: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordHash(String);

/// The text is not the hash of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the hash of a record, which has 64 hexadecimal digits")]
pub struct RecordHashError;

/// What every line has.
#[derive(Deserialize)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) prev: String,
    pub(crate) time: String,
}

impl RecordHash {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for RecordHash {
    type Err = RecordHashError;

    fn from_str(text: &str) -> Result<Self, RecordHashError> {
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash { Ok(Self(text.to_ascii_lowercase())) } else { Err(RecordHashError) }
    }
}

impl Head {
    /// That of a chain without a line.
    pub(crate) fn beginning() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }

    /// Appends a record to `out` as a line, and moves the head to it.
    pub(crate) fn append(&mut self, record: &Record, moments: &mut Moments, out: &mut Vec<u8>) {
        let start = out.len();
        write_record(record, self, moments, out);
        let mut digits = [0; 64];
        let hash = Sha256::digest(&out[start..]);
        hex::encode_to_slice(hash, &mut digits).expect("a hash has 64 digits");
        let digits = str::from_utf8(&digits).expect("digits are text");
        // The closing brace makes room for the hash.
        out.pop();
        out.extend_from_slice(HASH_START.as_bytes());
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(b"\"}\n");
        self.seq += 1;
        self.hash.clear();
        self.hash.push_str(digits);
    }
}

/// Holds a line, without its end, against its own hash. Gives what it says of the chain.
pub(crate) fn check(line: &[u8]) -> Result<(Link, String), String> {
    let end = HASH_START.len() + 64 + 2;
    let split = line.len().checked_sub(end).ok_or("not a record")?;
    let (body, tail) = line.split_at(split);
    let stated = tail
        .strip_prefix(HASH_START.as_bytes())
        .and_then(|rest| rest.strip_suffix(b"\"}"))
        .and_then(|hash| std::str::from_utf8(hash).ok())
        .ok_or("not a record: it does not end in its hash")?;
    let mut whole = Vec::with_capacity(body.len() + 1);
    whole.extend_from_slice(body);
    whole.push(b'}');
    if hex::encode(Sha256::digest(&whole)) != stated {
        return Err("the record was changed: its hash is another".to_owned());
    }
    let link = serde_json::from_slice(&whole).map_err(|_| "not a record".to_owned())?;
    Ok((link, stated.to_owned()))
}

const HASH_START: &str = ",\"hash\":\"";
