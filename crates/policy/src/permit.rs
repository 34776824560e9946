//! The two outcomes of a decision.

use std::{fmt, sync::Arc};

use airside_base::{Fault, Kind};

use crate::{Asked, engine::UNLISTED};

/// Name of a policy: the value of its `@id`. Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(Arc<str>);

impl PolicyId {
    pub(crate) fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyId({})", self.0)
    }
}

/// Proof that policy admitted `T`. Spent by doing what was asked.
///
/// Its fields are private and nothing outside this crate makes one, so whoever
/// takes a `Permit<T>` knows that a decision was made on exactly this `T`:
///
/// ```compile_fail
/// let forged = airside_policy::Permit { value: "call", policies: Default::default() };
/// ```
///
/// ```compile_fail
/// let forged = airside_policy::Permit::new("call");
/// ```
///
/// Nor can what was admitted be exchanged afterwards:
///
/// ```compile_fail
/// fn exchange(mut permit: airside_policy::Permit<&'static str>) {
///     *permit.value() = "another call";
/// }
/// ```
///
/// And it is spent once:
///
/// ```compile_fail
/// fn twice(permit: airside_policy::Permit<&'static str>) {
///     let other = permit.clone();
/// }
/// ```
#[must_use = "what was admitted has to be done or let go"]
#[derive(Debug)]
pub struct Permit<T> {
    value: T,
    policies: Arc<[PolicyId]>,
}

impl<T> Permit<T> {
    /// Returns what was admitted.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Returns the policies that permit it, sorted.
    #[must_use]
    pub fn policies(&self) -> &[PolicyId] {
        &self.policies
    }

    /// Spends the permit: returns what was admitted.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

/// Why something may not happen. Clones share the same data.
#[must_use = "a refusal has to be answered and recorded"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Arc<Refused>);

#[derive(Debug, PartialEq, Eq)]
struct Refused {
    reason: Reason,
    policies: Arc<[PolicyId]>,
    hint: Option<String>,
    details: Option<String>,
    hidden: bool,
}

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No policy permits it.
    NothingPermits,
    /// A policy forbids it.
    Forbidden,
    /// A policy could not be evaluated, so nobody knows.
    Undecidable,
    /// Somebody has to agree to exactly this call first.
    NeedsApproval(Asked),
}

impl Refusal {
    pub(crate) fn new(
        reason: Reason,
        policies: Arc<[PolicyId]>,
        hint: Option<String>,
        details: Option<String>,
    ) -> Self {
        Self(Arc::new(Refused {
            reason,
            policies,
            hint,
            details,
            hidden: false,
        }))
    }

    /// Returns the refusal of something that the caller is not to know of.
    pub(crate) fn hidden(mut self) -> Self {
        if let Some(refused) = Arc::get_mut(&mut self.0) {
            refused.hidden = true;
        }
        self
    }

    /// Returns whether the caller is not to know that there is such a thing.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.0.hidden
    }

    /// Returns what a policy tells the caller.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns what kind of refusal it is.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Returns the policies that forbid it or failed, sorted; none where nothing
    /// permits it.
    #[must_use]
    pub fn policies(&self) -> &[PolicyId] {
        &self.0.policies
    }

    /// Returns what the caller may know. The names of the policies are private:
    /// they tell how the installation is protected.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let (reason, hint) = match self.0.hidden {
            // Exactly what is said of a tool that is not there.
            true => (Reason::NothingPermits, Some(UNLISTED)),
            false => (self.0.reason, self.hint()),
        };
        let fault = match reason {
            Reason::NothingPermits => {
                Fault::new(Kind::Forbidden, "POL-001", "no policy permits this")
            }
            Reason::Forbidden => Fault::new(Kind::Forbidden, "POL-002", "a policy forbids this"),
            Reason::Undecidable => Fault::new(
                Kind::Internal,
                "POL-003",
                "the policy could not be evaluated, so the answer is no",
            ),
            Reason::NeedsApproval(Asked::Client) => Fault::new(
                Kind::Forbidden,
                "POL-042",
                "this call has to be confirmed by a person first",
            ),
            Reason::NeedsApproval(Asked::Operator) => Fault::new(
                Kind::Forbidden,
                "POL-043",
                "this call has to be approved by an operator first",
            ),
        };
        let fault = match hint {
            Some(hint) => fault.with_hint(hint.to_owned()),
            None => fault,
        };
        let names: Vec<_> = self.policies().iter().map(PolicyId::as_str).collect();
        let details = self.0.details.as_deref().unwrap_or_default();
        if names.is_empty() && details.is_empty() {
            return fault;
        }
        fault.with_private(format_args!("policies: {}. {details}", names.join(", ")))
    }
}

/// A decision without the value it is about, so that it can be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Permitted by these policies.
    Permitted(Arc<[PolicyId]>),
    /// Refused.
    Refused(Refusal),
}

impl Verdict {
    /// Ties the decision to `value`: the only place where permits are made.
    pub(crate) fn about<T>(self, value: T) -> Result<Permit<T>, (Refusal, T)> {
        match self {
            Self::Permitted(policies) => Ok(Permit { value, policies }),
            Self::Refused(refusal) => Err((refusal, value)),
        }
    }
}
