//! What every [`Verifier`] must do, run against each of them.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::{Head, PeerCertificate, Verdict, Verifier};

/// A request head that tests build.
#[derive(Clone)]
pub(crate) struct Sample {
    headers: HeaderMap,
    peer: SocketAddr,
    certificate: Option<PeerCertificate>,
}

impl Sample {
    /// A request from this machine without credentials.
    pub(crate) fn new() -> Self {
        Self {
            headers: HeaderMap::new(),
            peer: "127.0.0.1:50000".parse().unwrap(),
            certificate: None,
        }
    }

    pub(crate) fn certificate(mut self, shown: PeerCertificate) -> Self {
        self.certificate = Some(shown);
        self
    }

    pub(crate) fn peer(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.header_bytes(name, value.as_bytes())
    }

    pub(crate) fn header_bytes(mut self, name: &str, value: &[u8]) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .append(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&Head<'_>) -> T) -> T {
        look(&Head {
            method: &Method::POST,
            uri: &Uri::from_static("/mcp?key=airside_in_the_query"),
            headers: &self.headers,
            peer: self.peer,
            certificate: self.certificate.as_ref(),
            secure: self.certificate.is_some(),
        })
    }

    pub(crate) fn judge(&self, verifier: &dyn Verifier) -> Verdict {
        self.with(|head| verifier.verify(head))
    }
}

/// Returns a verdict as one line: kind, id and attestation, or the code of the fault.
pub(crate) fn render(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed => "passed".to_owned(),
        Verdict::Claimed(claim) => {
            let caller = claim.caller();
            format!(
                "{} {} {}",
                caller.kind().as_str(),
                caller.id(),
                caller.attestation().as_str()
            )
        }
        Verdict::Refused(error) => error.fault().code().to_owned(),
        Verdict::Asking(_) => "asking".to_owned(),
    }
}

/// Runs the whole contract. `good` is a request that `verifier` claims.
pub(crate) fn all(verifier: &dyn Verifier, good: &Sample) {
    claims_what_it_is_responsible_for(verifier, good);
    labels_are_not_identity(verifier, good);
    ambiguous_credentials_are_never_claimed(verifier, good);
    a_key_in_the_query_is_not_evidence(verifier);
    hostile_credentials_are_never_claimed(verifier, good);
}

/// Runs what holds for verifiers that leave `Authorization` alone.
pub(crate) fn channel(verifier: &dyn Verifier, good: &Sample) {
    claims_what_it_is_responsible_for(verifier, good);
    labels_are_not_identity(verifier, good);
    a_key_in_the_query_is_not_evidence(verifier);
    let with_key = good.clone().header("authorization", "Bearer other");
    assert_eq!(
        render(&with_key.judge(verifier)),
        render(&good.judge(verifier))
    );
}

fn claims_what_it_is_responsible_for(verifier: &dyn Verifier, good: &Sample) {
    let verdict = good.judge(verifier);
    assert!(matches!(verdict, Verdict::Claimed(_)), "{verdict:?}");
    assert_eq!(
        render(&good.judge(verifier)),
        render(&verdict),
        "the same head, the same verdict"
    );
}

fn labels_are_not_identity(verifier: &dyn Verifier, good: &Sample) {
    let labelled = good
        .clone()
        .header("user-agent", "openai-mcp/1.0")
        .header("from", "root@example");
    assert_eq!(
        render(&labelled.judge(verifier)),
        render(&good.judge(verifier))
    );
}

fn ambiguous_credentials_are_never_claimed(verifier: &dyn Verifier, good: &Sample) {
    let second = good
        .clone()
        .header("authorization", "Bearer other")
        .header("authorization", "Bearer another");
    let verdict = second.judge(verifier);
    assert!(!matches!(verdict, Verdict::Claimed(_)), "{verdict:?}");
}

fn a_key_in_the_query_is_not_evidence(verifier: &dyn Verifier) {
    let verdict = Sample::new().peer("192.0.2.1:1").judge(verifier);
    assert!(matches!(verdict, Verdict::Passed), "{verdict:?}");
}

fn hostile_credentials_are_never_claimed(verifier: &dyn Verifier, good: &Sample) {
    for hostile in [
        &b"Bearer"[..],
        b"",
        b"Bearer ",
        b"Bearer airside_",
        b"Bearer \xff\xfe",
        b"Bearer airside_\xff",
        &[b'a'; 60_000],
    ] {
        let mut sample = good.clone();
        sample.headers.remove("authorization");
        let verdict = sample
            .header_bytes("authorization", hostile)
            .judge(verifier);
        assert!(!matches!(verdict, Verdict::Claimed(_)), "{verdict:?}");
    }
}
