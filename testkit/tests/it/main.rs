//! Tests of the fixture and of the load tools over real sockets.

// Marked as test code, so that the lints know it.
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod load;
