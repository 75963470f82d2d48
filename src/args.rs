//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use engine::event::LogSource;
use engine::normalise::Format;

/// Watches pipeline and cloud audit logs and raises the alarm on suspicious deploys and credential use.
#[derive(Debug, Parser)]
#[command(name = "lapwing", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do. Exit status: 0 done, 1 something is wrong in rules, tests or configuration, 2 wrong use.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the service.
    Run {
        /// The configuration.
        #[arg(long, default_value = "lapwing.yaml", env = "LAPWING_CONFIG")]
        config: PathBuf,
    },
    /// Runs the service on a sample day with an attack in it, in a temporary folder.
    Demo {
        /// Address of the console.
        #[arg(long, default_value = "127.0.0.1:8686")]
        listen: std::net::SocketAddr,
        /// Stop when the day has been played, instead of serving the console until Ctrl-C.
        #[arg(long)]
        once: bool,
    },
    /// Checks configuration and rules, and says what is wrong where.
    Check {
        /// Configuration files, mapping files, rule files or folders of rules; without any, the shipped rules.
        paths: Vec<PathBuf>,
        /// What to print: words on standard error, or one JSON object a finding on standard output.
        #[arg(long, value_enum, default_value = "text")]
        format: Findings,
        /// Try each source of the configurations too: whether its system answers, and lets us read what is named. Reads
        /// only; a service that runs is not disturbed.
        #[arg(long)]
        connect: bool,
        #[command(flatten)]
        lints: Lints,
        #[command(flatten)]
        given: Given,
    },
    /// Runs the events that rules carry: those that must match and those that must not.
    Test {
        /// Rule files or folders; without any, the shipped rules.
        paths: Vec<PathBuf>,
        /// A folder of SigmaHQ regression data: each `info.yml` in it names a rule, and says how many of the events
        /// beside it must match.
        #[arg(long, value_name = "DIR")]
        regression: Option<PathBuf>,
        /// What to print: words on standard error, one JSON object a test, or JUnit XML.
        #[arg(long, value_enum, default_value = "text")]
        format: Report,
        #[command(flatten)]
        given: Given,
    },
    /// Says for each input line which detection rules match. No state, no alerts.
    ///
    /// Rules that are broken are named and left out; the exit status is then 1, after all is printed.
    Match {
        #[command(flatten)]
        input: Input,
        /// Print the titles of the rules beside their ids.
        #[arg(long)]
        titles: bool,
    },
    /// Runs the whole engine over files as fast as it goes and prints the alerts, one a line.
    ///
    /// Rules that are broken are named and left out; the exit status is then 1, after all is printed.
    Replay {
        #[command(flatten)]
        input: Input,
        /// Keep the alerts in a store in this folder as well.
        #[arg(long)]
        store: Option<PathBuf>,
    },
    /// Follows one credential back to the person, run or service that it came from, and forward to what it minted.
    ///
    /// Reads files only, in any order; no service, no state. Exit status 1 if none of them tells of it.
    Trace(crate::command::trace::Asked),
    /// Says what should arrive (`coverage:` of the configuration) and whether it does. Reads the store; the service may run.
    ///
    /// Prints what is missing, silent, unexpected or waited for, and with `--all` what arrives as well. Exit status 1 if
    /// anything is missing or silent.
    Coverage {
        #[command(flatten)]
        place: Place,
        /// What arrives as it should, too.
        #[arg(long)]
        all: bool,
        /// All of it, one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Lists deploys, and what explains each: the session, run, commit, review and approval behind it. Of log files, or,
    /// if none is named, those that the service has judged: it may run.
    ///
    /// The unexplained come first. Exit status 1 if one of those that are printed is unexplained. Files are taken to be
    /// whole; a kind of log that is not among them counts as not onboarded, which makes a verdict unknown.
    Deploys(Deployed),
    /// Looks after the data folder: check it, copy it, bring it back, bring it up to date.
    #[command(subcommand)]
    Store(Upkeep),
    /// Writes the generated pages of docs/ anew.
    #[command(hide = true)]
    Docs,
    /// Prints the version.
    Version,
}

/// What to do with the data folder. It holds all that Lapwing knows: alerts, messages that wait, how far sources were
/// read, what windows have counted, and the archive of events.
#[derive(Debug, Subcommand)]
pub(crate) enum Upkeep {
    /// Reads all of it and says whether it is sound. Writes nothing; the service may run.
    ///
    /// Reads every page of the store, every alert and message, what windows have saved, and unpacks all of the archive:
    /// about as long as reading the folder takes. Exit status 1 if something is wrong, and each fault in words.
    Verify {
        #[command(flatten)]
        place: Place,
    },
    /// Copies it as of one moment into a new folder. The service may run and is not held up.
    ///
    /// The copy is complete once the folder is there: written to disk, and read again as `verify` does. It is a data
    /// folder like any other: `restore` brings it back, and a service can be started on it.
    Backup {
        /// Folder to make, on another disk if it is to survive this one. Never overwritten.
        target: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Brings a backup back into an empty or absent data folder. The service must be stopped.
    ///
    /// Sources are then read on from where they stood in the backup, so what came since is read again: no alert of it is
    /// lost, and its messages are sent again under the same ids. What was pushed by HTTP since then must be pushed again.
    Restore {
        /// Folder of the backup; it stays as it is.
        from: PathBuf,
        /// Move what is in the data folder aside, into a folder in it, instead of refusing.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Brings the store up to date with this Lapwing. The service must be stopped.
    ///
    /// The service does so at its start, too. Here it is done on purpose, the file is rewritten if that lets it shrink
    /// later (which takes as much free disk as the store has), and the result is checked.
    Migrate {
        /// Give up what windows have counted, which is the way out if another version wrote it and this one cannot read
        /// it. Alerts, messages, positions and counted ids stay; a backup is written into the data folder first.
        #[arg(long)]
        forget_windows: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the data folder is.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The data folder itself.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data: Option<PathBuf>,
    /// The configuration, whose `data` names the folder.
    #[arg(long, default_value = "lapwing.yaml", env = "LAPWING_CONFIG")]
    pub config: PathBuf,
}

/// What is read, and with which rules.
#[derive(Debug, clap::Args)]
pub(crate) struct Input {
    /// Kind of log, such as aws.cloudtrail; `auto` recognises each record.
    #[arg(long, value_parser = parse_format)]
    pub kind: Format,
    /// Rule files or folders; without any, the shipped rules.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
    /// For `--kind json`: the Sigma log source of the input, such as `product=windows,service=security`.
    #[arg(long, value_parser = parse_log_source)]
    pub logsource: Option<LogSource>,
    /// Files, plain or compressed with gzip or zstd; `-` is standard input. A `*.json` file is one document,
    /// unless a second line follows a first one that is whole; any other is lines.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub given: Given,
}

/// Which deploys are asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Deployed {
    /// Log files as for `replay`, or folders of them (`*.json`, `*.jsonl`, `*.ndjson`, `*.log`, `*.gz`, `*.zst`).
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub place: Place,
    /// Kind of log; `auto` recognises each record.
    #[arg(long, value_parser = parse_format, default_value = "auto")]
    pub kind: Format,
    /// YAML of what each environment asks of a deploy; without it, one environment with the defaults.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// One JSON object a deploy.
    #[arg(long)]
    pub json: bool,
    /// Only those with this verdict.
    #[arg(long, value_enum)]
    pub verdict: Option<Verdict>,
}

/// What was made of a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verdict {
    Unexplained,
    Unknown,
    Explained,
}

impl From<Verdict> for engine::deploys::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Unexplained => Self::Unexplained,
            Verdict::Unknown => Self::Unknown,
            Verdict::Explained => Self::Explained,
        }
    }
}

/// What the user gives to rules.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Given {
    /// YAML of what `%name%` stands for in rules that use `|expand`, as `name: [value, value]`.
    #[arg(long, value_name = "FILE")]
    pub placeholders: Option<PathBuf>,
    /// Files or folders of mappings, beside the shipped ones: which names of a field mean the same.
    #[arg(long, value_name = "PATH")]
    pub mappings: Vec<PathBuf>,
    /// YAML of what is known of addresses, as `enrichment:` of a configuration says it.
    #[arg(long, value_name = "FILE")]
    pub enrichment: Option<PathBuf>,
    /// Time zone of habits of the week, such as `Europe/Berlin`, as `organisation.time_zone` of a configuration says it.
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<engine::time::Zone>,
}

/// What `check` makes of what is only odd.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Lints {
    /// What ends with status 1 although rules work.
    #[arg(long, value_enum)]
    pub deny: Option<Deny>,
    /// Name of a lint whose findings are left out; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = parse_lint)]
    pub allow: Vec<String>,
}

/// What `check --deny` takes for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Deny {
    Warnings,
}

/// How `check` prints what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Findings {
    Text,
    Json,
}

/// How `test` prints what came of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Report {
    Text,
    Json,
    Junit,
}

fn parse_format(name: &str) -> Result<Format, engine::event::UnknownKind> {
    crate::config::format_of(name)
}

fn parse_lint(name: &str) -> Result<String, String> {
    match engine::rule::RuleSet::unknown_lint(name) {
        None => Ok(name.to_owned()),
        Some(message) => Err(message),
    }
}

fn parse_log_source(text: &str) -> Result<LogSource, String> {
    let mut source = LogSource::default();
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not name=value"))?;
        let slot = match name.trim() {
            "product" => &mut source.product,
            "service" => &mut source.service,
            "category" => &mut source.category,
            other => return Err(format!("{other:?} is not one of product, service, category")),
        };
        *slot = Some(value.trim().to_owned());
    }
    Ok(source)
}
