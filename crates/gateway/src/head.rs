//! What can be told from the head of a request, before a byte of its body is read.
//!
//! # Invariants
//!
//! * A page of a foreign site cannot talk to the gateway through a browser: `Host`
//!   has to be a name that was configured, a loopback name where the gateway listens
//!   on loopback, or the very address at which the connection arrived, and `Origin`,
//!   where there is one, an origin of ours (DNS rebinding; MCP, "Security warning"
//!   of Streamable HTTP).
//! * Only fields known to be meant for a server go on. Credentials never do.

use std::{collections::HashSet, net::IpAddr};

use http::{HeaderMap, HeaderName, Method, header, request::Parts, uri::Authority};
use url::Url;

use crate::{config, faults::Rejection};

/// Knows which hosts and origins are ours.
#[derive(Debug)]
pub(crate) struct Gate {
    hosts: HashSet<String>,
    origins: HashSet<String>,
    loopback: bool,
}

/// What a request is for, as its method says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A message of the client.
    Post,
    /// The stream of a session.
    Get,
    /// The end of a session.
    Delete,
}

impl Gate {
    /// Returns the gate that `config` describes.
    pub(crate) fn new(config: &config::Listen) -> Result<Self, config::Error> {
        let origin = |text: &String| match Url::parse(text) {
            Ok(url) if url.origin().is_tuple() && url.path() == "/" => {
                Ok(url.origin().ascii_serialization())
            }
            _ => Err(config::Error::Origin {
                origin: text.clone(),
            }),
        };
        Ok(Self {
            hosts: config
                .allowed_hosts
                .iter()
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            origins: config
                .allowed_origins
                .iter()
                .map(origin)
                .collect::<Result<_, _>>()?,
            loopback: config.address.ip().is_loopback(),
        })
    }

    /// Checks everything that is the same for all endpoints. `local` is the address
    /// at which the connection arrived.
    pub(crate) fn admit(&self, head: &Parts, local: IpAddr) -> Result<Verb, Rejection> {
        self.check_host(head, local)?;
        self.check_origin(&head.headers)?;
        let verb = match head.method {
            Method::POST => Verb::Post,
            Method::GET => Verb::Get,
            Method::DELETE => Verb::Delete,
            _ => return Err(Rejection::Method),
        };
        match verb {
            Verb::Post => {
                check_content_type(&head.headers)?;
                check_accept(&head.headers, &["application/json", "text/event-stream"])?;
            }
            Verb::Get => check_accept(&head.headers, &["text/event-stream"])?,
            Verb::Delete => {}
        }
        Ok(verb)
    }

    /// Checks that a request is meant for this gateway, whoever sent it.
    pub(crate) fn check_host(&self, head: &Parts, local: IpAddr) -> Result<(), Rejection> {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Rejection::HostMissing);
        };
        let host = Authority::try_from(host.as_bytes()).map_err(|_| Rejection::HostMissing)?;
        // In absolute form the target decides what a server sees (RFC 9112, section
        // 3.2.2): both have to be ours.
        let target = head.uri.authority();
        let ours = [Some(&host), target]
            .into_iter()
            .flatten()
            .all(|authority| self.is_ours(authority.host(), local));
        if ours {
            Ok(())
        } else {
            Err(Rejection::HostForeign)
        }
    }

    fn is_ours(&self, host: &str, local: IpAddr) -> bool {
        if self.loopback && is_loopback(host) {
            return true;
        }
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        literal.is_ok_and(|ip| ip == local)
            || self.hosts.contains(host)
            || self.hosts.contains(&host.to_ascii_lowercase())
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        let url = origin
            .to_str()
            .ok()
            .filter(|_| origins.next().is_none())
            .and_then(|text| Url::parse(text).ok())
            .filter(|url| url.origin().is_tuple())
            .ok_or(Rejection::OriginForeign)?;
        let web = matches!(url.scheme(), "http" | "https");
        let loopback = self.loopback && web && url.host_str().is_some_and(is_loopback);
        if loopback || self.origins.contains(&url.origin().ascii_serialization()) {
            return Ok(());
        }
        Err(Rejection::OriginForeign)
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Rejection::ContentType);
    };
    if media(value.as_bytes()).eq_ignore_ascii_case(b"application/json") {
        return Ok(());
    }
    Err(Rejection::ContentType)
}

/// Whether the client takes an event stream for an answer.
pub(crate) fn takes_events(headers: &HeaderMap) -> bool {
    check_accept(headers, &[airside_mcp::body::EVENT_STREAM]).is_ok()
}

/// Demands that one of `offered` is accepted. Without the field everything is
/// (RFC 9110, section 12.5.1).
fn check_accept(headers: &HeaderMap, offered: &[&str]) -> Result<(), Rejection> {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let accepted = values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(media)
        .any(|range| {
            range == b"*/*"
                || offered.iter().any(|offer| {
                    let kind = offer.split_once('/').map_or("", |(kind, _)| kind);
                    range.eq_ignore_ascii_case(offer.as_bytes())
                        || range
                            .strip_suffix(b"/*")
                            .is_some_and(|any| any.eq_ignore_ascii_case(kind.as_bytes()))
                })
        });
    if accepted {
        Ok(())
    } else {
        Err(Rejection::NotAcceptable)
    }
}

/// The media type without its parameters.
fn media(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == b';');
    value[..end.unwrap_or(value.len())].trim_ascii()
}

/// Returns the fields of a request that go on to a server: what describes the
/// message, and everything that MCP defines or a tool asks for (`Mcp-Param-*`),
/// except for the session, which is the gateway's own.
#[must_use]
pub(crate) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(8);
    for (name, value) in headers {
        if is_forwarded(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

fn is_forwarded(name: &HeaderName) -> bool {
    let text = name.as_str();
    text == "content-type"
        || text == "accept"
        || text == "accept-language"
        || text == "last-event-id"
        || text == "traceparent"
        || text == "tracestate"
        || (text.starts_with("mcp-") && text != "mcp-session-id")
}

#[cfg(test)]
mod tests;
