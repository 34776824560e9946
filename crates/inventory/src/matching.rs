//! Components against advisories: affected, not affected, or not assessed and why.
//!
//! # Invariants
//!
//! * Every component ends in exactly one of the three states for every vulnerability
//!   that names it, and the numbers of an [`Assessment`] are counted from its lists.
//! * A statement of VEX turns "affected" into "not affected" only when its issuer is
//!   trusted; otherwise it is shown as a claim.
//! * Informational records (unmaintained, unsound, notice) are no vulnerabilities.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    advisory::{Advisory, Says},
    component::{Component, Ecosystem, Inventory, Origin, Scope, purl},
    index::Index,
    version::{Scheme, Version},
    vex::{self, Statement},
};

/// Most places that are kept of one component.
const MAX_PLACES: usize = 32;

/// A component with every place that names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Located {
    /// Its package URL.
    pub purl: String,
    /// Who gives the name its meaning.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Its version, where it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The nearest use of it.
    pub scope: Scope,
    /// What names it.
    pub places: Vec<String>,
    /// Versions that the components above it accept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
}

/// The state of one component for one vulnerability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Standing {
    /// Its version is in an affected range.
    Affected,
    /// A trusted statement says that it cannot be exploited here.
    NotAffected {
        /// Who says so.
        issuer: String,
        /// Why.
        justification: String,
    },
    /// It could not be told.
    Unassessed {
        /// Why.
        reason: String,
    },
}

/// One vulnerability of one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The id of the alias group.
    pub vulnerability: String,
    /// Every id of it.
    pub ids: Vec<String>,
    /// What it is about.
    pub summary: String,
    /// The component.
    pub component: Located,
    /// Its state.
    pub standing: Standing,
    /// Versions that end the ranges it is in, the smallest first.
    pub fixed: Vec<String>,
    /// CVSS vectors as published.
    pub vectors: Vec<String>,
    /// An advisory refers to a demonstration.
    pub demonstrated: bool,
    /// When it was published first.
    pub published: String,
    /// Statements of issuers that are not trusted, as `issuer: status`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
}

/// A component that was not assessed at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unassessed {
    /// The component.
    pub component: Located,
    /// Why.
    pub reason: String,
}

/// A record that is no vulnerability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Notice {
    /// The component.
    pub component: Located,
    /// The record.
    pub id: String,
    /// `unmaintained`, `unsound` or `notice`.
    pub sort: String,
    /// What it says.
    pub summary: String,
}

/// What became of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// Distinct components.
    pub components: usize,
    /// Vulnerabilities of components, in all three states.
    pub matches: Vec<Match>,
    /// Components that were not assessed.
    pub unassessed: Vec<Unassessed>,
    /// Records that are no vulnerabilities.
    pub notices: Vec<Notice>,
}

impl Assessment {
    /// Returns the vulnerabilities that count.
    pub fn affected(&self) -> impl Iterator<Item = &Match> {
        let is = |m: &&Match| m.standing == Standing::Affected;
        self.matches.iter().filter(is)
    }

    /// Returns whether everything was assessed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let unclear = |m: &Match| matches!(m.standing, Standing::Unassessed { .. });
        self.unassessed.is_empty() && !self.matches.iter().any(unclear)
    }
}

/// Assesses components against one index. What it looked up, and what it said of a
/// component, it keeps: many servers are made of the same parts.
#[derive(Debug)]
pub struct Matcher<'a> {
    index: &'a Index,
    trusted: Vec<String>,
    packages: HashMap<(Ecosystem, String), Arc<Vec<Advisory>>>,
    verdicts: HashMap<Identity<'a>, Option<Arc<Verdict>>>,
}

/// What a verdict depends on: the component, and the product it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Identity<'a> {
    ecosystem: &'a Ecosystem,
    name: &'a str,
    version: Option<&'a str>,
    origin: Origin,
    product: Option<&'a str>,
}

/// What is said of a component, wherever it lies; its places are not filled in.
#[derive(Debug, Default)]
struct Verdict {
    matches: Vec<Match>,
    notices: Vec<Notice>,
    unassessed: Option<String>,
}

impl<'a> Matcher<'a> {
    /// Returns a matcher over `index`. Statements of VEX by the `trusted` issuers
    /// count, those of others are claims.
    #[must_use]
    pub fn new(index: &'a Index, trusted: Vec<String>) -> Self {
        Self {
            index,
            trusted,
            packages: HashMap::new(),
            verdicts: HashMap::new(),
        }
    }

    /// Assesses every component of `inventory`.
    pub fn assess(&mut self, inventory: &'a Inventory) -> Assessment {
        let mut sorted: Vec<(Identity<'a>, &Component)> = inventory
            .components
            .iter()
            .map(|component| (Identity::of(component, inventory), component))
            .collect();
        // Stable, so that places stay in the order they were read in.
        sorted.sort_by_key(|(identity, _)| *identity);
        let mut assessment = Assessment::default();
        for same in sorted.chunk_by(|(a, _), (b, _)| a == b) {
            assessment.components += 1;
            let identity = same[0].0;
            let verdict = match self.verdicts.get(&identity) {
                Some(known) => known.clone(),
                None => {
                    let said = self.judge(identity);
                    self.verdicts.insert(identity, said.clone());
                    said
                }
            };
            if let Some(verdict) = verdict {
                verdict.at(&locate(identity, same), &mut assessment);
            }
        }
        assessment.matches.sort_by(|a, b| {
            (&a.component.purl, &a.vulnerability).cmp(&(&b.component.purl, &b.vulnerability))
        });
        assessment.notices.sort();
        assessment.notices.dedup();
        assessment
    }

    /// Returns the advisories that name a package.
    pub fn advisories(&mut self, ecosystem: &Ecosystem, name: &str) -> Arc<Vec<Advisory>> {
        let key = (ecosystem.clone(), name.to_owned());
        if let Some(known) = self.packages.get(&key) {
            return known.clone();
        }
        let found = Arc::new(self.index.of_package(ecosystem, name));
        self.packages.insert(key, found.clone());
        found
    }

    /// Returns what is to be said of a component: nothing, where no advisory concerns
    /// it and that is known to mean something.
    fn judge(&mut self, identity: Identity<'_>) -> Option<Arc<Verdict>> {
        let mut verdict = Verdict::default();
        let component = locate(identity, &[]);
        let advisories = self.advisories(&component.ecosystem, &component.name);
        let blind = blindness(
            self.index,
            &component,
            identity.origin,
            !advisories.is_empty(),
        );
        let Some(version) = &component.version else {
            verdict.unassessed = Some("no exact version is named".to_owned());
            return Some(Arc::new(verdict));
        };
        let read = Scheme::of(&component.ecosystem).and_then(|s| s.read(version).ok());
        let mut groups: BTreeMap<&str, Vec<(&Advisory, Says)>> = BTreeMap::new();
        for advisory in advisories.iter().filter(|a| a.withdrawn.is_none()) {
            let says = says(advisory, &component, version, read.as_ref());
            if let Some(sort) = &advisory.informational {
                if matches!(says, Says::Affected { .. }) {
                    verdict.notices.push(Notice {
                        component: component.clone(),
                        id: advisory.id.clone(),
                        sort: sort.clone(),
                        summary: advisory.summary.clone(),
                    });
                }
                continue;
            }
            groups
                .entry(&advisory.group)
                .or_default()
                .push((advisory, says));
        }
        let mut affected = false;
        for (group, said) in groups {
            if let Some(mut found) = joined(group, &said, &component) {
                self.apply_vex(&mut found, identity.product);
                affected |= found.standing == Standing::Affected;
                verdict.matches.push(found);
            }
        }
        // An affected version is a finding wherever it comes from; that others found
        // nothing means little when the number does not identify the code.
        verdict.unassessed = blind.filter(|_| !affected);
        let silent = verdict.matches.is_empty()
            && verdict.notices.is_empty()
            && verdict.unassessed.is_none();
        (!silent).then(|| Arc::new(verdict))
    }

    fn apply_vex(&self, found: &mut Match, product: Option<&str>) {
        if found.standing != Standing::Affected {
            return;
        }
        let component = Component {
            version: found.component.version.clone(),
            ..Component::new(
                found.component.ecosystem.clone(),
                &found.component.name,
                None,
                "",
            )
        };
        for statement in self.index.said_of(&found.ids) {
            if statement.is_about(&component, product) {
                heed(found, &statement, &self.trusted);
            }
        }
    }
}

impl<'a> Identity<'a> {
    fn of(component: &'a Component, inventory: &'a Inventory) -> Self {
        let (ecosystem, name, version) = component.identity();
        Self {
            ecosystem,
            name,
            version,
            origin: component.origin,
            product: inventory.product.as_deref(),
        }
    }
}

impl Verdict {
    /// Says it of `component`.
    fn at(&self, component: &Located, into: &mut Assessment) {
        into.matches.extend(self.matches.iter().map(|found| Match {
            component: component.clone(),
            ..found.clone()
        }));
        into.notices
            .extend(self.notices.iter().map(|notice| Notice {
                component: component.clone(),
                ..notice.clone()
            }));
        into.unassessed
            .extend(self.unassessed.iter().map(|reason| Unassessed {
                component: component.clone(),
                reason: reason.clone(),
            }));
    }
}

fn heed(found: &mut Match, statement: &Statement, trusted: &[String]) {
    let spares = matches!(
        statement.status,
        vex::Status::NotAffected | vex::Status::Fixed
    );
    if !spares {
        return;
    }
    if trusted.contains(&statement.issuer) {
        found.standing = Standing::NotAffected {
            issuer: statement.issuer.clone(),
            justification: statement.justification.clone(),
        };
    } else if found.claims.len() < 8 {
        let claim = format!(
            "{}: not affected, {}",
            statement.issuer, statement.justification
        );
        if !found.claims.contains(&claim) {
            found.claims.push(claim);
        }
    }
}

/// Returns why a look at the advisories would not mean much.
fn blindness(index: &Index, component: &Located, origin: Origin, named: bool) -> Option<String> {
    match origin {
        Origin::Repository => {
            return Some(
                "it is built from a repository, so its version does not identify its code"
                    .to_owned(),
            );
        }
        Origin::OtherRegistry => {
            return Some("it comes from another registry than the advisories speak of".to_owned());
        }
        Origin::Registry | Origin::Local => {}
    }
    if !index.covers(&component.ecosystem) {
        return Some(format!("no feed speaks of {}", component.ecosystem));
    }
    let Some(scheme) = Scheme::of(&component.ecosystem) else {
        return Some(format!(
            "there is no rule for versions of {}",
            component.ecosystem
        ));
    };
    let version = component.version.as_deref().unwrap_or_default();
    // A version that cannot be read matters where there is something to compare it with.
    if named && scheme.read(version).is_err() {
        return Some(format!(
            "its version is no version of {}",
            component.ecosystem
        ));
    }
    None
}

fn says(advisory: &Advisory, component: &Located, version: &str, read: Option<&Version>) -> Says {
    let mut result = Says::NotAffected;
    for affected in &advisory.affected {
        if affected.ecosystem != component.ecosystem || affected.name != component.name {
            continue;
        }
        match (affected.says(version, read), &mut result) {
            (Says::Affected { fixed }, Says::Affected { fixed: all }) => all.extend(fixed),
            (said @ Says::Affected { .. }, _) => result = said,
            (said @ Says::Unclear(_), Says::NotAffected) => result = said,
            _ => {}
        }
    }
    result
}

/// Joins what the records of one vulnerability say. One that says "affected" is
/// enough: databases differ in what they know, and the cautious one is followed.
fn joined(group: &str, said: &[(&Advisory, Says)], component: &Located) -> Option<Match> {
    let mut standing = None;
    let mut fixed = Vec::new();
    for (advisory, says) in said {
        match says {
            Says::Affected { fixed: more } => {
                standing = Some(Standing::Affected);
                fixed.extend(more.iter().cloned());
            }
            Says::Unclear(why) if standing.is_none() => {
                let reason = format!("{}: {why}", advisory.id);
                standing = Some(Standing::Unassessed { reason });
            }
            Says::Unclear(_) | Says::NotAffected => {}
        }
    }
    let standing = standing?;
    sort_versions(&component.ecosystem, &mut fixed);
    let ids = said
        .iter()
        .flat_map(|(a, _)| a.aliases.iter().chain([&a.id]))
        .cloned()
        .chain([group.to_owned()])
        .collect::<BTreeSet<_>>();
    let summaries = said.iter().map(|(a, _)| &a.summary);
    let vectors: BTreeSet<String> = said.iter().flat_map(|(a, _)| a.vectors.clone()).collect();
    let published = said
        .iter()
        .map(|(a, _)| &a.published)
        .filter(|p| !p.is_empty());
    Some(Match {
        vulnerability: group.to_owned(),
        ids: ids.into_iter().collect(),
        summary: summaries
            .max_by_key(|s| !s.is_empty())
            .cloned()
            .unwrap_or_default(),
        component: component.clone(),
        standing,
        fixed,
        vectors: vectors.into_iter().collect(),
        demonstrated: said.iter().any(|(a, _)| a.demonstrated),
        published: published.min().cloned().unwrap_or_default(),
        claims: Vec::new(),
    })
}

/// Sorts versions by the rule of their ecosystem and drops repetitions.
pub(crate) fn sort_versions(ecosystem: &Ecosystem, versions: &mut Vec<String>) {
    if versions.len() < 2 {
        return;
    }
    let scheme = Scheme::of(ecosystem);
    let mut read: Vec<(Option<Version>, String)> = versions
        .drain(..)
        .map(|text| (scheme.and_then(|scheme| scheme.read(&text).ok()), text))
        .collect();
    read.sort_by(|(x, a), (y, b)| match (x, y) {
        (Some(x), Some(y)) => x.compare(y).unwrap_or(std::cmp::Ordering::Equal),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.cmp(b),
    });
    versions.extend(read.into_iter().map(|(_, text)| text));
    versions.dedup();
}

/// Joins the places of one component.
fn locate(identity: Identity<'_>, named: &[(Identity<'_>, &Component)]) -> Located {
    let Identity {
        ecosystem,
        name,
        version,
        ..
    } = identity;
    let mut located = Located {
        purl: purl(ecosystem, name, version),
        ecosystem: ecosystem.clone(),
        name: name.to_owned(),
        version: version.map(str::to_owned),
        scope: named.first().map_or(Scope::Unstated, |(_, c)| c.scope),
        places: Vec::new(),
        accepted: Vec::new(),
    };
    for (_, component) in named {
        located.scope = nearer(located.scope, component.scope);
        if located.places.len() < MAX_PLACES {
            located.places.push(component.place.clone());
        }
        for range in &component.accepted {
            if !located.accepted.contains(range) {
                located.accepted.push(range.clone());
            }
        }
    }
    located
}

/// Of two uses the one that matters more: what runs before what only builds.
fn nearer(a: Scope, b: Scope) -> Scope {
    let rank = |scope: Scope| match scope {
        Scope::Direct => 0,
        Scope::Transitive => 1,
        Scope::Unstated => 2,
        Scope::Development => 3,
    };
    if rank(b) < rank(a) { b } else { a }
}

#[cfg(test)]
mod tests;
