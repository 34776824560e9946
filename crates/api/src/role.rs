//! Who may use which route.

use std::{net::SocketAddr, sync::Arc};

use airside_identity::{Head, Identity};
use axum::{
    extract::{ConnectInfo, Request},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Grant, fault};

/// What a caller of the control API may do. A higher role includes the lower.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees that the node runs and how.
    Viewer,
    /// Also reads the ledger and verifies it.
    Auditor,
    /// Also changes the running node.
    Operator,
}

/// How callers of one listener are told apart.
#[derive(Clone)]
pub enum Access {
    /// Whoever reaches the socket owns the data folder.
    Owner,
    /// Callers show a key.
    Keys {
        /// Recognises the key.
        identity: Identity,
        /// Roles of the groups.
        grants: Arc<[Grant]>,
    },
}

impl Access {
    /// Returns the role of whoever sent `request`, or why it is refused.
    fn role(&self, request: &Request) -> Result<Option<Role>, airside_base::Fault> {
        let (identity, grants) = match self {
            Self::Owner => return Ok(Some(Role::Operator)),
            Self::Keys { identity, grants } => (identity, grants),
        };
        let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
            return Ok(None);
        };
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            peer: *peer,
        };
        let caller = identity.identify(&head).map_err(|error| error.fault())?;
        Ok(highest(grants, caller.groups()))
    }
}

fn highest(grants: &[Grant], groups: &[String]) -> Option<Role> {
    grants
        .iter()
        .filter(|grant| groups.contains(&grant.group))
        .map(|grant| grant.role)
        .max()
}

/// Lets `request` through to its handler if its sender holds `needed`.
pub(crate) async fn require(
    access: Access,
    needed: Role,
    request: Request,
    next: Next,
) -> Response {
    // A browser always names its origin on a cross-site request, and no page has
    // business here: the console will be served by the node itself.
    if request.headers().contains_key(http::header::ORIGIN) {
        return fault::foreign_origin().into_response();
    }
    match access.role(&request) {
        Ok(Some(role)) if role >= needed => next.run(request).await,
        Ok(_) => fault::role_missing(needed).into_response(),
        Err(refused) => fault::Answer(refused).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_is_the_highest_granted_to_a_group_and_none_by_default() {
        let grant = |group: &str, role| Grant {
            group: group.to_owned(),
            role,
        };
        let grants = [grant("sre", Role::Viewer), grant("sre", Role::Auditor)];
        assert_eq!(highest(&grants, &["sre".into()]), Some(Role::Auditor));
        assert_eq!(highest(&grants, &["dev".into()]), None);
        assert_eq!(highest(&grants, &[]), None);
    }
}
