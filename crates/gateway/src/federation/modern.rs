//! Calls of the stateless era.

use std::sync::Arc;

use airside_mcp::{
    Body, Call, Incoming, MAX_MESSAGE, codes, header, raw, reply::List, result_body,
};
use airside_policy::Permit;
use http::{HeaderMap, Response, StatusCode, header::CONTENT_LENGTH};

use super::{
    Endpoint, Error, Peer, Visit,
    answer::{self, Step},
    discover, lists, rewrite,
};
use crate::{bridge, head, listen, upstream::Outbound};
use airside_mcp::body::full;

/// Carries out a call.
pub(super) async fn serve(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    if let [peer] = &endpoint.peers[..] {
        return one(endpoint, peer, permit, call, visit).await;
    }
    let route = &permit.value().route;
    if let (Some(server), Some(name)) = (&route.server, &route.name) {
        let peer = endpoint
            .peer(server.as_str())
            .ok_or_else(|| unknown(call))?;
        let renamed = rename(peer, call, name)?;
        let response = kept(endpoint, peer, permit, &renamed, visit).await?;
        let server = server.clone();
        return Ok(answer::map(response, move |text| {
            rewrite::tagged(&server, text).map_or(Step::Keep, Step::Replace)
        }));
    }
    match call.method() {
        "server/discover" => discover::merged(endpoint, call).await,
        "subscriptions/listen" => listen::fan_in(endpoint, permit, call, visit).await,
        method => match List::of_method(method) {
            Some(list) => lists::merged(endpoint, list, permit, call, visit, None).await,
            None => Err(Error::Method {
                method: method.to_owned(),
            }),
        },
    }
}

/// A call to the only server: its bytes as they came.
async fn one(
    endpoint: &Endpoint,
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    match call.method() {
        "subscriptions/listen" => {
            let response = exchange(peer, permit, call, visit).await?;
            Ok(listen::watched(peer, response, listen::told(call)))
        }
        method => match List::of_method(method) {
            Some(list) => lists::single(endpoint, peer, list, permit, call, visit).await,
            None => kept(endpoint, peer, permit, call, visit).await,
        },
    }
}

/// Asks the server, or answers with what it allowed to be kept.
async fn kept(
    endpoint: &Endpoint,
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let shared = &endpoint.shared;
    let question = match call.method() {
        "server/discover" | "resources/read" => {
            shared.cache.question(peer.id(), call, &visit.caller)
        }
        _ => None,
    };
    let Some(question) = question else {
        return exchange(peer, permit, call, visit).await;
    };
    let introduces = call.method() == "server/discover";
    if let Some(result) = shared.cache.find(&question) {
        let message = result_body(call.id().unwrap_or("null"), result.as_bytes());
        let message = String::from_utf8(message.into()).unwrap_or_default();
        let shown = introduces.then(|| peer.introduction(&message)).flatten();
        return Ok(answer::json(shown.unwrap_or(message)));
    }
    let response = exchange(peer, permit, call, visit).await?;
    let (shared, peer) = (Arc::clone(shared), Arc::clone(peer));
    Ok(answer::map(response, move |text| {
        if answer::is_answer(text)
            && let Some(result) = raw::find(text, "result")
        {
            shared.cache.keep(&question, result);
        }
        let shown = introduces.then(|| peer.introduction(text)).flatten();
        shown.map_or(Step::Keep, Step::Replace)
    }))
}

/// Sends one call to one server in the era that the server speaks.
pub(crate) async fn exchange(
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    if let Some(profile) = peer.profile().await
        && !profile.modern
    {
        return bridge::outward(peer, &profile, permit, call, visit).await;
    }
    let request = visit.post(peer, headers(visit, call)?, call.bytes().clone());
    let response = peer.send(permit, request).await?;
    if response.status() == StatusCode::BAD_REQUEST {
        return Ok(learned(peer, response).await);
    }
    Ok(response)
}

/// The client's headers; where the call has another name now, with that.
fn headers(visit: &Visit, call: &Call) -> Result<HeaderMap, Error> {
    let mut headers = head::forwarded(&visit.headers);
    if let Some(name) = call.name()
        && let Some(said) = headers.get(&header::NAME)
        && said.as_bytes() != name.as_bytes()
    {
        let name = header::encode(name);
        let name = http::HeaderValue::from_str(&name).map_err(|_| unknown(call))?;
        headers.insert(&header::NAME, name);
    }
    Ok(headers)
}

/// A refusal may mean that what is known of the server is out of date.
async fn learned(peer: &Peer, response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = airside_mcp::body::collect(body, MAX_MESSAGE).await else {
        return answer::empty(StatusCode::BAD_GATEWAY);
    };
    let code = raw::text(&bytes)
        .ok()
        .and_then(|text| raw::at(text, &["error", "code"]))
        .and_then(|code| code.parse::<i64>().ok());
    match code {
        Some(codes::HEADER_MISMATCH) => peer.suspected(),
        Some(codes::UNSUPPORTED_PROTOCOL_VERSION) => peer.forget_profile(),
        _ => {}
    }
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, full(bytes))
}

/// Returns the call with the name that the server itself uses.
pub(super) fn rename(peer: &Peer, call: &Call, name: &str) -> Result<Call, Error> {
    airside_mcp::reparse(&rewrite::renamed(call, name)).ok_or_else(|| Error::Answer {
        server: peer.id().clone(),
    })
}

/// Passes on a notification. The core defines none for clients of this era, so there
/// is nothing that would say which of several servers one is for.
pub(super) async fn deliver(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    message: &Incoming,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let Incoming::Notification(call) = message else {
        return Err(Error::Method {
            method: String::new(),
        });
    };
    match &endpoint.peers[..] {
        [peer] => {
            let headers = head::forwarded(&visit.headers);
            let request = visit.post(peer, headers, call.bytes().clone());
            Ok(peer.send(permit, request).await?)
        }
        _ => Err(Error::Method {
            method: call.method().to_owned(),
        }),
    }
}

fn unknown(call: &Call) -> Error {
    Error::Target {
        method: call.method().to_owned(),
    }
}
