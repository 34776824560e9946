//! A classifier of the operator's own: a program on this machine that scores texts.
//!
//! # Invariants
//!
//! * It is asked over loopback only, within a time, and only to raise what rules found:
//!   a low score takes nothing back.

use std::{sync::Arc, time::Duration};

use airside_screen::{Group, Rule};
use airside_transport::Http;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    config::{self, WhenUnavailable},
    firewall::ConfigError,
};

/// What a score from the threshold on is recorded as.
pub(crate) static RULE: Rule = Rule {
    id: "instruction.classifier",
    group: Group::Instruction,
    about: "the configured classifier takes it for instructions",
};

/// What an answer without a score is recorded as.
pub(crate) static MISSING: Rule = Rule {
    id: "classifier.unavailable",
    group: Group::Instruction,
    about: "the configured classifier gave no score",
};

/// Largest answer of a classifier, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// The classifier.
#[derive(Debug)]
pub(crate) struct Classifier {
    http: Http,
    threshold: f64,
    patience: Duration,
    when_unavailable: WhenUnavailable,
}

/// What it says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Harmless,
    Instruction,
    /// No score came in time.
    Unknown {
        blocks: bool,
    },
}

#[derive(Debug, Deserialize)]
struct Answer {
    score: f64,
}

#[derive(Debug, thiserror::Error)]
enum Unavailable {
    #[error(transparent)]
    Transport(#[from] airside_transport::Error),
    #[error("it answered with status {0}")]
    Status(http::StatusCode),
    #[error("its answer could not be read")]
    Body(#[source] airside_mcp::BoxError),
    #[error("its answer has no score")]
    Answer(#[from] serde_json::Error),
    #[error("it took too long")]
    Late,
}

impl Classifier {
    pub(crate) fn new(config: &config::Classifier, threads: usize) -> Result<Self, ConfigError> {
        if config.timeout_ms == 0 {
            return Err(ConfigError::Range { key: "timeout-ms" });
        }
        if !(1..=100).contains(&config.threshold_percent) {
            return Err(ConfigError::Range {
                key: "threshold-percent",
            });
        }
        let unusable = || ConfigError::Classifier {
            url: config.url.clone(),
        };
        let loopback = match config.url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if config.url.scheme() != "http" || !loopback {
            return Err(unusable());
        }
        let patience = Duration::from_millis(config.timeout_ms);
        // Without certificates: it is never reached by TLS.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| unusable())?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = Http::new(&config.url, Arc::new(tls), patience, threads);
        Ok(Self {
            http: http.map_err(|_| unusable())?,
            threshold: f64::from(config.threshold_percent) / 100.0,
            patience,
            when_unavailable: config.when_unavailable,
        })
    }

    pub(crate) async fn judge(
        &self,
        server: Option<&str>,
        tool: Option<&str>,
        text: &str,
    ) -> Judgement {
        let question = json!({ "server": server, "tool": tool, "text": text });
        let asked = timeout(self.patience, self.ask(question.to_string()));
        match asked.await.unwrap_or(Err(Unavailable::Late)) {
            Ok(score) if score >= self.threshold => Judgement::Instruction,
            Ok(_) => Judgement::Harmless,
            Err(error) => {
                tracing::warn!(%error, "the classifier gave no score");
                let blocks = self.when_unavailable == WhenUnavailable::Block;
                Judgement::Unknown { blocks }
            }
        }
    }

    async fn ask(&self, question: String) -> Result<f64, Unavailable> {
        let mut request = Request::new(Bytes::from(question));
        *request.method_mut() = Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let response = self.http.send(request).await?;
        if response.status() != http::StatusCode::OK {
            return Err(Unavailable::Status(response.status()));
        }
        let body = airside_mcp::body::collect(response.into_body(), MAX_ANSWER).await;
        let body = body.map_err(|error| Unavailable::Body(error.into()))?;
        Ok(serde_json::from_slice::<Answer>(&body)?.score)
    }
}
