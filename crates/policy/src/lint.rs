//! Rules that are right by themselves and still say nothing.

use std::collections::HashSet;

use airside_base::ServerId;
use cedar_policy::{Effect, Policy};
use serde_json::Value;

use crate::{Place, Policies};

/// What an installation has, for rules that name it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its upstream servers.
    pub servers: Vec<ServerId>,
}

/// Something worth a look that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The rule.
    pub id: String,
    /// Where it is.
    pub place: Option<Place>,
    /// What is odd.
    pub text: String,
}

/// A rule, its form in JSON and whether it has no conditions.
struct Form<'a> {
    policy: &'a Policy,
    json: Value,
    plain: bool,
}

impl Policies {
    /// Returns rules that can never decide anything: they name a server that is not
    /// there, or another rule decides before they could.
    #[must_use]
    pub fn remarks(&self, known: &Known) -> Vec<Remark> {
        let mut forms: Vec<_> = self.policies().map(Form::of).collect();
        forms.sort_by(|one, other| one.policy.id().cmp(other.policy.id()));
        let mut remarks = Vec::new();
        let mut remark = |policy: &Policy, text: String| {
            remarks.push(Remark {
                id: policy.id().to_string(),
                place: self.place(policy.id()),
                text,
            });
        };
        for form in &forms {
            if let Some(server) = form.strange_server(self, known) {
                remark(
                    form.policy,
                    format!("the rule is about the server `{server}`, which is not configured"),
                );
            }
            let before = forms.iter().find(|other| other.decides_before(form, self));
            if let Some(other) = before {
                let what = match other.policy.effect() {
                    Effect::Forbid => "forbids",
                    Effect::Permit => "permits already",
                };
                remark(
                    form.policy,
                    format!(
                        "the rule is never needed: `{}` {what} all that it is about",
                        other.policy.id()
                    ),
                );
            }
        }
        remarks
    }
}

impl<'a> Form<'a> {
    fn of(policy: &'a Policy) -> Self {
        let json = policy.to_json().unwrap_or_default();
        let conditions = json.get("conditions").and_then(Value::as_array);
        Self {
            plain: conditions.is_some_and(Vec::is_empty),
            policy,
            json,
        }
    }

    /// Returns a server in the scope that is not there.
    fn strange_server(&self, policies: &Policies, known: &Known) -> Option<String> {
        let named = policies.server_in_scope(self.policy)?;
        let servers: HashSet<_> = known.servers.iter().map(ServerId::as_str).collect();
        (!servers.is_empty() && !servers.contains(named.as_str())).then_some(named)
    }

    /// Whether this rule, which has no conditions, decides all that `other` is about.
    fn decides_before(&self, other: &Self, policies: &Policies) -> bool {
        let asks = |form: &Self| policies.asks(form.policy.id());
        let alone = self.policy.id() != other.policy.id() && self.plain && !asks(self);
        let stronger = match self.policy.effect() {
            Effect::Forbid => other.policy.effect() == Effect::Permit,
            // Of two equal rules the later one is the one too many.
            Effect::Permit => {
                other.policy.effect() == Effect::Permit
                    && (!self.same_scope(other)
                        || !other.plain
                        || self.policy.id() < other.policy.id())
            }
        };
        alone && stronger && self.covers(other)
    }

    fn covers(&self, other: &Self) -> bool {
        ["principal", "action", "resource"].iter().all(|part| {
            let (own, others) = (&self.json[part], &other.json[part]);
            own["op"] == "All" || own == others
        })
    }

    fn same_scope(&self, other: &Self) -> bool {
        ["principal", "action", "resource"]
            .iter()
            .all(|part| self.json[part] == other.json[part])
    }
}
