//! Streams on which servers tell what has changed: one per server, merged for the
//! client, and watched for what the gateway itself has to forget.
//!
//! # Invariants
//!
//! * One request goes to each server from which something is asked; all messages
//!   carry the client's subscription id and names that lead back.
//! * A slow client holds up no server: what waits for it is bounded, and when that is
//!   full its stream ends, so that it subscribes anew and misses nothing unknowingly.
//! * A server that cannot be listened to leaves the others: the acknowledgement tells
//!   who is missing. When one that was listened to ends its stream, the merged one
//!   ends as well, since the client would miss its changes without knowing: the client
//!   subscribes anew and is told who is left.
//! * When the client goes, all requests to servers go.

use std::sync::Arc;

use airside_base::{OnFailure, ServerId};
use airside_mcp::{
    Body, BoxError, Call,
    body::{event_stream_response, is_event_stream},
    raw,
    sse::{self, Event},
};
use airside_policy::Permit;
use bytes::Bytes;
use futures_util::{future::join_all, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Map, Value, json};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    contracts::announce,
    federation::{
        Endpoint, Error, FAN_OUT, Peer, Shared, Visit,
        answer::{self, Events, Incoming},
        merge::UNAVAILABLE,
        modern, names, rewrite,
    },
    session::{Cancellation, Session},
    upstream::Outbound,
};

/// The member of a subscription by which a client hears of changed tools.
const TOOLS: &str = "toolsListChanged";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// Messages that wait for a client.
const WAITING: usize = 256;
/// Largest message on a stream, in bytes.
const MAX_EVENT: usize = 1 << 20;

/// What a client wants to hear of.
#[derive(Debug, Clone, PartialEq)]
struct Wanted(Map<String, Value>);

impl Wanted {
    fn read(call: &Call) -> Self {
        let params = call
            .params()
            .and_then(|params| std::str::from_utf8(params).ok());
        let wanted = params.and_then(|params| raw::find(params, "notifications"));
        Self(
            wanted
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
        )
    }

    /// What of it concerns `server`, in the server's own names; none if nothing does.
    fn of(&self, server: &ServerId) -> Option<Map<String, Value>> {
        let mut own = Map::new();
        for (key, value) in &self.0 {
            let value = match key.as_str() {
                "resourceSubscriptions" => {
                    let uris = strings(value).filter_map(names::untag_uri);
                    let own: Vec<_> = uris
                        .filter(|(to, _)| *to == server.as_str())
                        .map(|(_, uri)| uri)
                        .collect();
                    if own.is_empty() { continue } else { json!(own) }
                }
                "taskIds" => {
                    let ids = strings(value).filter_map(names::untag);
                    let own: Vec<_> = ids
                        .filter(|(to, _)| *to == server.as_str())
                        .map(|(_, id)| id)
                        .collect();
                    if own.is_empty() { continue } else { json!(own) }
                }
                _ if *value == Value::Bool(true) => Value::Bool(true),
                _ => continue,
            };
            own.insert(key.clone(), value);
        }
        (!own.is_empty()).then_some(own)
    }
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Adds what `server` has granted, in the names that are used outside.
fn grant(all: &mut Map<String, Value>, server: &ServerId, granted: &Map<String, Value>) {
    for (key, value) in granted {
        let list = |tag: &dyn Fn(&str) -> String| -> Vec<Value> {
            strings(value).map(|own| Value::from(tag(own))).collect()
        };
        let more = match key.as_str() {
            "resourceSubscriptions" => list(&|uri| names::tag_uri(server, uri)),
            "taskIds" => list(&|id| names::tag(server, id)),
            _ => {
                let granted = *value == Value::Bool(true);
                let known = all.entry(key.clone()).or_insert(Value::Bool(false));
                *known = Value::Bool(granted || *known == Value::Bool(true));
                continue;
            }
        };
        if let Value::Array(known) = all.entry(key.clone()).or_insert_with(|| json!([])) {
            known.extend(more);
        }
    }
}

/// A stream of one server that has been acknowledged.
struct Opened {
    peer: Arc<Peer>,
    events: Events,
    granted: Map<String, Value>,
}

/// Serves `subscriptions/listen` for several servers.
pub(crate) async fn fan_in(
    endpoint: &Endpoint,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let wanted = Wanted::read(call);
    let asked: Vec<_> = (endpoint.asked())
        .filter_map(|peer| Some((peer, wanted.of(peer.id())?)))
        .collect();
    let opened = join_all(asked.iter().map(|(peer, own)| async move {
        let opening = open(peer, own, permit, call, visit);
        timeout(FAN_OUT, opening).await.ok().flatten()
    }));
    let (mut streams, mut granted, mut missing) = (Vec::new(), Map::new(), Vec::new());
    for ((peer, _), opened) in asked.iter().zip(opened.await) {
        match opened {
            Some(opened) => {
                grant(&mut granted, peer.id(), &opened.granted);
                let tools = opened.granted.get(TOOLS) == Some(&Value::Bool(true));
                streams.push((opened.peer, opened.events, tools));
            }
            None => missing.push(peer.id().as_str()),
        }
    }
    if streams.is_empty() && !missing.is_empty() {
        let asked = missing.len();
        return Err(Error::Nobody { asked });
    }
    let id = call.id().unwrap_or("null").to_owned();
    let mut meta = Map::new();
    meta.insert(
        SUBSCRIPTION.to_owned(),
        serde_json::from_str(&id).unwrap_or_default(),
    );
    if !missing.is_empty() {
        tracing::warn!(servers = ?missing, "a merged subscription goes without these servers");
        meta.insert(UNAVAILABLE.to_owned(), json!(missing));
    }
    let first = json!({
        "jsonrpc": "2.0",
        "method": "notifications/subscriptions/acknowledged",
        "params": { "_meta": meta, "notifications": granted },
    });
    let body = merged(&endpoint.shared, streams, Some((id, first.to_string())));
    Ok(event_stream_response(body))
}

/// Asks one server and waits for its acknowledgement.
async fn open(
    peer: &Arc<Peer>,
    own: &Map<String, Value>,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Option<Opened> {
    let text = raw::text(call.bytes()).ok()?;
    let notifications = raw::at(text, &["params", "notifications"])?;
    let mut edits = raw::Edits::default();
    let own = serde_json::to_string(own).ok()?;
    edits.replace(text, notifications, own);
    let call = airside_mcp::reparse(&Bytes::from(edits.apply(text)))?;
    let response = modern::exchange(peer, permit, &call, visit).await.ok()?;
    if !is_event_stream(response.headers()) {
        return None;
    }
    let mut events = Events::new(response.into_body(), MAX_EVENT);
    loop {
        let Incoming::Event(event) = events.next().await? else {
            continue;
        };
        let text = raw::text(&event.data).ok()?;
        match raw::find(text, "method").and_then(raw::string)?.as_str() {
            "notifications/subscriptions/acknowledged" => {
                let granted = raw::at(text, &["params", "notifications"]);
                let granted = granted.and_then(|text| serde_json::from_str(text).ok());
                return Some(Opened {
                    peer: Arc::clone(peer),
                    events,
                    granted: granted.unwrap_or_default(),
                });
            }
            _ => continue,
        }
    }
}

/// Merges the streams of sessions at several servers.
pub(crate) fn merged_streams(shared: &Shared, streams: Vec<(Arc<Peer>, Body)>) -> Body {
    let events = |(peer, body)| (peer, Events::new(body, MAX_EVENT), true);
    merged(shared, streams.into_iter().map(events).collect(), None)
}

/// What tells a stateless subscription from the stream of a session: the client's id
/// and the first message.
type Subscription = Option<(String, String)>;

/// Each stream says whether the client is told when tools have changed.
fn merged(
    shared: &Shared,
    streams: Vec<(Arc<Peer>, Events, bool)>,
    subscription: Subscription,
) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    let gone = CancellationToken::new();
    let (id, first) = subscription.unzip();
    for (peer, events, tools) in streams {
        let (sender, gone, id) = (sender.clone(), gone.clone(), id.clone());
        shared
            .supervisor
            .spawn("listen", OnFailure::Log, async move {
                let end = tokio::select! {
                    () = gone.cancelled() => return,
                    end = follow(&peer, events, &sender, id.as_deref(), tools) => end,
                };
                // A regular end takes its turn behind what was said before it.
                if matches!(end, End::Lost) || sender.try_send(None).is_err() {
                    gone.cancel();
                }
            });
    }
    // With nobody to listen to, the stream stays open until the client goes.
    let keep = (id.is_some() && sender.strong_count() == 1).then_some(sender);
    let merged = Merged {
        first: first.map(|text| Event::message(text).encode()),
        receiver,
        id,
        gone: gone.clone(),
        _stop: gone.drop_guard(),
        _keep: keep,
    };
    let frames = stream::unfold(Some(merged), |merged| async move {
        let mut merged = merged?;
        if let Some(first) = merged.first.take() {
            return Some((Ok::<_, BoxError>(Frame::data(first)), Some(merged)));
        }
        let next = tokio::select! {
            biased;
            // Too slow: what waits is not worth sending, since something is lost.
            () = merged.gone.cancelled() => return None,
            next = merged.receiver.recv() => next,
        };
        match next {
            Some(Some(bytes)) => Some((Ok(Frame::data(bytes)), Some(merged))),
            Some(None) | None => {
                let id = merged.id.take()?;
                let end = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{SUBSCRIPTION}":{id}}}}}}}"#
                );
                Some((Ok(Frame::data(Event::message(end).encode())), None))
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

struct Merged {
    first: Option<Bytes>,
    receiver: mpsc::Receiver<Said>,
    /// The raw id of a subscription.
    id: Option<String>,
    gone: CancellationToken,
    _stop: DropGuard,
    _keep: Option<mpsc::Sender<Said>>,
}

/// What a server said; none when it has ended its stream.
type Said = Option<Bytes>;

/// How the stream of a server ended.
enum End {
    Regular,
    /// Something that was said may be lost.
    Lost,
}

/// Passes on what one server says until its stream ends.
async fn follow(
    peer: &Peer,
    mut events: Events,
    sender: &mpsc::Sender<Said>,
    id: Option<&str>,
    tools: bool,
) -> End {
    let mut changes = peer.contracts().changes();
    loop {
        let next = tokio::select! {
            biased;
            next = events.try_next() => next,
            Ok(()) = changes.changed(), if tools => Ok(Some(Incoming::Event(announce::event(id)))),
        };
        let bytes = match next {
            Ok(Some(Incoming::Pause)) => sse::keep_alive(),
            Ok(Some(Incoming::Event(event))) => match passed(peer, event, id) {
                Some(event) => event.encode(),
                None => continue,
            },
            Ok(None) => return End::Regular,
            Err(error) => {
                tracing::warn!(server.id = %peer.id(), %error, "the stream of a server has broken off");
                return End::Lost;
            }
        };
        if sender.try_send(Some(bytes)).is_err() {
            tracing::warn!(server.id = %peer.id(), "a client reads its stream too slowly; it is ended");
            return End::Lost;
        }
    }
}

/// Returns an event as the client gets it; none for the answer that ends a server's
/// stream, since the client gets one of ours.
fn passed(peer: &Peer, event: Event, id: Option<&str>) -> Option<Event> {
    let text = raw::text(&event.data).ok()?;
    notice(peer, text);
    if id.is_some() && answer::is_answer(text) {
        return None;
    }
    let mut text = text.to_owned();
    if let Some(id) = id
        && let Some(place) = raw::at(&text, &["params", "_meta", SUBSCRIPTION])
    {
        let mut edits = raw::Edits::default();
        edits.replace(&text, place, id.to_owned());
        text = edits.apply(&text);
    }
    if let Some(asked) = rewrite::asked(peer.id(), &text) {
        text = asked;
    }
    if let Some(tagged) = rewrite::tagged(peer.id(), &text) {
        text = tagged;
    }
    Some(Event {
        data: text.into(),
        id: event.id.map(|id| names::tag(peer.id(), &id)),
        ..event
    })
}

/// Forgets what a server announces to have changed.
fn notice(peer: &Peer, text: &str) {
    let method = raw::find(text, "method").and_then(raw::string);
    if method.is_some_and(|method| {
        method.ends_with("/list_changed") || method == "notifications/resources/updated"
    }) {
        peer.changed();
    }
}

/// Returns what the subscription of `call` is told of changed tools, if it asks for that.
pub(crate) fn told(call: &Call) -> Option<Event> {
    let wanted = Wanted::read(call).0.get(TOOLS) == Some(&Value::Bool(true));
    wanted.then(|| announce::event(call.id()))
}

/// Passes the stream of the only server through as it is, and looks at it.
/// `told` is what it is told when what is served of the server's tools has changed here.
pub(crate) fn watched(
    peer: &Arc<Peer>,
    response: Response<Body>,
    told: Option<Event>,
) -> Response<Body> {
    if !is_event_stream(response.headers()) {
        return response;
    }
    let response = match told {
        Some(event) => response.map(|body| announce::announced(peer.contracts(), body, &event)),
        None => response,
    };
    let peer = Arc::clone(peer);
    let mut decoder = sse::Decoder::new(MAX_EVENT);
    let mut events = Vec::new();
    response.map(|body| {
        body.map_frame(move |frame| {
            if let Some(piece) = frame.data_ref() {
                // A stream that cannot be read is the client's to refuse.
                if decoder.decode(piece, &mut events).is_err() {
                    decoder = sse::Decoder::new(MAX_EVENT);
                }
                for event in events.drain(..) {
                    if let Ok(text) = raw::text(&event.data) {
                        notice(&peer, text);
                    }
                }
            }
            frame
        })
        .boxed_unsync()
    })
}

/// Keeps `session` from ending while its stream is open.
pub(crate) fn held(session: Arc<Session>, response: Response<Body>) -> Response<Body> {
    response.map(|body| {
        body.map_frame(move |frame| {
            let _: &Arc<Session> = &session;
            frame
        })
        .boxed_unsync()
    })
}

/// Ends the body of `response` when `end` is cancelled.
pub(crate) fn until(end: Cancellation, response: Response<Body>) -> Response<Body> {
    response.map(|body| {
        let frames = stream::unfold((body, end), |(mut body, end)| async move {
            let frame = tokio::select! {
                biased;
                () = end.cancelled() => return None,
                frame = body.frame() => frame?,
            };
            Some((frame, (body, end)))
        });
        StreamBody::new(frames).boxed_unsync()
    })
}

#[cfg(test)]
mod tests;
