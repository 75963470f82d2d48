//! What one commit says of alerts, without what nobody will read.

use std::collections::HashMap;

use engine::alert::AlertId;
use engine::detect::Change;

/// Changes in order; of those that nobody is told only the last of each alert, or a burst of events that join
/// one alert would hold a copy of it for each event.
#[derive(Debug, Default)]
pub(super) struct Changes {
    changes: Vec<Option<Change>>,
    /// Where the last change of an alert stands, if nobody is told of it.
    untold: HashMap<AlertId, usize>,
}

impl Changes {
    pub(super) fn take(&mut self, change: Change) {
        let before = self.untold.get(&change.alert.id).copied();
        if change.tell {
            // Order matters among those that people are told, so it goes to the end.
            if let Some(place) = before {
                self.changes[place] = None;
                self.untold.remove(&change.alert.id);
            }
            self.changes.push(Some(change));
        } else if let Some(place) = before {
            self.changes[place] = Some(change);
        } else {
            self.untold.insert(change.alert.id.clone(), self.changes.len());
            self.changes.push(Some(change));
        }
    }

    pub(super) fn into_vec(self) -> Vec<Change> {
        self.changes.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn of_changes_that_nobody_is_told_only_the_last_of_each_alert_stays_and_order_is_kept() {
        let [one, two] = [0, 1].map(|minute| sample::changes(&[sample::stop_logging(minute)]).remove(0));
        let mut changes = Changes::default();
        let steps =
            [(&one, 1, true), (&one, 2, false), (&two, 3, false), (&one, 4, false), (&two, 5, true), (&one, 6, true)];
        for (of, revision, tell) in steps.into_iter().chain([(&one, 7, false), (&one, 8, false)]) {
            changes.take(Change { revision, tell, ..of.clone() });
        }
        let left: Vec<u64> = changes.into_vec().iter().map(|change| change.revision).collect();
        assert_eq!(left, [1, 5, 6, 8]);
    }
}
