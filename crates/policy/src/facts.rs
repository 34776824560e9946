//! What a decision is about, in the caller's own words.

use airside_base::{TenantId, Timestamp};

use crate::{Argument, Intent};

/// Everything a decision depends on. The server is not here: an
/// [`Engine`](crate::Engine) decides for one server and knows which.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Who asks.
    pub principal: Principal<'a>,
    /// What is to be done.
    pub action: Action,
    /// What it is to be done to.
    pub target: Target<'a>,
    /// What is known of this one call besides.
    pub context: Circumstances<'a>,
}

/// What is known of one call besides who asks for what.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// When it is decided.
    pub at: Timestamp,
    /// Region of the node that decides; empty if it has none.
    pub region: &'a str,
    /// Arguments of interest, sorted by name.
    pub arguments: &'a [Argument],
    /// What the session has seen.
    pub risk: Risk,
    /// Whether the user's own words ask for it.
    pub intent: Intent,
    /// Who has agreed to exactly this call.
    pub consent: Option<Asked>,
}

impl Circumstances<'_> {
    /// Returns what holds where nothing is known but the time.
    #[must_use]
    pub const fn bare(at: Timestamp) -> Self {
        Self {
            at,
            region: "",
            arguments: &[],
            risk: Risk::NONE,
            intent: Intent::Unstated,
            consent: None,
        }
    }
}

/// What a session has seen so far, as far as tools are labelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Risk {
    /// A tool that reads what strangers wrote was called.
    pub untrusted: bool,
    /// A tool that reads what is private was called.
    pub private: bool,
    /// A firewall rule met an answer.
    pub flagged: bool,
}

impl Risk {
    /// A session that has seen nothing.
    pub const NONE: Self = Self {
        untrusted: false,
        private: false,
        flagged: false,
    };

    /// Everything at once.
    pub const ALL: Self = Self {
        untrusted: true,
        private: true,
        flagged: true,
    };

    /// Returns the three as bits, for tables.
    #[must_use]
    pub const fn bits(self) -> u8 {
        (self.untrusted as u8) | (self.private as u8) << 1 | (self.flagged as u8) << 2
    }

    /// Returns what [`bits`](Self::bits) made.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            untrusted: bits & 1 != 0,
            private: bits & 2 != 0,
            flagged: bits & 4 != 0,
        }
    }
}

/// Who has to agree to a call, or has agreed. The order is that of authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// Whoever sits at the client; an operator where the client cannot ask.
    Client,
    /// An operator of this installation.
    Operator,
}

impl Asked {
    /// Returns the name used in policies, entries and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Operator => "operator",
        }
    }

    /// Returns who is called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Client, Self::Operator]
            .into_iter()
            .find(|asked| asked.as_str() == name)
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// What stands behind the caller, for instance `api_key`.
    pub kind: &'a str,
    /// Id of the caller, unique within kind and tenant.
    pub id: &'a str,
    /// The caller's tenant.
    pub tenant: &'a TenantId,
    /// How the caller proved who it is, as the number policies compare.
    pub attestation: u8,
    /// Groups that its verifier vouches for.
    pub groups: &'a [String],
    /// Scopes of its token.
    pub scopes: &'a [String],
    /// The client that its token was issued to.
    pub client: Option<&'a str>,
    /// Who issued its token.
    pub issuer: Option<&'a str>,
}

/// What is to be done. The schema says which methods each one stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Start or end talking to a server, or ask what it is.
    Connect,
    /// List tools, resources, templates or prompts.
    List,
    /// Complete an argument.
    Complete,
    /// Hear of changes.
    Listen,
    /// Send a notification or answer a request of the server.
    Notify,
    /// Read a resource.
    ReadResource,
    /// Get a prompt.
    GetPrompt,
    /// Call a tool.
    CallTool,
    /// Follow, feed or cancel a task.
    Task,
    /// Use a method this version does not know.
    Other,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Connect,
        Self::List,
        Self::Complete,
        Self::Listen,
        Self::Notify,
        Self::ReadResource,
        Self::GetPrompt,
        Self::CallTool,
        Self::Task,
        Self::Other,
    ];

    /// Returns the name used in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::List => "list",
            Self::Complete => "complete",
            Self::Listen => "listen",
            Self::Notify => "notify",
            Self::ReadResource => "read_resource",
            Self::GetPrompt => "get_prompt",
            Self::CallTool => "call_tool",
            Self::Task => "task",
            Self::Other => "other",
        }
    }

    /// Returns the action that a method of a client stands for: all methods of
    /// MCP 2025-03-26 to 2026-07-28.
    #[must_use]
    pub fn of_method(method: &str) -> Self {
        match method {
            "initialize" | "server/discover" | "ping" | "logging/setLevel" => Self::Connect,
            "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list" => {
                Self::List
            }
            "completion/complete" => Self::Complete,
            "subscriptions/listen" | "resources/subscribe" | "resources/unsubscribe" => {
                Self::Listen
            }
            "resources/read" => Self::ReadResource,
            "prompts/get" => Self::GetPrompt,
            "tools/call" => Self::CallTool,
            "tasks/get" | "tasks/result" | "tasks/list" | "tasks/update" | "tasks/cancel" => {
                Self::Task
            }
            _ if method.starts_with("notifications/") => Self::Notify,
            _ => Self::Other,
        }
    }
}

/// What something is done to.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// The server as a whole.
    Server,
    /// One of its tools, by the server's own name (without prefix).
    Tool {
        /// Name of the tool.
        name: &'a str,
        /// What its server says about it.
        traits: ToolTraits,
        /// What the operator says about it.
        standing: Standing<'a>,
    },
    /// One of its resources.
    Resource {
        /// URI of the resource.
        uri: &'a str,
        /// What the operator says about it.
        standing: Standing<'a>,
    },
    /// One of its prompts.
    Prompt {
        /// Name of the prompt.
        name: &'a str,
        /// What the operator says about it.
        standing: Standing<'a>,
    },
}

/// What the operator's configuration and the contract of a tool say about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Where its definition stands.
    pub contract: Contract,
    /// What it is labelled with, sorted.
    pub labels: &'a [String],
    /// How much harm a leak would do, 0 to 3.
    pub sensitivity: u8,
}

impl Standing<'_> {
    /// Returns whether it has `label`.
    #[must_use]
    pub fn is(&self, label: &str) -> bool {
        self.labels.iter().any(|own| own == label)
    }
}

/// Where the definition of a tool stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Contract {
    /// It is what was accepted.
    Accepted,
    /// It has changed; the accepted one is in force until somebody decides.
    Held,
    /// It has changed, and calls are to wait until somebody decides.
    Quarantined,
    /// Nobody keeps track of it.
    #[default]
    Unknown,
}

impl Contract {
    /// Returns the name used in policies and entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Held => "held",
            Self::Quarantined => "quarantined",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the one of this name; unknown for any other text.
    #[must_use]
    pub fn find(name: &str) -> Self {
        [Self::Accepted, Self::Held, Self::Quarantined]
            .into_iter()
            .find(|state| state.as_str() == name)
            .unwrap_or_default()
    }
}

/// What a server says about one of its tools. The default is what the MCP
/// specification assumes of a tool that says nothing, and is the careful choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ToolTraits {
    /// The server lists this tool.
    pub known: bool,
    /// `readOnlyHint`.
    pub read_only: bool,
    /// `destructiveHint`.
    pub destructive: bool,
    /// `idempotentHint`.
    pub idempotent: bool,
    /// `openWorldHint`.
    pub open_world: bool,
}

impl Default for ToolTraits {
    fn default() -> Self {
        Self {
            known: false,
            read_only: false,
            destructive: true,
            idempotent: false,
            open_world: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_all_actions_is_complete_and_sorted() {
        assert!(Action::ALL.is_sorted());
        assert_eq!(Action::ALL.last(), Some(&Action::Other));
        assert_eq!(Action::Other as usize + 1, Action::ALL.len());
    }

    #[test]
    fn names_lead_back() {
        for bits in 0..8 {
            assert_eq!(Risk::from_bits(bits).bits(), bits);
        }
        for asked in [Asked::Client, Asked::Operator] {
            assert_eq!(Asked::find(asked.as_str()), Some(asked));
        }
        for state in ["accepted", "held", "quarantined", "unknown"] {
            assert_eq!(Contract::find(state).as_str(), state);
        }
    }

    #[test]
    fn unknown_methods_are_other() {
        for (method, action) in [
            ("tools/call", Action::CallTool),
            ("notifications/cancelled", Action::Notify),
            ("tools/call ", Action::Other),
            ("Tools/Call", Action::Other),
            ("", Action::Other),
        ] {
            assert_eq!(Action::of_method(method), action, "{method}");
        }
    }
}
