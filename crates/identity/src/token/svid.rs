//! Workloads with SPIFFE identities (JWT-SVID).

use std::sync::Arc;

use airside_base::Timestamp;

use super::{
    Wrong,
    claims::{self, Binding, Now, Verified},
    config::TrustDomainConfig,
    jose::{Algorithm, Compact},
    keys::{Place, Source},
};
use crate::{Attestation, Caller, CallerKind, Claims, Evidence, Reach};

/// Longest SPIFFE id (SPIFFE-ID, section 2.3).
const MAX_ID: usize = 2048;

/// Longest id of a caller. Longer paths are refused, not cut: ids are unique.
const MAX_PATH: usize = 512;

#[derive(Debug)]
pub(super) struct TrustDomain {
    config: TrustDomainConfig,
    source: Arc<Source>,
}

/// Returns where the bundle of a trust domain is, and how far requests for it may go.
pub(super) fn place(config: &TrustDomainConfig) -> (Place, Reach) {
    match (&config.bundle_url, &config.bundle_file) {
        (Some(url), _) => (Place::Url(url.clone()), Reach::of(url, config.internal)),
        (None, file) => (Place::File(file.clone().unwrap_or_default()), Reach::Public),
    }
}

/// Returns the trust domain of a SPIFFE id.
pub(super) fn trust_domain(id: &str) -> Option<&str> {
    let (domain, _) = split(id)?;
    Some(domain)
}

/// Splits a SPIFFE id into trust domain and path (SPIFFE-ID, section 2).
fn split(id: &str) -> Option<(&str, &str)> {
    let rest = id
        .strip_prefix("spiffe://")
        .filter(|_| id.len() <= MAX_ID)?;
    let (domain, path) = rest.split_at(rest.find('/')?);
    let permitted = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let segments = path[1..].split('/');
    let plain = segments.into_iter().all(|segment| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(permitted)
    });
    (plain && path.len() <= MAX_PATH).then_some((domain, path))
}

/// JWT-SVID, section 2 and 3.
pub(super) fn check_form(token: &Compact<'_>) -> Result<(), Wrong> {
    if token.algorithm == Algorithm::EdDsa {
        return Err(Wrong::Algorithm);
    }
    match token.kind.as_deref() {
        None | Some("jwt" | "jose") => Ok(()),
        Some(_) => Err(Wrong::Type),
    }
}

impl TrustDomain {
    pub(super) const fn new(config: TrustDomainConfig, source: Arc<Source>) -> Self {
        Self { config, source }
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) const fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub(super) fn audience(&self) -> &[String] {
        &self.config.audience
    }

    /// Reads a verified token.
    pub(super) fn read(&self, token: &Compact<'_>, now: Timestamp) -> Result<Verified, Wrong> {
        let claims = &token.payload;
        let times = Now {
            second: now.as_second(),
            skew_s: i64::try_from(self.config.clock_skew_s).unwrap_or(0),
        };
        let not_after = times.check(claims, true)?;
        let id = claims.text("sub").unwrap_or_default();
        // A bundle is good for the ids of its own domain only.
        let own = split(id).is_some_and(|(domain, _)| domain == self.config.name);
        if !own {
            return Err(Wrong::Claim("a `sub` of another trust domain"));
        }
        let caller = Caller::new(
            CallerKind::Workload,
            id,
            self.config.tenant.clone(),
            Attestation::OAuth,
            self.config.groups.clone(),
        );
        let signature = format!("signature {}", token.algorithm.as_str());
        let checked = [&signature, "trust domain", "audience", "expiry"];
        Ok(Verified {
            caller: caller
                .with_claims(Claims {
                    issuer: Some(format!("spiffe://{}", self.config.name)),
                    ..Claims::default()
                })
                .with_evidence(Evidence::new("jwt_svid", checked)),
            audience: claims::audience(claims),
            not_after,
            binding: Binding::read(claims)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_a_domain_and_a_plain_path() {
        assert_eq!(
            trust_domain("spiffe://prod.example/ns/a/sa/b"),
            Some("prod.example")
        );
        for bad in [
            "https://prod.example/a",
            "spiffe://prod.example",
            "spiffe://prod.example/",
            "spiffe://prod.example/a//b",
            "spiffe://prod.example/a/../b",
            "spiffe://prod.example/a?b",
            "spiffe://prod.example/a%2fb",
            "spiffe://prod.example/a b",
        ] {
            assert_eq!(trust_domain(bad), None, "{bad}");
        }
    }
}
