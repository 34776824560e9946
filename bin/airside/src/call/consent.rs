//! How a person at a terminal consents to what a tool would commit them to.
//!
//! Tools that only a view may call (MCP Apps, `visibility: ["app"]`) and that want a
//! consent token are such tools. This command is the view then: it shows the terms, asks,
//! and makes the token of the nonce that the server gave it.
//!
//! # Invariants
//!
//! * Without `--yes` nothing is confirmed unless somebody answers at a terminal: what is
//!   piped in is no answer.
//! * What is asked for is what is confirmed: the digest of the terms that were shown goes
//!   with the answer, and the server refuses others.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use airside_base::{Fault, Kind, secret_token};
use airside_identity::Digest;
use airside_mcp::Client;
use serde_json::{Map, Value, json};

use crate::{
    endpoint,
    failure::{Exit, Failure},
    text::printable,
};

/// Where servers put what a consent token is made of.
const CONSENT: &str = "airside/consent";
/// The tool that shows what a session or quote is about.
const READ: &str = "get_booking_session";

/// What this command adds to the arguments.
const ADDED: [&str; 4] = [
    "idempotency_key",
    "terms_digest",
    "consent_token",
    "disclosure_shown",
];

/// Returns whether `tool`, as its server lists it, wants the consent of a person.
fn wants(tool: &Value) -> bool {
    let visible = tool
        .pointer("/_meta/ui/visibility")
        .and_then(Value::as_array);
    let app_only = visible.is_some_and(|to| to.iter().all(|to| to == "app"));
    app_only
        && tool
            .pointer("/inputSchema/properties/consent_token")
            .is_some()
}

/// Returns whether `tool` wants the consent of a person that `arguments` do not show.
pub(super) fn is_wanted(tool: &Value, arguments: &Map<String, Value>) -> bool {
    wants(tool) && arguments.get("consent_token").is_none()
}

/// Returns what a person has to say to `tool`: its input schema without the members
/// that this command adds.
pub(super) fn schema(tool: &Value) -> Value {
    let mut schema = tool.get("inputSchema").cloned().unwrap_or_default();
    if wants(tool)
        && let Some(Value::Array(required)) = schema.get_mut("required")
    {
        required.retain(|name| !ADDED.iter().any(|added| name == added));
    }
    schema
}

/// Asks the person at the terminal, and returns the arguments with their consent.
/// `None` if there is nothing to consent to: then what `session` says is the answer.
pub(super) async fn ask(
    client: &Client,
    arguments: &Map<String, Value>,
    yes: bool,
) -> Result<Result<Map<String, Value>, Value>, Failure> {
    let id = ["session_id", "quote_id"].into_iter();
    let id = id.filter_map(|name| arguments.get(name)?.as_str()).next();
    let id = id.ok_or_else(|| {
        usage(
            "it is not said what to confirm",
            "add session_id=… or quote_id=…",
        )
    })?;
    let reply = client.call_tool(READ, &json!({ "session_id": id })).await;
    let reply = reply.map_err(|error| endpoint::failure(&error))?;
    let result: Value = reply.read().map_err(|error| endpoint::failure(&error))?;
    let consent = result.get("_meta").and_then(|meta| meta.get(CONSENT));
    let of = |name: &str| consent?.get(name)?.as_str();
    let (Some(nonce), Some(digest)) = (of("nonce"), of("terms_digest")) else {
        return Ok(Err(result));
    };
    show(&result);
    if !yes && !agreed()? {
        let fault = Fault::new(Kind::Conflict, "CLI-030", "not confirmed: nothing was done");
        return Err(Failure::new(Exit::Refused, fault));
    }
    let mut members = arguments.clone();
    let fresh = || Value::from(secret_token());
    let key = members.entry("idempotency_key").or_insert_with(fresh);
    let key = key.as_str().unwrap_or_default();
    let token = format!("airside-consent-v1\n{nonce}\n{id}\n{digest}\n{key}");
    let token = Digest::of(token.as_bytes()).to_string();
    members.insert("consent_token".to_owned(), token.into());
    members.insert("terms_digest".to_owned(), digest.into());
    members.insert("disclosure_shown".to_owned(), true.into());
    Ok(Ok(members))
}

/// Shows the terms where results do not go.
fn show(result: &Value) {
    let content = result.get("structuredContent").unwrap_or(&Value::Null);
    let terms = ["/session/terms", "/quote/terms"].into_iter();
    let terms = terms
        .filter_map(|at| content.pointer(at)?.as_array())
        .next();
    let mut text = String::new();
    for term in terms.into_iter().flatten() {
        let of = |name| printable(term.get(name).and_then(Value::as_str).unwrap_or_default());
        text.push_str(&format!("{:<18}{}\n", of("label"), of("text")));
    }
    if let Some(change) = content.pointer("/change/summary").and_then(Value::as_str) {
        text.push_str(&format!("{}\n", printable(change)));
    }
    let notice = content
        .pointer("/notices/ai_disclosure")
        .and_then(Value::as_str);
    text.push_str(&printable(notice.unwrap_or_default()));
    // A terminal that is gone cannot answer either.
    let _ = writeln!(io::stderr(), "{text}");
}

fn agreed() -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(usage(
            "nobody is at the terminal to consent",
            "run it at a terminal, or add --yes if you have read the terms",
        ));
    }
    let _ = write!(io::stderr(), "Do you agree? [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn usage(what: &'static str, hint: &'static str) -> Failure {
    let fault = Fault::new(Kind::Invalid, "CLI-031", what);
    Failure::new(Exit::Usage, fault.with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_view_confirms_is_asked_for() {
        let tool = |visibility: &[&str], takes: bool| {
            let properties = if takes {
                json!({ "consent_token": {} })
            } else {
                json!({})
            };
            json!({
                "_meta": { "ui": { "visibility": visibility } },
                "inputSchema": { "properties": properties },
            })
        };
        let none = Map::new();
        assert!(is_wanted(&tool(&["app"], true), &none));
        assert!(!is_wanted(&tool(&["model", "app"], true), &none));
        assert!(!is_wanted(&tool(&["app"], false), &none));
        assert!(!is_wanted(&json!({ "name": "x" }), &none));
        let given = json!({ "consent_token": "given" });
        assert!(!is_wanted(
            &tool(&["app"], true),
            given.as_object().unwrap()
        ));
    }
}
