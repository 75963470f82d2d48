//! How many alerts of rules that learn people want in a day.

use std::num::NonZeroU32;
use std::str::FromStr;

/// Alerts a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many at most.
    pub a_day: NonZeroU32,
}

/// No budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no budget; write how many alerts a day, such as `20/day`")]
pub struct BudgetError(String);

impl FromStr for Budget {
    type Err = BudgetError;

    /// `20/day`
    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let number = text.trim().strip_suffix("/day").and_then(|number| number.trim_end().parse().ok());
        number.map(|a_day| Self { a_day }).ok_or_else(|| BudgetError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_number_of_alerts_a_day() {
        for (text, number) in
            [("20/day", Some(20)), (" 5 /day", Some(5)), ("0/day", None), ("20", None), ("1/hour", None)]
        {
            let read = text.parse::<Budget>().ok().map(|budget| budget.a_day.get());
            assert_eq!(read, number, "{text}");
        }
    }
}
