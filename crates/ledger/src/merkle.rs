//! The Merkle tree of RFC 9162, section 2.1, over SHA-256.
//!
//! # Invariants
//!
//! * Leaves and inner nodes are hashed under different prefixes, so that no node
//!   can be passed off as a leaf (section 2.1.1).
//! * Verification needs nothing but its arguments. A path that is too long, too
//!   short or for an index outside the tree is refused, never cut.

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::Hash;

/// Most hashes of a path: a tree of 2^63 leaves.
pub(crate) const MAX_PATH: usize = 64;

/// Returns the hash of a leaf with this content (`MTH({d0})`).
#[must_use]
pub(crate) fn leaf(content: &[u8]) -> Hash {
    hash(&[&[0], content])
}

/// Returns the hash of an inner node.
fn node(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left.as_bytes(), right.as_bytes()])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let digest = context.finish();
    let bytes = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
    Hash::from_bytes(bytes)
}

/// The right edge of a growing tree: enough to append and to know the root, in
/// memory that grows with the logarithm of the size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Frontier {
    size: u64,
    /// Roots of the full subtrees, the largest first; one for each bit that is
    /// set in `size`.
    peaks: Vec<Hash>,
}

/// A frontier as it was written, not yet checked.
#[derive(Deserialize)]
struct Written {
    size: u64,
    peaks: Vec<Hash>,
}

impl TryFrom<Written> for Frontier {
    type Error = &'static str;

    fn try_from(Written { size, peaks }: Written) -> Result<Self, Self::Error> {
        if peaks.len() == size.count_ones() as usize {
            return Ok(Self { size, peaks });
        }
        Err("a frontier has one peak for each set bit of its size")
    }
}

impl Frontier {
    /// Returns how many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_noting(leaf, |_, _, _| {});
    }

    /// Appends a leaf by its hash and tells `full` every subtree that it completes:
    /// its height, its number among those of this height, and its root.
    pub(crate) fn push_noting(&mut self, leaf: Hash, mut full: impl FnMut(u32, u64, Hash)) {
        let mut joined = leaf;
        for height in 1..=self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a peak for each set bit");
            joined = node(&left, &joined);
            full(height, self.size >> height, joined);
        }
        self.peaks.push(joined);
        self.size += 1;
    }

    /// Returns the roots of the full subtrees, the largest first.
    pub(crate) fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Returns the frontier of a tree of `size` leaves with these peaks.
    pub(crate) fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        Self::try_from(Written { size, peaks }).ok()
    }

    /// Returns the root (`MTH`); of an empty tree the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            Some(last) => peaks.fold(*last, |right, left| node(left, &right)),
            None => hash(&[]),
        }
    }
}

/// Returns the root over `leaves`.
#[must_use]
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// Returns the inclusion path of leaf `index`, nearest sibling first
/// (section 2.1.3.1), or `None` if there is no such leaf.
#[must_use]
pub(crate) fn path(leaves: &[Hash], index: u64) -> Option<Vec<Hash>> {
    let mut at = usize::try_from(index)
        .ok()
        .filter(|at| *at < leaves.len())?;
    let mut range = leaves;
    let mut siblings = Vec::new();
    while range.len() > 1 {
        let (left, right) = range.split_at(split(range.len()));
        if at < left.len() {
            siblings.push(root(right));
            range = left;
        } else {
            siblings.push(root(left));
            at -= left.len();
            range = right;
        }
    }
    siblings.reverse();
    Some(siblings)
}

/// The largest power of two below `len`, which is at least 2.
fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

/// Leaves from the first number up to, not including, the second.
pub(crate) type Range = (u64, u64);

/// Returns the subtrees whose roots are the inclusion path of leaf `index` in a tree
/// of `size` leaves, nearest sibling first (section 2.1.3.1).
#[must_use]
pub(crate) fn siblings(index: u64, size: u64) -> Vec<Range> {
    let (mut from, mut to) = (0, size);
    let mut found = Vec::new();
    while to - from > 1 {
        let middle = from + split_at(to - from);
        if index < middle {
            found.push((middle, to));
            to = middle;
        } else {
            found.push((from, middle));
            from = middle;
        }
    }
    found.reverse();
    found
}

/// Returns the subtrees whose roots prove that a tree of `earlier` leaves, at least
/// one, is the beginning of a tree of `size` leaves (section 2.1.4.1).
#[must_use]
pub(crate) fn extension(earlier: u64, size: u64) -> Vec<Range> {
    let (mut from, mut to) = (0, size);
    let mut found = Vec::new();
    while earlier < to {
        let middle = from + split_at(to - from);
        if earlier <= middle {
            found.push((middle, to));
            to = middle;
        } else {
            found.push((from, middle));
            from = middle;
        }
    }
    // What both trees begin with is known to whoever has the earlier root.
    if from > 0 {
        found.push((from, to));
    }
    found.reverse();
    found
}

/// Returns whether `path` proves that the tree of `earlier` leaves with root `first`
/// is the beginning of the tree of `size` leaves with root `second` (section 2.1.4.2).
#[must_use]
pub(crate) fn extends(
    (earlier, first): (u64, Hash),
    (size, second): (u64, Hash),
    path: &[Hash],
) -> bool {
    if earlier == size {
        return earlier > 0 && first == second && path.is_empty();
    }
    if earlier == 0 || earlier > size || path.len() > MAX_PATH {
        return false;
    }
    let mut steps = path.iter();
    let begin = match earlier.is_power_of_two() {
        true => Some(&first),
        false => steps.next(),
    };
    let Some(begin) = begin else { return false };
    let shift = (earlier - 1).trailing_ones();
    let (mut at, mut last) = ((earlier - 1) >> shift, (size - 1) >> shift);
    let (mut old, mut new) = (*begin, *begin);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node(step, &old);
            new = node(step, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node(&new, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == first && new == second
}

/// The largest power of two below `len`, which is at least 2.
fn split_at(len: u64) -> u64 {
    len.next_power_of_two() / 2
}

/// Returns the root that follows from `leaf` at `index` in a tree of `size`
/// leaves by `path` (section 2.1.3.2), or `None` if the path does not fit.
#[must_use]
pub(crate) fn climb(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size || path.len() > MAX_PATH {
        return None;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of section 2.1.1, word for word.
    fn mth(contents: &[Vec<u8>]) -> Hash {
        match contents {
            [] => hash(&[]),
            [only] => leaf(only),
            more => {
                let mut k = 1;
                while k * 2 < more.len() {
                    k *= 2;
                }
                node(&mth(&more[..k]), &mth(&more[k..]))
            }
        }
    }

    fn leaves(contents: &[Vec<u8>]) -> Vec<Hash> {
        contents.iter().map(|content| leaf(content)).collect()
    }

    #[test]
    fn empty_tree_has_the_hash_of_nothing() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(root(&[]).to_string(), empty);
    }

    /// The eight leaves of the certificate transparency test vectors.
    #[test]
    fn known_roots() {
        let contents: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let hashes: Vec<_> = contents.iter().map(|content| leaf(content)).collect();
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        ];
        for (at, expected) in roots.iter().enumerate() {
            assert_eq!(root(&hashes[..=at]).to_string(), *expected);
        }
        let all = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
        assert_eq!(root(&hashes).to_string(), all);
    }

    fn roots(leaves: &[Hash], ranges: &[Range]) -> Vec<Hash> {
        let at = |(from, to): &Range| root(&leaves[*from as usize..*to as usize]);
        ranges.iter().map(at).collect()
    }

    proptest! {
        #[test]
        fn siblings_are_the_path(size in 1_u64..200, index in any::<prop::sample::Index>()) {
            let hashes: Vec<_> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            let index = index.index(hashes.len()) as u64;
            let found = roots(&hashes, &siblings(index, size));
            prop_assert_eq!(Some(found), path(&hashes, index));
        }

        #[test]
        fn every_beginning_is_proved_and_nothing_else_is(
            size in 1_u64..200, earlier in any::<prop::sample::Index>(), wrong in any::<prop::sample::Index>(),
        ) {
            let hashes: Vec<_> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            let earlier = earlier.index(hashes.len()) as u64 + 1;
            let steps = roots(&hashes, &extension(earlier, size));
            let (first, second) = (root(&hashes[..earlier as usize]), root(&hashes));
            prop_assert!(extends((earlier, first), (size, second), &steps));
            let other = leaf(b"other");
            prop_assert!(!extends((earlier, other), (size, second), &steps));
            prop_assert!(!extends((earlier, first), (size, other), &steps));
            let mut longer = steps.clone();
            longer.push(other);
            prop_assert!(!extends((earlier, first), (size, second), &longer));
            if !steps.is_empty() {
                prop_assert!(!extends((earlier, first), (size, second), &steps[1..]));
                let mut changed = steps.clone();
                let wrong = wrong.index(changed.len());
                changed[wrong] = other;
                prop_assert!(!extends((earlier, first), (size, second), &changed));
            }
        }

        #[test]
        fn full_subtrees_are_told(size in 1_u64..200) {
            let hashes: Vec<_> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            let mut frontier = Frontier::default();
            let mut told = 0;
            for hash in &hashes {
                frontier.push_noting(*hash, |height, number, found| {
                    let from = (number << height) as usize;
                    assert_eq!(found, root(&hashes[from..from + (1 << height)]));
                    told += 1;
                });
            }
            prop_assert_eq!(told, (1..8).map(|height| size >> height).sum::<u64>());
        }

        #[test]
        fn frontier_has_the_root_of_the_definition(
            contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..70),
        ) {
            prop_assert_eq!(root(&leaves(&contents)), mth(&contents));
        }

        #[test]
        fn every_path_leads_to_the_root_and_no_other_does(
            size in 1_u64..70, index in any::<prop::sample::Index>(), wrong in any::<prop::sample::Index>(),
        ) {
            let hashes: Vec<_> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            let index = index.index(hashes.len()) as u64;
            let steps = path(&hashes, index).expect("the leaf exists");
            let at = |index: u64, size: u64, steps: &[Hash]| climb(leaf(&index.to_be_bytes()), index, size, steps);
            prop_assert_eq!(at(index, size, &steps), Some(root(&hashes)));
            prop_assert_eq!(climb(hashes[0], size, size, &steps), None);
            let mut longer = steps.clone();
            longer.push(leaf(b"x"));
            prop_assert_ne!(at(index, size, &longer), Some(root(&hashes)));
            if !steps.is_empty() {
                let mut changed = steps.clone();
                let wrong = wrong.index(changed.len());
                changed[wrong] = leaf(b"other");
                prop_assert_ne!(at(index, size, &changed), Some(root(&hashes)));
                prop_assert_ne!(at(index, size, &steps[1..]), Some(root(&hashes)));
            }
        }
    }
}
