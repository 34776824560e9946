//! Configuration of the control API over TCP.

use std::net::SocketAddr;

use airside_base::{ServerId, TenantId, Timestamp};
use airside_identity::{ApiKeyConfig, Digest};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Role;

/// The control API over TCP. The Unix socket in the data folder is always there
/// and needs no configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Loopback address and port where the control API also listens. Without it
    /// only the Unix socket serves.
    pub address: Option<SocketAddr>,
    /// Which groups of callers hold which role. Nobody holds a role that is not
    /// granted here.
    pub grant: Vec<Grant>,
    /// Keys of upstream servers, each `[[control.upstream]]`, by which they keep the
    /// state of conversations here and do nothing else.
    pub upstream: Vec<UpstreamKey>,
}

/// A key by which an upstream server keeps the state of its conversations here. It
/// reaches the conversations that this server began for this tenant, nothing else. A
/// server may have several, so that one can be replaced while another is in use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UpstreamKey {
    /// Name of the `[[upstream]]`.
    pub upstream: ServerId,
    /// SHA-256 of the whole key (prefix included) as 64 hexadecimal digits. The key
    /// itself is never stored.
    pub sha256: Digest,
    /// Tenant whose conversations it reaches.
    #[serde(default)]
    pub tenant: TenantId,
    /// Last moment at which the key is accepted, as a text such as
    /// `"2027-01-31T23:59:59Z"`.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub not_after: Timestamp,
}

impl From<&UpstreamKey> for ApiKeyConfig {
    fn from(key: &UpstreamKey) -> Self {
        Self {
            name: key.upstream.to_string(),
            sha256: key.sha256,
            tenant: key.tenant.clone(),
            groups: Vec::new(),
            not_after: Some(key.not_after),
            previous: Vec::new(),
        }
    }
}

/// A role granted to a group. Roles are for those who run the installation: they
/// hold for the ledger chains of all tenants.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grant {
    /// Group of callers, as named by the `groups` of their keys.
    pub group: String,
    /// Role that members of the group hold.
    pub role: Role,
}
