//! The pure core of Lapwing: normalise, rules, detect, alert, and the record of deploys.
//!
//! Synchronous and deterministic: the same rules and the same input give the same bytes. Time arrives
//! with events; there is no clock, file, network, environment or thread here, and `clippy.toml` in this
//! crate keeps it so.
#![warn(missing_docs)]

pub mod address;
pub mod alert;
pub mod deploys;
pub mod detect;
pub mod event;
pub mod field;
pub mod hash;
pub mod lineage;
pub mod normalise;
pub mod notes;
pub mod rule;
pub mod time;
