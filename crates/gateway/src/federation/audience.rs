//! Who a list is made for.

use std::{fmt, sync::Arc};

use airside_base::ServerId;

use crate::{cache::Key, catalog::Facts};

/// Something that a list offers, with what a decision about its use needs.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The server that offers it.
    pub server: &'a ServerId,
    /// The method that uses it: `tools/call`, `prompts/get` or `resources/read`.
    pub method: &'a str,
    /// Its name or URI, as the server says it.
    pub name: &'a str,
    /// What the server says of it.
    pub facts: Facts,
}

/// Decides whether one item is shown.
pub type Sees = Arc<dyn Fn(&Item<'_>) -> bool + Send + Sync>;

/// Callers that see the same lists.
#[derive(Clone)]
pub struct Audience {
    class: Option<Key>,
    sees: Option<Sees>,
}

impl Audience {
    /// Returns the audience that sees everything.
    #[must_use]
    pub const fn everyone() -> Self {
        Self {
            class: None,
            sees: None,
        }
    }

    /// Returns an audience that sees what `sees` says.
    ///
    /// Two audiences with the same `class` must see the same: it has to cover the
    /// rules and every trait of the caller that they look at.
    #[must_use]
    pub(crate) const fn of(class: Key, sees: Sees) -> Self {
        Self {
            class: Some(class),
            sees: Some(sees),
        }
    }

    /// Returns what tells it from other audiences.
    pub(crate) fn class(&self) -> &[u8] {
        self.class.as_ref().map_or(&[], Key::as_bytes)
    }

    /// Returns whether nothing is hidden from it.
    pub(crate) const fn is_everyone(&self) -> bool {
        self.sees.is_none()
    }

    /// Returns whether it may see `item`.
    pub(crate) fn sees(&self, item: &Item<'_>) -> bool {
        self.sees.as_ref().is_none_or(|sees| sees(item))
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audience")
            .field("class", &self.class)
            .field("everyone", &self.is_everyone())
            .finish()
    }
}
