//! Fields that other schemas know by other names: equal names are one question.
//!
//! A rule may ask for `source.ip` where the vendor writes `sourceIPAddress`, and the other way round. A mapping says,
//! for one kind of log, which names mean the same. Under which of them an event is asked is decided in one place,
//! [`Synonyms::found_at`], for rules that match and for keys and windows, whether it was skimmed or parsed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Problem, RuleFile};
use crate::event::Kind;
use crate::field::{FieldId, Fields};

mod read;

/// For each kind of log, which names of a field mean the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings {
    kinds: BTreeMap<Kind, Names>,
}

/// The names of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    /// Each begins with the vendor's name; no name stands in two of them.
    lists: Vec<Vec<String>>,
    /// By name: its list.
    places: BTreeMap<String, usize>,
    /// What stands before the `*` of a line: of its first name, and of the others. Longer beginnings come first.
    patterns: Vec<(String, Vec<String>)>,
}

/// The names of one kind's mapping by their numbers among the fields of a rule set.
#[derive(Clone, Debug, Default)]
pub(super) struct Synonyms {
    /// Ascending: a field, and its other names in the order in which an event is asked for them.
    others: Vec<(FieldId, Box<[FieldId]>)>,
    /// The fields that other names stand for, by name.
    fields: Vec<FieldId>,
    /// By name: where those of the names before it end.
    ends: Vec<u32>,
}

impl Mappings {
    /// Reads the shipped files and those of the user. For a field that both name, the user's list counts. What is
    /// wrong is left out and told; of a name that the user's files take from a shipped list it is a warning.
    #[must_use]
    pub fn read(shipped: &[RuleFile], own: &[RuleFile]) -> (Self, Vec<Problem>) {
        let (kinds, problems) = read::mappings(shipped, own);
        let kinds = kinds.into_iter().map(|(kind, lists)| (kind, Names::new(lists))).collect();
        (Self { kinds }, problems)
    }

    /// Whether this is a name in a mapping for this kind of log.
    pub(super) fn knows(&self, kind: Kind, name: &str) -> bool {
        self.kinds.get(&kind).is_some_and(|names| names.of(name).len() > 1)
    }

    /// The names in the mapping for this kind of log, without those that a pattern stands for.
    pub(super) fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.kinds.get(&kind).into_iter().flat_map(|names| names.places.keys().map(String::as_str))
    }

    /// Gives numbers to the other names of these fields.
    pub(super) fn intern(&self, fields: &mut Fields) {
        let asked = fields.names().map(str::to_owned).collect::<Vec<_>>();
        for name in asked {
            for names in self.kinds.values() {
                for other in names.of(&name) {
                    fields.intern(&other);
                }
            }
        }
    }

    /// What [`Mappings::intern`] gave numbers to, for this kind of log.
    pub(super) fn synonyms(&self, kind: Kind, fields: &Fields) -> Synonyms {
        let Some(names) = self.kinds.get(&kind) else { return Synonyms::default() };
        let mut others = Vec::new();
        for (field, name) in (0..).map(FieldId).zip(fields.names()) {
            let numbers = names.of(name).into_iter().filter_map(|other| fields.known(&other));
            let numbers: Box<[FieldId]> = numbers.filter(|other| *other != field).collect();
            if !numbers.is_empty() {
                others.push((field, numbers));
            }
        }
        Synonyms::new(others)
    }
}

impl Names {
    fn new(lists: Vec<Vec<String>>) -> Self {
        let mut names = Self::default();
        for list in lists {
            let beginnings: Option<Vec<String>> =
                list.iter().map(|name| name.strip_suffix('*').map(str::to_owned)).collect();
            match beginnings.as_deref() {
                Some([first, others @ ..]) => names.patterns.push((first.clone(), others.to_vec())),
                Some([]) | None => {
                    let place = names.lists.len();
                    names.places.extend(list.iter().map(|name| (name.clone(), place)));
                    names.lists.push(list);
                }
            }
        }
        names.patterns.sort_by(|(left, _), (right, _)| (right.len(), left).cmp(&(left.len(), right)));
        names
    }

    /// All names of the field that this one is a name of, in the order in which an event is asked for them.
    fn of(&self, name: &str) -> Vec<String> {
        let list = |name: &str| self.places.get(name).map(|place| self.lists[*place].clone());
        let mut names = list(name).unwrap_or_else(|| {
            let vendor = self.vendor(name);
            list(&vendor).unwrap_or_else(|| vec![vendor])
        });
        let vendor = names[0].clone();
        for (first, others) in &self.patterns {
            let Some(rest) = rest(&vendor, first) else { continue };
            names.extend(others.iter().map(|other| format!("{other}{rest}")));
        }
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// The vendor's name for one that a pattern makes of it; else the name itself.
    fn vendor(&self, name: &str) -> String {
        let others = self.patterns.iter().flat_map(|(first, others)| others.iter().map(move |other| (first, other)));
        let fitting = others.filter_map(|(first, other)| Some((other.len(), first, rest(name, other)?)));
        let longest = fitting.max_by_key(|(length, ..)| *length);
        longest.map_or_else(|| name.to_owned(), |(_, first, rest)| format!("{first}{rest}"))
    }
}

/// What a `*` behind this beginning stands for: something.
fn rest<'n>(name: &'n str, beginning: &str) -> Option<&'n str> {
    name.strip_prefix(beginning).filter(|rest| !rest.is_empty())
}

impl Synonyms {
    fn new(others: Vec<(FieldId, Box<[FieldId]>)>) -> Self {
        let pairs = others.iter().flat_map(|(field, others)| others.iter().map(|other| (*other, *field)));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable();
        let bound = pairs.last().map_or(0, |(other, _)| other.0 + 1);
        let end = |name| pairs.partition_point(|(other, _)| other.0 < name);
        let number = |place| u32::try_from(place).expect("fewer than 2^32 names fit into memory");
        let ends = (0..=bound).map(end).map(number).collect();
        Self { fields: pairs.into_iter().map(|(_, field)| field).collect(), ends, others }
    }

    /// Under which name a document holds a field, if `holds` tells under which names it holds anything: under the one
    /// that the rule wrote, or else the first of the others in the order of the mapping.
    pub(super) fn found_at(&self, field: FieldId, holds: impl Fn(FieldId) -> bool) -> FieldId {
        let others = match self.others.binary_search_by_key(&field, |(field, _)| *field) {
            Ok(place) => &*self.others[place].1,
            Err(_) => return field,
        };
        if holds(field) {
            return field;
        }
        others.iter().copied().find(|other| holds(*other)).unwrap_or(field)
    }

    /// The same for these fields alone.
    pub(super) fn only(&self, asked: &[FieldId]) -> Self {
        let asked: BTreeSet<FieldId> = asked.iter().copied().collect();
        let others = self.others.iter().filter(|(field, _)| asked.contains(field));
        Self::new(others.cloned().collect())
    }

    /// The fields that this is another name of.
    pub(super) fn fields(&self, other: FieldId) -> &[FieldId] {
        match self.ends.get(other.0 as usize..) {
            Some([start, end, ..]) => &self.fields[*start as usize..*end as usize],
            Some([_] | []) | None => &[],
        }
    }

    /// Every other name of a field, in ascending order.
    pub(super) fn names(&self) -> impl Iterator<Item = FieldId> {
        (0..).map(FieldId).zip(self.ends.windows(2)).filter(|(_, ends)| ends[0] < ends[1]).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests;
