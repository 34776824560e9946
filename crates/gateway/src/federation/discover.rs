//! How an endpoint introduces itself for several servers.
//!
//! # Invariants
//!
//! * Offered is what at least one server offers; spoken are the stateless revision and
//!   those with a handshake that every server speaks itself.
//! * What a server says of itself is only repeated, within a bound.

use std::sync::Arc;

use airside_base::ServerId;
use airside_mcp::{Body, Call, Revision, raw};
use futures_util::future::join_all;
use http::Response;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{
    Endpoint, Error, FAN_OUT, OWN_INFO, answer,
    merge::{Freshness, UNAVAILABLE},
    peer::Profile,
};
use crate::bridge;

/// Longest instructions, in characters.
const MAX_INSTRUCTIONS: usize = 8_000;

/// What the servers of an endpoint say of themselves.
pub(crate) struct Introductions {
    known: Vec<(ServerId, Arc<Profile>)>,
    unavailable: Vec<ServerId>,
}

impl Introductions {
    /// Asks all servers.
    pub(crate) async fn gather(endpoint: &Endpoint) -> Result<Self, Error> {
        let asked = endpoint.asked().map(|peer| async move {
            let profile = timeout(FAN_OUT, peer.profile()).await.ok().flatten();
            (peer.id().clone(), profile)
        });
        let (mut known, mut unavailable) = (Vec::new(), Vec::new());
        for (server, profile) in join_all(asked).await {
            match profile {
                Some(profile) => known.push((server, profile)),
                None => unavailable.push(server),
            }
        }
        if known.is_empty() {
            let asked = unavailable.len();
            return Err(Error::Nobody { asked });
        }
        Ok(Self { known, unavailable })
    }

    /// Returns the union of what they offer to clients of `revision`.
    pub(crate) fn capabilities(&self, revision: Revision) -> Value {
        let mut all = Value::Object(Map::new());
        for (_, profile) in &self.known {
            let own = raw::find(&profile.result, "capabilities");
            let own = own.and_then(|text| serde_json::from_str(text).ok());
            let own = match profile.speaks(revision) {
                true => own.unwrap_or_default(),
                false => bridge::carried(own),
            };
            unite(&mut all, own);
        }
        if let Value::Object(all) = &mut all {
            // The tasks of 2025-11-25 list across servers without saying whose they are.
            all.remove("tasks");
        }
        all
    }

    /// Returns what they tell the model, each under its name.
    pub(crate) fn instructions(&self) -> Option<String> {
        let mut all = String::new();
        for (server, profile) in &self.known {
            let own = raw::find(&profile.result, "instructions").and_then(raw::string);
            if let Some(own) = own.filter(|own| !own.trim().is_empty()) {
                let blank = if all.is_empty() { "" } else { "\n\n" };
                all.push_str(&format!("{blank}Tools named `{server}_…`: {own}"));
            }
        }
        let cut: String = all.chars().take(MAX_INSTRUCTIONS).collect();
        (!cut.is_empty()).then_some(cut)
    }

    fn versions(&self) -> Vec<&'static str> {
        let by_all = |revision: &Revision| {
            revision.is_modern() || self.known.iter().all(|(_, own)| own.speaks(*revision))
        };
        let all = Revision::ALL.into_iter().filter(by_all);
        all.map(Revision::as_str).collect()
    }

    /// Like lists: as long as the most perishable part, not at all if one is missing.
    fn freshness(&self) -> Freshness {
        let mut whole = Freshness {
            ttl_ms: u64::MAX,
            public: true,
        };
        for (_, profile) in &self.known {
            let own = Freshness::of(&profile.result);
            whole.ttl_ms = whole.ttl_ms.min(own.ttl_ms);
            whole.public &= own.public;
        }
        if !self.unavailable.is_empty() {
            whole.ttl_ms = 0;
        }
        whole
    }

    fn meta(&self) -> Map<String, Value> {
        let mut meta = Map::new();
        if !self.unavailable.is_empty() {
            let names: Vec<_> = self.unavailable.iter().map(ServerId::as_str).collect();
            meta.insert(UNAVAILABLE.to_owned(), json!(names));
        }
        meta
    }
}

/// Adds what `more` has to `all`: members of objects, and `true` where either says so.
fn unite(all: &mut Value, more: Value) {
    match (all, more) {
        (Value::Object(all), Value::Object(more)) => {
            for (key, value) in more {
                match all.get_mut(&key) {
                    Some(known) => unite(known, value),
                    None => drop(all.insert(key, value)),
                }
            }
        }
        (all @ Value::Bool(false), more @ Value::Bool(true)) => *all = more,
        _ => {}
    }
}

/// Answers `server/discover`.
pub(super) async fn merged(endpoint: &Endpoint, call: &Call) -> Result<Response<Body>, Error> {
    let all = Introductions::gather(endpoint).await?;
    let freshness = all.freshness();
    let mut meta = all.meta();
    meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), own_info());
    let mut result = json!({
        "supportedVersions": all.versions(),
        "capabilities": all.capabilities(Revision::LATEST),
        "resultType": "complete",
        "ttlMs": freshness.ttl_ms,
        "cacheScope": if freshness.public { "public" } else { "private" },
        "_meta": meta,
    });
    if let Some(instructions) = all.instructions() {
        result["instructions"] = json!(instructions);
    }
    Ok(answer::result(
        call.id().unwrap_or("null"),
        &result.to_string(),
    ))
}

/// Returns the result of `initialize` for several servers.
pub(super) fn greeting(all: &Introductions, revision: Revision) -> Value {
    let mut result = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": all.capabilities(revision),
        "serverInfo": own_info(),
    });
    let meta = all.meta();
    if !meta.is_empty() {
        result["_meta"] = json!(meta);
    }
    if let Some(instructions) = all.instructions() {
        result["instructions"] = json!(instructions);
    }
    result
}

fn own_info() -> Value {
    serde_json::from_str(OWN_INFO).expect("our own introduction is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(profiles: &[(bool, bool, &str)], versions: &[&str], capabilities: &str) {
        let profile = |(n, (modern, legacy, caps)): (usize, &(bool, bool, &str))| {
            let result = format!(r#"{{"capabilities":{caps},"instructions":"do {n}"}}"#);
            let profile = Profile {
                modern: *modern,
                legacy: *legacy,
                result,
            };
            (format!("s{n}").parse().unwrap(), Arc::new(profile))
        };
        let all = Introductions {
            known: profiles.iter().enumerate().map(profile).collect(),
            unavailable: Vec::new(),
        };
        assert_eq!(all.versions(), versions);
        let seen = all.capabilities(Revision::LATEST);
        assert_eq!(seen.to_string(), capabilities);
    }

    #[test]
    fn versions_are_intersected_and_capabilities_united() {
        let all = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];
        check(
            &[
                (true, true, r#"{"tools":{"listChanged":false},"tasks":{}}"#),
                (
                    true,
                    true,
                    r#"{"tools":{"listChanged":true},"extensions":{"x/y":{}}}"#,
                ),
            ],
            &all,
            r#"{"tools":{"listChanged":true},"extensions":{"x/y":{}}}"#,
        );
        check(&[(true, true, "{}"), (true, false, "{}")], &all[..1], "{}");
        check(
            &[
                (true, true, r#"{"prompts":{}}"#),
                (
                    false,
                    true,
                    r#"{"logging":{},"tools":{"listChanged":true}}"#,
                ),
            ],
            &all,
            r#"{"prompts":{},"tools":{}}"#,
        );
        check(&[(true, true, "{}"), (false, true, "7")], &all, "{}");
    }
}
