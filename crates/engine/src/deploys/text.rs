//! Small questions about names and words that records of every vendor are asked.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// Longest line of a message that is kept: tickets stand at its beginning.
const LINE_CHARS_MAX: usize = 200;

/// In small letters, for hosts that do not tell letters apart.
pub(super) fn small(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// The first line of a message, cut.
pub(super) fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(LINE_CHARS_MAX).collect()
}

/// The files of these pushed commits that say what a pipeline does, each once.
pub(super) fn pipeline_files<'v>(commits: impl Iterator<Item = &'v Value>) -> Vec<String> {
    let files = commits.flat_map(|commit| ["added", "modified", "removed"].map(|name| commit.get(name)));
    let files = files.flatten().filter_map(JsonContainerTrait::as_array).flat_map(|files| files.iter());
    let mut found: Vec<String> =
        files.filter_map(JsonValueTrait::as_str).filter(|file| is_pipeline_file(file)).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a file says what a pipeline does.
fn is_pipeline_file(path: &str) -> bool {
    const FOLDERS: [&str; 4] = [".github/workflows/", ".github/actions/", ".gitlab/ci/", ".circleci/"];
    const NAMES: [&str; 9] = [
        ".gitlab-ci.yml",
        ".gitlab-ci.yaml",
        "Jenkinsfile",
        "buildspec.yml",
        "buildspec.yaml",
        "cloudbuild.yaml",
        "cloudbuild.yml",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    FOLDERS.iter().any(|folder| path.starts_with(folder)) || NAMES.contains(&name)
}

/// A commit, in whole.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a name is of a pattern, whose `*` is any text. Letters are told apart; cost: length times stars at worst.
pub(super) fn is_like(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (name, pattern, expected) in [
            ("main", "main", true),
            ("main2", "main", false),
            ("release/1.2", "release/*", true),
            ("release", "release/*", false),
            ("a-prod-b", "*prod*", true),
            ("acme/orders", "*", true),
            ("aXbXc", "a*b*c", true),
            ("ab", "a*b*b", false),
            ("", "", true),
        ] {
            assert_eq!(is_like(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn files_that_say_what_a_pipeline_does_are_known() {
        for (path, expected) in [
            (".github/workflows/deploy.yml", true),
            ("services/orders/buildspec.yml", true),
            (".gitlab-ci.yml", true),
            ("docs/.github/workflows.md", false),
            ("src/main.rs", false),
        ] {
            assert_eq!(is_pipeline_file(path), expected, "{path}");
        }
    }
}
