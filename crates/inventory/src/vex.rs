//! Statements that a product is, or is not, affected: OpenVEX, CycloneDX, CSAF.
//!
//! # Invariants
//!
//! * A statement changes the state of a finding; it never removes one. Who said it
//!   stays with it.
//! * It speaks of exactly what it names: a product, or a component inside a product. A
//!   statement about `helm` inside `trivy` says nothing about `helm` elsewhere.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    component::{Component, Purl, bounded},
    feeds,
};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It cannot be exploited there.
    NotAffected,
    /// It can.
    Affected,
    /// A version with a fix is named.
    Fixed,
    /// It is being looked at.
    UnderInvestigation,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Statement {
    /// The vulnerability, by any of its ids.
    pub vulnerability: String,
    /// Its other ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Package URLs of products.
    pub products: Vec<String>,
    /// Package URLs of components inside them; none when it speaks of the products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// What is said.
    pub status: Status,
    /// Why, in the words of the format.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub justification: String,
    /// Who says so.
    pub issuer: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
}

impl Statement {
    /// Returns whether it speaks of `component` as a part of `product` (a package URL).
    #[must_use]
    pub fn is_about(&self, component: &Component, product: Option<&str>) -> bool {
        let named = |urls: &[String], purl: &Purl| urls.iter().any(|url| names(url, purl));
        let this = Purl {
            ecosystem: component.ecosystem.clone(),
            name: component.name.clone(),
            version: component.version.clone(),
        };
        if self.components.is_empty() {
            return named(&self.products, &this);
        }
        let Some(product) = product.and_then(Purl::parse) else {
            return false;
        };
        named(&self.products, &product) && named(&self.components, &this)
    }
}

/// Returns whether `url` names `purl`: the same package, and the same version or none.
fn names(url: &str, purl: &Purl) -> bool {
    Purl::parse(url).is_some_and(|named| {
        named.ecosystem == purl.ecosystem
            && named.name == purl.name
            && (named.version.is_none() || named.version == purl.version)
    })
}

/// Calls `take` with every statement of a document. Returns its day, `None` when it is
/// no document of VEX.
pub fn statements(json: &[u8], take: impl FnMut(Statement)) -> Option<Option<Date>> {
    let whole: Value = serde_json::from_slice(json).ok()?;
    let document = whole.get("doc").unwrap_or(&whole);
    if document.get("bomFormat").is_some() {
        cyclonedx(document, take)
    } else if document.get("document").is_some() {
        csaf(document, take)
    } else {
        openvex(document, take)
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn strings(value: &Value, name: &str) -> Vec<String> {
    let texts = list(value, name).iter().filter_map(Value::as_str);
    texts.map(bounded).collect()
}

fn status(text: &str) -> Option<Status> {
    Some(match text {
        "not_affected" | "false_positive" | "known_not_affected" => Status::NotAffected,
        "affected" | "exploitable" | "known_affected" => Status::Affected,
        "fixed" | "resolved" | "resolved_with_pedigree" => Status::Fixed,
        "under_investigation" | "in_triage" => Status::UnderInvestigation,
        _ => return None,
    })
}

fn openvex(document: &Value, mut take: impl FnMut(Statement)) -> Option<Option<Date>> {
    if !text(document, "@context").contains("openvex") {
        return None;
    }
    let date = feeds::day(text(document, "timestamp"));
    let url = |value: &Value| {
        let purl = value.pointer("/identifiers/purl").and_then(Value::as_str);
        let purl = purl.or_else(|| value.get("@id").and_then(Value::as_str));
        purl.or_else(|| value.as_str()).map(bounded)
    };
    for said in list(document, "statements") {
        let vulnerability = said.get("vulnerability").unwrap_or(&Value::Null);
        let id = vulnerability
            .as_str()
            .unwrap_or_else(|| text(vulnerability, "name"));
        let Some(status) = status(text(said, "status")) else {
            continue;
        };
        let products = list(said, "products");
        let components = products.iter().flat_map(|p| list(p, "subcomponents"));
        take(Statement {
            vulnerability: bounded(id),
            aliases: strings(vulnerability, "aliases"),
            products: products.iter().filter_map(url).collect(),
            components: components.filter_map(url).collect(),
            status,
            justification: bounded(text(said, "justification")),
            issuer: bounded(text(document, "author")),
            date: feeds::day(text(said, "timestamp")).or(date),
        });
    }
    Some(date)
}

fn cyclonedx(document: &Value, mut take: impl FnMut(Statement)) -> Option<Option<Date>> {
    let metadata = document.get("metadata").unwrap_or(&Value::Null);
    let date = feeds::day(text(metadata, "timestamp"));
    let issuer = ["/supplier/name", "/manufacturer/name", "/manufacture/name"]
        .iter()
        .find_map(|at| metadata.pointer(at).and_then(Value::as_str))
        .unwrap_or_default();
    // References may name each other in circles; a table of one level cannot.
    let root = metadata.get("component").into_iter();
    let purl_of = |reference: &str| {
        root.clone()
            .chain(list(document, "components"))
            .find(|c| text(c, "bom-ref") == reference)
            .map(|c| bounded(text(c, "purl")))
            .filter(|purl| !purl.is_empty())
            .or_else(|| reference.starts_with("pkg:").then(|| bounded(reference)))
    };
    for said in list(document, "vulnerabilities") {
        let analysis = said.get("analysis").unwrap_or(&Value::Null);
        let Some(status) = status(text(analysis, "state")) else {
            continue;
        };
        let affects = list(said, "affects").iter().map(|a| text(a, "ref"));
        let references = list(said, "references").iter().map(|r| text(r, "id"));
        take(Statement {
            vulnerability: bounded(text(said, "id")),
            aliases: references.map(bounded).collect(),
            products: affects.filter_map(purl_of).collect(),
            components: Vec::new(),
            status,
            justification: bounded(text(analysis, "justification")),
            issuer: bounded(issuer),
            date: feeds::day(text(analysis, "lastUpdated")).or(date),
        });
    }
    Some(date)
}

/// Deepest tree of products that is followed.
const MAX_BRANCHES: usize = 32;

fn csaf(document: &Value, mut take: impl FnMut(Statement)) -> Option<Option<Date>> {
    let head = document.get("document")?;
    if text(head, "csaf_version").is_empty() {
        return None;
    }
    let at = |path: &str| head.pointer(path).and_then(Value::as_str);
    let date = at("/tracking/current_release_date").and_then(feeds::day);
    let issuer = at("/publisher/name").unwrap_or_default();
    let mut purls = Vec::new();
    if let Some(tree) = document.get("product_tree") {
        branches(tree, 0, &mut purls);
    }
    let purl_of = |id: &str| {
        let found = purls.iter().find(|(known, _)| *known == id);
        found.map(|(_, purl)| bounded(purl))
    };
    for said in list(document, "vulnerabilities") {
        let Some(groups) = said.get("product_status").and_then(Value::as_object) else {
            continue;
        };
        for (group, products) in groups {
            let Some(status) = status(group) else {
                continue;
            };
            let ids = products.as_array().into_iter().flatten();
            let ids: Vec<&str> = ids.filter_map(Value::as_str).collect();
            let flag = list(said, "flags").iter().find(|flag| {
                strings(flag, "product_ids")
                    .iter()
                    .any(|id| ids.contains(&id.as_str()))
            });
            take(Statement {
                vulnerability: bounded(text(said, "cve")),
                aliases: list(said, "ids")
                    .iter()
                    .map(|id| bounded(text(id, "text")))
                    .collect(),
                products: ids.iter().filter_map(|id| purl_of(id)).collect(),
                components: Vec::new(),
                status,
                justification: bounded(flag.map_or("", |flag| text(flag, "label"))),
                issuer: bounded(issuer),
                date,
            });
        }
    }
    Some(date)
}

fn branches<'a>(node: &'a Value, depth: usize, into: &mut Vec<(&'a str, &'a str)>) {
    if depth > MAX_BRANCHES {
        return;
    }
    let product = |value: &'a Value, into: &mut Vec<(&'a str, &'a str)>| {
        let helper = value.pointer("/product_identification_helper/purl");
        if let Some(purl) = helper.and_then(Value::as_str) {
            into.push((text(value, "product_id"), purl));
        }
    };
    if let Some(value) = node.get("product") {
        product(value, into);
    }
    for value in list(node, "full_product_names") {
        product(value, into);
    }
    for branch in list(node, "branches") {
        branches(branch, depth + 1, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Ecosystem;

    fn read(json: &Value) -> Vec<Statement> {
        let mut out = Vec::new();
        let known = statements(json.to_string().as_bytes(), |s| out.push(s));
        assert!(known.is_some(), "it is a document of VEX");
        out
    }

    fn helm() -> Component {
        Component::new(Ecosystem::Go, "helm.sh/helm/v3", Some("v3.14.0"), "go.mod")
    }

    #[test]
    fn openvex_speaks_of_a_component_inside_its_product_only() {
        let said = read(&serde_json::json!({
            "@context": "https://openvex.dev/ns/v0.2.0", "author": "Aqua Security",
            "timestamp": "2024-07-09T11:38:00+04:00",
            "statements": [{
                "vulnerability": {"name": "GO-2024-2575", "aliases": ["CVE-2024-26147"]},
                "products": [{"@id": "pkg:golang/github.com/aquasecurity/trivy",
                    "subcomponents": [{"@id": "pkg:golang/helm.sh/helm/v3"}]}],
                "status": "not_affected", "justification": "vulnerable_code_not_present"}],
        }));
        assert_eq!(said[0].issuer, "Aqua Security");
        let trivy = "pkg:golang/github.com/aquasecurity/trivy@v0.50.0";
        assert!(said[0].is_about(&helm(), Some(trivy)));
        assert!(!said[0].is_about(&helm(), Some("pkg:golang/example.com/other")));
        assert!(!said[0].is_about(&helm(), None));
    }

    #[test]
    fn cyclonedx_names_components_by_reference() {
        let said = read(&serde_json::json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6",
            "metadata": {"timestamp": "2026-01-01T00:00:00Z", "supplier": {"name": "Us"}},
            "components": [{"bom-ref": "a", "purl": "pkg:golang/helm.sh/helm/v3@v3.14.0"}],
            "vulnerabilities": [
                {"id": "CVE-2024-26147", "affects": [{"ref": "a"}],
                 "analysis": {"state": "not_affected", "justification": "code_not_reachable"}},
                {"id": "CVE-1", "affects": [{"ref": "b"}], "analysis": {"state": "novel"}}],
        }));
        assert_eq!(said.len(), 1);
        assert!(said[0].is_about(&helm(), None));
        let mut newer = helm();
        newer.version = Some("v3.15.0".to_owned());
        assert!(!said[0].is_about(&newer, None));
    }

    #[test]
    fn csaf_names_products_through_its_tree() {
        let said = read(&serde_json::json!({
            "document": {"csaf_version": "2.0", "publisher": {"name": "Vendor"},
                "tracking": {"current_release_date": "2026-02-03T00:00:00Z"}},
            "product_tree": {"branches": [{"branches": [{"product": {"product_id": "P1",
                "product_identification_helper": {"purl": "pkg:golang/helm.sh/helm/v3"}}}]}]},
            "vulnerabilities": [{"cve": "CVE-2024-26147",
                "product_status": {"known_not_affected": ["P1"]},
                "flags": [{"label": "component_not_present", "product_ids": ["P1"]}]}],
        }));
        assert_eq!(said[0].justification, "component_not_present");
        assert!(said[0].is_about(&helm(), None));
    }
}
