//! Fakes, fixtures and load generation for development; never shipped.
