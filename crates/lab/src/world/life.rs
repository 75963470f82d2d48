//! What goes on in the company on an ordinary day, and on days that are not.
//!
//! Every activity is written down by one file here; stories use the same ones, so that an intruder who does what
//! people do leaves what people leave.

mod chores;
mod console;
mod deploys;
mod oddities;
mod people;
mod pipelines;
mod platform;
mod services;

pub(super) use console::CONSOLE_READS;
pub(super) use deploys::Running;
pub(super) use platform::{FORGOTTEN, named};
pub(super) use services::{SECRET, google_secret};

use super::calendar::Day;
use super::log::Log;

/// Writes one day of everybody and everything.
pub(super) fn day(log: &mut Log, day: Day) {
    services::day(log, day);
    platform::day(log, day);
    people::day(log, day);
    pipelines::day(log, day);
    chores::day(log, day);
    oddities::day(log, day);
}
