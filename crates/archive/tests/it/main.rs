//! Archives, restores and drills as their users see them, on storages that misbehave.

mod archive;
mod crash;
mod differential;
mod drill;
mod harness;
mod kms;
mod moments;
mod restore;
mod s3;
mod upkeep;
