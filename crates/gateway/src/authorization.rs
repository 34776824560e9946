//! What a decision about a call goes by, and what the record keeps of it.
//!
//! # Invariants
//!
//! * An argument that policies may read has one clear value of its configured type or
//!   the call is refused: what policies would not see, a server might still act on.
//! * What a decision needs is computed where a policy reads it and not otherwise.
//! * Texts that a person or a client chose are recorded only where the operator has
//!   said that they are not personal.

mod taint;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use airside_base::{ServerId, Timestamp};
use airside_identity::Caller;
use airside_mcp::{Call, raw};
use airside_policy::{
    Action, Argument, ArgumentKind, Asked, Circumstances, Gap, Intent, MAX_WORDS_BYTES, Principal,
    Risk, Spoken, Standing, Target, ToolTraits, Unreadable, Value,
};

pub(crate) use self::taint::{Session, Taint};
use crate::{
    catalog::Facts,
    config::{self, Sensitivity},
    event,
    federation::Route,
};

/// Member of `_meta` by which a client passes on what its user wrote.
const WORDS: &str = "airside/user-words";
/// Where it passes on what that user was shown and then said yes to.
const AGREED: &str = "airside/agreed-to";
/// Label of what returns texts of strangers, and of every tool that reaches beyond its
/// own domain.
pub(crate) const READS_UNTRUSTED: &str = "reads-untrusted";
/// Label of what returns private matters.
pub(crate) const READS_PRIVATE: &str = "reads-private";
/// Label that takes the first back from a tool that reaches out to known parties only.
const TRUSTED: &str = "trusted";

/// What the operator says about tools, ready for use.
#[derive(Debug, Default)]
pub struct Rules {
    servers: HashMap<ServerId, OfServer>,
    plain: OfTool,
    region: String,
}

#[derive(Debug, Default)]
struct OfServer {
    all: OfTool,
    tools: HashMap<String, OfTool>,
}

/// What is said about one tool.
#[derive(Debug, Clone)]
pub(crate) struct OfTool {
    labels: Vec<String>,
    /// The labels where the tool reaches beyond its own domain.
    open_labels: Vec<String>,
    sensitivity: u8,
    arguments: Vec<Wanted>,
}

impl Default for OfTool {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            open_labels: vec![READS_UNTRUSTED.to_owned()],
            sensitivity: level(Sensitivity::Internal),
            arguments: Vec::new(),
        }
    }
}

/// An argument that policies may read.
#[derive(Debug, Clone)]
struct Wanted {
    name: String,
    pointer: config::Pointer,
    kind: ArgumentKind,
    record: bool,
}

const fn level(sensitivity: Sensitivity) -> u8 {
    match sensitivity {
        Sensitivity::Public => 0,
        Sensitivity::Internal => 1,
        Sensitivity::Confidential => 2,
        Sensitivity::Restricted => 3,
    }
}

impl Rules {
    /// Returns what `tools` say, on a node in `region`.
    #[must_use]
    pub fn new(tools: &[config::Tool], region: Option<&str>) -> Self {
        let mut servers: HashMap<ServerId, OfServer> = HashMap::new();
        for tool in tools.iter().filter(|tool| tool.name.is_none()) {
            servers
                .entry(tool.upstream.clone())
                .or_default()
                .all
                .add(tool);
        }
        for tool in tools {
            let Some(name) = &tool.name else { continue };
            let server = servers.entry(tool.upstream.clone()).or_default();
            let all = server.all.clone();
            server.tools.entry(name.clone()).or_insert(all).add(tool);
        }
        Self {
            servers,
            plain: OfTool::default(),
            region: region.unwrap_or_default().to_owned(),
        }
    }

    /// Returns labels and sensitivity of a tool of `server` that the server does not say
    /// to stay within its own domain, or, without a name, of its resources and prompts.
    #[must_use]
    pub fn labels_of(&self, server: &ServerId, tool: Option<&str>) -> (&[String], u8) {
        let Standing {
            labels,
            sensitivity,
            ..
        } = self.of(Some(server), tool).standing(Facts::unknown());
        (labels, sensitivity)
    }

    fn of(&self, server: Option<&ServerId>, tool: Option<&str>) -> &OfTool {
        let Some(known) = server.and_then(|server| self.servers.get(server)) else {
            return &self.plain;
        };
        tool.and_then(|tool| known.tools.get(tool))
            .unwrap_or(&known.all)
    }

    /// Returns what lists go by: nothing that differs from call to call.
    pub(crate) fn resting(&self) -> Circumstances<'_> {
        Circumstances {
            region: &self.region,
            ..Circumstances::bare(Timestamp::UNIX_EPOCH)
        }
    }

    /// Returns the labels of what a call on `route` uses.
    pub(crate) fn labels(&self, route: &Route) -> &[String] {
        self.of(route.server.as_ref(), route.name.as_deref())
            .standing(route.facts)
            .labels
    }

    /// Returns what `method` is done to.
    pub(crate) fn target<'a>(
        &'a self,
        method: &str,
        server: Option<&ServerId>,
        name: Option<&'a str>,
        facts: Facts,
    ) -> Target<'a> {
        match (Action::of_method(method), name) {
            (Action::CallTool, Some(name)) => Target::Tool {
                name,
                traits: traits(facts),
                standing: self.of(server, Some(name)).standing(facts),
            },
            (Action::ReadResource, Some(uri)) => Target::Resource {
                uri,
                standing: self.of(server, None).standing(Facts::unknown()),
            },
            (Action::GetPrompt, Some(name)) => Target::Prompt {
                name,
                standing: self.of(server, None).standing(Facts::unknown()),
            },
            _ => Target::Server,
        }
    }
}

impl OfTool {
    fn add(&mut self, tool: &config::Tool) {
        let labels = tool.labels.iter().map(|label| label.as_str().to_owned());
        self.labels.extend(labels);
        self.labels.sort_unstable();
        self.labels.dedup();
        self.open_labels = self.labels.clone();
        let is = |label: &str| self.labels.iter().any(|own| own == label);
        if !is(TRUSTED) && !is(READS_UNTRUSTED) {
            self.open_labels.push(READS_UNTRUSTED.to_owned());
            self.open_labels.sort_unstable();
        }
        if let Some(sensitivity) = tool.sensitivity {
            self.sensitivity = level(sensitivity);
        }
        for argument in &tool.argument {
            self.arguments.retain(|known| known.name != argument.name);
            self.arguments.push(Wanted {
                name: argument.name.clone(),
                pointer: argument.pointer.clone(),
                kind: argument.kind(),
                record: argument.record,
            });
        }
        self.arguments
            .sort_by(|one, other| one.name.cmp(&other.name));
    }

    fn standing(&self, facts: Facts) -> Standing<'_> {
        Standing {
            contract: facts.contract,
            labels: match facts.open_world {
                true => &self.open_labels,
                false => &self.labels,
            },
            sensitivity: self.sensitivity,
        }
    }
}

/// Returns what policy looks at in a caller.
pub(crate) fn principal(caller: &Caller) -> Principal<'_> {
    Principal {
        kind: caller.kind().as_str(),
        id: caller.id(),
        tenant: caller.tenant(),
        attestation: caller.attestation().level(),
        groups: caller.groups(),
        scopes: caller.scopes(),
        client: caller.client(),
        issuer: caller.issuer(),
    }
}

/// Returns what policy looks at in a tool.
pub(crate) fn traits(facts: Facts) -> ToolTraits {
    ToolTraits {
        known: facts.known,
        read_only: facts.read_only,
        destructive: facts.destructive,
        idempotent: facts.idempotent,
        open_world: facts.open_world,
    }
}

/// What a decision about one call goes by, besides caller, method and target.
#[derive(Debug)]
pub(crate) struct Grounds {
    rules: Arc<Rules>,
    at: Timestamp,
    arguments: Vec<Argument>,
    risk: Risk,
    intent: Intent,
    /// What of the call the user's words do not have.
    unsaid: Option<Gap>,
    consent: Option<Asked>,
}

/// What of a call decisions are made about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) call: &'a Call,
    pub(crate) route: &'a Route,
}

impl Grounds {
    /// Returns the grounds of a decision about no particular call.
    pub(crate) fn bare(rules: &Arc<Rules>, at: Timestamp) -> Self {
        Self {
            rules: rules.clone(),
            at,
            arguments: Vec::new(),
            risk: Risk::NONE,
            intent: Intent::Unstated,
            unsaid: None,
            consent: None,
        }
    }

    /// Returns the grounds of a decision about `asking`.
    ///
    /// # Errors
    ///
    /// When an argument that policies may read is not what is configured.
    pub(crate) fn of(
        rules: &Arc<Rules>,
        asking: Asking<'_>,
        at: Timestamp,
    ) -> Result<Self, Unreadable> {
        let mut grounds = Self::bare(rules, at);
        let Asking { call, route } = asking;
        if call.method() != "tools/call" {
            return Ok(grounds);
        }
        let wanted = &rules
            .of(route.server.as_ref(), route.name.as_deref())
            .arguments;
        let given = call
            .arguments()
            .and_then(|text| std::str::from_utf8(text).ok());
        let given = given.unwrap_or("{}");
        for Wanted {
            name,
            pointer,
            kind,
            ..
        } in wanted
        {
            if let Some(value) = find(given, pointer.steps(), *kind)? {
                let name = name.clone();
                grounds.arguments.push(Argument { name, value });
            }
        }
        if !route.facts.read_only {
            (grounds.intent, grounds.unsaid) = intent(asking, given, at);
        }
        Ok(grounds)
    }

    /// Returns the same in a session that has seen `risk`.
    pub(crate) fn after(mut self, risk: Risk) -> Self {
        self.risk = risk;
        self
    }

    /// Returns the same with somebody's agreement to exactly this call.
    pub(crate) fn agreed(mut self, by: Asked) -> Self {
        self.consent = Some(by);
        self
    }

    /// Returns what policies look at.
    pub(crate) fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            at: self.at,
            region: &self.rules.region,
            arguments: &self.arguments,
            risk: self.risk,
            intent: self.intent,
            consent: self.consent,
        }
    }

    /// Returns `hint` with what of the call the user's words do not have.
    pub(crate) fn explained(&self, hint: Option<&str>) -> Option<String> {
        let Some(gap) = self.unsaid else {
            return hint.map(str::to_owned);
        };
        let gap = format!("the user's words do not have {}", gap.as_str());
        Some(hint.map_or_else(|| gap.clone(), |hint| format!("{hint} ({gap})")))
    }

    /// Returns the rules about tools.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns the arguments of interest that somebody who decides about a call on
    /// `route` may see in the ledger.
    pub(crate) fn shown(&self, route: &Route) -> Vec<(String, String)> {
        let noted = self.noted(route, "", false);
        let text = |value: &event::Value<'_>| match value {
            event::Value::Integer(number) => number.to_string(),
            event::Value::Flag(flag) => flag.to_string(),
            event::Value::Text(text) => text.to_string(),
            event::Value::Texts(texts) => texts.join(", "),
        };
        let shown = noted.arguments.iter();
        shown
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    /// Returns what is recorded, of a call on `route` decided by policies of `version`.
    pub(crate) fn noted(&self, route: &Route, version: &str, tool: bool) -> event::Policy<'static> {
        let rules = self.rules.of(route.server.as_ref(), route.name.as_deref());
        let standing = rules.standing(route.facts);
        let mut arguments = BTreeMap::new();
        let mut withheld = Vec::new();
        for argument in &self.arguments {
            let recorded = rules
                .arguments
                .iter()
                .any(|wanted| wanted.name == argument.name && wanted.record);
            let value = match &argument.value {
                Value::Integer(number) => Some(event::Value::Integer(*number)),
                Value::Flag(flag) => Some(event::Value::Flag(*flag)),
                Value::Text(text) if recorded => Some(event::Value::Text(text.clone().into())),
                Value::Texts(texts) if recorded => {
                    let texts = texts.iter().map(|text| text.clone().into());
                    Some(event::Value::Texts(texts.collect()))
                }
                Value::Text(_) | Value::Texts(_) => None,
            };
            let name = argument.name.clone().into();
            match value {
                Some(value) => drop(arguments.insert(name, value)),
                None => withheld.push(name),
            }
        }
        let tool = tool.then(|| event::Traits {
            known: route.facts.known,
            read_only: route.facts.read_only,
            destructive: route.facts.destructive,
            idempotent: route.facts.idempotent,
            open_world: route.facts.open_world,
            contract: standing.contract.as_str().into(),
            labels: standing
                .labels
                .iter()
                .map(|label| label.clone().into())
                .collect(),
            sensitivity: standing.sensitivity,
        });
        event::Policy {
            version: version.to_owned().into(),
            at_us: Some(self.at.as_microsecond()),
            tool,
            region: (!self.rules.region.is_empty()).then(|| self.rules.region.clone().into()),
            risk: self.risk.bits(),
            intent: match self.intent {
                Intent::Unstated => None,
                stated => Some(stated.as_str().into()),
            },
            arguments,
            withheld,
            ..event::Policy::default()
        }
    }
}

/// Whether the user's words ask for a call, where the client passes them on, and what of
/// it they do not have.
fn intent(asking: Asking<'_>, arguments: &str, now: Timestamp) -> (Intent, Option<Gap>) {
    let Asking { call, route } = asking;
    let meta = call.meta_span().map(|span| &call.bytes()[span]);
    let meta = meta.and_then(|meta| std::str::from_utf8(meta).ok());
    let passed = |name: &str| {
        let meta = meta.filter(|meta| meta.contains(name))?;
        raw::find(meta, name)
    };
    let Some(words) = passed(WORDS) else {
        return (Intent::Unstated, None);
    };
    // Quotes and escapes make the text at most six times as long.
    let long = |text: &str| text.len() > 6 * MAX_WORDS_BYTES;
    let agreed = passed(AGREED).filter(|agreed| !long(agreed));
    let arguments = serde_json::from_str(arguments);
    let gap = match (raw::string(words), arguments) {
        _ if long(words) => Some(Gap::TooMuch),
        (Some(words), Ok(arguments)) => {
            let agreed = agreed.and_then(raw::string).unwrap_or_default();
            Spoken::new(&words, Some(now))
                .agreeing(&agreed)
                .gap(route.name.as_deref().unwrap_or_default(), &arguments)
        }
        _ => Some(Gap::TooMuch),
    };
    match gap {
        None => (Intent::Anchored, None),
        Some(_) => (Intent::Unanchored, gap),
    }
}

/// Finds what stands at `steps` in `text`.
fn find(text: &str, steps: &[Box<str>], kind: ArgumentKind) -> Result<Option<Value>, Unreadable> {
    let mut text = text.trim();
    for step in steps {
        text = match text.as_bytes().first() {
            Some(b'{') => {
                let members = raw::members(text).map_err(|_| Unreadable)?;
                let mut found = members.iter().filter(|member| *member.key == **step);
                let Some(member) = found.next() else {
                    return Ok(None);
                };
                // Other readers may take the other one.
                if found.next().is_some() {
                    return Err(Unreadable);
                }
                member.value
            }
            Some(b'[') => {
                let items = raw::elements(text).map_err(|_| Unreadable)?;
                let item = step
                    .parse::<usize>()
                    .ok()
                    .and_then(|at| items.get(at).copied());
                let Some(item) = item else { return Ok(None) };
                item
            }
            _ => return Ok(None),
        };
    }
    let json = serde_json::from_str(text).map_err(|_| Unreadable)?;
    Value::read(kind, &json)
}

#[cfg(test)]
mod tests;
