//! Components: what a project, an image or a server is made of, and where that is written.
//!
//! # Invariants
//!
//! * Names and versions are text of strangers. They are bounded here and escaped
//!   where they are shown; nothing in this crate executes or expands them.
//! * What could not be read is a [`Gap`], never left out in silence.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

/// Longest name, version or place that is kept, in bytes. Registries allow 214 (npm)
/// and 255; module paths and file names are longer.
pub const MAX_TEXT_BYTES: usize = 1024;
/// Most components of one inventory.
pub const MAX_COMPONENTS: usize = 1_000_000;
/// Most gaps that are told one by one.
pub const MAX_GAPS: usize = 1000;

/// Who gives the name its meaning. The same name elsewhere is another component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Ecosystem {
    /// Crates of Rust.
    Cargo,
    /// Packages of JavaScript.
    Npm,
    /// Packages of Python.
    PyPi,
    /// Modules of Go.
    Go,
    /// Artifacts of Java, `group:artifact`.
    Maven,
    /// Gems of Ruby.
    RubyGems,
    /// Packages of .NET.
    NuGet,
    /// Packages of PHP.
    Packagist,
    /// Packages of a Linux distribution, named by source package.
    Linux {
        /// As OSV writes it: `Debian`, `Ubuntu`, `Alpine`, `Red Hat`, ….
        distribution: String,
        /// Its release: `12`, `v3.20`, …; empty where it is not known.
        release: String,
    },
    /// Container images.
    Oci,
    /// Anything else, by its OSV name or package URL type.
    Other(String),
}

/// Distributions by their `ID` of os-release, with the name OSV gives them and the
/// type and namespace of their package URLs.
const DISTRIBUTIONS: [(&str, &str, &str); 14] = [
    ("debian", "Debian", "deb"),
    ("ubuntu", "Ubuntu", "deb"),
    ("alpine", "Alpine", "apk"),
    ("wolfi", "Wolfi", "apk"),
    ("chainguard", "Chainguard", "apk"),
    ("rhel", "Red Hat", "rpm"),
    ("rocky", "Rocky Linux", "rpm"),
    ("almalinux", "AlmaLinux", "rpm"),
    ("opensuse", "openSUSE", "rpm"),
    ("sles", "SUSE", "rpm"),
    ("photon", "Photon OS", "rpm"),
    ("mageia", "Mageia", "rpm"),
    ("azurelinux", "Azure Linux", "rpm"),
    ("fedora", "Fedora", "rpm"),
];

impl Ecosystem {
    /// Reads the name that OSV uses.
    #[must_use]
    pub fn from_osv(name: &str) -> Self {
        match name {
            "crates.io" => Self::Cargo,
            "npm" => Self::Npm,
            "PyPI" => Self::PyPi,
            "Go" => Self::Go,
            "Maven" => Self::Maven,
            "RubyGems" => Self::RubyGems,
            "NuGet" => Self::NuGet,
            "Packagist" => Self::Packagist,
            "OCI" => Self::Oci,
            _ => {
                let (base, release) = name.split_once(':').unwrap_or((name, ""));
                match DISTRIBUTIONS.iter().find(|(_, osv, _)| *osv == base) {
                    Some(_) => Self::linux(base, release),
                    None => Self::Other(bounded(name)),
                }
            }
        }
    }

    /// Returns the ecosystem of a distribution with the `ID` and the `VERSION_ID` of
    /// its os-release.
    #[must_use]
    pub fn of_distribution(id: &str, version: &str) -> Self {
        // openSUSE has an `ID` for each of its sorts.
        let id = if id.starts_with("opensuse") {
            "opensuse"
        } else {
            id
        };
        let release = release(id, version);
        match DISTRIBUTIONS.iter().find(|(known, _, _)| *known == id) {
            Some((_, name, _)) => Self::linux(name, &release),
            None if release.is_empty() => Self::Other(bounded(id)),
            None => Self::Other(bounded(&format!("{id}:{release}"))),
        }
    }

    fn linux(distribution: &str, release: &str) -> Self {
        Self::Linux {
            distribution: bounded(distribution),
            release: bounded(release),
        }
    }

    /// Returns the ecosystem of packages with the package URL type `kind`.
    #[must_use]
    pub fn from_purl_type(kind: &str, namespace: &str, distro: &str) -> Self {
        match kind {
            "cargo" => Self::Cargo,
            "npm" => Self::Npm,
            "pypi" => Self::PyPi,
            "golang" => Self::Go,
            "maven" => Self::Maven,
            "gem" => Self::RubyGems,
            "nuget" => Self::NuGet,
            "composer" => Self::Packagist,
            "oci" | "docker" => Self::Oci,
            "deb" | "apk" | "rpm" => {
                let id = match namespace {
                    "redhat" => "rhel",
                    "rocky-linux" => "rocky",
                    other => other,
                };
                let release = distro.strip_prefix(id).unwrap_or(distro);
                Self::of_distribution(id, release.trim_start_matches('-'))
            }
            other => Self::Other(bounded(other)),
        }
    }

    /// Returns the name that OSV uses.
    #[must_use]
    pub fn osv(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Cargo => "crates.io",
            Self::Npm => "npm",
            Self::PyPi => "PyPI",
            Self::Go => "Go",
            Self::Maven => "Maven",
            Self::RubyGems => "RubyGems",
            Self::NuGet => "NuGet",
            Self::Packagist => "Packagist",
            Self::Oci => "OCI",
            Self::Linux {
                distribution,
                release,
            } if release.is_empty() => distribution,
            Self::Linux {
                distribution,
                release,
            } => return Cow::Owned(format!("{distribution}:{release}")),
            Self::Other(name) => name,
        })
    }

    /// Returns the type and, for distributions, the namespace of a package URL.
    fn purl_type(&self) -> (&str, &str) {
        match self {
            Self::Cargo => ("cargo", ""),
            Self::Npm => ("npm", ""),
            Self::PyPi => ("pypi", ""),
            Self::Go => ("golang", ""),
            Self::Maven => ("maven", ""),
            Self::RubyGems => ("gem", ""),
            Self::NuGet => ("nuget", ""),
            Self::Packagist => ("composer", ""),
            Self::Oci => ("oci", ""),
            Self::Linux { distribution, .. } => DISTRIBUTIONS
                .iter()
                .find(|(_, osv, _)| osv == distribution)
                .map_or(("generic", ""), |(id, _, kind)| (kind, id)),
            Self::Other(_) => ("generic", ""),
        }
    }

    /// Returns `name` as advisories of this ecosystem write it.
    #[must_use]
    pub fn normal_name(&self, name: &str) -> String {
        let name = bounded(name);
        match self {
            // PEP 503: runs of `-`, `_` and `.` are one `-`, and case does not count.
            Self::PyPi => {
                let mut normal = String::with_capacity(name.len());
                for c in name.chars() {
                    match c {
                        '-' | '_' | '.' if normal.ends_with('-') => {}
                        '-' | '_' | '.' => normal.push('-'),
                        c => normal.extend(c.to_lowercase()),
                    }
                }
                normal
            }
            Self::NuGet | Self::Packagist => name.to_lowercase(),
            _ => name,
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.osv())
    }
}

impl From<Ecosystem> for String {
    fn from(ecosystem: Ecosystem) -> Self {
        ecosystem.osv().into_owned()
    }
}

impl From<String> for Ecosystem {
    fn from(name: String) -> Self {
        Self::from_osv(&name)
    }
}

/// Returns the release of a distribution as OSV writes it, given that or the
/// `VERSION_ID` of its os-release.
fn release(id: &str, version: &str) -> String {
    let (major, rest) = version.split_once('.').unwrap_or((version, ""));
    match id {
        // One stream of packages, whatever the day of the image.
        "wolfi" | "chainguard" => String::new(),
        "alpine" if !rest.is_empty() && !version.starts_with('v') => {
            let minor = rest.split(['.', '_']).next().unwrap_or_default();
            format!("v{major}.{minor}")
        }
        "debian" | "almalinux" | "rocky" | "azurelinux" => major.to_owned(),
        "ubuntu" if rest == "04" && major.parse().is_ok_and(|year: u32| year.is_multiple_of(2)) => {
            format!("{version}:LTS")
        }
        "opensuse" if version.starts_with(|c: char| c.is_ascii_digit()) => {
            if rest.is_empty() {
                // A day: Tumbleweed has no releases.
                "Tumbleweed".to_owned()
            } else {
                format!("Leap {version}")
            }
        }
        "sles" if version.starts_with(|c: char| c.is_ascii_digit()) => match rest {
            "" => format!("Linux Enterprise Server {major}"),
            pack => format!("Linux Enterprise Server {major} SP{pack}"),
        },
        _ => version.to_owned(),
    }
}

/// How a project came to use a component.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The project names it.
    Direct,
    /// Another component names it.
    Transitive,
    /// Only needed to build or test.
    Development,
    /// The source does not say.
    #[default]
    Unstated,
}

/// Where the code of a component comes from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The registry that advisories of its ecosystem speak of.
    #[default]
    Registry,
    /// Another registry, where the name may mean something else.
    OtherRegistry,
    /// A revision in a repository; its version says little about its content.
    Repository,
    /// A file or folder beside the project.
    Local,
}

/// A component and the place that names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Component {
    /// Who gives the name its meaning.
    pub ecosystem: Ecosystem,
    /// Its name as advisories write it; for distributions that of the source package.
    pub name: String,
    /// Its exact version, absent where the place does not pin one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How the project came to use it.
    #[serde(default)]
    pub scope: Scope,
    /// Where its code comes from.
    #[serde(default)]
    pub origin: Origin,
    /// What names it: file, path inside an image, entry.
    pub place: String,
    /// Versions that the components above it accept, as they write them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
}

impl Component {
    /// Returns a component, its texts bounded and its name as advisories write it.
    #[must_use]
    pub fn new(ecosystem: Ecosystem, name: &str, version: Option<&str>, place: &str) -> Self {
        Self {
            name: ecosystem.normal_name(name),
            ecosystem,
            version: version.map(bounded),
            scope: Scope::Unstated,
            origin: Origin::Registry,
            place: bounded(place),
            accepted: Vec::new(),
        }
    }

    /// Says how the project came to use it.
    #[must_use]
    pub fn scoped(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Says where its code comes from.
    #[must_use]
    pub fn from_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Returns its package URL.
    #[must_use]
    pub fn purl(&self) -> String {
        purl(&self.ecosystem, &self.name, self.version.as_deref())
    }

    /// Returns what tells it apart: ecosystem, name and version.
    #[must_use]
    pub fn identity(&self) -> (&Ecosystem, &str, Option<&str>) {
        (&self.ecosystem, &self.name, self.version.as_deref())
    }
}

/// Counts components, those that several places name once.
#[must_use]
pub fn distinct(components: &[Component]) -> usize {
    let all: BTreeSet<_> = components.iter().map(Component::identity).collect();
    all.len()
}

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

/// Something that was there and could not be taken into the inventory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// File, path inside an image, or entry.
    pub place: String,
    /// Why, for people.
    pub reason: String,
}

/// The components of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// What the components make up: the root of a lock file or an SBOM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The components.
    pub components: Vec<Component>,
    /// Packages of the project itself, which no registry and no advisory knows.
    #[serde(default)]
    pub own: Vec<String>,
    /// What could not be taken in.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// What was read.
    #[serde(default)]
    pub read: Vec<String>,
}

impl Inventory {
    /// Adds a component; past the limit a gap. What lies beside the project is its own.
    pub fn add(&mut self, component: Component) {
        if component.origin == Origin::Local {
            self.own.push(component.name);
            return;
        }
        if self.components.len() < MAX_COMPONENTS {
            self.components.push(component);
        } else if self.components.len() == MAX_COMPONENTS {
            let place = component.place;
            self.gap(&place, format!("more than {MAX_COMPONENTS} components"));
        }
    }

    /// Notes that something could not be taken in.
    pub fn gap(&mut self, place: &str, reason: impl Into<String>) {
        if self.gaps.len() < MAX_GAPS {
            let reason = bounded(&reason.into());
            self.gaps.push(Gap {
                place: bounded(place),
                reason,
            });
        }
    }

    /// Takes another inventory in.
    pub fn merge(&mut self, other: Self) {
        for component in other.components {
            self.add(component);
        }
        for gap in other.gaps {
            self.gap(&gap.place, gap.reason);
        }
        self.own.extend(other.own);
        self.read.extend(other.read);
        self.product = self.product.take().or(other.product);
    }

    /// Sorts the components and leaves one of each identity and place.
    pub fn settle(&mut self) {
        self.components.sort();
        self.components
            .dedup_by(|a, b| a.identity() == b.identity() && a.place == b.place);
        self.own.sort();
        self.own.dedup();
        self.gaps.sort();
        self.gaps.dedup();
    }
}

/// Cuts `text` to [`MAX_TEXT_BYTES`], at a character.
#[must_use]
pub fn bounded(text: &str) -> String {
    if text.len() <= MAX_TEXT_BYTES {
        return text.to_owned();
    }
    let mut end = MAX_TEXT_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn distributions_are_named_as_osv_does() {
        for (id, version, name) in [
            ("debian", "12", "Debian:12"),
            ("debian", "", "Debian"),
            ("ubuntu", "22.04", "Ubuntu:22.04:LTS"),
            ("ubuntu", "23.10", "Ubuntu:23.10"),
            ("ubuntu", "21.04", "Ubuntu:21.04"),
            ("alpine", "3.19.1", "Alpine:v3.19"),
            ("alpine", "3.22_alpha20250108", "Alpine:v3.22"),
            ("wolfi", "20230201", "Wolfi"),
            ("rocky", "9.4", "Rocky Linux:9"),
            ("almalinux", "8.10", "AlmaLinux:8"),
            ("opensuse-leap", "15.6", "openSUSE:Leap 15.6"),
            ("opensuse-tumbleweed", "20250101", "openSUSE:Tumbleweed"),
            ("sles", "15.5", "SUSE:Linux Enterprise Server 15 SP5"),
            ("photon", "5.0", "Photon OS:5.0"),
            ("nobody-knows", "1", "nobody-knows:1"),
        ] {
            assert_eq!(Ecosystem::of_distribution(id, version).osv(), name);
        }
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
