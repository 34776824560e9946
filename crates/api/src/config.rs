//! Configuration of the control API over TCP.

use std::net::SocketAddr;

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
