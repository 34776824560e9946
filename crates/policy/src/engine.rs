//! Decisions about one server.
//!
//! # Approval
//!
//! A policy with `@approval("client")` or `@approval("operator")` decides only together
//! with the agreement of a person to exactly this call. Such a `permit` admits nothing
//! without it, and such a `forbid` no longer forbids with it. Where a plain policy
//! decides the same already, nobody is asked. The labels [`ASK`] and [`ASK_OPERATOR`]
//! on a tool ask whatever the policies are.

use std::{collections::HashMap, sync::Arc};

use airside_base::ServerId;
use cedar_policy::{Authorizer, Decision, Effect, Policy, PolicySet, Response};

use crate::{
    Asked, Facts, Permit, PolicyId, Reason, Refusal, Target,
    explain::{Explanation, Rule, Stance},
    memo::{Memo, Names, Scope},
    permit::Verdict,
    policies::{Mark, Marks},
    reads::Reads,
    vocabulary::Vocabulary,
};

/// Label of a tool that needs the agreement of a person.
const ASK: &str = "approval";
/// Label of a tool that needs the agreement of an operator.
const ASK_OPERATOR: &str = "operator-approval";
/// What the caller of a tool that no server lists is told.
pub(crate) const UNLISTED: &str = "the server lists no tool of this name: see `tools/list`";

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
    marks: Marks,
    authorizer: Authorizer,
    memo: Memo,
}

/// The policies that can apply to one action.
#[derive(Debug)]
struct Part {
    set: PolicySet,
    names: Names,
    reads: Reads,
    /// What lists depend on of the circumstances: at most the region.
    listing_reads: Reads,
    /// Without the policies that agreement lifts; none if there are no such.
    firm: Option<PolicySet>,
    /// What lists go by: what does not depend on the single call.
    listing: PolicySet,
}

impl Part {
    fn new(set: PolicySet, vocabulary: &Vocabulary, marks: &Marks) -> Self {
        let mark = |policy: &Policy| marks.get(policy.id()).cloned().unwrap_or_default();
        let mut reads = Reads::default();
        let (mut firm, mut listing) = (Vec::new(), Vec::new());
        let mut lifted = false;
        for policy in set.policies() {
            let Mark {
                reads: own, asked, ..
            } = mark(policy);
            let liftable = asked.is_some() && policy.effect() == Effect::Forbid;
            lifted |= liftable;
            if !liftable {
                firm.push(policy.clone());
            }
            match (policy.effect(), own.varies()) {
                (Effect::Forbid, true) => {}
                (Effect::Forbid, false) if liftable => {}
                (Effect::Permit, true) => listing.extend(unconditional(policy)),
                (Effect::Forbid | Effect::Permit, false) => listing.push(policy.clone()),
            }
            reads.join(own);
        }
        let collect = |policies: Vec<Policy>| {
            PolicySet::from_policies(policies).expect("ids stay unique in a part of a set")
        };
        let named = set
            .policies()
            .any(|policy| vocabulary.names_a_target(policy));
        Self {
            names: if named {
                Names::Matter
            } else {
                Names::AreAlike
            },
            firm: lifted.then(|| collect(firm)),
            listing: collect(listing),
            listing_reads: Reads {
                region: reads.region(),
                ..Reads::default()
            },
            reads,
            set,
        }
    }
}

/// Returns `policy` with its scope alone.
fn unconditional(policy: &Policy) -> Option<Policy> {
    let mut json = policy.to_json().ok()?;
    json["conditions"] = serde_json::Value::Array(Vec::new());
    Policy::from_json(Some(policy.id().clone()), json).ok()
}

impl Engine {
    /// Returns an engine over `sets`. They have the order of
    /// [`Action::ALL`](crate::Action::ALL), and hold every policy that can apply to
    /// that action at `server`.
    pub(crate) fn new(
        server: ServerId,
        vocabulary: Arc<Vocabulary>,
        version: Arc<str>,
        marks: Marks,
        sets: Vec<PolicySet>,
    ) -> Self {
        let id = |policy: &Policy| {
            let id: &str = policy.id().as_ref();
            (policy.id().clone(), PolicyId::new(id))
        };
        let ids = sets.iter().flat_map(PolicySet::policies).map(id).collect();
        let parts = sets.into_iter();
        let parts = parts
            .map(|set| Part::new(set, &vocabulary, &marks))
            .collect();
        Self(Arc::new(Inner {
            server,
            parts,
            ids,
            vocabulary,
            version,
            marks,
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

    /// Returns whether a decision can depend on what a session has seen.
    #[must_use]
    pub fn reads_risk(&self) -> bool {
        self.0.parts.iter().any(|part| part.reads.risk())
    }

    /// Returns whether a decision about `facts` can depend on the user's own words.
    #[must_use]
    pub fn reads_intent(&self, facts: &Facts<'_>) -> bool {
        self.part(facts).reads.intent()
    }

    /// Returns whether a decision about `facts` can depend on the argument `name`.
    #[must_use]
    pub fn reads_argument(&self, facts: &Facts<'_>, name: &str) -> bool {
        self.part(facts).reads.argument(name)
    }

    /// Returns whether a decision about `facts` can depend on the name of what is
    /// acted on.
    #[must_use]
    pub fn reads_name(&self, facts: &Facts<'_>) -> bool {
        self.part(facts).names == Names::Matter
    }

    /// Decides whether `value`, which `facts` describe, may happen.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if no policy permits it, if one forbids it, if one cannot be
    /// evaluated, or if somebody has to agree first who has not.
    pub fn decide<T>(&self, facts: &Facts<'_>, value: T) -> Result<Permit<T>, Refusal> {
        self.weigh(facts, value).map_err(|(refusal, _)| refusal)
    }

    /// Decides as [`decide`](Self::decide) does, and gives `value` back where it is
    /// refused, for whoever can do something about that.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn weigh<T>(&self, facts: &Facts<'_>, value: T) -> Result<Permit<T>, (Refusal, T)> {
        let verdict = self.recall(facts, 0, || self.judge(facts));
        verdict.about(value)
    }

    /// Returns whether a list shows what `facts` describe: whether there can be a call
    /// of it that is permitted, at some time, with some arguments, with the agreement
    /// of somebody.
    #[must_use]
    pub fn shows(&self, facts: &Facts<'_>) -> bool {
        let verdict = self.recall(facts, 1, || {
            let listing = &self.part(facts).listing;
            let response = self.ask(facts, listing);
            let failed = response.diagnostics().errors().next().is_some();
            match response.decision() {
                Decision::Allow if !failed => Verdict::Permitted(Arc::new([])),
                Decision::Allow | Decision::Deny => {
                    let reason = Reason::NothingPermits;
                    Verdict::Refused(Refusal::new(reason, Arc::new([]), None, None))
                }
            }
        });
        matches!(verdict, Verdict::Permitted(_))
    }

    fn recall(&self, facts: &Facts<'_>, sort: u8, decide: impl FnOnce() -> Verdict) -> Verdict {
        let part = self.part(facts);
        let scope = Scope {
            names: part.names,
            reads: match sort {
                0 => &part.reads,
                _ => &part.listing_reads,
            },
            calendar: &|context| self.0.vocabulary.calendar(context),
            sort,
        };
        self.0.memo.recall(facts, scope, decide)
    }

    fn ask(&self, facts: &Facts<'_>, set: &PolicySet) -> Response {
        let reads = &self.part(facts).reads;
        let Inner {
            server, vocabulary, ..
        } = &*self.0;
        let (request, entities) = vocabulary.question(server, facts, reads, None);
        self.0.authorizer.is_authorized(&request, set, &entities)
    }

    /// Asks Cedar.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let part = self.part(facts);
        let response = self.ask(facts, &part.set);
        if let Some(refusal) = self.undecidable(&response) {
            return Verdict::Refused(refusal);
        }
        let determining = self.named(response.diagnostics().reason());
        match response.decision() {
            Decision::Allow => self.agreed(facts, &response, &determining, None),
            Decision::Deny => self.denied(facts, &response, determining),
        }
    }

    /// A policy that fails leaves the question open, so the answer is no.
    fn undecidable(&self, response: &Response) -> Option<Refusal> {
        let errors: Vec<_> = response.diagnostics().errors().collect();
        if errors.is_empty() {
            return None;
        }
        let failed = errors.iter().map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
        });
        let details = errors.iter().map(|error| format!("{error}; ")).collect();
        let failed = self.named(failed);
        Some(Refusal::new(
            Reason::Undecidable,
            failed,
            None,
            Some(details),
        ))
    }

    /// Policies permit it, apart from those with an effect of `forbidding` that
    /// agreement lifts.
    fn agreed(
        &self,
        facts: &Facts<'_>,
        response: &Response,
        permitting: &Arc<[PolicyId]>,
        forbidding: Option<(Asked, &Response)>,
    ) -> Verdict {
        let asked = |id: &cedar_policy::PolicyId| self.mark(id).and_then(|mark| mark.asked);
        // One permit that asks for less is enough.
        let permits = response.diagnostics().reason().map(asked).min().flatten();
        let label = match &facts.target {
            Target::Tool { standing, .. } if standing.is(ASK_OPERATOR) => Some(Asked::Operator),
            Target::Tool { standing, .. } if standing.is(ASK) => Some(Asked::Client),
            Target::Tool { .. }
            | Target::Server
            | Target::Resource { .. }
            | Target::Prompt { .. } => None,
        };
        let forbids = forbidding.map(|(asked, _)| asked);
        let needed = permits.max(label).max(forbids);
        let Some(needed) = needed.filter(|needed| facts.context.consent < Some(*needed)) else {
            return Verdict::Permitted(permitting.clone());
        };
        // Who asks: the rules behind what is needed.
        let (why, hint) = match forbidding {
            Some((asked, forbids)) if asked == needed => (
                self.named(forbids.diagnostics().reason()),
                self.hint(facts, forbids),
            ),
            _ if permits == Some(needed) => (permitting.clone(), self.hint(facts, response)),
            _ => (Arc::from([]), None),
        };
        Verdict::Refused(Refusal::new(Reason::NeedsApproval(needed), why, hint, None))
    }

    fn denied(&self, facts: &Facts<'_>, response: &Response, ids: Arc<[PolicyId]>) -> Verdict {
        if ids.is_empty() {
            let hint = match facts.target {
                Target::Tool { traits, .. } if !traits.known => Some(UNLISTED.to_owned()),
                Target::Server
                | Target::Tool { .. }
                | Target::Resource { .. }
                | Target::Prompt { .. } => None,
            };
            return Verdict::Refused(Refusal::new(Reason::NothingPermits, ids, hint, None));
        }
        let marks = || response.diagnostics().reason().map(|id| self.mark(id));
        let lifted: Option<Vec<Asked>> = marks().map(|mark| mark?.asked).collect();
        if let Some(asked) = lifted.and_then(|asked| asked.into_iter().max())
            && let Some(firm) = &self.part(facts).firm
        {
            let without = self.ask(facts, firm);
            if let Some(refusal) = self.undecidable(&without) {
                return Verdict::Refused(refusal);
            }
            if without.decision() == Decision::Allow {
                let permitting = self.named(without.diagnostics().reason());
                return self.agreed(facts, &without, &permitting, Some((asked, response)));
            }
        }
        let hint = self.hint(facts, response);
        let refusal = Refusal::new(Reason::Forbidden, ids, hint, None);
        let hidden = marks().flatten().any(|mark| mark.hidden);
        Verdict::Refused(if hidden { refusal.hidden() } else { refusal })
    }

    fn part(&self, facts: &Facts<'_>) -> &Part {
        &self.0.parts[facts.action as usize]
    }

    fn mark(&self, id: &cedar_policy::PolicyId) -> Option<&Mark> {
        self.0.marks.get(id)
    }

    /// Returns what the determining policies tell the caller.
    fn hint(&self, facts: &Facts<'_>, response: &Response) -> Option<String> {
        let set = &self.part(facts).set;
        let ids = response.diagnostics().reason();
        let mut hints: Vec<_> = ids.filter_map(|id| set.annotation(id, "hint")).collect();
        hints.sort_unstable();
        (!hints.is_empty()).then(|| hints.join("; "))
    }

    fn named<'a>(&self, ids: impl Iterator<Item = &'a cedar_policy::PolicyId>) -> Arc<[PolicyId]> {
        let mut ids: Vec<_> = ids.filter_map(|id| self.0.ids.get(id).cloned()).collect();
        ids.sort_unstable();
        ids.into()
    }

    /// Explains the decision about `facts`: every rule that was considered, each asked
    /// alone.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        let mut rules: Vec<_> = self.part(facts).set.policies().collect();
        rules.sort_by(|one, other| one.id().cmp(other.id()));
        let rules = rules.into_iter().map(|policy| {
            let alone = PolicySet::from_policies([policy.clone()]).expect("one id is unique");
            let response = self.ask(facts, &alone);
            let failure = response
                .diagnostics()
                .errors()
                .next()
                .map(ToString::to_string);
            let applies = response.diagnostics().reason().next().is_some();
            let mark = self.mark(policy.id()).cloned().unwrap_or_default();
            Rule {
                id: policy.id().to_string(),
                permits: policy.effect() == Effect::Permit,
                stance: match failure {
                    Some(error) => Stance::Fails(error),
                    None if applies => Stance::Applies,
                    None => Stance::DoesNotApply,
                },
                asked: mark.asked,
                hidden: mark.hidden,
                place: mark.place,
            }
        });
        Explanation {
            rules: rules.collect(),
            refusal: self
                .judge(facts)
                .about(())
                .err()
                .map(|(refusal, ())| refusal),
            shown: self.shows(facts),
        }
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.0.memo.len()
    }
}
