//! Client of the control API, for the command line.
//!
//! # Invariants
//!
//! * What a node answers is bounded: answers by size, streamed lines by length.

use std::{io, net::SocketAddr, path::PathBuf};

use airside_base::{OnFailure, Redacted, Supervisor, TenantId};
use airside_ledger::{
    conversation::Id,
    personal::{Purpose, SubjectId},
    proof::Proof,
};
use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::TcpStream;

use crate::{Part, Reach, approvals, findings, limits, socket, wire};

/// Largest answer that is not a stream, and longest line of a stream, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Why a node did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there.
    #[error("no node answers at {at}")]
    NotRunning {
        /// Folder or address.
        at: String,
        /// What the system said.
        source: io::Error,
    },
    /// The node refused or failed; its own words.
    #[error("{} [{}]", .0.message, .0.code)]
    Refused(wire::Problem),
    /// The connection broke or the answer is not one of a control API.
    #[error("the answer of the node cannot be read: {0}")]
    Unreadable(String),
}

/// Where the node is.
#[derive(Debug, Clone)]
enum Target {
    Folder(PathBuf),
    Address(SocketAddr, Redacted<String>),
}

/// Talks to the control API of one node.
#[derive(Debug, Clone)]
pub struct Client {
    target: Target,
    supervisor: Supervisor,
}

impl Client {
    /// Returns a client of the node that serves `folder`.
    #[must_use]
    pub fn local(folder: impl Into<PathBuf>, supervisor: &Supervisor) -> Self {
        Self {
            target: Target::Folder(folder.into()),
            supervisor: supervisor.clone(),
        }
    }

    /// Returns a client of the control API at a TCP address, which shows `key`.
    #[must_use]
    pub fn remote(address: SocketAddr, key: Redacted<String>, supervisor: &Supervisor) -> Self {
        Self {
            target: Target::Address(address, key),
            supervisor: supervisor.clone(),
        }
    }

    /// Returns the state of the node.
    ///
    /// # Errors
    ///
    /// See [`Error`]; the same holds for all requests.
    pub async fn status(&self) -> Result<wire::Status, Error> {
        self.ask(Method::GET, "/v1/status").await
    }

    /// Returns the newest position of the chain of `tenant`.
    pub async fn head(&self, tenant: &TenantId) -> Result<wire::Head, Error> {
        let path = format!("/v1/ledger/head?tenant={tenant}");
        self.ask(Method::GET, &path).await
    }

    /// Returns up to `limit` entries of `tenant` after position `after`.
    pub async fn entries(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<wire::Entry>, Error> {
        let path = format!("/v1/ledger/entries?tenant={tenant}&after={after}&limit={limit}");
        let page: wire::Entries = self.ask(Method::GET, &path).await?;
        Ok(page.entries)
    }

    /// Follows the chain of `tenant` after position `after`.
    pub async fn follow(&self, tenant: &TenantId, after: u64) -> Result<Lines, Error> {
        let path = format!("/v1/ledger/follow?tenant={tenant}&after={after}");
        self.stream(Method::GET, &path).await
    }

    /// Verifies the ledger; the lines are [`wire::Verify`].
    pub async fn verify(&self) -> Result<Lines, Error> {
        self.stream(Method::POST, "/v1/ledger/verify").await
    }

    /// Proves entry `seq` of `tenant`.
    pub async fn prove(
        &self,
        tenant: &TenantId,
        seq: u64,
        since: Option<u64>,
    ) -> Result<Proof, Error> {
        let since = since.map_or_else(String::new, |entries| format!("&since={entries}"));
        let path = format!("/v1/ledger/proof?tenant={tenant}&seq={seq}{since}");
        self.ask(Method::GET, &path).await
    }

    /// Returns the entries of a chain about one subject, at most a page of them.
    pub async fn about(&self, tenant: &TenantId, subject: &str) -> Result<Vec<wire::Entry>, Error> {
        let limit = crate::MAX_PAGE;
        let subject: String = url::form_urlencoded::byte_serialize(subject.as_bytes()).collect();
        let path = format!("/v1/ledger/entries?tenant={tenant}&limit={limit}&subject={subject}");
        let page: wire::Entries = self.ask(Method::GET, &path).await?;
        Ok(page.entries)
    }

    /// Returns entries of `kind`, and of kinds below it, after position `after`.
    pub async fn of_kind(
        &self,
        tenant: &TenantId,
        kind: &str,
        after: u64,
    ) -> Result<Vec<wire::Entry>, Error> {
        let limit = crate::MAX_PAGE;
        let path =
            format!("/v1/ledger/entries?tenant={tenant}&limit={limit}&after={after}&kind={kind}");
        let page: wire::Entries = self.ask(Method::GET, &path).await?;
        Ok(page.entries)
    }

    /// Returns calls that wait for an agreement, with `all` also those that were decided.
    pub async fn approvals(
        &self,
        tenant: &TenantId,
        all: bool,
    ) -> Result<approvals::Approvals, Error> {
        let path = format!("/v1/approvals?tenant={tenant}&all={all}");
        self.ask(Method::GET, &path).await
    }

    /// Decides whether a call may happen.
    pub async fn decide_approval(
        &self,
        decide: &approvals::Decide,
    ) -> Result<approvals::Approval, Error> {
        let text = wire::to_line(decide);
        let body = self.send(Method::POST, "/v1/approvals/decide", text.into());
        read(&collect(body.await?).await?)
    }

    /// Decides about a finding of the inventory.
    pub async fn decide_finding(&self, decide: &findings::Decide) -> Result<(), Error> {
        let text = wire::to_line(decide);
        let body = self.send(Method::POST, "/v1/findings/decide", text.into());
        collect(body.await?).await.map(|_| ())
    }

    /// Returns how far the keys are that are nearest to their limits, at most `most`.
    pub async fn limits(&self, most: usize) -> Result<limits::Limits, Error> {
        self.ask(Method::GET, &format!("/v1/limits?most={most}"))
            .await
    }

    /// Gives a key of a limit all its units back.
    pub async fn reset_limit(&self, reset: &limits::Reset) -> Result<(), Error> {
        let text = wire::to_line(reset);
        let body = self.send(Method::POST, "/v1/limits/reset", text.into());
        collect(body.await?).await.map(drop)
    }

    /// Makes the node read its configuration again.
    pub async fn reload(&self) -> Result<wire::Reloaded, Error> {
        self.ask(Method::POST, "/v1/config/reload").await
    }

    /// Destroys the keys of `subject` for `purposes`.
    pub async fn erase(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
        purposes: &[Purpose],
    ) -> Result<wire::Erased, Error> {
        let purposes: Vec<&str> = purposes.iter().map(|purpose| purpose.as_str()).collect();
        let purposes = purposes.join(",");
        let path =
            format!("/v1/subjects/erase?tenant={tenant}&subject={subject}&purposes={purposes}");
        self.ask(Method::POST, &path).await
    }

    /// Begins an export of everything about `subject`.
    pub async fn export(&self, tenant: &TenantId, subject: &SubjectId) -> Result<Parts, Error> {
        let path = format!("/v1/subjects/export?tenant={tenant}&subject={subject}");
        let body = self.send(Method::GET, &path, Bytes::new()).await?;
        Ok(Parts { body })
    }

    /// Returns a conversation.
    pub async fn conversation(
        &self,
        tenant: &TenantId,
        id: &Id,
    ) -> Result<wire::Conversation, Error> {
        let path = format!("/v1/conversations/show?tenant={tenant}&id={id}");
        self.ask(Method::GET, &path).await
    }

    /// Returns a page of what happened to a conversation behind entry `after`.
    pub async fn history(
        &self,
        tenant: &TenantId,
        id: &Id,
        after: u64,
    ) -> Result<Vec<wire::Step>, Error> {
        let path = format!("/v1/conversations/history?tenant={tenant}&id={id}&after={after}");
        let page: wire::History = self.ask(Method::GET, &path).await?;
        Ok(page.steps)
    }

    /// Brings an earlier state of a conversation back, or tells what that would change.
    pub async fn restore(&self, asked: &wire::Restore) -> Result<wire::Brought, Error> {
        let text = wire::to_line(asked);
        let path = "/v1/conversations/restore";
        let body = self.send(Method::POST, path, text.into()).await?;
        read(&collect(body).await?)
    }

    /// Asks for something about a part of reviews, as far as `reach` goes.
    pub async fn review(
        &self,
        tenant: &TenantId,
        (part, reach): (Part, Reach),
        request: &serde_json::Value,
    ) -> Result<serde_json::Value, Error> {
        let path = match (part, reach) {
            (Part::Lots, Reach::Read) => "/v1/review/lots/read",
            (Part::Lots, Reach::Change) => "/v1/review/lots",
            (Part::Findings, Reach::Read) => "/v1/review/findings/read",
            (Part::Findings, Reach::Change) => "/v1/review/findings",
            (Part::Lessons, Reach::Read) => "/v1/review/lessons/read",
            (Part::Lessons, Reach::Change) => "/v1/review/lessons",
        };
        let path = format!("{path}?tenant={tenant}");
        let text = wire::to_line(request);
        let body = self.send(Method::POST, &path, text.into()).await?;
        read(&collect(body).await?)
    }

    /// Returns what is known of evaluations.
    pub async fn evals(&self, tenant: &TenantId) -> Result<serde_json::Value, Error> {
        let path = format!("/v1/evals?tenant={tenant}");
        self.ask(Method::GET, &path).await
    }

    /// Records what a run gave.
    pub async fn record_eval(
        &self,
        tenant: &TenantId,
        results: &impl Serialize,
    ) -> Result<serde_json::Value, Error> {
        let path = format!("/v1/evals?tenant={tenant}");
        let text = wire::to_line(results);
        let body = self.send(Method::POST, &path, text.into()).await?;
        read(&collect(body).await?)
    }

    /// Returns how the tools of all servers stand.
    pub async fn contracts(&self) -> Result<Vec<wire::ContractRow>, Error> {
        let all: wire::Contracts = self.ask(Method::GET, "/v1/contracts").await?;
        Ok(all.contracts)
    }

    /// Returns one contract in full.
    pub async fn contract(&self, of: &wire::ContractOf) -> Result<wire::Contract, Error> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("server", &of.server);
        query.append_pair("tool", &of.tool);
        query.append_pair("class", &of.class);
        let path = format!("/v1/contracts/show?{}", query.finish());
        self.ask(Method::GET, &path).await
    }

    /// Decides about a tool.
    pub async fn decide_contract(
        &self,
        decision: &wire::ContractDecision,
    ) -> Result<wire::ContractRow, Error> {
        let text = wire::to_line(decision);
        let path = "/v1/contracts/decide";
        let body = self.send(Method::POST, path, text.into()).await?;
        read(&collect(body).await?)
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Error> {
        let body = self.send(method, path, Bytes::new()).await?;
        read(&collect(body).await?)
    }

    async fn stream(&self, method: Method, path: &str) -> Result<Lines, Error> {
        let body = self.send(method, path, Bytes::new()).await?;
        Ok(Lines {
            body,
            buffer: BytesMut::new(),
        })
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Incoming, Error> {
        let mut request = Request::builder().method(method).uri(path);
        let not_running = |source| Error::NotRunning {
            at: self.place(),
            source,
        };
        let response = match &self.target {
            Target::Folder(folder) => {
                let stream = socket::connect(folder).await.map_err(not_running)?;
                request = request.header(header::HOST, "airside");
                self.exchange(stream, request, body).await?
            }
            Target::Address(address, key) => {
                let stream = TcpStream::connect(address).await.map_err(not_running)?;
                request = request
                    .header(header::HOST, address.to_string())
                    .header(header::AUTHORIZATION, format!("Bearer {}", key.expose()));
                self.exchange(stream, request, body).await?
            }
        };
        if response.status() == StatusCode::OK {
            return Ok(response.into_body());
        }
        let status = response.status();
        let bytes = collect(response.into_body()).await?;
        Err(match serde_json::from_slice(&bytes) {
            Ok(problem) => Error::Refused(problem),
            Err(_) => Error::Unreadable(format!("status {status} without a reason")),
        })
    }

    async fn exchange<S>(
        &self,
        stream: S,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, Error>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        // A node that dies is connected to for some moments more: whatever ends
        // before an answer begins is no node, and only a wrong answer is another.
        let broken = |error: hyper::Error| match error.is_parse() {
            true => Error::Unreadable(error.to_string()),
            false => Error::NotRunning {
                at: self.place(),
                source: io::Error::other(error),
            },
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        self.supervisor
            .spawn("control connection", OnFailure::Log, async move {
                // The sender's side reports what goes wrong.
                let _ = connection.await;
            });
        let request = request
            .body(Full::new(body))
            .map_err(|error| Error::Unreadable(error.to_string()))?;
        sender.send_request(request).await.map_err(broken)
    }

    fn place(&self) -> String {
        match &self.target {
            Target::Folder(folder) => folder.display().to_string(),
            Target::Address(address, _) => address.to_string(),
        }
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Error> {
    let collected = Limited::new(body, MAX_ANSWER).collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| Error::Unreadable(error.to_string()))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Unreadable(error.to_string()))
}

/// A document that comes in parts.
#[derive(Debug)]
pub struct Parts {
    body: Incoming,
}

impl Parts {
    /// Returns the next part, or nothing at the end.
    ///
    /// # Errors
    ///
    /// When the connection breaks: what has come by then is not the whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Error::Unreadable(error.to_string()))?;
            if let Ok(part) = frame.into_data() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }
}

/// A stream of JSON lines.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// Returns the next line as `T`, or nothing at the end.
    ///
    /// # Errors
    ///
    /// When the connection breaks, a line is not `T`, or it tells a problem.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return read_line(&line).map(Some);
            }
            if self.buffer.len() > MAX_ANSWER {
                return Err(Error::Unreadable("a line is too long".to_owned()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(Error::Unreadable(error.to_string())),
                None => return Ok(None),
            }
        }
    }
}

fn read_line<T: DeserializeOwned>(line: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(line).map_err(|error| match serde_json::from_slice(line) {
        Ok(problem) => Error::Refused(problem),
        Err(_) => Error::Unreadable(error.to_string()),
    })
}
