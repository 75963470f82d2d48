//! What an alert shows of an event, and what windows and journal keep of it for that.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::redact::label;
use crate::event::{Actor, ActorSort, Facets, Network, Outcome, Target};

/// Who did what to what, from where: the facets that an alert shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub network: Network,
    /// To what.
    pub target: Target,
    /// Doing what.
    pub action: String,
    /// Whether it worked.
    pub outcome: Outcome,
}

/// A scene as it is saved: every value in its place, absent ones too. The facets leave absent values out of
/// JSON, for people; in a format without names, such as the journal's, nothing could be read after a gap.
type Saved = (
    (Option<String>, Option<String>, ActorSort),
    (Option<String>, Option<String>),
    (Option<String>, Option<String>, Option<String>, Option<String>),
    String,
    Outcome,
);

impl Scene {
    /// The part of the facets that an alert shows. Attackers choose many of these values, so each is
    /// redacted and cut.
    #[must_use]
    pub(crate) fn of(facets: Facets) -> Self {
        let Facets { actor, target, network, action, outcome, .. } = facets;
        let safe = |value: Option<String>| value.map(|value| label(&value));
        Self {
            actor: Actor { id: safe(actor.id), name: safe(actor.name), sort: actor.sort },
            network: Network { ip: safe(network.ip), user_agent: safe(network.user_agent) },
            target: Target {
                kind: safe(target.kind),
                id: safe(target.id),
                account: safe(target.account),
                region: safe(target.region),
            },
            action: label(&action),
            outcome: match outcome {
                Outcome::Success => Outcome::Success,
                Outcome::Failure(code) => Outcome::Failure(label(&code)),
            },
        }
    }
}

impl Serialize for Scene {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            actor: Actor { id: actor, name, sort },
            network: Network { ip, user_agent },
            target: Target { kind, id, account, region },
            action,
            outcome,
        } = self;
        ((actor, name, sort), (ip, user_agent), (kind, id, account, region), action, outcome).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Scene {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ((actor, name, sort), (ip, user_agent), (kind, id, account, region), action, outcome) =
            Saved::deserialize(deserializer)?;
        Ok(Self {
            actor: Actor { id: actor, name, sort },
            network: Network { ip, user_agent },
            target: Target { kind, id, account, region },
            action,
            outcome,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_with_gaps_is_saved_and_read_back() {
        let some = || Some("x".to_owned());
        for scene in [
            Scene::default(),
            Scene {
                actor: Actor { id: None, name: some(), sort: ActorSort::Role },
                network: Network { ip: some(), user_agent: None },
                target: Target { kind: some(), id: None, account: some(), region: None },
                action: "Read".to_owned(),
                outcome: Outcome::Failure("AccessDenied".to_owned()),
            },
        ] {
            let saved = postcard::to_stdvec(&scene).unwrap();
            assert_eq!(postcard::from_bytes::<Scene>(&saved), Ok(scene));
        }
    }
}
