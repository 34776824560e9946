//! One reader per sort of record.

use std::{borrow::Cow, str::FromStr as _};

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    advisory::Advisory,
    exploit::{Epss, Exploitation, Kev, Known, Points, Technical},
    index::Builder,
    vex,
};

use super::Kind;

/// What came of a record.
pub(super) struct Taken {
    pub(super) kind: Kind,
    /// The newest day it speaks of.
    pub(super) date: Option<Date>,
}

/// Tells the sort of a JSON record by its first members.
pub(super) fn sniff(json: &[u8]) -> Option<Kind> {
    #[derive(Deserialize)]
    struct Shape<'a> {
        #[serde(borrow, rename = "catalogVersion")]
        catalog: Option<Cow<'a, str>>,
        #[serde(rename = "dataType", borrow)]
        cve: Option<Cow<'a, str>>,
        ssvc: Option<serde::de::IgnoredAny>,
        state: Option<serde::de::IgnoredAny>,
        affected: Option<serde::de::IgnoredAny>,
        modified: Option<serde::de::IgnoredAny>,
        #[serde(rename = "@context", borrow)]
        context: Option<Cow<'a, str>>,
        doc: Option<serde::de::IgnoredAny>,
        document: Option<serde::de::IgnoredAny>,
        #[serde(rename = "bomFormat")]
        bom: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape<'_> = serde_json::from_slice(json).ok()?;
    if shape.catalog.is_some() {
        return Some(Kind::Kev);
    }
    if shape.cve.as_deref() == Some("CVE_RECORD") {
        return Some(Kind::Points);
    }
    if shape.context.is_some_and(|c| c.contains("openvex"))
        || shape.doc.is_some()
        || shape.document.is_some()
        || shape.bom.is_some()
    {
        return Some(Kind::Vex);
    }
    if shape.modified.is_some() {
        return Some(Kind::Advisories);
    }
    // The packed points of vulnrichment: a state, and points where CISA gave some.
    if shape.ssvc.is_some() || (shape.state.is_some() && shape.affected.is_some()) {
        return Some(Kind::Points);
    }
    None
}

/// Takes one JSON record in.
pub(super) fn record(kind: Kind, json: &[u8], into: &mut Builder) -> Option<Taken> {
    let date = match kind {
        Kind::Advisories => {
            let advisory = Advisory::from_osv(json).ok()?;
            let date = day(&advisory.published).max(day(&advisory.modified));
            into.advisory(advisory);
            date
        }
        Kind::Kev => catalogue(json, into)?,
        Kind::Points => points(json, into)?,
        Kind::Vex => vex::statements(json, |statement| into.statement(statement))?,
        Kind::Epss | Kind::Exploits | Kind::Other => return None,
    };
    Some(Taken { kind, date })
}

/// Reads the day of a time stamp.
pub(crate) fn day(text: &str) -> Option<Date> {
    let date = Date::from_str(text.get(..10)?).ok()?;
    (date.year() >= 1999).then_some(date)
}

#[derive(Deserialize)]
struct Catalogue {
    #[serde(rename = "dateReleased", default)]
    released: String,
    vulnerabilities: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "cveID")]
    cve: String,
    #[serde(rename = "dateAdded")]
    added: String,
    #[serde(rename = "dueDate", default)]
    due: String,
    #[serde(rename = "knownRansomwareCampaignUse", default)]
    ransomware: String,
}

fn catalogue(json: &[u8], into: &mut Builder) -> Option<Option<Date>> {
    let catalogue: Catalogue = serde_json::from_slice(json).ok()?;
    for listed in &catalogue.vulnerabilities {
        let Some(added) = day(&listed.added) else {
            continue;
        };
        let kev = Kev {
            added,
            due: day(&listed.due),
            ransomware: listed.ransomware.eq_ignore_ascii_case("known"),
        };
        into.known(
            &listed.cve,
            Known {
                kev: Some(kev),
                ..Known::default()
            },
        );
    }
    Some(day(&catalogue.released))
}

/// Returns how many vulnerabilities a catalogue lists.
pub(super) fn listed(json: &[u8]) -> u64 {
    let catalogue: Result<Catalogue, _> = serde_json::from_slice(json);
    catalogue.map_or(0, |c| c.vulnerabilities.len() as u64)
}

#[derive(Deserialize)]
struct PackedPoints<'a> {
    #[serde(borrow)]
    cve: Cow<'a, str>,
    #[serde(default, borrow)]
    ssvc: Option<Ssvc<'a>>,
}

#[derive(Deserialize)]
struct Ssvc<'a> {
    #[serde(borrow)]
    exploitation: Cow<'a, str>,
    #[serde(borrow)]
    automatable: Cow<'a, str>,
    #[serde(borrow)]
    technical_impact: Cow<'a, str>,
    #[serde(default, borrow)]
    timestamp: Cow<'a, str>,
}

fn points(json: &[u8], into: &mut Builder) -> Option<Option<Date>> {
    if let Ok(packed) = serde_json::from_slice::<PackedPoints<'_>>(json) {
        let Some(ssvc) = packed.ssvc else {
            return Some(None);
        };
        let date = day(&ssvc.timestamp);
        let points = assess(
            &ssvc.exploitation,
            &ssvc.automatable,
            &ssvc.technical_impact,
            date,
        )?;
        give(&packed.cve, points, into);
        return Some(date);
    }
    cve_record(json, into)
}

/// Reads the container of CISA from a record of the CVE programme (5.x).
fn cve_record(json: &[u8], into: &mut Builder) -> Option<Option<Date>> {
    let record: Value = serde_json::from_slice(json).ok()?;
    let cve = record.pointer("/cveMetadata/cveId").and_then(Value::as_str);
    let containers = record.pointer("/containers/adp").and_then(Value::as_array);
    let mut newest = None;
    for metric in containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.get("metrics")?.as_array())
        .flatten()
    {
        let Some(other) = metric.get("other") else {
            continue;
        };
        if other.get("type").and_then(Value::as_str) != Some("ssvc") {
            continue;
        }
        let content = other.get("content")?;
        let id = content.get("id").and_then(Value::as_str).or(cve)?;
        let option = |name: &str| {
            content
                .get("options")?
                .as_array()?
                .iter()
                .find_map(|option| option.get(name)?.as_str())
        };
        let date = content
            .get("timestamp")
            .and_then(Value::as_str)
            .and_then(day);
        let points = assess(
            option("Exploitation")?,
            option("Automatable")?,
            option("Technical Impact")?,
            date,
        )?;
        give(id, points, into);
        newest = newest.max(date);
    }
    Some(newest)
}

/// Published values differ in case: `none` and `None`, `poc` and `PoC`.
fn assess(
    exploitation: &str,
    automatable: &str,
    technical: &str,
    date: Option<Date>,
) -> Option<Points> {
    Some(Points {
        exploitation: match exploitation.to_ascii_lowercase().as_str() {
            "none" => Exploitation::None,
            "poc" | "public poc" => Exploitation::Poc,
            "active" => Exploitation::Active,
            _ => return None,
        },
        automatable: match automatable.to_ascii_lowercase().as_str() {
            "yes" => true,
            "no" => false,
            _ => return None,
        },
        technical: match technical.to_ascii_lowercase().as_str() {
            "partial" => Technical::Partial,
            "total" => Technical::Total,
            _ => return None,
        },
        date: date.unwrap_or(jiff::civil::date(1999, 1, 1)),
    })
}

fn give(cve: &str, points: Points, into: &mut Builder) {
    into.known(
        cve,
        Known {
            points: Some(points),
            ..Known::default()
        },
    );
}

/// The columns of a comma-separated feed.
pub(super) enum Columns {
    /// `cve,epss,percentile`, further columns ignored.
    Epss,
    /// `cve,…,sources`.
    Exploits,
}

/// Tells a comma-separated feed by its heading.
pub(super) fn heading(line: &[u8]) -> Option<Columns> {
    let line = std::str::from_utf8(line).ok()?;
    let names: Vec<&str> = line.split(',').map(str::trim).collect();
    match names.as_slice() {
        ["cve", "epss", "percentile", ..] => Some(Columns::Epss),
        ["cve", .., "sources"] => Some(Columns::Exploits),
        _ => None,
    }
}

/// Takes one line of a comma-separated feed in.
pub(super) fn row(columns: &Columns, line: &[u8], into: &mut Builder) -> bool {
    let Ok(line) = std::str::from_utf8(line) else {
        return false;
    };
    let mut parts = line.splitn(4, ',');
    let Some(cve) = parts.next().filter(|cve| cve.starts_with("CVE-")) else {
        return false;
    };
    match columns {
        Columns::Epss => {
            let score = parts.next().and_then(hundred_thousandths);
            let percentile = parts.next().and_then(hundred_thousandths);
            let (Some(score), Some(percentile)) = (score, percentile) else {
                return false;
            };
            let epss = Some(Epss { score, percentile });
            into.known(
                cve,
                Known {
                    epss,
                    ..Known::default()
                },
            );
        }
        Columns::Exploits => {
            // KEV alone is no exploit that anyone can fetch, and has its own feed.
            let sources = line.rsplit_once(',').map_or("", |(_, sources)| sources);
            let public = ["Metasploit", "Nuclei", "ExploitDB"]
                .iter()
                .any(|source| sources.contains(source));
            into.known(
                cve,
                Known {
                    public_exploit: public,
                    ..Known::default()
                },
            );
        }
    }
    true
}

/// Reads `0.01151` and `3e-05` as parts of 100,000.
fn hundred_thousandths(text: &str) -> Option<u32> {
    let value: f64 = text.trim().parse().ok()?;
    if !(0.0..=1.0).contains(&value) {
        return None;
    }
    // Between 0 and 100,000, so nothing is lost.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    let parts = (value * 100_000.0).round() as u32;
    Some(parts)
}
