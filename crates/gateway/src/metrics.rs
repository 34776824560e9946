//! What a node counts of its calls, for those who watch it.
//!
//! Names are those of the OpenTelemetry conventions for MCP (status: development) as
//! Prometheus writes them; what has no convention begins with `airside`.
//!
//! # Invariants
//!
//! * The number of series is bounded, whatever callers and servers say: methods and
//!   error codes come from fixed lists, tools from the lists of servers and only so many
//!   of them. What is not among those is `_OTHER`.
//! * Nothing here is about a person: no callers, sessions, arguments or addresses.

use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use airside_base::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::{
    State,
    event::{Hit, Outcome},
    upstream::Status,
};

/// What stands for everything that is not told apart, as OpenTelemetry has it.
const OTHER: &str = "_OTHER";

/// Most tools that are told apart.
const MAX_TOOLS: usize = 512;

/// Bounds of durations, in seconds, as the conventions for MCP give them.
const BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// Methods that are told apart. `subscriptions/listen` lasts as long as its client
/// likes, so its duration is none.
const METHODS: [&str; 20] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tools/call",
    "tools/list",
];

/// JSON-RPC codes of servers that are told apart.
const CODES: [&str; 10] = [
    "-32700", "-32600", "-32601", "-32602", "-32603", "-32002", "-32042", "-32020", "-32021",
    "-32022",
];

/// A call that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) method: &'a str,
    /// The tool, where its server lists it.
    pub(crate) tool: Tool<'a>,
    pub(crate) server: Option<&'a str>,
    pub(crate) revision: Option<&'static str>,
    pub(crate) duration: Duration,
}

/// What was called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tool<'a> {
    /// No tool.
    None,
    /// One that its server lists.
    Listed(&'a str),
    /// Another one, by a name that somebody made up.
    Unknown,
}

/// How a call ended, as an error or not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How<'a> {
    /// The gateway refused it, by this code.
    Refused(&'a str),
    /// It was sent, and ended so.
    Sent(Outcome, Option<&'a str>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    mcp_method_name: &'static str,
    gen_ai_tool_name: Option<String>,
    mcp_protocol_version: Option<&'static str>,
    airside_server: Option<String>,
    error_type: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    error_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Found {
    rule: String,
    action: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Server {
    airside_server: String,
}

/// The counters of a process.
pub struct Metrics {
    registry: Registry,
    operations: Family<Operation, Histogram, fn() -> Histogram>,
    refused: Family<Refusal, Counter>,
    found: Family<Found, Counter>,
    lost: Counter,
    tools: Mutex<HashSet<String>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            registry: Registry::default(),
            operations: Family::new_with_constructor(histogram),
            refused: Family::default(),
            found: Family::default(),
            lost: Counter::default(),
            tools: Mutex::default(),
        };
        let registry = &mut metrics.registry;
        registry.register_with_unit(
            "mcp_server_operation_duration",
            "Time from the head of a request to the last byte of its answer",
            Unit::Seconds,
            metrics.operations.clone(),
        );
        registry.register(
            "airside_requests_refused",
            "HTTP requests that the gateway answered with an error of its own",
            metrics.refused.clone(),
        );
        registry.register(
            "airside_firewall_hits",
            "Firewall rules that messages met",
            metrics.found.clone(),
        );
        registry.register(
            "airside_records_lost",
            "Calls whose end could not be written into the ledger",
            metrics.lost.clone(),
        );
        metrics
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// What is true of a node at this moment.
#[derive(Debug)]
pub struct Present<'a> {
    /// Version of the program.
    pub version: &'a str,
    /// Id of this run of it.
    pub instance: &'a str,
    /// When it began.
    pub started: Timestamp,
    /// Sessions of clients that are open.
    pub sessions: usize,
    /// The upstream servers.
    pub upstreams: Vec<Status>,
}

impl Metrics {
    /// Returns everything as OpenMetrics 1.0 text.
    #[must_use]
    pub fn text(&self, present: &Present<'_>) -> String {
        let mut out = String::new();
        let written = text::encode_registry(&mut out, &self.registry)
            .and_then(|()| text::encode_registry(&mut out, &present.registry()))
            .and_then(|()| text::encode_eof(&mut out));
        written.expect("a string takes what is written");
        out
    }

    /// Counts a call that has ended.
    pub(crate) fn ended(&self, ended: Ended<'_>, how: How<'_>) {
        if ended.method == "subscriptions/listen" {
            return;
        }
        let operation = Operation {
            mcp_method_name: method(ended.method),
            gen_ai_tool_name: match ended.tool {
                Tool::None => None,
                Tool::Listed(name) => Some(self.tool(name)),
                Tool::Unknown => Some(OTHER.to_owned()),
            },
            mcp_protocol_version: ended.revision,
            airside_server: ended.server.map(ToOwned::to_owned),
            error_type: how.error_type(),
        };
        let histogram = self.operations.get_or_create(&operation);
        histogram.observe(ended.duration.as_secs_f64());
    }

    /// Counts a request that was answered with an error of the gateway's own.
    pub(crate) fn refused(&self, code: &str) {
        let error_type = code.to_owned();
        self.refused.get_or_create(&Refusal { error_type }).inc();
    }

    /// Counts rules that a message met.
    pub(crate) fn found(&self, hits: &[Hit<'_>]) {
        for hit in hits {
            let found = Found {
                rule: hit.rule.to_string(),
                action: hit.action.to_string(),
            };
            self.found.get_or_create(&found).inc();
        }
    }

    /// Counts a record that is in no ledger.
    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    fn tool(&self, name: &str) -> String {
        // Names are whole after every statement, so a panic elsewhere spoils nothing.
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if !tools.contains(name) {
            if tools.len() >= MAX_TOOLS {
                return OTHER.to_owned();
            }
            tools.insert(name.to_owned());
        }
        name.to_owned()
    }
}

impl Present<'_> {
    fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        let target = Info::new(vec![
            ("service_name", "airside".to_owned()),
            ("service_version", self.version.to_owned()),
            ("service_instance_id", self.instance.to_owned()),
        ]);
        registry.register("target", "The program that is watched", target);
        registry.register_with_unit(
            "process_start_time",
            "When the node began, since 1970",
            Unit::Seconds,
            ConstGauge::new(self.started.as_duration().as_secs_f64()),
        );
        let sessions = i64::try_from(self.sessions).unwrap_or(i64::MAX);
        registry.register(
            "airside_sessions",
            "Sessions of clients that are open (revisions up to 2025-11-25)",
            ConstGauge::new(sessions),
        );
        let open: Family<Server, Gauge> = Family::default();
        let calls: Family<Server, Gauge> = Family::default();
        for upstream in &self.upstreams {
            let server = Server {
                airside_server: upstream.id.to_string(),
            };
            let is_open = i64::from(upstream.breaker != State::Closed);
            open.get_or_create(&server).set(is_open);
            let in_flight = i64::try_from(upstream.in_flight).unwrap_or(i64::MAX);
            calls.get_or_create(&server).set(in_flight);
        }
        registry.register(
            "airside_upstream_breaker_open",
            "1 while a server is left alone because it failed repeatedly",
            open,
        );
        registry.register(
            "airside_upstream_active_requests",
            "Calls and streams that are open to a server",
            calls,
        );
        registry
    }
}

impl How<'_> {
    fn error_type(self) -> Option<String> {
        match self {
            Self::Refused(code) => Some(code.to_owned()),
            Self::Sent(Outcome::Ok | Outcome::InputRequired | Outcome::Task, _) => None,
            Self::Sent(Outcome::RpcError, code) => {
                let known = CODES.iter().find(|known| Some(**known) == code);
                Some((*known.unwrap_or(&OTHER)).to_owned())
            }
            // Codes of the gateway.
            Self::Sent(
                Outcome::Timeout | Outcome::Broken | Outcome::Unsent | Outcome::Unanswered,
                Some(code),
            ) => Some(code.to_owned()),
            Self::Sent(outcome, _) => Some(outcome.as_str().to_owned()),
        }
    }
}

fn method(name: &str) -> &'static str {
    METHODS
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or(OTHER)
}

#[cfg(test)]
mod tests;
