//! What becomes of alerts is told, and handed on to those who count alerts.

use super::{Asking, Is, Remembered, Ripple, State};
use crate::alert::{Alert, Flag};
use crate::detect::episode::Episode;
use crate::detect::table::Hash;
use crate::detect::{Change, Sighting, Standing, risk, sight};

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
        if !rules.risks_of(number).is_empty() {
            derived.extend(ripples.iter().filter_map(|ripple| added(asking, ripple, episodes, alert)));
        }
        let is_budgeted = rules.is_budgeted(number);
        let mut waiting = Vec::new();
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
                derived.extend(counted(asking, &ripple, &change));
            }
            match ripple {
                _ if !rule.alerts && !*tells_all => {}
                Ripple::Tell(place) | Ripple::Note(place) if is_budgeted => {
                    waiting.extend(episodes[place].weight.map(|weight| (change, weight)));
                }
                Ripple::Tell(_) | Ripple::Note(_) | Ripple::Reopened(_) | Ripple::Moved(..) | Ripple::Gone(..) => {
                    changes.push(change);
                }
            }
        }
        self.choose(waiting, changes);
    }
}

/// What becomes of an alert, as events of the correlations that count it.
fn counted(Asking { rules, number, .. }: Asking<'_>, ripple: &Ripple, change: &Change) -> Vec<(Sighting, Is)> {
    let now = |at| sight::of_alert(rules, number, &change.alert, at);
    let time = change.alert.time;
    match ripple {
        Ripple::Tell(_) if change.revision == 1 => vec![(now(time), Is::Happened)],
        Ripple::Tell(_) | Ripple::Note(_) | Ripple::Reopened(_) => Vec::new(),
        Ripple::Moved(_, before) => vec![(now(*before), Is::TakenBack), (now(time), Is::Happened)],
        Ripple::Gone(..) => vec![(now(time), Is::TakenBack)],
    }
}

/// What becomes of an alert, as an event of those that add up what was found.
fn added(
    Asking { rules, number, .. }: Asking<'_>,
    ripple: &Ripple,
    episodes: &[Episode],
    alert: impl Fn(&Episode) -> Alert,
) -> Option<(Sighting, Is)> {
    let of = |episode: &Episode, found| risk::of_alert(rules, number, &alert(episode), found);
    match ripple {
        Ripple::Tell(place) | Ripple::Note(place) => {
            let episode = &episodes[*place];
            match episode.weight {
                // Each time that it is unusual again.
                Some(weight) => Some((of(episode, (weight.moment, Some(weight.strength))), Is::Happened)),
                // Once, when it begins.
                None if episode.revision == 1 && matches!(ripple, Ripple::Tell(_)) => {
                    Some((of(episode, (episode.crossed, None)), Is::Happened))
                }
                None => None,
            }
        }
        Ripple::Moved(place, _) | Ripple::Reopened(place) => {
            Some((of(&episodes[*place], (episodes[*place].crossed, None)), Is::Happened))
        }
        Ripple::Gone(old, _) => Some((of(old, (old.crossed, None)), Is::TakenBack)),
    }
}
