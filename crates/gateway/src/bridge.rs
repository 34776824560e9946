//! Calls between a client of one era and a server of the other.
//!
//! | | stateless client → server with a handshake | session → stateless server |
//! | --- | --- | --- |
//! | lists, `tools/call`, `prompts/get`, `resources/read`, `completion/complete` | carried | carried |
//! | `server/discover`, `initialize` | from the server's introduction | from the server's introduction |
//! | `ping` | – | answered here |
//! | input a server asks for in the middle of a call | refused | refused |
//! | `subscriptions/listen`, resource subscriptions, log levels, tasks | refused | refused |
//!
//! # Invariants
//!
//! * Nothing is lost in silence: what the other era cannot say is an error with
//!   `NOT_BRIDGED` that names it.
//! * A server behind the bridge is told of no client capability, since what they
//!   allow (elicitation, sampling, roots) could not be carried.
//! * Stateless callers share a session at a server only with themselves.

use std::sync::Arc;

use airside_base::OnFailure;
use airside_identity::Caller;
use airside_mcp::{Body, Call, Revision, codes, header, raw, reparse};
use airside_policy::Permit;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    credentials::OnBehalf,
    federation::{
        Error, Peer, Visit,
        answer::{self, Step},
        peer::{Profile, post, session_headers},
    },
    session::{Hello, Link, Session},
    upstream::Outbound,
};

/// Methods that mean the same in both eras.
fn is_common(method: &str) -> bool {
    matches!(
        method,
        "tools/list"
            | "tools/call"
            | "prompts/list"
            | "prompts/get"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "completion/complete"
    )
}

/// Methods whose stateless results say how long they may be kept.
fn is_cacheable(method: &str) -> bool {
    method.ends_with("/list") || method == "resources/read"
}

fn refused(peer: &Peer, what: &str, speaks: &'static str) -> Error {
    Error::NotBridged {
        server: peer.id().clone(),
        what: what.to_owned(),
        speaks,
    }
}

/// Carries a stateless call to a server with a handshake.
pub(crate) async fn outward(
    peer: &Arc<Peer>,
    profile: &Profile,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let speaks = profile.newest();
    let id = call.id().unwrap_or("null");
    if call.method() == "server/discover" {
        return Ok(answer::result(id, &discovered(profile)));
    }
    if !is_common(call.method()) {
        return Err(refused(peer, call.method(), speaks));
    }
    if call.is_continuation() {
        return Err(refused(peer, "requestState and inputResponses", speaks));
    }
    let session = peer.own_session(&visit.caller)?;
    let unreadable = || Error::Answer {
        server: peer.id().clone(),
    };
    let open = async {
        let hello = Hello::default();
        let opened = peer
            .open(permit, Revision::LATEST_LEGACY, &hello, Some(visit))
            .await;
        opened.map(|(link, _)| link).ok_or_else(unreadable)
    };
    let link = session.link(peer.id(), open).await?;
    let body = without_meta(call).ok_or_else(unreadable)?;
    let request = visit.post(peer, session_headers(&link), body);
    let response = peer.send(permit, request).await?;
    if response.status() == StatusCode::NOT_FOUND {
        // The next call opens a new one; this one may not be sent twice.
        session.unlink(peer.id()).await;
        return Err(unreadable());
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(&header::SESSION_ID);
    let mut carrier = Outward {
        behalf: visit.behalf(peer),
        peer: Arc::clone(peer),
        link,
        id: id.to_owned(),
        method: call.method().to_owned(),
        logs: call.meta().log_level().is_some(),
        speaks,
    };
    Ok(answer::map(Response::from_parts(head, body), move |text| {
        carrier.carry(text)
    }))
}

/// Messages of a server with a handshake, on their way to a stateless client.
struct Outward {
    peer: Arc<Peer>,
    /// For whom its requests are answered.
    behalf: Option<OnBehalf>,
    link: Arc<Link>,
    id: String,
    method: String,
    logs: bool,
    speaks: &'static str,
}

impl Outward {
    fn carry(&mut self, text: &str) -> Step {
        let Ok(members) = raw::members(text) else {
            return Step::Keep;
        };
        let method = raw::only(&members, "method").and_then(raw::string);
        match (method, raw::only(&members, "id")) {
            (Some(method), Some(id)) => self.asked(&method, id),
            (Some(method), None) if method == "notifications/message" && !self.logs => Step::Skip,
            (Some(_), None) => Step::Keep,
            (None, _) => self.answered(text, &members),
        }
    }

    /// A request of the server's. All but `ping` needs the client.
    fn asked(&self, method: &str, id: &str) -> Step {
        let body = match method {
            "ping" => r#""result":{}"#,
            _ => r#""error":{"code":-32601,"message":"the client cannot be asked"}"#,
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},{body}}}"#);
        let (peer, link) = (Arc::clone(&self.peer), Arc::clone(&self.link));
        let behalf = self.behalf.clone();
        let task = async move {
            if let Some(permit) = peer.upstream().housekeeping() {
                let mut request = post(session_headers(&link), body.into());
                if let Some(behalf) = behalf {
                    request.extensions_mut().insert(behalf);
                }
                if let Err(error) = peer.send(permit, request).await {
                    tracing::debug!(server.id = %peer.id(), %error, "a request of the server stays unanswered");
                }
            }
        };
        self.peer
            .shared()
            .supervisor
            .spawn("bridge answer", OnFailure::Log, task);
        match method {
            "ping" => Step::Skip,
            _ => Step::End(failure(&refused(&self.peer, method, self.speaks), &self.id)),
        }
    }

    /// The answer, with what a stateless client expects of a result.
    fn answered(&self, text: &str, members: &[raw::Member<'_>]) -> Step {
        let mut edits = raw::Edits::default();
        if let Some(result) = raw::only(members, "result") {
            let mut add = |key, value| {
                if raw::find(result, key).is_none() {
                    edits.add_member(text, result, key, value);
                }
            };
            add("resultType", "\"complete\"");
            if is_cacheable(&self.method) {
                add("ttlMs", "0");
                add("cacheScope", "\"private\"");
            }
        } else if let Some(code) = raw::at(text, &["error", "code"])
            && code == "-32002"
        {
            // Resource not found (SEP-2164).
            edits.replace(text, code, codes::INVALID_PARAMS.to_string());
        }
        match edits.is_empty() {
            true => Step::Keep,
            false => Step::Replace(edits.apply(text)),
        }
    }
}

/// Returns what is left of a server's capabilities behind the bridge.
pub(crate) fn carried(capabilities: Option<Value>) -> Value {
    let mut capabilities = capabilities.unwrap_or_else(|| json!({}));
    if let Value::Object(all) = &mut capabilities {
        for lost in ["tasks", "logging", "extensions"] {
            all.remove(lost);
        }
        for (_, own) in all.iter_mut() {
            if let Value::Object(own) = own {
                own.remove("listChanged");
                own.remove("subscribe");
            }
        }
    }
    capabilities
}

/// The result of `server/discover` for a server with a handshake.
fn discovered(profile: &Profile) -> String {
    let member =
        |key| -> Option<Value> { serde_json::from_str(raw::find(&profile.result, key)?).ok() };
    let capabilities = carried(member("capabilities"));
    let mut meta = Map::new();
    if let Some(info) = member("serverInfo") {
        meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), info);
    }
    let mut result = json!({
        "supportedVersions": [Revision::LATEST.as_str()],
        "capabilities": capabilities,
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": meta,
    });
    if let Some(instructions) = member("instructions") {
        result["instructions"] = instructions;
    }
    result.to_string()
}

/// The result of `initialize` for a stateless server.
pub(crate) fn greeting(profile: &Profile, revision: Revision) -> String {
    let member = |path: &[&str]| -> Option<Value> {
        serde_json::from_str(raw::at(&profile.result, path)?).ok()
    };
    let capabilities = carried(member(&["capabilities"]));
    let info = member(&["_meta", "io.modelcontextprotocol/serverInfo"]);
    let mut result = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": capabilities,
        "serverInfo": info.unwrap_or_else(|| json!({"name": "unnamed", "version": "0"})),
    });
    if let Some(instructions) = member(&["instructions"]) {
        result["instructions"] = instructions;
    }
    result.to_string()
}

/// Carries a call of a session to a stateless server.
pub(crate) async fn inward(
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
    session: &Arc<Session>,
) -> Result<Response<Body>, Error> {
    let speaks = Revision::LATEST.as_str();
    let id = call.id().unwrap_or("null").to_owned();
    if call.method() == "ping" {
        return Ok(answer::result(&id, "{}"));
    }
    if !is_common(call.method()) {
        return Err(refused(peer, call.method(), speaks));
    }
    let unreadable = || Error::Answer {
        server: peer.id().clone(),
    };
    let stateless = with_meta(call, &session.hello).ok_or_else(unreadable)?;
    let params = match call.method() {
        "tools/call" => peer.tool(call.name().unwrap_or_default()).await.params,
        _ => None,
    };
    let headers = header::mirror(&stateless, params.as_deref());
    let headers: HeaderMap = headers.map_err(|_| refused(peer, "an argument", speaks))?;
    let request = visit.post(peer, headers, stateless.bytes().clone());
    // A stateless server knows a cancelled call by its closed stream.
    let cancelled = session.begin(&id);
    let response = tokio::select! {
        response = peer.send(permit, request) => response?,
        () = cancelled.cancelled() => return Ok(answer::empty(StatusCode::ACCEPTED)),
    };
    let (mut head, body) = response.into_parts();
    // Statuses of errors belong to the stateless era; 404 would end the session.
    if head.status.is_client_error() {
        head.status = StatusCode::OK;
    }
    let peer = Arc::clone(peer);
    let answer = answer::map(Response::from_parts(head, body), move |text| match raw::at(
        text,
        &["result", "resultType"],
    )
    .and_then(raw::string)
    .as_deref()
    {
        None | Some("complete") => Step::Keep,
        Some(kind) => {
            let what = format!("a result of type {kind}");
            Step::End(failure(&refused(&peer, &what, speaks), &id))
        }
    });
    Ok(crate::listen::until(cancelled, answer))
}

/// Takes a notification of a session: a cancellation ends what waits here, and what is
/// sent to a stateless server, which cannot be told otherwise.
pub(crate) fn told(session: &Session, bytes: &Bytes) {
    let Ok(text) = raw::text(bytes) else { return };
    let method = raw::find(text, "method").and_then(raw::string);
    if method.as_deref() == Some("notifications/cancelled")
        && let Some(id) = raw::at(text, &["params", "requestId"])
    {
        session.cancel(id);
    }
}

/// Returns the call with the metadata that a stateless server needs.
fn with_meta(call: &Call, hello: &Hello) -> Option<Call> {
    let info = match hello.client_info.is_empty() {
        true => r#"{"name":"unnamed","version":"0"}"#,
        false => &*hello.client_info,
    };
    let members = format!(
        r#""io.modelcontextprotocol/protocolVersion":"{}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{info}"#,
        Revision::LATEST
    );
    let text = raw::text(call.bytes()).ok()?;
    let mut edits = raw::Edits::default();
    let params = raw::find(text, "params");
    match params.and_then(|params| raw::find(params, "_meta")) {
        Some(meta) => {
            let start = raw::span(text, meta).start + 1;
            let empty = raw::members(meta).ok()?.is_empty();
            let comma = if empty { "" } else { "," };
            edits.put(start..start, format!("{members}{comma}"));
        }
        None => {
            let meta = format!("{{{members}}}");
            match params {
                Some(params) => edits.add_member(text, params, "_meta", &meta),
                None => {
                    let whole = text.trim_ascii();
                    edits.add_member(text, whole, "params", &format!("{{\"_meta\":{meta}}}"));
                }
            }
        }
    }
    reparse(&Bytes::from(edits.apply(text)))
}

/// Returns the call without the metadata that makes it stateless, which a server with
/// a handshake may refuse.
fn without_meta(call: &Call) -> Option<Bytes> {
    let text = raw::text(call.bytes()).ok()?;
    let meta = raw::at(text, &["params", "_meta"])?;
    let stateless = |key: &str| {
        let key = key.strip_prefix("io.modelcontextprotocol/");
        let known = [
            "protocolVersion",
            "clientCapabilities",
            "clientInfo",
            "logLevel",
        ];
        key.is_some_and(|key| known.contains(&key))
    };
    let kept: Vec<_> = (raw::members(meta).ok()?.into_iter())
        .filter(|member| !stateless(&member.key))
        .map(|member| format!("{}:{}", raw::quote(&member.key), member.value))
        .collect();
    let mut edits = raw::Edits::default();
    edits.replace(text, meta, format!("{{{}}}", kept.join(",")));
    Some(Bytes::from(edits.apply(text)))
}

fn failure(error: &Error, id: &str) -> String {
    let body = error.failure().body(Some(id));
    String::from_utf8(body.into()).expect("an error message is text")
}

impl Peer {
    /// Returns the session in which stateless calls of `caller` reach this server.
    fn own_session(self: &Arc<Self>, caller: &Caller) -> Result<Arc<Session>, Error> {
        let (kind, tenant) = (caller.kind().as_str(), caller.tenant());
        // No id of a client's session has such characters.
        let id = format!("bridge {} {kind} {tenant} {}", self.id(), caller.id());
        let sessions = &self.shared().sessions;
        let found = sessions.ensure(&id, caller, Revision::LATEST_LEGACY);
        found.map_err(|full| Error::SessionsFull { limit: full.limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stateless_metadata_is_taken_off() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"p":1.50},"_meta":{META"progressToken":1.0,"x/y":{"z":1e2}}}}"#;
        let meta = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"#;
        let call = reparse(&text.replace("META", meta).into()).unwrap();
        assert_eq!(without_meta(&call).unwrap(), text.replace("META", ""));
    }

    #[test]
    fn metadata_is_added_wherever_the_call_has_room_for_it() {
        let hello = Hello {
            client_info: r#"{"name":"c"}"#.into(),
            ..Hello::default()
        };
        for (params, expected) in [
            ("", r#""params":{"_meta":{META}},"#),
            (r#","params":{}"#, ""),
            (r#","params":{"name":"x"}"#, ""),
            (r#","params":{"_meta":{}}"#, ""),
            (r#","params":{"_meta":{"progressToken":1.0}}"#, ""),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{params}}}"#);
            let call = reparse(&text.clone().into()).unwrap();
            let call = with_meta(&call, &hello).unwrap();
            assert_eq!(call.meta().protocol_version(), Some("2026-07-28"), "{text}");
            assert_eq!(call.meta().client_info(), Some(&br#"{"name":"c"}"#[..]));
            assert!(call.meta().client_capabilities().is_some());
            let kept =
                !params.contains("progressToken") || call.meta().progress_token() == Some("1.0");
            assert!(kept, "{text}");
            assert!(expected.is_empty() || call.params().is_some());
        }
    }
}
