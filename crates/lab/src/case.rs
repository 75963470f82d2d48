//! The rows of the engine's table: which events against which rules.
//!
//! Both benches read them here, ours alone and ours beside a peer, so that a row means the same in both.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use engine::event::{Kind, LogSource};
use engine::normalise::Format;
use engine::rule::RuleFile;
use engine::time::Timestamp;

use crate::corpus::{self, Keys, Lane};
use crate::sigmahq::{self, SigmaHq, SigmaHqError};

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What the table calls it.
    pub name: &'static str,
    /// What is read.
    pub events: Events,
    /// What is asked.
    pub rules: Rules,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Nothing: the rules are loaded, and that is measured.
    None,
    /// CloudTrail records, this many.
    Cloudtrail(usize),
    /// CloudTrail among GitHub, Okta, Google, Azure and Kubernetes.
    Mixed(usize),
    /// Windows events that are there because rules match them.
    Windows(usize),
    /// A million callers, each twice.
    Keys {
        /// How many of a hundred come a minute late.
        late_percent: u64,
    },
    /// One caller from sixty thousand addresses.
    HotKey,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// SigmaHQ's rules for clouds, identity providers and applications.
    Cloud,
    /// All of SigmaHQ's.
    All,
    /// So many of them, by chance.
    Some(usize),
    /// All, and as many altered copies of all.
    Copied(u64),
    /// A caller who calls twice in an hour.
    Twice,
    /// A caller with sixty thousand addresses in an hour.
    Addresses,
}

/// Keys in the windows of [`Events::Keys`].
pub const KEYS: u64 = 1_000_000;

/// Distinct values in the window of [`Events::HotKey`].
pub const VALUES: u64 = 60_000;

/// What all chance begins with.
const SEED: u64 = 1;

/// Events of a row, unless its rules make it slow for a peer.
const MANY: usize = 200_000;
const FEWER: usize = 100_000;
const DENSE: usize = 40_000;

/// Every row, in the order of the table.
pub const CASES: [Case; 18] = [
    Case { name: "cloudtrail, 348 rules", events: Events::Cloudtrail(MANY), rules: Rules::Cloud },
    Case { name: "cloudtrail, 3141 rules", events: Events::Cloudtrail(MANY), rules: Rules::All },
    Case { name: "mixed, 348 rules", events: Events::Mixed(MANY), rules: Rules::Cloud },
    Case { name: "mixed, 3141 rules", events: Events::Mixed(MANY), rules: Rules::All },
    Case { name: "windows, 3141 rules", events: Events::Windows(DENSE), rules: Rules::All },
    Case { name: "growth, cloudtrail, 50 rules", events: Events::Cloudtrail(FEWER), rules: Rules::Some(50) },
    Case { name: "growth, cloudtrail, 200 rules", events: Events::Cloudtrail(FEWER), rules: Rules::Some(200) },
    Case { name: "growth, cloudtrail, 800 rules", events: Events::Cloudtrail(FEWER), rules: Rules::Some(800) },
    Case { name: "growth, cloudtrail, 3141 rules", events: Events::Cloudtrail(FEWER), rules: Rules::All },
    Case { name: "growth, cloudtrail, 9423 rules", events: Events::Cloudtrail(FEWER), rules: Rules::Copied(2) },
    Case { name: "growth, windows, 800 rules", events: Events::Windows(DENSE), rules: Rules::Some(800) },
    Case { name: "growth, windows, 3141 rules", events: Events::Windows(DENSE), rules: Rules::All },
    Case { name: "growth, windows, 9423 rules", events: Events::Windows(DENSE), rules: Rules::Copied(2) },
    Case { name: "event_count, 1 M keys", events: Events::Keys { late_percent: 0 }, rules: Rules::Twice },
    Case { name: "event_count, 1 M keys, 2 % late", events: Events::Keys { late_percent: 2 }, rules: Rules::Twice },
    Case { name: "value_count, one hot key", events: Events::HotKey, rules: Rules::Addresses },
    Case { name: "load 3141 rules", events: Events::None, rules: Rules::All },
    Case { name: "load 9423 rules", events: Events::None, rules: Rules::Copied(2) },
];

impl Case {
    /// The row of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        CASES.into_iter().find(|case| case.name == name)
    }

    /// Whether alerts over windows are counted, and not matches.
    #[must_use]
    pub fn counts(&self) -> bool {
        match self.rules {
            Rules::Twice | Rules::Addresses => true,
            Rules::Cloud | Rules::All | Rules::Some(_) | Rules::Copied(_) => false,
        }
    }
}

impl Rules {
    /// The rules' text.
    ///
    /// # Errors
    /// [`SigmaHqError`] if the archive cannot be read.
    pub fn files(self, sigma: &SigmaHq) -> Result<Vec<RuleFile>, SigmaHqError> {
        Ok(match self {
            Self::Cloud => sigma.rules(sigmahq::CLOUD)?,
            Self::All => sigma.rules(sigmahq::ALL)?,
            Self::Some(count) => sigmahq::some(&sigma.rules(sigmahq::ALL)?, count, SEED),
            Self::Copied(copies) => {
                let rules = sigma.rules(sigmahq::ALL)?;
                let mut files = rules.clone();
                (1..=copies).for_each(|copy| files.extend(sigmahq::altered(&rules, copy)));
                files
            }
            Self::Twice => vec![counting("twice", "type: event_count", "gte: 2")],
            Self::Addresses => {
                let condition = format!("field: sourceIPAddress, gte: {VALUES}");
                vec![counting("addresses", "type: value_count", &condition)]
            }
        })
    }
}

fn counting(name: &str, what: &str, condition: &str) -> RuleFile {
    let text = format!(
        "title: Read of an object\nid: 5b1d9d7e-4a55-4c4e-9e0c-0d2f4c8a6b01\nname: read\nstatus: test\n\
         logsource: {{product: aws, service: cloudtrail}}\n\
         detection:\n  selection: {{eventName: GetObject}}\n  condition: selection\nlevel: informational\n---\n\
         title: Reads by one caller\nid: 5b1d9d7e-4a55-4c4e-9e0c-0d2f4c8a6b02\nstatus: test\n\
         correlation:\n  {what}\n  rules: [read]\n  group-by: [userIdentity.arn]\n  timespan: 1h\n\
         \x20 condition: {{{condition}}}\nlevel: low\n"
    );
    RuleFile { path: format!("{name}.yml"), text }
}

impl Events {
    /// How our engine is told what it reads: nothing, but for Windows, whose events are plain JSON.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Windows(_) => Format::Known(Kind::Json),
            Self::None | Self::Cloudtrail(_) | Self::Mixed(_) | Self::Keys { .. } | Self::HotKey => Format::Auto,
        }
    }

    /// The log source that all these events are of; nothing for a mixture.
    #[must_use]
    pub fn log_source(self) -> Option<LogSource> {
        let of = |product: &str, service: Option<&str>| {
            Some(LogSource { product: Some(product.into()), service: service.map(str::to_owned), category: None })
        };
        match self {
            Self::None | Self::Mixed(_) => None,
            Self::Windows(_) => of("windows", None),
            Self::Cloudtrail(_) | Self::Keys { .. } | Self::HotKey => of("aws", Some("cloudtrail")),
        }
    }

    /// Writes the events into a file of `folder`, one a line, and answers where. What an earlier run wrote is
    /// taken as it is: equal names hold equal events.
    ///
    /// # Errors
    /// [`SigmaHqError`] if a source of templates or the file fails.
    pub fn write(self, shared: &Path, sigma: &SigmaHq, folder: &Path) -> Result<PathBuf, SigmaHqError> {
        let path = folder.join(self.file_name());
        if path.is_file() {
            return Ok(path);
        }
        let from: Timestamp = "2026-11-18T08:00:00Z".parse().unwrap_or_default();
        let alone = |templates| vec![Lane { weight: 1, templates }];
        let records: Box<dyn Iterator<Item = String>> = match self {
            Self::None => Box::new(std::iter::empty()),
            Self::Cloudtrail(events) => {
                Box::new(corpus::mixture(&alone(corpus::cloudtrail(shared)?), events, from, SEED).into_iter())
            }
            Self::Mixed(events) => Box::new(corpus::mixture(&corpus::mixed(shared)?, events, from, SEED).into_iter()),
            Self::Windows(events) => {
                Box::new(corpus::mixture(&alone(corpus::windows(sigma)?), events, from, SEED).into_iter())
            }
            Self::Keys { late_percent } => {
                Box::new(corpus::keys(Keys { keys: KEYS, times: 2, late_percent, seed: SEED }, from))
            }
            Self::HotKey => Box::new(corpus::keys(Keys { keys: 1, times: VALUES, late_percent: 0, seed: SEED }, from)),
        };
        let written = write_lines(&path, records);
        written.map_err(|source| corpus::ReadError { path: path.clone(), source })?;
        Ok(path)
    }

    fn file_name(self) -> String {
        match self {
            Self::None => "none.jsonl".to_owned(),
            Self::Cloudtrail(events) => format!("cloudtrail-{events}.jsonl"),
            Self::Mixed(events) => format!("mixed-{events}.jsonl"),
            Self::Windows(events) => format!("windows-{events}.jsonl"),
            Self::Keys { late_percent } => format!("keys-{KEYS}-{late_percent}.jsonl"),
            Self::HotKey => format!("values-{VALUES}.jsonl"),
        }
    }
}

/// Written aside and then renamed, so that a file which is there is whole.
fn write_lines(path: &Path, lines: impl Iterator<Item = String>) -> io::Result<()> {
    let aside = path.with_extension("part");
    let mut file = io::BufWriter::new(fs::File::create(&aside)?);
    for line in lines {
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
    }
    file.into_inner()?.sync_all()?;
    fs::rename(aside, path)
}

#[cfg(test)]
mod tests {
    use engine::rule::RuleSet;

    use super::*;

    #[test]
    fn a_case_is_found_by_its_name_and_no_two_share_one() {
        for (place, case) in CASES.iter().enumerate() {
            assert_eq!(CASES.iter().position(|other| other.name == case.name), Some(place));
            assert_eq!(Case::named(case.name).map(|found| found.events), Some(case.events));
        }
    }

    #[test]
    fn our_own_rules_compile() {
        for (what, condition) in [("type: event_count", "gte: 2"), ("type: value_count", "field: a, gte: 3")] {
            let (rules, problems) = RuleSet::compile(&[counting("x", what, condition)]);
            assert_eq!((rules.rules().len(), problems), (2, Vec::new()));
        }
    }
}
