//! Which rules apply to one message, and what is done about what they find.

use std::sync::Arc;

use airside_base::ServerId;
use airside_screen::{Group, Groups, Rule};

use crate::config::{Action, Actions, Direction, Exception};

/// What is done in one direction where no exception says otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base {
    groups: [Action; 6],
    /// About values that only stand beside a word such as token: cursors of lists do, too.
    guessed: Action,
}

/// The rule whose hits are guessed by the name beside them.
const GUESSED: &str = "secret.assigned";

impl Base {
    /// Returns what is done where `configured` says nothing.
    pub(crate) fn new(direction: Direction, configured: &Actions) -> Self {
        let groups = Group::ALL.map(|group| {
            configured.of(group).unwrap_or(match (direction, group) {
                (Direction::Requests, Group::Card) => Action::Block,
                (Direction::Answers, Group::Card | Group::Secret | Group::Hidden) => Action::Redact,
                (Direction::Requests, Group::Secret | Group::Hidden)
                | (Direction::Answers, Group::Instruction)
                | (_, Group::Payload) => Action::Flag,
                (Direction::Requests, Group::Instruction) | (_, Group::Personal) => Action::Allow,
            })
        });
        Self {
            groups,
            guessed: configured.secret.unwrap_or(Action::Flag),
        }
    }

    fn action(&self, rule: &Rule) -> Action {
        match rule.id {
            GUESSED => self.guessed,
            _ => self.groups[rule.group as usize],
        }
    }
}

/// Where a message goes or comes from.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Path of the endpoint.
    pub endpoint: &'a str,
    /// The server, where it is one.
    pub server: Option<&'a ServerId>,
    /// What is called there, by the server's own name.
    pub tool: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Returns the place as rules about tools see a call of `method`: what is read by
    /// its address has no name that they know.
    pub(crate) fn of_call(self, method: &str) -> Place<'a> {
        let named = matches!(method, "tools/call" | "prompts/get");
        Self {
            tool: self.tool.filter(|_| named),
            ..self
        }
    }
}

/// The rules for one message.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    base: Base,
    exceptions: Vec<Arc<Exception>>,
    groups: Groups,
}

impl Plan {
    pub(crate) fn new(
        base: Base,
        exceptions: &[Arc<Exception>],
        direction: Direction,
        place: Place<'_>,
    ) -> Self {
        let applies = |exception: &&Arc<Exception>| exception.applies(direction, place);
        let exceptions: Vec<_> = exceptions.iter().filter(applies).cloned().collect();
        let mut plan = Self {
            base,
            exceptions,
            groups: Groups::NONE,
        };
        for group in Group::ALL {
            if plan.looks_for(group) {
                plan.groups = plan.groups.with(group);
            }
        }
        plan
    }

    fn looks_for(&self, group: Group) -> bool {
        // A single rule may be acted upon whose group is not.
        let named = |exception: &Arc<Exception>| {
            let whole = exception
                .groups
                .iter()
                .any(|named| Group::from(*named) == group);
            let rule = |rule: &&Rule| {
                rule.group == group && exception.rules.iter().any(|id| id == rule.id)
            };
            let part = airside_screen::RULES.into_iter().flatten().any(rule);
            exception.action != Action::Allow && (whole || part)
        };
        self.base.groups[group as usize] != Action::Allow || self.exceptions.iter().any(named)
    }

    /// Returns the groups that are looked for.
    pub(crate) fn groups(&self) -> Groups {
        self.groups
    }

    /// Returns what is done about a hit of `rule`.
    pub(crate) fn action(&self, rule: &Rule) -> Action {
        let named = |exception: &&Arc<Exception>| {
            exception.rules.iter().any(|id| id == rule.id)
                || exception
                    .groups
                    .iter()
                    .any(|group| Group::from(*group) == rule.group)
        };
        let last = self.exceptions.iter().rev().find(named);
        last.map_or_else(|| self.base.action(rule), |exception| exception.action)
    }
}

impl Exception {
    fn applies(&self, direction: Direction, place: Place<'_>) -> bool {
        let server = |server: &ServerId| Some(server) == place.server;
        let tool = |pattern: &String| {
            place
                .tool
                .is_some_and(|tool| match pattern.strip_suffix('*') {
                    Some(start) => tool.starts_with(start),
                    None => tool == pattern,
                })
        };
        self.direction.is_none_or(|named| named == direction)
            && (self.upstreams.is_empty() || self.upstreams.iter().any(server))
            && (self.endpoints.is_empty() || self.endpoints.iter().any(|at| at == place.endpoint))
            && (self.tools.is_empty() || self.tools.iter().any(tool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Group as Named;

    fn action(exceptions: &[Exception], rule: &str) -> (Action, bool) {
        let exceptions: Vec<_> = exceptions.iter().cloned().map(Arc::new).collect();
        let server = "hotels".parse().unwrap();
        let place = Place {
            endpoint: "/mcp",
            server: Some(&server),
            tool: Some("search_rooms"),
        };
        let base = Base::new(Direction::Requests, &Actions::default());
        let plan = Plan::new(base, &exceptions, Direction::Requests, place);
        let mut rules = airside_screen::RULES.into_iter().flatten();
        let rule = rules.find(|known| known.id == rule).unwrap();
        (plan.action(rule), plan.groups().has(rule.group))
    }

    fn exception(groups: &[Named], rules: &[&str], action: Action) -> Exception {
        Exception {
            upstreams: Vec::new(),
            endpoints: Vec::new(),
            tools: Vec::new(),
            direction: None,
            groups: groups.to_vec(),
            rules: rules.iter().map(|&id| id.to_owned()).collect(),
            action,
        }
    }

    #[test]
    fn last_exception_that_fits_decides() {
        use Action::{Allow, Block, Flag};
        assert_eq!(action(&[], "card.number"), (Block, true));
        assert_eq!(action(&[], "personal.iban"), (Allow, false));
        let all = exception(&[Named::Personal], &[], Block);
        let one = exception(&[], &["personal.iban"], Flag);
        assert_eq!(
            action(&[all.clone(), one.clone()], "personal.iban"),
            (Flag, true)
        );
        assert_eq!(action(&[all, one.clone()], "personal.email"), (Block, true));
        assert_eq!(
            action(std::slice::from_ref(&one), "personal.email"),
            (Allow, true)
        );
    }

    #[test]
    fn what_is_only_guessed_to_be_a_secret_stays_unless_somebody_says_so() {
        let action = |configured: &Actions, id: &str| {
            let base = Base::new(Direction::Answers, configured);
            let mut rules = airside_screen::RULES.into_iter().flatten();
            base.action(rules.find(|rule| rule.id == id).unwrap())
        };
        let plain = Actions::default();
        assert_eq!(action(&plain, "secret.cloud"), Action::Redact);
        assert_eq!(action(&plain, GUESSED), Action::Flag);
        let strict = Actions {
            secret: Some(Action::Redact),
            ..plain
        };
        assert_eq!(action(&strict, GUESSED), Action::Redact);
    }

    #[test]
    fn exceptions_are_about_some_calls() {
        use Action::{Allow, Block};
        let allow = exception(&[Named::Card], &[], Allow);
        for (exception, expected) in [
            (
                Exception {
                    tools: vec!["search_*".into()],
                    ..allow.clone()
                },
                Allow,
            ),
            (
                Exception {
                    tools: vec!["search".into()],
                    ..allow.clone()
                },
                Block,
            ),
            (
                Exception {
                    upstreams: vec!["hotels".parse().unwrap()],
                    ..allow.clone()
                },
                Allow,
            ),
            (
                Exception {
                    upstreams: vec!["other".parse().unwrap()],
                    ..allow.clone()
                },
                Block,
            ),
            (
                Exception {
                    endpoints: vec!["/other".into()],
                    ..allow.clone()
                },
                Block,
            ),
            (
                Exception {
                    direction: Some(Direction::Answers),
                    ..allow
                },
                Block,
            ),
        ] {
            assert_eq!(action(&[exception], "card.number").0, expected);
        }
    }
}
