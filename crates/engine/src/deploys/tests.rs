//! Deploys from records of documented shape. No line is of a real account.

mod clouds;
mod law;
mod traps;
mod verdicts;
mod world;
