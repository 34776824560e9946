//! Package URLs (purl specification 1.0).

use std::{collections::BTreeMap, fmt};

use super::{Ecosystem, MAX_TEXT_BYTES, bounded};

/// Returns the package URL of a component (purl specification 1.0).
#[must_use]
pub fn purl(ecosystem: &Ecosystem, name: &str, version: Option<&str>) -> String {
    let (kind, space) = ecosystem.purl_type();
    let mut url = format!("pkg:{kind}/");
    if !space.is_empty() {
        url.push_str(space);
        url.push('/');
    }
    let separator = if *ecosystem == Ecosystem::Maven {
        ':'
    } else {
        '/'
    };
    for (index, part) in name.split(separator).enumerate() {
        if index > 0 {
            url.push('/');
        }
        encode(part, &mut url);
    }
    if let Some(version) = version {
        url.push('@');
        encode(version, &mut url);
    }
    if let Ecosystem::Linux { release, .. } = ecosystem
        && !release.is_empty()
    {
        url.push_str("?distro=");
        if !space.is_empty() {
            url.push_str(space);
            url.push('-');
        }
        encode(release.trim_start_matches('v'), &mut url);
    }
    url
}

fn encode(text: &str, into: &mut String) {
    use fmt::Write as _;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                into.push(byte as char);
            }
            _ => {
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

/// A package URL, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purl {
    /// Who gives the name its meaning.
    pub ecosystem: Ecosystem,
    /// Name with namespace, as advisories write it.
    pub name: String,
    /// The version, where it has one.
    pub version: Option<String>,
}

impl Purl {
    /// Reads a package URL. `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 4 * MAX_TEXT_BYTES {
            return None;
        }
        let rest = text.trim().strip_prefix("pkg:")?.trim_start_matches('/');
        let rest = rest.split_once('#').map_or(rest, |(head, _)| head);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, rest) = rest.split_once('/')?;
        let kind = kind.to_ascii_lowercase();
        let (path, version) = match rest.rsplit_once('@') {
            // `@` of a scope stands at the start of a segment.
            Some((path, version)) if !path.is_empty() && !path.ends_with('/') => {
                (path, Some(decode(version)?))
            }
            _ => (rest, None),
        };
        let qualifiers: BTreeMap<&str, &str> =
            query.split('&').filter_map(|q| q.split_once('=')).collect();
        let parts: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(decode)
            .collect::<Option<_>>()?;
        let (last, space) = parts.split_last()?;
        if last.is_empty() {
            return None;
        }
        let distro = decode(qualifiers.get("distro").copied().unwrap_or_default())?;
        let ecosystem =
            Ecosystem::from_purl_type(&kind, space.first().map_or("", String::as_str), &distro);
        let name = match &ecosystem {
            Ecosystem::Maven => format!("{}:{last}", space.join(".")),
            Ecosystem::Linux { .. } => qualifiers
                .get("upstream")
                .and_then(|source| decode(source))
                .map(|source| source.split('@').next().unwrap_or_default().to_owned())
                .unwrap_or_else(|| last.clone()),
            _ if space.is_empty() => last.clone(),
            _ => format!("{}/{last}", space.join("/")),
        };
        Some(Self {
            name: ecosystem.normal_name(&name),
            ecosystem,
            version: version.map(|v| bounded(&v)),
        })
    }
}

fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let hex = text.get(at + 1..at + 3)?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Component;

    fn check(text: &str, ecosystem: &str, name: &str, version: Option<&str>) {
        let purl = Purl::parse(text).unwrap_or_else(|| panic!("{text} is a package URL"));
        assert_eq!(purl.ecosystem.osv(), ecosystem, "{text}");
        assert_eq!(purl.name, name, "{text}");
        assert_eq!(purl.version.as_deref(), version, "{text}");
    }

    #[test]
    fn package_urls_are_read_as_advisories_write_names() {
        check("pkg:cargo/serde@1.0.0", "crates.io", "serde", Some("1.0.0"));
        check(
            "pkg:npm/%40angular/core@1.0.0",
            "npm",
            "@angular/core",
            Some("1.0.0"),
        );
        check("pkg:npm/@scope/name", "npm", "@scope/name", None);
        check("pkg:pypi/Foo_.Bar@1", "PyPI", "foo-bar", Some("1"));
        check(
            "pkg:maven/org.jline/jline-parent@3.1",
            "Maven",
            "org.jline:jline-parent",
            Some("3.1"),
        );
        check(
            "pkg:golang/github.com/a/b@v1.0.0",
            "Go",
            "github.com/a/b",
            Some("v1.0.0"),
        );
        check(
            "pkg:deb/debian/libssl3@3.0.1-1?arch=amd64&upstream=openssl&distro=debian-12",
            "Debian:12",
            "openssl",
            Some("3.0.1-1"),
        );
        check(
            "pkg:apk/alpine/busybox@1.36.1-r2?distro=alpine-3.19.1",
            "Alpine:v3.19",
            "busybox",
            Some("1.36.1-r2"),
        );
        assert_eq!(Purl::parse("npm/left-pad"), None);
        assert_eq!(Purl::parse("pkg:npm/%zz@1"), None);
        assert_eq!(Purl::parse("pkg:npm/"), None);
    }

    #[test]
    fn package_urls_escape_what_names_contain() {
        let hostile = Component::new(
            Ecosystem::Npm,
            "@a/b\u{1b}[2J\n::set-output",
            Some("1.0 0"),
            "x",
        );
        assert_eq!(
            hostile.purl(),
            "pkg:npm/%40a/b%1B%5B2J%0A::set-output@1.0%200"
        );
        let long = Component::new(Ecosystem::Npm, &"ä".repeat(5000), None, "x");
        assert!(long.name.len() <= MAX_TEXT_BYTES);
    }

    #[test]
    fn written_package_urls_read_back() {
        for (ecosystem, name) in [
            (Ecosystem::Maven, "org.a:b"),
            (Ecosystem::Npm, "@s/n"),
            (Ecosystem::Go, "github.com/a/b/v2"),
            (Ecosystem::of_distribution("debian", "12"), "openssl"),
            (Ecosystem::of_distribution("alpine", "3.19.1"), "musl"),
            (Ecosystem::of_distribution("ubuntu", "24.04"), "openssl"),
            (Ecosystem::of_distribution("opensuse-leap", "15.6"), "curl"),
            (Ecosystem::of_distribution("sles", "15.5"), "curl"),
            (Ecosystem::of_distribution("wolfi", "20230201"), "curl"),
        ] {
            let written = purl(&ecosystem, name, Some("1.2-r0"));
            let read = Purl::parse(&written).expect("our own URL");
            assert_eq!((read.ecosystem, read.name.as_str()), (ecosystem, name));
            assert_eq!(read.version.as_deref(), Some("1.2-r0"));
        }
    }
}
