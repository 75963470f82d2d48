//! Which accounts an organisation of AWS has: what should arrive is known there, and nowhere else as surely.
//!
//! Asked with `organizations:ListAccounts` alone, page by page. Only active accounts are answered: from one that is
//! suspended or closed nothing arrives.

use std::time::Duration;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_organizations::operation::list_accounts::ListAccountsError;
use aws_sdk_organizations::types::{Account as Listed, AccountState};
use serde::Deserialize;

use crate::probe::{Probe, words};
use crate::source::aws::{self, Access, Role};
use crate::source::{Remedy, SourceError};

/// A page is twenty names.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Wait before a page is asked for again: the service allows about one request a second, for all who ask.
const AGAIN: Duration = Duration::from_secs(2);

/// Times that a page is asked for.
const ATTEMPTS: u32 = 5;

/// Pages that are asked for at most: AWS lets no organisation have 50,000 accounts.
const PAGES_MAX: usize = 2_500;

/// `organization`: the active accounts of an organisation of AWS. Asked by its management account, or one to which the
/// service is delegated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Any AWS region of the organisation's partition. Default: what the environment or the profile says.
    pub region: Option<String>,
    /// Another address for the service, such as a VPC endpoint.
    pub endpoint_url: Option<String>,
    /// A role to assume, usually in the management account.
    pub role: Option<Role>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// What people call it; empty if nobody named it.
    pub name: String,
}

/// The active accounts, by their numbers.
///
/// # Errors
/// [`SourceError`] when the service refuses or cannot be reached. There is no part of a list: all of it or none.
pub async fn active(settings: &Settings) -> Result<Vec<Account>, SourceError> {
    all(&client(settings).await?).await
}

async fn all(client: &Client) -> Result<Vec<Account>, SourceError> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let (page, next) = page(client, token.as_deref()).await?;
        accounts.extend(page);
        match next {
            // It has one at least, that of its management: an empty list must not take what is expected away.
            None if accounts.is_empty() => {
                let doing = "list the accounts of the organisation: none is active".to_owned();
                return Err(SourceError { doing, remedy: Remedy::Person, source: None });
            }
            None => {
                accounts.sort();
                accounts.dedup_by(|one, other| one.id == other.id);
                return Ok(accounts);
            }
            Some(next) if token.as_ref() == Some(&next) => {
                let doing = "list the accounts of the organisation: a page follows itself".to_owned();
                return Err(SourceError { doing, remedy: Remedy::Wait, source: None });
            }
            Some(next) => token = Some(next),
        }
    }
    let doing = format!("list the accounts of the organisation: more than {PAGES_MAX} pages");
    Err(SourceError { doing, remedy: Remedy::Person, source: None })
}

/// Tries to list the accounts, and changes nothing.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    let what = "accounts of the organisation";
    vec![match active(settings).await {
        Ok(accounts) => Probe::good(what, format!("{} are active", accounts.len())),
        Err(error) => Probe::bad(what, words(&error)),
    }]
}

async fn client(settings: &Settings) -> Result<Client, SourceError> {
    let (region, role) = (settings.region.as_deref(), settings.role.as_ref());
    let loaded = Access { region, role, timeout: ANSWER_TIMEOUT }.load().await?;
    let mut config = aws_sdk_organizations::config::Builder::from(&loaded);
    config.set_endpoint_url(settings.endpoint_url.clone());
    Ok(Client::from_conf(config.build()))
}

/// One page and the token of the next. A page that is throttled is asked for again: one from the middle that fails would
/// cost all that came before it.
async fn page(client: &Client, token: Option<&str>) -> Result<(Vec<Account>, Option<String>), SourceError> {
    let mut attempt = 1;
    loop {
        let answer = client.list_accounts().set_next_token(token.map(str::to_owned)).send().await;
        let error = match answer {
            Ok(page) => {
                let accounts = page.accounts().iter().filter(|account| is_active(account)).filter_map(account);
                return Ok((accounts.collect(), page.next_token));
            }
            Err(error) => error,
        };
        if attempt == ATTEMPTS || !aws::is_throttling(error.code().unwrap_or_default()) {
            return Err(failure(error));
        }
        tokio::time::sleep(AGAIN * attempt).await;
        attempt += 1;
    }
}

/// Its state, or what said so before AWS had states.
fn is_active(account: &Listed) -> bool {
    match account.state() {
        Some(state) => *state == AccountState::Active,
        None => status(account) == Some("ACTIVE"),
    }
}

fn status(account: &Listed) -> Option<&str> {
    account.status().map(aws_sdk_organizations::types::AccountStatus::as_str)
}

fn account(listed: &Listed) -> Option<Account> {
    Some(Account { id: listed.id()?.to_owned(), name: listed.name().unwrap_or_default().to_owned() })
}

fn failure(error: SdkError<ListAccountsError>) -> SourceError {
    let code = error.code().unwrap_or_default().to_owned();
    let remedy = match code.as_str() {
        "AWSOrganizationsNotInUseException" => Remedy::Person,
        _ => aws::remedy(&code, &error),
    };
    let hint = match code.as_str() {
        "AccessDeniedException" | "AccessDenied" => {
            ": needs organizations:ListAccounts, in the management account or one that the service is delegated to"
        }
        "AWSOrganizationsNotInUseException" => ": the account is in no organisation",
        _ => "",
    };
    SourceError {
        doing: format!("list the accounts of the organisation{hint}"),
        remedy,
        source: Some(Box::new(error.into_service_error())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::aws::moto::{self, Moto};

    fn settings(address: &str) -> Settings {
        serde_json::from_value(json!({"region": "eu-central-1", "endpoint_url": address})).unwrap()
    }

    #[tokio::test]
    async fn accounts_of_several_pages_are_listed_and_closed_ones_are_not() {
        let Some(server) = Moto::start() else { return };
        let client = Client::new(&moto::config(&server.address));
        let error = all(&client).await.unwrap_err();
        assert!(error.remedy == Remedy::Person && error.to_string().contains("none is active"), "{}", words(&error));

        client.create_organization().send().await.unwrap();
        for number in 0..45 {
            let (name, email) = (format!("team-{number}"), format!("team-{number}@example.org"));
            client.create_account().account_name(name).email(email).send().await.unwrap();
        }
        let listed = all(&client).await.unwrap();
        assert_eq!(listed.len(), 46, "with that of the management");
        let closed = listed.iter().find(|account| account.name == "team-7").unwrap();
        client.close_account().account_id(&closed.id).send().await.unwrap();
        let left = all(&client).await.unwrap();
        assert_eq!((left.len(), left.iter().any(|account| account.id == closed.id)), (45, false));
        assert!(left.iter().all(|account| account.id.len() == 12), "{left:?}");
    }

    #[tokio::test]
    async fn a_service_that_cannot_be_reached_is_said_so_by_a_probe() {
        let probes = probe(&settings("http://127.0.0.1:1")).await;
        assert!(probes[0].to_string().contains("FAILS"), "{}", probes[0]);
    }
}
