//! What is done about a change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Class, Drift};

/// What is done about a change, the mildest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The new definition is served, and the change is recorded.
    Accept,
    /// The old definition is served until somebody accepts the new one. A tool that
    /// was not there before is not served.
    Hold,
    /// The tool is neither listed nor called until somebody accepts it.
    Quarantine,
}

impl Action {
    /// Returns its name, as it is configured and written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Hold => "hold",
            Self::Quarantine => "quarantine",
        }
    }
}

/// What is done about changes of tools, by their kind. A change of several kinds is
/// treated by the strictest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rules {
    /// The first time that a server is seen: its tools are taken on trust (`accept`),
    /// or served once somebody has accepted them (`hold`). Without it `accept`.
    pub first_sight: Option<Action>,
    /// Titles, icons, examples, metadata, hints without consequence. Without it `accept`.
    pub annotations: Option<Action>,
    /// Other words for the same thing. Without it `accept`.
    pub description: Option<Action>,
    /// Another version of the server, or other revisions of the protocol. Without it
    /// `accept`.
    pub release: Option<Action>,
    /// Whether a tool may run as a task. Without it `accept`.
    pub execution: Option<Action>,
    /// A tool accepts more than before, such as a further argument. Without it `accept`.
    pub schema_widened: Option<Action>,
    /// A tool accepts less than before. Without it `accept`: its server refuses the rest
    /// whatever is listed.
    pub schema_narrowed: Option<Action>,
    /// A tool accepts other things than before, or nobody can say. Without it `accept`.
    pub schema_incompatible: Option<Action>,
    /// Results have another shape. Without it `accept`.
    pub output: Option<Action>,
    /// A tool is there that was not. Without it `accept`.
    pub tool_added: Option<Action>,
    /// A tool is gone. It is recorded; there is nothing to hold.
    pub tool_removed: Option<Action>,
    /// A tool has another name and is otherwise the same. Without it `hold`.
    pub tool_renamed: Option<Action>,
    /// A tool is shown in another view, or its content has changed. A view cannot be
    /// held, as only its digest is kept: `hold` leaves the tool out. Without it `accept`.
    pub view: Option<Action>,
    /// A tool claims fewer effects than before, such as only to read. Without it
    /// `hold`.
    pub hints_relaxed: Option<Action>,
    /// A tool admits more effects than before, such as to destroy. Without it `hold`.
    pub hints_weakened: Option<Action>,
    /// A tool is to be authorized otherwise. Without it `hold`.
    pub security: Option<Action>,
    /// A server calls itself something else. Without it `hold`: what it said of itself
    /// before is served.
    pub identity: Option<Action>,
    /// A tool has a new argument through which data could leave, such as a URL or a
    /// recipient. Without it `hold`.
    pub sink: Option<Action>,
    /// A text speaks to the model instead of describing the tool, or hides characters.
    /// Also where a tool is seen for the first time. Without it `quarantine`.
    pub instructions: Option<Action>,
}

impl Rules {
    /// Returns these rules where they say something, else those of `general`.
    #[must_use]
    pub fn over(self, general: Self) -> Self {
        Self {
            first_sight: self.first_sight.or(general.first_sight),
            annotations: self.annotations.or(general.annotations),
            description: self.description.or(general.description),
            release: self.release.or(general.release),
            execution: self.execution.or(general.execution),
            schema_widened: self.schema_widened.or(general.schema_widened),
            schema_narrowed: self.schema_narrowed.or(general.schema_narrowed),
            schema_incompatible: self.schema_incompatible.or(general.schema_incompatible),
            output: self.output.or(general.output),
            tool_added: self.tool_added.or(general.tool_added),
            tool_removed: self.tool_removed.or(general.tool_removed),
            tool_renamed: self.tool_renamed.or(general.tool_renamed),
            view: self.view.or(general.view),
            hints_relaxed: self.hints_relaxed.or(general.hints_relaxed),
            hints_weakened: self.hints_weakened.or(general.hints_weakened),
            security: self.security.or(general.security),
            identity: self.identity.or(general.identity),
            sink: self.sink.or(general.sink),
            instructions: self.instructions.or(general.instructions),
        }
    }

    /// Returns what is done when a server is seen for the first time.
    #[must_use]
    pub fn first_sight(&self) -> Action {
        self.first_sight.unwrap_or(Action::Accept)
    }

    /// Returns what is done about a change of this kind.
    #[must_use]
    pub fn of(&self, class: Class) -> Action {
        use Action::{Accept, Hold, Quarantine};
        let (said, default) = match class {
            Class::Annotations => (self.annotations, Accept),
            Class::Description => (self.description, Accept),
            Class::Release => (self.release, Accept),
            Class::Execution => (self.execution, Accept),
            Class::SchemaWidened => (self.schema_widened, Accept),
            Class::SchemaNarrowed => (self.schema_narrowed, Accept),
            Class::SchemaIncompatible => (self.schema_incompatible, Accept),
            Class::Output => (self.output, Accept),
            Class::ToolAdded => (self.tool_added, Accept),
            Class::ToolRemoved => return Accept,
            Class::ToolRenamed => (self.tool_renamed, Hold),
            Class::View => (self.view, Accept),
            Class::HintsRelaxed => (self.hints_relaxed, Hold),
            Class::HintsWeakened => (self.hints_weakened, Hold),
            Class::Security => (self.security, Hold),
            Class::Identity => (self.identity, Hold),
            Class::Sink => (self.sink, Hold),
            Class::Instructions => (self.instructions, Quarantine),
        };
        match (class, said.unwrap_or(default)) {
            (Class::View, Hold) => Quarantine,
            (_, action) => action,
        }
    }

    /// Returns what is done about a change, the strictest of its classes.
    #[must_use]
    pub fn judge(&self, drift: &Drift) -> Action {
        let actions = drift.iter().map(|class| self.of(*class));
        actions.max().unwrap_or(Action::Accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictest_class_decides() {
        let rules = Rules::default();
        let judged = |classes: &[Class]| rules.judge(&classes.iter().copied().collect());
        assert_eq!(judged(&[]), Action::Accept);
        assert_eq!(judged(&[Class::Description]), Action::Accept);
        assert_eq!(judged(&[Class::Description, Class::Sink]), Action::Hold);
        assert_eq!(
            judged(&[Class::Sink, Class::Instructions]),
            Action::Quarantine
        );
    }

    #[test]
    fn rules_of_a_server_come_before_the_general_ones() {
        let general = Rules {
            description: Some(Action::Hold),
            view: Some(Action::Hold),
            ..Rules::default()
        };
        let own = Rules {
            description: Some(Action::Quarantine),
            ..Rules::default()
        };
        let rules = own.over(general);
        assert_eq!(rules.of(Class::Description), Action::Quarantine);
        assert_eq!(rules.of(Class::View), Action::Quarantine, "not held");
        assert_eq!(rules.of(Class::Release), Action::Accept);
    }
}
