use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::JsonFault;
use crate::minimise::minimise;

/// The fields of `data` that a receiver may have: JSON Pointers (RFC 6901), of which
/// each allows all that lies below it. A step `*`, which is ours, stands for every
/// element of an array: `/kinderen/*/geboortedatum`.
///
/// Two sets are equal when they allow the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FieldSet {
    pub(crate) root: Node,
    key: u64,
}

/// What is allowed at one place.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    All,
    /// By member, or `*`.
    Some(BTreeMap<Box<str>, Node>),
}

/// Why fields cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldsError {
    /// Not a JSON Pointer.
    #[error("{pointer:?}: not a JSON Pointer (RFC 6901), expected such as /adres/postcode")]
    NotAPointer {
        /// The text.
        pointer: String,
    },
    /// The schema has no such place.
    #[error("{pointer}: the schema does not know this field")]
    Unknown {
        /// The field.
        pointer: String,
    },
    /// What is left of the schema cannot be compiled.
    #[error("the schema without the other fields is none: {message}")]
    Projection {
        /// Why.
        message: String,
    },
}

/// The step for every element of an array.
pub(crate) const EVERY: &str = "*";

impl FieldSet {
    /// The set of these fields. None at all allows an empty object.
    ///
    /// # Errors
    /// When one is no JSON Pointer.
    pub fn new<'a>(pointers: impl IntoIterator<Item = &'a str>) -> Result<Self, FieldsError> {
        let mut root = Node::Some(BTreeMap::new());
        for pointer in pointers {
            let wrong = || FieldsError::NotAPointer { pointer: pointer.to_owned() };
            let mut node = &mut root;
            for token in tokens(pointer).ok_or_else(wrong)? {
                node = match node {
                    Node::All => break,
                    Node::Some(members) => {
                        members.entry(token.into()).or_insert_with(|| Node::Some(BTreeMap::new()))
                    }
                };
            }
            *node = Node::All;
        }
        Ok(Self { key: key_of(&root), root })
    }

    /// Stands for the set wherever it is too long: equal sets have the same key, in every
    /// process and version, and others have another.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Stands for the set together with something else that a message was held against, as
    /// [`FieldSet::key`] does for the set.
    #[must_use]
    pub fn key_with(&self, text: &str) -> u64 {
        let hash = Sha256::new().chain_update("wissel fields with 1");
        start_of(hash.chain_update(self.key.to_be_bytes()).chain_update(text))
    }

    /// Keeps these fields of an object and drops the others. What is kept stays as it
    /// was written, numbers to the last digit. What is allowed and not there stays
    /// absent.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn minimise(&self, json: &str) -> Result<String, JsonFault> {
        minimise(json, &self.root)
    }

    /// Whether a receiver may have all that is at a place.
    #[must_use]
    pub fn allows(&self, pointer: &str) -> bool {
        let Some(tokens) = tokens(pointer) else { return false };
        allows(&self.root, &tokens)
    }

    /// Each field, as a JSON Pointer, in alphabetical order.
    #[must_use]
    pub fn pointers(&self) -> Vec<String> {
        let mut pointers = Vec::new();
        collect(&self.root, &mut String::new(), &mut pointers);
        pointers
    }
}

fn allows(node: &Node, tokens: &[String]) -> bool {
    match (node, tokens) {
        (Node::All, _) => true,
        (Node::Some(_), []) => false,
        (Node::Some(members), [first, rest @ ..]) => {
            let is_index = first.bytes().all(|byte| byte.is_ascii_digit());
            let every = members.get(EVERY).filter(|_| is_index);
            [members.get(first.as_str()), every]
                .into_iter()
                .flatten()
                .any(|node| allows(node, rest))
        }
    }
}

/// The first bytes of a hash over the pointers.
fn key_of(root: &Node) -> u64 {
    let mut pointers = Vec::new();
    collect(root, &mut String::new(), &mut pointers);
    // A change of what minimising does with the same pointers makes this another name.
    let mut hash = Sha256::new().chain_update("wissel fields 1");
    for pointer in pointers {
        hash.update((pointer.len() as u64).to_be_bytes());
        hash.update(pointer);
    }
    start_of(hash)
}

fn start_of(hash: Sha256) -> u64 {
    hash.finalize().iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

fn collect(node: &Node, so_far: &mut String, pointers: &mut Vec<String>) {
    match node {
        Node::All => pointers.push(so_far.clone()),
        Node::Some(members) => {
            for (name, child) in members {
                let length = so_far.len();
                so_far.push('/');
                so_far.push_str(&name.replace('~', "~0").replace('/', "~1"));
                collect(child, so_far, pointers);
                so_far.truncate(length);
            }
        }
    }
}

/// The steps of a pointer, unescaped.
fn tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let unescape = |token: &str| {
        let escapes_are_known = token.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        escapes_are_known.then(|| token.replace("~1", "/").replace("~0", "~"))
    };
    pointer.strip_prefix('/')?.split('/').map(unescape).collect()
}

impl fmt::Debug for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.pointers()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_an_allowed_field_adds_nothing() {
        let one = FieldSet::new(["/adres", "/adres/postcode", "/naam"]).unwrap();
        let two = FieldSet::new(["/naam", "/adres/postcode", "/adres"]).unwrap();
        assert_eq!(one, two);
        assert_eq!(one.key(), two.key());
        assert_eq!(one.pointers(), ["/adres", "/naam"]);
        assert_eq!(FieldSet::new([""]).unwrap().pointers(), [""]);
    }

    #[test]
    fn a_place_is_allowed_when_all_that_is_there_is() {
        let set = FieldSet::new(["/naam", "/kinderen/*/naam", "/a~1b"]).unwrap();
        for allowed in ["/naam", "/naam/voor", "/kinderen/0/naam", "/a~1b"] {
            assert!(set.allows(allowed), "{allowed}");
        }
        for not in
            ["", "/", "/kinderen", "/kinderen/0", "/kinderen/0/bsn", "/kinderen/x/naam", "naam"]
        {
            assert!(!set.allows(not), "{not}");
        }
    }

    #[test]
    fn another_set_has_another_key_and_a_key_is_forever() {
        let key = |pointers: &[&str]| FieldSet::new(pointers.iter().copied()).unwrap().key();
        let all = [&[][..], &[""], &["/"], &["/a"], &["/a/b"], &["/a", "/b"], &["/a/b", "/b"]];
        let keys: std::collections::BTreeSet<u64> = all.iter().map(|one| key(one)).collect();
        assert_eq!(keys.len(), all.len());
        // It stands in messages that are stored.
        assert_eq!(key(&["/geboortedatum"]), 5_674_951_096_887_597_518);
    }

    #[test]
    fn a_set_with_something_else_has_a_key_of_its_own() {
        let set = |pointer: &str| FieldSet::new([pointer]).unwrap();
        let key = set("/geboortedatum").key_with("limits");
        assert_ne!(key, set("/geboortedatum").key());
        assert_ne!(key, set("/geboortedatum").key_with("other limits"));
        assert_ne!(key, set("/naam").key_with("limits"));
        // It stands in messages that are stored.
        assert_eq!(key, 4_962_229_868_465_949_972);
    }

    #[test]
    fn escapes_are_those_of_the_standard() {
        let set = FieldSet::new(["/a~1b/c~0d"]).unwrap();
        assert_eq!(set.pointers(), ["/a~1b/c~0d"]);
        for wrong in ["naam", "/a~2", "/a~"] {
            assert!(FieldSet::new([wrong]).is_err(), "{wrong}");
        }
    }
}
