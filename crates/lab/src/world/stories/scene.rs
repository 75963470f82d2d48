//! Where a story is told: a clock, the company, and which step it is.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use engine::time::Timestamp;

use super::super::Label;
use super::super::calendar::{Day, minutes_of};
use super::super::company::Company;
use super::super::log::Log;
use super::super::network::{Network, RENTED};
use super::super::person::{Duty, Person};
use super::super::workload::{Runs, Workload};
use super::{Step, Story, Told};

/// A story while it is told. Whatever [`Log`] can write can be done in it.
pub(in crate::world) struct Scene {
    log: Log,
    number: usize,
    start: Timestamp,
    steps: Vec<Step>,
}

impl Deref for Scene {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Log {
        &mut self.log
    }
}

impl Scene {
    pub(super) fn new(company: Arc<Company>, number: usize, start: Timestamp) -> Self {
        let mut log = Log::new(company, start);
        log.turn("story", number, 0, start);
        Self { log, number, start, steps: Vec::new() }
    }

    /// The next step begins so many minutes after the story, or when the one before is over, if that is later.
    pub(super) fn step(&mut self, minutes: u64, says: &'static str) {
        self.begin(minutes, says, false);
    }

    /// The same for the step that the attacker came for.
    pub(super) fn goal(&mut self, minutes: u64, says: &'static str) {
        self.begin(minutes, says, true);
    }

    fn begin(&mut self, minutes: u64, says: &'static str, goal: bool) {
        self.log.wait(1, 20);
        self.log.now = self.log.now.max(self.start.plus(minutes_of(minutes)));
        self.log.label = Some(Label { story: self.number, step: self.steps.len(), goal });
        self.steps.push(Step { time: self.log.now, says, goal });
    }

    /// What honest people do next, from so many minutes on: no part of the attack.
    pub(super) fn meanwhile(&mut self, minutes: u64) {
        self.log.wait(1, 20);
        self.log.now = self.log.now.max(self.start.plus(minutes_of(minutes)));
        self.log.label = None;
    }

    /// The day of the world on which it is.
    pub(super) fn day(&self) -> Day {
        self.log.company.calendar.day_of(self.log.now)
    }

    pub(super) fn person(&self, duty: Duty, number: usize) -> Person {
        self.log.company.nth(duty, number).clone()
    }

    /// A service that Actions deploys.
    pub(super) fn service(&self, runs: Runs, number: usize) -> Workload {
        self.log.company.deployed(runs, number).clone()
    }

    /// The two who own a service.
    pub(super) fn owners(&self, workload: &Workload) -> (Person, Person) {
        let owners = self.log.company.owners(workload);
        (owners[0].clone(), owners[1].clone())
    }

    /// An address that the intruder rents: one of seven places.
    pub(super) fn rented(&self, place: usize) -> String {
        RENTED[place % RENTED.len()].address(self.number as u64 + 3)
    }

    /// One of a network that the intruder is on, such as the one of a cafe.
    pub(super) fn on(&self, network: &Network) -> String {
        network.address(self.number as u64 * 17 + 9)
    }

    pub(super) fn told(self, number: usize, story: Story) -> Told {
        Told { number, story, steps: self.steps, records: self.log.records }
    }
}
