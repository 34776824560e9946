//! Upgrades that make findings go away, the smallest that resolves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    advisory::{Advisory, Event, Says},
    component::Ecosystem,
    matching::{Match, Matcher, sort_versions},
    version::{Scheme, Version},
};

/// One proposed change of one component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Remedy {
    /// The component as it is.
    pub purl: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub from: String,
    /// The smallest known version without any of the findings; none when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How it can be taken.
    pub how: How,
    /// The vulnerabilities that go away.
    pub closes: Vec<String>,
}

/// How an upgrade can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Every component above it accepts the version: a new lock file is enough.
    Relock,
    /// Some component above it does not accept the version, so that one moves too.
    MoveParents,
    /// The lock file does not say what is accepted.
    Unknown,
    /// No version without the findings is known: mitigate.
    NoFix,
}

impl How {
    /// Returns it in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Relock => "update the lock file",
            Self::MoveParents => "what requires it has to move too",
            Self::Unknown => "upgrade",
            Self::NoFix => "no fixed version is known: mitigate",
        }
    }
}

/// Proposes one change for every affected component.
pub fn propose(affected: &[Match], matcher: &mut Matcher<'_>) -> Vec<Remedy> {
    let mut by_component: BTreeMap<&str, Vec<&Match>> = BTreeMap::new();
    for found in affected {
        by_component
            .entry(&found.component.purl)
            .or_default()
            .push(found);
    }
    by_component
        .into_values()
        .filter_map(|found| one(&found, matcher))
        .collect()
}

fn one(found: &[&Match], matcher: &mut Matcher<'_>) -> Option<Remedy> {
    let component = &found.first()?.component;
    let from = component.version.clone()?;
    let advisories = matcher.advisories(&component.ecosystem, &component.name);
    let to = smallest_clean(&component.ecosystem, &component.name, &from, &advisories);
    let how = match &to {
        None => How::NoFix,
        Some(_) if component.accepted.is_empty() => How::Unknown,
        Some(to) if accepted(&component.accepted, to) => How::Relock,
        Some(_) => How::MoveParents,
    };
    Some(Remedy {
        purl: component.purl.clone(),
        name: component.name.clone(),
        from,
        to,
        how,
        closes: found.iter().map(|m| m.vulnerability.clone()).collect(),
    })
}

/// Returns whether every range of npm holds `version`.
fn accepted(ranges: &[String], version: &str) -> bool {
    let Ok(version) = nodejs_semver::Version::parse(version) else {
        return false;
    };
    ranges.iter().all(|range| {
        let range = range.strip_prefix("npm:").map_or(range.as_str(), |alias| {
            alias.rsplit_once('@').map_or("*", |(_, range)| range)
        });
        nodejs_semver::Range::parse(range).is_ok_and(|range| range.satisfies(&version))
    })
}

/// Returns the smallest version above `from` that some advisory calls fixed and none
/// calls affected. One step to the first fix often lands in the next vulnerability.
fn smallest_clean(
    ecosystem: &Ecosystem,
    name: &str,
    from: &str,
    advisories: &[Advisory],
) -> Option<String> {
    let scheme = Scheme::of(ecosystem)?;
    let current = scheme.read(from).ok()?;
    let of_package = || {
        advisories
            .iter()
            .filter(|a| a.withdrawn.is_none() && a.informational.is_none())
            .flat_map(|a| &a.affected)
            .filter(|a| a.ecosystem == *ecosystem && a.name == name)
    };
    let events = of_package().flat_map(|a| &a.ranges).flat_map(|r| &r.events);
    let mut candidates: Vec<String> = events
        .filter_map(|event| match event {
            Event::Fixed(version) => Some(version.clone()),
            _ => None,
        })
        .filter(|version| scheme.read(version).is_ok_and(|v| newer(&v, &current)))
        .collect();
    sort_versions(ecosystem, &mut candidates);
    candidates.into_iter().find(|candidate| {
        let read = scheme.read(candidate).ok();
        of_package().all(|a| matches!(a.says(candidate, read.as_ref()), Says::NotAffected))
    })
}

fn newer(a: &Version, b: &Version) -> bool {
    a.compare(b).is_ok_and(std::cmp::Ordering::is_gt)
}
