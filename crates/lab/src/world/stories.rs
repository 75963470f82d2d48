//! Attacks, each a short script laid onto the world's own people, services and days.
//!
//! A story is written as an intruder would tell it: what is done when, with whose credential, and which step is what they
//! came for. Nothing in it looks at rules, detectors or thresholds. Some are loud; some use access that is there already,
//! so that only where a credential came from, or a deploy without its records, shows them.

mod cluster;
mod code;
mod deploy;
mod guardrails;
mod identity;
mod keys;
mod pipeline;
mod scene;
mod secrets;

use std::sync::Arc;

use engine::time::Timestamp;

pub(super) use self::scene::Scene;
use super::company::Company;
use super::{Attacks, Record};

/// What is fixed about a story.
#[derive(Clone, Copy)]
pub struct Story {
    /// Its name, in words joined by hyphens.
    pub name: &'static str,
    /// What happens, in a sentence.
    pub sentence: &'static str,
    /// Techniques of ATT&CK.
    pub techniques: &'static [&'static str],
    /// The day in a world of 30, and the minute of it in UTC.
    pub(super) start: (u32, u64),
    pub(super) script: fn(&mut Scene),
}

/// A step as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub time: Timestamp,
    /// What is done.
    pub says: &'static str,
    /// Whether it is what the attacker came for.
    pub goal: bool,
}

/// A story in a world.
#[derive(Clone)]
pub struct Told {
    /// Number in the list of all stories, which labels carry.
    pub number: usize,
    /// What is fixed about it.
    pub story: Story,
    /// Its steps in order.
    pub steps: Vec<Step>,
    pub(super) records: Vec<Record>,
}

/// Every story, by theme. Its place in the list is its number.
pub(super) fn all() -> Vec<Story> {
    let themes: [&[Story]; 8] = [
        &code::STORIES,
        &pipeline::STORIES,
        &deploy::STORIES,
        &keys::STORIES,
        &secrets::STORIES,
        &guardrails::STORIES,
        &identity::STORIES,
        &cluster::STORIES,
    ];
    themes.concat()
}

/// Tells the wanted stories, those that end within the days of the world.
pub(super) fn lay(company: &Arc<Company>, attacks: Attacks) -> Vec<Told> {
    let wanted = |story: &Story| match attacks {
        Attacks::None => false,
        Attacks::All => true,
        Attacks::One(name) => story.name == name,
    };
    let told = all().into_iter().enumerate().filter(|(_, story)| wanted(story)).map(|(number, story)| {
        let day = company.calendar.scaled(story.start.0);
        let mut scene = Scene::new(Arc::clone(company), number, company.calendar.at(day, story.start.1));
        (story.script)(&mut scene);
        scene.told(number, story)
    });
    let end = company.calendar.begin(company.calendar.days());
    told.filter(|told| told.records.iter().all(|record| record.time < end)).collect()
}
