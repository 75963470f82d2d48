//! Which shards a stream has, which of them may be read by now, and which are gone for good. Pure.
//!
//! A shard is closed when the stream is split or merged, and its children go on. They are read once all of it is, as a key
//! may have gone from the one to the other. A closed shard is listed until its last record is too old for the stream; its
//! mark stays as long, so that nobody reads it again, and leaves with it.

use std::collections::BTreeMap;

use engine::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::shard::{Place, Shard};
use crate::source::{Gap, Mark, Remedy, SourceError};

/// The name under which a mark keeps where the stream was begun. No shard is called so.
const BEGUN: &str = "stream";

/// A listing may miss a shard for a moment: it is gone once so many in a row did.
const LISTINGS_WITHOUT: u32 = 2;

/// Records that lie so far apart, beyond the retention, may have had others between them.
const PAUSE: Span = Span::seconds(600);

/// The stream as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// When it was made.
    pub(super) created: Timestamp,
    /// How long it keeps a record.
    pub(super) retention: Span,
    /// Each shard with those that it came from.
    pub(super) shards: Vec<(String, Vec<String>)>,
}

/// What a listing changed: marks to keep, and what is missing for good.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) mark: Mark,
    pub(super) gaps: Vec<Gap>,
}

/// Where reading of the stream was begun: the value of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    /// When the stream was made: another one may get its name.
    created_ms: i64,
    /// The first moment to read; none is all that there is.
    from_ms: Option<i64>,
}

/// All shards that are known.
#[derive(Debug, Default)]
pub(super) struct Layout {
    begun: Option<Begun>,
    pub(super) retention: Span,
    pub(super) shards: BTreeMap<String, Shard>,
}

impl Layout {
    /// As a mark has it.
    ///
    /// # Errors
    /// [`SourceError`] if it is not one of this source.
    pub(super) fn restore(stored: &Mark) -> Result<Self, SourceError> {
        let mut layout = Self::default();
        for (name, value) in stored.0.iter().filter(|(_, value)| !value.is_empty()) {
            let refused = |error: serde_json::Error| SourceError {
                doing: format!("read the stored mark {value:?} of {name}"),
                remedy: Remedy::Person,
                source: Some(error.into()),
            };
            if name == BEGUN {
                layout.begun = Some(serde_json::from_str(value).map_err(refused)?);
            } else {
                let place = serde_json::from_str(value).map_err(refused)?;
                layout.shards.insert(name.clone(), Shard::new(Vec::new(), place));
            }
        }
        Ok(layout)
    }

    /// When the stream was made that is read.
    pub(super) fn created(&self) -> Option<Timestamp> {
        self.begun.map(|begun| Timestamp::from_millis(begun.created_ms))
    }

    /// Where a shard begins of which nothing was read; none is all that there is.
    pub(super) fn start(&self) -> Option<Timestamp> {
        self.begun.and_then(|begun| begun.from_ms).map(Timestamp::from_millis)
    }

    /// Takes in what the stream is like now; `start` is where the very first start begins.
    pub(super) fn follow(&mut self, listed: &Listed, start: Option<Timestamp>, stream: &str) -> News {
        let mut news = News::default();
        self.retention = listed.retention;
        let created_ms = listed.created.millis();
        let first = self.begun.is_none();
        if self.begun.is_none_or(|begun| begun.created_ms != created_ms) {
            if !first {
                news.gaps.push(made_anew(stream, listed.created));
                let old = std::mem::take(&mut self.shards);
                news.mark.0.extend(old.into_keys().map(|name| (name, String::new())));
            }
            let from_ms = start.filter(|_| first).map(Timestamp::millis);
            let begun = Begun { created_ms, from_ms };
            self.begun = Some(begun);
            let value = serde_json::to_string(&begun).expect("numbers are always JSON");
            news.mark.0.insert(BEGUN.to_owned(), value);
        }
        let is_anew = !news.gaps.is_empty();
        let listed: BTreeMap<&str, &Vec<String>> =
            listed.shards.iter().map(|(name, parents)| (name.as_str(), parents)).collect();
        for (&name, &parents) in &listed {
            if let Some(shard) = self.shards.get_mut(name) {
                shard.parents.clone_from(parents);
                shard.unlisted = 0;
                continue;
            }
            let is_known = |parent: &String| self.shards.contains_key(parent) || listed.contains_key(parent.as_str());
            if !first && !is_anew && !parents.iter().all(is_known) {
                news.gaps.push(unseen(name));
            }
            self.shards.insert(name.to_owned(), Shard::new(parents.clone(), Place::Beginning));
            news.mark.0.insert(name.to_owned(), Place::Beginning.value());
        }
        self.leave(&listed, &mut news);
        news
    }

    fn leave(&mut self, listed: &BTreeMap<&str, &Vec<String>>, news: &mut News) {
        self.shards.retain(|name, shard| {
            if listed.contains_key(name.as_str()) {
                return true;
            }
            shard.unlisted += 1;
            if shard.unlisted < LISTINGS_WITHOUT {
                return true;
            }
            if !shard.is_ended() {
                news.gaps.push(gone(name));
            }
            news.mark.0.insert(name.clone(), String::new());
            false
        });
    }

    /// Shards that are read or will be, by name.
    pub(super) fn open(&self) -> impl Iterator<Item = (&str, &Shard)> {
        self.shards.iter().filter(|(_, shard)| !shard.is_ended()).map(|(name, shard)| (name.as_str(), shard))
    }

    /// Whether all of those that it came from was read, as far as they are still there.
    pub(super) fn may_be_read(&self, shard: &Shard) -> bool {
        shard.parents.iter().all(|parent| self.shards.get(parent).is_none_or(Shard::is_ended))
    }

    /// The shard to ask first among those that wait for nobody, and when.
    pub(super) fn next(&self) -> Option<(&str, Timestamp)> {
        let ready = self.open().filter(|(_, shard)| !shard.asked && self.may_be_read(shard));
        ready.map(|(name, shard)| (name, shard.due())).min_by_key(|(_, due)| *due)
    }

    /// Whether every shard was read up to its newest record since the last time that this was so.
    pub(super) fn rests(&mut self) -> bool {
        let rests = self.open().next().is_some() && self.open().all(|(_, shard)| shard.rested);
        if rests {
            self.shards.values_mut().for_each(|shard| shard.rested = false);
        }
        rests
    }

    /// How far behind the newest record the slowest shard is.
    pub(super) fn behind(&self) -> Option<Span> {
        self.open().map(|(_, shard)| shard.behind).max()
    }
}

fn made_anew(stream: &str, created: Timestamp) -> Gap {
    Gap {
        id: format!("stream@{}", created.millis()),
        what: format!(
            "the stream {stream} was deleted and made anew at {created}: what the old one held and nobody had read is lost; \
             the new one is read from its beginning"
        ),
    }
}

fn gone(shard: &str) -> Gap {
    Gap {
        id: format!("{shard}@gone"),
        what: format!(
            "{shard} was closed, and the stream no longer holds it, before it was read to its end: nobody read it for longer than \
             the stream's retention"
        ),
    }
}

fn unseen(shard: &str) -> Gap {
    Gap {
        id: format!("{shard}@unseen"),
        what: format!(
            "{shard} came from a shard that was opened, closed and deleted since the stream was last read: its records are lost, as \
             nobody read the stream for longer than its retention"
        ),
    }
}

/// What may be missing of a shard that was read up to `read` and goes on with `first` at `now`. Streams often hold records
/// for a little longer than they promise: read on without a pause, those are none.
pub(super) fn trimmed(shard: &str, read: Timestamp, first: Timestamp, now: Timestamp, retention: Span) -> Option<Gap> {
    let oldest = now.minus(retention);
    let goes_on = first < oldest && first.since(read) < PAUSE;
    if read >= oldest || goes_on || retention == Span::default() {
        return None;
    }
    let oldest = oldest.min(first);
    let what = format!(
        "records that came to {shard} between {read} and {oldest}, if there were any, were deleted before they were read: nobody \
         read it for longer than the stream's retention of {} h",
        retention.micros() / 3_600_000_000
    );
    Some(Gap { id: format!("{shard}@{}", read.millis()), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * 3_600_000)
    }

    fn listed(created: i64, shards: &[(&str, &[&str])]) -> Listed {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let shards = shards.iter().map(|(name, parents)| ((*name).to_owned(), owned(parents))).collect();
        Listed { created: hour(created), retention: Span::seconds(24 * 3_600), shards }
    }

    fn begun(shards: &[(&str, &[&str])]) -> Layout {
        let mut layout = Layout::default();
        layout.follow(&listed(1, shards), None, "audit");
        layout
    }

    fn end(layout: &mut Layout, shard: &str) {
        layout.shards.get_mut(shard).unwrap().place = Place::End;
    }

    fn names(layout: &Layout) -> Vec<&str> {
        let readable = layout.open().filter(|(_, shard)| layout.may_be_read(shard));
        readable.map(|(name, _)| name).collect()
    }

    #[test]
    fn the_first_listing_notes_where_it_began_so_that_a_restart_begins_nowhere_else() {
        let mut layout = Layout::default();
        let news = layout.follow(&listed(1, &[("a", &[]), ("b", &["gone"])]), Some(hour(7)), "audit");
        assert_eq!(news.gaps, [], "what came before is none of ours");
        let restored = Layout::restore(&news.mark).unwrap();
        assert_eq!(restored.start(), Some(hour(7)));
        assert_eq!(names(&restored), ["a", "b"]);
    }

    #[test]
    fn children_are_read_when_all_of_their_parents_was() {
        let mut layout = begun(&[("a", &[]), ("b", &[])]);
        // Split a; merge its second half with b.
        layout.follow(
            &listed(1, &[("a", &[]), ("b", &[]), ("c", &["a"]), ("d", &["a"]), ("e", &["d", "b"])]),
            None,
            "s",
        );
        assert_eq!(names(&layout), ["a", "b"]);
        end(&mut layout, "a");
        assert_eq!(names(&layout), ["b", "c", "d"]);
        end(&mut layout, "d");
        assert_eq!(names(&layout), ["b", "c"]);
        end(&mut layout, "b");
        assert_eq!(names(&layout), ["c", "e"]);
    }

    #[test]
    fn the_mark_of_a_shard_that_is_gone_leaves_and_what_nobody_read_of_it_is_a_gap() {
        let mut layout = begun(&[("a", &[]), ("b", &[])]);
        layout.follow(&listed(1, &[("a", &[]), ("b", &[]), ("c", &["a"])]), None, "audit");
        end(&mut layout, "a");
        let rest: Listed = listed(1, &[("c", &["a"])]);
        assert_eq!(layout.follow(&rest, None, "audit"), News::default(), "a listing may miss some for a moment");
        let news = layout.follow(&rest, None, "audit");
        assert_eq!(news.mark.0, BTreeMap::from([("a", ""), ("b", "")].map(|(a, b)| (a.to_owned(), b.to_owned()))));
        let ids: Vec<&str> = news.gaps.iter().map(|gap| gap.id.as_str()).collect();
        assert_eq!(ids, ["b@gone"]);
        assert_eq!(names(&layout), ["c"]);
        assert_eq!(layout.follow(&rest, None, "audit"), News::default());
    }

    #[test]
    fn a_shard_that_came_and_went_unseen_is_a_gap() {
        let mut layout = begun(&[("a", &[])]);
        let news = layout.follow(&listed(1, &[("a", &[]), ("z", &["y"])]), None, "audit");
        let ids: Vec<&str> = news.gaps.iter().map(|gap| gap.id.as_str()).collect();
        assert_eq!(ids, ["z@unseen"]);
    }

    #[test]
    fn a_stream_that_was_made_anew_is_read_from_its_beginning_and_told() {
        let mut layout = Layout::default();
        layout.follow(&listed(1, &[("a", &[]), ("b", &[])]), Some(hour(7)), "audit");
        end(&mut layout, "a");
        let news = layout.follow(&listed(9, &[("a", &[])]), Some(hour(7)), "audit");
        assert_eq!(news.gaps.len(), 1);
        assert!(news.gaps[0].what.contains("made anew at 1970-01-01T09:00:00"), "{}", news.gaps[0].what);
        assert_eq!((news.mark.0["a"].as_str(), news.mark.0["b"].as_str()), (r#""beginning""#, ""));
        assert_eq!((names(&layout), layout.start()), (vec!["a"], None));
    }

    #[test]
    fn what_the_retention_has_passed_may_be_missing() {
        let day = Span::seconds(24 * 3_600);
        assert_eq!(trimmed("a", hour(10), hour(30), hour(34), day), None, "all of it is still there");
        let gap = trimmed("a", hour(10), hour(30), hour(36), day).unwrap();
        assert_eq!(gap.id, "a@36000000");
        assert!(gap.what.contains("between 1970-01-01T10:00:00") && gap.what.contains("retention of 24 h"), "{gap:?}");
        let next = hour(10).plus(Span::seconds(300));
        assert_eq!(trimmed("a", hour(10), next, hour(36), day), None, "the stream holds more than it promises");
        assert!(
            trimmed("a", hour(10), hour(11), hour(36), day).is_some(),
            "it does, and something may be gone before it"
        );
    }

    #[test]
    fn a_mark_of_another_shape_is_refused() {
        let stored = Mark(BTreeMap::from([("shardId-0".to_owned(), "yesterday".to_owned())]));
        assert_eq!(Layout::restore(&stored).unwrap_err().remedy, Remedy::Person);
    }
}
