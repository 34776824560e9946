//! Asking the verifiers in turn.

use std::{net::SocketAddr, sync::Arc};

use airside_base::Clock;
use http::{HeaderMap, Method, Uri};

use crate::{AnonymousLoopback, ApiKeys, Caller, Config, ConfigError, Error};

/// What of a request is known before its body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Method of the request.
    pub method: &'a Method,
    /// Target as it was sent.
    pub uri: &'a Uri,
    /// Headers as they were sent.
    pub headers: &'a HeaderMap,
    /// Other end of the connection, as the operating system reports it.
    pub peer: SocketAddr,
}

/// What a verifier says about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The evidence this verifier knows is not there. Another one may look.
    Passed,
    /// The evidence is there and good.
    Claimed(Caller),
    /// The evidence is there and not good. Nobody else is asked.
    Refused(Error),
}

/// Recognises one kind of evidence.
///
/// # Contract
///
/// * Evidence that is present but malformed, unknown, expired or ambiguous is
///   [`Verdict::Refused`], never passed.
/// * The verdict depends on the evidence, on time and on the configuration, not
///   on what a client calls itself.
/// * Answers without IO and in less than a microsecond: it runs for each call.
/// * An error holds no part of a secret.
pub trait Verifier: Send + Sync + std::fmt::Debug {
    /// Judges one request.
    fn verify(&self, head: &Head<'_>) -> Verdict;
}

/// The verifiers of an installation, strongest evidence first.
#[derive(Debug, Clone)]
pub struct Identity {
    verifiers: Arc<[Box<dyn Verifier>]>,
}

impl Identity {
    /// Returns what `config` describes.
    ///
    /// # Errors
    ///
    /// When a name is not accepted, or a name or key is there twice.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        config.check()?;
        let mut verifiers: Vec<Box<dyn Verifier>> = Vec::new();
        // Present even without keys, so that a key sent to an installation that
        // has none is called unknown and does not become an anonymous caller.
        verifiers.push(Box::new(ApiKeys::new(&config.api_key, clock)));
        if config.anonymous_loopback {
            verifiers.push(Box::new(AnonymousLoopback::default()));
        }
        Ok(Self {
            verifiers: verifiers.into(),
        })
    }

    /// Returns who is calling.
    ///
    /// # Errors
    ///
    /// What the first verifier that did not pass found wrong, or
    /// [`Error::Nobody`] if all passed.
    pub fn identify(&self, head: &Head<'_>) -> Result<Caller, Error> {
        for verifier in self.verifiers.iter() {
            match verifier.verify(head) {
                Verdict::Passed => {}
                Verdict::Claimed(caller) => return Ok(caller),
                Verdict::Refused(error) => return Err(error),
            }
        }
        Err(Error::Nobody)
    }
}

#[cfg(test)]
mod tests;
