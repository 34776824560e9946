//! Port to documents elsewhere: keys of issuers, key directories, address lists.
//!
//! # Invariants
//!
//! * Where a request may go is decided by what the operator configured ([`Reach`]),
//!   not by a document that was fetched: an issuer on the internet cannot point into
//!   the private network, and nobody can point at the metadata service of a cloud.
//! * Every request is bounded in time and size, and no redirect is followed.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use airside_base::{BoxFuture, Redacted};
use bytes::Bytes;
use http::HeaderMap;
use url::{Host, Url};

/// How far requests may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Public addresses, by https.
    Public,
    /// Also private addresses, by https.
    Internal,
    /// Loopback addresses only, also by http.
    Loopback,
}

impl Reach {
    /// Returns how far requests on behalf of the configured `url` may go. `internal`
    /// is the operator's word that it is in a private network.
    #[must_use]
    pub fn of(url: &Url, internal: bool) -> Self {
        match (is_loopback(url), internal) {
            (true, _) => Self::Loopback,
            (false, true) => Self::Internal,
            (false, false) => Self::Public,
        }
    }

    /// Checks what can be told of `url` without resolving its host.
    ///
    /// # Errors
    ///
    /// [`FetchError::Url`] when the scheme or a part of it is not accepted, and
    /// [`FetchError::Address`] when its host is an address out of reach.
    pub fn check(self, url: &Url) -> Result<(), FetchError> {
        let refused = |why| FetchError::Url { why };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(refused("it has a user, a password or a fragment"));
        }
        match (url.scheme(), self) {
            ("https", _) => {}
            ("http", Self::Loopback) if is_loopback(url) => {}
            _ => return Err(refused("it does not use https")),
        }
        let address = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return Err(refused("it has no host")),
        };
        match address {
            Some(address) if !self.permits(address) => Err(FetchError::Address { address }),
            _ => Ok(()),
        }
    }

    /// Returns whether requests may go to `address`.
    #[must_use]
    pub fn permits(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Loopback => address.is_loopback(),
            Self::Public => is_public(address),
            Self::Internal => is_public(address) || is_private(address),
        }
    }
}

/// Returns whether the host of `url` is this machine, by address or as `localhost`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Addresses for use within an organisation (RFC 1918, RFC 6598, RFC 4193), without
/// those where clouds keep their metadata services.
fn is_private(address: IpAddr) -> bool {
    const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(ip) => (ip.is_private() || is_carrier_grade(ip)) && ip != METADATA_V4,
        IpAddr::V6(ip) => ip.segments()[0] & 0xfe00 == 0xfc00 && ip != METADATA_V6,
    }
}

fn is_carrier_grade(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0xc0 == 64
}

/// Addresses that the IANA registries of special addresses call globally reachable.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [first, second, third, _] = ip.octets();
            !(first == 0
                || ip.is_private()
                || is_carrier_grade(ip)
                || ip.is_loopback()
                || ip.is_link_local()
                || (first, second, third) == (192, 0, 0)
                || ip.is_documentation()
                || (first, second, third) == (192, 88, 99)
                || (first == 198 && second & 0xfe == 18)
                || first >= 224)
        }
        IpAddr::V6(ip) => {
            let parts = ip.segments();
            // 2000::/3 without protocol assignments (2001::/23, Teredo among them),
            // documentation (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16), which
            // hide an IPv4 address.
            parts[0] & 0xe000 == 0x2000
                && !(parts[0] == 0x2001 && parts[1] < 0x200)
                && !(parts[0] == 0x2001 && parts[1] == 0xdb8)
                && parts[0] != 0x2002
                && !(parts[0] == 0x3fff && parts[1] < 0x1000)
        }
    }
}

/// One request.
pub struct FetchRequest {
    /// Where to.
    pub url: Url,
    /// How far it may go.
    pub reach: Reach,
    /// Media types for `Accept`.
    pub accept: &'static str,
    /// Sent by POST as `application/x-www-form-urlencoded`; without it, GET.
    pub form: Option<Redacted<String>>,
    /// Value of `Authorization`.
    pub authorization: Option<Redacted<String>>,
    /// Largest body of an answer, in bytes.
    pub max_bytes: usize,
    /// Longest time from the name's resolution to the last byte.
    pub timeout: Duration,
}

impl FetchRequest {
    /// Returns a GET of JSON within 256 KiB and 5 seconds.
    #[must_use]
    pub const fn get(url: Url, reach: Reach) -> Self {
        Self {
            url,
            reach,
            accept: "application/json",
            form: None,
            authorization: None,
            max_bytes: 256 << 10,
            timeout: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchRequest")
            .field("url", &self.url.as_str())
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

/// A successful answer (2xx).
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Fields of the answer.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Fetched {
    /// Returns how long the answer may be kept (`Cache-Control: max-age`), if it says.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        let fields = self.headers.get_all(http::header::CACHE_CONTROL);
        let mut directives = fields
            .iter()
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(','))
            .map(str::trim);
        let seconds = directives.find_map(|directive| {
            let (name, value) = directive.split_once('=')?;
            name.trim().eq_ignore_ascii_case("max-age").then_some(value)
        })?;
        let seconds = seconds.trim().trim_matches('"').parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// Why nothing was fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one that is fetched.
    #[error("the URL is refused: {why}")]
    Url {
        /// Why.
        why: &'static str,
    },
    /// The host is, or resolves to, an address out of reach.
    #[error("the address {address} is out of reach for this URL")]
    Address {
        /// The address.
        address: IpAddr,
    },
    /// No connection was made.
    #[error("no connection: {why}")]
    Connect {
        /// Why.
        why: String,
    },
    /// The exchange broke off.
    #[error("the exchange broke off: {why}")]
    Broken {
        /// Why.
        why: String,
    },
    /// It took too long.
    #[error("no whole answer within {limit_ms} ms")]
    Timeout {
        /// The limit.
        limit_ms: u64,
    },
    /// The answer is larger than accepted.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The answer is not a success. Redirects are not followed.
    #[error("the answer has status {status}")]
    Status {
        /// The status.
        status: u16,
    },
}

/// Fetches documents.
///
/// # Contract
///
/// * [`Reach::check`] is asked first, and [`Reach::permits`] for every address that
///   the host resolves to; the connection goes to one of these very addresses.
/// * The limits of the request hold for the whole exchange. No redirect is followed,
///   no cookie kept, nothing sent twice.
pub trait Fetch: Send + Sync + fmt::Debug {
    /// Sends `request` and returns its answer.
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<Fetched, FetchError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: Reach, url: &str, accepted: bool) {
        let found = reach.check(&url.parse().unwrap());
        assert_eq!(found.is_ok(), accepted, "{reach:?} {url} {found:?}");
    }

    #[test]
    fn public_reach_is_https_to_public_addresses() {
        for url in [
            "https://idp.example/keys",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            check(Reach::Public, url, true);
            check(Reach::Internal, url, true);
        }
        for url in [
            "http://idp.example/keys",
            "ftp://idp.example/",
            "https://user@idp.example/",
            "https://idp.example/#x",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://0.0.0.0/",
            "https://169.254.169.254/latest",
            "https://[fe80::1]/",
            "https://[fd00:ec2::254]/",
            "https://100.100.100.200/",
            "https://192.0.0.192/",
            "https://192.0.2.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001:0:7f00:1::]/",
            "https://[ff02::1]/",
            "https://[::]/",
            // The parser reads these as addresses, as connecting would.
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            check(Reach::Public, url, false);
            check(Reach::Internal, url, false);
        }
    }

    #[test]
    fn internal_reach_adds_private_addresses() {
        for url in [
            "https://10.1.2.3/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://[fd12::1]/",
            "https://[::ffff:10.0.0.1]/",
        ] {
            check(Reach::Public, url, false);
            check(Reach::Internal, url, true);
        }
        check(Reach::Internal, "http://10.1.2.3/", false);
    }

    #[test]
    fn loopback_reach_is_this_machine_only() {
        for url in [
            "http://127.0.0.1:1/",
            "http://localhost:1/",
            "http://[::1]:1/",
            "https://localhost/",
        ] {
            check(Reach::Loopback, url, true);
        }
        check(Reach::Loopback, "http://idp.example/", false);
        check(Reach::Loopback, "https://10.0.0.1/", false);
        let of = |url: &str, internal| Reach::of(&url.parse().unwrap(), internal);
        assert_eq!(of("http://localhost:1/", true), Reach::Loopback);
        assert_eq!(of("https://idp.example/", true), Reach::Internal);
        assert_eq!(of("https://idp.example/", false), Reach::Public);
    }

    #[test]
    fn age_is_read_from_cache_control() {
        let check = |value: &'static str, expected| {
            let mut headers = HeaderMap::new();
            let value = http::HeaderValue::from_static(value);
            headers.insert(http::header::CACHE_CONTROL, value);
            let body = Bytes::new();
            let found = Fetched { headers, body }.max_age();
            assert_eq!(found.map(|age| age.as_secs()), expected);
        };
        check("public, max-age=300", Some(300));
        check("Max-Age=\"60\"", Some(60));
        check("no-store", None);
        check("max-age=x", None);
    }
}
