//! What an environment asks of a deploy. Written in YAML by people, read by whoever has the file; here are the types, which
//! prove what they check.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::fact::Target;
use super::hours::Hours;
use super::record::What;
use super::text::is_like;
use crate::time::{Span, Timestamp};

/// What environments ask for. The first one that a target is of counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Environments, in the order in which they are asked.
    pub environments: Vec<Environment>,
    /// How long an identity must have been unseen in an environment to be new there, such as `30d`; the record must reach
    /// as far back. Default 7 d.
    #[serde(default = "week")]
    pub new_after: Length,
}

/// What one environment asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Its name in records.
    pub name: String,
    /// Which targets are of it; all if left out.
    #[serde(default, rename = "match")]
    pub of: Of,
    /// Repositories that may deploy there, as `acme/*`; any if left out.
    #[serde(default)]
    pub repositories: Vec<Pattern>,
    /// Whether a run of a pipeline must have done it. Default `required`.
    #[serde(default)]
    pub run: RunRule,
    /// Branches and tags that runs may be of. Default `main`, `master`, `release/*`; an empty list lets any be.
    #[serde(default = "branches")]
    pub branches: Vec<Pattern>,
    /// Whether somebody else must have approved the change. Default `required`.
    #[serde(default)]
    pub review: Rule,
    /// Whether somebody else must have let the run deploy. Default `none`.
    #[serde(default = "none")]
    pub approval: Rule,
    /// Names of checks that must have passed on the commit, as `build*`. Default none.
    #[serde(default)]
    pub checks: Vec<Pattern>,
    /// When deploys are usual; any time if left out.
    #[serde(default)]
    pub hours: Option<Hours>,
    /// How a ticket looks, as a regular expression; none is asked for if left out. Looked for in the title and branch of the
    /// request, the message of the commit, the comment of the approval and the description of the change.
    #[serde(default)]
    pub ticket: Option<Ticket>,
    /// Identities for emergencies: ARNs, `role/session`, names. Their use is always told.
    #[serde(default)]
    pub break_glass: Vec<Pattern>,
    /// When nothing may be deployed.
    #[serde(default)]
    pub freezes: Vec<Freeze>,
    /// Findings that are otherwise only told, and here make a deploy unexplained, as `pipeline_changed`.
    #[serde(default)]
    pub refuse: BTreeSet<What>,
    /// Findings that count for nothing here.
    #[serde(default)]
    pub ignore: BTreeSet<What>,
}

/// Which targets an environment has: those that are of every list here that is given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Of {
    /// Accounts, projects, subscriptions.
    #[serde(default)]
    pub accounts: Vec<Pattern>,
    /// Regions.
    #[serde(default)]
    pub regions: Vec<Pattern>,
    /// `lambda`, `kubernetes`, `run`.
    #[serde(default)]
    pub kinds: Vec<Pattern>,
    /// Names, as `orders-*`; of Kubernetes `namespace/deployment/name`.
    #[serde(default)]
    pub targets: Vec<Pattern>,
}

/// Whether something is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// It must be there.
    #[default]
    Required,
    /// It need not.
    None,
}

/// Whether a run is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunRule {
    /// One that fits must be there, and no other may fit as well.
    #[default]
    Required,
    /// One must be there by an id or by its receipt.
    Proven,
    /// It need not.
    None,
}

/// A name in which `*` is any text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

/// How a ticket looks.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Ticket(regex::Regex);

/// A length of time, such as `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Length(pub Span);

/// A time in which nothing may be deployed.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "FreezeText")]
pub struct Freeze {
    /// First moment of it.
    pub from: Timestamp,
    /// First moment after it.
    pub to: Timestamp,
    /// What people are told.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FreezeText {
    from: Timestamp,
    to: Timestamp,
    why: String,
}

/// What a policy says that cannot be meant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    /// An empty name would fit nothing.
    #[error("an empty name fits nothing; leave the list out to fit all")]
    Pattern,
    /// No regular expression.
    #[error("{0:?} is no regular expression: {1}")]
    Ticket(String, String),
    /// No length of time.
    #[error("{0:?} is no length of time such as 7d or 12h")]
    Length(String),
    /// It ends before it begins.
    #[error("the freeze {why:?} ends at {to}, before it begins at {from}")]
    Freeze {
        /// What people would be told.
        why: String,
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// Two of one name cannot be told apart.
    #[error("two environments are called {0:?}")]
    Twice(String),
    /// Nothing comes to it.
    #[error("environment {0:?} has no `match`, so that nothing comes to those after it")]
    Hidden(String),
    /// No environment at all.
    #[error("there is no environment")]
    Empty,
}

fn week() -> Length {
    Length(Span::seconds(7 * 86_400))
}

fn none() -> Rule {
    Rule::None
}

fn branches() -> Vec<Pattern> {
    ["main", "master", "release/*"].map(|name| Pattern(name.to_owned())).into()
}

impl Default for Policy {
    /// One environment, `any`, with the defaults of every setting.
    fn default() -> Self {
        Self { environments: vec![Environment::named("any")], new_after: week() }
    }
}

impl Policy {
    /// Checks what types alone do not.
    ///
    /// # Errors
    /// What its author can mend.
    pub fn check(&self) -> Result<(), PolicyError> {
        let Some((_, before)) = self.environments.split_last() else { return Err(PolicyError::Empty) };
        if let Some(hides) = before.iter().find(|environment| environment.of.is_all()) {
            return Err(PolicyError::Hidden(hides.name.clone()));
        }
        let mut names = BTreeSet::new();
        match self.environments.iter().find(|environment| !names.insert(&environment.name)) {
            Some(again) => Err(PolicyError::Twice(again.name.clone())),
            None => Ok(()),
        }
    }

    /// The environment of a target; nothing if the policy says nothing of it.
    #[must_use]
    pub fn of(&self, target: &Target) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.of.has(target))
    }
}

impl Environment {
    /// One with the default of every setting.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            of: Of::default(),
            repositories: Vec::new(),
            run: RunRule::default(),
            branches: branches(),
            review: Rule::default(),
            approval: Rule::None,
            checks: Vec::new(),
            hours: None,
            ticket: None,
            break_glass: Vec::new(),
            freezes: Vec::new(),
            refuse: BTreeSet::new(),
            ignore: BTreeSet::new(),
        }
    }
}

impl Of {
    fn is_all(&self) -> bool {
        [&self.accounts, &self.regions, &self.kinds, &self.targets].iter().all(|list| list.is_empty())
    }

    fn has(&self, target: &Target) -> bool {
        let asked = [
            (&self.accounts, &target.account),
            (&self.regions, &target.region),
            (&self.kinds, &target.kind),
            (&self.targets, &target.id),
        ];
        asked.iter().all(|(list, name)| list.is_empty() || Pattern::any(list, name))
    }
}

impl Pattern {
    /// Whether a name is of this pattern.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        is_like(name, &self.0)
    }

    /// Whether a name is of one of these.
    #[must_use]
    pub fn any(list: &[Self], name: &str) -> bool {
        list.iter().any(|pattern| pattern.is(name))
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Ticket {
    /// Whether a ticket is named in one of these.
    #[must_use]
    pub fn is_in(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.0.is_match(text))
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = PolicyError;

    fn try_from(text: String) -> Result<Self, PolicyError> {
        if text.trim().is_empty() { Err(PolicyError::Pattern) } else { Ok(Self(text)) }
    }
}

impl TryFrom<String> for Ticket {
    type Error = PolicyError;

    fn try_from(text: String) -> Result<Self, PolicyError> {
        let compiled = regex::Regex::new(&text);
        compiled.map(Self).map_err(|error| {
            let reason = error.to_string();
            PolicyError::Ticket(text, reason.lines().last().unwrap_or_default().to_owned())
        })
    }
}

impl TryFrom<String> for Length {
    type Error = PolicyError;

    fn try_from(text: String) -> Result<Self, PolicyError> {
        text.parse().map(Self).map_err(|_| PolicyError::Length(text))
    }
}

impl TryFrom<FreezeText> for Freeze {
    type Error = PolicyError;

    fn try_from(FreezeText { from, to, why }: FreezeText) -> Result<Self, PolicyError> {
        if to <= from { Err(PolicyError::Freeze { why, from, to }) } else { Ok(Self { from, to, why }) }
    }
}

/// What a source has told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Since when it is complete.
    pub since: Timestamp,
    /// Up to when: its watermark.
    pub mark: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        let policy: Policy = serde_json::from_str(text).map_err(|error| error.to_string())?;
        policy.check().map_err(|error| error.to_string())?;
        Ok(policy)
    }

    #[test]
    fn a_policy_that_says_little_asks_for_a_run_of_a_protected_branch_and_a_review() {
        let policy = read(r#"{"environments":[{"name":"production"}]}"#).unwrap();
        let environment = &policy.environments[0];
        assert_eq!(
            (environment.run, environment.review, environment.approval),
            (RunRule::Required, Rule::Required, Rule::None)
        );
        assert!(Pattern::any(&environment.branches, "release/7"));
    }

    #[test]
    fn the_first_environment_that_has_a_target_counts() {
        let text = r#"{"environments":[
            {"name":"production","match":{"accounts":["111122223333"],"targets":["orders-*"]}},{"name":"other"}]}"#;
        let policy = read(text).unwrap();
        for (account, id, expected) in [
            ("111122223333", "orders-api", "production"),
            ("111122223333", "scratch", "other"),
            ("444455556666", "orders-api", "other"),
        ] {
            let target = Target { account: account.to_owned(), id: id.to_owned(), ..Target::default() };
            assert_eq!(policy.of(&target).unwrap().name, expected);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_words() {
        for (text, expected) in [
            (r#"{"environments":[]}"#, "there is no environment"),
            (r#"{"environments":[{"name":"a"},{"name":"b"}]}"#, "environment \"a\" has no `match`"),
            (
                r#"{"environments":[{"name":"a","match":{"kinds":["x"]}},{"name":"a"}]}"#,
                "two environments are called \"a\"",
            ),
            (r#"{"environments":[{"name":"a","ticket":"OPS-["}]}"#, "\"OPS-[\" is no regular expression"),
            (r#"{"environments":[{"name":"a","branches":[""]}]}"#, "an empty name fits nothing"),
            (r#"{"environments":[{"name":"a","reviewed":"required"}]}"#, "unknown field `reviewed`"),
            (r#"{"environments":[{"name":"a","refuse":["no_idea"]}]}"#, "unknown variant `no_idea`"),
            (r#"{"environments":[{"name":"a"}],"new_after":"soon"}"#, "\"soon\" is no length of time"),
            (
                r#"{"environments":[{"name":"a","freezes":[{"why":"x","from":"2026-12-02T00:00:00Z","to":"2026-12-01T00:00:00Z"}]}]}"#,
                "before it begins",
            ),
            (
                r#"{"environments":[{"name":"a","hours":{"zone":"Europe/Nowhere","from":"08:00","to":"18:00"}}]}"#,
                "\"Europe/Nowhere\" is no time zone",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
