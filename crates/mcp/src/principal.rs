//! Who stands behind a request to a server in this process.

use std::sync::Arc;

use airside_base::TenantId;

/// The caller of a request, as the gateway in front identified it.
///
/// It travels as an extension of the [`http::Request`], which has no form on the
/// wire: nothing that a client sends can set it. A request without it comes from the
/// gateway itself or from nobody known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose ledger chain and limits apply.
    pub tenant: TenantId,
    /// What it is: `anonymous`, `api_key`.
    pub kind: &'static str,
    /// Unique among callers of one kind and tenant.
    pub id: Arc<str>,
    /// How it proved that, as policies compare it: 0 is not at all, 20 an API key.
    pub attestation: u8,
}

impl Principal {
    /// From this rung of attestation on a caller has proved who it is.
    pub const PROVEN: u8 = 20;

    /// Returns whether the caller has proved who it is.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.attestation >= Self::PROVEN
    }
}
