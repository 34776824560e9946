//! Fakes, fixtures and load generation for development; never shipped.

pub mod fixture;
