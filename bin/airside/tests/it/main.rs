//! Drives the binary as its users do.

mod commands;
mod configuration;
mod node;
mod run;
