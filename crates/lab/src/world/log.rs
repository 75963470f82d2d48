//! What is being written down: a clock that activities move on, and the records that they leave.
//!
//! Each vendor's records are written by a file of `record/`; all go through [`Log::write`], which puts the label on.

use std::sync::Arc;

use engine::event::Kind;
use engine::time::{Span, Timestamp};

use super::company::Company;
use super::draw::Draw;
use super::person::Person;
use super::{Label, Record};

/// Where activities write.
pub(super) struct Log {
    pub(super) company: Arc<Company>,
    pub(super) draw: Draw,
    /// What happens next happens now.
    pub(super) now: Timestamp,
    /// What the records of now belong to; nothing for those of an ordinary day.
    pub(super) label: Option<Label>,
    pub(super) records: Vec<Record>,
}

impl Log {
    pub(super) fn new(company: Arc<Company>, now: Timestamp) -> Self {
        let draw = Draw::of(company.seed, "nothing", 0, 0);
        Self { company, draw, now, label: None, records: Vec::new() }
    }

    /// Turns to another activity, which draws from a sequence of its own.
    pub(super) fn turn(&mut self, what: &str, whose: usize, which: u32, now: Timestamp) {
        self.draw = Draw::of(self.company.seed, what, whose as u64, u64::from(which));
        self.now = now;
    }

    /// Where somebody is now: at work in their hours, else at home, so that nobody is in two places.
    pub(super) fn place(&self, person: &Person) -> String {
        let company = &self.company;
        let day = company.calendar.day_of(self.now);
        let begins = company.begins(person, day);
        let hours = company.calendar.at(day, begins.saturating_sub(15))..company.calendar.at(day, begins + 10 * 60);
        let at_work = company.works(person, day) && hours.contains(&self.now);
        if at_work || person.travels(company.calendar, day) { company.place(person, day) } else { person.home() }
    }

    /// Lets seconds go by.
    pub(super) fn wait(&mut self, from: u64, to: u64) {
        let micros = self.draw.between(from * 1_000_000, to * 1_000_000);
        self.now = self.now.plus(Span::from_micros(i64::try_from(micros).unwrap_or(0)));
    }

    /// Lets milliseconds go by.
    pub(super) fn blink(&mut self, from: u64, to: u64) {
        let micros = self.draw.between(from * 1_000, to * 1_000);
        self.now = self.now.plus(Span::from_micros(i64::try_from(micros).unwrap_or(0)));
    }

    pub(super) fn write(&mut self, kind: Kind, time: Timestamp, raw: Vec<u8>) {
        let source = source(kind);
        self.records.push(Record { kind, source, time, raw, label: self.label });
    }

    /// The same for a document.
    pub(super) fn write_json(&mut self, kind: Kind, time: Timestamp, document: &serde_json::Value) {
        self.write(kind, time, document.to_string().into_bytes());
    }
}

/// What a configuration would call where such records come from.
pub(super) fn source(kind: Kind) -> &'static str {
    match kind {
        Kind::AwsCloudtrail => "cloudtrail",
        Kind::GithubAudit => "github-audit",
        Kind::GithubWebhook => "github-webhooks",
        Kind::OktaSystem => "okta",
        Kind::GcpAudit => "google",
        Kind::KubernetesAudit => "cluster-shop",
        Kind::VaultAudit => "vault",
        Kind::GitlabWebhook => "gitlab-webhooks",
        Kind::AwsEventbridge => "eventbridge",
        Kind::GitlabAudit => "gitlab-audit",
        Kind::Json | Kind::AwsGuardduty | Kind::AzureActivity | Kind::AzureSignin | Kind::AzureAudit | Kind::CiLog => {
            "unused"
        }
    }
}

/// The beginning of the second: what logs with whole seconds say.
pub(super) fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros().div_euclid(1_000_000) * 1_000_000)
}

/// That second, as most vendors write it.
pub(super) fn in_seconds(time: Timestamp) -> String {
    format!("{}Z", time.to_string().get(..19).unwrap_or_default())
}

/// That millisecond, as Okta writes it.
pub(super) fn in_milliseconds(time: Timestamp) -> String {
    format!("{}Z", time.to_string().get(..23).unwrap_or_default())
}

/// The beginning of the millisecond.
pub(super) fn millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.millis())
}
