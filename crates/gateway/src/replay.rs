//! Recorded calls decided again under other policies.
//!
//! # Invariants
//!
//! * A recorded call is decided by what its entry says was known when it was decided,
//!   by nothing that is known now.
//! * What the entry does not hold and the candidate would look at is never guessed: the
//!   call cannot be decided again, and the reason is told.

use std::collections::HashMap;

use airside_base::{ServerId, TenantId, Timestamp};
use airside_identity::Attestation;
use airside_policy::{
    Action, Argument, Asked, Circumstances, Contract, Engine, Facts, Intent, Policies, Principal,
    Reason, Risk, Standing, Target, ToolTraits, Value,
};
use serde::Deserialize;

use crate::event;

/// A call as its entry tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Recorded {
    subject: event::Subject<'static>,
    decision: String,
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    policy: Option<event::Policy<'static>>,
}

/// What was or would be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It goes on.
    Permitted,
    /// A person has to agree first.
    Asks(Asked),
    /// It is refused.
    Refused,
}

impl Outcome {
    /// Returns how it is told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Asks(Asked::Client) => "asks the client",
            Self::Asks(Asked::Operator) => "asks an operator",
            Self::Refused => "refused",
        }
    }
}

/// A decision with the rules behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What is decided.
    pub outcome: Outcome,
    /// Ids of the rules that decide.
    pub policies: Vec<String>,
}

/// Why a call cannot be decided again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Unfit {
    /// Its entry was written before entries told what policies looked at, or an argument
    /// was not clear, so that nobody looked.
    #[error("its entry does not tell what policies looked at")]
    NoFacts,
    /// It was for all servers of an endpoint.
    #[error("it was for all servers of an endpoint")]
    AllServers,
    /// The candidate reads an argument whose value does not stand in entries.
    #[error("the argument `{name}` is read, and its value is not recorded")]
    Argument {
        /// The argument.
        name: String,
    },
    /// The candidate names something whose name is not recorded in full.
    #[error("a rule names what it is about, and that name is not recorded")]
    Name,
}

impl Recorded {
    /// Reads the body of an entry of `kind`; none if it is not the end of a call.
    #[must_use]
    pub fn read(kind: &str, body: &str) -> Option<Self> {
        match kind {
            "call.completed" | "call.refused" => serde_json::from_str(body).ok(),
            _ => None,
        }
    }

    /// Returns the id of the call.
    #[must_use]
    pub fn call(&self) -> &str {
        &self.subject.call
    }

    /// Returns what was called, as `server/tool` or the method.
    #[must_use]
    pub fn what(&self) -> String {
        let name = self.subject.tool.as_ref().unwrap_or(&self.subject.method);
        match &self.subject.server {
            Some(server) => format!("{server}/{name}"),
            None => name.to_string(),
        }
    }

    /// Returns who called, as `kind/id`.
    #[must_use]
    pub fn caller(&self) -> String {
        let caller = &self.subject.caller;
        format!("{}/{}", caller.kind, caller.id)
    }

    /// Returns the server, if it was for one.
    #[must_use]
    pub fn server(&self) -> Option<ServerId> {
        self.subject.server.as_deref()?.parse().ok()
    }

    /// Returns what was decided then. Where something other than policy stood in the
    /// way, policy had permitted it.
    #[must_use]
    pub fn decided(&self) -> Decided {
        let asks = self.policy.as_ref().and_then(|policy| policy.asks.as_ref());
        let outcome = match (self.decision.as_str(), asks) {
            ("refused", Some(asks)) => Asked::find(asks).map_or(Outcome::Refused, Outcome::Asks),
            ("refused", None) => Outcome::Refused,
            _ => Outcome::Permitted,
        };
        Decided {
            outcome,
            policies: self.policies.clone(),
        }
    }
}

/// Decides recorded calls of one tenant again.
#[derive(Debug)]
pub struct Replay {
    policies: Policies,
    tenant: TenantId,
    engines: HashMap<ServerId, Engine>,
}

impl Replay {
    /// Returns what decides by `policies`.
    #[must_use]
    pub fn new(policies: Policies, tenant: TenantId) -> Self {
        Self {
            policies,
            tenant,
            engines: HashMap::new(),
        }
    }

    /// Decides `call` again.
    ///
    /// # Errors
    ///
    /// When what the policies would look at is not recorded.
    pub fn decide(&mut self, call: &Recorded) -> Result<Decided, Unfit> {
        let policy = call.policy.as_ref().ok_or(Unfit::NoFacts)?;
        let at = policy.at_us.ok_or(Unfit::NoFacts)?;
        let server = call.server().ok_or(Unfit::AllServers)?;
        let engine = self
            .engines
            .entry(server)
            .or_insert_with_key(|server| self.policies.engine(server));
        let texts = |texts: &[std::borrow::Cow<'_, str>]| -> Vec<String> {
            texts.iter().map(ToString::to_string).collect()
        };
        let (groups, scopes) = (texts(&policy.groups), texts(&policy.scopes));
        let labels = policy.tool.as_ref().map(|tool| texts(&tool.labels));
        let labels = labels.unwrap_or_default();
        let arguments: Vec<_> = policy.arguments.iter().map(argument).collect();
        let caller = &call.subject.caller;
        let approval = policy.approval.as_ref();
        let facts = Facts {
            principal: Principal {
                kind: &caller.kind,
                id: &caller.id,
                tenant: &self.tenant,
                attestation: attestation(&caller.attestation),
                groups: &groups,
                scopes: &scopes,
                client: policy.client.as_deref(),
                issuer: policy.issuer.as_deref(),
            },
            action: Action::of_method(&call.subject.method),
            target: target(call, policy, &labels),
            context: Circumstances {
                at: Timestamp::from_microsecond(at).map_err(|_| Unfit::NoFacts)?,
                region: policy.region.as_deref().unwrap_or_default(),
                arguments: &arguments,
                risk: Risk::from_bits(policy.risk),
                intent: Intent::find(policy.intent.as_deref().unwrap_or_default()),
                consent: approval.and_then(|approval| Asked::find(approval.by.as_deref()?)),
            },
        };
        fits(engine, call, policy, &facts)?;
        Ok(match engine.decide(&facts, ()) {
            Ok(permit) => Decided {
                outcome: Outcome::Permitted,
                policies: permit.policies().iter().map(ToString::to_string).collect(),
            },
            Err(refusal) => Decided {
                outcome: match refusal.reason() {
                    Reason::NeedsApproval(asked) => Outcome::Asks(asked),
                    Reason::NothingPermits | Reason::Forbidden | Reason::Undecidable => {
                        Outcome::Refused
                    }
                },
                policies: refusal.policies().iter().map(ToString::to_string).collect(),
            },
        })
    }
}

/// Returns what a recorded call is done to. Names of resources are not recorded.
fn target<'a>(
    call: &'a Recorded,
    policy: &'a event::Policy<'_>,
    labels: &'a [String],
) -> Target<'a> {
    let name = call.subject.tool.as_deref().unwrap_or_default();
    let tool = policy.tool.as_ref();
    let standing = Standing {
        contract: tool
            .map(|tool| Contract::find(&tool.contract))
            .unwrap_or_default(),
        labels,
        sensitivity: tool.map_or(1, |tool| tool.sensitivity),
    };
    match Action::of_method(&call.subject.method) {
        Action::CallTool => Target::Tool {
            name,
            traits: tool.map_or_else(ToolTraits::default, |tool| ToolTraits {
                known: tool.known,
                read_only: tool.read_only,
                destructive: tool.destructive,
                idempotent: tool.idempotent,
                open_world: tool.open_world,
            }),
            standing,
        },
        Action::ReadResource => Target::Resource {
            uri: name,
            standing,
        },
        Action::GetPrompt => Target::Prompt { name, standing },
        _ => Target::Server,
    }
}

/// Whether everything that `engine` looks at is recorded.
fn fits(
    engine: &Engine,
    call: &Recorded,
    policy: &event::Policy<'_>,
    facts: &Facts<'_>,
) -> Result<(), Unfit> {
    let read = |name: &&std::borrow::Cow<'_, str>| engine.reads_argument(facts, name);
    if let Some(name) = policy.withheld.iter().find(read) {
        let name = name.to_string();
        return Err(Unfit::Argument { name });
    }
    // Names are cut at this length, and characters that act on terminals replaced.
    let whole =
        |name: &str| !name.contains('\u{fffd}') && name.chars().count() < crate::record::MAX_LABEL;
    let named = match facts.target {
        Target::Server => true,
        Target::Resource { .. } => false,
        Target::Tool { name, .. } | Target::Prompt { name, .. } => {
            call.subject.tool.is_some() && whole(name)
        }
    };
    match named || !engine.reads_name(facts) {
        true => Ok(()),
        false => Err(Unfit::Name),
    }
}

fn argument((name, value): (&std::borrow::Cow<'_, str>, &event::Value<'_>)) -> Argument {
    let value = match value {
        event::Value::Integer(number) => Value::Integer(*number),
        event::Value::Text(text) => Value::Text(text.to_string()),
        event::Value::Flag(flag) => Value::Flag(*flag),
        event::Value::Texts(texts) => Value::Texts(texts.iter().map(ToString::to_string).collect()),
    };
    Argument {
        name: name.to_string(),
        value,
    }
}

/// Returns the level of an attestation by its name; the lowest for one that this
/// version does not know.
fn attestation(name: &str) -> u8 {
    [
        Attestation::IpRange,
        Attestation::ApiKey,
        Attestation::OAuth,
        Attestation::HttpSignature,
        Attestation::Mtls,
    ]
    .into_iter()
    .find(|rung| rung.as_str() == name)
    .unwrap_or(Attestation::None)
    .level()
}

#[cfg(test)]
mod tests;
