//! The state of conversations, for upstream servers and for operators.
//!
//! # Invariants
//!
//! * An upstream server is told the same of a conversation that is another server's,
//!   another tenant's or none at all: that there is no such conversation.
//! * Handles travel in a header, never in a path, which proxies write down.

use std::time::Duration;

use airside_base::TenantId;
use airside_ledger::{
    Entry,
    conversation::{Conversations, Error, Handle, Id, MAX_STATE_BYTES, Moment, Opening, Past},
};
use axum::{
    Extension,
    body::Body,
    extract::{Query, State as Extract, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Needs, State,
    fault::{self, Answer},
    role::Holder,
    router::json,
    wire,
};

/// The header that names a conversation.
pub(crate) const HEADER: &str = "airside-conversation";
/// Largest body: a state, sealed and in base64 twice, and what is around it.
const MAX_BODY: usize = 2 * MAX_STATE_BYTES + 4096;

/// For which tenant an operator works.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    tenant: Option<TenantId>,
}

type Asked<T> = Result<Query<T>, QueryRejection>;

/// The conversations that a request may touch, and their tenant.
struct Desk {
    conversations: Conversations,
    tenant: TenantId,
}

impl Desk {
    fn of(state: &State, holder: Holder, asked: Asked<Scope>) -> Result<Self, Answer> {
        let Query(scope) = asked.map_err(|refused| fault::bad_query(&refused.body_text()))?;
        let all = &state.persons.conversations;
        match holder {
            Holder::Operator => Ok(Self {
                conversations: all.clone(),
                tenant: scope.tenant.unwrap_or_default(),
            }),
            Holder::Supplier { .. } | Holder::Signer => Err(fault::role_missing(Needs::Upstream)),
            // Naming a tenant would say nothing but what the key says.
            Holder::Upstream { .. } if scope.tenant.is_some() => {
                Err(fault::bad_query("the tenant is that of the key"))
            }
            Holder::Upstream { name, tenant } => Ok(Self {
                conversations: all.of(&name),
                tenant,
            }),
        }
    }
}

pub(crate) async fn create(
    Extract(state): Extract<State>,
    Extension(holder): Extension<Holder>,
    asked: Asked<Scope>,
    body: Body,
) -> Response {
    let work = async {
        let desk = Desk::of(&state, holder, asked)?;
        let opening: wire::Opening = read(body).await?;
        let begin = Opening {
            subject: opening.subject,
            lifetime: opening.lifetime_s.map(Duration::from_secs),
        };
        let created = desk
            .conversations
            .create(&desk.tenant, begin, opening.state);
        let (handle, conversation) = created.await.map_err(|error| refused(&error))?;
        let mut told = wire::Conversation::from(conversation);
        told.conversation = Some(handle.expose().to_owned());
        Ok(json(&told))
    };
    work.await.unwrap_or_else(Refusal::answer)
}

pub(crate) async fn find(
    Extract(state): Extract<State>,
    Extension(holder): Extension<Holder>,
    asked: Asked<Scope>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        let desk = Desk::of(&state, holder, asked)?;
        let handle = handle(&headers)?;
        let found = desk.conversations.get(&desk.tenant, &handle);
        let found = found.await.map_err(|error| refused(&error))?;
        Ok(json(&wire::Conversation::from(found)))
    };
    work.await.unwrap_or_else(Refusal::answer)
}

pub(crate) async fn change(
    Extract(state): Extract<State>,
    Extension(holder): Extension<Holder>,
    asked: Asked<Scope>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = async {
        let desk = Desk::of(&state, holder, asked)?;
        let handle = handle(&headers)?;
        let wire::Change { version, patch } = read(body).await?;
        let changed = desk
            .conversations
            .patch(&desk.tenant, &handle, version, patch);
        let changed = changed.await.map_err(|error| refused(&error))?;
        Ok(json(&wire::Conversation::from(changed)))
    };
    work.await.unwrap_or_else(Refusal::answer)
}

pub(crate) async fn end(
    Extract(state): Extract<State>,
    Extension(holder): Extension<Holder>,
    asked: Asked<Scope>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        let desk = Desk::of(&state, holder, asked)?;
        let handle = handle(&headers)?;
        let ended = desk.conversations.end(&desk.tenant, &handle);
        ended.await.map_err(|error| refused(&error))?;
        Ok(json(&serde_json::json!({ "ended": true })))
    };
    work.await.unwrap_or_else(Refusal::answer)
}

/// Which conversation an operator means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    #[serde(default)]
    tenant: TenantId,
    id: String,
    #[serde(default)]
    after: u64,
}

pub(crate) async fn show(Extract(state): Extract<State>, asked: Asked<Named>) -> Response {
    let work = async {
        let (named, id) = named(asked)?;
        let shown = state.persons.conversations.show(&named.tenant, &id).await;
        let shown = shown.map_err(|error| refused(&error))?;
        Ok(json(&wire::Conversation::from(shown)))
    };
    work.await.unwrap_or_else(Refusal::answer)
}

pub(crate) async fn history(Extract(state): Extract<State>, asked: Asked<Named>) -> Response {
    let work = async {
        let (named, id) = named(asked)?;
        let all = &state.persons.conversations;
        let steps = all.history(&named.tenant, &id, named.after).await;
        let steps = steps.map_err(|error| refused(&error))?;
        let steps = steps.into_iter().map(wire::Step::from).collect();
        Ok(json(&wire::History { steps }))
    };
    work.await.unwrap_or_else(Refusal::answer)
}

pub(crate) async fn restore(Extract(state): Extract<State>, body: Body) -> Response {
    let work = async {
        let asked: wire::Restore = read(body).await?;
        let brought = bring_back(&state.persons.conversations, &asked).await?;
        Ok(json(&brought))
    };
    work.await.unwrap_or_else(Refusal::answer)
}

/// Does what `asked` says, also for a command that works on the files of a node.
///
/// # Errors
///
/// The answer that refuses it.
pub(crate) async fn bring_back(
    conversations: &Conversations,
    asked: &wire::Restore,
) -> Result<wire::Brought, Refusal> {
    let wire::Restore { tenant, id, .. } = asked;
    let id: Id = id.parse().map_err(|_| fault::bad_body("`id` is no id"))?;
    let refused = |error: Error| refused(&error);
    let moment = match (asked.time, asked.seq, &asked.entry) {
        (Some(time), None, None) => Ok(Moment::Time(time)),
        (None, Some(seq), None) => Ok(Moment::Seq(seq)),
        (None, None, Some(entry)) => Err(entry),
        _ => return Err(fault::bad_body("give one of `time`, `seq` and `entry`").into()),
    };
    let past = match moment {
        Ok(moment) => conversations.past(tenant, &id, moment).await,
        Err(entry) => decoded(entry).ok_or(Error::NotThen),
    };
    let past = past.map_err(refused)?;
    let preview = conversations.preview(tenant, &id, &past).await;
    let preview = preview.map_err(refused)?;
    let mut brought = wire::Brought {
        from: past.seq(),
        time: past.time(),
        version: preview.version,
        patch: preview.patch,
    };
    if let Some(wire::Reason { version, reason }) = &asked.change {
        let restored = conversations.restore(tenant, &id, &past, *version, reason);
        brought.version = restored.await.map_err(refused)?.version;
    }
    Ok(brought)
}

/// Returns the entry that was sent along. What it holds proves itself when it is opened.
fn decoded(entry: &str) -> Option<Past> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(entry).ok()?;
    Past::of(Entry::from_encoded(&bytes.into())?)
}

fn named(asked: Asked<Named>) -> Result<(Named, Id), Answer> {
    let Query(named) = asked.map_err(|refused| fault::bad_query(&refused.body_text()))?;
    match named.id.parse() {
        Ok(id) => Ok((named, id)),
        Err(_) => Err(fault::bad_query("`id` is no id of a conversation")),
    }
}

fn handle(headers: &HeaderMap) -> Result<Handle, Answer> {
    let mut values = headers.get_all(HEADER).iter();
    let handle = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    handle.ok_or_else(fault::no_handle)
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Answer> {
    let bytes = axum::body::to_bytes(body, MAX_BODY).await;
    let bytes = bytes.map_err(|_| Answer(Error::TooLarge.fault()))?;
    // The message of the parser would quote what a person said.
    serde_json::from_slice(&bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        fault::bad_body(&format!("see line {line}, column {column}"))
    })
}

/// Why a request was not fulfilled.
pub(crate) enum Refusal {
    Fault(Answer),
    /// Another change was faster; the version that it made.
    Stale(Answer, u64),
}

impl From<Answer> for Refusal {
    fn from(answer: Answer) -> Self {
        Self::Fault(answer)
    }
}

fn refused(error: &Error) -> Refusal {
    let answer = Answer(error.fault());
    match error {
        Error::Stale { found, .. } => Refusal::Stale(answer, *found),
        _ => Refusal::Fault(answer),
    }
}

impl Refusal {
    fn answer(self) -> Response {
        match self {
            Self::Fault(answer) => answer.into_response(),
            Self::Stale(Answer(fault), version) => {
                let mut problem = wire::Problem::from(&fault);
                problem.version = Some(version);
                let kind = [(header::CONTENT_TYPE, "application/json")];
                (StatusCode::CONFLICT, kind, problem.to_line()).into_response()
            }
        }
    }
}
