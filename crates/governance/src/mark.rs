//! The ids of what is decided about: short, and the same wherever they are made.

use aws_lc_rs::digest::{Context, SHA256};

/// Returns `kind`, a dash and 12 digits of SHA-256 over `parts`, each behind its length.
pub(crate) fn mark(kind: char, parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    format!(
        "{kind}-{}",
        airside_base::hex(&context.finish().as_ref()[..6])
    )
}
