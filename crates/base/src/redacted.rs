//! Values that must not be printed.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// A secret. It has no `Display` and no `Serialize`, and `Debug` hides it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps a secret.
    pub const fn new(secret: T) -> Self {
        Self(secret)
    }

    /// Returns the secret. Every use is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T: AsRef<[u8]>> PartialEq for Redacted<T> {
    /// Compares in time that depends on the lengths only.
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_ref(), other.0.as_ref()).is_ok()
    }
}

impl<T: AsRef<[u8]>> Eq for Redacted<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(format!("{:?}", Redacted::new("hunter2")), "[redacted]");
    }

    #[test]
    fn equal_only_to_the_same_secret() {
        assert_eq!(Redacted::new("a"), Redacted::new("a"));
        assert_ne!(Redacted::new("a"), Redacted::new("b"));
        assert_ne!(Redacted::new("a"), Redacted::new("aa"));
    }
}
