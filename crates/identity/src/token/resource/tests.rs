use airside_base::TenantId;

use super::*;
use crate::{Attestation, Claims, Config, token::Wrong};

const CONFIG: &str = r#"{
    "resource": {"url": "https://mcp.example.com/", "name": "Hotels",
        "documentation": "https://example.com/docs"},
    "issuer": [{"name": "corp", "url": "https://idp.example"}],
    "scope": [
        {"name": "mcp", "methods": ["*"]},
        {"name": "hotels.read", "tools": ["hotels/search_*", "hotels/describe"]},
        {"name": "hotels.book", "tools": ["hotels/book"], "includes": ["hotels.read"]},
        {"name": "hotels.admin", "includes": ["hotels.book"]},
        {"name": "prompts", "methods": ["prompts/*"]}
    ]}"#;

fn resource(config: &str) -> Resource {
    let config: Config = serde_json::from_str(config).unwrap();
    config.check().unwrap();
    Resource::new(&config.tokens())
}

fn caller(kind: CallerKind, scopes: &str) -> Caller {
    let tenant = TenantId::default();
    Caller::new(kind, "a", tenant, Attestation::OAuth, vec![]).with_claims(Claims {
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        ..Claims::default()
    })
}

fn check_scopes(scopes: &str, method: &str, tool: Option<(&str, &str)>, needed: Option<&str>) {
    let caller = caller(CallerKind::Token, scopes);
    let found = resource(CONFIG).check_scopes(&caller, method, tool);
    let found = found.err().map(|error| match error {
        Error::Scope { needed } => needed,
        other => other.to_string(),
    });
    assert_eq!(found.as_deref(), needed, "{scopes} {method} {tool:?}");
}

#[test]
fn every_scope_of_an_operation_is_needed_and_a_broader_one_will_do() {
    let search = Some(("hotels", "search_hotels"));
    let book = Some(("hotels", "book"));
    check_scopes("", "tools/list", None, Some("mcp"));
    check_scopes("mcp", "tools/list", None, None);
    check_scopes("mcp", "tools/call", search, Some("mcp hotels.read"));
    check_scopes("hotels.read", "tools/call", search, Some("mcp hotels.read"));
    check_scopes("mcp hotels.read", "tools/call", search, None);
    check_scopes("mcp hotels.book", "tools/call", search, None);
    check_scopes("mcp hotels.admin", "tools/call", search, None);
    check_scopes(
        "mcp hotels.read",
        "tools/call",
        book,
        Some("mcp hotels.book"),
    );
    check_scopes("mcp hotels.admin", "tools/call", book, None);
    check_scopes(
        "mcp",
        "tools/call",
        Some(("flights", "search_flights")),
        None,
    );
    check_scopes("mcp", "tools/call", Some(("hotels", "searchx")), None);
    check_scopes("mcp", "prompts/get", None, Some("mcp prompts"));
    check_scopes("MCP", "tools/list", None, Some("mcp"));
}

#[test]
fn only_tokens_have_scopes() {
    for kind in [
        CallerKind::ApiKey,
        CallerKind::Workload,
        CallerKind::Certificate,
    ] {
        let found = resource(CONFIG).check_scopes(&caller(kind, ""), "tools/list", None);
        assert_eq!(found, Ok(()));
    }
}

#[test]
fn metadata_is_that_of_the_endpoint() {
    let document = resource(CONFIG).metadata("/mcp/hotels").unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["resource"], "https://mcp.example.com/mcp/hotels");
    assert_eq!(
        document["authorization_servers"],
        json!(["https://idp.example"])
    );
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    assert_eq!(document["scopes_supported"][1], "hotels.read");
    assert_eq!(document["resource_name"], "Hotels");
    assert_eq!(
        document["resource_documentation"],
        "https://example.com/docs"
    );
    assert_eq!(document.get("dpop_bound_access_tokens_required"), None);
    let bound = CONFIG.replace(
        r#""url": "https://idp.example""#,
        r#""url": "https://idp.example", "dpop": "required""#,
    );
    let document = resource(&bound).metadata("/mcp").unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["dpop_bound_access_tokens_required"], true);
    assert!(resource("{}").metadata("/mcp").is_none());
}

fn check_challenge(config: &str, error: &Error, expected: &[&str]) {
    let fields = resource(config).challenges(error, "/mcp", None);
    let found: Vec<_> = fields
        .iter()
        .map(|(_, value)| value.to_str().unwrap())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn challenges_name_metadata_scopes_and_what_was_wrong() {
    let metadata = r#"Bearer realm="airside", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;
    let algorithms = r#"DPoP algs="RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA""#;
    let token = |wrong: Wrong| Error::from(wrong);
    check_challenge(
        CONFIG,
        &Error::Nobody,
        &[&format!(r#"{metadata}, scope="mcp""#), algorithms],
    );
    check_challenge(
        CONFIG,
        &token(Wrong::Expired),
        &[
            &format!(r#"{metadata}, scope="mcp", error="invalid_token""#),
            algorithms,
        ],
    );
    check_challenge(
        CONFIG,
        &token(Wrong::Replayed),
        &[
            &format!(r#"{metadata}, scope="mcp""#),
            &format!(r#"{algorithms}, error="invalid_dpop_proof""#),
        ],
    );
    let needed = "mcp hotels.book".to_owned();
    check_challenge(
        CONFIG,
        &Error::Scope { needed },
        &[
            &format!(r#"{metadata}, scope="mcp hotels.book", error="insufficient_scope""#),
            algorithms,
        ],
    );
    check_challenge(CONFIG, &token(Wrong::NoKeys), &[]);
    check_challenge("{}", &Error::Nobody, &[r#"Bearer realm="airside""#]);
    check_challenge(
        "{}",
        &Error::UnknownKey,
        &[r#"Bearer realm="airside", error="invalid_token""#],
    );
}

#[test]
fn certificates_are_announced_where_they_can_bind() {
    let announced = |config: &str| {
        let config: Config = serde_json::from_str(config).unwrap();
        let document = Resource::new(&config.tokens()).metadata("/mcp").unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        document["tls_client_certificate_bound_access_tokens"].clone()
    };
    assert_eq!(announced(CONFIG), Value::Null);
    let platform = r#"{"certificate": [{"name": "a", "ca-file": "ca.pem", "dns": ["a.example"]}],"#;
    assert_eq!(announced(&CONFIG.replacen('{', platform, 1)), true);
}
