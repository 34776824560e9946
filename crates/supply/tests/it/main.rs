//! Adapters against published messages.

mod examples;
