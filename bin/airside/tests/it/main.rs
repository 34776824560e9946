//! Drives the binary as its users do.

mod commands;
mod configuration;
mod control;
mod exits;
mod node;
mod run;
mod signals;
mod slow;
