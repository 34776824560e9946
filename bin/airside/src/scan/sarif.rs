//! Findings in the format of code hosts (SARIF 2.1.0).

use airside_base::{Finding, Rule, Severity};
use serde_json::{Value, json};
use url::Url;

/// Returns `findings` of `rules` as one SARIF document.
pub(crate) fn document(findings: &[Finding], rules: &[Rule]) -> Value {
    let described: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.title },
                "help": { "text": rule.help },
                "defaultConfiguration": { "level": level(rule.severity) },
                "properties": { "security-severity": score(rule.severity), "tags": ["security"] },
            })
        })
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| result(finding, rules))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "airside",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": described,
            }},
            "results": results,
        }],
    })
}

fn result(finding: &Finding, rules: &[Rule]) -> Value {
    let mut location = json!({
        "logicalLocations": [{ "fullyQualifiedName": finding.subject }],
    });
    if let Some(place) = &finding.place {
        let mut physical = json!({ "artifactLocation": { "uri": uri(&place.file) } });
        if let Some(line) = place.line {
            physical["region"] = json!({ "startLine": line });
        }
        location["physicalLocation"] = physical;
    }
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": { "text": format!("{}: {}", finding.subject, finding.message) },
        "locations": [location],
        "partialFingerprints": { "airside/v1": finding.fingerprint },
    });
    if let Some(index) = rules.iter().position(|rule| rule.id == finding.rule) {
        result["ruleIndex"] = index.into();
    }
    result
}

/// Returns a path as a URI reference (RFC 3986); a URL stays as it is.
fn uri(file: &str) -> String {
    if Url::parse(file).is_ok_and(|url| url.has_host()) {
        return file.to_owned();
    }
    let mut uri = String::new();
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    match file.starts_with('/') {
        true => format!("file://{uri}"),
        false => uri,
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

/// What code hosts sort by.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "3.0",
        Severity::Medium => "5.5",
        Severity::High => "8.0",
        Severity::Critical => "9.5",
    }
}

#[cfg(test)]
mod tests {
    use airside_contracts::scan::{RULES, rule};

    use super::*;

    #[test]
    fn results_name_their_rule_place_and_fingerprint() {
        let finding = rule("plain-http").finding("s", "in the clear".to_owned(), "h");
        let print = finding.fingerprint.clone();
        let document = document(&[finding.at("mcp.json", Some(4))], &RULES);
        let run = &document["runs"][0];
        let result = &run["results"][0];
        let index = result["ruleIndex"].as_u64().unwrap();
        let index = usize::try_from(index).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "plain-http");
        assert_eq!(result["level"], "error");
        assert_eq!(result["partialFingerprints"]["airside/v1"], print);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "mcp.json");
        assert_eq!(place["region"]["startLine"], 4);
    }

    #[test]
    fn places_are_uris() {
        for (file, expected) in [
            ("a b/mcp.json", "a%20b/mcp.json"),
            ("c:mcp.json", "c%3Amcp.json"),
            ("/etc/mcp.json", "file:///etc/mcp.json"),
            ("https://h.example/mcp", "https://h.example/mcp"),
        ] {
            assert_eq!(uri(file), expected);
        }
    }
}
