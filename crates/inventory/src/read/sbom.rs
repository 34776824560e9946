//! SBOMs: CycloneDX 1.2 to 1.7 and SPDX 2.2 and 2.3, as JSON.

use serde_json::Value;

use crate::component::{Component, Ecosystem, Inventory, Purl, Scope, bounded};

use super::{MAX_DEPTH, Unread, mcp, shallow};

/// Reads a JSON document by what it says it is.
pub(super) fn json(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let known = maybe(text, place, into)?;
    if known {
        return Ok(());
    }
    Err(Unread("no SBOM and no configuration of MCP".to_owned()))
}

/// Reads a JSON document that may be something else. Returns whether it was known.
pub(super) fn maybe(text: &str, place: &str, into: &mut Inventory) -> Result<bool, Unread> {
    shallow(text)?;
    let document: Value = serde_json::from_str(text)?;
    if document.get("bomFormat").and_then(Value::as_str) == Some("CycloneDX") {
        cyclonedx(&document, place, into);
    } else if document.get("spdxVersion").is_some() {
        spdx(&document, place, into)?;
    } else {
        return Ok(mcp::document(&document, place, into));
    }
    Ok(true)
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

fn cyclonedx(document: &Value, place: &str, into: &mut Inventory) {
    if let Some(root) = document.pointer("/metadata/component") {
        let purl = Some(text(root, "purl")).filter(|p| !p.is_empty());
        into.product = purl.map(bounded);
        into.own.push(bounded(text(root, "name")));
        components(list(root, "components"), 0, place, into);
    }
    components(list(document, "components"), 0, place, into);
}

/// Components hold components, to the depth that [`shallow`] has allowed.
fn components(given: &[Value], depth: usize, place: &str, into: &mut Inventory) {
    if depth > MAX_DEPTH {
        return;
    }
    for component in given {
        components(list(component, "components"), depth + 1, place, into);
        let reference = text(component, "bom-ref");
        let place = format!("{place}#{reference}");
        let scope = match text(component, "scope") {
            "excluded" => Scope::Development,
            _ => Scope::Unstated,
        };
        match Purl::parse(text(component, "purl")) {
            Some(purl) => {
                into.add(of_purl(&purl, text(component, "version"), &place).scoped(scope));
            }
            None if matches!(text(component, "type"), "file" | "device" | "data") => {}
            None => {
                let group = text(component, "group");
                let name = text(component, "name");
                let name = if group.is_empty() {
                    name.to_owned()
                } else {
                    format!("{group}/{name}")
                };
                let kind = Ecosystem::Other("a component without a package URL".to_owned());
                let version = Some(text(component, "version")).filter(|v| !v.is_empty());
                into.add(Component::new(kind, &name, version, &place).scoped(scope));
            }
        }
    }
}

fn of_purl(purl: &Purl, version: &str, place: &str) -> Component {
    let version = purl
        .version
        .as_deref()
        .or(Some(version).filter(|v| !v.is_empty()));
    Component::new(purl.ecosystem.clone(), &purl.name, version, place)
}

fn spdx(document: &Value, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let version = text(document, "spdxVersion");
    if !version.starts_with("SPDX-2.") {
        return Err(Unread(format!(
            "{version} is not supported; SPDX 2.2 and 2.3 are"
        )));
    }
    let mut described: Vec<&str> = list(document, "documentDescribes")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for relation in list(document, "relationships") {
        if text(relation, "relationshipType") == "DESCRIBES" {
            described.push(text(relation, "relatedSpdxElement"));
        }
    }
    for package in list(document, "packages") {
        let id = text(package, "SPDXID");
        let references = list(package, "externalRefs").iter();
        let purl = references
            .filter(|r| text(r, "referenceType") == "purl")
            .find_map(|r| Purl::parse(text(r, "referenceLocator")));
        let place = format!("{place}#{id}");
        if described.contains(&id) {
            into.own.push(bounded(text(package, "name")));
            let as_purl =
                |p: &Purl| crate::component::purl(&p.ecosystem, &p.name, p.version.as_deref());
            into.product = purl.as_ref().map(as_purl).or(into.product.take());
            continue;
        }
        let version = text(package, "versionInfo");
        match purl {
            Some(purl) => into.add(of_purl(&purl, version, &place)),
            None => {
                let kind = Ecosystem::Other("a package without a package URL".to_owned());
                let version = Some(version).filter(|v| !v.is_empty());
                into.add(Component::new(kind, text(package, "name"), version, &place));
            }
        }
    }
    Ok(())
}
