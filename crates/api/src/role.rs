//! Who may use which route.

use std::{net::SocketAddr, sync::Arc};

use airside_base::{Clock, Fault, TenantId};
use airside_identity::{ApiKeyConfig, ApiKeys, Caller, Error, Head, Identity};
use axum::{
    extract::{ConnectInfo, Request},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Config, Grant, fault};

/// What a caller of the control API may do. A higher role includes the lower, except
/// that only an operator may do what a supplier may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sends rooms and rates of the hotels that are set up for it.
    Supplier,
    /// Sees that the node runs and how.
    Viewer,
    /// Also reads the ledger and verifies it.
    Auditor,
    /// Also changes the running node.
    Operator,
}

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// At least this role.
    Role(Role),
    /// The key of an upstream server, or the role of an operator.
    Upstream,
    /// The role of a supplier or an operator. The key may come as the password of
    /// `Basic`, with its name as user.
    Supplier,
    /// No key: the handler judges the signature of the body.
    Signature,
}

/// How callers of one listener are told apart.
#[derive(Clone)]
pub enum Access {
    /// Whoever reaches the socket owns the data folder.
    Owner,
    /// Callers show a key. Asked anew for each request, so that a key that has been
    /// taken out of the configuration is refused from then on.
    Keys(Arc<dyn Fn() -> Callers + Send + Sync>),
}

/// Who is known at the moment.
#[derive(Clone)]
pub struct Callers {
    identity: Identity,
    grants: Arc<[Grant]>,
    upstreams: Arc<ApiKeys>,
}

impl Callers {
    /// Returns those whom `identity` recognises, with the roles and the keys of
    /// upstream servers that `config` names.
    #[must_use]
    pub fn new(identity: Identity, config: &Config, clock: Arc<dyn Clock>) -> Self {
        let upstreams: Vec<ApiKeyConfig> = config.upstream.iter().map(Into::into).collect();
        Self {
            identity,
            grants: config.grant.clone().into(),
            upstreams: Arc::new(ApiKeys::new(&upstreams, clock)),
        }
    }

    /// Returns who sent a request, with its role.
    fn role(&self, head: &Head<'_>) -> Result<Option<(Caller, Role)>, Fault> {
        let caller = self
            .identity
            .identify_by_key(head)
            .map_err(|error| error.fault())?;
        let role = highest(&self.grants, caller.groups());
        Ok(role.map(|role| (caller, role)))
    }

    /// Returns the supplier or operator that sent a request.
    fn supplier(&self, head: &Head<'_>) -> Result<Option<(Caller, Role)>, Fault> {
        let basic = from_basic(head.headers);
        let (user, headers) = match &basic {
            Some((user, headers)) => (Some(user), headers),
            None => (None, head.headers),
        };
        let head = Head { headers, ..*head };
        let caller = self.identity.identify_by_key(&head);
        let caller = caller.map_err(|error| error.fault())?;
        let named = user.is_none_or(|user| user == caller.id());
        let role = supplying(&self.grants, caller.groups()).filter(|_| named);
        Ok(role.map(|role| (caller, role)))
    }

    /// Returns the upstream server that sent a request; nothing if it shows no key of
    /// one.
    fn upstream(&self, head: &Head<'_>) -> Result<Option<Caller>, Fault> {
        match self.upstreams.find(head) {
            Ok(found) => Ok(found),
            Err(Error::UnknownKey) => Ok(None),
            Err(error) => Err(error.fault()),
        }
    }
}

/// On whose behalf a route works with conversations.
#[derive(Debug, Clone)]
pub(crate) enum Holder {
    /// An operator, who names the tenant.
    Operator,
    /// An upstream server.
    Upstream {
        /// Its configured name.
        name: String,
        /// The tenant of its key.
        tenant: TenantId,
    },
    /// A supplier's system.
    Supplier {
        /// Name of its key.
        name: String,
    },
    /// Whoever signed the body, if the signature is right.
    Signer,
}

/// Who sent a request, as it is written down: `owner` of the data folder, or `kind/id` of
/// what proved it.
#[derive(Debug, Clone)]
pub(crate) struct Actor(pub(crate) String);

impl Actor {
    fn of(caller: &Caller) -> Self {
        Self(format!("{}/{}", caller.kind().as_str(), caller.id()))
    }
}

impl Access {
    /// Judges `request`. Returns for whom it works and who sent it, or that the sender
    /// lacks what is needed.
    fn judge(&self, needs: Needs, request: &Request) -> Result<Option<(Holder, Actor)>, Fault> {
        let lowest = match needs {
            Needs::Role(role) => role,
            Needs::Upstream | Needs::Supplier => Role::Operator,
            Needs::Signature => {
                return Ok(Some((Holder::Signer, Actor("signature".to_owned()))));
            }
        };
        let callers = match self {
            Self::Owner => return Ok(Some((Holder::Operator, Actor("owner".to_owned())))),
            Self::Keys(callers) => callers(),
        };
        let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
            return Ok(None);
        };
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            peer: *peer,
            certificate: None,
            secure: false,
        };
        if needs == Needs::Upstream
            && let Some(caller) = callers.upstream(&head)?
        {
            let holder = Holder::Upstream {
                name: caller.id().to_owned(),
                tenant: caller.tenant().clone(),
            };
            return Ok(Some((holder, Actor::of(&caller))));
        }
        if needs == Needs::Supplier {
            let caller = callers.supplier(&head)?;
            return Ok(caller.map(|(caller, role)| {
                let holder = match role {
                    Role::Operator => Holder::Operator,
                    _ => Holder::Supplier {
                        name: caller.id().to_owned(),
                    },
                };
                (holder, Actor::of(&caller))
            }));
        }
        let role = callers.role(&head)?;
        Ok(role
            .filter(|(_, role)| *role >= lowest)
            .map(|(caller, _)| (Holder::Operator, Actor::of(&caller))))
    }
}

fn highest(grants: &[Grant], groups: &[String]) -> Option<Role> {
    grants
        .iter()
        .filter(|grant| groups.contains(&grant.group))
        .map(|grant| grant.role)
        .max()
}

/// Returns the role by which a member of `groups` may send what suppliers send.
fn supplying(grants: &[Grant], groups: &[String]) -> Option<Role> {
    let held = grants.iter().filter(|grant| groups.contains(&grant.group));
    held.map(|grant| grant.role)
        .filter(|role| matches!(role, Role::Supplier | Role::Operator))
        .max()
}

/// Returns user and headers of a request that shows its key as the password of `Basic`
/// (RFC 7617), with the key as `Bearer`.
fn from_basic(headers: &HeaderMap) -> Option<(String, HeaderMap)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(credentials.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, key) = decoded.split_once(':')?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
    bearer.set_sensitive(true);
    let mut headers = headers.clone();
    headers.insert(header::AUTHORIZATION, bearer);
    Some((user.to_owned(), headers))
}

/// Lets `request` through to its handler if its sender has what it `needs`.
pub(crate) async fn require(
    access: Access,
    needs: Needs,
    mut request: Request,
    next: Next,
) -> Response {
    // A browser always names its origin on a cross-site request, and no page has
    // business here: the console will be served by the node itself.
    if request.headers().contains_key(http::header::ORIGIN) {
        return fault::foreign_origin().into_response();
    }
    match access.judge(needs, &request) {
        Ok(Some((holder, actor))) => {
            request.extensions_mut().insert(holder);
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Ok(None) => fault::role_missing(needs).into_response(),
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

    #[test]
    fn supplier_supplies_and_sees_nothing() {
        let grant = |group: &str, role| Grant {
            group: group.to_owned(),
            role,
        };
        let grants = [
            grant("pms", Role::Supplier),
            grant("sre", Role::Auditor),
            grant("ops", Role::Operator),
        ];
        let by = |group: &str| supplying(&grants, &[group.to_owned()]);
        assert_eq!(by("pms"), Some(Role::Supplier));
        assert_eq!(by("ops"), Some(Role::Operator));
        assert_eq!((by("sre"), by("dev")), (None, None));
        assert!(highest(&grants, &["pms".into()]) < Some(Role::Viewer));
    }
}
