//! Upgrades that make findings go away, the smallest that resolves.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    advisory::{Advisory, Event, Says},
    component::Ecosystem,
    matching::{Located, Match, Matcher, sort_versions},
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

/// The upgrade of one deployed version that ends one finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Upgrade {
    /// The deployed version.
    pub from: String,
    /// The smallest version that ends this finding and leaves the fewest others; none when
    /// no known version ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How it can be taken.
    pub how: How,
}

/// Where an upgrade of a component leads.
#[derive(Debug)]
struct Goal {
    to: String,
    /// Vulnerabilities that are still there.
    left: BTreeSet<String>,
}

/// Finds upgrades, each once.
#[derive(Debug, Default)]
pub struct Advisor {
    goals: HashMap<(Ecosystem, String, String), Option<Arc<Goal>>>,
}

impl Advisor {
    /// Returns the upgrade of `component` that ends `vulnerability`; none where the
    /// deployed version is not known.
    pub fn upgrade(
        &mut self,
        component: &Located,
        vulnerability: &str,
        matcher: &mut Matcher<'_>,
    ) -> Option<Upgrade> {
        let from = component.version.clone()?;
        let goal = self.goal(component, &from, matcher);
        let goal = goal.filter(|goal| !goal.left.contains(vulnerability));
        Some(Upgrade {
            how: how(component, goal.as_deref()),
            to: goal.map(|goal| goal.to.clone()),
            from,
        })
    }

    fn goal(
        &mut self,
        component: &Located,
        from: &str,
        matcher: &mut Matcher<'_>,
    ) -> Option<Arc<Goal>> {
        let Located {
            ecosystem, name, ..
        } = component;
        let key = (ecosystem.clone(), name.clone(), from.to_owned());
        let found = self.goals.entry(key);
        let found = found.or_insert_with(|| {
            let advisories = matcher.advisories(ecosystem, name);
            goal(ecosystem, name, from, &advisories).map(Arc::new)
        });
        found.clone()
    }
}

fn how(component: &Located, goal: Option<&Goal>) -> How {
    match goal {
        None => How::NoFix,
        Some(_) if component.accepted.is_empty() => How::Unknown,
        Some(goal) if accepted(&component.accepted, &goal.to) => How::Relock,
        Some(_) => How::MoveParents,
    }
}

/// Proposes one change for every affected component, and names what no version ends.
pub fn propose(affected: &[Match], matcher: &mut Matcher<'_>) -> Vec<Remedy> {
    let mut advisor = Advisor::default();
    let mut remedies: BTreeMap<(&str, Option<String>), Remedy> = BTreeMap::new();
    for found in affected {
        let component = &found.component;
        let upgrade = advisor.upgrade(component, &found.vulnerability, matcher);
        let Some(Upgrade { from, to, how }) = upgrade else {
            continue;
        };
        let remedy = remedies.entry((&component.purl, to.clone()));
        let remedy = remedy.or_insert_with(|| Remedy {
            purl: component.purl.clone(),
            name: component.name.clone(),
            from,
            to,
            how,
            closes: Vec::new(),
        });
        remedy.closes.push(found.vulnerability.clone());
    }
    remedies.into_values().collect()
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

/// Returns the smallest version above `from` that some advisory calls fixed and that none
/// calls affected; where each is affected by something, the one that leaves the fewest, if
/// that are fewer than now. One step to the first fix often lands in the next
/// vulnerability.
fn goal(ecosystem: &Ecosystem, name: &str, from: &str, advisories: &[Advisory]) -> Option<Goal> {
    let scheme = Scheme::of(ecosystem)?;
    let current = scheme.read(from).ok()?;
    let of_package = || {
        advisories
            .iter()
            .filter(|a| a.withdrawn.is_none() && a.informational.is_none())
            .flat_map(|advisory| advisory.affected.iter().map(move |a| (advisory, a)))
            .filter(|(_, a)| a.ecosystem == *ecosystem && a.name == name)
    };
    let left = |version: &str, read: Option<&Version>| -> BTreeSet<String> {
        of_package()
            .filter(|(_, a)| !matches!(a.says(version, read), Says::NotAffected))
            .map(|(advisory, _)| advisory.group.clone())
            .collect()
    };
    let ranges = of_package().flat_map(|(_, a)| &a.ranges);
    let mut candidates: Vec<String> = ranges
        .flat_map(|range| &range.events)
        .filter_map(|event| match event {
            Event::Fixed(version) => Some(version.clone()),
            _ => None,
        })
        .filter(|version| scheme.read(version).is_ok_and(|v| newer(&v, &current)))
        .collect();
    sort_versions(ecosystem, &mut candidates);
    candidates.dedup();
    let mut best: Option<Goal> = None;
    let mut fewest = left(from, Some(&current)).len();
    for to in candidates {
        let left = left(&to, scheme.read(&to).ok().as_ref());
        if left.len() < fewest {
            fewest = left.len();
            best = Some(Goal { to, left });
        }
        if fewest == 0 {
            break;
        }
    }
    best
}

fn newer(a: &Version, b: &Version) -> bool {
    a.compare(b).is_ok_and(std::cmp::Ordering::is_gt)
}
