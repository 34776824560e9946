//! A caller and how sure we are of it.

use std::sync::Arc;

use airside_base::TenantId;

use crate::Evidence;

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
    /// Whoever calls from an address range that a platform publishes.
    IpRange,
    /// The holder of a configured API key.
    ApiKey,
    /// An OAuth client, for itself or for a person, with an access token.
    Token,
    /// A workload with a SPIFFE identity, by a token.
    Workload,
    /// An agent that signs its requests (RFC 9421).
    SignedAgent,
    /// A platform with a client certificate.
    Certificate,
}

impl CallerKind {
    /// Returns the name used in entries and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::IpRange => "ip_range",
            Self::ApiKey => "api_key",
            Self::Token => "token",
            Self::Workload => "workload",
            Self::SignedAgent => "signed_agent",
            Self::Certificate => "certificate",
        }
    }
}

/// What a verifier vouches for beside kind, id, tenant and groups.
///
/// What is not known is absent. All texts come from outside and are bounded by the
/// verifier that read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The person for whom the client acts, as the issuer names it. It may be
    /// personal data: for decisions and counters, never for entries or logs.
    pub subject: Option<String>,
    /// A name of `subject` without meaning outside this installation: the same for
    /// the same issuer and subject. For entries.
    pub subject_pseudonym: Option<String>,
    /// The OAuth client (`client_id`), an https URL where it has a metadata document.
    pub client: Option<String>,
    /// Who vouches: the URL of a token's issuer, or a trust domain.
    pub issuer: Option<String>,
    /// Scopes of a token.
    pub scopes: Vec<String>,
    /// Who acts for the subject (`act`, RFC 8693, section 4.1), the present actor first.
    pub actors: Vec<String>,
}

/// One identified caller. Clones share the same data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(Arc<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    id: String,
    kind: CallerKind,
    tenant: TenantId,
    attestation: Attestation,
    groups: Vec<String>,
    claims: Claims,
    evidence: Vec<Evidence>,
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
            claims: Claims::default(),
            evidence: Vec::new(),
        }))
    }

    /// Returns the same caller with what else is known of it. For
    /// [`Verifier`](crate::Verifier)s.
    #[must_use]
    pub fn with_claims(self, claims: Claims) -> Self {
        Self(Arc::new(Inner {
            claims,
            ..self.into_inner()
        }))
    }

    /// Returns the same caller with what was checked. For
    /// [`Verifier`](crate::Verifier)s.
    #[must_use]
    pub fn with_evidence(self, evidence: Evidence) -> Self {
        let mut inner = self.into_inner();
        inner.evidence.push(evidence);
        Self(Arc::new(inner))
    }

    /// Returns this caller, with what another verifier vouches for as further
    /// evidence: the stronger of both attestations counts.
    #[must_use]
    pub fn supported_by(self, other: &Self) -> Self {
        let mut inner = self.into_inner();
        inner.attestation = inner.attestation.max(other.attestation());
        inner.evidence.extend_from_slice(other.evidence());
        Self(Arc::new(inner))
    }

    fn into_inner(self) -> Inner {
        Arc::unwrap_or_clone(self.0)
    }

    /// Returns the id, unique among callers of one kind and tenant. Free of personal
    /// data: where a person is part of the principal, by [pseudonym](Self::subject_pseudonym).
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

    /// Returns the person for whom the client acts, as the issuer names it. It may
    /// be personal data: for decisions and counters, never for entries or logs.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.claims.subject.as_deref()
    }

    /// Returns a name of the [subject](Self::subject) without meaning elsewhere.
    #[must_use]
    pub fn subject_pseudonym(&self) -> Option<&str> {
        self.0.claims.subject_pseudonym.as_deref()
    }

    /// Returns the OAuth client, an https URL where it has a metadata document.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.0.claims.client.as_deref()
    }

    /// Returns who vouches: the URL of a token's issuer, or a trust domain.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.claims.issuer.as_deref()
    }

    /// Returns the scopes of a token.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.0.claims.scopes
    }

    /// Returns who acts for the subject, the present actor first.
    #[must_use]
    pub fn actors(&self) -> &[String] {
        &self.0.claims.actors
    }

    /// Returns what was checked, strongest claim to a name first.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.0.evidence
    }

    /// Returns whether both are the same principal, whatever groups, scopes and proof
    /// they came with. What a session is bound to.
    #[must_use]
    pub fn is_same_principal(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        one.kind == other.kind
            && one.tenant == other.tenant
            && one.id == other.id
            && one.claims.issuer == other.claims.issuer
            && one.claims.client == other.claims.client
            && one.claims.subject == other.claims.subject
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
        let of = |issuer: &str, client: &str, subject: &str| {
            one.clone().with_claims(Claims {
                issuer: Some(issuer.into()),
                client: Some(client.into()),
                subject: Some(subject.into()),
                ..Claims::default()
            })
        };
        let ann = of("i", "c", "ann");
        assert!(ann.is_same_principal(&of("i", "c", "ann")));
        for other in [
            of("j", "c", "ann"),
            of("i", "d", "ann"),
            of("i", "c", "bob"),
            one.clone(),
        ] {
            assert!(!ann.is_same_principal(&other), "{other:?}");
        }
    }

    #[test]
    fn support_raises_the_attestation_and_changes_no_name() {
        let caller = |kind, id: &str, attestation| {
            Caller::new(kind, id, TenantId::default(), attestation, Vec::new())
        };
        let token = caller(CallerKind::Token, "client", Attestation::OAuth);
        let token = token.with_evidence(Evidence::new("token", ["signature"]));
        let platform = caller(CallerKind::Certificate, "platform", Attestation::Mtls);
        let platform = platform.with_evidence(Evidence::new("certificate", ["chain", "name"]));
        let both = token.clone().supported_by(&platform);
        assert!(both.is_same_principal(&token));
        assert_eq!(both.attestation(), Attestation::Mtls);
        let verifiers = both.evidence().iter().map(|evidence| evidence.verifier);
        assert_eq!(verifiers.collect::<Vec<_>>(), ["token", "certificate"]);
        assert_eq!(
            platform.supported_by(&token).attestation(),
            Attestation::Mtls
        );
    }
}
