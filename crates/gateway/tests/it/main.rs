//! The gateway in front of a server that does what a test tells it to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authorization;
mod budgets;
mod changing;
mod contracts;
mod credentials;
mod enterprise;
mod firewall;
mod flow;
mod foreign;
mod harness;
mod hostile;
mod identity;
mod ladder;
mod limits;
mod merged;
mod oauth;
mod reload;
mod secrecy;
mod tls;
mod tls_listener;
mod toxic;
mod traced;
