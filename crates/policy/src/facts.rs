//! What a decision is about, in the caller's own words.

use airside_base::TenantId;

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
    },
    /// One of its resources.
    Resource {
        /// URI of the resource.
        uri: &'a str,
    },
    /// One of its prompts.
    Prompt {
        /// Name of the prompt.
        name: &'a str,
    },
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
