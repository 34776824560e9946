//! Archives, restores and drills as their users see them, on storages that misbehave.

mod archive;
mod drill;
mod harness;
mod restore;
mod s3;
mod upkeep;
