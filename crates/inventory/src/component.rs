//! Components: what a project, an image or a server is made of, and where that is written.
//!
//! # Invariants
//!
//! * Names and versions are text of strangers. They are bounded here and escaped
//!   where they are shown; nothing in this crate executes or expands them.
//! * What could not be read is a [`Gap`], never left out in silence.

mod ecosystem;
mod purl;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::{
    ecosystem::Ecosystem,
    purl::{Purl, purl},
};

/// Longest name, version or place that is kept, in bytes. Registries allow 214 (npm)
/// and 255; module paths and file names are longer.
pub const MAX_TEXT_BYTES: usize = 1024;
/// Most components of one inventory.
pub const MAX_COMPONENTS: usize = 1_000_000;
/// Most gaps that are told one by one.
pub const MAX_GAPS: usize = 1000;

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
