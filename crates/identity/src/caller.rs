//! A caller and how sure we are of it.

use std::sync::Arc;

use airside_base::TenantId;

/// How a caller proved who it is, from nothing to a key that never left it.
///
/// The order is part of the contract: policies compare it. A step up means that
/// more than one secret or network has to be taken over to impersonate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attestation {
    /// Nothing was proved.
    None,
    /// The request came from an address range its platform publishes.
    IpRange,
    /// A long-lived shared secret was shown: whoever reads it can use it.
    ApiKey,
    /// A short-lived token, issued for this server, was shown.
    OAuth,
    /// The request was signed by a key that the caller keeps (RFC 9421).
    HttpSignature,
    /// The connection was opened with a client certificate.
    Mtls,
}

impl Attestation {
    /// Returns the name used in entries, policies and configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::IpRange => "ip_range",
            Self::ApiKey => "api_key",
            Self::OAuth => "oauth",
            Self::HttpSignature => "http_signature",
            Self::Mtls => "mtls",
        }
    }

    /// Returns the rung as a number that policies compare. Stable: gaps are left
    /// so that a new rung does not renumber the others.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::None => 0,
            Self::IpRange => 10,
            Self::ApiKey => 20,
            Self::OAuth => 30,
            Self::HttpSignature => 40,
            Self::Mtls => 50,
        }
    }
}

/// What stands behind a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// A process on this machine that said nothing about itself.
    Anonymous,
    /// The holder of a configured API key.
    ApiKey,
}

impl CallerKind {
    /// Returns the name used in entries and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::ApiKey => "api_key",
        }
    }
}

/// One identified caller. Clones share the same data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    id: String,
    kind: CallerKind,
    tenant: TenantId,
    attestation: Attestation,
    groups: Vec<String>,
}

impl Caller {
    /// Returns a caller with these properties. For [`Verifier`](crate::Verifier)s,
    /// which vouch for them, and for tests.
    #[must_use]
    pub fn new(
        kind: CallerKind,
        id: impl Into<String>,
        tenant: TenantId,
        attestation: Attestation,
        groups: Vec<String>,
    ) -> Self {
        Self(Arc::new(Inner {
            id: id.into(),
            kind,
            tenant,
            attestation,
            groups,
        }))
    }

    /// Returns the id, unique among callers of one kind and tenant.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Returns what stands behind the caller.
    #[must_use]
    pub fn kind(&self) -> CallerKind {
        self.0.kind
    }

    /// Returns the tenant whose ledger chain and limits apply.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// Returns how the caller proved who it is.
    #[must_use]
    pub fn attestation(&self) -> Attestation {
        self.0.attestation
    }

    /// Returns the groups that the verifier vouches for.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.0.groups
    }

    /// Returns whether both are the same principal, whatever groups and proof
    /// they came with. What a session is bound to.
    #[must_use]
    pub fn is_same_principal(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        one.kind == other.kind && one.tenant == other.tenant && one.id == other.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladder_and_levels_agree() {
        let ladder = [
            Attestation::None,
            Attestation::IpRange,
            Attestation::ApiKey,
            Attestation::OAuth,
            Attestation::HttpSignature,
            Attestation::Mtls,
        ];
        assert!(ladder.is_sorted());
        assert!(ladder.is_sorted_by_key(|rung| rung.level()));
    }

    #[test]
    fn a_principal_is_kind_tenant_and_id() {
        let caller = |kind, tenant: &str, id: &str, groups: Vec<String>| {
            Caller::new(
                kind,
                id,
                tenant.parse().unwrap(),
                Attestation::ApiKey,
                groups,
            )
        };
        let one = caller(CallerKind::ApiKey, "a", "ci", vec![]);
        assert!(one.is_same_principal(&caller(CallerKind::ApiKey, "a", "ci", vec!["g".into()])));
        for other in [
            caller(CallerKind::ApiKey, "b", "ci", vec![]),
            caller(CallerKind::ApiKey, "a", "cd", vec![]),
            caller(CallerKind::Anonymous, "a", "ci", vec![]),
        ] {
            assert!(!one.is_same_principal(&other), "{other:?}");
        }
    }
}
