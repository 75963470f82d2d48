//! Log groups that are read because of how their name begins: they come and go, and are looked for again and again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use engine::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::source::Gap;

/// Between two looks.
const LOOK_EVERY: Span = Span::seconds(300);

/// Groups that one source reads at most: each costs requests, and memory for the ids of what was read.
pub(super) const GROUPS_MAX: usize = 500;

/// No name of a group holds a colon.
const PREFIX: &str = "prefix:";

/// A group as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) created: Timestamp,
}

/// What a look saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) groups: Vec<Group>,
    /// It broke off because there are far more than are read: a group that it does not name may be there.
    pub(super) is_cut: bool,
}

/// What a look changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// New groups, and where each is begun.
    pub(super) came: Vec<(String, Timestamp)>,
    /// Groups that are gone.
    pub(super) went: Vec<String>,
    /// More of them than are read.
    pub(super) gap: Option<Gap>,
}

/// When a prefix was last looked for: the value of a mark.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Looked {
    looked_ms: i64,
}

/// The prefixes of one source.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// Each with when it was last looked for.
    looked: BTreeMap<String, Option<Timestamp>>,
    /// Groups that somebody was told are not there, since the last look.
    doubted: BTreeSet<String>,
    due: Timestamp,
    wait: Span,
    told: bool,
}

impl Prefixes {
    /// These, as `stored` says when they were looked for.
    pub(super) fn new(names: &[String], stored: &BTreeMap<String, String>) -> Self {
        let looked = names.iter().map(|name| {
            let value = stored.get(&format!("{PREFIX}{name}"));
            // One that cannot be read is as good as none.
            let looked = value.and_then(|value| serde_json::from_str::<Looked>(value).ok());
            (name.clone(), looked.map(|looked| Timestamp::from_millis(looked.looked_ms)))
        });
        Self { looked: looked.collect(), ..Self::default() }
    }

    /// Their texts.
    pub(super) fn all(&self) -> Vec<String> {
        self.looked.keys().cloned().collect()
    }

    /// Stored names that one of them stands for.
    pub(super) fn of<'n>(&self, stored: &'n BTreeMap<String, String>) -> impl Iterator<Item = &'n String> {
        stored.iter().filter(|(name, value)| self.has(name) && !value.is_empty()).map(|(name, _)| name)
    }

    fn has(&self, name: &str) -> bool {
        !name.starts_with(PREFIX) && self.looked.keys().any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// When to look next; none is never.
    pub(super) fn due(&self) -> Option<Timestamp> {
        (!self.looked.is_empty()).then_some(self.due)
    }

    /// Looks at once: this group is not there any more.
    pub(super) fn doubt(&mut self, group: &str) {
        self.doubted.insert(group.to_owned());
        self.hurry();
    }

    /// Looks at once.
    pub(super) fn hurry(&mut self) {
        self.due = Timestamp::default();
    }

    /// A look failed: the next one waits twice as long, up to `most`.
    pub(super) fn failed(&mut self, now: Timestamp, most: Span) {
        self.wait = Span::seconds(1).max(self.wait.plus(self.wait)).min(most);
        self.due = now.plus(self.wait);
    }

    /// Takes in what was found. `known` are the groups that are read already, `start` is where one begins that was there
    /// before anybody looked.
    pub(super) fn found(
        &mut self,
        listing: &Listing,
        known: &BTreeSet<String>,
        start: Timestamp,
        now: Timestamp,
    ) -> News {
        (self.due, self.wait) = (now.plus(LOOK_EVERY), Span::default());
        let mut news = News::default();
        let there: BTreeMap<&str, Timestamp> =
            listing.groups.iter().map(|group| (group.name.as_str(), group.created)).collect();
        let doubted = std::mem::take(&mut self.doubted);
        let is_gone = |name: &&String| {
            self.has(name) && !there.contains_key(name.as_str()) && (!listing.is_cut || doubted.contains(*name))
        };
        news.went = known.iter().filter(is_gone).cloned().collect();
        let room = GROUPS_MAX.saturating_sub(known.len() - news.went.len());
        let fresh: Vec<_> = there.iter().filter(|(name, _)| !known.contains(**name)).collect();
        if fresh.len() > room && !self.told {
            self.told = true;
            let (prefixes, all) = (self.all().join(", "), there.len());
            let more = if listing.is_cut { " and more" } else { "" };
            let what = format!(
                "{all}{more} log groups begin with {prefixes}, and {GROUPS_MAX} are read: name fewer, or in several sources"
            );
            news.gap = Some(Gap { id: format!("groups@{}", now.millis()), what });
        }
        for (name, created) in fresh.into_iter().take(room) {
            let looked = self.looked.iter().filter(|(prefix, _)| name.starts_with(prefix.as_str()));
            // One that was made since the last look is read from its beginning.
            let is_new = looked.filter_map(|(_, looked)| *looked).any(|looked| *created >= looked.minus(LOOK_EVERY));
            news.came.push(((*name).to_owned(), if is_new { *created } else { start }));
        }
        self.looked.values_mut().for_each(|looked| *looked = Some(now));
        news
    }

    /// What a mark keeps of them.
    pub(super) fn mark(&self) -> BTreeMap<String, String> {
        let value = |looked: &Option<Timestamp>| {
            let looked_ms = looked.map(Timestamp::millis)?;
            Some(serde_json::to_string(&Looked { looked_ms }).expect("a number is always JSON"))
        };
        self.looked.iter().filter_map(|(name, looked)| Some((format!("{PREFIX}{name}"), value(looked)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn group(name: &str, created: i64) -> Group {
        Group { name: name.to_owned(), created: minute(created) }
    }

    fn all(groups: &[Group]) -> Listing {
        Listing { groups: groups.to_vec(), is_cut: false }
    }

    fn known(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn old_groups_begin_where_the_source_does_and_new_ones_at_their_own_beginning_across_a_restart() {
        let mut prefixes = Prefixes::new(&["/aws/".to_owned()], &BTreeMap::new());
        let news = prefixes.found(&all(&[group("/aws/a", 1)]), &known(&["named"]), minute(900), minute(1_000));
        assert_eq!((news.came, news.went), (vec![("/aws/a".to_owned(), minute(900))], vec![]));
        let mut again = Prefixes::new(&["/aws/".to_owned()], &prefixes.mark());
        let groups = [group("/aws/a", 1), group("/aws/b", 1_100)];
        let news = again.found(&all(&groups), &known(&["named", "/aws/a"]), minute(1_900), minute(2_000));
        assert_eq!(news.came, [("/aws/b".to_owned(), minute(1_100))]);
        assert_eq!(again.due(), Some(minute(2_005)));
    }

    #[test]
    fn a_group_that_is_gone_leaves_and_one_that_was_named_stays() {
        let mut prefixes = Prefixes::new(&["/aws/".to_owned()], &BTreeMap::new());
        let news = prefixes.found(&all(&[]), &known(&["named", "/aws/a"]), minute(0), minute(1));
        assert_eq!(news.went, ["/aws/a"]);
    }

    #[test]
    fn a_listing_that_broke_off_says_of_nobody_that_it_is_gone_unless_reading_it_said_so() {
        let mut prefixes = Prefixes::new(&["/aws/".to_owned()], &BTreeMap::new());
        let cut = Listing { groups: vec![group("/aws/a", 1)], is_cut: true };
        let read = known(&["/aws/a", "/aws/b", "/aws/c"]);
        assert_eq!(prefixes.found(&cut, &read, minute(0), minute(1)).went, [""; 0]);
        prefixes.doubt("/aws/b");
        prefixes.doubt("/aws/a");
        assert_eq!(prefixes.found(&cut, &read, minute(0), minute(2)).went, ["/aws/b"], "and what it names is there");
        assert_eq!(prefixes.found(&cut, &read, minute(0), minute(3)).went, [""; 0]);
    }

    #[test]
    fn more_groups_than_are_read_are_told_once() {
        let mut prefixes = Prefixes::new(&[String::new()], &BTreeMap::new());
        let groups: Vec<Group> = (0..GROUPS_MAX + 1).map(|number| group(&format!("g{number}"), 0)).collect();
        let news = prefixes.found(&all(&groups), &BTreeSet::new(), minute(0), minute(1));
        assert_eq!(news.came.len(), GROUPS_MAX);
        assert!(news.gap.unwrap().what.starts_with("501 log groups begin with"));
        let read = news.came.into_iter().map(|(name, _)| name).collect();
        let news = prefixes.found(&all(&groups), &read, minute(0), minute(2));
        assert_eq!(news, News::default());
    }
}
