//! Bills of materials and statements of exploitability for others: CycloneDX 1.6 and
//! 1.7, SPDX 2.3, OpenVEX 0.2.0.
//!
//! # Invariants
//!
//! * The same bill gives the same bytes: ids are made of the content, times are given.
//! * What was not assessed or not read is in the document. A bill that looks complete
//!   is complete.

use std::collections::{BTreeMap, BTreeSet};

use airside_base::Timestamp;
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::{
    component::{Component, Ecosystem, Gap, Inventory, Scope, purl},
    decision::Decision,
    event::Closed,
    index::hex,
    matching::Standing,
    scan::Report,
    state::{Finding, Server, State},
};

/// What a document is about.
#[derive(Clone, Debug)]
pub struct Bill {
    /// Name of the server or of what was scanned.
    pub name: String,
    /// Its version, where it has one.
    pub version: String,
    /// Package URL of it.
    pub product: String,
    /// When this was so.
    pub at: Timestamp,
    /// Its components.
    pub components: Vec<Component>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// What is known about them.
    pub vulnerabilities: Vec<Vulnerability>,
}

/// One vulnerability of one package.
#[derive(Clone, Debug)]
pub struct Vulnerability {
    /// Its id.
    pub id: String,
    /// Its other ids.
    pub aliases: Vec<String>,
    /// What it is about.
    pub summary: String,
    /// CVSS vectors.
    pub vectors: Vec<String>,
    /// Package URLs of what is affected, or was said not to be.
    pub purls: Vec<String>,
    /// Versions that end it.
    pub fixed: Vec<String>,
    /// What is said.
    pub state: Said,
    /// Why, for people.
    pub detail: String,
    /// How soon it has to go.
    pub decision: Option<Decision>,
    /// Since when it is known.
    pub since: Timestamp,
}

/// What is said about a vulnerability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is there.
    Affected,
    /// It was there.
    Fixed,
    /// It cannot be exploited.
    NotAffected,
    /// It could not be told.
    Unclear,
}

/// A version of CycloneDX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycloneDx {
    /// 1.6.
    V6,
    /// 1.7.
    V7,
}

impl Bill {
    /// Returns the bill of a deployed server as the ledger knows it.
    #[must_use]
    pub fn of_server(name: &str, server: &Server, state: &State, at: Timestamp) -> Self {
        let findings = state.findings.values();
        let of = findings.filter(|finding| finding.judged.server == name);
        Self {
            name: name.to_owned(),
            version: server.version.clone(),
            product: product(server.product.as_deref(), name, &server.version),
            at,
            components: server.components.clone(),
            gaps: server.gaps.clone(),
            vulnerabilities: of.map(|finding| of_finding(finding, at)).collect(),
        }
    }

    /// Returns the bill of something that was scanned.
    #[must_use]
    pub fn of_scan(name: &str, inventory: &Inventory, report: &Report) -> Self {
        let found = report
            .findings
            .iter()
            .map(|f| (&f.found, Some(&f.decision)));
        let others = report.others.iter().map(|m| (m, None));
        let vulnerabilities = found.chain(others).map(|(found, decision)| {
            let (state, detail) = match &found.standing {
                Standing::Affected => (Said::Affected, String::new()),
                Standing::NotAffected {
                    issuer,
                    justification,
                } => (Said::NotAffected, format!("{issuer}: {justification}")),
                Standing::Unassessed { reason } => (Said::Unclear, reason.clone()),
            };
            Vulnerability {
                id: found.vulnerability.clone(),
                aliases: found.ids.clone(),
                summary: found.summary.clone(),
                vectors: found.vectors.clone(),
                purls: vec![found.component.purl.clone()],
                fixed: found.fixed.clone(),
                state,
                detail,
                decision: decision.cloned(),
                since: report.at,
            }
        });
        Self {
            name: name.to_owned(),
            version: String::new(),
            product: product(inventory.product.as_deref(), name, ""),
            at: report.at,
            components: inventory.components.clone(),
            gaps: inventory.gaps.clone(),
            vulnerabilities: vulnerabilities.collect(),
        }
    }

    /// Components by package URL: places do not tell them apart.
    fn distinct(&self) -> BTreeMap<String, &Component> {
        let components = self.components.iter();
        components.map(|c| (c.purl(), c)).collect()
    }

    /// Returns an id made of the content.
    fn uuid(&self, kind: &str) -> String {
        let mut text = format!("{kind}\0{}\0{}\0{}", self.product, self.version, self.at);
        for (purl, _) in self.distinct() {
            text.push('\0');
            text.push_str(&purl);
        }
        for v in &self.vulnerabilities {
            text.push_str(&format!("\0{}\0{:?}\0{}", v.id, v.state, v.purls.join(" ")));
        }
        let mut sum = hex(digest(&SHA256, text.as_bytes()).as_ref());
        // Version 8 of RFC 9562: made by a rule of our own.
        sum.replace_range(12..13, "8");
        sum.replace_range(16..17, "a");
        format!(
            "{}-{}-{}-{}-{}",
            &sum[..8],
            &sum[8..12],
            &sum[12..16],
            &sum[16..20],
            &sum[20..32]
        )
    }
}

fn product(stated: Option<&str>, name: &str, version: &str) -> String {
    let version = Some(version).filter(|v| !v.is_empty());
    let other = Ecosystem::Other("generic".to_owned());
    stated.map_or_else(|| purl(&other, name, version), str::to_owned)
}

fn of_finding(finding: &Finding, at: Timestamp) -> Vulnerability {
    let judged = &finding.judged;
    let (state, detail) = match &finding.closed {
        None => (Said::Affected, standing(finding, at)),
        Some((_, Closed::Fixed | Closed::Retired, evidence)) => (Said::Fixed, evidence.clone()),
        Some((_, Closed::NotAffected | Closed::Withdrawn, evidence)) => {
            (Said::NotAffected, evidence.clone())
        }
    };
    let purls = judged.versions.iter();
    let purls = purls.map(|version| with_version(&judged.package, version));
    Vulnerability {
        id: judged.vulnerability.clone(),
        aliases: judged.ids.clone(),
        summary: judged.summary.clone(),
        vectors: judged.vectors.clone(),
        purls: purls.collect(),
        fixed: judged.fixed.clone(),
        state,
        detail,
        decision: Some(judged.decision.clone()),
        since: finding.opened,
    }
}

fn with_version(package: &str, version: &str) -> String {
    match crate::component::Purl::parse(package) {
        Some(read) => purl(&read.ecosystem, &read.name, Some(version)),
        None => package.to_owned(),
    }
}

fn standing(finding: &Finding, at: Timestamp) -> String {
    let mut words = Vec::new();
    if let Some(due) = finding.judged.clock.due {
        words.push(format!("due {due:.0}"));
    }
    if let Some(exception) = finding.excepted(at) {
        words.push(format!(
            "accepted until {} by {}: {}",
            exception.until, exception.by, exception.reason
        ));
    }
    if let Some(mitigation) = &finding.judged.clock.mitigation {
        words.push(format!(
            "mitigated ({}) by {}",
            mitigation.words(),
            mitigation.by
        ));
    }
    words.join("; ")
}

/// Writes CycloneDX, with vulnerabilities and their analysis.
#[must_use]
pub fn cyclonedx(bill: &Bill, version: CycloneDx) -> Value {
    let number = match version {
        CycloneDx::V6 => "1.6",
        CycloneDx::V7 => "1.7",
    };
    let parts = bill.distinct();
    let components: Vec<Value> = parts
        .iter()
        .map(|(purl, component)| {
            let mut part = json!({
                "type": "library", "bom-ref": purl, "name": component.name, "purl": purl,
                "scope": if component.scope == Scope::Development { "excluded" } else { "required" },
                "evidence": { "occurrences": [{ "location": component.place }] },
            });
            match &component.version {
                Some(version) => part["version"] = json!(version),
                None => part["properties"] = properties(&[("airside:version", "not pinned")]),
            }
            part
        })
        .collect();
    let gaps: Vec<Value> = bill.gaps.iter().map(gap_property).collect();
    let mut root = json!({
        "type": "application", "bom-ref": bill.product, "name": bill.name, "purl": bill.product,
    });
    if !bill.version.is_empty() {
        root["version"] = json!(bill.version);
    }
    let whole = if bill.gaps.is_empty() {
        "complete"
    } else {
        "incomplete"
    };
    let refs: Vec<&String> = parts.keys().collect();
    let mut document = json!({
        "$schema": format!("http://cyclonedx.org/schema/bom-{number}.schema.json"),
        "bomFormat": "CycloneDX",
        "specVersion": number,
        "serialNumber": format!("urn:uuid:{}", bill.uuid("cyclonedx")),
        "version": 1,
        "metadata": {
            "timestamp": format!("{:.0}", bill.at),
            "tools": { "components": [tool()] },
            "component": root,
        },
        "components": components,
        "dependencies": [{ "ref": bill.product, "dependsOn": refs }],
        "compositions": [{ "aggregate": whole, "assemblies": [bill.product] }],
        "vulnerabilities": bill.vulnerabilities.iter().map(vulnerability).collect::<Vec<_>>(),
    });
    if !gaps.is_empty() {
        document["properties"] = Value::Array(gaps);
    }
    document
}

fn tool() -> Value {
    json!({ "type": "application", "name": "airside", "version": env!("CARGO_PKG_VERSION") })
}

fn properties(pairs: &[(&str, &str)]) -> Value {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn gap_property(gap: &Gap) -> Value {
    json!({ "name": "airside:not-read", "value": format!("{}: {}", gap.place, gap.reason) })
}

fn vulnerability(v: &Vulnerability) -> Value {
    let mut ratings: Vec<Value> = v.vectors.iter().map(|vector| rating(vector)).collect();
    let mut rows = vec![("airside:since", format!("{:.0}", v.since))];
    if let Some(decision) = &v.decision {
        let row = decision
            .explain()
            .into_iter()
            .find(|l| l.starts_with("deployer table"));
        ratings.push(json!({ "method": "SSVC", "justification": row }));
        rows.push(("airside:priority", decision.priority.name().to_owned()));
        rows.push(("airside:timeline", decision.timeline.name().to_owned()));
    }
    let rows: Vec<(&str, &str)> = rows.iter().map(|(n, t)| (*n, t.as_str())).collect();
    let state = match v.state {
        Said::Affected => "exploitable",
        Said::Fixed => "resolved",
        Said::NotAffected => "not_affected",
        Said::Unclear => "in_triage",
    };
    let others = v.aliases.iter().filter(|id| **id != v.id);
    let others = others.map(|id| json!({ "id": id, "source": { "name": source(id) } }));
    let mut said = json!({
        "bom-ref": format!("{} in {}", v.id, v.purls.join(" and ")),
        "id": v.id,
        "source": { "name": source(&v.id) },
        "references": others.collect::<Vec<_>>(),
        "ratings": ratings,
        "description": v.summary,
        "analysis": { "state": state, "detail": v.detail },
        "affects": v.purls.iter().map(|purl| json!({ "ref": purl })).collect::<Vec<_>>(),
        "properties": properties(&rows),
    });
    if let Some(fixed) = v.fixed.first() {
        said["recommendation"] = json!(format!("upgrade to {fixed}"));
        if v.state == Said::Affected {
            said["analysis"]["response"] = json!(["update"]);
        }
    }
    said
}

/// Who gives ids like this one.
fn source(id: &str) -> &'static str {
    match id.split('-').next() {
        Some("CVE") => "CVE",
        Some("GHSA") => "GitHub",
        Some("RUSTSEC") => "RustSec",
        Some("PYSEC") => "PyPA",
        Some("GO") => "Go",
        _ => "OSV",
    }
}

fn rating(vector: &str) -> Value {
    let method = match vector.get(..8) {
        Some("CVSS:3.0") => "CVSSv3",
        Some("CVSS:3.1") => "CVSSv31",
        Some("CVSS:4.0") => "CVSSv4",
        _ => "CVSSv2",
    };
    let mut rating = json!({ "method": method, "vector": vector });
    if let Ok(read) = vector.parse::<cvss::Cvss>() {
        rating["score"] = json!(read.score());
        rating["severity"] = json!(read.severity().to_string());
    }
    rating
}

/// Writes SPDX 2.3.
#[must_use]
pub fn spdx(bill: &Bill) -> Value {
    const ROOT: &str = "SPDXRef-Root";
    let parts = bill.distinct();
    let mut packages = vec![package(ROOT, &bill.name, &bill.version, &bill.product)];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
        "relatedSpdxElement": ROOT,
    })];
    for (number, (purl, component)) in parts.iter().enumerate() {
        let id = format!("SPDXRef-Package-{number}");
        let version = component.version.as_deref().unwrap_or_default();
        let mut one = package(&id, &component.name, version, purl);
        let about = bill.vulnerabilities.iter();
        let about = about.filter(|v| v.state == Said::Affected && v.purls.contains(purl));
        for v in about {
            if let Some(refs) = one["externalRefs"].as_array_mut() {
                refs.push(json!({
                    "referenceCategory": "SECURITY", "referenceType": "advisory",
                    "referenceLocator": format!("https://osv.dev/vulnerability/{}", v.id),
                }));
            }
        }
        packages.push(one);
        let kind = match component.scope {
            Scope::Development => "DEV_DEPENDENCY_OF",
            _ => "DEPENDENCY_OF",
        };
        relationships.push(json!({
            "spdxElementId": id, "relationshipType": kind, "relatedSpdxElement": ROOT,
        }));
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": bill.name,
        "documentNamespace": format!("urn:uuid:{}", bill.uuid("spdx")),
        "creationInfo": {
            "created": format!("{:.0}", bill.at),
            "creators": [format!("Tool: airside-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    if !bill.gaps.is_empty() {
        let gaps = bill
            .gaps
            .iter()
            .map(|g| format!("not read: {}: {}", g.place, g.reason));
        document["comment"] = json!(gaps.collect::<Vec<_>>().join("\n"));
    }
    document
}

fn package(id: &str, name: &str, version: &str, purl: &str) -> Value {
    let mut package = json!({
        "SPDXID": id, "name": name, "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": purl,
        }],
    });
    if !version.is_empty() {
        package["versionInfo"] = json!(version);
    }
    package
}

/// Writes OpenVEX in the name of `author`; none where there is nothing to state, since a
/// document has at least one statement.
#[must_use]
pub fn openvex(bill: &Bill, author: &str) -> Option<Value> {
    if bill.vulnerabilities.is_empty() {
        return None;
    }
    let mut statements: Vec<Value> = bill
        .vulnerabilities
        .iter()
        .map(|v| {
            let parts: Vec<Value> = v.purls.iter().map(|p| json!({ "@id": p })).collect();
            let others = v.aliases.iter().filter(|id| **id != v.id);
            let mut said = json!({
                "vulnerability": { "name": v.id, "aliases": others.collect::<Vec<_>>() },
                "timestamp": format!("{:.0}", v.since),
                "products": [{ "@id": bill.product, "subcomponents": parts }],
            });
            match v.state {
                Said::Affected => {
                    said["status"] = json!("affected");
                    let fix = v.fixed.first().map(|fixed| format!("upgrade to {fixed}"));
                    let action = fix.unwrap_or_else(|| "no fixed version is known".to_owned());
                    let detail = Some(&v.detail).filter(|detail| !detail.is_empty());
                    let detail = detail.map_or(String::new(), |detail| format!("; {detail}"));
                    said["action_statement"] = json!(format!("{action}{detail}"));
                }
                Said::Fixed => {
                    said["status"] = json!("fixed");
                    said["status_notes"] = json!(v.detail);
                }
                Said::NotAffected => {
                    said["status"] = json!("not_affected");
                    said["impact_statement"] = json!(v.detail);
                }
                Said::Unclear => {
                    said["status"] = json!("under_investigation");
                    said["status_notes"] = json!(v.detail);
                }
            }
            said
        })
        .collect();
    // One of a package that stands in several places is stated once.
    let mut seen = BTreeSet::new();
    statements.retain(|said| seen.insert(said.to_string()));
    Some(json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("urn:uuid:{}", bill.uuid("openvex")),
        "author": author,
        "timestamp": format!("{:.0}", bill.at),
        "version": 1,
        "tooling": format!("airside {}", env!("CARGO_PKG_VERSION")),
        "statements": statements,
    }))
}

#[cfg(test)]
mod tests;
