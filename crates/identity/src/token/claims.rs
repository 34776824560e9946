//! From the claims of a verified token to a caller.
//!
//! # Invariants
//!
//! * Every claim that becomes part of a caller is bounded and printable.
//! * The same rules hold for what a token says and for what its issuer says of it.

use airside_base::TenantId;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use url::Url;

use super::{Wrong, config::IssuerConfig, jose::Object, table};
use crate::{Attestation, Caller, CallerKind, Claims, Evidence, config::is_name};

/// Longest client id and subject, in bytes. URLs of metadata documents are long.
const MAX_TEXT: usize = 512;

/// Scopes and groups of one token.
const MAX_LISTED: usize = 128;

/// Longest chain of actors.
const MAX_ACTORS: usize = 8;

/// What of a token is of use after it was verified.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) caller: Caller,
    pub(super) audience: Vec<String>,
    /// Last second, tolerance included.
    pub(super) not_after: i64,
    pub(super) binding: Binding,
}

/// What a token is bound to (`cnf`, RFC 7800): without it, it is good for nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Binding {
    /// Nothing: whoever has the token can use it.
    None,
    /// The key with this thumbprint (RFC 9449).
    Key(String),
    /// The client certificate with this SHA-256, in base64url (RFC 8705).
    Certificate(String),
}

impl Binding {
    /// Reads `cnf`. A way of binding that is not verified here must not look as if it
    /// were.
    pub(super) fn read(claims: &Object) -> Result<Self, Wrong> {
        let Some(confirmation) = claims.0.get("cnf") else {
            return Ok(Self::None);
        };
        let text = |name: &str| {
            let value = confirmation.get(name)?;
            Some(value.as_str().filter(|text| is_printable(text)))
        };
        match (text("jkt"), text("x5t#S256")) {
            (Some(Some(key)), None) => Ok(Self::Key(key.to_owned())),
            (None, Some(Some(certificate))) => Ok(Self::Certificate(certificate.to_owned())),
            _ => Err(Wrong::Claim("a binding that is not understood")),
        }
    }

    /// Returns what is checked because of it, as evidence.
    pub(super) const fn checked(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Key(_) => Some("dpop"),
            Self::Certificate(_) => Some("client certificate"),
        }
    }
}

/// Times within which a token is good.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) second: i64,
    pub(super) skew_s: i64,
}

impl Now {
    /// Returns the last second at which a token with `claims` is good.
    pub(super) fn check(self, claims: &Object, needs_end: bool) -> Result<i64, Wrong> {
        let not_after = match claims.seconds("exp")? {
            Some(end) => end.saturating_add(self.skew_s),
            None if needs_end => return Err(Wrong::Claim("no `exp`")),
            None => i64::MAX,
        };
        if not_after <= self.second {
            return Err(Wrong::Expired);
        }
        for name in ["nbf", "iat"] {
            let begin = claims.seconds(name)?;
            if begin.is_some_and(|begin| begin > self.second.saturating_add(self.skew_s)) {
                return Err(Wrong::Early);
            }
        }
        Ok(not_after)
    }
}

/// Reads `aud`, one text or several.
pub(super) fn audience(claims: &Object) -> Vec<String> {
    match claims.0.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => several
            .iter()
            .filter_map(Value::as_str)
            .take(MAX_LISTED)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns the caller whom `issuer` vouches for with `claims`.
pub(super) fn caller(
    issuer: &IssuerConfig,
    claims: &Object,
    evidence: Evidence,
) -> Result<Caller, Wrong> {
    let client = client(claims)?;
    if let Some(client) = client {
        check_client(issuer, client)?;
    } else if !(issuer.clients.is_empty() && issuer.client_domains.is_empty()) {
        return Err(Wrong::Client);
    }
    let subject = text(claims, "sub")?;
    // A client that acts for itself is its own subject (RFC 9068, section 2.2).
    let person = subject.filter(|subject| Some(*subject) != client);
    let pseudonym = person.map(|person| pseudonym(&issuer.url, person));
    let id = match (client, &pseudonym) {
        (Some(client), Some(pseudonym)) => format!("{}/{client}#{pseudonym}", issuer.name),
        (Some(client), None) => format!("{}/{client}", issuer.name),
        (None, Some(pseudonym)) => format!("{}#{pseudonym}", issuer.name),
        (None, None) => return Err(Wrong::Claim("neither `client_id` nor `sub`")),
    };
    let caller = Caller::new(
        CallerKind::Token,
        id,
        tenant(issuer, claims)?,
        Attestation::OAuth,
        groups(issuer, claims),
    );
    let described = Claims {
        subject: person.map(str::to_owned),
        subject_pseudonym: pseudonym,
        client: client.map(str::to_owned),
        issuer: Some(issuer.url.clone()),
        scopes: scopes(claims),
        actors: actors(claims)?,
    };
    Ok(caller.with_claims(described).with_evidence(evidence))
}

/// Returns a name of `person` that says nothing to others: 128 bits of SHA-256.
fn pseudonym(issuer: &str, person: &str) -> String {
    let digest = table::name(&[b"airside subject", issuer.as_bytes(), person.as_bytes()]);
    BASE64_URL_SAFE_NO_PAD.encode(&digest[..16])
}

fn is_printable(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn text<'a>(claims: &'a Object, name: &str) -> Result<Option<&'a str>, Wrong> {
    match claims.0.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if is_printable(text) => Ok(Some(text)),
        Some(_) => Err(Wrong::Claim(
            "a name that is empty, too long or not printable",
        )),
    }
}

/// The names under which issuers say which client it is: RFC 9068, OpenID Connect,
/// Entra ID of the first version, Okta.
fn client(claims: &Object) -> Result<Option<&str>, Wrong> {
    for name in ["client_id", "azp", "appid", "cid"] {
        if let Some(client) = text(claims, name)? {
            // In the id of a caller it begins the pseudonym of a person: a client that
            // may choose its id could otherwise be somebody.
            if client.contains('#') {
                return Err(Wrong::Client);
            }
            return Ok(Some(client));
        }
    }
    Ok(None)
}

fn check_client(issuer: &IssuerConfig, client: &str) -> Result<(), Wrong> {
    if issuer.clients.is_empty() && issuer.client_domains.is_empty() {
        return Ok(());
    }
    let listed = issuer.clients.iter().any(|known| known == client);
    match listed || is_of_domain(client, &issuer.client_domains) {
        true => Ok(()),
        false => Err(Wrong::Client),
    }
}

/// Returns whether `client` is the URL of a metadata document in one of `domains`
/// (Client ID Metadata Document: https, with a path, without user, fragment and dots).
fn is_of_domain(client: &str, domains: &[String]) -> bool {
    let Ok(url) = Url::parse(client) else {
        return false;
    };
    let Some(host) = url.domain() else {
        return false;
    };
    // What parsing changes could be meant for another reader.
    let plain = url.as_str() == client
        && url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.path().len() > 1;
    plain
        && domains
            .iter()
            .any(|domain| match domain.strip_prefix("*.") {
                Some(parent) => host
                    .strip_suffix(parent)
                    .is_some_and(|rest| rest.ends_with('.')),
                None => host == domain,
            })
}

fn tenant(issuer: &IssuerConfig, claims: &Object) -> Result<TenantId, Wrong> {
    let Some(name) = &issuer.tenant_claim else {
        return Ok(issuer.tenant.clone());
    };
    let value = text(claims, name)?.ok_or(Wrong::Tenant)?;
    match issuer.tenants.is_empty() {
        true => value.parse().map_err(|_| Wrong::Tenant),
        false => issuer.tenants.get(value).cloned().ok_or(Wrong::Tenant),
    }
}

fn groups(issuer: &IssuerConfig, claims: &Object) -> Vec<String> {
    let Some(value) = issuer
        .groups_claim
        .as_ref()
        .and_then(|name| find(claims, name))
    else {
        return Vec::new();
    };
    let one = std::slice::from_ref(value);
    let listed = value.as_array().map_or(one, Vec::as_slice);
    let texts = listed.iter().filter_map(Value::as_str).take(MAX_LISTED);
    let mut groups: Vec<String> = texts
        .filter_map(|text| match issuer.groups.is_empty() {
            true => is_name(text).then(|| text.to_owned()),
            false => issuer.groups.get(text).cloned(),
        })
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Finds a claim, if need be inside another: `realm_access.roles`.
fn find<'a>(claims: &'a Object, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.0.get(name) {
        return Some(value);
    }
    let mut parts = name.split('.');
    let first = claims.0.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// Scopes: one text (RFC 9068), a list (Okta), or under Entra ID's name.
fn scopes(claims: &Object) -> Vec<String> {
    let value = ["scope", "scp"]
        .into_iter()
        .find_map(|name| claims.0.get(name));
    let mut scopes: Vec<String> = match value {
        Some(Value::String(text)) => text
            .split(' ')
            .take(MAX_LISTED)
            .map(str::to_owned)
            .collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .take(MAX_LISTED)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    scopes.retain(|scope| is_printable(scope));
    scopes
}

/// Reads who acts for the subject, outermost first (RFC 8693, section 4.1).
fn actors(claims: &Object) -> Result<Vec<String>, Wrong> {
    let mut actors = Vec::new();
    let mut next = claims.0.get("act");
    while let Some(act) = next {
        let name = |name: &str| act.get(name).and_then(Value::as_str);
        let actor = name("sub").or_else(|| name("client_id"));
        let actor = actor.filter(|text| is_printable(text));
        let actor = actor.ok_or(Wrong::Claim("an actor without a name"))?;
        if actors.len() == MAX_ACTORS {
            return Err(Wrong::Claim("a chain of actors that is too long"));
        }
        actors.push(actor.to_owned());
        next = act.get("act");
    }
    Ok(actors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(more: &str) -> IssuerConfig {
        let text = format!(r#"{{"name": "corp", "url": "https://idp.example"{more}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn judge(issuer_more: &str, claims: &str) -> Result<Caller, Wrong> {
        let claims = Object::parse(claims.as_bytes()).unwrap();
        caller(&issuer(issuer_more), &claims, Evidence::new("token", ["x"]))
    }

    fn check_client_of(issuer_more: &str, client: &str, accepted: bool) {
        let found = judge(issuer_more, &format!(r#"{{"client_id": "{client}"}}"#));
        let expected = if accepted { Ok(()) } else { Err(Wrong::Client) };
        assert_eq!(found.map(drop), expected, "{client}");
    }

    #[test]
    fn client_and_person_make_the_principal() {
        let client = judge("", r#"{"client_id": "ci", "sub": "ci"}"#).unwrap();
        assert_eq!((client.id(), client.subject()), ("corp/ci", None));
        let ann = judge("", r#"{"azp": "app", "sub": "ann@example.com"}"#).unwrap();
        let bob = judge("", r#"{"azp": "app", "sub": "bob@example.com"}"#).unwrap();
        assert_eq!(ann.subject(), Some("ann@example.com"));
        assert!(ann.id().starts_with("corp/app#"), "{}", ann.id());
        assert!(!ann.id().contains("ann"), "{}", ann.id());
        assert_ne!(ann.id(), bob.id());
        assert!(judge("", "{}").is_err());
        assert!(judge("", r#"{"client_id": "a\u0000"}"#).is_err());
        let posing = format!(r#"{{"client_id": "{}"}}"#, &ann.id()["corp/".len()..]);
        assert!(judge("", &posing).is_err(), "{posing}");
        assert!(judge("", &format!(r#"{{"sub": "{}"}}"#, "a".repeat(513))).is_err());
    }

    #[test]
    fn clients_are_accepted_by_id_or_domain() {
        let url = "https://claude.ai/oauth/client.json";
        check_client_of("", url, true);
        let listed = r#", "clients": ["ci"], "client-domains": ["claude.ai", "*.openai.com"]"#;
        for good in [
            "ci",
            url,
            "https://a.openai.com/c",
            "https://a.b.openai.com/c?x=1",
        ] {
            check_client_of(listed, good, true);
        }
        for bad in [
            "cd",
            "https://openai.com/c",
            "https://evilopenai.com/c",
            "https://claude.ai.evil.example/c",
            "https://claude.ai@evil.example/c",
            "https://user@claude.ai/c",
            "https://claude.ai/",
            "https://claude.ai/c#f",
            "https://claude.ai:8443/c",
            "https://CLAUDE.ai/c",
            "https://claude.ai/a/../c",
            "http://claude.ai/c",
            "claude.ai/c",
        ] {
            check_client_of(listed, bad, false);
        }
        assert_eq!(
            judge(listed, r#"{"sub": "ann"}"#).map(drop),
            Err(Wrong::Client)
        );
    }

    #[test]
    fn tenant_is_fixed_mapped_or_taken() {
        let tenant = |more: &str, claims: &str| {
            judge(more, claims).map(|caller| caller.tenant().to_string())
        };
        let claims = r#"{"sub": "a", "org": "O-1"}"#;
        assert_eq!(tenant("", claims).unwrap(), "default");
        assert_eq!(tenant(r#", "tenant": "acme""#, claims).unwrap(), "acme");
        let mapped = r#", "tenant-claim": "org", "tenants": {"O-1": "acme"}"#;
        assert_eq!(tenant(mapped, claims).unwrap(), "acme");
        assert_eq!(
            tenant(mapped, r#"{"sub": "a", "org": "O-2"}"#),
            Err(Wrong::Tenant)
        );
        assert_eq!(tenant(mapped, r#"{"sub": "a"}"#), Err(Wrong::Tenant));
        let taken = r#", "tenant-claim": "org""#;
        assert_eq!(
            tenant(taken, r#"{"sub": "a", "org": "acme"}"#).unwrap(),
            "acme"
        );
        assert_eq!(tenant(taken, claims), Err(Wrong::Tenant));
    }

    #[test]
    fn groups_and_scopes_come_in_every_shape() {
        let more = r#", "groups-claim": "realm_access.roles""#;
        let claims = r#"{"sub": "a", "scp": ["x", "y"], "realm_access": {"roles": ["b", "a", "a", "odd name"]}}"#;
        let caller = judge(more, claims).unwrap();
        assert_eq!(caller.groups(), ["a", "b"]);
        assert_eq!(caller.scopes(), ["x", "y"]);
        let more = r#", "groups-claim": "groups", "groups": {"8f3": "booking"}"#;
        let claims = r#"{"sub": "a", "scope": "x  y", "groups": ["8f3", "admin"]}"#;
        let caller = judge(more, claims).unwrap();
        assert_eq!(caller.groups(), ["booking"]);
        assert_eq!(caller.scopes(), ["x", "y"]);
    }

    #[test]
    fn binding_is_one_that_is_checked_or_refused() {
        let read = |claims: &str| Binding::read(&Object::parse(claims.as_bytes()).unwrap());
        assert_eq!(read("{}"), Ok(Binding::None));
        let key = read(r#"{"cnf": {"jkt": "a"}}"#);
        assert_eq!(key, Ok(Binding::Key("a".to_owned())));
        let certificate = read(r#"{"cnf": {"x5t#S256": "b"}}"#);
        assert_eq!(certificate, Ok(Binding::Certificate("b".to_owned())));
        for other in [
            "null",
            "{}",
            r#""a""#,
            r#"{"jwk": {}}"#,
            r#"{"kid": "a"}"#,
            r#"{"jkt": 1}"#,
            r#"{"jkt": ""}"#,
            r#"{"jkt": "a", "x5t#S256": "b"}"#,
            r#"{"jkt": 1, "x5t#S256": "b"}"#,
        ] {
            assert!(read(&format!(r#"{{"cnf": {other}}}"#)).is_err(), "{other}");
        }
    }

    #[test]
    fn actors_are_read_from_the_outside_in() {
        let claims = r#"{"sub": "ann", "act": {"sub": "agent", "act": {"client_id": "portal"}}}"#;
        assert_eq!(judge("", claims).unwrap().actors(), ["agent", "portal"]);
        assert!(judge("", r#"{"sub": "ann", "act": {}}"#).is_err());
        let deep = format!("{}null{}", r#"{"sub":"x","act":"#.repeat(9), "}".repeat(9));
        assert!(judge("", &format!(r#"{{"sub": "ann", "act": {deep}}}"#)).is_err());
    }
}
