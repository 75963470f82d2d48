//! The edge of Lapwing: one file a system. Sources hand in raw records, sinks carry alerts out; neither
//! knows a rule, a detector or the pipeline.
#![warn(missing_docs)]

#[cfg(feature = "aws")]
pub mod accounts;
pub mod clock;
pub mod host;
pub mod probe;
pub mod retry;
pub mod secret;
pub mod sink;
pub mod source;
