//! What identifies a caller beside its name: what was checked, and what is still to
//! be checked once the body is there.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use serde::Serialize;

use crate::{Caller, Error};

/// What one verifier checked. Goes into entries: never a secret, never personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Name of the verifier.
    pub verifier: &'static str,
    /// What it found in order, such as `issuer`, `audience`, `signature ES256`.
    pub checked: Vec<String>,
}

impl Evidence {
    /// Returns that `verifier` found all of `checked` in order.
    pub fn new<T: Into<String>>(
        verifier: &'static str,
        checked: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            verifier,
            checked: checked.into_iter().map(Into::into).collect(),
        }
    }
}

/// A caller, and what the body of its request has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the body of the request has to be checked"]
pub struct Claim {
    caller: Caller,
    bodies: Vec<BodyDigest>,
}

/// The digest that a body has to have, proved together with the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyDigest {
    /// SHA-256.
    Sha256([u8; 32]),
    /// SHA-512.
    Sha512([u8; 64]),
}

impl BodyDigest {
    pub(crate) fn is_of(&self, body: &[u8]) -> bool {
        let (algorithm, expected) = match self {
            Self::Sha256(bytes) => (&digest::SHA256, bytes.as_slice()),
            Self::Sha512(bytes) => (&digest::SHA512, bytes.as_slice()),
        };
        let found = digest::digest(algorithm, body);
        verify_slices_are_equal(found.as_ref(), expected).is_ok()
    }
}

impl Claim {
    /// Returns the same claim, good only for a body with this digest.
    pub fn with_body(mut self, digest: BodyDigest) -> Self {
        self.bodies.push(digest);
        self
    }

    /// Returns the caller of a request whose body will be checked or is of no weight.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns the caller if `body`, as it came and empty where there was none, is
    /// what the evidence covers.
    ///
    /// # Errors
    ///
    /// [`Error::Body`] when it is another body.
    pub fn check_body(self, body: &[u8]) -> Result<Caller, Error> {
        if self.bodies.iter().all(|digest| digest.is_of(body)) {
            return Ok(self.caller);
        }
        Err(Error::Body)
    }

    /// Returns this claim with `other` as further evidence of it.
    pub(crate) fn supported_by(mut self, other: Self) -> Self {
        self.caller = self.caller.supported_by(&other.caller);
        self.bodies.extend(other.bodies);
        self
    }
}

impl From<Caller> for Claim {
    fn from(caller: Caller) -> Self {
        Self {
            caller,
            bodies: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use airside_base::TenantId;

    use super::*;
    use crate::{Attestation, CallerKind};

    fn claim() -> Claim {
        let tenant = TenantId::default();
        let caller = Caller::new(CallerKind::Token, "a", tenant, Attestation::OAuth, vec![]);
        Claim::from(caller)
    }

    fn of(body: &[u8]) -> BodyDigest {
        let digest = digest::digest(&digest::SHA256, body);
        BodyDigest::Sha256(digest.as_ref().try_into().unwrap())
    }

    #[test]
    fn claim_without_a_digest_takes_any_body() {
        assert!(claim().check_body(b"anything").is_ok());
    }

    #[test]
    fn every_digest_has_to_be_that_of_the_body() {
        assert!(claim().with_body(of(b"{}")).check_body(b"{}").is_ok());
        assert!(claim().with_body(of(b"")).check_body(b"").is_ok());
        let changed = claim().with_body(of(b"{}")).check_body(b"{ }");
        assert_eq!(changed.unwrap_err(), Error::Body);
        let two = claim()
            .with_body(of(b"{}"))
            .supported_by(claim().with_body(of(b"[]")));
        assert_eq!(two.check_body(b"{}").unwrap_err(), Error::Body);
        let long = digest::digest(&digest::SHA512, b"{}");
        let long = BodyDigest::Sha512(long.as_ref().try_into().unwrap());
        assert!(claim().with_body(long).check_body(b"{}").is_ok());
    }
}
