//! What OAuth clients are told: where tokens come from, why a request is refused, and
//! what is recorded of who called.
//!
//! # Invariants
//!
//! * Metadata is the same for everybody and holds nothing but configuration, so any
//!   page may read it. `Host` has to be ours all the same.

use std::sync::Arc;

use airside_identity::{Caller, Error, Identity, RESOURCE_METADATA};
use airside_mcp::{Body, Failure, body::full, codes};
use http::{
    HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        CACHE_CONTROL, CONTENT_TYPE,
    },
    request::Parts,
};

use crate::{
    event,
    federation::Route,
    snapshot::{Mount, Snapshot},
};

/// Returns the answer to a request for the metadata of an endpoint; nothing if it is
/// none, or there is none.
pub(crate) fn metadata(snapshot: &Snapshot, head: &Parts) -> Option<Response<Body>> {
    let path = head.uri.path().strip_prefix(RESOURCE_METADATA)?;
    // Without a path it is that of the first endpoint.
    let mount: Arc<Mount> = match path {
        "" | "/" => snapshot.first_mount()?,
        path => snapshot.find_mount(path)?,
    };
    let document = snapshot.identity.resource_metadata(&mount.path)?;
    let mut response = match head.method {
        Method::GET => Response::new(full(document)),
        // Asked by browsers before they send a field such as `MCP-Protocol-Version`.
        Method::OPTIONS => {
            let mut response = Response::new(full(Vec::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        _ => return None,
    };
    let fields = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=300"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
    ];
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    Some(response)
}

/// Returns how a request is answered that identity refused at `path`.
pub(crate) fn refusal(
    identity: &Identity,
    error: &Error,
    path: &str,
) -> (Failure, Vec<(HeaderName, HeaderValue)>) {
    let fault = identity.fault(error, path);
    let (status, code) = match fault.kind().http_status() {
        401 => (StatusCode::UNAUTHORIZED, codes::UNAUTHENTICATED),
        403 => (StatusCode::FORBIDDEN, codes::POLICY_REFUSED),
        _ => (StatusCode::SERVICE_UNAVAILABLE, codes::UPSTREAM_UNAVAILABLE),
    };
    let fields = identity.challenges(error, path);
    (Failure::new(status, code, fault), fields)
}

/// Checks that `caller` has the scopes that `method` needs where `route` leads.
pub(crate) fn check_scopes(
    identity: &Identity,
    caller: &Caller,
    method: &str,
    route: &Route,
) -> Result<(), Error> {
    let tool = match (method, &route.server, &route.name) {
        ("tools/call", Some(server), Some(name)) => Some((server.as_str(), &**name)),
        _ => None,
    };
    identity.check_scopes(caller, method, tool)
}

/// Returns what is recorded of how `caller` was identified.
pub(crate) fn recorded(caller: &Caller) -> event::Identity<'static> {
    let own = |text: &str| text.to_owned().into();
    let evidence = caller.evidence();
    let checked = evidence.iter().flat_map(|evidence| {
        let verifier = evidence.verifier;
        let checked = evidence.checked.iter();
        checked.map(move |checked| format!("{verifier}: {checked}").into())
    });
    let first = evidence.first().map(|first| first.verifier);
    event::Identity {
        // Without evidence nobody vouches for the caller.
        verifier: first.unwrap_or_else(|| caller.kind().as_str()).into(),
        evidence: checked.collect(),
        issuer: caller.issuer().map(own),
        client: caller.client().map(own),
        subject: caller.subject_pseudonym().map(own),
        actors: caller.actors().iter().map(|actor| own(actor)).collect(),
        scopes: caller.scopes().iter().map(|scope| own(scope)).collect(),
    }
}
