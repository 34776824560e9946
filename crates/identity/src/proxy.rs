//! Proxies in front of the gateway, and what they are believed.
//!
//! # Invariants
//!
//! * Headers by which a proxy speaks for a client count from the configured addresses
//!   only, and of all such headers only the configured one.
//! * The address of a client is the last one that no configured proxy has: what is
//!   before it may have been written by the client itself.
//! * A proxy that shows a certificate of its own is a proxy, not a caller.

use std::net::{IpAddr, SocketAddr};

use airside_base::{Fault, Kind};
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use percent_encoding::percent_decode;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use schemars::JsonSchema;
use serde::Deserialize;
use sfv::{BareItem, Item, List, ListEntry, Parser};

use crate::{
    Head,
    certificate::{Error, MAX_CHAIN, PeerCertificate},
};

/// Largest forwarded certificate or chain, as it is written.
const MAX_HEADER_BYTES: usize = 24 << 10;
/// Most proxies in a row.
const MAX_HOPS: usize = 16;

/// Proxies in front of the gateway. None by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ProxyConfig {
    /// Addresses or networks from which proxies connect, such as `10.0.0.7` or
    /// `10.0.0.0/24`. Nobody else may be able to connect from them.
    pub addresses: Vec<String>,
    /// Header in which they name the client's address. The proxy has to append to it
    /// or to replace it. Without one the client is the other end of the connection.
    pub client_address: Option<AddressHeader>,
    /// Header in which they forward the client's certificate. The proxy has to remove
    /// it from what clients send.
    pub client_certificate: Option<CertificateHeader>,
}

/// How proxies name the address of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddressHeader {
    /// `X-Forwarded-For: client, proxy`.
    XForwardedFor,
    /// `Forwarded: for=client` (RFC 7239).
    Forwarded,
}

/// How proxies forward the certificate of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateHeader {
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    ClientCert,
    /// `X-Forwarded-Client-Cert` of Envoy, with its `Cert` and `Chain`.
    XForwardedClientCert,
}

/// Why the configuration of proxies cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// An address is none.
    #[error("`{text}` is not an address or a network")]
    Address {
        /// The text, escaped.
        text: String,
    },
    /// Everybody would be a proxy.
    #[error("`{network}` holds too many addresses for proxies")]
    Wide {
        /// The network.
        network: IpNet,
    },
    /// Headers are named, and nobody may send them.
    #[error("headers of proxies are named, but no addresses of proxies")]
    Nobody,
}

impl ProxyError {
    /// Returns what the operator may read.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(Kind::Invalid, "ID-068", self.to_string()).with_hint(match self {
            Self::Address { .. } => "write 10.0.0.7, 10.0.0.0/24 or 2001:db8::/64",
            Self::Wide { .. } => {
                "name the addresses of the proxies: at most a /8, or a /32 of IPv6"
            }
            Self::Nobody => "add `addresses` to [identity.proxy]",
        })
    }
}

/// Knows the proxies. Clones are cheap enough for configuration.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    networks: Vec<IpNet>,
    address: Option<AddressHeader>,
    certificate: Option<CertificateHeader>,
}

impl Proxies {
    /// Returns the proxies of `config`.
    ///
    /// # Errors
    ///
    /// When an address is none, or headers are believed of nobody or of everybody.
    pub fn new(config: &ProxyConfig) -> Result<Self, ProxyError> {
        let networks = config
            .addresses
            .iter()
            .map(|text| network(text))
            .collect::<Result<Vec<_>, _>>()?;
        let named = config.client_address.is_some() || config.client_certificate.is_some();
        if named && networks.is_empty() {
            return Err(ProxyError::Nobody);
        }
        let wide = |network: &&IpNet| match network {
            IpNet::V4(network) => network.prefix_len() < 8,
            IpNet::V6(network) => network.prefix_len() < 32,
        };
        if let Some(network) = networks.iter().find(wide) {
            return Err(ProxyError::Wide { network: *network });
        }
        Ok(Self {
            networks,
            address: config.client_address,
            certificate: config.client_certificate,
        })
    }

    /// Returns whether `peer` is one of them.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// Returns whether they forward certificates.
    #[must_use]
    pub const fn forward_certificates(&self) -> bool {
        self.certificate.is_some()
    }

    /// Returns the address of the client; none if the proxies say nothing of it that
    /// could be read.
    #[must_use]
    pub fn client(&self, head: &Head<'_>) -> Option<IpAddr> {
        let peer = head.peer.ip().to_canonical();
        let Some(header) = self.address.filter(|_| self.trusts(peer)) else {
            return Some(peer);
        };
        let name = match header {
            AddressHeader::XForwardedFor => "x-forwarded-for",
            AddressHeader::Forwarded => "forwarded",
        };
        // Fields of one name are one list (RFC 9110, section 5.3), read from its end.
        let fields: Vec<_> = head.headers.get_all(name).iter().collect();
        let mut hops = 0;
        for field in fields.iter().rev() {
            for hop in field.as_bytes().rsplit(|byte| *byte == b',') {
                hops += 1;
                let text = std::str::from_utf8(hop).ok()?.trim();
                let address = match header {
                    AddressHeader::XForwardedFor => node(text)?,
                    AddressHeader::Forwarded => node(forwarded_for(text)?)?,
                };
                if !self.trusts(address) {
                    return Some(address);
                }
                if hops == MAX_HOPS {
                    return None;
                }
            }
        }
        None
    }

    /// Returns the certificate of the client: what its connection shows, or what a proxy
    /// that ends it forwards. That of the proxy itself is nobody's here.
    pub(crate) fn certificate(&self, head: &Head<'_>) -> Result<Option<PeerCertificate>, Error> {
        match self.forwarded_certificate(head)? {
            Some(forwarded) => Ok(Some(forwarded)),
            None if self.trusts(head.peer.ip()) => Ok(None),
            None => Ok(head.certificate.cloned()),
        }
    }

    /// Returns the certificate that a proxy forwards for a client.
    ///
    /// # Errors
    ///
    /// When somebody else does, or it cannot be read.
    pub fn forwarded_certificate(&self, head: &Head<'_>) -> Result<Option<PeerCertificate>, Error> {
        let Some(header) = self.certificate else {
            return Ok(None);
        };
        let name = match header {
            CertificateHeader::ClientCert => "client-cert",
            CertificateHeader::XForwardedClientCert => "x-forwarded-client-cert",
        };
        if !head.headers.contains_key(name) {
            return Ok(None);
        }
        let peer = head.peer.ip();
        if !self.trusts(peer) {
            return Err(Error::Stranger { peer });
        }
        let field = only(head.headers, name)?;
        let chain = match header {
            CertificateHeader::ClientCert => client_cert(field, head.headers)?,
            CertificateHeader::XForwardedClientCert => envoy(field)?,
        };
        let shown = PeerCertificate::new(chain);
        shown
            .map(Some)
            .ok_or(Error::Forwarded("the chain is too long"))
    }
}

fn network(text: &str) -> Result<IpNet, ProxyError> {
    parse_network(text).ok_or_else(|| ProxyError::Address {
        text: text.escape_debug().take(60).collect(),
    })
}

/// Reads an address or a network. Bits behind the prefix are ignored.
pub(crate) fn parse_network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => text.parse::<IpAddr>().ok()?.into(),
    };
    Some(network.trunc())
}

/// Reads an address with or without port, as proxies write it: `192.0.2.1`,
/// `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// Returns the value of `for` in an element of `Forwarded`. Quoted texts with a comma
/// in them were split before: those are no addresses.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut found = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then_some(value.trim())
    });
    let (value, None) = (found.next()?, found.next()) else {
        return None;
    };
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"'),
        None => Some(value),
    }
}

/// Returns the only field of this name. Which of two counts would depend on who reads.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a [u8], Error> {
    let mut fields = headers
        .get_all(
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::Forwarded("no such header"))?,
        )
        .iter();
    match (fields.next(), fields.next()) {
        (Some(field), None) if field.len() <= MAX_HEADER_BYTES => Ok(field.as_bytes()),
        (Some(_), None) => Err(Error::Forwarded("the header is too long")),
        _ => Err(Error::Forwarded("the header is there more than once")),
    }
}

/// RFC 9440: one byte sequence, and a list of them for the chain.
fn client_cert(field: &[u8], headers: &HeaderMap) -> Result<Vec<CertificateDer<'static>>, Error> {
    let item: Item = Parser::new(field)
        .parse()
        .map_err(|_| Error::Forwarded("Client-Cert is no structured field"))?;
    let mut chain = vec![bytes(item.bare_item)?];
    if headers.contains_key("client-cert-chain") {
        let field = only(headers, "client-cert-chain")?;
        let list: List = Parser::new(field)
            .parse()
            .map_err(|_| Error::Forwarded("Client-Cert-Chain is no structured field"))?;
        if list.len() >= MAX_CHAIN {
            return Err(Error::Forwarded("the chain is too long"));
        }
        for entry in list {
            let ListEntry::Item(item) = entry else {
                return Err(Error::Forwarded("the chain holds something else"));
            };
            chain.push(bytes(item.bare_item)?);
        }
    }
    Ok(chain)
}

fn bytes(item: BareItem) -> Result<CertificateDer<'static>, Error> {
    match item {
        BareItem::ByteSequence(bytes) => Ok(bytes.into()),
        _ => Err(Error::Forwarded("a certificate is a byte sequence")),
    }
}

/// Envoy: one element with `Cert`, and `Chain` where the proxy sends it, both PEM in
/// percent-encoding. What the proxy says of subject and names is not read: the
/// certificate says it.
fn envoy(field: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text =
        std::str::from_utf8(field).map_err(|_| Error::Forwarded("the header is not text"))?;
    let (mut cert, mut chain) = (None, None);
    for pair in pairs(text)? {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Error::Forwarded("an element of the header has no value"));
        };
        let place = match key.trim() {
            key if key.eq_ignore_ascii_case("cert") => &mut cert,
            key if key.eq_ignore_ascii_case("chain") => &mut chain,
            _ => continue,
        };
        if place.replace(value.trim_matches('"')).is_some() {
            return Err(Error::Forwarded("a key of the header is there twice"));
        }
    }
    // The chain begins with the certificate.
    match (chain, cert) {
        (Some(chain), cert) => {
            let chain = pem(chain)?;
            match cert.map(pem).transpose()? {
                Some(cert) if cert.first() != chain.first() => {
                    Err(Error::Forwarded("Cert and Chain disagree"))
                }
                _ => Ok(chain),
            }
        }
        (None, Some(cert)) => pem(cert),
        (None, None) => Err(Error::Forwarded(
            "the proxy has to forward the certificate itself (`cert: true`)",
        )),
    }
}

/// Splits one element into its pairs. A comma begins another element, which somebody
/// else wrote.
fn pairs(text: &str) -> Result<Vec<&str>, Error> {
    let (mut pairs, mut from, mut quoted) = (Vec::new(), 0, false);
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                return Err(Error::Forwarded("several proxies have added to the header"));
            }
            b';' if !quoted => {
                pairs.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    pairs.push(&text[from..]);
    Ok(pairs)
}

fn pem(value: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text: Vec<u8> = percent_decode(value.as_bytes()).collect();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text)
        .take(MAX_CHAIN + 1)
        .collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(Error::Forwarded("the certificate is not PEM")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Sample;

    fn proxies(header: AddressHeader) -> Proxies {
        Proxies::new(&ProxyConfig {
            addresses: vec!["10.0.0.0/24".into(), "2001:db8::7".into()],
            client_address: Some(header),
            client_certificate: None,
        })
        .unwrap()
    }

    fn check(header: AddressHeader, peer: &str, fields: &[&str], expected: Option<&str>) {
        let name = match header {
            AddressHeader::XForwardedFor => "x-forwarded-for",
            AddressHeader::Forwarded => "forwarded",
        };
        let mut sample = Sample::new().peer(peer);
        for field in fields {
            sample = sample.header(name, field);
        }
        let found = sample.with(|head| proxies(header).client(head));
        assert_eq!(
            found,
            expected.map(|text| text.parse().unwrap()),
            "{fields:?}"
        );
    }

    #[test]
    fn strangers_name_nobody_else() {
        use AddressHeader::XForwardedFor as X;
        check(X, "192.0.2.9:1", &["198.51.100.1"], Some("192.0.2.9"));
        check(
            X,
            "[::ffff:192.0.2.9]:1",
            &["198.51.100.1"],
            Some("192.0.2.9"),
        );
    }

    #[test]
    fn last_address_that_is_no_proxy_is_the_client() {
        use AddressHeader::{Forwarded, XForwardedFor as X};
        check(X, "10.0.0.1:1", &["198.51.100.1"], Some("198.51.100.1"));
        check(
            X,
            "[::ffff:10.0.0.1]:1",
            &["198.51.100.1:443"],
            Some("198.51.100.1"),
        );
        check(
            X,
            "10.0.0.1:1",
            &["127.0.0.1, 198.51.100.1, 10.0.0.2"],
            Some("198.51.100.1"),
        );
        check(
            X,
            "10.0.0.1:1",
            &["198.51.100.1", "10.0.0.2"],
            Some("198.51.100.1"),
        );
        check(
            Forwarded,
            "[2001:db8::7]:1",
            &["for=192.0.2.1, for=\"[2001:db8::9]:80\";proto=https"],
            Some("2001:db8::9"),
        );
    }

    #[test]
    fn what_cannot_be_read_names_nobody() {
        use AddressHeader::{Forwarded, XForwardedFor as X};
        for fields in [
            &[][..],
            &[""],
            &["unknown"],
            &["198.51.100.1, x"],
            &["10.0.0.2"],
        ] {
            check(X, "10.0.0.1:1", fields, None);
        }
        for fields in [
            &["for=_hidden"][..],
            &["by=192.0.2.1"],
            &["for=192.0.2.1;for=192.0.2.2"],
            &["192.0.2.1"],
        ] {
            check(Forwarded, "10.0.0.1:1", fields, None);
        }
    }

    #[test]
    fn proxies_are_named_and_few() {
        let refused = |addresses: &[&str], client_address| {
            Proxies::new(&ProxyConfig {
                addresses: addresses.iter().map(ToString::to_string).collect(),
                client_address,
                client_certificate: None,
            })
            .is_err()
        };
        assert!(!refused(
            &["10.0.0.0/8", "::1"],
            Some(AddressHeader::Forwarded)
        ));
        assert!(!refused(&[], None));
        assert!(refused(&[], Some(AddressHeader::Forwarded)));
        assert!(refused(&["0.0.0.0/0"], None));
        assert!(refused(&["::/0"], None));
        assert!(refused(&["proxy.example"], None));
    }
}
