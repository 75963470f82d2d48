//! `docs/config.md`, made from the comments beside the settings themselves, so that it cannot fall behind.
//!
//! A line scanner, not a parser: it knows how our own settings are written (`pub struct`, `///`,
//! `#[serde(default = "…")]`, `pub name: Type`), and a test compares the page with the one in `docs/`.

const CONFIG: &str = include_str!("config.rs");
const COVERAGE: &str = include_str!("config/coverage.rs");
const ENRICHMENT: &str = include_str!("config/enrichment.rs");
const ORGANISATION: &str = include_str!("config/organisation.rs");
const LEDGERS: &str = include_str!("config/lineage.rs");
const ACCOUNTS: &str = include_str!("../crates/connect/src/accounts.rs");
const FILE: &str = include_str!("../crates/connect/src/source/file.rs");
const HTTP: &str = include_str!("../crates/connect/src/source/http.rs");
const GITHUB: &str = include_str!("../crates/connect/src/source/github.rs");
const GITHUB_AUDIT: &str = include_str!("../crates/connect/src/source/github_audit/settings.rs");
const GITLAB: &str = include_str!("../crates/connect/src/source/gitlab.rs");
const SPLUNK: &str = include_str!("../crates/connect/src/source/splunk.rs");
const OTLP: &str = include_str!("../crates/connect/src/source/otlp.rs");
const OKTA: &str = include_str!("../crates/connect/src/source/okta.rs");
const FIREHOSE: &str = include_str!("../crates/connect/src/source/firehose.rs");
const SYSLOG: &str = include_str!("../crates/connect/src/source/syslog.rs");
const SYSLOG_TLS: &str = include_str!("../crates/connect/src/source/syslog/tls.rs");
const PUBSUB: &str = include_str!("../crates/connect/src/source/pubsub/settings.rs");
const PUBSUB_PUSH: &str = include_str!("../crates/connect/src/source/pubsub_push.rs");
const CLOUDWATCH: &str = include_str!("../crates/connect/src/source/cloudwatch/settings.rs");
const KINESIS: &str = include_str!("../crates/connect/src/source/kinesis/settings.rs");
const AWS: &str = include_str!("../crates/connect/src/source/aws.rs");
const SQS: &str = include_str!("../crates/connect/src/source/sqs/settings.rs");
const S3: &str = include_str!("../crates/connect/src/source/s3/settings.rs");
const DIGESTS: &str = include_str!("../crates/connect/src/source/digests/settings.rs");
const KAFKA: &str = include_str!("../crates/connect/src/source/kafka/settings.rs");
const WEBHOOK: &str = include_str!("../crates/connect/src/sink/webhook.rs");
const SLACK: &str = include_str!("../crates/connect/src/sink/slack.rs");
const PAGERDUTY: &str = include_str!("../crates/connect/src/sink/pagerduty.rs");
const STDOUT: &str = include_str!("../crates/connect/src/sink/stdout.rs");
/// Where sinks keep the constants that they share.
const POST: &str = include_str!("../crates/connect/src/sink/post.rs");

/// Heading, source text, name of the structure; in the order of the page.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("## The file", CONFIG, "Config"),
    ("## `sources.<name>`", CONFIG, "Source"),
    ("### `file`", FILE, "Settings"),
    ("### `stdin`", CONFIG, "Stdin"),
    ("### `http`", HTTP, "Settings"),
    ("### `github`", GITHUB, "Settings"),
    ("### `github_audit`", GITHUB_AUDIT, "Settings"),
    ("### `app`", GITHUB_AUDIT, "App"),
    ("### `gitlab`", GITLAB, "Settings"),
    ("### `splunk`", SPLUNK, "Settings"),
    ("### `otlp`", OTLP, "Settings"),
    ("### `okta`", OKTA, "Settings"),
    ("### `firehose`", FIREHOSE, "Settings"),
    ("### `syslog`", SYSLOG, "Settings"),
    ("### `tls`", SYSLOG_TLS, "Tls"),
    ("### `pubsub`", PUBSUB, "Settings"),
    ("### `pubsub_push`", PUBSUB_PUSH, "Settings"),
    ("### `cloudwatch`", CLOUDWATCH, "Settings"),
    ("### `sqs`", SQS, "Settings"),
    ("### `s3`", S3, "Settings"),
    ("### `digests`", DIGESTS, "Settings"),
    ("### `kinesis`", KINESIS, "Settings"),
    ("### `role`", AWS, "Role"),
    ("### `kafka`", KAFKA, "Settings"),
    ("## `sinks.<name>`", CONFIG, "Sink"),
    ("### `webhook`", WEBHOOK, "Settings"),
    ("### `slack`", SLACK, "Settings"),
    ("### `pagerduty`", PAGERDUTY, "Settings"),
    ("### `stdout`", STDOUT, "Settings"),
    ("## `routes[]`", CONFIG, "Route"),
    ("## `coverage`", COVERAGE, "Coverage"),
    ("### `expect[]`", COVERAGE, "Expect"),
    ("### `organization`", ACCOUNTS, "Settings"),
    ("## `enrichment`", ENRICHMENT, "Enrichment"),
    ("## `organisation`", ORGANISATION, "Organisation"),
    ("## `lineage`", LEDGERS, "Lineage"),
    ("## `deploys`", LEDGERS, "Deploys"),
    ("## `archive`", CONFIG, "Archive"),
    ("## `state`", CONFIG, "State"),
    ("## `retention`", CONFIG, "Retention"),
    ("## `ingest`", CONFIG, "Ingest"),
];

const INTRODUCTION: &str = "\
# Configuration

Generated from the comments in the source by `make docs`; a test compares. A commented example stands in
[deploy/lapwing.example.yaml](../deploy/lapwing.example.yaml).

One YAML file, named by `--config` or `LAPWING_CONFIG`, else `lapwing.yaml` in the current folder. A key that is not
listed here is refused with file, line and column. `lapwing check lapwing.yaml` reads the file and everything that it
names without connecting to anything. Rules, mappings, files of `enrichment` and `sources` are read again while it runs; all else takes effect at
the next start.

**Environment.** `${NAME}` is replaced by the environment variable before the YAML is read; one that is not set is an
error. Inside double quotes any value is safe, without quotes only letters, digits and `_-./+=@` are let through.
`$${` stands for a literal `${`. Comments are left alone.

**Secrets** are text, usually `\"${NAME}\"`, or `{file: path}`; a file is read when Lapwing starts. They are never printed.

**Lengths of time** are written `250ms`, `10s`, `5m`, `1h`, `90d`.
";

/// One setting as its comment and type say it.
#[derive(Debug, PartialEq, Eq)]
struct Setting<'a> {
    name: &'a str,
    sort: &'a str,
    default: Option<String>,
    text: String,
}

/// One structure of settings.
#[derive(Debug, Default)]
struct Section<'a> {
    text: String,
    settings: Vec<Setting<'a>>,
}

/// The page `docs/config.md`.
#[must_use]
pub(crate) fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for (heading, source, name) in SECTIONS.iter().copied() {
        let section = read(source, name);
        page += &format!("\n{heading}\n\n{}\n", section.text);
        if section.settings.is_empty() {
            page += "\nIt has no settings: write `{}`.\n";
            continue;
        }
        page += "\n| key | value | default | meaning |\n|---|---|---|---|\n";
        for Setting { name, sort, default, text } in section.settings {
            let default = default.unwrap_or_else(|| "required".to_owned());
            page += &format!("| `{name}` | {} | {default} | {text} |\n", words(sort).unwrap_or(sort));
        }
    }
    page
}

/// Reads the structure `name` out of Rust source.
fn read<'a>(source: &'a str, name: &str) -> Section<'a> {
    let mut section = Section::default();
    let (mut comment, mut default, mut inside) = (String::new(), None, false);
    let (open, empty) = (format!("struct {name} {{"), format!("struct {name} {{}}"));
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment += text;
        } else if let Some(attribute) = line.strip_prefix("#[serde(") {
            default = attribute.contains("default").then(|| attribute.to_owned());
        } else if let Some(feature) = line.strip_prefix("#[cfg(feature = ") {
            comment += &format!(" Needs the feature {}.", feature.trim_end_matches(")]").replace('"', "`"));
        } else if line.ends_with(&open) || line.ends_with(&empty) {
            section.text = sentence(&std::mem::take(&mut comment));
            inside = !line.ends_with(&empty);
        } else if inside && line == "}" {
            break;
        } else if inside && let Some((name, sort)) = line.strip_prefix("pub ").and_then(|line| line.split_once(": ")) {
            let sort = sort.trim_end_matches(',');
            let absent = if comment.contains("Default") { "see right" } else { "none" };
            let default = match default.take() {
                Some(_) | None if sort.starts_with("Option<") => Some(absent.to_owned()),
                Some(attribute) => Some(default_of(&attribute, sort, source)),
                None => None,
            };
            let text = std::mem::take(&mut comment).trim().replace('|', "\\|");
            section.settings.push(Setting { name, sort, default, text });
        } else if !line.starts_with("#[derive(") {
            comment.clear();
        }
    }
    section
}

/// A structure's comment without the name in front of it.
fn sentence(comment: &str) -> String {
    let text = comment.trim();
    let text = text.strip_prefix('`').and_then(|text| text.split_once("`: ")).map_or(text, |(_, rest)| rest);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What `default` or `default = "function"` stands for.
fn default_of(attribute: &str, sort: &str, source: &str) -> String {
    match attribute.split_once("default = \"").and_then(|(_, rest)| rest.split_once('"')) {
        Some((function, _)) => {
            let mut lines = source.lines().skip_while(|line| !line.contains(&format!("fn {function}() -> ")));
            format!("`{}`", value(lines.nth(1).unwrap_or_default().trim(), source))
        }
        None => match sort {
            "bool" => "`false`".to_owned(),
            "usize" => "`0`".to_owned(),
            "Archive" | "State" | "Retention" | "Ingest" | "Coverage" | "Enrichment" | "Organisation" | "Lineage"
            | "Deploys" => "see below".to_owned(),
            // These say it in their own words.
            "Start" | "Rate" | "Begin" | "Beginning" | "Zone" => "see right".to_owned(),
            _ => "none".to_owned(),
        },
    }
}

/// A constant expression as the configuration would write it.
fn value(expression: &str, source: &str) -> String {
    // Digits are grouped in the source.
    let grouped = |at: usize| expression.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
    let is_group = |at: usize| at > 0 && expression.as_bytes()[at - 1].is_ascii_digit() && grouped(at);
    let expression: String = expression
        .char_indices()
        .filter(|&(at, letter)| letter != '_' || !is_group(at))
        .map(|(_, letter)| letter)
        .collect();
    let expression = expression.as_str();
    let within = |open: &str, close| expression.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    if let Some(seconds) = within("Duration::from_secs(", ")").and_then(|number| number.parse::<u64>().ok()) {
        if seconds % 86_400 == 0 {
            return format!("{}d", seconds / 86_400);
        }
        return if seconds % 60 == 0 { format!("{}m", seconds / 60) } else { format!("{seconds}s") };
    }
    if let Some(millis) = within("Duration::from_millis(", ")") {
        return format!("{millis}ms");
    }
    if let Some((_, rest)) = expression.split_once('"') {
        return rest.split('"').next().unwrap_or_default().to_owned();
    }
    if let Some(numbers) = within("SocketAddr::from(([", "))") {
        return numbers.replace("], ", ":").replace(", ", ".");
    }
    if let Some((number, shift)) = expression.split_once(" << ")
        && let (Ok(number), Ok(shift)) = (number.parse::<u64>(), shift.parse::<u32>())
    {
        return (number << shift).to_string();
    }
    let name = expression.trim_end_matches(".to_owned()");
    let constant = |text: &str| {
        let (_, rest) = text.split_once(&format!("const {name}: "))?;
        Some(rest.split_once(" = ")?.1.split_once(';')?.0.to_owned())
    };
    if name.bytes().all(|byte| byte.is_ascii_uppercase())
        && let Some(constant) = constant(source).or_else(|| constant(POST))
    {
        return value(&constant, source);
    }
    expression.rsplit("::").next().unwrap_or(expression).to_lowercase()
}

/// A type in a reader's words; one that is not known here stands as it is, to be seen in review.
fn words(sort: &str) -> Option<&'static str> {
    let sort = sort.strip_prefix("Option<").and_then(|sort| sort.strip_suffix('>')).unwrap_or(sort);
    let known = match sort {
        "PathBuf" => "path",
        "Vec<PathBuf>" => "paths",
        "BTreeMap<String, PathBuf>" => "paths by name",
        "engine::time::Zone" => "name of a zone",
        "SocketAddr" => "address and port",
        "Secret" => "secret",
        "Vec<Secret>" => "secrets",
        "String" | "Subscription" => "text",
        "Include" => "`web`, `git` or `all`",
        "Credentials" => "`default`, `none` or path",
        "bool" => "`true` or `false`",
        "usize" | "u32" | "u64" | "Rate" => "number",
        "Duration" => "length of time",
        "Budget" => "alerts a day",
        "Severity" => "`informational` `low` `medium` `high` `critical`",
        "Format" => "kind, or `auto`",
        "Vec<engine::event::Kind>" | "Vec<Kind>" => "kinds",
        "Vec<String>" | "Names" | "LogGroups" | "Prefixes" => "names",
        "Properties" => "names and texts",
        "Vec<Net>" => "networks",
        "deploys::Policy" => "a policy",
        "BTreeMap<String, Vec<String>>" => "lists by name",
        "BTreeMap<String, Secret>" => "names and secrets",
        "Start" => "length of time or moment",
        "Begin" => "length of time, moment or key",
        "Beginning" => "`trim_horizon`, length of time or moment",
        "Stream" => "name or ARN",
        "Zone" => "`utc`, `local` or a distance",
        "Framing" => "`lines` or `document`",
        "BTreeMap<String, Source>"
        | "BTreeMap<String, Sink>"
        | "Vec<Route>"
        | "Vec<Expect>"
        | "Coverage"
        | "Enrichment"
        | "Organisation"
        | "Lineage"
        | "Deploys"
        | "Archive"
        | "State"
        | "Retention"
        | "Ingest"
        | "App"
        | "Role"
        | "Tls" => "see below",
        other if other.ends_with("::Settings") || other == "Stdin" => "see below",
        _ => return None,
    };
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_what_the_source_says() {
        let kept = std::fs::read_to_string("docs/config.md").unwrap_or_default();
        assert!(kept == page(), "docs/config.md is not up to date: run `make docs`");
    }

    #[test]
    fn every_section_is_found_and_every_type_and_default_has_words() {
        for (heading, source, name) in SECTIONS.iter().copied() {
            let section = read(source, name);
            assert!(!section.text.is_empty(), "{heading}");
            for Setting { name, sort, default, text } in section.settings {
                assert!(words(sort).is_some(), "{heading} {name}: no words for {sort}");
                assert!(!text.is_empty(), "{heading} {name} has no comment");
                assert!(!default.unwrap_or_default().contains('('), "{heading} {name}: no words for its default");
            }
        }
    }

    #[test]
    fn defaults_are_written_as_the_configuration_writes_them() {
        for (expression, written) in [
            ("Duration::from_secs(600)", "10m"),
            ("Duration::from_millis(250)", "250ms"),
            ("PathBuf::from(\"/var/lib/lapwing\")", "/var/lib/lapwing"),
            ("SocketAddr::from(([127, 0, 0, 1], 8686))", "127.0.0.1:8686"),
            ("10 << 10", "10240"),
            ("Format::Auto", "auto"),
            ("TIMEOUT", "20s"),
        ] {
            assert_eq!(value(expression, CONFIG), written);
        }
    }
}
