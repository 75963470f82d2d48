//! YAML as rules need it: a tree in which every key and every value knows its place.
//!
//! Made in one pass from the parser's events, so that what is wrong can be told to the line and column, and
//! a text is read once. Scalars have the types of YAML 1.2's core schema: `yes`, `on` and dates are text.
//! Depth and size have limits, aliases counted as what they stand for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::number::Number;
use super::place::{Fault, Place};

mod scalar;
mod slip;

/// Deeper than any public rule by far; what walks a tree may recurse.
const DEPTH_MAX: usize = 64;
/// Keys and values of one document, those that aliases repeat counted each time.
const NODES_MAX: usize = 200_000;
/// Their texts together, counted alike.
const BYTES_MAX: usize = 16 << 20;

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Node<'d> {
    pub(super) place: Place,
    pub(super) value: Value<'d>,
    pub(super) style: Style,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value<'d> {
    Null,
    Bool(bool),
    /// With the spelling of its author.
    Number(Number, Cow<'d, str>),
    Text(Cow<'d, str>),
    List(Vec<Node<'d>>),
    /// In the order of the text, no key twice.
    Map(Vec<Entry<'d>>),
}

/// One line of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry<'d> {
    pub(super) key: Cow<'d, str>,
    pub(super) place: Place,
    /// Not so if it is a number, a boolean or null, which only quotes make a name.
    pub(super) key_is_text: bool,
    pub(super) value: Node<'d>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// Nothing stands there.
    Absent,
    Quoted,
    /// `|` or `>`.
    Block,
    /// Brackets or braces, or an indented list or mapping.
    Collection,
}

/// A list or mapping that is not closed yet.
struct Open<'d> {
    place: Place,
    anchor: usize,
    inside: Inside<'d>,
    /// What [`Tree::size`] was before it.
    before: Size,
}

enum Inside<'d> {
    List(Vec<Node<'d>>),
    Map(Vec<Entry<'d>>, Option<Key<'d>>),
}

struct Key<'d> {
    text: Cow<'d, str>,
    place: Place,
    is_text: bool,
}

#[derive(Default)]
struct Tree<'d> {
    open: Vec<Open<'d>>,
    /// Each with how much it is.
    anchors: BTreeMap<usize, (Node<'d>, Size)>,
    size: Size,
    root: Option<Node<'d>>,
    /// Lines of the file before the document.
    lines_before: usize,
}

/// How many nodes, and the bytes of their texts.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

/// Reads one document, which begins in this line of its file; nothing if there is none.
///
/// # Errors
/// Where it is no YAML, or not such as rules may be.
pub(super) fn read(text: &str, first_line: usize) -> Result<Option<Node<'_>>, Fault> {
    let mut tree = Tree { lines_before: first_line.saturating_sub(1), ..Tree::default() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col());
            let words = slip::words(text, line.max(1), tree.lines_before, error.info());
            let words = words.unwrap_or_else(|| format!("{}{}", error.info(), tree.unclosed(text)));
            Fault::error(format!("this is no YAML: {words}")).at(tree.place(line, column))
        })?;
        tree.take(event, span)?;
    }
    Ok(tree.root)
}

impl<'d> Tree<'d> {
    fn place(&self, line: usize, column: usize) -> Place {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place::new(number(self.lines_before + line.max(1)), number(column).saturating_add(1))
    }

    fn take(&mut self, event: Event<'d>, span: Span) -> Result<(), Fault> {
        let place = self.place(span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar(text, style, tag.as_deref(), place);
                let size = Size { nodes: 1, bytes: node.bytes() };
                self.count(size, place)?;
                self.remember(anchor, &node, size)?;
                self.put(node)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Inside::List(Vec::new()), place),
            Event::MappingStart(anchor, _) => self.open(anchor, Inside::Map(Vec::new(), None), place),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some(&(_, size)) = self.anchors.get(&anchor) else {
                    return Err(Fault::error("an alias stands inside of what it names").at(place));
                };
                self.count(size, place)?;
                let node = self.anchors.get(&anchor).map(|(node, _)| Node { place, ..node.clone() });
                node.map_or(Ok(()), |node| self.put(node))
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Fault::error("a second document begins here; put `---` before it").at(place))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    /// What the parser's words do not say: a bracket that is open where it gave up.
    fn unclosed(&self, text: &str) -> String {
        let Some(Open { place, .. }) = self.open.last() else { return String::new() };
        let line = text.lines().nth((place.line as usize).saturating_sub(self.lines_before + 1)).unwrap_or_default();
        match line.chars().nth(place.column as usize - 1) {
            Some(bracket @ ('[' | '{')) => format!("; `{bracket}` in line {} is not closed", place.line),
            _ => String::new(),
        }
    }

    fn count(&mut self, more: Size, place: Place) -> Result<(), Fault> {
        self.size.nodes += more.nodes;
        self.size.bytes += more.bytes;
        let message = match self.size {
            Size { nodes, .. } if nodes > NODES_MAX => format!("the document holds more than {NODES_MAX} values"),
            Size { bytes, .. } if bytes > BYTES_MAX => {
                format!("the texts of the document have more than {BYTES_MAX} bytes")
            }
            Size { .. } => return Ok(()),
        };
        Err(Fault::error(message).at(place))
    }

    fn open(&mut self, anchor: usize, inside: Inside<'d>, place: Place) -> Result<(), Fault> {
        if self.open.len() == DEPTH_MAX {
            return Err(Fault::error(format!("lists and mappings are nested deeper than {DEPTH_MAX}")).at(place));
        }
        let before = self.size;
        self.count(Size { nodes: 1, bytes: 0 }, place)?;
        self.open.push(Open { place, anchor, inside, before });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Open { place, anchor, inside, before } = self.open.pop().expect("the parser closes what it opened");
        let value = match inside {
            Inside::List(elements) => Value::List(elements),
            Inside::Map(entries, _) => {
                distinct(&entries)?;
                Value::Map(entries)
            }
        };
        let node = Node { place, value, style: Style::Collection };
        let size = Size { nodes: self.size.nodes - before.nodes, bytes: self.size.bytes - before.bytes };
        self.remember(anchor, &node, size)?;
        self.put(node)
    }

    /// What has a name is kept a second time, and counts so.
    fn remember(&mut self, anchor: usize, node: &Node<'d>, size: Size) -> Result<(), Fault> {
        if anchor != 0 {
            self.count(size, node.place)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn put(&mut self, node: Node<'d>) -> Result<(), Fault> {
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(node),
            Some(Inside::List(elements)) => elements.push(node),
            Some(Inside::Map(entries, waiting)) => match waiting.take() {
                None => *waiting = Some(key(node)?),
                Some(Key { text, place, is_text }) => {
                    entries.push(Entry { key: text, place, key_is_text: is_text, value: node });
                }
            },
        }
        Ok(())
    }
}

fn key(node: Node<'_>) -> Result<Key<'_>, Fault> {
    let Node { place, value, .. } = node;
    let (text, is_text) = match value {
        Value::Text(text) if text == "<<" => {
            return Err(Fault::error("merge keys, `<<`, are not read; write the lines out").at(place));
        }
        Value::Text(text) => (text, true),
        Value::Number(_, text) => (text, false),
        Value::Bool(flag) => (Cow::Borrowed(if flag { "true" } else { "false" }), false),
        Value::Null => (Cow::Borrowed("null"), false),
        Value::List(_) | Value::Map(_) => {
            return Err(Fault::error("a key must be text, not a list or a mapping").at(place));
        }
    };
    Ok(Key { text, place, is_text })
}

fn distinct(entries: &[Entry<'_>]) -> Result<(), Fault> {
    let mut order: Vec<&Entry<'_>> = entries.iter().collect();
    // Stable, so of two equal keys the later one is at fault.
    order.sort_by(|left, right| left.key.cmp(&right.key));
    for pair in order.windows(2) {
        if pair[0].key == pair[1].key {
            let message = format!("key `{}` stands here a second time; the first is in line {}", pair[1].key, {
                pair[0].place.line
            });
            return Err(Fault::error(message).at(pair[1].place));
        }
    }
    Ok(())
}

fn scalar<'d>(text: Cow<'d, str>, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Node<'d> {
    let style = match style {
        ScalarStyle::Plain if text.is_empty() => Style::Absent,
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    // `!!str 5` and `! 5` are the text.
    let told = tag.is_some_and(|tag| tag.suffix == "str" || tag.suffix.is_empty());
    let value =
        if matches!(style, Style::Plain | Style::Absent) && !told { scalar::typed(text) } else { Value::Text(text) };
    Node { place, value, style }
}

impl<'d> Node<'d> {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(..) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The entries of a mapping.
    pub(super) fn map(&self) -> Option<&[Entry<'d>]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) | Value::List(_) => None,
        }
    }

    /// The elements of a list, or the value itself as the only one.
    pub(super) fn each(&self) -> &[Node<'d>] {
        match &self.value {
            Value::List(elements) => elements,
            Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) | Value::Map(_) => {
                std::slice::from_ref(self)
            }
        }
    }

    /// The entry with this key, if this is a mapping that has one.
    pub(super) fn get(&self, key: &str) -> Option<&Entry<'d>> {
        self.map()?.iter().find(|entry| entry.key == key)
    }

    fn bytes(&self) -> usize {
        match &self.value {
            Value::Text(text) | Value::Number(_, text) => text.len(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => 0,
        }
    }

    /// The place of a character of this text, wherever line breaks and blanks stand in the file: the one behind so many
    /// others that are neither.
    pub(super) fn place_of(&self, visible: usize) -> Place {
        match self.style {
            Style::Plain | Style::Absent | Style::Quoted | Style::Block => self.place.behind(visible),
            Style::Collection => self.place,
        }
    }

    /// The place behind this text.
    pub(super) fn end(&self) -> Place {
        let characters = self.text().unwrap_or_default().chars();
        self.place.past(characters.filter(|char| !char.is_whitespace()).count())
    }

    /// The same value in JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(number, text) => scalar::json(*number, text),
            Value::Text(text) => serde_json::Value::String(text.clone().into_owned()),
            Value::List(elements) => elements.iter().map(Self::json).collect(),
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.value.json())).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
