//! Which sources there are: a list that a reload may exchange while everybody reads it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::feed::Feed;

/// The sources of the configuration in force.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    feeds: ArcSwap<Vec<Arc<Feed>>>,
}

impl Roster {
    /// Of these sources.
    #[cfg(test)]
    pub(crate) fn new(feeds: Vec<Arc<Feed>>) -> Self {
        Self { feeds: ArcSwap::from_pointee(feeds) }
    }

    /// The sources now, in the order of their names. The same list for as long as nothing changes.
    pub(crate) fn feeds(&self) -> Arc<Vec<Arc<Feed>>> {
        self.feeds.load_full()
    }

    /// This source is new, or takes the place of the one of its name.
    pub(crate) fn enter(&self, feed: &Arc<Feed>) {
        self.change(|feeds| {
            feeds.retain(|known| known.name != feed.name);
            let place = feeds.partition_point(|known| known.name < feed.name);
            feeds.insert(place, feed.clone());
        });
    }

    /// There is no source of this name any more.
    pub(crate) fn leave(&self, name: &str) {
        self.change(|feeds| feeds.retain(|known| known.name != name));
    }

    fn change(&self, change: impl Fn(&mut Vec<Arc<Feed>>)) {
        self.feeds.rcu(|feeds| {
            let mut feeds = feeds.to_vec();
            change(&mut feeds);
            feeds
        });
    }
}
