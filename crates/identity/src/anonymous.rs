//! Anonymous callers on the same machine, for trying things out.
//!
//! # The proxy trap
//!
//! A reverse proxy, tunnel or service mesh on the same machine connects from
//! loopback on behalf of everybody it serves. The peer address then proves
//! nothing. Requests that carry a header which such software adds are therefore
//! refused, and nobody is anonymous who comes from the address of a configured
//! proxy. One that is not configured and adds no header cannot be told from a local
//! client, which is why this verifier is off unless the operator turns it on, and
//! why the default policy gives its callers reading only.
//!
//! A web page in a browser on this machine is a local client too; the listener's
//! checks of `Host` and `Origin` keep it out before identity is asked.

use airside_base::TenantId;
use http::header::AUTHORIZATION;

use crate::{Attestation, Caller, CallerKind, Error, Head, Proxies, Verdict, Verifier};

/// Headers that intermediaries add: RFC 7239, RFC 9110 section 7.6.3, and the
/// usual ones that no standard names.
const PROXY_HEADERS: [&str; 9] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "x-envoy-external-address",
    "cf-connecting-ip",
];

/// Claims requests without credentials whose peer is a loopback address.
#[derive(Debug)]
pub struct AnonymousLoopback {
    proxies: Proxies,
    caller: Caller,
}

impl AnonymousLoopback {
    /// Returns the verifier of a gateway behind `proxies`.
    #[must_use]
    pub fn new(proxies: Proxies) -> Self {
        Self {
            proxies,
            caller: Caller::new(
                CallerKind::Anonymous,
                "loopback",
                TenantId::default(),
                Attestation::None,
                Vec::new(),
            ),
        }
    }

    /// Returns the anonymous caller, if the request is its own.
    ///
    /// # Errors
    ///
    /// When it came through a proxy.
    pub fn judge(&self, head: &Head<'_>) -> Result<Option<Caller>, Error> {
        // A caller that presents credentials wants to be somebody: falling back to
        // nobody would hide that the credentials were not understood.
        if head.headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        // `::ffff:127.0.0.1` is how a dual-stack socket reports an IPv4 peer.
        let peer = head.peer.ip().to_canonical();
        if !peer.is_loopback() || self.proxies.trusts(peer) {
            return Ok(None);
        }
        match PROXY_HEADERS
            .iter()
            .find(|name| head.headers.contains_key(**name))
        {
            Some(header) => Err(Error::Proxied { header }),
            None => Ok(Some(self.caller.clone())),
        }
    }
}

impl Verifier for AnonymousLoopback {
    fn verify(&self, head: &Head<'_>) -> Verdict {
        match self.judge(head) {
            Ok(None) => Verdict::Passed,
            Ok(Some(caller)) => Verdict::Claimed(caller.into()),
            Err(error) => Verdict::Refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ProxyConfig,
        contract::{self, Sample},
    };

    fn check(sample: &Sample, expected: &str) {
        let verdict = sample.judge(&AnonymousLoopback::new(Proxies::default()));
        assert_eq!(contract::render(&verdict), expected);
    }

    #[test]
    fn keeps_the_contract() {
        contract::all(&AnonymousLoopback::new(Proxies::default()), &Sample::new());
    }

    #[test]
    fn loopback_peers_are_claimed() {
        for peer in [
            "127.0.0.1:1",
            "127.8.9.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            check(&Sample::new().peer(peer), "anonymous loopback none");
        }
    }

    #[test]
    fn other_peers_are_passed() {
        for peer in [
            "192.168.1.1:1",
            "[::]:1",
            "0.0.0.0:1",
            "[::ffff:10.0.0.1]:1",
            "[fe80::1]:1",
        ] {
            check(&Sample::new().peer(peer), "passed");
        }
    }

    #[test]
    fn requests_through_a_proxy_are_refused() {
        for name in PROXY_HEADERS {
            check(&Sample::new().header(name, "127.0.0.1"), "ID-005");
        }
    }

    #[test]
    fn nobody_is_anonymous_behind_a_configured_proxy() {
        let config = ProxyConfig {
            addresses: vec!["127.0.0.2".to_owned(), "::1".to_owned()],
            ..ProxyConfig::default()
        };
        let verifier = AnonymousLoopback::new(Proxies::new(&config).unwrap());
        for (peer, expected) in [
            ("127.0.0.2:1", "passed"),
            ("[::ffff:127.0.0.2]:1", "passed"),
            ("[::1]:1", "passed"),
            ("127.0.0.1:1", "anonymous loopback none"),
        ] {
            let verdict = Sample::new().peer(peer).judge(&verifier);
            assert_eq!(contract::render(&verdict), expected, "{peer}");
        }
    }

    #[test]
    fn proxied_requests_from_elsewhere_are_passed() {
        check(
            &Sample::new()
                .peer("10.0.0.1:1")
                .header("forwarded", "for=127.0.0.1"),
            "passed",
        );
    }

    #[test]
    fn credentials_are_never_anonymous() {
        check(
            &Sample::new().header("authorization", "Basic YTpi"),
            "passed",
        );
    }
}
