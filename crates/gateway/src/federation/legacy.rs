//! Calls of the handshake era: sessions here, sessions at the servers.

use std::sync::Arc;

use airside_base::ServerId;
use airside_mcp::{Body, Call, Incoming, MAX_MESSAGE, Revision, header, raw, reply::List};
use airside_policy::Permit;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Method, Request, Response, StatusCode, header as h};
use tokio::time::timeout;

use super::{
    Endpoint, Error, FAN_OUT, Peer, Visit,
    answer::{self, Step},
    discover::{self, Introductions},
    lists, modern, names,
    peer::session_headers,
    rewrite,
};
use crate::{
    bridge,
    contracts::announce,
    listen,
    session::{Hello, Link, MAX_HELLO, Session, takes_forms},
    upstream::Outbound,
};

/// Opens a session.
pub(super) async fn initialize(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    if let [peer] = &endpoint.peers[..] {
        let profile = peer.profile().await;
        return match profile.filter(|profile| !profile.legacy) {
            Some(profile) => {
                let revision = requested(call);
                let hello = hello(call)?;
                let result = bridge::greeting(&profile, revision);
                open(endpoint, call, visit, revision, hello, None, &result)
            }
            None => introduce(endpoint, peer, permit, call, visit).await,
        };
    }
    let all = Introductions::gather(endpoint).await?;
    let revision = requested(call);
    let result = discover::greeting(&all, revision).to_string();
    let hello = hello(call)?;
    open(endpoint, call, visit, revision, hello, None, &result)
}

/// The only server is told by the client itself.
async fn introduce(
    endpoint: &Endpoint,
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let headers = crate::head::forwarded(&visit.headers);
    let response = peer
        .send(permit, visit.post(peer, headers, call.bytes().clone()))
        .await?;
    let (status, session) = (
        response.status(),
        response.headers().get(&header::SESSION_ID).cloned(),
    );
    let unreadable = || Error::Answer {
        server: peer.id().clone(),
    };
    let message = answer::message(response, MAX_MESSAGE).await;
    let message = message.ok_or_else(unreadable)?;
    let agreed = raw::at(&message, &["result", "protocolVersion"]).and_then(raw::string);
    let Some(agreed) = agreed else {
        let mut refused = answer::json(message);
        *refused.status_mut() = status;
        return Ok(refused);
    };
    let revision = Revision::find(&agreed).unwrap_or(Revision::V2025_03_26);
    let link = Link {
        id: session.and_then(|id| id.to_str().ok().map(Into::into)),
        revision,
    };
    let sessions = &endpoint.shared.sessions;
    let link = Some((peer.id().clone(), link));
    let hello = Hello {
        takes_forms: takes_forms(introduced(call, "capabilities").unwrap_or_default()),
        ..Hello::default()
    };
    let id = sessions.open(visit.caller.clone(), endpoint.key, revision, hello, link);
    let id = id.map_err(|full| Error::SessionsFull { limit: full.limit })?;
    let message = peer.introduction(&message).unwrap_or(message);
    Ok(with_session(answer::json(message), &id))
}

fn open(
    endpoint: &Endpoint,
    call: &Call,
    visit: &Visit,
    revision: Revision,
    hello: Hello,
    link: Option<(ServerId, Link)>,
    result: &str,
) -> Result<Response<Body>, Error> {
    let sessions = &endpoint.shared.sessions;
    let id = sessions.open(visit.caller.clone(), endpoint.key, revision, hello, link);
    let id = id.map_err(|full| Error::SessionsFull { limit: full.limit })?;
    Ok(with_session(
        answer::result(call.id().unwrap_or("null"), result),
        &id,
    ))
}

fn with_session(mut response: Response<Body>, id: &str) -> Response<Body> {
    let id = HeaderValue::from_str(id).expect("base64url is a header value");
    response.headers_mut().insert(&header::SESSION_ID, id);
    response
}

fn requested(call: &Call) -> Revision {
    let params = call
        .params()
        .and_then(|params| std::str::from_utf8(params).ok());
    let version = params.and_then(|params| raw::find(params, "protocolVersion"));
    Revision::negotiate(&version.and_then(raw::string).unwrap_or_default())
}

/// Returns an object by which a client introduces itself.
fn introduced<'a>(call: &'a Call, key: &str) -> Option<&'a str> {
    let params = std::str::from_utf8(call.params()?).ok()?;
    raw::find(params, key).filter(|text| text.starts_with('{'))
}

/// What later introduces the client to servers.
fn hello(call: &Call) -> Result<Hello, Error> {
    let object = |key| introduced(call, key).unwrap_or_default();
    let hello = Hello {
        capabilities: object("capabilities").into(),
        client_info: object("clientInfo").into(),
        takes_forms: takes_forms(object("capabilities")),
    };
    if hello.capabilities.len() + hello.client_info.len() > MAX_HELLO {
        let limit_bytes = MAX_HELLO;
        return Err(Error::Introduction { limit_bytes });
    }
    Ok(hello)
}

fn session_of(endpoint: &Endpoint, visit: &Visit) -> Result<(String, Arc<Session>), Error> {
    let id = visit.headers.get(&header::SESSION_ID);
    let id = id.and_then(|id| id.to_str().ok()).ok_or(Error::Session)?;
    let session = endpoint.find(id, &visit.caller).ok_or(Error::Session)?;
    Ok((id.to_owned(), session))
}

/// Carries out a call of a session.
pub(super) async fn serve(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let (id, session) = session_of(endpoint, visit)?;
    let list = List::of_method(call.method());
    if let [peer] = &endpoint.peers[..] {
        let answered = exchange(endpoint, peer, permit, call, visit, &session).await;
        if matches!(answered, Err(Error::Session)) {
            endpoint.shared.sessions.remove(&id);
        }
        let response = answered?;
        let Some(list) = list else {
            return Ok(response);
        };
        let show = lists::Show::to(endpoint, peer, list, call, visit).await;
        return Ok(answer::map(response, move |text| show.message(text)));
    }
    if let Some(list) = list {
        return lists::merged(endpoint, list, permit, call, visit, Some(&session)).await;
    }
    let route = &permit.value().route;
    let (Some(server), Some(name)) = (&route.server, &route.name) else {
        return for_all(endpoint, permit, call, visit, &session).await;
    };
    let peer = endpoint.peer(server.as_str()).ok_or(Error::Session)?;
    let renamed = modern::rename(peer, call, name)?;
    let response = exchange(endpoint, peer, permit, &renamed, visit, &session).await?;
    Ok(tagged(server, response))
}

/// Names and ids of one of several servers, as they lead back to it.
fn tagged(server: &ServerId, response: Response<Body>) -> Response<Body> {
    let server = server.clone();
    answer::map(response, move |text| {
        let asked = rewrite::asked(&server, text);
        let text = asked.as_deref().unwrap_or(text);
        match rewrite::tagged(&server, text) {
            Some(text) => Step::Replace(text),
            None => asked.map_or(Step::Keep, Step::Replace),
        }
    })
}

/// Calls that are for the endpoint as a whole.
async fn for_all(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
    session: &Arc<Session>,
) -> Result<Response<Body>, Error> {
    let id = call.id().unwrap_or("null");
    match call.method() {
        "ping" => Ok(answer::result(id, "{}")),
        "logging/setLevel" => {
            let set = join_all(endpoint.asked().map(|peer| async move {
                let profile = peer.profile().await?;
                if !profile.has("logging") {
                    return None;
                }
                let sent = exchange(endpoint, peer, permit, call, visit, session);
                let response = timeout(FAN_OUT, sent).await.ok()?.ok()?;
                let text = answer::message(response, MAX_MESSAGE).await?;
                raw::find(&text, "result").map(|_| ())
            }));
            match set.await.into_iter().flatten().count() {
                0 => Err(Error::Method {
                    method: call.method().to_owned(),
                }),
                _ => Ok(answer::result(id, "{}")),
            }
        }
        method => Err(Error::Method {
            method: method.to_owned(),
        }),
    }
}

/// Sends one call to one server in the era that the server speaks.
pub(crate) async fn exchange(
    endpoint: &Endpoint,
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
    session: &Arc<Session>,
) -> Result<Response<Body>, Error> {
    if let Some(profile) = peer.profile().await
        && !profile.legacy
    {
        return bridge::inward(peer, permit, call, visit, session).await;
    }
    let link = link(peer, permit, session, visit).await?;
    let mut headers = crate::head::forwarded(&visit.headers);
    headers.extend(session_headers(&link));
    let response = peer
        .send(permit, visit.post(peer, headers, call.bytes().clone()))
        .await?;
    from_session(endpoint, peer, session, response).await
}

/// A server that no longer knows its session ends it for the client too, where the
/// client knows no other server; else it is opened anew with the next call.
async fn from_session(
    endpoint: &Endpoint,
    peer: &Peer,
    session: &Session,
    response: Response<Body>,
) -> Result<Response<Body>, Error> {
    if response.status() != StatusCode::NOT_FOUND {
        let (mut head, body) = response.into_parts();
        // Its id is between the server and us.
        head.headers.remove(&header::SESSION_ID);
        return Ok(Response::from_parts(head, body));
    }
    if endpoint.peers.len() == 1 {
        return Err(Error::Session);
    }
    session.unlink(peer.id()).await;
    Err(Error::Answer {
        server: peer.id().clone(),
    })
}

/// Returns the session at `peer` that belongs to `session`.
async fn link(
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    session: &Session,
    visit: &Visit,
) -> Result<Arc<Link>, Error> {
    let open = async {
        let hello = &session.hello;
        let opened = peer
            .open(permit, session.revision, hello, Some(visit))
            .await;
        opened.map(|(link, _)| link).ok_or_else(|| Error::Answer {
            server: peer.id().clone(),
        })
    };
    session.link(peer.id(), open).await
}

/// Passes on a notification or an answer.
pub(super) async fn deliver(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    message: &Incoming,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let (id, session) = session_of(endpoint, visit)?;
    let bytes = match message {
        Incoming::Notification(call) | Incoming::Request(call) => call.bytes(),
        Incoming::Response(response) => response.bytes(),
        Incoming::Batch(_) => {
            return Err(Error::Method {
                method: String::new(),
            });
        }
    };
    match message {
        // A question of the gateway's own is answered here.
        Incoming::Response(_) if raw::text(bytes).is_ok_and(|text| session.answered(text)) => {
            return Ok(answer::empty(StatusCode::ACCEPTED));
        }
        Incoming::Notification(_) => bridge::told(&session, bytes),
        Incoming::Request(_) | Incoming::Response(_) | Incoming::Batch(_) => {}
    }
    if let [peer] = &endpoint.peers[..] {
        let sent = pass(endpoint, peer, permit, bytes.clone(), visit, &session).await;
        if matches!(sent, Err(Error::Session)) {
            endpoint.shared.sessions.remove(&id);
        }
        return sent;
    }
    if let Incoming::Notification(call) = message {
        // The servers have been told when their sessions were opened.
        if call.method() != "notifications/initialized" {
            for (server, _) in session.links().await {
                if let Some(peer) = endpoint.asked().find(|peer| *peer.id() == server) {
                    pass(endpoint, peer, permit, bytes.clone(), visit, &session).await?;
                }
            }
        }
        return Ok(answer::empty(StatusCode::ACCEPTED));
    }
    let unknown = || Error::Target {
        method: "answer".to_owned(),
    };
    let text = raw::text(bytes).map_err(|_| unknown())?;
    let (server, own) = rewrite::answered(text).ok_or_else(unknown)?;
    let mut asked = endpoint.asked();
    let peer = asked.find(|peer| peer.id().as_str() == server);
    let peer = peer.ok_or_else(unknown)?;
    pass(endpoint, peer, permit, own.into(), visit, &session).await
}

async fn pass(
    endpoint: &Endpoint,
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    bytes: Bytes,
    visit: &Visit,
    session: &Arc<Session>,
) -> Result<Response<Body>, Error> {
    if let Some(profile) = peer.profile().await
        && !profile.legacy
    {
        return Ok(answer::empty(StatusCode::ACCEPTED));
    }
    let link = link(peer, permit, session, visit).await?;
    let mut headers = crate::head::forwarded(&visit.headers);
    headers.extend(session_headers(&link));
    let response = peer.send(permit, visit.post(peer, headers, bytes)).await?;
    from_session(endpoint, peer, session, response).await
}

/// Opens the stream of a session.
pub(super) async fn stream(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let (id, session) = session_of(endpoint, visit)?;
    if let [peer] = &endpoint.peers[..] {
        let opened = listening(endpoint, peer, permit, visit, &session, None).await;
        if matches!(opened, Err(Error::Session)) {
            endpoint.shared.sessions.remove(&id);
        }
        let response = opened?;
        let told = Some(announce::event(None));
        return Ok(listen::held(session, listen::watched(peer, response, told)));
    }
    // An event id names the server that gave it; the others begin anew.
    let last = visit.headers.get(&header::LAST_EVENT_ID);
    let last = last.and_then(|id| id.to_str().ok()).and_then(names::untag);
    let opened = join_all(endpoint.asked().map(|peer| {
        let session = &session;
        async move {
            let last = last.filter(|(server, _)| *server == peer.id().as_str());
            let last = last.map(|(_, id)| id);
            let stream = listening(endpoint, peer, permit, visit, session, last);
            let response = timeout(FAN_OUT, stream).await.ok()?.ok()?;
            airside_mcp::body::is_event_stream(response.headers())
                .then(|| (Arc::clone(peer), response.into_body()))
        }
    }));
    let streams: Vec<_> = opened.await.into_iter().flatten().collect();
    if streams.is_empty() {
        return Err(Error::NoStream);
    }
    let body = listen::merged_streams(&endpoint.shared, streams);
    Ok(listen::held(
        session,
        airside_mcp::body::event_stream_response(body),
    ))
}

async fn listening(
    endpoint: &Endpoint,
    peer: &Arc<Peer>,
    permit: &Permit<Outbound>,
    visit: &Visit,
    session: &Arc<Session>,
    last_event: Option<&str>,
) -> Result<Response<Body>, Error> {
    if peer.profile().await.is_some_and(|profile| !profile.legacy) {
        return Err(Error::NoStream);
    }
    let link = link(peer, permit, session, visit).await?;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.extend(crate::head::forwarded(&visit.headers));
    headers.extend(session_headers(&link));
    headers.insert(h::ACCEPT, HeaderValue::from_static("text/event-stream"));
    if endpoint.peers.len() > 1 {
        headers.remove(&header::LAST_EVENT_ID);
    }
    if let Some(Ok(last)) = last_event.map(HeaderValue::from_str) {
        headers.insert(&header::LAST_EVENT_ID, last);
    }
    visit.sign(peer, &mut request);
    let response = peer.send(permit, request).await?;
    from_session(endpoint, peer, session, response).await
}

/// Ends a session.
pub(super) async fn close(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let (id, session) = session_of(endpoint, visit)?;
    endpoint.shared.sessions.remove(&id);
    let links = session.links().await;
    let ended = join_all(links.iter().map(|(server, link)| async move {
        let peer = endpoint.peer(server.as_str())?;
        timeout(FAN_OUT, peer.close(permit, link, Some(visit)))
            .await
            .ok()
    }));
    ended.await;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
