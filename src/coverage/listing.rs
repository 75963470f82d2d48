//! Lists of accounts: from the configuration, from files that people keep, and, by way of others, from organisations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::event::Kind;
use engine::time::Span;
use serde::Deserialize;

use super::{NAME_BYTES_MAX, Spot};
use crate::config::Expect;

/// What is expected at most: accounts times regions times kinds.
const EXPECTED_MAX: usize = 50_000;
/// A longer file is none of accounts.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Everything that is expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Each, and how.
    pub spots: BTreeMap<Spot, Listed>,
    /// Whether every list that it comes from could be read.
    pub is_whole: bool,
}

/// How something is expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// What people call the account.
    pub name: String,
    /// Silence that is an alert.
    pub silent_after: Option<Span>,
}

/// One account as a list has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    /// Its number or name.
    pub account: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Kinds of log, if it sends others than the rest of its list.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Regions, if it has others than the rest of its list.
    #[serde(default)]
    pub regions: Vec<String>,
}

/// Why a list cannot be used. Every variant is something its author can mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListingError {
    /// It cannot be read.
    #[error("read list of accounts {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too long.
    #[error("read list of accounts {path}: {bytes} bytes, at most {FILE_BYTES_MAX} are read")]
    Long {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A line of it is wrong.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// Somebody expects too much, or nothing of somebody.
    #[error("{0}")]
    Sense(String),
}

/// The accounts of a file: YAML by its name, else CSV.
///
/// # Errors
/// [`ListingError`] with the line of the first fault.
pub(crate) fn read(path: &Path) -> Result<Vec<Account>, ListingError> {
    let failed = |source| ListingError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(ListingError::Long { path: path.to_owned(), bytes });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    let parsed = if is_yaml { yaml(&text) } else { csv(&text) };
    let accounts = parsed.and_then(|accounts| match accounts.is_empty() {
        true => Err((1, "it lists no account".to_owned())),
        false => Ok(accounts),
    });
    accounts.map_err(|(line, message)| ListingError::Line { path: path.display().to_string(), line, message })
}

type Fault = (usize, String);

fn yaml(text: &str) -> Result<Vec<Account>, Fault> {
    let accounts: Vec<Account> = yaml_serde::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |place| place.line());
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        (line, message.to_owned())
    })?;
    match accounts.iter().position(|account| account.account.trim().is_empty()) {
        Some(place) => Err((1, format!("element {}: `account` is blank", place + 1))),
        None => Ok(accounts),
    }
}

/// A first line with the names of the columns, then a line an account; blank lines and those after `#` are none.
fn csv(text: &str) -> Result<Vec<Account>, Fault> {
    let text = text.trim_start_matches('\u{feff}');
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (number, head) = lines.next().ok_or((1, "it lists no account".to_owned()))?;
    let columns = cells(head).map_err(|message| (number, message))?;
    let known = ["account", "name", "kinds", "regions"];
    if let Some(other) = columns.iter().find(|column| !known.contains(&column.as_str())) {
        return Err((number, format!("unknown column {other:?}: the first line names some of {}", known.join(", "))));
    }
    if !columns.iter().any(|column| column == "account") {
        return Err((number, "the first line names the columns, and `account` is none of them".to_owned()));
    }
    let mut accounts = Vec::new();
    for (number, line) in lines {
        let fault = |message: String| (number, message);
        let values = cells(line).map_err(fault)?;
        if values.len() != columns.len() {
            return Err(fault(format!("{} values, and there are {} columns", values.len(), columns.len())));
        }
        let mut account = Account::default();
        for (column, value) in columns.iter().zip(values) {
            let words = || value.split([' ', ';']).filter(|word| !word.is_empty());
            match column.as_str() {
                "account" => account.account = value,
                "name" => account.name = value,
                "kinds" => {
                    let kinds = words().map(|word| word.parse::<Kind>().map_err(|error| fault(error.to_string())));
                    account.kinds = kinds.collect::<Result<_, _>>()?;
                }
                _ => account.regions = words().map(str::to_owned).collect(),
            }
        }
        if account.account.is_empty() {
            return Err(fault("`account` is blank".to_owned()));
        }
        accounts.push(account);
    }
    Ok(accounts)
}

/// The values of a line, quoted where they hold a comma; `""` in quotes is one quote.
fn cells(line: &str) -> Result<Vec<String>, String> {
    let mut cells = vec![String::new()];
    let (mut quoted, mut letters) = (false, line.chars().peekable());
    while let Some(letter) = letters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            _ => cell.push(letter),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    Ok(cells.into_iter().map(|cell| cell.trim().to_owned()).collect())
}

impl Expected {
    /// Takes in that these accounts are expected as an entry says.
    ///
    /// # Errors
    /// [`ListingError::Sense`] when there is too much of it, or nothing is expected of an account.
    pub(crate) fn add(&mut self, expect: &Expect, accounts: &[Account]) -> Result<(), ListingError> {
        let silent_after =
            expect.silent_after.map(|after| Span::from_micros(i64::try_from(after.as_micros()).unwrap_or(i64::MAX)));
        for account in accounts {
            let kinds = if account.kinds.is_empty() { &expect.kinds } else { &account.kinds };
            let regions = if account.regions.is_empty() { &expect.regions } else { &account.regions };
            let name = &account.account;
            if kinds.is_empty() {
                return Err(ListingError::Sense(format!("account {name}: neither its row nor the entry names kinds")));
            }
            let longest = regions.iter().chain([name, &account.name]).map(String::len).max().unwrap_or_default();
            if longest > NAME_BYTES_MAX {
                return Err(ListingError::Sense(format!(
                    "account {name:.20}…: a name is longer than {NAME_BYTES_MAX}"
                )));
            }
            let any = [String::new()];
            for kind in kinds {
                let regions = if regions.is_empty() || !has_region(*kind) { &any[..] } else { &regions[..] };
                for region in regions {
                    let spot = Spot::of(*kind, name, region);
                    self.spots.insert(spot, Listed { name: account.name.clone(), silent_after });
                }
            }
            if self.spots.len() > EXPECTED_MAX {
                let message = "accounts × regions × kinds are more than 50000: leave regions out, or split them";
                return Err(ListingError::Sense(message.to_owned()));
            }
        }
        Ok(())
    }
}

/// Whether records of this kind say of which region they are; of the others none would ever be heard there.
fn has_region(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::AwsCloudtrail | Kind::AwsEventbridge | Kind::AwsGuardduty | Kind::AzureActivity | Kind::GcpAudit
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(expected: &Expected) -> Vec<String> {
        let word = |spot: &Spot| format!("{}/{}/{}", spot.kind.name(), spot.account, spot.region);
        expected.spots.keys().map(word).collect()
    }

    #[test]
    fn rows_may_say_what_their_list_does_not() {
        let text = "\u{feff}# ours\naccount,name,kinds,regions\n111122223333,\"Billing, \"\"old\"\"\",,\n\
                    acme,GitHub,github.audit github.webhook,\n444455556666,web,,eu-west-1;eu-north-1\n";
        let accounts = csv(text).unwrap();
        assert_eq!(accounts[0].name, "Billing, \"old\"");
        let expect =
            Expect { kinds: vec![Kind::AwsCloudtrail], regions: vec!["us-east-1".to_owned()], ..Expect::default() };
        let mut expected = Expected::default();
        expected.add(&expect, &accounts).unwrap();
        assert_eq!(
            spots(&expected),
            [
                "aws.cloudtrail/111122223333/us-east-1",
                "aws.cloudtrail/444455556666/eu-north-1",
                "aws.cloudtrail/444455556666/eu-west-1",
                "github.audit/acme/",
                "github.webhook/acme/",
            ]
        );
        let error = Expected::default().add(&Expect::default(), &accounts[..1]).unwrap_err();
        assert!(error.to_string().contains("names kinds"), "{error}");
    }

    #[test]
    fn names_are_listed_as_records_are_heard() {
        let one = |kind, account: &str, region: &str| {
            let expect = Expect { kinds: vec![kind], regions: vec![region.to_owned()], ..Expect::default() };
            let mut expected = Expected::default();
            expected.add(&expect, &[Account { account: account.to_owned(), ..Account::default() }]).unwrap();
            spots(&expected).remove(0)
        };
        assert_eq!(one(Kind::AzureActivity, "ABC-1", " WestEurope "), "azure.activity/abc-1/westeurope");
        assert_eq!(one(Kind::VaultAudit, "team/", "eu-west-1"), "vault.audit/team/");
        assert_eq!(one(Kind::GithubAudit, "Acme", "eu-west-1"), "github.audit/Acme/");
    }

    #[test]
    fn yaml_is_read_alike() {
        let text =
            "- {account: 011122223333, name: web, kinds: [aws.cloudtrail], regions: [eu-west-1]}\n- {account: x}\n";
        let accounts = yaml(text).unwrap();
        assert_eq!((accounts.len(), accounts[0].regions.len(), accounts[1].kinds.len()), (2, 1, 0));
        assert_eq!(accounts[0].account, "011122223333", "a number is taken as it is written");
    }

    #[test]
    fn what_is_wrong_in_a_list_is_said_with_its_line() {
        for (text, line, hint) in [
            ("", 1, "no account"),
            ("account,nme\n", 1, "unknown column \"nme\""),
            ("name\nx\n", 1, "`account` is none"),
            ("account,name\n1\n", 2, "1 values, and there are 2"),
            ("account\n\n# x\n\"1\n", 4, "quote"),
            ("account,name\n,x\n", 2, "blank"),
            ("account,kinds\n1,aws.cloudtrial\n", 2, "aws.cloudtrial"),
        ] {
            let (at, message) = csv(text).unwrap_err();
            assert!(at == line && message.contains(hint), "{text:?}: {at}: {message}");
        }
        let (line, message) = yaml("- {account: x}\n- {acount: y}\n").unwrap_err();
        assert!(line == 2 && message.contains("unknown field `acount`"), "{line}: {message}");
    }
}
