//! Lists: of one server, as it was accepted and cut to what the caller may use; of
//! several, made into one.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use airside_base::ServerId;
use airside_mcp::{Body, Call, MAX_MESSAGE, raw, reply::List};
use airside_policy::Permit;
use futures_util::future::join_all;
use http::Response;
use tokio::time::timeout;

use super::{
    Endpoint, Error, FAN_OUT, OWN_INFO, Peer, Shared, Visit,
    answer::{self, Step},
    audience::Audience,
    cursor::Cursor,
    legacy,
    merge::{self, Freshness, Merge, Page},
    modern,
};
use crate::{
    cache::Key,
    contracts::{self, Listing},
    session::Session,
    upstream::Outbound,
};

/// The capability that a server has if it serves a list.
const fn capability(list: List) -> &'static str {
    match list {
        List::Tools => "tools",
        List::Prompts => "prompts",
        List::Resources | List::ResourceTemplates => "resources",
    }
}

/// The list of the only server of an endpoint, in the stateless era.
pub(super) async fn single(
    endpoint: &Endpoint,
    peer: &Arc<Peer>,
    list: List,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
) -> Result<Response<Body>, Error> {
    let shared = Arc::clone(&endpoint.shared);
    let show = Show::to(endpoint, peer, list, call, visit).await;
    let question = shared.cache.question(peer.id(), call, &visit.caller);
    if let Some(question) = &question
        && let Some(found) = shared.cache.find(question)
    {
        let shown = show.result(&found);
        let id = call.id().unwrap_or("null");
        return Ok(answer::result(id, shown.as_deref().unwrap_or(&found)));
    }
    let response = modern::exchange(peer, permit, call, visit).await?;
    Ok(answer::map(response, move |text| {
        if let Some(question) = &question
            && answer::is_answer(text)
            && let Some(result) = raw::find(text, "result")
        {
            shared.cache.keep(question, result);
        }
        show.message(text)
    }))
}

/// How a list of one server is shown to somebody: tools as they were accepted, and of
/// everything what the caller may use.
pub(super) struct Show {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    list: List,
    class: Cow<'static, str>,
    /// It is the first page.
    begins: bool,
    audience: Audience,
}

impl Show {
    /// Returns how `list` of `peer` is shown to who visits.
    pub(super) async fn to(
        endpoint: &Endpoint,
        peer: &Arc<Peer>,
        list: List,
        call: &Call,
        visit: &Visit,
    ) -> Self {
        if list == List::Tools {
            peer.read_tools().await;
        }
        Self {
            shared: Arc::clone(&endpoint.shared),
            peer: Arc::clone(peer),
            list,
            class: peer.class(&visit.caller),
            begins: call.cursor().is_none(),
            audience: visit.audience.clone(),
        }
    }

    /// Returns what is shown of a message that may carry the list.
    pub(super) fn message(&self, text: &str) -> Step {
        if !answer::is_answer(text) {
            return Step::Keep;
        }
        let Some(result) = raw::find(text, "result") else {
            return Step::Keep;
        };
        match self.result(result) {
            None => Step::Keep,
            Some(shown) => {
                let mut edits = raw::Edits::default();
                edits.replace(text, result, shown);
                Step::Replace(edits.apply(text))
            }
        }
    }

    /// Returns what is shown of a result; none if it is shown as it is.
    fn result(&self, result: &str) -> Option<String> {
        let settled = self.settled(result);
        let cut = cut(
            &self.shared,
            self.list,
            self.peer.id(),
            settled.as_deref().unwrap_or(result),
            &self.audience,
        );
        cut.or(settled)
    }

    /// Returns `result` with its tools as they were accepted, none if that is how they
    /// are. Done once for the same result and state.
    fn settled(&self, result: &str) -> Option<String> {
        if self.list != List::Tools {
            return None;
        }
        let contracts = self.peer.contracts();
        let key = || {
            Key::of(&[
                b"settled",
                self.peer.id().as_str().as_bytes(),
                self.class.as_bytes(),
                &contracts.generation().to_be_bytes(),
                result.as_bytes(),
            ])
        };
        if let Some(known) = self.shared.cache.rendered(key()) {
            return String::from_utf8(known.into()).ok();
        }
        let listing = Listing {
            complete: self.begins && raw::find(result, "nextCursor").is_none(),
            views: &HashMap::new(),
            rules: self.peer.rules(),
        };
        let shown = contracts::lists(contracts, &self.class, &[result], listing);
        let shown = shown.into_iter().next().flatten();
        let text = shown.as_deref().unwrap_or(result);
        self.shared
            .cache
            .keep_rendered(key(), bytes::Bytes::copy_from_slice(text.as_bytes()));
        shown
    }
}

/// Cuts a result; done once for the same result and audience.
fn cut(
    shared: &Shared,
    list: List,
    server: &ServerId,
    result: &str,
    audience: &Audience,
) -> Option<String> {
    if audience.is_everyone() {
        return None;
    }
    let key = Key::of(&[
        b"cut",
        list.method().as_bytes(),
        server.as_str().as_bytes(),
        audience.class(),
        result.as_bytes(),
    ]);
    if let Some(known) = shared.cache.rendered(key) {
        return String::from_utf8(known.into()).ok();
    }
    let cut = merge::cut(list, server, result, audience);
    let text = cut.as_deref().unwrap_or(result);
    shared
        .cache
        .keep_rendered(key, bytes::Bytes::copy_from_slice(text.as_bytes()));
    cut
}

/// A page of one server.
struct Paged {
    result: String,
    freshness: Freshness,
}

/// The lists of all servers of an endpoint as one, page by page.
pub(super) async fn merged(
    endpoint: &Endpoint,
    list: List,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
    session: Option<&Arc<Session>>,
) -> Result<Response<Body>, Error> {
    let asked: Vec<(&Arc<Peer>, Option<String>)> = match call.cursor() {
        None => endpoint.asked().map(|peer| (peer, None)).collect(),
        Some(text) => {
            let known = |server: &ServerId| endpoint.peer(server.as_str()).is_some();
            let next = Cursor::accept(list, text, known).map_err(|_| Error::Cursor)?;
            (next.into_iter())
                .filter_map(|(server, cursor)| {
                    let peer = endpoint.asked().find(|peer| *peer.id() == server)?;
                    Some((peer, Some(cursor)))
                })
                .collect()
        }
    };
    let pages = join_all(asked.iter().map(|(peer, cursor)| async move {
        let page = page(
            endpoint,
            peer,
            list,
            cursor.as_deref(),
            permit,
            call,
            visit,
            session,
        );
        let page = timeout(FAN_OUT, page).await;
        page.ok().and_then(Result::ok)
    }));
    let pages = pages.await;
    let (mut found, mut unavailable, mut next) = (Vec::new(), Vec::new(), Vec::new());
    for ((peer, _), page) in asked.iter().zip(&pages) {
        match page {
            Some(Some(page)) => {
                if let Some(cursor) = raw::find(&page.result, "nextCursor").and_then(raw::string) {
                    next.push((peer.id().clone(), cursor));
                }
                found.push((peer.id(), page));
            }
            Some(None) => {}
            None => {
                tracing::warn!(server.id = %peer.id(), list = list.method(), "a merged list goes without this server");
                unavailable.push(peer.id().clone());
            }
        }
    }
    if !asked.is_empty() && unavailable.len() == asked.len() {
        return Err(Error::Nobody { asked: asked.len() });
    }
    let pages: Vec<_> = (found.iter())
        .map(|(server, page)| Page {
            server,
            result: &page.result,
            freshness: page.freshness,
        })
        .collect();
    let merge = Merge {
        list,
        pages: &pages,
        unavailable: &unavailable,
        audience: &visit.audience,
        next: Cursor::issue(list, next),
        server_info: session.is_none().then_some(OWN_INFO),
    };
    let items = rendered(&endpoint.shared, &merge);
    Ok(answer::result(
        call.id().unwrap_or("null"),
        &merge.finish(&items),
    ))
}

/// The items of a merged page, rendered once for the same pages and audience.
fn rendered(shared: &Shared, merge: &Merge<'_>) -> String {
    let class = merge.audience.class();
    let mut parts: Vec<&[u8]> = vec![b"merged", merge.list.method().as_bytes(), class];
    for page in merge.pages {
        parts.push(page.server.as_str().as_bytes());
        parts.push(page.result.as_bytes());
    }
    let key = Key::of(&parts);
    if let Some(known) = shared.cache.rendered(key)
        && let Ok(known) = String::from_utf8(known.into())
    {
        return known;
    }
    let items = merge.items();
    shared
        .cache
        .keep_rendered(key, bytes::Bytes::copy_from_slice(items.as_bytes()));
    items
}

/// One page of one server; none if the server has no such list.
#[expect(
    clippy::too_many_arguments,
    reason = "one call site; a struct would only rename them"
)]
async fn page(
    endpoint: &Endpoint,
    peer: &Arc<Peer>,
    list: List,
    cursor: Option<&str>,
    permit: &Permit<Outbound>,
    call: &Call,
    visit: &Visit,
    session: Option<&Arc<Session>>,
) -> Result<Option<Paged>, Error> {
    let unreadable = || Error::Answer {
        server: peer.id().clone(),
    };
    if let Some(profile) = peer.profile().await
        && !profile.has(capability(list))
    {
        return Ok(None);
    }
    let call = with_cursor(call, cursor).ok_or_else(unreadable)?;
    let show = Show::to(endpoint, peer, list, &call, visit).await;
    let settled = |result: String| show.settled(&result).unwrap_or(result);
    let cache = &endpoint.shared.cache;
    let question = cache.question(peer.id(), &call, &visit.caller);
    if let Some(question) = &question
        && let Some((result, freshness)) = cache.find_whole(question)
    {
        let result = settled(result);
        return Ok(Some(Paged { result, freshness }));
    }
    let response = match session {
        None => modern::exchange(peer, permit, &call, visit).await?,
        Some(session) => legacy::exchange(endpoint, peer, permit, &call, visit, session).await?,
    };
    let text = answer::message(response, MAX_MESSAGE).await;
    let text = text.ok_or_else(unreadable)?;
    let Some(result) = raw::find(&text, "result") else {
        return match raw::at(&text, &["error", "code"]) {
            Some("-32601") => Ok(None),
            _ => Err(unreadable()),
        };
    };
    if let Some(question) = &question {
        cache.keep(question, result);
    }
    if raw::find(result, list.member()).is_none_or(|items| raw::elements(items).is_err()) {
        return Err(unreadable());
    }
    Ok(Some(Paged {
        freshness: Freshness::of(result),
        result: settled(result.to_owned()),
    }))
}

/// Returns `call` with a server's own cursor in the place of ours.
fn with_cursor(call: &Call, cursor: Option<&str>) -> Option<Call> {
    match (call.cursor_span(), cursor) {
        (Some(span), Some(cursor)) => {
            let edit = raw::quote(cursor);
            airside_mcp::reparse(&airside_mcp::splice(
                call.bytes(),
                &[(span, edit.as_bytes())],
            ))
        }
        _ => Some(call.clone()),
    }
}
