//! Takes secrets out of what is kept and shown: evidence, dead letters, keys of windows.
//!
//! Works on text, not on documents: a log line may be broken JSON, JSON inside a string of JSON, or no JSON at
//! all. Valid JSON stays valid. Time is linear in the text, whoever wrote it. A secret is known by the name
//! that it is stored under or by its own shape; one that has neither stays.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use regex::{Captures, Regex};

pub(crate) use plain::is_plain;

mod plain;

/// The text with every secret replaced by `[redacted <kind>]`; borrowed where there are none.
///
/// Access key ids (`AKIA…`) stay: they identify a credential and do not open anything. Cost: one look for the words that
/// secrets leave, and a search for each kind of secret that left one.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    after_look(text, traces(text))
}

/// The same of a text that nobody could read, and of which only its looks are known: a line of a private key may stand
/// there alone. What looks like the text of a key is taken out, too; of such a text little is lost with it.
#[must_use]
pub fn redact_unread(text: &str) -> String {
    let hide = |found: &Captures<'_>| {
        let word = found.get_match().as_str();
        if is_key_text(word) { "[redacted]".to_owned() } else { word.to_owned() }
    };
    KEY_TEXT.replace_all(&redact(text), hide).into_owned()
}

/// Whether a run of letters of base64 has them of both cases and digits. A digest in hexadecimal has not.
pub(crate) fn is_key_text(word: &str) -> bool {
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// As long as a secret key of AWS, or as the last line of a key in PEM.
static KEY_TEXT: LazyLock<Regex> = LazyLock::new(|| compile("[A-Za-z0-9+/]{40,}={0,2}"));

/// The text without the secrets that left these traces.
fn after_look(text: &str, traces: u16) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    if traces & NAMED != 0 && NAMES.is_match(text) {
        for names in [&*MEMBERS, &*PAIRS] {
            apply(&mut clean, |text| by_name(text, names));
        }
        apply(&mut clean, |text| ASSIGNMENTS.replace_all(text, assigned));
        apply(&mut clean, |text| LABELLED.replace_all(text, labelled));
    }
    for (place, (shape, replacement)) in SHAPES.iter().enumerate() {
        if traces & (1 << place) != 0 {
            apply(&mut clean, |text| shape.replace_all(text, *replacement));
        }
    }
    clean
}

/// What every name in [`ENDINGS`] holds: most records have none of it and skip the dear searches.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    compile("(?i)pass|pwd|private|secret|token|api.{0,2}key|assertion|cookie|authorization|credential")
});

/// `"clientSecret":"` with whatever backslashes the quotes carry inside strings of JSON.
static MEMBERS: LazyLock<Regex> =
    LazyLock::new(|| compile(r#""(?<name>[A-Za-z0-9_.:/ -]{1,100})(?<end>\\*)"\s*:\s*(?<open>\\*)""#));

/// `{"name":"DB_PASSWORD","value":"`: settings and environment variables as build and container services
/// list them. Only in this order, which is the one they use.
static PAIRS: LazyLock<Regex> = LazyLock::new(|| {
    let key = r#"(?i:"(?:name|key|parameterKey)\\*"\s*:\s*\\*"(?<name>[A-Za-z0-9_./-]{1,100}))"#;
    let value = r#"(?<end>\\*)"\s*,\s*\\*"(?i:value|parameterValue)\\*"\s*:\s*(?<open>\\*)""#;
    compile(&format!("{key}{value}"))
});

/// `DB_PASSWORD=…`, `?access_token=…`, `--password …`. The first character of the value is no colon, comma or
/// bracket, so that the quote before it cannot be the end of a string of JSON.
static ASSIGNMENTS: LazyLock<Regex> = LazyLock::new(|| {
    let equals = r#"\s?=\s?(?:\\*["'])?"#;
    compile(&format!(r"(?<keep>{NAME}{equals}|--(?<option>[A-Za-z-]{{1,100}})\s+){FIRST}{LATER}{{3,}}"))
});

/// `Password: …`, as people and tools print it. Longer than a value behind `=`, as prose looks like it too.
static LABELLED: LazyLock<Regex> =
    LazyLock::new(|| compile(&format!(r#"(?<keep>{NAME}\s?:\s{{1,4}}(?:\\*["'])?){FIRST}{LATER}{{5,}}"#)));

const NAME: &str = "(?<name>[A-Za-z0-9_.-]{1,100})";
const FIRST: &str = r#"[^\s:&"'\\,;(){}\[\]]"#;
const LATER: &str = r#"[^\s&"'\\,;(){}\[\]]"#;

/// Secrets that are known by sight. The beginning is kept where it names the issuer, and wherever it could be
/// the second half of an escape (`\n` before `pm_`).
static SHAPES: LazyLock<[(Regex, &str); 12]> = LazyLock::new(|| {
    let private_key = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=:, \s]|-[A-Za-z0-9]|\\+[nrt/])*(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)?";
    [
        (compile(private_key), "[redacted private key]"),
        (compile(r"(gh[opusr]_|github_pat_)[A-Za-z0-9_]{20,}"), "${1}[redacted github token]"),
        (compile(r"(ABSK)[A-Za-z0-9+/]{40,}=*"), "${1}[redacted aws api key]"),
        (compile(r"(xox[a-z]-|xapp-)[A-Za-z0-9-]{10,}"), "${1}[redacted slack token]"),
        (compile(r"(hooks\.slack\.com/[a-z]+/)[A-Za-z0-9/_-]+"), "${1}[redacted slack webhook]"),
        (compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"), "[redacted jwt]"),
        // Names of things in programs begin with `hf_` too, and are not of just this length.
        (
            compile(&format!(
                r"({})[A-Za-z0-9_-]{{20,}}(?:\.[A-Za-z0-9_-]+)*|(hf_)[A-Za-z]{{34}}\b",
                ISSUERS.join("|")
            )),
            "${1}${2}[redacted token]",
        ),
        (
            compile(
                r"(?i)(bearer\s+|authorization\s*[:=]\s*(?:[a-z0-9-]+\s+)?|secret_?(?:access_?)?key\s*[:=]?\s*)[a-z0-9._~+/-]{16,}=*",
            ),
            "${1}[redacted credential]",
        ),
        (compile(r#"(:(?:\\?/){2}[^\s/:@"'\\]{0,100}:)[^\s/@"'\\]{1,256}@"#), "${1}[redacted password]@"),
        (compile(r"(?i)((?:account|sharedaccess)key=|\bsig=)[a-z0-9+/%]{40,}=*"), "${1}[redacted azure key]"),
        // Secrets of applications of Entra ID: the mark stands behind three letters of their own.
        (compile(r"([A-Za-z0-9_~.]{3}[0-9]Q~)[A-Za-z0-9_~.-]{31,34}"), "${1}[redacted azure secret]"),
        (compile(r"(/api/webhooks/[0-9]{10,}/)[A-Za-z0-9_-]{20,}"), "${1}[redacted webhook]"),
    ]
});

/// What issuers put in front of their tokens, in the order of [`TRACES`]: of pipelines, registries, clouds and what they
/// deploy with.
const ISSUERS: [&str; 29] = [
    "glpat-",
    "glrt-",
    "gldt-",
    "glcbt-",
    "glptt-",
    "glagent-",
    "gloas-",
    "npm_",
    "hvs\\.",
    "hvb\\.",
    "hvr\\.",
    "dckr_[op]at_",
    "pypi-",
    "rubygems_",
    "sk_live_",
    "rk_live_",
    "sk_test_",
    "glsa_",
    "sntry[su]_",
    "sqp_",
    "squ_",
    "sqa_",
    "sk-ant-",
    "AIza",
    "GOCSPX-",
    "ya29\\.",
    "sha256~",
    "\\.atlasv1\\.",
    "dop_v1_",
];

/// What the name of a secret ends with, in lower case without separators, and what to call it.
const ENDINGS: [(&str, &str); 15] = [
    ("password", "password"),
    ("passwd", "password"),
    ("passphrase", "password"),
    ("dbpwd", "password"),
    ("userpwd", "password"),
    ("privatekey", "private key"),
    ("secretaccesskey", "secret key"),
    ("secretkey", "secret key"),
    ("apikey", "api key"),
    ("secret", "secret"),
    ("token", "token"),
    ("assertion", "token"),
    ("cookie", "cookie"),
    ("authorization", "credential"),
    ("credentials", "credential"),
];

/// Endings that hold no secret although they look like it: marks of pages and of repeated requests, and what
/// was made safe to log.
const HARMLESS: [&str; 10] = [
    "nexttoken",
    "pagetoken",
    "startingtoken",
    "paginationtoken",
    "continuationtoken",
    "clienttoken",
    "requesttoken",
    "idempotencytoken",
    "hashedtoken",
    "synctoken",
];

/// Words behind the name proper: `secretString`, `token_value`.
const CARRIERS: [&str; 6] = ["value", "string", "binary", "plaintext", "base64", "pem"];

/// Values that are settings rather than secrets.
const SETTINGS: [&str; 22] = [
    "",
    "true",
    "false",
    "null",
    "none",
    "enabled",
    "disabled",
    "required",
    "optional",
    "unchanged",
    "success",
    "failure",
    "expired",
    "invalid",
    "incorrect",
    "missing",
    "refreshed",
    "rejected",
    "accepted",
    "unknown",
    "undefined",
    "generated",
];

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant and a test compiles it")
}

fn apply(clean: &mut Cow<'_, str>, step: impl for<'a> Fn(&'a str) -> Cow<'a, str>) {
    if let Cow::Owned(changed) = step(clean) {
        *clean = Cow::Owned(changed);
    }
}

/// Which secret a name promises, if any. `secretId`, `tokenExpiry` and `passwordLastUsed` end otherwise.
fn secret_of(name: &str) -> Option<&'static str> {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| char::from(byte.to_ascii_lowercase()));
    let joined: String = letters.collect();
    let mut stem = joined.as_str();
    for carrier in CARRIERS {
        stem = stem.strip_suffix(carrier).unwrap_or(stem);
    }
    stem = stem.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if HARMLESS.iter().any(|harmless| stem.ends_with(harmless)) {
        return None;
    }
    ENDINGS.iter().find(|(ending, _)| stem.ends_with(ending)).map(|(_, kind)| *kind)
}

fn is_harmless(value: &str) -> bool {
    SETTINGS.iter().any(|setting| value.eq_ignore_ascii_case(setting))
        || value == "HIDDEN_DUE_TO_SECURITY_REASONS"
        || value.starts_with("[redacted ")
        || value.starts_with("arn:")
        || value.bytes().all(|byte| byte == b'*')
}

/// Replaces the string values behind the names that `names` finds.
fn by_name<'a>(text: &'a str, names: &Regex) -> Cow<'a, str> {
    let mut clean = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = names.captures_at(text, at) {
        let start = found.get_match().end();
        // The search goes on inside a value that stays: it may hold JSON itself.
        at = start;
        let Some(kind) = found.name("name").and_then(|name| secret_of(name.as_str())) else { continue };
        let backslashes = |name| found.name(name).map_or(0, |run| run.len());
        let Some(value) = value(text, start, backslashes("end"), backslashes("open")) else { continue };
        at = value.end;
        if !is_harmless(&text[value.clone()]) {
            clean.push_str(&text[copied..value.start]);
            clean.push_str(&format!("[redacted {kind}]"));
            copied = value.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

/// The string that begins at `start`, up to its closing quote or the end of a cut text.
///
/// Quotes inside `n` strings of JSON carry 2ⁿ − 1 backslashes; those around name and value must agree.
fn value(text: &str, start: usize, name_backslashes: usize, backslashes: usize) -> Option<Range<usize>> {
    let level = (0..5).find(|level| (1_usize << level) - 1 == backslashes)?;
    if name_backslashes != backslashes {
        return None;
    }
    let mut run = 0;
    for (offset, byte) in text.as_bytes()[start..].iter().enumerate() {
        match byte {
            b'\\' => run += 1,
            b'"' => {
                if let Some(own) = closes(run, level) {
                    return Some(start..start + offset - own);
                }
                run = 0;
            }
            _ => run = 0,
        }
    }
    Some(start..text.len())
}

/// Whether a quote behind a run of backslashes ends the string at `level` or one around it, and how many of
/// the backslashes are the quote's own.
fn closes(run: usize, level: usize) -> Option<usize> {
    let mut rest = run;
    for outer in 0..=level {
        if rest.is_multiple_of(2) {
            return Some((1 << outer) - 1);
        }
        rest /= 2;
    }
    None
}

fn assigned(found: &Captures<'_>) -> String {
    let whole = found.get_match().as_str();
    let name = found.name("name").or_else(|| found.name("option")).map_or("", |name| name.as_str());
    let keep = found.name("keep").map_or("", |keep| keep.as_str());
    match secret_of(name) {
        Some(kind) if !is_harmless(&whole[keep.len()..]) => format!("{keep}[redacted {kind}]"),
        _ => whole.to_owned(),
    }
}

/// The first word behind `Authorization:` is a scheme, and what follows it has a shape of its own.
fn labelled(found: &Captures<'_>) -> String {
    let is_header = found.name("name").and_then(|name| secret_of(name.as_str())) == Some("credential");
    if is_header { found.get_match().as_str().to_owned() } else { assigned(found) }
}

/// Marks a trace of a secret that is known by its name; the lower bits are places in [`SHAPES`].
const NAMED: u16 = 1 << 15;
/// A key or a credential behind its name, which [`SHAPES`] know as well.
const BOTH: u16 = NAMED | 1 << 7;
/// Any issuer's mark in front of a token.
const ISSUED: u16 = 1 << 6;

/// What stands in every text that [`redact`] changes, in lower case, and which secrets leave it. None begins with another.
const TRACES: [(&str, u16); 60] = [
    ("pass", NAMED),
    ("pwd", NAMED),
    ("private", NAMED),
    ("secret", BOTH),
    ("token", NAMED),
    ("api", NAMED),
    ("assertion", NAMED),
    ("cookie", NAMED),
    ("authorization", BOTH),
    ("credential", NAMED),
    ("bearer", BOTH),
    ("-----begin", 1),
    ("gho_", 1 << 1),
    ("ghp_", 1 << 1),
    ("ghs_", 1 << 1),
    ("ghu_", 1 << 1),
    ("ghr_", 1 << 1),
    ("github_pat_", 1 << 1),
    ("absk", 1 << 2),
    ("xox", 1 << 3),
    ("xapp-", 1 << 3),
    ("hooks.slack.com", 1 << 4),
    ("eyj", 1 << 5),
    ("glpat-", ISSUED),
    ("npm_", ISSUED),
    ("hvs.", ISSUED),
    ("hvb.", ISSUED),
    ("dckr_", ISSUED),
    ("pypi-", ISSUED),
    ("sk_live_", ISSUED),
    ("rk_live_", ISSUED),
    ("glrt-", ISSUED),
    ("gldt-", ISSUED),
    ("glcbt-", ISSUED),
    ("glptt-", ISSUED),
    ("glagent-", ISSUED),
    ("gloas-", ISSUED),
    ("hvr.", ISSUED),
    ("rubygems_", ISSUED),
    ("sk_test_", ISSUED),
    ("glsa_", ISSUED),
    ("sntry", ISSUED),
    ("hf_", ISSUED),
    ("sqp_", ISSUED),
    ("squ_", ISSUED),
    ("sqa_", ISSUED),
    ("sk-ant-", ISSUED),
    ("aiza", ISSUED),
    ("gocspx-", ISSUED),
    ("ya29.", ISSUED),
    ("sha256~", ISSUED),
    (".atlasv1.", ISSUED),
    ("dop_v1_", ISSUED),
    ("accesskey=", 1 << 9),
    ("accountkey=", 1 << 9),
    ("sig=", 1 << 9),
    ("q~", 1 << 10),
    ("/api/webhooks/", 1 << 11),
    (":/", 1 << 8),
    (":\\/", 1 << 8),
];

/// Looks for all of [`TRACES`] together, by their first bytes and many places at a time; an automaton, which goes byte by
/// byte, was 9 % of all time where every event matches.
static LOOK: LazyLock<Searcher> =
    LazyLock::new(|| Searcher::new(TRACES.map(|(word, _)| word)).expect("64 short words are few enough"));

/// Which secrets may stand in this text, as far as a fast look can tell: none that is there is missed.
fn traces(text: &str) -> u16 {
    // Beyond ASCII a letter may have more than two cases.
    if !text.is_ascii() {
        return u16::MAX;
    }
    let (lower, mut at, mut left) = (text.to_ascii_lowercase(), 0, 0);
    // A word may begin inside another, so the search goes on behind the beginning of what it found.
    while let Some(found) = LOOK.find_in(lower.as_bytes(), (at..lower.len()).into()) {
        left |= TRACES[found.pattern().as_usize()].1;
        at = found.start() + 1;
    }
    left
}

/// Longest [`label`], in characters; enough for any ARN.
pub(crate) const LABEL_CHARS_MAX: usize = 512;

/// A value of an event that stands in an alert, a key or a window: without secrets and of bounded length, yet
/// different values stay different, because what is hidden or cut leaves 4 bytes of its hash behind.
pub(crate) fn label(value: &str) -> String {
    if value.len() <= LABEL_CHARS_MAX && is_plain(value) {
        return value.to_owned();
    }
    let redacted = redact(value);
    let fits = redacted.chars().nth(LABEL_CHARS_MAX).is_none();
    if fits && redacted == value {
        return value.to_owned();
    }
    let hash = blake3::hash(value.as_bytes()).to_hex();
    let shown: String = redacted.chars().take(LABEL_CHARS_MAX).collect();
    format!("{shown} #{}", &hash[..8])
}

#[cfg(test)]
mod tests;
