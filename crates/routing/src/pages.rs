//! A map from keys to values, of which a changed copy shares nearly everything with the
//! original: readers keep theirs while it changes.
//!
//! A tree with 64 ways at each branch, by six bits of the key each; its leaves, the
//! pages, hold up to [`PAGE`] items. A page that overflows is split in two, and both
//! stand in the branch that the one stood in, at half of its ways each: so pages stay
//! between half full and full, and a million items are three branches deep. A change
//! copies one page and the branches above it.

use std::sync::Arc;

use crate::key::Key;

/// As many as six bits tell apart.
const WAYS: usize = 64;
/// The most items of a page, but where keys are alike in all bits that are looked at.
const PAGE: usize = 16;

pub(crate) struct Pages<V> {
    root: Node<V>,
    len: usize,
}

enum Node<V> {
    Page(Arc<[(Key, V)]>),
    Branch(Arc<Branch<V>>),
}

/// Pages may stand at several ways next to each other: 2, 4, 8, ...
struct Branch<V>([Node<V>; WAYS]);

impl<V> Default for Pages<V> {
    fn default() -> Self {
        Self { root: Node::Page(Arc::new([])), len: 0 }
    }
}

impl<V> Clone for Pages<V> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), len: self.len }
    }
}

impl<V> Clone for Node<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Page(items) => Self::Page(Arc::clone(items)),
            Self::Branch(branch) => Self::Branch(Arc::clone(branch)),
        }
    }
}

impl<V> Clone for Branch<V> {
    fn clone(&self) -> Self {
        Self(std::array::from_fn(|way| self.0[way].clone()))
    }
}

impl<V> Pages<V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn get(&self, key: Key) -> Option<&V> {
        let mut node = &self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Branch(branch) => node = &branch.0[way(key, depth)],
                Node::Page(items) => return find(items, key).ok().map(|place| &items[place].1),
            }
            depth += 1;
        }
    }

    /// Calls `visit` with every value, in no order. Takes no memory.
    pub(crate) fn for_each<'a>(&'a self, visit: &mut impl FnMut(&'a V)) {
        self.root.for_each(visit);
    }
}

impl<V: Clone> Pages<V> {
    /// Changes what stands at the key: `change` takes what is there and gives what is to
    /// be there.
    pub(crate) fn alter(&mut self, key: Key, change: impl FnOnce(Option<V>) -> Option<V>) {
        self.len = alter(std::slice::from_mut(&mut self.root), 0, 0, key, change, self.len);
    }

    pub(crate) fn insert(&mut self, key: Key, value: V) {
        self.alter(key, |_| Some(value));
    }

    pub(crate) fn remove(&mut self, key: Key) {
        if self.get(key).is_some() {
            self.alter(key, |_| None);
        }
    }
}

/// The way that a key takes at this depth.
#[inline]
fn way(key: Key, depth: u32) -> usize {
    key.six_bits(depth)
}

/// Whether the bits of a key are used up above this depth.
fn is_deepest(depth: u32) -> bool {
    depth >= 20
}

impl<V> Node<V> {
    fn for_each<'a>(&'a self, visit: &mut impl FnMut(&'a V)) {
        match self {
            Self::Page(items) => items.iter().for_each(|(_, value)| visit(value)),
            Self::Branch(branch) => {
                for (place, node) in branch.0.iter().enumerate() {
                    // A page at several ways comes once.
                    if place == 0 || !node.is_page_of(&branch.0[place - 1]) {
                        node.for_each(visit);
                    }
                }
            }
        }
    }

    fn is_page_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Page(one), Self::Page(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// Changes what stands at a key below one of the ways of a branch at `depth`. Gives the
/// number of all items, of which there were `len`.
fn alter<V: Clone>(
    ways: &mut [Node<V>],
    at: usize,
    depth: u32,
    key: Key,
    change: impl FnOnce(Option<V>) -> Option<V>,
    len: usize,
) -> usize {
    match &mut ways[at] {
        Node::Branch(branch) => {
            let below = &mut Arc::make_mut(branch).0;
            let len = alter(below, way(key, depth), depth + 1, key, change, len);
            // One page at all its ways needs no branch.
            let page = match &below[0] {
                Node::Page(items) if block_of(below, 0).len() == WAYS => Some(Arc::clone(items)),
                _ => None,
            };
            if let Some(items) = page {
                ways[at] = Node::Page(items);
            }
            len
        }
        Node::Page(items) => {
            let before = items.len();
            let (place, old) = match find(items, key) {
                Ok(place) => (place, Some(items[place].1.clone())),
                Err(place) => (place, None),
            };
            let rest = place + usize::from(old.is_some());
            let new = change(old).map(|value| (key, value));
            let items =
                items[..place].iter().cloned().chain(new).chain(items[rest..].iter().cloned());
            let changed: Vec<(Key, V)> = items.collect();
            let after = changed.len();
            let block = block_of(ways, at);
            fill(&mut ways[block], depth, changed);
            if after < before {
                merge(ways, at);
            }
            len + after - before
        }
    }
}

/// Where an item is in a page, or is to be. Items are in the order of bits that lead to no
/// page, so that they are spread evenly: where to look is a guess that is nearly right,
/// and one or two lines of memory are read instead of eight.
#[inline]
fn find<V>(items: &[(Key, V)], key: Key) -> Result<usize, usize> {
    let wanted = key.in_page();
    let mut place = key.guess(items.len());
    while place > 0 && items[place - 1].0.in_page() >= wanted {
        place -= 1;
    }
    while place < items.len() && items[place].0.in_page() < wanted {
        place += 1;
    }
    match items.get(place) {
        Some((found, _)) if *found == key => Ok(place),
        _ => Err(place),
    }
}

/// The ways at which the same page stands.
fn block_of<V>(ways: &[Node<V>], at: usize) -> std::ops::Range<usize> {
    let mut block = at..at + 1;
    while block.len() < ways.len() {
        let doubled = block.len() * 2;
        let start = at - at % doubled;
        let wider = start..start + doubled;
        if !wider.clone().all(|way| ways[way].is_page_of(&ways[at])) {
            break;
        }
        block = wider;
    }
    block
}

/// Puts items at ways of a branch, in as few pages as hold them. The items are those
/// whose keys lead to one of these ways.
fn fill<V: Clone>(ways: &mut [Node<V>], depth: u32, items: Vec<(Key, V)>) {
    if items.len() <= PAGE || is_deepest(depth) {
        let page: Arc<[(Key, V)]> = items.into();
        ways.fill_with(|| Node::Page(Arc::clone(&page)));
    } else if let [way] = ways {
        let empty: Arc<[(Key, V)]> = Arc::new([]);
        let mut branch = Branch(std::array::from_fn(|_| Node::Page(Arc::clone(&empty))));
        fill(&mut branch.0, depth + 1, items);
        *way = Node::Branch(Arc::new(branch));
    } else {
        // The next bit of the way decides; the bits before it are the same in all keys.
        let half = ways.len() / 2;
        let (right, left) =
            items.into_iter().partition(|(key, _)| way(*key, depth - 1) & half != 0);
        let (left_ways, right_ways) = ways.split_at_mut(half);
        fill(left_ways, depth, left);
        fill(right_ways, depth, right);
    }
}

/// Makes one page of two next to each other while they fill no more than half of it.
fn merge<V: Clone>(ways: &mut [Node<V>], at: usize) {
    loop {
        let block = block_of(ways, at);
        if block.len() >= ways.len() {
            return;
        }
        let other = block_of(ways, block.start ^ block.len());
        let (Node::Page(one), Node::Page(two)) = (&ways[block.start], &ways[other.start]) else {
            return;
        };
        if other.len() != block.len() || one.len() + two.len() > PAGE / 2 {
            return;
        }
        let mut items: Vec<(Key, V)> = one.iter().chain(two.iter()).cloned().collect();
        items.sort_unstable_by_key(|(key, _)| key.in_page());
        let page: Arc<[(Key, V)]> = items.into();
        let both = block.start.min(other.start)..block.end.max(other.end);
        ways[both].fill_with(|| Node::Page(Arc::clone(&page)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn spread(number: u128) -> Key {
        Key::of_bits(number.wrapping_mul(0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9))
    }

    /// Few keys, many of which begin alike.
    fn key() -> impl Strategy<Value = Key> {
        let bits = 0_u128..400;
        (bits, any::<bool>()).prop_map(
            |(bits, alike)| {
                if alike { Key::of_bits(bits) } else { spread(bits) }
            },
        )
    }

    fn contents(pages: &Pages<u32>) -> Vec<u32> {
        let mut all = Vec::new();
        pages.for_each(&mut |value| all.push(*value));
        all.sort_unstable();
        all
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(changes in vec((key(), any::<u32>(), 0..3_u8), 0..1_500)) {
            let mut pages = Pages::default();
            let mut model = BTreeMap::new();
            let mut kept = Vec::new();
            for (number, (key, value, kind)) in changes.into_iter().enumerate() {
                if kind == 0 {
                    pages.remove(key);
                    model.remove(&key.bits());
                } else {
                    pages.insert(key, value);
                    model.insert(key.bits(), value);
                }
                prop_assert_eq!(pages.len(), model.len());
                if number % 300 == 0 {
                    kept.push((pages.clone(), model.clone()));
                }
            }
            kept.push((pages, model));
            for (pages, model) in kept {
                let mut expected: Vec<u32> = model.values().copied().collect();
                expected.sort_unstable();
                prop_assert_eq!(contents(&pages), expected);
                for (key, value) in &model {
                    prop_assert_eq!(pages.get(Key::of_bits(*key)), Some(value));
                }
            }
        }
    }

    #[test]
    fn emptied_it_is_one_page_again() {
        let mut pages = Pages::default();
        for number in 0..5_000 {
            pages.insert(spread(number), ());
        }
        assert!(matches!(pages.root, Node::Branch(_)));
        for number in 0..5_000 {
            pages.remove(spread(number));
        }
        assert!(matches!(pages.root, Node::Page(_)), "no branch is left");
        assert!(pages.is_empty());
    }
}
