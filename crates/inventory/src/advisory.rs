//! Advisories, read from OSV records (schema 1.7) into what matching needs.
//!
//! # Invariants
//!
//! * A record of an unknown ecosystem or severity type is kept: the schema grows.
//! * What a record says about versions is kept whole: `versions` and every range. The
//!   one that cannot be read stays as [`Affected::raw`], so that it is reported as
//!   unassessed instead of taken for "not affected".

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    component::{Ecosystem, bounded},
    version::{Scheme, Version},
};

/// Longest summary that is kept, in characters.
const MAX_SUMMARY_CHARS: usize = 160;
/// Most ranges, events or versions of one package that are kept.
const MAX_LIST: usize = 20_000;

/// One advisory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// The id its publisher gave it.
    pub id: String,
    /// The id of its alias group: the smallest CVE, else the smallest id.
    #[serde(default)]
    pub group: String,
    /// Its other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it is about, cut short.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// CVSS vectors as published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<String>,
    /// When it was published.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub published: String,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub modified: String,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// Why it is no vulnerability: `unmaintained`, `unsound`, `notice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub informational: Option<String>,
    /// It refers to a demonstration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub demonstrated: bool,
    /// Packages and their versions.
    pub affected: Vec<Affected>,
}

/// The versions of one package that an advisory speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Who gives the name its meaning.
    pub ecosystem: Ecosystem,
    /// The package.
    pub name: String,
    /// Ranges of versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// Versions one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// A range in the notation of npm, where the record has no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// Events of one range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Events as the record lists them.
    pub events: Vec<Event>,
}

/// Where a range begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Affected from here on; `0` is before every version.
    Introduced(String),
    /// No longer affected from here on.
    Fixed(String),
    /// The last affected version.
    LastAffected(String),
    /// Nothing is said from here on.
    Limit(String),
}

/// What an advisory says about one version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is affected. The fixed versions that end the ranges it is in.
    Affected {
        /// As the record writes them.
        fixed: Vec<String>,
    },
    /// It is not.
    NotAffected,
    /// It cannot be told, and why.
    Unclear(String),
}

impl Affected {
    /// Returns what this says about `version`, which was read as `read`.
    ///
    /// Follows the evaluation of the OSV schema: affected when listed in `versions` or
    /// within a range.
    #[must_use]
    pub fn says(&self, version: &str, read: Option<&Version>) -> Says {
        let mut fixed = Vec::new();
        let mut hit = self.versions.iter().any(|listed| listed == version);
        let mut unclear = None;
        let scheme = Scheme::of(&self.ecosystem);
        for range in &self.ranges {
            let (Some(scheme), Some(read)) = (scheme, read) else {
                unclear = Some("no rule orders this version".to_owned());
                continue;
            };
            match range.holds(scheme, read) {
                Ok(Some(fix)) => {
                    hit = true;
                    fixed.extend(fix);
                }
                Ok(None) => {}
                Err(bad) => unclear = Some(format!("the advisory names the version `{bad}`")),
            }
        }
        if let Some(raw) = &self.raw {
            match npm_range(raw, version) {
                Some(true) => hit = true,
                Some(false) => {}
                None => unclear = Some(format!("the advisory names the range `{raw}`")),
            }
        }
        match (hit, unclear) {
            (true, _) => Says::Affected { fixed },
            (false, Some(why)) => Says::Unclear(why),
            (false, None) => Says::NotAffected,
        }
    }
}

/// Returns whether `version` is in a range of npm. `None` when either is unreadable,
/// or for a pre-release, which npm's rule leaves out of ranges that vulnerability
/// follows all the same.
fn npm_range(raw: &str, version: &str) -> Option<bool> {
    let version = nodejs_semver::Version::parse(version).ok()?;
    let range = nodejs_semver::Range::parse(raw).ok()?;
    if version.is_prerelease() && !range.satisfies(&version) {
        return None;
    }
    Some(range.satisfies(&version))
}

impl Range {
    /// Returns `Some(fix)` when `version` is inside, with the version that ends it.
    fn holds(&self, scheme: Scheme, version: &Version) -> Result<Option<Option<String>>, String> {
        let mut events = Vec::with_capacity(self.events.len());
        for event in &self.events {
            let text = event.version();
            let at = match event {
                Event::Introduced(zero) if zero == "0" => None,
                _ => Some(scheme.read(text).map_err(|_| text.to_owned())?),
            };
            events.push((at, event));
        }
        let order = |a: &Option<Version>, b: &Option<Version>| match (a, b) {
            (None, None) => std::cmp::Ordering::Equal,
            (None, _) => std::cmp::Ordering::Less,
            (_, None) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.compare(b).unwrap_or(std::cmp::Ordering::Equal),
        };
        events.sort_by(|(a, x), (b, y)| order(a, b).then_with(|| x.rank().cmp(&y.rank())));
        let mut inside = false;
        for (at, event) in &events {
            let reached = match at {
                None => std::cmp::Ordering::Greater,
                Some(at) => version
                    .compare(at)
                    .map_err(|_| event.version().to_owned())?,
            };
            match event {
                Event::Introduced(_) if reached.is_ge() => inside = true,
                Event::Fixed(_) | Event::Limit(_) if reached.is_ge() => inside = false,
                Event::LastAffected(_) if reached.is_gt() => inside = false,
                Event::Fixed(fix) if inside => return Ok(Some(Some(fix.clone()))),
                Event::LastAffected(_) | Event::Limit(_) if inside => return Ok(Some(None)),
                _ => {}
            }
        }
        Ok(inside.then_some(None))
    }
}

impl Event {
    fn version(&self) -> &str {
        match self {
            Self::Introduced(v) | Self::Fixed(v) | Self::LastAffected(v) | Self::Limit(v) => v,
        }
    }

    /// At one version a range begins before it ends with that version: it may be the only
    /// one. A fix stays where the record has it: before a beginning at the same version
    /// it ends what was earlier, after one it leaves nothing (RustSec's 45.0.0 to 45.0.0).
    fn rank(&self) -> u8 {
        match self {
            Self::Introduced(_) | Self::Fixed(_) => 0,
            Self::LastAffected(_) | Self::Limit(_) => 1,
        }
    }
}

/// An OSV record, as far as it is used.
#[derive(Deserialize)]
struct Record<'a> {
    id: String,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default, borrow)]
    summary: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    details: Option<Cow<'a, str>>,
    #[serde(default)]
    published: Option<String>,
    #[serde(default)]
    modified: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    severity: Option<Vec<SeverityRecord>>,
    #[serde(default, borrow)]
    references: Option<Vec<ReferenceRecord<'a>>>,
    #[serde(default)]
    affected: Option<Vec<AffectedRecord>>,
}

#[derive(Deserialize)]
struct SeverityRecord {
    #[serde(default)]
    score: String,
}

#[derive(Deserialize)]
struct ReferenceRecord<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct AffectedRecord {
    #[serde(default)]
    package: Option<PackageRecord>,
    #[serde(default)]
    ranges: Option<Vec<RangeRecord>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    severity: Option<Vec<SeverityRecord>>,
    #[serde(default)]
    database_specific: Option<SpecificRecord>,
}

#[derive(Deserialize)]
struct PackageRecord {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct RangeRecord {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<EventRecord>,
}

#[derive(Deserialize)]
struct EventRecord {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

#[derive(Deserialize)]
struct SpecificRecord {
    #[serde(default)]
    informational: Option<String>,
    #[serde(default)]
    vulnerable_range_raw: Option<String>,
}

impl Advisory {
    /// Reads an OSV record.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn from_osv(json: &[u8]) -> Result<Self, serde_json::Error> {
        let record: Record<'_> = serde_json::from_slice(json)?;
        let mut informational = None;
        let mut affected = Vec::new();
        let mut severity = record.severity.unwrap_or_default();
        for entry in record.affected.unwrap_or_default() {
            severity.extend(entry.severity.into_iter().flatten());
            let Some(package) = entry.package else {
                continue;
            };
            let specific = entry.database_specific;
            let (about, raw) = match specific {
                Some(s) => (s.informational, s.vulnerable_range_raw),
                None => (None, None),
            };
            informational = informational.or(about);
            let ecosystem = Ecosystem::from_osv(&package.ecosystem);
            let ranges: Vec<Range> = entry
                .ranges
                .into_iter()
                .flatten()
                .filter(|range| range.kind != "GIT")
                .map(|range| Range {
                    events: range
                        .events
                        .into_iter()
                        .filter_map(event)
                        .take(MAX_LIST)
                        .collect(),
                })
                .take(MAX_LIST)
                .collect();
            let mut affected_entry = Affected {
                name: ecosystem.normal_name(&package.name),
                ecosystem,
                raw: raw.filter(|_| ranges.is_empty()),
                ranges,
                versions: entry.versions.unwrap_or_default(),
            };
            affected_entry.versions.truncate(MAX_LIST);
            affected_entry.drop_covered();
            affected.push(affected_entry);
        }
        let summary = record.summary.or(record.details).unwrap_or_default();
        let kinds = record.references.unwrap_or_default();
        let demonstrated = kinds.iter().any(|r| r.kind.as_deref() == Some("EVIDENCE"));
        let mut vectors: Vec<String> = severity.into_iter().map(|s| bounded(&s.score)).collect();
        vectors.dedup();
        Ok(Self {
            group: String::new(),
            id: bounded(&record.id),
            aliases: record.aliases.unwrap_or_default(),
            summary: summary.chars().take(MAX_SUMMARY_CHARS).collect(),
            vectors,
            published: record.published.unwrap_or_default(),
            modified: record.modified.unwrap_or_default(),
            withdrawn: record.withdrawn,
            informational,
            demonstrated,
            affected,
        })
    }
}

fn event(record: EventRecord) -> Option<Event> {
    record
        .introduced
        .map(Event::Introduced)
        .or(record.fixed.map(Event::Fixed))
        .or(record.last_affected.map(Event::LastAffected))
        .or(record.limit.map(Event::Limit))
}

impl Affected {
    /// Drops listed versions that a range holds as well: two thirds of the packed
    /// Python records are such lists.
    fn drop_covered(&mut self) {
        let Some(scheme) = Scheme::of(&self.ecosystem) else {
            return;
        };
        if self.ranges.is_empty() {
            return;
        }
        let listed = std::mem::take(&mut self.versions);
        let is_new = |version: &String| {
            let read = scheme.read(version).ok();
            !matches!(self.says(version, read.as_ref()), Says::Affected { .. })
        };
        self.versions = listed.into_iter().filter(is_new).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a record with these events and versions says about each version.
    fn check(ecosystem: &str, affected: &str, expected: &[(&str, &str)]) {
        let record = format!(
            r#"{{"id":"X-1","affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"p"}},{affected}}}]}}"#
        );
        let advisory = Advisory::from_osv(record.as_bytes()).expect("a record");
        let entry = &advisory.affected[0];
        let scheme = Scheme::of(&entry.ecosystem).expect("a rule");
        for (version, says) in expected {
            let read = scheme.read(version).ok();
            let got = match entry.says(version, read.as_ref()) {
                Says::Affected { fixed } if fixed.is_empty() => "affected".to_owned(),
                Says::Affected { fixed } => format!("affected, fixed in {}", fixed.join(" ")),
                Says::NotAffected => "not affected".to_owned(),
                Says::Unclear(why) => why,
            };
            assert_eq!(got, *says, "{version}");
        }
    }

    #[test]
    fn ranges_hold_what_their_events_say() {
        check(
            "npm",
            r#""ranges":[{"type":"SEMVER","events":[{"introduced":"2.0.0"},{"fixed":"2.1.3"},{"introduced":"0"},{"fixed":"1.4.2"}]}]"#,
            &[
                ("1.4.1", "affected, fixed in 1.4.2"),
                ("1.4.2", "not affected"),
                ("2.0.0-rc.1", "not affected"),
                ("2.1.2", "affected, fixed in 2.1.3"),
                ("2.1.3", "not affected"),
                ("latest", "no rule orders this version"),
            ],
        );
        check(
            "PyPI",
            r#""ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1.0"},{"last_affected":"1.5"}]}],"versions":["1.2","0.9-legacy"]"#,
            &[
                ("1.5.0", "affected"),
                ("1.5.post1", "not affected"),
                ("0.9-legacy", "affected"),
                ("0.8-legacy", "no rule orders this version"),
            ],
        );
        check(
            "npm",
            r#""ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"last_affected":"1.0.0"}]}]"#,
            &[("1.0.0", "affected"), ("1.0.1", "not affected")],
        );
    }

    #[test]
    fn commits_say_nothing_about_versions() {
        check(
            "crates.io",
            r#""ranges":[{"type":"GIT","repo":"x","events":[{"introduced":"0"}]}],"versions":["1.0.0"]"#,
            &[("1.0.0", "affected"), ("1.1.0", "not affected")],
        );
    }

    #[test]
    fn bounds_at_one_version_are_read_in_their_order() {
        // Nothing: RustSec says so of releases that were never affected.
        check(
            "crates.io",
            r#""ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"},{"fixed":"44.0.2"},{"introduced":"45.0.0"},{"fixed":"45.0.0"}]}]"#,
            &[
                ("44.0.1", "affected, fixed in 44.0.2"),
                ("45.0.0", "not affected"),
                ("46.0.0", "not affected"),
            ],
        );
        // One range after another.
        check(
            "crates.io",
            r#""ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"fixed":"2.0.0"},{"introduced":"2.0.0"},{"fixed":"3.0.0"}]}]"#,
            &[
                ("1.5.0", "affected, fixed in 2.0.0"),
                ("2.0.0", "affected, fixed in 3.0.0"),
                ("3.0.0", "not affected"),
            ],
        );
        // One version alone, whatever comes first.
        for events in [
            r#"{"introduced":"2.1.4"},{"last_affected":"2.1.4"}"#,
            r#"{"last_affected":"2.1.4"},{"introduced":"2.1.4"}"#,
        ] {
            check(
                "npm",
                &format!(r#""ranges":[{{"type":"SEMVER","events":[{events}]}}]"#),
                &[
                    ("2.1.3", "not affected"),
                    ("2.1.4", "affected"),
                    ("2.1.5", "not affected"),
                ],
            );
        }
    }

    #[test]
    fn ranges_of_npm_stand_in_for_missing_events() {
        check(
            "npm",
            r#""database_specific":{"vulnerable_range_raw":"2.0.x || 2.1.x"}"#,
            &[("2.0.7", "affected"), ("2.2.0", "not affected")],
        );
        check(
            "npm",
            r#""database_specific":{"vulnerable_range_raw":"< unspecified"}"#,
            &[("2.0.7", "the advisory names the range `< unspecified`")],
        );
    }

    #[test]
    fn unreadable_events_are_unclear_not_safe() {
        check(
            "npm",
            r#""ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"next"}]}]"#,
            &[("1.0.0", "the advisory names the version `next`")],
        );
    }

    #[test]
    fn listed_versions_that_a_range_holds_are_dropped() {
        let record = br#"{"id":"X","affected":[{"package":{"ecosystem":"PyPI","name":"P_x"},
            "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2"}]}],
            "versions":["1.0","1.1","3.0"]}]}"#;
        let advisory = Advisory::from_osv(record).expect("a record");
        assert_eq!(advisory.affected[0].versions, ["3.0"]);
        assert_eq!(advisory.affected[0].name, "p-x");
    }
}
