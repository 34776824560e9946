//! What a tree of files is made of: a folder, or the file system of an image.
//!
//! # Invariants
//!
//! * A file is known by its path alone, relative to the root of the tree; the same rules
//!   hold on disk and in an image.
//! * What is installed is counted once: the lock file beside it names the same
//!   component, and what a package of the distribution brought is that package.
//! * What is there and cannot be read by anything here is told once for each sort.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::component::{Component, Ecosystem, Inventory, MAX_COMPONENTS, Origin};

use super::{
    MAX_LOCK_BYTES, bytes,
    installed::{self, Form},
    program, reader, system,
};

/// Folders that hold copies of packages as others published them: what they say there is
/// about those, not about what is used.
const COPIES: [&str; 6] = [
    ".cargo/registry",
    "cargo/registry",
    "pkg/mod",
    ".npm/_cacache",
    ".pnpm-store",
    ".m2/repository",
];
/// Folders of installed packages: lock files and configurations in them are those of
/// the packages' authors.
const INSTALLED: [&str; 3] = ["node_modules", "site-packages", "dist-packages"];

/// Most pairs of a folder and a package that is installed for it. Past them requirements
/// stay open.
const MAX_ANSWERS: usize = 4_000_000;

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Something that names components, known by its file name.
    Named,
    /// A part of an installed package.
    Installed(Form),
    /// A part of the database of a distribution.
    System(system::Form),
    /// A compiled program, if its first bytes say so.
    Program,
    /// Something that names components in a way that nothing here reads.
    Opaque(&'static str),
}

impl Sort {
    /// Tells what the file at `path` is read as; `None` where it is not.
    pub(super) fn of(path: &str, executable: bool) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        let inside = |folder: &str| {
            path.match_indices(folder).any(|(at, found)| {
                let starts = at == 0 || path.as_bytes()[at - 1] == b'/';
                starts && path.as_bytes().get(at + found.len()) == Some(&b'/')
            })
        };
        if let Some(form) = system::Form::of(path) {
            return Some(Self::System(form));
        }
        if COPIES.iter().any(|folder| inside(folder)) {
            return None;
        }
        if let Some(form) = Form::of(path) {
            return Some(Self::Installed(form));
        }
        let theirs = INSTALLED.iter().any(|folder| inside(folder));
        if !theirs && reader(name).is_some() {
            return Some(Self::Named);
        }
        if executable || program::is_library(name) {
            return Some(Self::Program);
        }
        opaque(path, name).map(Self::Opaque)
    }

    /// Tells whether the content of such a file is looked at.
    pub(super) fn has_content(self) -> bool {
        !matches!(
            self,
            Self::Opaque(_) | Self::System(system::Form::Foreign(_))
        )
    }

    /// Returns how many bytes of such a file are read at most.
    pub(super) fn limit(self) -> u64 {
        match self {
            Self::Program => program::MAX_BYTES,
            Self::System(form) => form.limit(),
            Self::Named | Self::Installed(_) | Self::Opaque(_) => MAX_LOCK_BYTES,
        }
    }
}

/// Says that a file is larger than what is read of its sort.
pub(super) fn too_large(size: u64, limit: u64) -> String {
    format!("it cannot be read: it has {size} bytes, more than {limit}")
}

/// Returns what names components there and is not read.
fn opaque(path: &str, name: &str) -> Option<&'static str> {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    match end {
        // It fetches Gradle and is no part of what that builds.
        _ if name == "gradle-wrapper.jar" => None,
        "jar" | "war" | "ear" => Some("packages inside Java archives"),
        "gemspec" if path.contains("specifications/") => Some("installed gems of Ruby"),
        "json" if name.ends_with(".deps.json") => Some("packages of .NET programs"),
        _ if path.ends_with("composer/installed.json") => Some("installed packages of PHP"),
        _ => None,
    }
}

/// Collects what the files of a tree say.
#[derive(Debug)]
pub(super) struct Survey {
    /// What stands before the path of every place.
    prefix: String,
    /// The tree is a whole system: what is installed anywhere in it answers what a
    /// requirement leaves open.
    whole: bool,
    /// By path, so that a file that comes again replaces the one before.
    parts: BTreeMap<String, Part>,
    system: system::System,
    /// How many files of each sort nothing here reads, and one of them.
    opaque: BTreeMap<&'static str, (usize, String)>,
    inventory: Inventory,
    /// How much the parts hold together.
    held: usize,
}

/// What one file says.
#[derive(Debug)]
enum Part {
    /// Names components.
    Named(Inventory),
    /// Is an installed package.
    Installed(Inventory),
    /// Tells where the package in the same folder comes from.
    Source(Origin),
}

impl Part {
    /// Returns how much it holds.
    fn weight(&self) -> usize {
        match self {
            Self::Named(read) | Self::Installed(read) => {
                1 + read.components.len() + read.own.len() + read.gaps.len()
            }
            Self::Source(_) => 1,
        }
    }
}

impl Survey {
    /// Returns a survey of a tree whose places start with `prefix`.
    pub(super) fn new(prefix: &str, whole: bool) -> Self {
        Self {
            prefix: prefix.to_owned(),
            whole,
            parts: BTreeMap::new(),
            system: system::System::default(),
            opaque: BTreeMap::new(),
            inventory: Inventory::default(),
            held: 0,
        }
    }

    /// Returns how people find the file at `path`.
    pub(super) fn place(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Notes that something could not be taken in.
    pub(super) fn gap(&mut self, path: &str, reason: impl Into<String>) {
        let place = self.place(path);
        self.inventory.gap(&place, reason);
    }

    /// Takes a file in.
    pub(super) fn take(&mut self, path: &str, sort: Sort, content: &[u8]) {
        let place = self.place(path);
        let part = match sort {
            Sort::Named => bytes(content, &place).map(Part::Named),
            Sort::Program => program::read(content, &place).map(Part::Named),
            Sort::Installed(Form::Source) => {
                let origin = installed::source(content);
                origin.map(Part::Source)
            }
            Sort::Installed(form) => Some(Part::Installed(installed::read(form, content, &place))),
            Sort::System(form) => {
                self.system.take(form, path, content);
                None
            }
            Sort::Opaque(what) => {
                let told = self.opaque.entry(what).or_insert_with(|| (0, place));
                told.0 += 1;
                None
            }
        };
        self.parts.remove(path);
        let Some(part) = part else {
            return;
        };
        // Each file is bounded, and there may be a million of them.
        self.held += part.weight();
        if self.held > MAX_COMPONENTS {
            let most =
                format!("it cannot be read: there are more than {MAX_COMPONENTS} components");
            self.gap(path, most);
            return;
        }
        self.parts.insert(path.to_owned(), part);
    }

    /// Forgets the file at `path`: something else took its place.
    pub(super) fn forget(&mut self, path: &str) {
        self.parts.remove(path);
    }

    /// Joins what the files say. Also returns whether any of them said something.
    pub(super) fn finish(mut self) -> (Inventory, bool) {
        let mut inventory = std::mem::take(&mut self.inventory);
        let owned = self.system.finish(&self.prefix, &mut inventory);
        let mut known = !inventory.components.is_empty();
        self.parts.retain(|path, _| !owned.contains(path.as_str()));
        let installed = self.installed(&mut inventory);
        known |= !installed.is_empty();
        let mut named = Vec::new();
        for (path, part) in self.parts {
            if let Part::Named(part) = part {
                known = true;
                named.push((path, part));
            }
        }
        let mut installed = Installed::new(installed, &named);
        for (path, mut part) in named {
            installed.answer(&path, self.whole, &mut part);
            installed.learn(&path, &part);
            inventory.merge(part);
        }
        for (_, component) in installed.finish() {
            inventory.add(component);
        }
        for (what, (count, place)) in self.opaque {
            let more = count - 1;
            let others = match more {
                0 => String::new(),
                _ => format!(", nor those of {more} more files"),
            };
            inventory.gap(&place, format!("{what} are not read{others}"));
        }
        inventory.settle();
        (inventory, known)
    }

    /// Takes the installed packages out, each with its path, and with what the file
    /// beside it says of its source.
    fn installed(&mut self, inventory: &mut Inventory) -> Vec<(String, Component)> {
        let mut sources = HashMap::new();
        for (path, part) in &self.parts {
            if let Part::Source(origin) = part {
                sources.insert(folder(path).to_owned(), *origin);
            }
        }
        let (mut found, mut trees) = (Vec::new(), BTreeSet::new());
        self.parts.retain(|path, part| {
            let Part::Installed(read) = part else {
                return true;
            };
            let mut read = std::mem::take(read);
            let source = sources.get(folder(path));
            trees.insert(installed::tree(path).to_owned());
            for mut component in read.components.drain(..) {
                component.origin = source.copied().unwrap_or(component.origin);
                found.push((path.clone(), component));
            }
            inventory.merge(read);
            false
        });
        let places = trees.iter().map(|tree| self.place(tree));
        inventory.read.extend(places);
        found
    }
}

/// Installed packages, to be compared with what is written beside them.
struct Installed {
    packages: Vec<(String, Component)>,
    /// Names of packages by the folder that they are installed for.
    names: HashMap<String, HashSet<(Ecosystem, String)>>,
    everywhere: HashSet<(Ecosystem, String)>,
    /// What lock files say of a package: by folder, ecosystem, name and version.
    told: HashMap<Told, Origin>,
}

type Told = (String, Ecosystem, String, Option<String>);

impl Installed {
    fn new(packages: Vec<(String, Component)>, named: &[(String, Inventory)]) -> Self {
        let mut names: HashMap<String, HashSet<_>> = HashMap::new();
        for (path, _) in named {
            names.entry(folder(path).to_owned()).or_default();
        }
        let mut everywhere = HashSet::new();
        let mut left = MAX_ANSWERS;
        for (path, component) in &packages {
            let key = (component.ecosystem.clone(), component.name.clone());
            everywhere.insert(key.clone());
            // Installed for each folder above it that something is written in.
            let mut at = installed::project(path);
            loop {
                if let Some(names) = names.get_mut(at).filter(|_| left > 0) {
                    left -= 1;
                    names.insert(key.clone());
                }
                if at.is_empty() {
                    break;
                }
                at = folder(at);
            }
        }
        Self {
            packages,
            names,
            everywhere,
            told: HashMap::new(),
        }
    }

    /// Takes away what a requirement leaves open and an installed package answers.
    fn answer(&self, path: &str, whole: bool, part: &mut Inventory) {
        let here = self.names.get(folder(path));
        part.components.retain(|component| {
            let open = component.version.is_none() && component.origin == Origin::Registry;
            let key = (component.ecosystem.clone(), component.name.clone());
            let answered = here.is_some_and(|names| names.contains(&key))
                || (whole && self.everywhere.contains(&key));
            !(open && answered)
        });
    }

    /// Keeps where the packages of a lock file come from.
    fn learn(&mut self, path: &str, part: &Inventory) {
        let folder = folder(path);
        if !self.names.contains_key(folder) {
            return;
        }
        for component in &part.components {
            if component.origin != Origin::Registry {
                self.told.insert(key(folder, component), component.origin);
            }
        }
    }

    /// Returns the packages, their source as the nearest lock file says it.
    fn finish(self) -> Vec<(String, Component)> {
        let (told, mut packages) = (self.told, self.packages);
        for (path, component) in &mut packages {
            if component.origin != Origin::Registry || told.is_empty() {
                continue;
            }
            let mut at = installed::project(path);
            loop {
                if let Some(origin) = told.get(&key(at, component)) {
                    component.origin = *origin;
                    break;
                }
                if at.is_empty() {
                    break;
                }
                at = folder(at);
            }
        }
        packages
    }
}

fn key(folder: &str, component: &Component) -> Told {
    let (ecosystem, name, version) = component.identity();
    (
        folder.to_owned(),
        ecosystem.clone(),
        name.to_owned(),
        version.map(str::to_owned),
    )
}

/// Returns the folder of `path`, empty for the root.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests;
