//! The feeds as one compact file: made once, read whole, searched by halving.
//!
//! # Invariants
//!
//! * An index says which feeds it was made of: name, date, digest, number of records.
//!   Two indexes of the same feeds are the same bytes.
//! * Its bytes carry their digest. A file that was cut short or changed is refused and
//!   made again, not searched.
//! * Alias groups are made here, once, so that everything else speaks of one
//!   vulnerability where several databases speak of several records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    advisory::Advisory,
    component::Ecosystem,
    exploit::{Known, RECORD_BYTES, cve_number},
    feeds::Feed,
    vex::Statement,
};

/// First bytes of an index. Changes with its shape.
const MAGIC: &[u8; 8] = b"AIRIDX04";
const DIGEST_BYTES: usize = 32;
const PACKAGE_BYTES: usize = 16;
const NAME_BYTES: usize = 12;
/// Most members of one alias group. A record that names everything as its alias must
/// not make one vulnerability of all.
const MAX_GROUP: usize = 64;

/// What an index was made of, and where its parts are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    feeds: Vec<Feed>,
    ecosystems: BTreeMap<String, u64>,
    origin: String,
    packages: u64,
    postings: u64,
    names: u64,
    offsets: u64,
    cves: u64,
    speakers: u64,
    spoken: u64,
    statements: u64,
    blob: u64,
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IndexError {
    /// It is of another version, or no index.
    #[error("it is not an index of this version")]
    Format,
    /// Its bytes do not have the digest they carry.
    #[error("its content does not match its digest")]
    Digest,
}

/// Collects records and makes an index of them.
#[derive(Debug, Default)]
pub struct Builder {
    advisories: Vec<Advisory>,
    known: HashMap<u64, Known>,
    statements: Vec<Statement>,
    feeds: Vec<Feed>,
}

impl Builder {
    /// Adds an advisory.
    pub fn advisory(&mut self, advisory: Advisory) {
        self.advisories.push(advisory);
    }

    /// Adds what is known about a CVE; other ids are left out, since no feed of
    /// exploitation uses them.
    pub fn known(&mut self, id: &str, known: Known) {
        if let Some(key) = cve_number(id) {
            let entry = self.known.entry(key).or_default();
            *entry = entry.joined(known);
        }
    }

    /// Adds a statement of VEX.
    pub fn statement(&mut self, statement: Statement) {
        self.statements.push(statement);
    }

    /// Adds what is said about a feed.
    pub fn feed(&mut self, feed: Feed) {
        self.feeds.push(feed);
    }

    /// Makes the index. `origin` is what a later start compares to see whether the
    /// same files are there.
    #[must_use]
    pub fn finish(mut self, origin: &str) -> Vec<u8> {
        self.advisories.sort_by(|a, b| a.id.cmp(&b.id));
        self.advisories.dedup_by(|a, b| {
            // The same record from two archives: ranges of both count.
            let same = a.id == b.id;
            if same && a.affected != b.affected {
                b.affected.append(&mut a.affected);
            }
            same
        });
        group(&mut self.advisories);
        self.feeds.sort_by(|a, b| a.name.cmp(&b.name));
        self.statements.sort();
        let mut blob = Vec::new();
        let mut offsets = vec![0_u64];
        let mut packages: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        let mut names: BTreeMap<u64, u32> = BTreeMap::new();
        let mut ecosystems: BTreeMap<String, u64> = BTreeMap::new();
        for (number, advisory) in self.advisories.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            for affected in &advisory.affected {
                let postings = packages
                    .entry(package_key(&affected.ecosystem, &affected.name))
                    .or_default();
                if postings.last() != Some(&number) {
                    postings.push(number);
                }
                *ecosystems
                    .entry(affected.ecosystem.to_string())
                    .or_default() += 1;
            }
            for name in advisory
                .aliases
                .iter()
                .chain([&advisory.id, &advisory.group])
            {
                names.entry(hash(name.as_bytes())).or_insert(number);
            }
            // A struct of strings always serializes.
            blob.extend(serde_json::to_vec(advisory).unwrap_or_default());
            offsets.push(blob.len() as u64);
        }
        let said = Said::of(&self.statements);
        let mut cves: Vec<_> = self.known.into_iter().collect();
        cves.sort_by_key(|(key, _)| *key);
        let header = Header {
            feeds: self.feeds,
            ecosystems,
            origin: origin.to_owned(),
            packages: packages.len() as u64,
            postings: packages.values().map(|p| p.len() as u64).sum(),
            names: names.len() as u64,
            offsets: offsets.len() as u64,
            cves: cves.len() as u64,
            speakers: said.names.len() as u64,
            spoken: said.offsets.len() as u64,
            statements: said.texts.len() as u64,
            blob: blob.len() as u64,
        };
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let body = body(&header, &packages, &names, &offsets, &cves, &said, &blob);
        let mut bytes = Vec::with_capacity(body.len() + MAGIC.len() + DIGEST_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(digest(&SHA256, &body).as_ref());
        bytes.extend(body);
        bytes
    }
}

/// Writes the parts of an index one behind the other.
fn body(
    header: &[u8],
    packages: &BTreeMap<u64, Vec<u32>>,
    names: &BTreeMap<u64, u32>,
    offsets: &[u64],
    cves: &[(u64, Known)],
    said: &Said,
    blob: &[u8],
) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((header.len() as u64).to_le_bytes());
    body.extend(header);
    let mut first = 0_u32;
    for (key, numbers) in packages {
        let count = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        body.extend(key.to_le_bytes());
        body.extend(first.to_le_bytes());
        body.extend(count.to_le_bytes());
        first += count;
    }
    for number in packages.values().flatten() {
        body.extend(number.to_le_bytes());
    }
    for (key, number) in names {
        body.extend(key.to_le_bytes());
        body.extend(number.to_le_bytes());
    }
    for offset in offsets {
        body.extend(offset.to_le_bytes());
    }
    for (key, known) in cves {
        known.write(*key, &mut body);
    }
    for (key, number) in &said.names {
        body.extend(key.to_le_bytes());
        body.extend(number.to_le_bytes());
    }
    for offset in &said.offsets {
        body.extend(offset.to_le_bytes());
    }
    body.extend(&said.texts);
    body.extend(blob);
    body
}

/// Statements of VEX, to be found by the ids they speak of.
struct Said {
    names: BTreeSet<(u64, u32)>,
    offsets: Vec<u64>,
    texts: Vec<u8>,
}

impl Said {
    fn of(statements: &[Statement]) -> Self {
        let mut said = Self {
            names: BTreeSet::new(),
            offsets: vec![0],
            texts: Vec::new(),
        };
        for (number, statement) in (0_u32..).zip(statements) {
            let names = statement.aliases.iter().chain([&statement.vulnerability]);
            said.names
                .extend(names.map(|name| (hash(name.as_bytes()), number)));
            said.texts
                .extend(serde_json::to_vec(statement).unwrap_or_default());
            said.offsets.push(said.texts.len() as u64);
        }
        said
    }
}

/// Gives every advisory the id of its alias group.
fn group(advisories: &mut [Advisory]) {
    let mut parent: Vec<usize> = Vec::new();
    let mut size: Vec<usize> = Vec::new();
    let mut ids: HashMap<String, usize> = HashMap::new();
    let mut texts: Vec<String> = Vec::new();
    fn root(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    for advisory in advisories.iter() {
        let mut first = None;
        for id in std::iter::once(&advisory.id).chain(&advisory.aliases) {
            let number = *ids.entry(id.clone()).or_insert_with(|| {
                parent.push(parent.len());
                size.push(1);
                texts.push(id.clone());
                parent.len() - 1
            });
            let here = root(&mut parent, number);
            match first {
                None => first = Some(here),
                Some(one) => {
                    let one = root(&mut parent, one);
                    if one != here && size[one] + size[here] <= MAX_GROUP {
                        parent[here] = one;
                        size[one] += size[here];
                    }
                }
            }
        }
    }
    let mut best: HashMap<usize, String> = HashMap::new();
    for (number, text) in texts.iter().enumerate() {
        let here = root(&mut parent, number);
        let rank = |id: &str| (cve_number(id).is_none(), cve_number(id), id.to_owned());
        let entry = best.entry(here).or_insert_with(|| text.clone());
        if rank(text) < rank(entry) {
            entry.clone_from(text);
        }
    }
    for advisory in advisories {
        let Some(number) = ids.get(&advisory.id) else {
            continue;
        };
        let here = root(&mut parent, *number);
        advisory.group = best.get(&here).cloned().unwrap_or_default();
    }
}

fn package_key(ecosystem: &Ecosystem, name: &str) -> u64 {
    hash(format!("{}\0{name}", ecosystem.osv()).as_bytes())
}

/// FNV-1a. What it finds is compared with what was asked for, so that chosen
/// collisions cost time and nothing else.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// An index in memory.
#[derive(Debug)]
pub struct Index {
    bytes: Vec<u8>,
    header: Header,
    packages: usize,
    postings: usize,
    names: usize,
    offsets: usize,
    cves: usize,
    blob: usize,
    speakers: usize,
    spoken: usize,
    said: usize,
    digest: String,
}

impl Index {
    /// Takes an index in.
    ///
    /// # Errors
    ///
    /// When it is none, of another version, or damaged.
    pub fn open(bytes: Vec<u8>) -> Result<Self, IndexError> {
        let start = MAGIC.len() + DIGEST_BYTES;
        if bytes.len() < start + 8 || &bytes[..MAGIC.len()] != MAGIC {
            return Err(IndexError::Format);
        }
        let sum = digest(&SHA256, &bytes[start..]);
        if sum.as_ref() != &bytes[MAGIC.len()..start] {
            return Err(IndexError::Digest);
        }
        let length = u64_at(&bytes, start).ok_or(IndexError::Format)?;
        let length = usize::try_from(length).map_err(|_| IndexError::Format)?;
        let head = bytes
            .get(start + 8..start.saturating_add(8).saturating_add(length))
            .ok_or(IndexError::Format)?;
        let header: Header = serde_json::from_slice(head).map_err(|_| IndexError::Format)?;
        let mut at = start + 8 + length;
        let mut part = |count: u64, bytes_each: usize| {
            let here = at;
            let count = usize::try_from(count).ok()?;
            at = at.checked_add(count.checked_mul(bytes_each)?)?;
            Some(here)
        };
        let shape = || IndexError::Format;
        let packages = part(header.packages, PACKAGE_BYTES).ok_or_else(shape)?;
        let postings = part(header.postings, 4).ok_or_else(shape)?;
        let names = part(header.names, NAME_BYTES).ok_or_else(shape)?;
        let offsets = part(header.offsets, 8).ok_or_else(shape)?;
        let cves = part(header.cves, RECORD_BYTES).ok_or_else(shape)?;
        let speakers = part(header.speakers, NAME_BYTES).ok_or_else(shape)?;
        let spoken = part(header.spoken, 8).ok_or_else(shape)?;
        let said = part(header.statements, 1).ok_or_else(shape)?;
        let blob = part(header.blob, 1).ok_or_else(shape)?;
        if at != bytes.len() {
            return Err(IndexError::Format);
        }
        let digest = hex(sum.as_ref());
        Ok(Self {
            bytes,
            header,
            packages,
            postings,
            names,
            offsets,
            cves,
            blob,
            speakers,
            spoken,
            said,
            digest,
        })
    }

    /// Returns the digest of everything in it.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns what it was made of.
    #[must_use]
    pub fn feeds(&self) -> &[Feed] {
        &self.header.feeds
    }

    /// Returns what it was made from, as [`Builder::finish`] was told.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.header.origin
    }

    /// Returns its size in memory, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the number of advisories.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.header.offsets).unwrap_or(1).max(1) - 1
    }

    /// Returns whether there is no advisory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether any feed speaks of packages of `ecosystem`.
    #[must_use]
    pub fn covers(&self, ecosystem: &Ecosystem) -> bool {
        self.header.ecosystems.contains_key(&*ecosystem.osv())
    }

    /// Returns the number of statements of VEX.
    #[must_use]
    pub fn statements(&self) -> usize {
        usize::try_from(self.header.spoken).unwrap_or(1).max(1) - 1
    }

    /// Returns the statements of VEX about a vulnerability under any of `ids`, in
    /// their fixed order.
    #[must_use]
    pub fn said_of(&self, ids: &[String]) -> Vec<Statement> {
        let count = usize::try_from(self.header.speakers).unwrap_or(0);
        let mut numbers = BTreeSet::new();
        for id in ids {
            let key = hash(id.as_bytes());
            let Some(hit) = self.search(self.speakers, NAME_BYTES, count, key) else {
                continue;
            };
            // Many may speak of one: those with the same key lie side by side.
            let same = |at: &usize| {
                let inside = (self.speakers..self.spoken).contains(at);
                inside && u64_at(&self.bytes, *at) == Some(key)
            };
            let before = (1..).map_while(|n| hit.checked_sub(n * NAME_BYTES));
            let after = (0..).map(|n| hit + n * NAME_BYTES);
            let all = before.take_while(same).chain(after.take_while(same));
            numbers.extend(all.filter_map(|at| u32_at(&self.bytes, at + 8)));
        }
        numbers
            .into_iter()
            .filter_map(|number| self.record(self.spoken, self.said, number))
            .filter(|said: &Statement| {
                ids.contains(&said.vulnerability) || said.aliases.iter().any(|a| ids.contains(a))
            })
            .collect()
    }

    /// Returns the advisories that name a package, informational and withdrawn ones
    /// included.
    #[must_use]
    pub fn of_package(&self, ecosystem: &Ecosystem, name: &str) -> Vec<Advisory> {
        let key = package_key(ecosystem, name);
        let count = usize::try_from(self.header.packages).unwrap_or(0);
        let Some(at) = self.search(self.packages, PACKAGE_BYTES, count, key) else {
            return Vec::new();
        };
        let first = u32_at(&self.bytes, at + 8).unwrap_or(0) as usize;
        let many = u32_at(&self.bytes, at + 12).unwrap_or(0) as usize;
        (first..first.saturating_add(many))
            .filter_map(|posting| u32_at(&self.bytes, self.postings + 4 * posting))
            .filter_map(|number| self.advisory(number))
            .filter(|advisory| {
                let speaks =
                    |a: &crate::advisory::Affected| a.ecosystem == *ecosystem && a.name == name;
                advisory.affected.iter().any(speaks)
            })
            .collect()
    }

    /// Returns an advisory by any of its ids.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Advisory> {
        let count = usize::try_from(self.header.names).unwrap_or(0);
        let at = self.search(self.names, NAME_BYTES, count, hash(id.as_bytes()))?;
        let advisory = self.advisory(u32_at(&self.bytes, at + 8)?)?;
        let named = advisory.id == id
            || advisory.group == id
            || advisory.aliases.iter().any(|alias| alias == id);
        named.then_some(advisory)
    }

    /// Returns what is known about a vulnerability under any of `ids`.
    #[must_use]
    pub fn known<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Known {
        let count = usize::try_from(self.header.cves).unwrap_or(0);
        let one = |id: &str| {
            let key = cve_number(id)?;
            let at = self.search(self.cves, RECORD_BYTES, count, key)?;
            self.bytes.get(at..at + RECORD_BYTES).map(Known::read)
        };
        ids.into_iter()
            .filter_map(one)
            .fold(Known::default(), Known::joined)
    }

    fn advisory(&self, number: u32) -> Option<Advisory> {
        self.record(self.offsets, self.blob, number)
    }

    /// Reads one record of the texts at `texts`, cut where `offsets` says.
    fn record<T: DeserializeOwned>(&self, offsets: usize, texts: usize, number: u32) -> Option<T> {
        let at = offsets + 8 * number as usize;
        let start = usize::try_from(u64_at(&self.bytes, at)?).ok()?;
        let end = usize::try_from(u64_at(&self.bytes, at + 8)?).ok()?;
        let json = self.bytes.get(texts + start..texts + end)?;
        serde_json::from_slice(json).ok()
    }

    /// Returns where the record with `key` starts.
    fn search(&self, start: usize, bytes_each: usize, count: usize, key: u64) -> Option<usize> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = start + middle * bytes_each;
            match u64_at(&self.bytes, at)?.cmp(&key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(at),
            }
        }
        None
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Writes bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advisory(id: &str, aliases: &[&str]) -> Advisory {
        let record = serde_json::json!({
            "id": id, "aliases": aliases,
            "affected": [{"package": {"ecosystem": "npm", "name": "p"}, "versions": ["1.0.0"]}],
        });
        Advisory::from_osv(record.to_string().as_bytes()).expect("a record")
    }

    fn index(advisories: Vec<Advisory>) -> Index {
        let mut builder = Builder::default();
        advisories.into_iter().for_each(|a| builder.advisory(a));
        Index::open(builder.finish("here")).expect("our own index")
    }

    #[test]
    fn records_of_one_vulnerability_are_one_group() {
        let index = index(vec![
            advisory("PYSEC-1", &["GHSA-a"]),
            advisory("PYSEC-2", &["CVE-2024-2", "GHSA-b"]),
            advisory("GHSA-a", &["CVE-2024-2"]),
            advisory("GHSA-c", &[]),
        ]);
        let found = index.of_package(&Ecosystem::Npm, "p");
        let groups: Vec<_> = found.iter().map(|a| (&*a.id, &*a.group)).collect();
        assert_eq!(
            groups,
            [
                ("GHSA-a", "CVE-2024-2"),
                ("GHSA-c", "GHSA-c"),
                ("PYSEC-1", "CVE-2024-2"),
                ("PYSEC-2", "CVE-2024-2"),
            ]
        );
        assert_eq!(index.find("GHSA-b").expect("an alias").id, "PYSEC-2");
        assert!(index.of_package(&Ecosystem::Cargo, "p").is_empty());
        assert!(index.covers(&Ecosystem::Npm) && !index.covers(&Ecosystem::Go));
    }

    fn statement(vulnerability: &str, aliases: &[&str], issuer: &str) -> Statement {
        Statement {
            vulnerability: vulnerability.to_owned(),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            products: vec!["pkg:npm/p".to_owned()],
            components: Vec::new(),
            status: crate::vex::Status::NotAffected,
            justification: String::new(),
            issuer: issuer.to_owned(),
            date: None,
        }
    }

    #[test]
    fn statements_are_found_under_every_id_once_and_in_one_order() {
        let given = [
            statement("CVE-2024-1", &["GHSA-a"], "one"),
            statement("GHSA-a", &[], "two"),
            statement("CVE-2024-1", &[], "three"),
            statement("CVE-2024-2", &["GHSA-a"], "four"),
            statement("CVE-2024-3", &[], "five"),
        ];
        let said = |order: &[usize], ids: &[&str]| -> Vec<String> {
            let mut builder = Builder::default();
            order
                .iter()
                .for_each(|n| builder.statement(given[*n].clone()));
            builder.advisory(advisory("CVE-2024-1", &[]));
            let index = Index::open(builder.finish("here")).expect("our own index");
            assert_eq!(index.statements(), order.len());
            let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
            index.said_of(&ids).into_iter().map(|s| s.issuer).collect()
        };
        let sorted = |order: &[usize], ids: &[&str]| {
            let mut found = said(order, ids);
            found.sort();
            found
        };
        for order in [[0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [3, 4, 1, 0, 2]] {
            assert_eq!(sorted(&order, &["CVE-2024-1"]), ["one", "three"]);
            assert_eq!(sorted(&order, &["GHSA-a"]), ["four", "one", "two"]);
            // One that is found under two ids is there once.
            let both = sorted(&order, &["CVE-2024-1", "GHSA-a"]);
            assert_eq!(both, ["four", "one", "three", "two"]);
            assert_eq!(sorted(&order, &["CVE-2024-3"]), ["five"]);
            assert!(sorted(&order, &["CVE-2024-9", ""]).is_empty());
            // The order is that of the index, which is the same for the same feeds.
            let forward = said(&order, &["CVE-2024-1", "GHSA-a"]);
            assert_eq!(forward, said(&[0, 1, 2, 3, 4], &["GHSA-a", "CVE-2024-1"]));
        }
        assert!(said(&[], &["CVE-2024-1"]).is_empty());
    }

    #[test]
    fn one_record_cannot_make_one_vulnerability_of_all() {
        let many: Vec<String> = (0..1000).map(|n| format!("CVE-2024-{n:04}")).collect();
        let mut records: Vec<_> = many.iter().map(|id| advisory(id, &[])).collect();
        let all: Vec<&str> = many.iter().map(String::as_str).collect();
        records.push(advisory("EVIL-1", &all));
        let index = index(records);
        let groups: std::collections::BTreeSet<_> = index
            .of_package(&Ecosystem::Npm, "p")
            .into_iter()
            .map(|a| a.group)
            .collect();
        assert!(groups.len() > 900, "{}", groups.len());
    }

    #[test]
    fn damaged_indexes_are_refused() {
        let mut builder = Builder::default();
        builder.advisory(advisory("CVE-2024-1", &[]));
        builder.known("CVE-2024-1", Known::default());
        let good = builder.finish("here");
        assert!(Index::open(good.clone()).is_ok());
        for cut in [0, 7, 20, 41, good.len() - 1] {
            assert!(Index::open(good[..cut].to_vec()).is_err(), "{cut}");
        }
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(Index::open(bad).is_err(), "{at}");
        }
    }

    #[test]
    fn same_feeds_make_the_same_bytes() {
        let make = |order: &[usize]| {
            let mut builder = Builder::default();
            for n in order {
                builder.advisory(advisory(&format!("CVE-2024-{n}"), &[]));
                builder.known(&format!("CVE-2024-{n}"), Known::default());
            }
            builder.finish("here")
        };
        assert_eq!(make(&[1, 2, 3]), make(&[3, 1, 2]));
    }
}
