//! Routes of the control API, each with what it needs.

use std::sync::Arc;

use airside_base::{BoxFuture, Fault, Supervisor, TenantId};
use airside_ledger::{Ledger, Query as LedgerQuery, proof};
use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request, State as Extract},
    middleware::from_fn,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, patch, post},
};
use bytes::Bytes;
use http::{Method, header};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{
    Access, Delivery, Needs, Part, Persons, Pushed, Reach, Receipt, Review, Role, alpinebits,
    approvals,
    asked::{self, Asked},
    contracts, conversations, evals,
    fault::{self, Answer},
    findings, limits, opera, payments, persons, review,
    role::{Holder, require},
    stream, wire,
};

/// Most entries in one page.
pub const MAX_PAGE: usize = 1_000;

/// The media type of metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The running node, as the control API sees it.
pub trait Node: Send + Sync {
    /// Returns the present state.
    fn status(&self) -> wire::Status;

    /// Reads the configuration again and takes it into use, or keeps the present
    /// one and says why.
    fn reload(&self) -> BoxFuture<'_, Result<wire::Reloaded, Fault>>;

    /// Returns calls of `tenant` that wait for an agreement, with `all` also those that
    /// were decided and have not ended.
    fn approvals(
        &self,
        tenant: TenantId,
        all: bool,
    ) -> BoxFuture<'_, Result<Vec<approvals::Approval>, Fault>>;

    /// Decides in the name of `by` whether a call may happen.
    fn decide_approval(
        &self,
        decide: approvals::Decide,
        by: String,
    ) -> BoxFuture<'_, Result<approvals::Approval, Fault>>;

    /// Decides in the name of `by` about a finding of the inventory.
    fn decide_finding(
        &self,
        decide: findings::Decide,
        by: String,
    ) -> BoxFuture<'_, Result<(), Fault>>;

    /// Returns how far the keys are that are nearest to their limits, at most `most`.
    fn limits(&self, most: usize) -> limits::Limits;

    /// Returns what is counted of the node, as OpenMetrics text.
    fn metrics(&self) -> String;

    /// Gives a key of a limit all its units back.
    fn reset_limit(&self, reset: limits::Reset) -> BoxFuture<'_, Result<(), Fault>>;

    /// Takes a message of a hotel's own system.
    fn receive(&self, delivery: Delivery) -> BoxFuture<'_, Receipt>;

    /// Takes a message of a payment provider, with its signature.
    fn notice(&self, signature: String, body: Bytes) -> BoxFuture<'_, Result<(), Fault>>;

    /// Does what is asked about reviews of code.
    fn review(
        &self,
        asked: Review,
        request: Bytes,
    ) -> BoxFuture<'_, Result<serde_json::Value, Fault>>;

    /// Returns what is known of evaluations.
    fn evals(&self, tenant: TenantId) -> BoxFuture<'_, Result<serde_json::Value, Fault>>;

    /// Records what a run of `by` gave.
    fn record_eval(
        &self,
        tenant: TenantId,
        by: String,
        results: Bytes,
    ) -> BoxFuture<'_, Result<serde_json::Value, Fault>>;

    /// Takes what OPERA pushes.
    fn pushed(&self, pushed: Pushed) -> BoxFuture<'_, Result<(), Fault>>;

    /// Returns how the tools of all servers stand.
    fn contracts(&self) -> Vec<wire::ContractRow>;

    /// Returns one contract in full.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn contract(&self, of: &wire::ContractOf) -> Result<wire::Contract, Fault>;

    /// Does what `by` decides about a tool.
    fn decide_contract(
        &self,
        decision: wire::ContractDecision,
        by: String,
    ) -> BoxFuture<'_, Result<wire::ContractRow, Fault>>;
}

/// What the routes work on.
#[derive(Clone)]
pub struct State {
    pub(crate) node: Arc<dyn Node>,
    pub(crate) ledger: Ledger,
    pub(crate) persons: Persons,
    pub(crate) supervisor: Supervisor,
    /// One verification at a time: it reads the whole ledger.
    pub(crate) verifying: Arc<Semaphore>,
}

impl State {
    /// Returns the state for `node`, its `ledger` and what it knows of `persons`.
    #[must_use]
    pub fn new(
        node: Arc<dyn Node>,
        ledger: Ledger,
        persons: Persons,
        supervisor: Supervisor,
    ) -> Self {
        Self {
            node,
            ledger,
            persons,
            supervisor,
            verifying: Arc::new(Semaphore::new(1)),
        }
    }
}

/// One route and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// HTTP method.
    pub method: Method,
    /// Path.
    pub path: &'static str,
    /// Who may use it.
    pub needs: Needs,
}

type Route = (Endpoint, MethodRouter<State>);

fn route(method: Method, path: &'static str, needs: Needs, handler: MethodRouter<State>) -> Route {
    let endpoint = Endpoint {
        method,
        path,
        needs,
    };
    (endpoint, handler)
}

/// What OPERA pushes: a message of its own for each topic.
fn of_opera() -> [Route; 3] {
    let topics = [
        ("/v1/supply/opera/inventory", "inventory"),
        ("/v1/supply/opera/rates", "rates"),
        ("/v1/supply/opera/restrictions", "restrictions"),
    ];
    topics.map(|(path, topic)| {
        let take =
            move |Extract(state): Extract<State>,
                  Extension(holder): Extension<Holder>,
                  request: Request| opera::receive(topic, state, holder, request);
        let take = post(take).layer(DefaultBodyLimit::max(opera::MAX_BODY_BYTES));
        route(Method::POST, path, Needs::Supplier, take)
    })
}

fn table() -> Vec<Route> {
    let [viewer, auditor, operator] = [
        Needs::Role(Role::Viewer),
        Needs::Role(Role::Auditor),
        Needs::Role(Role::Operator),
    ];
    let mut table = vec![
        route(Method::GET, "/v1/status", viewer, get(status)),
        route(Method::GET, "/v1/ledger/head", viewer, get(head)),
        route(Method::GET, "/v1/ledger/entries", auditor, get(entries)),
        route(Method::GET, "/v1/ledger/follow", auditor, get(follow)),
        route(Method::GET, "/v1/ledger/proof", auditor, get(prove)),
        route(Method::POST, "/v1/ledger/verify", auditor, post(verify)),
        route(Method::POST, "/v1/config/reload", operator, post(reload)),
        route(Method::GET, "/v1/approvals", auditor, get(approvals::list)),
        route(
            Method::POST,
            "/v1/approvals/decide",
            operator,
            post(approvals::decide),
        ),
        route(
            Method::POST,
            "/v1/findings/decide",
            operator,
            post(findings::decide),
        ),
        route(Method::GET, "/metrics", viewer, get(metrics)),
        route(Method::GET, "/v1/limits", viewer, get(limits::list)),
        route(
            Method::POST,
            "/v1/limits/reset",
            operator,
            post(limits::reset),
        ),
    ];
    table.extend(of_contracts(viewer, auditor, operator));
    table.extend(of_persons(auditor, operator));
    table.extend(of_review(auditor, operator));
    let record = post(evals::record).layer(DefaultBodyLimit::max(evals::MAX_BODY_BYTES));
    table.push(route(Method::GET, "/v1/evals", viewer, get(evals::list)));
    table.push(route(Method::POST, "/v1/evals", operator, record));
    let deliver =
        post(alpinebits::receive).layer(DefaultBodyLimit::max(alpinebits::MAX_BODY_BYTES));
    table.push(route(
        Method::POST,
        "/v1/supply/alpinebits",
        Needs::Supplier,
        deliver,
    ));
    table.extend(of_opera());
    let told = post(payments::webhook).layer(DefaultBodyLimit::max(payments::MAX_BODY_BYTES));
    table.push(route(
        Method::POST,
        "/v1/payments/webhook",
        Needs::Signature,
        told,
    ));
    table
}

/// The routes about what servers say of their tools.
fn of_contracts(viewer: Needs, auditor: Needs, operator: Needs) -> Vec<Route> {
    let (all, show) = ("/v1/contracts", "/v1/contracts/show");
    let decide = "/v1/contracts/decide";
    vec![
        route(Method::GET, all, viewer, get(contracts::list)),
        route(Method::GET, show, auditor, get(contracts::show)),
        route(Method::POST, decide, operator, post(contracts::decide)),
    ]
}

/// The routes whose answers can be about persons.
fn of_persons(auditor: Needs, operator: Needs) -> Vec<Route> {
    let (own, erase) = ("/v1/conversations", "/v1/subjects/erase");
    let (show, restore) = ("/v1/conversations/show", "/v1/conversations/restore");
    let history = "/v1/conversations/history";
    let upstream = Needs::Upstream;
    vec![
        route(Method::POST, erase, operator, post(persons::erase)),
        route(
            Method::GET,
            "/v1/subjects/export",
            operator,
            get(persons::export),
        ),
        route(Method::POST, own, upstream, post(conversations::create)),
        route(Method::GET, own, upstream, get(conversations::find)),
        route(Method::PATCH, own, upstream, patch(conversations::change)),
        route(Method::DELETE, own, upstream, delete(conversations::end)),
        route(Method::GET, show, operator, get(conversations::show)),
        route(Method::GET, history, auditor, get(conversations::history)),
        route(
            Method::POST,
            restore,
            operator,
            post(conversations::restore),
        ),
    ]
}

/// Lots of sampled review, findings of repositories, and lessons that are owed.
fn of_review(auditor: Needs, operator: Needs) -> Vec<Route> {
    let parts = [
        ("/v1/review/lots/read", Part::Lots, Reach::Read),
        ("/v1/review/lots", Part::Lots, Reach::Change),
        ("/v1/review/findings/read", Part::Findings, Reach::Read),
        ("/v1/review/findings", Part::Findings, Reach::Change),
        ("/v1/review/lessons/read", Part::Lessons, Reach::Read),
        ("/v1/review/lessons", Part::Lessons, Reach::Change),
    ];
    let of = |(path, part, reach)| {
        let ask = move |state: Extract<State>, actor, asked, body| {
            review::ask((part, reach), state, actor, asked, body)
        };
        let ask = post(ask).layer(DefaultBodyLimit::max(review::MAX_BODY_BYTES));
        let needs = match reach {
            Reach::Read => auditor,
            Reach::Change => operator,
        };
        route(Method::POST, path, needs, ask)
    };
    parts.map(of).into()
}

/// Returns every route with what it needs.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    table().into_iter().map(|(endpoint, _)| endpoint).collect()
}

/// Returns the control API for callers told apart by `access`.
pub fn router(state: State, access: &Access) -> Router {
    let mut router = Router::new();
    for (endpoint, handler) in table() {
        let (access, needs) = (access.clone(), endpoint.needs);
        let guarded = handler.layer(from_fn(move |request, next| {
            require(access.clone(), needs, request, next)
        }));
        router = router.route(endpoint.path, guarded);
    }
    router
        .fallback(async || fault::no_route())
        .with_state(state)
}

async fn status(Extract(state): Extract<State>) -> Response {
    json(&state.node.status())
}

async fn metrics(Extract(state): Extract<State>) -> Response {
    let kind = [(header::CONTENT_TYPE, OPEN_METRICS)];
    (kind, state.node.metrics()).into_response()
}

async fn reload(Extract(state): Extract<State>) -> Response {
    asked::answer(state.node.reload().await)
}

/// Which chain.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chain {
    /// Name of the tenant.
    #[serde(default)]
    pub(crate) tenant: TenantId,
    /// Entries after this position.
    #[serde(default)]
    pub(crate) after: u64,
    /// Most entries of a page.
    #[serde(default = "default_limit")]
    pub(crate) limit: usize,
    /// Entries about this subject only, such as the id of a call.
    #[serde(default)]
    pub(crate) subject: Option<String>,
    /// Entries of this kind and those below it only, such as `finding`.
    #[serde(default)]
    pub(crate) kind: Option<String>,
}

fn default_limit() -> usize {
    100
}

async fn head(Extract(state): Extract<State>, Asked(chain): Asked<Chain>) -> Response {
    if let Err(error) = state.ledger.flush().await {
        return Answer(error.fault()).into_response();
    }
    match state.ledger.head(&chain.tenant).await {
        Ok(head) => json(&wire::Head {
            tenant: chain.tenant.to_string(),
            seq: head.seq,
            hash: head.hash.to_string(),
        }),
        Err(error) => Answer(error.fault()).into_response(),
    }
}

async fn entries(Extract(state): Extract<State>, Asked(chain): Asked<Chain>) -> Response {
    let mut query = LedgerQuery::new(chain.tenant)
        .after(chain.after)
        .limit(chain.limit.clamp(1, MAX_PAGE));
    if let Some(subject) = chain.subject {
        query = query.subject(subject);
    }
    if let Some(kind) = chain.kind {
        query = query.kind(kind);
    }
    // Calls that have ended are shown, whether or not their group was written.
    if let Err(error) = state.ledger.flush().await {
        return Answer(error.fault()).into_response();
    }
    match state.ledger.read(query).await {
        Ok(read) => json(&wire::Entries {
            entries: read.into_iter().map(wire::Entry::from).collect(),
        }),
        Err(error) => Answer(error.fault()).into_response(),
    }
}

/// Which entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    tenant: TenantId,
    seq: u64,
    /// Entries that an earlier seal covers.
    since: Option<u64>,
}

async fn prove(Extract(state): Extract<State>, Asked(wanted): Asked<Wanted>) -> Response {
    let Wanted { tenant, seq, since } = wanted;
    match proof::prove(&state.ledger, &tenant, seq, since).await {
        Ok(proof) => json(&proof),
        Err(error) => Answer(error.fault()).into_response(),
    }
}

async fn follow(Extract(state): Extract<State>, Asked(chain): Asked<Chain>) -> Response {
    stream::follow(&state, chain.tenant, chain.after)
}

async fn verify(Extract(state): Extract<State>) -> Response {
    stream::verify(&state)
}

pub(crate) fn json(value: &impl Serialize) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        wire::to_line(value),
    )
        .into_response()
}
