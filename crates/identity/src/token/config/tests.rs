use super::*;

/// Checks a configuration of identity, given as JSON.
fn check(resource: &str, issuer: &str, expected: Option<&str>) {
    let text = format!(r#"{{"resource": {resource}, "issuer": [{issuer}]}}"#);
    check_all(&text, expected);
}

fn check_all(text: &str, expected: Option<&str>) {
    let config: crate::Config = serde_json::from_str(text).unwrap();
    let found = config.check().map_err(|error| error.fault());
    let code = found.as_ref().err().map(Fault::code);
    assert_eq!(code, expected, "{text} {found:?}");
}

const HERE: &str = r#"{"url": "https://mcp.example.com"}"#;

#[test]
fn plain_configuration_is_accepted() {
    check(HERE, r#"{"name": "a", "url": "https://idp.example"}"#, None);
    let here = r#"{"url": "http://127.0.0.1:7400"}"#;
    check(
        here,
        r#"{"name": "a", "url": "http://127.0.0.1:9/x"}"#,
        None,
    );
}

#[test]
fn unsafe_combinations_are_refused() {
    let issuer = |more: &str| format!(r#"{{"name": "a", "url": "https://idp.example"{more}}}"#);
    check(
        HERE,
        r#"{"name": "a", "url": "http://idp.example"}"#,
        Some("ID-040"),
    );
    check(
        HERE,
        r#"{"name": "a", "url": "https://u:p@idp.example"}"#,
        Some("ID-040"),
    );
    check(
        HERE,
        r#"{"name": "a", "url": "https://idp.example/?x"}"#,
        Some("ID-040"),
    );
    check(
        HERE,
        &issuer(r#", "jwks-url": "http://idp.example/k""#),
        Some("ID-040"),
    );
    check(
        HERE,
        &issuer(r#", "jwks-url": "http://127.0.0.1/k""#),
        Some("ID-040"),
    );
    check("{}", &issuer(""), Some("ID-041"));
    check(
        r#"{"url": "https://mcp.example.com/mcp"}"#,
        &issuer(""),
        Some("ID-041"),
    );
    check(
        r#"{"url": "http://mcp.example.com"}"#,
        &issuer(""),
        Some("ID-040"),
    );
    check(HERE, &issuer(r#", "audience": [" "]"#), Some("ID-041"));
    check(HERE, &issuer(r#", "algorithms": []"#), Some("ID-042"));
    check(
        HERE,
        &issuer(r#", "token-types": ["dpop+jwt"]"#),
        Some("ID-042"),
    );
    check(HERE, &issuer(r#", "clock-skew-s": 301"#), Some("ID-042"));
    check(
        HERE,
        &issuer(r#", "tenants": {"x": "acme"}"#),
        Some("ID-043"),
    );
    check(HERE, &issuer(r#", "groups": {"x": "y"}"#), Some("ID-043"));
    for domain in ["com", "*", "*.com", "https://claude.ai", "127.0.0.1"] {
        let more = format!(r#", "client-domains": ["{domain}"]"#);
        check(HERE, &issuer(&more), Some("ID-043"));
    }
    check(HERE, &format!("{0},{0}", issuer("")), Some("ID-043"));
    let opaque = |name: &str| {
        format!(
            r#"{{"name": "{name}", "url": "https://{name}.example",
            "introspection": {{"client-id": "x", "client-secret-file": "/x"}}}}"#
        )
    };
    check(HERE, &opaque("a"), None);
    check(
        HERE,
        &format!("{},{}", opaque("a"), opaque("b")),
        Some("ID-044"),
    );
}

#[test]
fn symmetric_algorithms_are_no_algorithms() {
    for (name, said) in [
        ("HS256", "can also make one"),
        ("none", "can also make one"),
        ("X", "not one of RS256"),
    ] {
        let text = format!(
            r#"{{"issuer": [{{"name": "a", "url": "https://i.example", "algorithms": ["{name}"]}}]}}"#
        );
        let error = serde_json::from_str::<crate::Config>(&text).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn scopes_have_a_use_and_a_name() {
    let scopes =
        |scopes: &str, expected| check_all(&format!(r#"{{"scope": [{scopes}]}}"#), expected);
    scopes(r#"{"name": "a", "methods": ["*"]}"#, None);
    scopes(
        r#"{"name": "a", "methods": ["*"]}, {"name": "b", "includes": ["a"]}"#,
        None,
    );
    scopes(r#"{"name": "a"}"#, Some("ID-046"));
    scopes(r#"{"name": "a b", "methods": ["*"]}"#, Some("ID-046"));
    scopes(
        r#"{"name": "offline_access", "methods": ["*"]}"#,
        Some("ID-046"),
    );
    scopes(r#"{"name": "a", "includes": ["a"]}"#, Some("ID-046"));
    scopes(r#"{"name": "a", "includes": ["b"]}"#, Some("ID-046"));
    scopes(
        r#"{"name": "a", "methods": ["*"]}, {"name": "a", "methods": ["*"]}"#,
        Some("ID-043"),
    );
}

#[test]
fn trust_domains_have_one_bundle() {
    let domain = |domain: &str, expected| {
        let text = format!(r#"{{"resource": {HERE}, "trust-domain": [{domain}]}}"#);
        check_all(&text, expected);
    };
    domain(r#"{"name": "prod.example", "bundle-file": "/b"}"#, None);
    domain(
        r#"{"name": "prod.example", "bundle-url": "https://b.example/"}"#,
        None,
    );
    domain(
        r#"{"name": "prod.example", "bundle-url": "http://b.example/"}"#,
        Some("ID-040"),
    );
    domain(r#"{"name": "prod.example"}"#, Some("ID-045"));
    domain(r#"{"name": "Prod", "bundle-file": "/b"}"#, Some("ID-045"));
    domain(r#"{"name": "a/b", "bundle-file": "/b"}"#, Some("ID-045"));
}
