//! Where a call goes behind an endpoint.

use std::sync::Arc;

use airside_base::{Clock, ServerId, Supervisor};
use airside_identity::Caller;
use airside_mcp::{Call, Era, Failure, Incoming, ParamHeaders, era::Session};
use airside_policy::Permit;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};

use crate::{
    catalog::Facts,
    head,
    transport::Body,
    upstream::{self, Outbound, Upstream},
};

/// Where a call goes and what is known of what it acts on.
#[derive(Debug, Clone)]
pub struct Route {
    /// The server; absent where all of the endpoint are asked.
    pub server: Option<ServerId>,
    /// The server's own name of the tool or prompt, or the URI.
    pub name: Option<Box<str>>,
    /// What the server says of the tool.
    pub facts: Facts,
    /// Arguments that are mirrored into headers.
    pub params: Option<Arc<ParamHeaders>>,
}

impl Route {
    /// A route to one server.
    #[must_use]
    pub fn to(server: ServerId) -> Self {
        Self {
            server: Some(server),
            ..Self::anywhere()
        }
    }

    /// A route to all servers of an endpoint.
    #[must_use]
    pub fn anywhere() -> Self {
        Self {
            server: None,
            name: None,
            facts: Facts::unknown(),
            params: None,
        }
    }
}

/// What is shared by all endpoints of a process.
#[derive(Debug)]
pub struct Shared {}

impl Shared {
    /// Returns the state of a process.
    #[must_use]
    pub fn new(_clock: Arc<dyn Clock>, _supervisor: Supervisor) -> Arc<Self> {
        Arc::new(Self {})
    }
}

/// One upstream with what is known of it.
#[derive(Debug)]
pub struct Peer(Arc<Upstream>);

impl Peer {
    /// Returns the peer.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>, _shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self(upstream))
    }
}

/// Who visits an endpoint.
#[derive(Debug)]
pub struct Visit {
    /// The caller.
    pub caller: Caller,
    /// Its headers.
    pub headers: HeaderMap,
    /// Era.
    pub era: Era,
}

/// Servers behind one path.
#[derive(Debug)]
pub struct Endpoint(Vec<Arc<Peer>>);

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Upstream.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
}

impl Error {
    /// Upstream.
    #[must_use]
    pub fn upstream(&self) -> Option<&upstream::Error> {
        match self {
            Self::Upstream(e) => Some(e),
        }
    }

    /// Answer.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Upstream(e) => e.failure(),
        }
    }
}

impl Endpoint {
    /// New.
    #[must_use]
    pub fn new(peers: Vec<Arc<Peer>>, _shared: Arc<Shared>) -> Self {
        Self(peers)
    }

    /// Session.
    #[must_use]
    pub fn session(&self, _headers: &HeaderMap, _caller: &Caller) -> Session {
        Session::Absent
    }

    /// Route.
    pub async fn route(&self, call: &Call) -> Result<Route, Error> {
        Ok(Route {
            server: Some(self.0[0].0.id().clone()),
            name: call.name().map(Into::into),
            facts: Facts::unknown(),
            params: None,
        })
    }

    /// Dispatch.
    pub async fn dispatch(
        &self,
        permit: &Permit<Outbound>,
        visit: &Visit,
    ) -> Result<Response<Body>, Error> {
        let bytes = permit
            .value()
            .call
            .as_ref()
            .map(|call| call.bytes().clone());
        self.send(permit, visit, Method::POST, bytes.unwrap_or_default())
            .await
    }

    /// Deliver.
    pub async fn deliver(
        &self,
        permit: &Permit<Outbound>,
        message: &Incoming,
        visit: &Visit,
    ) -> Result<Response<Body>, Error> {
        let bytes = match message {
            Incoming::Request(c) | Incoming::Notification(c) => c.bytes().clone(),
            Incoming::Response(r) => r.bytes().clone(),
            Incoming::Batch(_) => Bytes::new(),
        };
        self.send(permit, visit, Method::POST, bytes).await
    }

    /// Stream.
    pub async fn stream(
        &self,
        permit: &Permit<Outbound>,
        visit: &Visit,
    ) -> Result<Response<Body>, Error> {
        self.send(permit, visit, Method::GET, Bytes::new()).await
    }

    /// Close.
    pub async fn close(
        &self,
        permit: &Permit<Outbound>,
        visit: &Visit,
    ) -> Result<Response<Body>, Error> {
        self.send(permit, visit, Method::DELETE, Bytes::new()).await
    }

    async fn send(
        &self,
        permit: &Permit<Outbound>,
        visit: &Visit,
        method: Method,
        bytes: Bytes,
    ) -> Result<Response<Body>, Error> {
        let mut request = Request::new(bytes);
        *request.method_mut() = method;
        *request.headers_mut() = head::forwarded(&visit.headers);
        Ok(self.0[0].0.send(permit, request).await?)
    }
}
