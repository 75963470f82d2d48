//! One walk over a document finds the values of every field that some rules name.
//!
//! Looking each field up by itself would go through the members of the same objects again and again. A document that
//! was parsed is walked here, a text that was not in [`super::skim`]; both fill the same [`Found`].

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use sonic_rs::{JsonContainerTrait, JsonType, JsonValueTrait, Value};

use super::leaf::{Leaf, decode_folded};
use super::mapping::Synonyms;
use super::text::fold_onto;
use crate::field::{FieldId, Path};

/// The paths of some fields as one tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The first is the root.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// The field whose path ends here.
    field: Option<FieldId>,
    /// Whether it is one of the members that say what a record is, and so no list.
    single: bool,
    /// Whether this is the whole name as one key, which wins over the nested path.
    flat: bool,
    /// Whether it is another name of a field.
    other: bool,
    /// Whether it is either: one question for what is rare.
    remarkable: bool,
    /// Bit n: a child's name has n bytes, the last bit: that many or more. Spares most keys their hash.
    lengths: u64,
    /// Not keyed: the names are rule text, so whoever writes events can aim at no chain longer than those.
    children: HashMap<Box<str>, u32, FxBuildHasher>,
}

/// The values of one document by field, in document order.
#[derive(Debug, Default)]
pub(super) struct Found<'e> {
    heads: Vec<Head>,
    values: Vec<Link<'e>>,
    /// The folded texts of values that were asked for theirs. If rules ask for any string, all strings stand first, a
    /// [`SEPARATOR`] before each and behind the last.
    folded: Vec<u8>,
    /// Where those end.
    joined: u32,
    /// A head counts if its stamp is this one, so nothing is cleared per event.
    generation: u32,
    /// The fields that are there.
    present: Vec<FieldId>,
    /// Other names of fields that were met; then the fields that were lent what stands there, with what they had of
    /// their own. One list, as this is moved once an event: beyond 128 bytes it would be copied by a call.
    lending: Vec<(FieldId, Option<Head>)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    generation: u32,
    flat: bool,
    /// Whether these are the values of another name.
    lent: bool,
    first: u32,
    last: u32,
}

/// One value, and where the same field's next one is.
#[derive(Debug)]
struct Link<'e> {
    value: Leaf<'e>,
    next: u32,
    /// Whether it is one of the strings and numbers of the document that rules ask for wherever they stand.
    string: bool,
    /// Where its text stands in `folded`; several rules ask for it, but it is folded once.
    text: Text,
}

#[derive(Clone, Copy, Debug)]
enum Text {
    NotAsked,
    /// Null and objects have none.
    Absent,
    At(u32, u32),
}

/// Stands between texts, and in none: no byte of UTF-8.
const SEPARATOR: u8 = 0xff;

/// No next one.
const END: u32 = u32::MAX;

impl Tree {
    pub(super) fn new<'p>(paths: impl IntoIterator<Item = (FieldId, &'p Path)>) -> Self {
        let mut tree = Self { nodes: vec![Node::default()] };
        for (field, path) in paths {
            let end = path.segments().iter().fold(0, |place, segment| tree.child(place, segment));
            tree.nodes[end as usize].field = Some(field);
            if path.segments().len() > 1 {
                let end = tree.child(0, path.name());
                tree.nodes[end as usize].field = Some(field);
                tree.nodes[end as usize].flat = true;
                tree.nodes[end as usize].remarkable = true;
            }
        }
        tree
    }

    /// Marks the member of this dotted name as one that says what a record is, and all that lies on the way.
    pub(super) fn expect_single(&mut self, name: &str) {
        let flat = self.child(0, name);
        self.nodes[flat as usize].single = true;
        let mut place = 0;
        for segment in name.split('.') {
            place = self.child(place, segment);
            self.nodes[place as usize].single = true;
        }
    }

    /// Marks these paths, which are among those that it was made of, as other names of fields.
    pub(super) fn expect_others<'p>(&mut self, paths: impl IntoIterator<Item = &'p Path>) {
        for path in paths {
            let nested = path.segments().iter().fold(0, |place, segment| self.child(place, segment));
            let flat = self.child(0, path.name());
            for place in [nested, flat] {
                self.nodes[place as usize].other = true;
                self.nodes[place as usize].remarkable = true;
            }
        }
    }

    fn child(&mut self, place: u32, name: &str) -> u32 {
        let next = u32::try_from(self.nodes.len()).expect("fewer than 2^32 names fit into memory");
        let node = &mut self.nodes[place as usize];
        node.lengths |= length_bit(name);
        let child = *node.children.entry(name.into()).or_insert(next);
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Finds the values of a parsed document.
    fn walk<'e>(&self, node: Option<&Node>, strings: bool, value: &'e Value, found: &mut Found<'e>) {
        let sort = value.get_type();
        if sort == JsonType::Array {
            let Some(elements) = value.as_array() else { return };
            // It is there, be it empty.
            if let Some(node) = node {
                node.touch(found);
            }
            for element in elements {
                self.walk(node, strings, element, found);
            }
            return;
        }
        let end = node.filter(|node| node.is_end());
        if strings && matches!(sort, JsonType::String | JsonType::Number) {
            found.push_string(end, Leaf::of(value));
        } else if let Some(end) = end {
            end.push(Leaf::of(value), found);
        }
        if sort == JsonType::Object && (strings || node.is_some_and(|node| !node.children.is_empty())) {
            let Some(members) = value.as_object() else { return };
            for (name, member) in members {
                let child = node.and_then(|node| self.enter(node, name, found));
                if strings || child.is_some() {
                    self.walk(child, strings, member, found);
                }
            }
        }
    }

    /// Where this member leads, if any field lies there.
    pub(super) fn enter(&self, node: &Node, name: &str, found: &mut Found<'_>) -> Option<&Node> {
        if node.lengths & length_bit(name) == 0 {
            return None;
        }
        let child = &self.nodes[*node.children.get(name)? as usize];
        if child.remarkable {
            child.field.into_iter().for_each(|field| found.meet(field, child));
        }
        Some(child)
    }

    pub(super) fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }
}

impl Node {
    /// The field is there, with or without values.
    pub(super) fn touch(&self, found: &mut Found<'_>) {
        self.field.into_iter().for_each(|field| found.touch(field, self.flat));
    }

    /// Takes a value in, if this is where a field's path ends.
    pub(super) fn push<'e>(&self, value: Leaf<'e>, found: &mut Found<'e>) {
        if let Some(field) = self.field {
            found.push(Some((field, self.flat)), value, false);
        }
    }

    /// Whether a list in this place would make the record an odd one.
    pub(super) fn is_single(&self) -> bool {
        self.single
    }

    /// Whether the record is an odd one because it holds a dotted name as one key.
    pub(super) fn is_odd(&self) -> bool {
        self.single && self.flat
    }

    /// Whether a field's path ends here.
    pub(super) fn is_end(&self) -> bool {
        self.field.is_some()
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

impl<'e> Found<'e> {
    /// Nothing yet, in the memory of what was found before, of so many fields.
    pub(super) fn start(fields: usize, memory: Found<'static>) -> Self {
        let mut found: Found<'e> = memory;
        found.values.clear();
        found.folded.clear();
        found.present.clear();
        found.lending.clear();
        found.joined = 0;
        if found.heads.len() < fields {
            found.heads.resize(fields, Head::default());
        }
        found.generation = found.generation.wrapping_add(1);
        if found.generation == 0 {
            // Once in four thousand million events old stamps could look new.
            found.heads.fill(Head::default());
            found.generation = 1;
        }
        found
    }

    /// Takes in what `tree` finds in a document, and each of its strings if rules ask for them.
    pub(super) fn read(&mut self, tree: &Tree, strings: bool, document: &'e Value) {
        // A record is an object; an array in its place would be no document of many here.
        let root = tree.root().filter(|_| document.is_object());
        tree.walk(root, strings, document, self);
    }

    /// Takes in a string or number of the document that rules ask for wherever it stands; a field's path may end
    /// there too.
    pub(super) fn push_string(&mut self, end: Option<&Node>, value: Leaf<'e>) {
        self.push(end.and_then(|end| Some((end.field?, end.flat))), value, true);
    }

    /// All strings and numbers of the document, if they were asked for.
    pub(super) fn strings(&self) -> impl Iterator<Item = &Leaf<'e>> {
        self.values.iter().filter(|link| link.string).map(|link| &link.value)
    }

    /// Folds all strings and numbers of the document, so that one pass goes over them.
    pub(super) fn join_strings(&mut self) {
        for link in self.values.iter_mut().filter(|link| link.string) {
            self.folded.push(SEPARATOR);
            link.fold(&mut self.folded);
        }
        self.folded.push(SEPARATOR);
        self.joined = number(self.folded.len());
    }

    /// Each of the folded texts of all strings and numbers.
    pub(super) fn each_joined(&self, mut visit: impl FnMut(&[u8])) {
        for link in self.values.iter().filter(|link| link.string) {
            if let Text::At(start, end) = link.text {
                visit(&self.folded[start as usize..end as usize]);
            }
        }
    }

    /// The folded texts of all strings and numbers, with [`SEPARATOR`]s.
    pub(super) fn joined(&self) -> &[u8] {
        &self.folded[..self.joined as usize]
    }

    /// The memory without the values.
    pub(super) fn forget(mut self) -> Found<'static> {
        self.values.clear();
        // Empty, so nothing is converted; the standard library keeps the allocation.
        let values = self.values.into_iter().map(|_| unreachable!("no value is left")).collect();
        let Self { heads, folded, joined, generation, present, lending, .. } = self;
        Found { heads, values, folded, joined, generation, present, lending }
    }

    /// Lends to each field that the document holds under another name only what stands there. Nothing is read into
    /// this after it.
    pub(super) fn stand_in(&mut self, synonyms: &Synonyms) {
        for place in 0..self.lending.len() {
            for &field in synonyms.fields(self.lending[place].0) {
                let other = synonyms.found_at(field, |name| self.holds(name));
                let head = self.heads[field.0 as usize];
                if other == field || self.is_lent(field) {
                    continue;
                }
                self.lending.push((field, Some(head)));
                if head.generation != self.generation {
                    self.present.push(field);
                }
                self.heads[field.0 as usize] = Head { lent: true, ..self.heads[other.0 as usize] };
            }
        }
    }

    /// A field is about to be found at this node, and may have been before.
    fn meet(&mut self, field: FieldId, node: &Node) {
        if node.other && !self.exists(field) {
            self.lending.push((field, None));
        }
        if node.flat {
            self.take_over(field);
        }
    }

    /// The name stands as one key: whatever the nested path leads to counts no longer, even if there is nothing
    /// in its place.
    fn take_over(&mut self, field: FieldId) {
        let head = &mut self.heads[field.0 as usize];
        if head.generation != self.generation {
            self.present.push(field);
        }
        if head.generation != self.generation || !head.flat {
            *head = Head { generation: self.generation, flat: true, lent: false, first: END, last: END };
        }
    }

    /// The field is there, with or without values.
    fn touch(&mut self, field: FieldId, flat: bool) {
        let head = &mut self.heads[field.0 as usize];
        if head.generation != self.generation {
            self.present.push(field);
            *head = Head { generation: self.generation, flat, lent: false, first: END, last: END };
        }
    }

    /// Takes a value in: as that of the field whose path ends there, flat or not, and as one of all strings.
    fn push(&mut self, end: Option<(FieldId, bool)>, value: Leaf<'e>, string: bool) {
        let is_field = end.is_some_and(|(field, flat)| self.chain(field, flat));
        if is_field || string {
            self.values.push(Link { value, next: END, string, text: Text::NotAsked });
        }
    }

    /// Makes the next value to come the field's last one, unless another spelling of its path has taken over.
    fn chain(&mut self, field: FieldId, flat: bool) -> bool {
        let place = number(self.values.len());
        self.touch(field, flat);
        let head = &mut self.heads[field.0 as usize];
        if head.flat != flat {
            return false;
        }
        match self.values.get_mut(head.last as usize) {
            Some(last) => last.next = place,
            None => head.first = place,
        }
        head.last = place;
        true
    }

    /// Takes in a value that the record does not hold.
    pub(super) fn give(&mut self, field: FieldId, value: Leaf<'e>) {
        self.push(Some((field, false)), value, false);
    }

    /// The fields that are there.
    pub(super) fn present(&self) -> &[FieldId] {
        &self.present
    }

    /// Whether the field is there, even if it is an empty array.
    pub(super) fn exists(&self, field: FieldId) -> bool {
        self.heads[field.0 as usize].generation == self.generation
    }

    /// Whether the field leads to anything but objects under its own name; as [`Path::holds`].
    pub(super) fn holds(&self, field: FieldId) -> bool {
        let only_objects = || self.has(field) && self.of(field).all(|value| matches!(value, Leaf::Object));
        self.exists(field) && !self.is_lent(field) && !only_objects()
    }

    fn is_lent(&self, field: FieldId) -> bool {
        self.exists(field) && self.heads[field.0 as usize].lent
    }

    /// Whether the field leads to any value, null included.
    pub(super) fn has(&self, field: FieldId) -> bool {
        self.first(field) != END
    }

    fn first(&self, field: FieldId) -> u32 {
        self.start_of(&self.heads[field.0 as usize])
    }

    fn start_of(&self, head: &Head) -> u32 {
        if head.generation == self.generation { head.first } else { END }
    }

    /// The folded text of each value that the field leads to and that has one.
    pub(super) fn folded(&mut self, field: FieldId, mut visit: impl FnMut(&[u8])) {
        let mut next = self.first(field);
        while let Some(link) = self.values.get_mut(next as usize) {
            if let Text::NotAsked = link.text {
                link.fold(&mut self.folded);
            }
            if let Text::At(start, end) = link.text {
                visit(&self.folded[start as usize..end as usize]);
            }
            next = link.next;
        }
    }

    /// The values that the field leads to: each element of an array by itself.
    pub(super) fn of(&self, field: FieldId) -> impl Iterator<Item = &Leaf<'e>> {
        self.from(self.first(field))
    }

    /// Those that it has under its own name.
    pub(super) fn own(&self, field: FieldId) -> impl Iterator<Item = &Leaf<'e>> {
        let mut start = self.first(field);
        if self.is_lent(field) {
            let had = |(other, head): &(FieldId, Option<Head>)| head.filter(|_| *other == field);
            start = self.lending.iter().find_map(had).map_or(END, |head| self.start_of(&head));
        }
        self.from(start)
    }

    fn from(&self, mut next: u32) -> impl Iterator<Item = &Leaf<'e>> {
        std::iter::from_fn(move || {
            let link = self.values.get(next as usize)?;
            next = link.next;
            Some(&link.value)
        })
    }
}

impl Link<'_> {
    /// Writes the folded text behind the others.
    fn fold(&mut self, folded: &mut Vec<u8>) {
        let start = number(folded.len());
        let has_text = match self.value {
            Leaf::Escaped(text) => {
                decode_folded(text, folded);
                true
            }
            _ => self.value.with_text(|text| fold_onto(text, folded)).is_some(),
        };
        self.text = if has_text { Text::At(start, number(folded.len())) } else { Text::Absent };
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a document is shorter than 2^32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str, paths: &[&str]) -> Vec<Vec<String>> {
        let document: Value = sonic_rs::from_str(document).unwrap();
        let paths: Vec<(FieldId, Path)> = (0..).map(FieldId).zip(paths.iter().map(|path| Path::new(path))).collect();
        let tree = Tree::new(paths.iter().map(|(field, path)| (*field, path)));
        let mut found = Found::start(paths.len(), Found::default());
        found.read(&tree, false, &document);
        let text = |value: &Leaf<'_>| value.with_text(str::to_owned);
        paths.iter().map(|(field, _)| found.of(*field).filter_map(text).collect()).collect()
    }

    #[test]
    fn one_walk_finds_every_field() {
        let document = r#"{"a":{"b":1,"c":{"d":[2,3]}},"e":"x","f":{"b":9}}"#;
        assert_eq!(
            texts(document, &["e", "a.b", "a.c.d", "a.x", "a"]),
            [vec!["x"], vec!["1"], vec!["2", "3"], vec![], vec![]]
        );
    }

    #[test]
    fn fields_of_the_elements_of_an_array_keep_their_order() {
        let document = r#"{"a":[{"b":1,"c":2},{"b":[3,[4]]},{"c":5}]}"#;
        assert_eq!(texts(document, &["a.b", "a.c"]), [["1", "3", "4"].as_slice(), &["2", "5"]]);
    }

    #[test]
    fn a_literal_dotted_key_wins_over_the_nested_one_wherever_it_stands() {
        for document in [r#"{"a.b":"flat","a":{"b":"nested"}}"#, r#"{"a":{"b":"nested"},"a.b":"flat"}"#] {
            assert_eq!(texts(document, &["a.b"]), [["flat"]]);
        }
    }

    #[test]
    fn the_memory_of_one_document_does_not_leak_into_the_next() {
        let path = Path::new("a");
        let tree = Tree::new([(FieldId(0), &path)]);
        let documents: Vec<Value> = [r#"{"a":1}"#, "{}"].iter().map(|json| sonic_rs::from_str(json).unwrap()).collect();
        let mut memory = Found::default();
        for _ in 0..3 {
            for (document, values) in documents.iter().zip([1, 0]) {
                let mut found = Found::start(1, memory);
                found.read(&tree, false, document);
                assert_eq!(found.of(FieldId(0)).count(), values);
                memory = found.forget();
            }
        }
    }
}
