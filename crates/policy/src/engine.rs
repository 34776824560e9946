//! Decisions about one server.

use std::{collections::HashMap, sync::Arc};

use airside_base::ServerId;
use cedar_policy::{Authorizer, Decision, PolicySet, Response};

use crate::{
    Facts, Permit, PolicyId, Reason, Refusal, Target,
    memo::{Memo, Names},
    permit::Verdict,
    vocabulary::Vocabulary,
};

/// Decides what may happen at one server. Clones share policies and memory.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: ServerId,
    vocabulary: Arc<Vocabulary>,
    version: Arc<str>,
    /// What can apply, in the order of [`Action::ALL`](crate::Action::ALL).
    parts: Vec<Part>,
    ids: HashMap<cedar_policy::PolicyId, PolicyId>,
    authorizer: Authorizer,
    memo: Memo,
}

/// The policies that can apply to one action.
#[derive(Debug)]
struct Part {
    set: PolicySet,
    names: Names,
}

impl Engine {
    /// Returns an engine over `sets`. They have the order of
    /// [`Action::ALL`](crate::Action::ALL), and hold every policy that can apply to
    /// that action at `server`.
    pub(crate) fn new(
        server: ServerId,
        vocabulary: Arc<Vocabulary>,
        version: Arc<str>,
        sets: Vec<PolicySet>,
    ) -> Self {
        let id = |policy: &cedar_policy::Policy| {
            let id: &str = policy.id().as_ref();
            (policy.id().clone(), PolicyId::new(id))
        };
        let ids = sets.iter().flat_map(PolicySet::policies).map(id).collect();
        let part = |set: PolicySet| {
            let named = set
                .policies()
                .any(|policy| vocabulary.names_a_target(policy));
            let names = if named {
                Names::Matter
            } else {
                Names::AreAlike
            };
            Part { set, names }
        };
        Self(Arc::new(Inner {
            server,
            parts: sets.into_iter().map(part).collect(),
            ids,
            vocabulary,
            version,
            authorizer: Authorizer::new(),
            memo: Memo::default(),
        }))
    }

    /// Returns the server this engine decides for.
    #[must_use]
    pub fn server(&self) -> &ServerId {
        &self.0.server
    }

    /// Returns which policies it decides by ([`Policies::version`](crate::Policies::version)).
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// Returns how many policies can apply to this server.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.0.ids.len()
    }

    /// Decides whether `value`, which `facts` describe, may happen.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if no policy permits it, if one forbids it, or if one cannot
    /// be evaluated.
    pub fn decide<T>(&self, facts: &Facts<'_>, value: T) -> Result<Permit<T>, Refusal> {
        let names = self.part(facts).names;
        let verdict = self.0.memo.recall(facts, names, || self.judge(facts));
        verdict.about(value)
    }

    /// Asks Cedar.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let Inner {
            server,
            vocabulary,
            authorizer,
            ..
        } = &*self.0;
        let set = &self.part(facts).set;
        let (request, entities) = vocabulary.question(server, facts, None);
        let response = authorizer.is_authorized(&request, set, &entities);
        let errors: Vec<_> = response.diagnostics().errors().collect();
        if !errors.is_empty() {
            let failed = errors.iter().map(|error| match error {
                cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
            });
            let details = errors.iter().map(|error| format!("{error}; ")).collect();
            let failed = self.named(failed);
            return Verdict::Refused(Refusal::new(
                Reason::Undecidable,
                failed,
                None,
                Some(details),
            ));
        }
        let determining = self.named(response.diagnostics().reason());
        match response.decision() {
            Decision::Allow => Verdict::Permitted(determining),
            Decision::Deny => Verdict::Refused(self.refusal(facts, &response, determining)),
        }
    }

    fn part(&self, facts: &Facts<'_>) -> &Part {
        &self.0.parts[facts.action as usize]
    }

    fn refusal(
        &self,
        facts: &Facts<'_>,
        response: &Response,
        forbidding: Arc<[PolicyId]>,
    ) -> Refusal {
        if forbidding.is_empty() {
            let hint = match facts.target {
                Target::Tool { traits, .. } if !traits.known => {
                    Some("the server lists no tool of this name: see `tools/list`".to_owned())
                }
                Target::Server
                | Target::Tool { .. }
                | Target::Resource { .. }
                | Target::Prompt { .. } => None,
            };
            return Refusal::new(Reason::NothingPermits, forbidding, hint, None);
        }
        let mut hints: Vec<_> = response
            .diagnostics()
            .reason()
            .filter_map(|id| self.part(facts).set.annotation(id, "hint"))
            .collect();
        hints.sort_unstable();
        let hint = (!hints.is_empty()).then(|| hints.join("; "));
        Refusal::new(Reason::Forbidden, forbidding, hint, None)
    }

    fn named<'a>(&self, ids: impl Iterator<Item = &'a cedar_policy::PolicyId>) -> Arc<[PolicyId]> {
        let mut ids: Vec<_> = ids.filter_map(|id| self.0.ids.get(id).cloned()).collect();
        ids.sort_unstable();
        ids.into()
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.0.memo.len()
    }
}
