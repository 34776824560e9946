//! Drives the binary as its users do.

mod archive;
mod authorization;
#[cfg(test)]
mod booking;
mod commands;
mod configuration;
#[cfg(test)]
mod contracts;
mod control;
mod control_api;
mod conversation;
mod erasure;
mod evals;
mod evals_interrupted;
mod evals_judge;
mod evals_recorded;
mod evals_redteam;
mod exits;
#[cfg(test)]
mod exposure;
#[cfg(test)]
mod firewall;
mod full;
#[cfg(test)]
mod hotels;
mod identity;
mod keys;
#[cfg(test)]
mod killed;
mod limits;
#[cfg(test)]
mod logged;
#[cfg(test)]
mod mitigations;
mod node;
#[cfg(test)]
mod nonsense;
#[cfg(test)]
mod opera;
#[cfg(test)]
mod payments;
mod peer;
mod person;
mod postgres;
mod proof;
#[cfg(test)]
mod race;
mod review;
mod review_bad;
mod review_register;
mod run;
mod scan;
mod signals;
mod slow;
mod supply;
#[cfg(test)]
mod threats;
#[cfg(test)]
mod travellers;
mod vulns;
