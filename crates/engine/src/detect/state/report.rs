//! What becomes of alerts is told, and handed on to those who count alerts.

use super::{Asking, Is, Remembered, Ripple, State};
use crate::alert::{Alert, Flag};
use crate::detect::episode::Episode;
use crate::detect::table::Hash;
use crate::detect::{Change, Standing, sight};

impl State {
    /// Says what became of alerts, and hands on what is an event of other correlations.
    pub(super) fn report(
        &mut self,
        asking: Asking<'_>,
        place: usize,
        hash: Hash,
        values: &[Option<String>],
        changes: &mut Vec<Change>,
    ) {
        if self.ripples.is_empty() {
            return;
        }
        let Asking { rules, number, shape } = asking;
        let Self { rules: remembered, evidence, ripples, derived, tells_all, progress, .. } = self;
        let Remembered { keys, scratch, kinds, .. } = &remembered[place];
        let episodes = keys.episodes(hash, scratch);
        let rule = rules.rule(number);
        let key = shape.key_of(values);
        let partial = progress.is_partial(*kinds).then_some(Flag::Partial);
        let alert = |of: &Episode| {
            let mut alert = Alert::of_episode(rule, shape, &key, of.account(evidence));
            alert.flags.extend(partial);
            alert
        };
        let is_counted = !rules.correlations_of(number).is_empty();
        for ripple in ripples.drain(..) {
            if let Ripple::Reopened(place) = ripple {
                if is_counted {
                    let now = alert(&episodes[place]);
                    let event = sight::of_alert(rules, number, &now, now.time);
                    derived.extend([(event.clone(), Is::TakenBack), (event, Is::Happened)]);
                }
                continue;
            }
            let change = match &ripple {
                Ripple::Tell(place) | Ripple::Note(place) | Ripple::Moved(place, _) | Ripple::Reopened(place) => {
                    Change {
                        alert: alert(&episodes[*place]),
                        revision: episodes[*place].revision,
                        tell: !matches!(ripple, Ripple::Note(_)),
                        standing: Standing::Open,
                    }
                }
                Ripple::Gone(old, heir) => Change {
                    alert: alert(old),
                    revision: old.revision + 1,
                    tell: true,
                    standing: Standing::Superseded { by: heir.map(|place| alert(&episodes[place]).id) },
                },
            };
            if is_counted {
                let now = |at| sight::of_alert(rules, number, &change.alert, at);
                match ripple {
                    Ripple::Tell(_) if change.revision == 1 => {
                        derived.push_back((now(change.alert.time), Is::Happened))
                    }
                    Ripple::Tell(_) | Ripple::Note(_) | Ripple::Reopened(_) => {}
                    Ripple::Moved(_, before) => {
                        derived.push_back((now(before), Is::TakenBack));
                        derived.push_back((now(change.alert.time), Is::Happened));
                    }
                    Ripple::Gone(..) => derived.push_back((now(change.alert.time), Is::TakenBack)),
                }
            }
            if rule.alerts || *tells_all {
                changes.push(change);
            }
        }
    }
}
