//! One who works there: when, from where, with what, and what they are in the habit of doing.

use super::calendar::{Calendar, Day};
use super::draw::Draw;
use super::names::{AWS_CLI, BROWSERS, GIT};
use super::network::{HOTEL, Office, VPN};

/// What somebody is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    Engineer,
    Sre,
    Security,
    /// Leads people: reads, approves, rarely touches.
    Lead,
    Contractor,
    Analyst,
}

/// What somebody does on a day, how often.
#[derive(Clone, Debug)]
pub(super) struct Habit {
    /// Services by number: those of the team first, then a few of others.
    pub(super) services: Vec<usize>,
    /// Of a hundred working days, on how many they open the cloud.
    pub(super) cloud_percent: u64,
    /// The same for the cluster.
    pub(super) cluster_percent: u64,
    /// The same for Vault.
    pub(super) vault_percent: u64,
    /// The same for Google Cloud.
    pub(super) google_percent: u64,
    /// Git operations on a working day.
    pub(super) code_events: u64,
}

/// Somebody.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) number: usize,
    pub(super) login: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) team: &'static str,
    pub(super) duty: Duty,
    pub(super) office: Office,
    pub(super) laptop: usize,
    pub(super) okta_id: String,
    pub(super) github_id: u64,
    /// Hash of their personal access token, as GitHub writes it.
    pub(super) token: String,
    /// First day, if it is within the world.
    pub(super) joined: Option<Day>,
    /// First day on which they no longer work there.
    pub(super) left: Option<Day>,
    /// First day of a week off.
    pub(super) holiday: Option<Day>,
    /// When their day begins, in minutes of their own clock.
    pub(super) begins_minutes: u64,
    pub(super) at_home_percent: u64,
    pub(super) habit: Habit,
}

impl Person {
    /// Whether they are employed that day.
    pub(super) fn is_there(&self, day: Day) -> bool {
        self.joined.is_none_or(|joined| joined <= day) && self.left.is_none_or(|left| day < left)
    }

    /// Whether that is a working day of theirs.
    pub(super) fn works(&self, calendar: Calendar, day: Day, draw: &mut Draw) -> bool {
        let off = self.holiday.is_some_and(|first| (first..first + 7).contains(&day));
        let public = day == calendar.scaled(11 + 5 * u32::try_from(self.office.0).unwrap_or(0));
        let part_time = self.duty == Duty::Contractor && calendar.weekday(day) % 5 >= 3;
        let sick = draw.percent(2);
        self.is_there(day) && !calendar.is_weekend(day) && !off && !public && !part_time && !sick
    }

    /// The one who travels.
    pub(super) fn is_traveller(&self) -> bool {
        self.number == 21
    }

    /// Whether they travel that day: one person, for a week, in a hotel far away.
    pub(super) fn travels(&self, calendar: Calendar, day: Day) -> bool {
        self.is_traveller() && (calendar.scaled(7)..calendar.scaled(12)).contains(&day)
    }

    /// Minutes by which their clock is ahead of UTC.
    pub(super) fn ahead_minutes(&self, calendar: Calendar, day: Day) -> i64 {
        if self.travels(calendar, day) { 540 } else { self.office.ahead_minutes() }
    }

    /// When their working day begins, in minutes of the UTC day.
    pub(super) fn begins(&self, calendar: Calendar, day: Day, draw: &mut Draw) -> u64 {
        let late = draw.between(0, 40);
        (self.begins_minutes + late).saturating_add_signed(-self.ahead_minutes(calendar, day))
    }

    /// Where they work from that day: office, home, the VPN from home, or a hotel.
    pub(super) fn place(&self, calendar: Calendar, day: Day, draw: &mut Draw) -> String {
        if self.travels(calendar, day) {
            return HOTEL.address(self.number as u64);
        }
        if !draw.percent(self.at_home_percent) {
            // One way out for every floor.
            return self.office.office().address(self.number as u64 % 3);
        }
        if draw.percent(30) { VPN.address(self.number as u64 % 6) } else { self.home() }
    }

    /// Their address at home. It changes once in a while, which is left out.
    pub(super) fn home(&self) -> String {
        self.office.home().address(self.number as u64 * 37 + 5)
    }

    /// Their telephone's address that day.
    pub(super) fn mobile(&self, draw: &mut Draw) -> String {
        self.office.mobile().address(draw.below(4000))
    }

    pub(super) fn browser(&self) -> &'static str {
        BROWSERS[self.laptop]
    }

    pub(super) fn cli(&self) -> &'static str {
        AWS_CLI[self.laptop]
    }

    pub(super) fn git(&self) -> &'static str {
        GIT[self.laptop % GIT.len()]
    }
}
