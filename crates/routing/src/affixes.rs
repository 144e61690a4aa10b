//! A tree of beginnings: it finds every one that a text begins with, on one walk along
//! the text. For endings, texts are read from their last byte on.
//!
//! A changed copy shares with the original all but the nodes on the way to the change.

use std::sync::Arc;

use crate::entry::Affix;

pub(crate) struct Affixes<V> {
    root: Node<V>,
    affix: Affix,
}

struct Node<V> {
    /// What leads here from the node above, behind the first byte.
    label: Box<[u8]>,
    /// What stands at the text that ends here.
    value: Option<V>,
    /// By their first byte.
    children: Vec<(u8, Arc<Node<V>>)>,
}

impl<V: Clone> Clone for Affixes<V> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), affix: self.affix }
    }
}

impl<V: Clone> Clone for Node<V> {
    fn clone(&self) -> Self {
        let Self { label, value, children } = self;
        Self { label: label.clone(), value: value.clone(), children: children.clone() }
    }
}

impl<V: Clone> Affixes<V> {
    pub(crate) fn new(affix: Affix) -> Self {
        Self { root: Node::new(Vec::new(), None), affix }
    }

    pub(crate) fn affix(&self) -> Affix {
        self.affix
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.root.value.is_none() && self.root.children.is_empty()
    }

    /// Changes what stands at a text: `change` takes what is there and gives what is to
    /// be there.
    pub(crate) fn alter(&mut self, text: &str, change: impl FnOnce(Option<V>) -> Option<V>) {
        let mut bytes = text.as_bytes().to_vec();
        if self.affix == Affix::Suffix {
            bytes.reverse();
        }
        self.root.alter(&bytes, change);
    }

    pub(crate) fn get(&self, text: &str) -> Option<&V> {
        let mut found = None;
        self.walk(text, |length, value| {
            if length == text.len() {
                found = Some(value);
            }
        });
        found
    }

    /// Calls `visit` with everything that stands at a beginning of the text, or at an
    /// ending, and with the length of that. Takes no memory.
    pub(crate) fn walk<'a>(&'a self, text: &str, mut visit: impl FnMut(usize, &'a V)) {
        let bytes = text.as_bytes();
        match self.affix {
            Affix::Prefix => self.root.walk(bytes.iter(), &mut visit),
            Affix::Suffix => self.root.walk(bytes.iter().rev(), &mut visit),
        }
    }
}

impl<V: Clone> Node<V> {
    fn new(label: Vec<u8>, value: Option<V>) -> Self {
        Self { label: label.into(), value, children: Vec::new() }
    }

    fn walk<'a, 't>(
        &'a self,
        mut bytes: impl Iterator<Item = &'t u8>,
        visit: &mut impl FnMut(usize, &'a V),
    ) {
        let mut node = self;
        let mut length = 0;
        loop {
            if let Some(value) = &node.value {
                visit(length, value);
            }
            let Some(first) = bytes.next() else { return };
            let Some(child) = node.child(*first) else { return };
            node = child;
            length += 1 + node.label.len();
            if !node.label.iter().all(|wanted| bytes.next() == Some(wanted)) {
                return;
            }
        }
    }

    fn child(&self, first: u8) -> Option<&Self> {
        let place = self.children.binary_search_by_key(&first, |(byte, _)| *byte).ok()?;
        Some(&self.children[place].1)
    }

    /// Changes what stands at the bytes that are left behind this node.
    fn alter(&mut self, bytes: &[u8], change: impl FnOnce(Option<V>) -> Option<V>) {
        let Some((first, rest)) = bytes.split_first() else {
            self.value = change(self.value.take());
            return;
        };
        match self.children.binary_search_by_key(first, |(byte, _)| *byte) {
            Err(place) => {
                if let Some(value) = change(None) {
                    let new = Self::new(rest.to_vec(), Some(value));
                    self.children.insert(place, (*first, Arc::new(new)));
                }
            }
            Ok(place) => {
                let child = &mut self.children[place].1;
                let pairs = child.label.iter().zip(rest);
                let common = pairs.take_while(|(one, other)| one == other).count();
                if common < child.label.len() {
                    if let Some(value) = change(None) {
                        Arc::make_mut(child).split(common, &rest[common..], value);
                    }
                    return;
                }
                let below = Arc::make_mut(child);
                below.alter(&rest[common..], change);
                if below.value.is_none() {
                    match below.children.len() {
                        0 => drop(self.children.remove(place)),
                        1 => below.join(),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Makes two nodes of one, of which the upper keeps so many bytes of the label, and
    /// puts a value at these bytes behind the upper one.
    fn split(&mut self, keep: usize, bytes: &[u8], value: V) {
        let first = self.label[keep];
        let children = std::mem::take(&mut self.children);
        let lower =
            Self { label: self.label[keep + 1..].into(), value: self.value.take(), children };
        self.label = self.label[..keep].into();
        self.children = vec![(first, Arc::new(lower))];
        match bytes.split_first() {
            None => self.value = Some(value),
            Some((first, rest)) => {
                let place = usize::from(*first > self.children[0].0);
                let new = Self::new(rest.to_vec(), Some(value));
                self.children.insert(place, (*first, Arc::new(new)));
            }
        }
    }

    /// Makes one node of this one, at which nothing stands, and its only child.
    fn join(&mut self) {
        if let Some((first, child)) = self.children.pop() {
            let child = Arc::unwrap_or_clone(child);
            self.label = [&self.label[..], &[first], &child.label].concat().into();
            self.value = child.value;
            self.children = child.children;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_scan_finds(
            suffix in any::<bool>(),
            changes in vec(("[ab€]{0,6}", prop::option::weighted(0.7, any::<u8>())), 0..80),
            texts in vec("[ab€]{0,9}", 1..10),
        ) {
            let mut tree = Affixes::new(if suffix { Affix::Suffix } else { Affix::Prefix });
            let mut model = BTreeMap::new();
            for (text, value) in &changes {
                let before = tree.clone();
                let old = model.get(text).copied();
                tree.alter(text, |found| {
                    assert_eq!(found, old);
                    *value
                });
                prop_assert_eq!(before.get(text).copied(), old, "the original stays");
                match value {
                    Some(value) => model.insert(text.clone(), *value),
                    None => model.remove(text),
                };
            }
            prop_assert_eq!(tree.is_empty(), model.is_empty());
            for text in texts.iter().chain(changes.iter().map(|(text, _)| text)) {
                let mut found = Vec::new();
                tree.walk(text, |length, value| found.push((length, *value)));
                let fits = |one: &str| {
                    if suffix { text.ends_with(one) } else { text.starts_with(one) }
                };
                let fitting = model.iter().filter(|(one, _)| fits(one));
                let mut expected: Vec<(usize, u8)> =
                    fitting.map(|(one, value)| (one.len(), *value)).collect();
                expected.sort_unstable();
                found.sort_unstable();
                prop_assert_eq!(found, expected);
                prop_assert_eq!(tree.get(text), model.get(text));
            }
        }
    }
}
