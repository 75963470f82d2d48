//! Never shipped: replay and scoring for tests and benches.
