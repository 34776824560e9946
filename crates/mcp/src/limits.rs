//! Bounds on what is read.

use crate::json::MAX_DEPTH;

/// Largest answer or event that is held whole, in bytes.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Bounds on one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest body, in bytes. Never above 1 GiB.
    pub size_bytes: usize,
    /// Deepest nesting of objects and arrays. Never above 128.
    pub depth: u32,
    /// Most messages in one batch.
    pub batch: usize,
    /// Most elements of one page of a list.
    pub elements: usize,
}

impl Limits {
    /// What is read when nothing else is said: 4 MiB, 100 levels, 32 messages,
    /// 10 000 elements.
    pub const DEFAULT: Self = Self {
        size_bytes: 4 * 1024 * 1024,
        depth: 100,
        batch: 32,
        elements: 10_000,
    };

    /// Returns the limits for bodies of at most `size_bytes`.
    #[must_use]
    pub const fn with_size(self, size_bytes: usize) -> Self {
        Self { size_bytes, ..self }
    }

    pub(crate) fn max_size(&self) -> usize {
        self.size_bytes.min(1 << 30)
    }

    pub(crate) fn max_depth(&self) -> u32 {
        self.depth.min(MAX_DEPTH)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
