//! Never shipped: corpora, replay and scoring for tests and benches.
//!
//! [`corpus`] finds records or makes many of few, [`replay`] runs the engine over them the way the service
//! does, [`score`] says what the alerts found, [`child`] runs the service, [`load`] posts to it and times its answers.
//! [`world`] is a company that does not exist, with intruders in it.
//! Everything is seeded: a run can be run again.

pub mod apart;
pub mod case;
pub mod chance;
pub mod child;
pub mod corpus;
pub mod histogram;
pub mod load;
pub mod meter;
pub mod replay;
pub mod score;
pub mod scorecard;
pub mod shipped;
pub mod sigmahq;
pub mod speed;
pub mod table;
pub mod theft;
pub mod world;
