//! The requests that AWS allows an account in a region: one budget for all sources that read there.
//!
//! A source takes the next free moment and asks then, so that each has its turn. Refused, all of them slow down.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use engine::time::Timestamp;

use super::settings::{Rate, Settings};
use crate::source::aws::pace::Pace;

/// Budgets of this process, as long as somebody uses them.
static SHARED: LazyLock<Mutex<BTreeMap<Account, Weak<Mutex<Pace>>>>> = LazyLock::new(Mutex::default);

/// What AWS counts requests by, as far as it can be told without asking: one's own credentials are of one account, a role is
/// of the account that its ARN names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Account {
    region: Option<String>,
    endpoint_url: Option<String>,
    account: Option<String>,
}

impl Account {
    /// That which these settings read in `region`.
    pub(super) fn of(settings: &Settings, region: Option<String>) -> Self {
        let account = settings.role.as_ref().and_then(|role| role.arn.split(':').nth(4)).map(str::to_owned);
        Self { region, endpoint_url: settings.endpoint_url.clone(), account }
    }
}

/// A share of a budget.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Mutex<Pace>>);

impl Budget {
    /// One for nobody else.
    pub(super) fn alone(rate: Rate) -> Self {
        Self(Arc::new(Mutex::new(Pace::new(rate.a_second()))))
    }

    /// That of the account. Of those who share it, whoever asks for the fewest requests decides.
    pub(super) fn shared(account: Account, rate: Rate) -> Self {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|_, budget| budget.strong_count() > 0);
        if let Some(known) = shared.get(&account).and_then(Weak::upgrade) {
            let budget = Self(known);
            budget.pace().lower(rate.a_second());
            return budget;
        }
        let budget = Self::alone(rate);
        shared.insert(account, Arc::downgrade(&budget.0));
        budget
    }

    /// Takes the next free moment, which may be later than `now`.
    pub(super) fn reserve(&self, now: Timestamp) -> Timestamp {
        let mut pace = self.pace();
        let moment = pace.ready().max(now);
        pace.spend(moment);
        moment
    }

    /// The clock was put back: whoever takes a moment then need not wait for one that it has left.
    pub(super) fn hurry(&self) {
        self.pace().hurry();
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        self.pace().answered();
    }

    /// A request was refused for coming too soon; how often in a row, whoever asked.
    pub(super) fn refused(&self, now: Timestamp) -> u32 {
        self.pace().refused(now)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Numbers that a panic left are as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(region: &str, role: Option<&str>) -> Account {
        let role = role.map_or(String::new(), |role| format!(r#","role":{{"arn":"{role}"}}"#));
        let settings = serde_json::from_str(&format!(r#"{{"log_groups":["a"]{role}}}"#)).unwrap();
        Account::of(&settings, Some(region.to_owned()))
    }

    fn rate(a_second: f64) -> Rate {
        Rate::try_from(a_second).unwrap()
    }

    #[test]
    fn sources_of_one_account_and_region_share_a_budget_and_take_turns() {
        let now = Timestamp::from_millis(1_000_000);
        let one = Budget::shared(account("test-1", None), rate(4.0));
        let two = Budget::shared(account("test-1", None), rate(2.0));
        let other = Budget::shared(account("test-2", None), rate(2.0));
        let role = Budget::shared(account("test-1", Some("arn:aws:iam::210987654321:role/reads")), rate(2.0));
        let taken: Vec<i64> =
            [&one, &two, &one, &other, &role].map(|budget| budget.reserve(now).since(now).micros() / 1_000).to_vec();
        assert_eq!(taken, [0, 500, 1_000, 0, 0]);
    }

    #[test]
    fn a_refusal_of_one_slows_all() {
        let now = Timestamp::from_millis(1_000_000);
        let one = Budget::shared(account("test-3", None), rate(2.0));
        let two = Budget::shared(account("test-3", None), rate(2.0));
        assert_eq!([one.refused(now), two.refused(now)], [1, 2]);
        assert_eq!(one.reserve(now).since(now).micros(), 2_000_000);
        two.answered();
        assert_eq!(one.refused(now), 1);
    }

    #[test]
    fn nobody_is_bound_by_who_has_gone() {
        let now = Timestamp::from_millis(1_000_000);
        drop(Budget::shared(account("test-4", None), rate(0.5)));
        let budget = Budget::shared(account("test-4", None), rate(2.0));
        budget.reserve(now);
        assert_eq!(budget.reserve(now).since(now).micros(), 500_000);
    }
}
