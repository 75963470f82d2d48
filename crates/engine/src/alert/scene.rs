//! What an alert shows of an event, and what windows and journal keep of it for that.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::redact::{LABEL_CHARS_MAX, is_plain, label};
use crate::event::{Actor, ActorSort, Facets, Network, Outcome, Target};

/// Who did what to what, from where: the facets that an alert shows.
///
/// All values stand in one text. Each in a string of its own is ten allocations for every event that matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    text: String,
    /// Where each value ends.
    ends: [u16; Part::COUNT],
    /// Bit n: value n is there.
    present: u16,
    sort: ActorSort,
}

/// One value of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    ActorId,
    ActorName,
    Ip,
    UserAgent,
    TargetKind,
    TargetId,
    Account,
    Region,
    Action,
    /// The code of what did not work.
    Failure,
    /// What was known of the address when the event was seen, in words.
    Place,
}

/// What may stand in each part.
pub(crate) type Parts<'t> = [Option<&'t str>; Part::COUNT];

/// A scene as it is saved: every value in its place, absent ones too. The facets leave absent values out of
/// JSON, for people; in a format without names, such as the journal's, nothing could be read after a gap.
type Saved = (
    (Option<String>, Option<String>, ActorSort),
    (Option<String>, Option<String>, Option<String>),
    (Option<String>, Option<String>, Option<String>, Option<String>),
    String,
    Outcome,
);

impl Part {
    pub(crate) const COUNT: usize = 11;
}

impl Scene {
    /// The part of the facets that an alert shows. Attackers choose many of these values, so each is
    /// redacted and cut. `place` is what is known of the address.
    #[must_use]
    pub(crate) fn of<T: AsRef<str>>(facets: &Facets<T>, place: Option<&str>) -> Self {
        let Facets { actor, target, network, action, outcome, .. } = facets;
        let parts = parts((actor, network, target, action, outcome), place);
        let sort = actor.sort;
        if parts.iter().flatten().all(|value| value.len() <= LABEL_CHARS_MAX) {
            let scene = Self::new(sort, &parts);
            // One look at all values together: if nothing in their text is suspicious, nothing in any of them is.
            if is_plain(&scene.text) {
                return scene;
            }
        }
        let labels = parts.map(|value| value.map(label));
        Self::new(sort, &labels.each_ref().map(Option::as_deref))
    }

    /// What a finding of a correlation shows, whose values are labels already.
    pub(crate) fn of_alert(actor: &Actor, network: &Network, target: &Target, action: &String) -> Self {
        Self::new(actor.sort, &parts((actor, network, target, action, &Outcome::Success), None))
    }

    /// From values that are labels.
    pub(crate) fn new(sort: ActorSort, parts: &Parts<'_>) -> Self {
        let mut scene = Self { sort, ..Self::default() };
        scene.text.reserve(parts.iter().flatten().map(|value| value.len()).sum());
        for (place, value) in parts.iter().enumerate() {
            if let Some(value) = value {
                // Eleven labels are shorter than that by far.
                let room = usize::from(u16::MAX) - scene.text.len();
                scene.text.push_str(&value[..value.floor_char_boundary(room)]);
                scene.present |= 1 << place;
            }
            scene.ends[place] = u16::try_from(scene.text.len()).unwrap_or(u16::MAX);
        }
        scene
    }

    /// Bytes of its texts.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// What sort of actor it was.
    #[must_use]
    pub(crate) fn sort(&self) -> ActorSort {
        self.sort
    }

    /// One value, if it is there.
    #[must_use]
    pub(crate) fn get(&self, part: Part) -> Option<&str> {
        self.at(part as usize)
    }

    /// All of them.
    #[must_use]
    pub(crate) fn parts(&self) -> Parts<'_> {
        std::array::from_fn(|place| self.at(place))
    }

    fn at(&self, place: usize) -> Option<&str> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        let value = self.text.get(usize::from(start)..usize::from(self.ends[place]))?;
        (self.present >> place & 1 == 1).then_some(value)
    }

    fn owned(&self, part: Part) -> Option<String> {
        self.get(part).map(str::to_owned)
    }

    /// Who.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { id: self.owned(Part::ActorId), name: self.owned(Part::ActorName), sort: self.sort }
    }

    /// From where.
    #[must_use]
    pub fn network(&self) -> Network {
        Network { ip: self.owned(Part::Ip), user_agent: self.owned(Part::UserAgent) }
    }

    /// To what.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            kind: self.owned(Part::TargetKind),
            id: self.owned(Part::TargetId),
            account: self.owned(Part::Account),
            region: self.owned(Part::Region),
        }
    }

    /// Doing what.
    #[must_use]
    pub fn action(&self) -> &str {
        self.get(Part::Action).unwrap_or_default()
    }

    /// Whether it worked.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.owned(Part::Failure).map_or(Outcome::Success, Outcome::Failure)
    }
}

type Shown<'f, T> = (&'f Actor<T>, &'f Network<T>, &'f Target<T>, &'f T, &'f Outcome<T>);

/// In the order of [`Part`].
fn parts<'f, T: AsRef<str>>(
    (actor, network, target, action, outcome): Shown<'f, T>,
    place: Option<&'f str>,
) -> Parts<'f> {
    let text = |value: &'f Option<T>| value.as_ref().map(AsRef::as_ref);
    let failure = match outcome {
        Outcome::Success => None,
        Outcome::Failure(code) => Some(code.as_ref()),
    };
    [
        text(&actor.id),
        text(&actor.name),
        text(&network.ip),
        text(&network.user_agent),
        text(&target.kind),
        text(&target.id),
        text(&target.account),
        text(&target.region),
        Some(action.as_ref()).filter(|action| !action.is_empty()),
        failure,
        place,
    ]
}

impl Serialize for Scene {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [actor, name, ip, user_agent, kind, id, account, region, action, failure, place] = self.parts();
        let outcome = failure.map_or(Outcome::Success, Outcome::Failure);
        let target = (kind, id, account, region);
        let network = (ip, user_agent, place);
        ((actor, name, self.sort), network, target, action.unwrap_or_default(), outcome).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Scene {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ((id, name, sort), (ip, user_agent, place), (kind, target, account, region), action, outcome) =
            Saved::deserialize(deserializer)?;
        let (actor, network) = (Actor { id, name, sort }, Network { ip, user_agent });
        let target = Target { kind, id: target, account, region };
        Ok(Self::new(sort, &parts((&actor, &network, &target, &action, &outcome), place.as_deref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facets() -> Facets {
        let some = || Some("x".to_owned());
        Facets {
            actor: Actor { id: None, name: some(), sort: ActorSort::Role },
            network: Network { ip: some(), user_agent: None },
            target: Target { kind: some(), id: None, account: some(), region: None },
            action: "Read".to_owned(),
            outcome: Outcome::Failure("AccessDenied".to_owned()),
            ..Facets::default()
        }
    }

    #[test]
    fn a_scene_shows_its_facets() {
        let (facets, scene) = (facets(), Scene::of(&facets(), Some("Berlin")));
        assert_eq!(scene.get(Part::Place), Some("Berlin"));
        assert_eq!((scene.actor(), scene.network(), scene.target()), (facets.actor, facets.network, facets.target));
        assert_eq!((scene.action(), scene.outcome()), ("Read", facets.outcome));
    }

    #[test]
    fn a_scene_with_gaps_is_saved_and_read_back() {
        for scene in [Scene::default(), Scene::of(&facets(), None), Scene::of(&facets(), Some("Berlin, DE"))] {
            let saved = postcard::to_stdvec(&scene).unwrap();
            assert_eq!(postcard::from_bytes::<Scene>(&saved), Ok(scene));
        }
    }

    #[test]
    fn a_secret_or_an_endless_text_among_the_values_is_hidden_or_cut() {
        for value in [format!("ghp_{}", "a1B2".repeat(9)), "x".repeat(100_000)] {
            let mut facets = facets();
            facets.network.user_agent = Some(value.clone());
            let scene = Scene::of(&facets, None);
            assert_eq!(scene.network().user_agent, Some(label(&value)));
            assert_eq!((scene.action(), scene.target().account.as_deref()), ("Read", Some("x")));
        }
    }
}
