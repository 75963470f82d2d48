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
        /// Configuration files, rule files or folders of rules; without any, the shipped rules.
        paths: Vec<PathBuf>,
        /// What to print: words on standard error, or one JSON object a finding on standard output.
        #[arg(long, value_enum, default_value = "text")]
        format: Findings,
        #[command(flatten)]
        lints: Lints,
        #[command(flatten)]
        placeholders: Given,
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
        placeholders: Given,
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
    /// Writes the generated pages of docs/ anew.
    #[command(hide = true)]
    Docs,
    /// Prints the version.
    Version,
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
    pub placeholders: Given,
}

/// What the user gives to rules.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Given {
    /// YAML of what `%name%` stands for in rules that use `|expand`, as `name: [value, value]`.
    #[arg(long = "placeholders", value_name = "FILE")]
    pub file: Option<PathBuf>,
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
