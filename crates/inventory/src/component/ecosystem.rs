//! Who gives names of components their meaning.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use super::bounded;

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
    pub(super) fn purl_type(&self) -> (&str, &str) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
