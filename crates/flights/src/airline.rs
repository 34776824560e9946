//! The airline of tau-bench as an MCP server, for evaluation suites.
//!
//! Tools, data and rules are those of tau-bench (see `NOTICE`), so that its tasks can
//! be run against a model through the gateway and the resulting data be compared.
//!
//! # Invariants
//!
//! * Each tenant and each sandbox that a caller names in `_meta` as `airside/sandbox`
//!   has data of its own, which begins as published and ends with the process.
//! * At most [`MAX_SANDBOXES`] are kept; the one that was used least recently makes
//!   room.
//! * Nothing real is booked and no card number exists: payment methods are ids.

mod calculator;
mod data;
mod sandbox;
mod tools;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock, Mutex},
};

use airside_base::{BoxFuture, TenantId};
use airside_builtin::{
    About, Exposure, Origin, Server, Tools, document,
    model::{CallToolResult, JsonObject, ReadResourceResult, Resource, Tool},
    text,
};
use airside_mcp::{Body, Local};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

pub(crate) use self::data::{AIRPORTS, Cabin, PUBLISHED};
use self::sandbox::Sandbox;

/// Sandboxes that are kept. One that has changed everything has some 5 MB, one of a
/// task some KB.
pub const MAX_SANDBOXES: usize = 256;

const POLICY_URI: &str = "airside://airline/policy";
const POLICY: &str = include_str!("../assets/airline_policy.md");
const DIGEST_URI: &str = "airside://airline/digest";

const INSTRUCTIONS: &str = "Customer service of a demonstration airline: bookings, changes, baggage, \
     passengers, cancellations and certificates. Read airside://airline/policy first and keep to it: \
     the tools do not check it. The time is 2024-05-15 15:00 EST; amounts are whole US dollars. \
     Nothing real is booked.";

/// The airline. Clones share everything.
#[derive(Clone)]
pub struct Airline {
    server: Server<Counter>,
}

impl std::fmt::Debug for Airline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Airline").finish_non_exhaustive()
    }
}

impl Airline {
    /// Returns a server. Its data is decoded by the first call that needs it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            server: Server::new(Counter::default(), Exposure::InProcess),
        }
    }
}

impl Default for Airline {
    fn default() -> Self {
        Self::new()
    }
}

impl Local for Airline {
    fn call<'a>(&'a self, request: http::Request<Body>) -> BoxFuture<'a, http::Response<Body>> {
        self.server.call(request)
    }
}

/// Whose data it is: a tenant, and the sandbox that its caller names.
type Whose = (TenantId, String);

/// The sandboxes.
#[derive(Debug, Default)]
struct Counter {
    sandboxes: Mutex<Sandboxes>,
}

#[derive(Debug, Default)]
struct Sandboxes {
    /// By tenant and name, each with the count of uses when it was used last.
    all: HashMap<Whose, (u64, Arc<Mutex<Sandbox>>)>,
    uses: u64,
}

impl Counter {
    fn sandbox(&self, origin: &Origin) -> Arc<Mutex<Sandbox>> {
        let whose = (origin.tenant(), origin.sandbox.clone());
        let mut sandboxes = self
            .sandboxes
            .lock()
            .expect("no panic happens while the lock is held");
        sandboxes.uses += 1;
        let uses = sandboxes.uses;
        if let Some((last, sandbox)) = sandboxes.all.get_mut(&whose) {
            *last = uses;
            return sandbox.clone();
        }
        if sandboxes.all.len() >= MAX_SANDBOXES {
            let oldest = sandboxes.all.iter().min_by_key(|(_, (last, _))| *last);
            let oldest = oldest.map(|(whose, _)| whose.clone());
            oldest.map(|whose| sandboxes.all.remove(&whose));
        }
        let sandbox = Arc::new(Mutex::default());
        sandboxes.all.insert(whose, (uses, Arc::clone(&sandbox)));
        sandbox
    }

    fn with<R>(&self, origin: &Origin, work: impl FnOnce(&mut Sandbox) -> R) -> R {
        let sandbox = self.sandbox(origin);
        let mut sandbox = sandbox
            .lock()
            .expect("no panic happens while the lock is held");
        work(&mut sandbox)
    }
}

impl Tools for Counter {
    fn about(&self) -> About {
        About {
            name: "airside-airline",
            title: "Airside demonstration airline",
            instructions: INSTRUCTIONS.into(),
        }
    }

    fn tools(&self) -> &[Tool] {
        &tools::TOOLS
    }

    fn call<'a>(
        &'a self,
        origin: &'a Origin,
        name: &'a str,
        arguments: Option<JsonObject>,
    ) -> BoxFuture<'a, Option<CallToolResult>> {
        let result = self.with(origin, |sandbox| tools::call(sandbox, name, arguments));
        Box::pin(std::future::ready(result))
    }

    fn documents(&self) -> Vec<Resource> {
        let policy = "What agents of the airline may do";
        let digest = "SHA-256 of the data of this sandbox";
        vec![
            document(POLICY_URI, "policy", policy, "text/markdown"),
            document(DIGEST_URI, "digest", digest, "text/plain"),
        ]
    }

    fn read(&self, origin: &Origin, uri: &str) -> Option<ReadResourceResult> {
        match uri {
            POLICY_URI => Some(text(uri, "text/markdown", POLICY.to_owned())),
            DIGEST_URI => Some(text(
                uri,
                "text/plain",
                self.with(origin, |sandbox| digest_of(sandbox)),
            )),
            _ => None,
        }
    }
}

/// SHA-256 of each published record.
static RECORDS: LazyLock<BTreeMap<Record, String>> = LazyLock::new(|| {
    let mut records = BTreeMap::new();
    let mut add = |table, id: &String, record| records.insert((table, id.clone()), hash(&record));
    for (id, flight) in &PUBLISHED.flights {
        add("flights", id, json!(flight));
    }
    for (id, reservation) in &PUBLISHED.reservations {
        add("reservations", id, json!(reservation));
    }
    for (id, user) in &PUBLISHED.users {
        add("users", id, json!(user));
    }
    records
});

/// Table and id.
type Record = (&'static str, String);

/// SHA-256 of one line `table/id sha256` for each record, in order. A record's own is
/// that of its JSON with keys in order and without white space.
fn digest_of(sandbox: &Sandbox) -> String {
    let mut records = RECORDS.clone();
    let changed = sandbox.changed().into_iter();
    records.extend(changed.map(|(record, value)| (record, hash(&value))));
    let mut lines = String::new();
    for ((table, id), hash) in records {
        lines.push_str(&format!("{table}/{id} {hash}\n"));
    }
    hex(lines.as_bytes())
}

fn hash(record: &Value) -> String {
    hex(sorted(record).to_string().as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
