//! Packages of a distribution: dpkg, apk and rpm, and which distribution it is.
//!
//! # Invariants
//!
//! * Packages are named as the advisories of their distribution name them: by source
//!   package for dpkg, apk, SUSE and Rocky Linux, by binary package for other rpms.
//! * A database in a form that is not read is a gap with its name, not an empty system.

mod apk;
mod dpkg;
mod rpm;
mod sqlite;

use std::collections::{BTreeMap, HashSet};

use crate::component::{Component, Ecosystem, Inventory, MAX_COMPONENTS, MAX_GAPS, Scope};

use super::{MAX_LOCK_BYTES, Unread, survey};

/// Most bytes of a database of packages.
const MAX_DATABASE_BYTES: u64 = 256 * 1024 * 1024;

/// A file of a distribution's package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// os-release(5).
    Release,
    /// Installed packages of dpkg, all or one each.
    Dpkg,
    /// Files of one package of dpkg.
    DpkgFiles,
    /// Installed packages of apk, with their files.
    Apk,
    /// Installed packages of rpm, in SQLite.
    Rpm,
    /// Changes that have not been written into that yet.
    RpmLog,
    /// Installed packages in another form.
    Foreign(&'static str),
}

/// Databases that are known and not read, by the start and the end of their paths.
const FOREIGN: [(&str, &str, &str); 9] = [
    (
        "var/lib/rpm/Packages",
        "",
        "the database of rpm is in the Berkeley DB form",
    ),
    (
        "usr/lib/sysimage/rpm/Packages",
        "",
        "the database of rpm is in the Berkeley DB form",
    ),
    (
        "var/lib/rpm/Packages.db",
        "",
        "the database of rpm is in the ndb form",
    ),
    (
        "usr/lib/sysimage/rpm/Packages.db",
        "",
        "the database of rpm is in the ndb form",
    ),
    (
        "var/lib/pacman/local/",
        "/desc",
        "packages of pacman are not read",
    ),
    (
        "var/db/pkg/",
        "/CONTENTS",
        "packages of Portage are not read",
    ),
    ("usr/lib/opkg/status", "", "packages of opkg are not read"),
    ("var/lib/opkg/status", "", "packages of opkg are not read"),
    (
        "var/lib/chisel/manifest.wall",
        "",
        "packages cut by Chisel are not read",
    ),
];

impl Form {
    /// Tells which file lies at `path` of a system.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "etc/os-release" | "usr/lib/os-release" => return Some(Self::Release),
            "var/lib/dpkg/status" => return Some(Self::Dpkg),
            "lib/apk/db/installed" | "usr/lib/apk/db/installed" => return Some(Self::Apk),
            "var/lib/rpm/rpmdb.sqlite" | "usr/lib/sysimage/rpm/rpmdb.sqlite" => {
                return Some(Self::Rpm);
            }
            "var/lib/rpm/rpmdb.sqlite-wal" | "usr/lib/sysimage/rpm/rpmdb.sqlite-wal" => {
                return Some(Self::RpmLog);
            }
            _ => {}
        }
        if let Some(name) = path.strip_prefix("var/lib/dpkg/status.d/") {
            return Some(match name.ends_with(".md5sums") {
                true => Self::DpkgFiles,
                false => Self::Dpkg,
            });
        }
        if let Some(name) = path.strip_prefix("var/lib/dpkg/info/") {
            return name.ends_with(".list").then_some(Self::DpkgFiles);
        }
        let foreign = FOREIGN.iter().find(|(start, end, _)| match *end {
            "" => path == *start,
            end => path.starts_with(start) && path.ends_with(end),
        });
        foreign.map(|(_, _, why)| Self::Foreign(why))
    }

    /// Returns how many bytes of such a file are read at most.
    pub(super) fn limit(self) -> u64 {
        match self {
            Self::Dpkg | Self::Apk | Self::Rpm => MAX_DATABASE_BYTES,
            Self::Release | Self::DpkgFiles | Self::RpmLog | Self::Foreign(_) => MAX_LOCK_BYTES,
        }
    }
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Package {
    /// As advisories of the distribution name it.
    name: String,
    version: String,
    /// As it was installed.
    installed_as: String,
    /// The source package, where `name` is not that.
    source: String,
}

impl Package {
    /// Returns its name as advisories of `ecosystem` write it.
    fn known_as(&self, ecosystem: &Ecosystem) -> &str {
        let by_source = |distribution: &str| {
            matches!(distribution, "SUSE" | "openSUSE" | "Rocky Linux") && !self.source.is_empty()
        };
        match ecosystem {
            Ecosystem::Linux { distribution, .. } if by_source(distribution) => &self.source,
            _ => &self.name,
        }
    }
}

/// What one database says.
#[derive(Debug, Default)]
struct Read {
    packages: Vec<Package>,
    /// Files of its packages that are not counted on their own.
    files: Vec<String>,
    problems: Vec<String>,
}

impl Read {
    /// Keeps a file of a package, if it is one that would be read on its own and lies
    /// where only the distribution installs: what it patched there keeps its version.
    /// Programs and trees elsewhere are what they say: packages of others bring them
    /// too, of which no advisory of the distribution speaks.
    fn file(&mut self, path: &str) {
        let path = path.trim_start_matches('/').trim_start_matches("./");
        let path = path.strip_prefix("usr/").unwrap_or(path);
        let place = path.strip_prefix("lib").unwrap_or_default();
        let place = place.strip_prefix("64").unwrap_or(place);
        if place.starts_with("/python") && survey::Sort::of(path, false).is_some() {
            // Since /usr was merged the list may name the link.
            self.files.push(format!("usr/{path}"));
            self.files.push(path.to_owned());
        }
    }
}

/// Which packages a system has.
#[derive(Debug, Default)]
pub(super) struct System {
    /// By path: `etc` goes before `usr`, which holds what it is by default.
    releases: BTreeMap<String, Ecosystem>,
    databases: BTreeMap<String, Read>,
    foreign: BTreeMap<&'static str, String>,
    log: Option<String>,
    /// How much the databases hold together.
    held: usize,
}

impl System {
    /// Takes a file of the package manager in.
    pub(super) fn take(&mut self, form: Form, path: &str, content: &[u8]) {
        let read = match form {
            Form::Release => {
                let text = String::from_utf8_lossy(content);
                if let Some(ecosystem) = release(&text) {
                    self.releases.insert(path.to_owned(), ecosystem);
                }
                return;
            }
            Form::Foreign(why) => {
                self.foreign.entry(why).or_insert_with(|| path.to_owned());
                return;
            }
            Form::RpmLog => {
                self.log = (!content.is_empty()).then(|| path.to_owned());
                return;
            }
            Form::Dpkg => Ok(dpkg::status(&String::from_utf8_lossy(content))),
            Form::DpkgFiles => Ok(dpkg::files(&String::from_utf8_lossy(content))),
            Form::Apk => Ok(apk::installed(&String::from_utf8_lossy(content))),
            Form::Rpm => rpm::database(content),
        };
        let mut read = read.unwrap_or_else(|Unread(why)| Read {
            problems: vec![format!("it cannot be read: {why}")],
            ..Read::default()
        });
        read.problems.truncate(MAX_GAPS);
        // Each list is bounded, and there may be a million of them.
        self.held += 1 + read.packages.len() + read.files.len() + read.problems.len();
        if self.held > MAX_COMPONENTS {
            let most = "there are more packages and files than are read";
            let told = self.foreign.entry(most);
            told.or_insert_with(|| path.to_owned());
            return;
        }
        self.databases.insert(path.to_owned(), read);
    }

    /// Adds the packages and returns the files that belong to them.
    pub(super) fn finish(&mut self, prefix: &str, into: &mut Inventory) -> HashSet<String> {
        let databases = std::mem::take(&mut self.databases);
        let ecosystem = self.releases.values().next().cloned();
        let mut owned = HashSet::new();
        let rpm = databases.keys().any(|path| path.ends_with("rpmdb.sqlite"));
        for (path, read) in databases {
            let place = format!("{prefix}{path}");
            if ecosystem.is_none() && !read.packages.is_empty() {
                into.gap(&place, "no os-release says which distribution this is");
            }
            if !read.packages.is_empty() {
                into.read.push(place.clone());
            }
            let unknown = || Ecosystem::Other("an unknown distribution".to_owned());
            let ecosystem = ecosystem.clone().unwrap_or_else(unknown);
            for package in read.packages {
                let place = format!("{place}#{}", package.installed_as);
                let version = Some(package.version.as_str());
                let name = package.known_as(&ecosystem);
                let component = Component::new(ecosystem.clone(), name, version, &place);
                into.add(component.scoped(Scope::Unstated));
            }
            for problem in read.problems {
                into.gap(&place, problem);
            }
            owned.extend(read.files);
        }
        for (why, path) in &self.foreign {
            // Left behind by an upgrade of rpm, and no longer used.
            if !(rpm && why.contains("rpm")) {
                into.gap(
                    &format!("{prefix}{path}"),
                    format!("it cannot be read: {why}"),
                );
            }
        }
        if let Some(path) = &self.log {
            let why = "it cannot be read: rpm had not written these changes into its database";
            into.gap(&format!("{prefix}{path}"), why);
        }
        owned
    }
}

/// Reads os-release(5).
fn release(text: &str) -> Option<Ecosystem> {
    let field = |wanted: &str| {
        let mut fields = text.lines().filter_map(|line| line.trim().split_once('='));
        let (_, value) = fields.find(|(name, _)| *name == wanted)?;
        Some(value.trim().trim_matches(['"', '\'']))
    };
    let id = field("ID").filter(|id| !id.is_empty())?;
    let version = field("VERSION_ID").unwrap_or_default();
    Some(Ecosystem::of_distribution(
        &id.to_ascii_lowercase(),
        version,
    ))
}

#[cfg(test)]
mod tests;
