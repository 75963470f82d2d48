//! Mapping files: `kind`, and under `fields` for a vendor's name the list of its other names.

use std::collections::BTreeMap;

use crate::event::Kind;
use crate::rule::place::{Document, Fault, Place};
use crate::rule::yaml::{self, Entry, Node, Value};
use crate::rule::{Problem, RuleFile, nearest};

/// The keys of a mapping.
const KEYS: [&str; 2] = ["kind", "fields"];

/// More other names of one field than this are a mistake; an event that has none of them is asked for each.
const OTHERS_MAX: usize = 64;

/// One line of `fields`.
struct Line<'f> {
    document: Document<'f>,
    name: String,
    place: Place,
    others: Vec<Other>,
    /// Written as `[]`, not left empty by what was wrong.
    is_empty: bool,
}

struct Other {
    name: String,
    place: Place,
}

/// Lines of one owner, by kind of log.
type Lines<'f> = BTreeMap<Kind, Vec<Line<'f>>>;

/// The lists of names of each kind, the vendor's first, and what is wrong with the files.
pub(super) fn mappings(shipped: &[RuleFile], own: &[RuleFile]) -> (BTreeMap<Kind, Vec<Vec<String>>>, Vec<Problem>) {
    let mut problems = Vec::new();
    let (mut shipped, mut own) = (lines(shipped, &mut problems), lines(own, &mut problems));
    for kind in Kind::ALL {
        let shipped = shipped.entry(kind).or_default();
        let own = own.entry(kind).or_default();
        problems.extend(needless(shipped, &[]));
        problems.extend(needless(own, shipped));
        give_way(shipped, own, &mut problems);
    }
    let mut kinds: BTreeMap<Kind, Vec<Vec<String>>> = BTreeMap::new();
    for (kind, lines) in shipped.into_iter().chain(own) {
        for Line { name, others, .. } in lines {
            if !others.is_empty() {
                let names = std::iter::once(name).chain(others.into_iter().map(|other| other.name)).collect();
                kinds.entry(kind).or_default().push(names);
            }
        }
    }
    problems.sort_by(|left, right| (&left.path, left.line, left.column).cmp(&(&right.path, right.line, right.column)));
    (kinds, problems)
}

/// The lines of all files of one owner, without those that are wrong.
fn lines<'f>(files: &'f [RuleFile], problems: &mut Vec<Problem>) -> Lines<'f> {
    let mut files: Vec<&RuleFile> = files.iter().collect();
    files.sort_by(|left, right| left.path.cmp(&right.path));
    let mut lines = Lines::new();
    for document in files.into_iter().flat_map(|file| Document::split(&file.path, &file.text)) {
        let mut faults = Vec::new();
        match read(document, &mut faults) {
            Ok(Some((kind, found))) => lines.entry(kind).or_default().extend(found),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
        problems.extend(faults.into_iter().map(|fault| document.problem(fault)));
    }
    lines.values_mut().for_each(|lines| distinct(lines, problems));
    lines
}

fn read<'f>(document: Document<'f>, faults: &mut Vec<Fault>) -> Result<Option<(Kind, Vec<Line<'f>>)>, Fault> {
    let Some(node) = yaml::read(document.text, document.first_line)? else { return Ok(None) };
    let Some(entries) = node.map() else {
        return Err(Fault::error("a mapping file has the keys `kind` and `fields`").at(node.place));
    };
    if let Some(entry) = entries.iter().find(|entry| !KEYS.contains(&&*entry.key)) {
        let hint = nearest::hint(&entry.key, KEYS);
        let message = format!("`{}` means nothing in a mapping, which takes `kind` and `fields`{hint}", entry.key);
        return Err(Fault::error(message).at(entry.place));
    }
    let kind = kind(&node)?;
    let Some(fields) = node.get("fields") else {
        let message = "`fields` is missing; write under it lines such as `sourceIPAddress: [source.ip]`";
        return Err(Fault::error(message).at(node.place));
    };
    let Some(entries) = fields.value.map() else {
        let message = "`fields` holds lines such as `sourceIPAddress: [source.ip]`";
        return Err(Fault::error(message).at(fields.value.place));
    };
    let lines = entries.iter().map(|entry| line(document, entry, faults)).collect();
    Ok(Some((kind, lines)))
}

fn kind(node: &Node<'_>) -> Result<Kind, Fault> {
    let known = Kind::ALL.map(Kind::name);
    let Some(entry) = node.get("kind") else {
        return Err(Fault::error(format!("`kind` is missing; it is one of {}", known.join(", "))).at(node.place));
    };
    let name = entry.value.text().unwrap_or_default();
    name.parse().map_err(|_| {
        let hint = nearest::hint(name, known);
        let message = format!("`{name}` is no kind of log that can be mapped; known are {}{hint}", known.join(", "));
        Fault::error(message).at(entry.value.place)
    })
}

/// A line with all that is right of it.
fn line<'f>(document: Document<'f>, entry: &Entry<'_>, faults: &mut Vec<Fault>) -> Line<'f> {
    let mut line =
        Line { document, name: entry.key.to_string(), place: entry.place, others: Vec::new(), is_empty: false };
    if let Some(message) = misspelt(&line.name) {
        faults.push(Fault::error(message).at(entry.place));
    }
    let found = match &entry.value.value {
        Value::List(found) => found.as_slice(),
        Value::Text(_) => std::slice::from_ref(&entry.value),
        Value::Null | Value::Bool(_) | Value::Number(..) | Value::Map(_) => {
            let message = format!("`{}` takes a list of other names, such as `[source.ip]`", line.name);
            faults.push(Fault::error(message).at(entry.value.place));
            return line;
        }
    };
    if found.len() > OTHERS_MAX {
        let message = format!("`{}` has {} other names, at most {OTHERS_MAX} can be", line.name, found.len());
        faults.push(Fault::error(message).at(entry.value.place));
    }
    line.is_empty = found.is_empty();
    for node in found.iter().take(OTHERS_MAX) {
        match other(node, &line) {
            Ok(name) => line.others.push(Other { name, place: node.place }),
            Err(message) => faults.push(Fault::error(message).at(node.place)),
        }
    }
    line
}

fn other(node: &Node<'_>, line: &Line<'_>) -> Result<String, String> {
    let name = node.text().ok_or("the name of a field is text; put quotes around it")?;
    if let Some(message) = misspelt(name) {
        return Err(message);
    }
    if name == line.name {
        return Err(format!("`{name}` is mapped to itself; only its other names stand here"));
    }
    if name.ends_with('*') != line.name.ends_with('*') {
        return Err(format!("`{name}` and `{}` must both end in `*`, or neither: it stands for the same", line.name));
    }
    if line.others.iter().any(|other| other.name == name) {
        return Err(format!("`{name}` stands in this list already"));
    }
    Ok(name.to_owned())
}

fn misspelt(name: &str) -> Option<String> {
    if name.is_empty() || name.trim() != name {
        return Some(format!("`{name}` is no name of a field: it is empty, or begins or ends with a space"));
    }
    let odd = name.find('*').is_some_and(|place| place + 1 < name.len());
    odd.then(|| format!("`{name}`: a `*` stands for any rest of a name, and so only at its end"))
}

/// Leaves out what would make one name mean two fields.
fn distinct(lines: &mut Vec<Line<'_>>, problems: &mut Vec<Problem>) {
    let mut heads: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    lines.retain(|line| {
        if let Some((spot, _)) = heads.get(&line.name) {
            let message = format!("`{}` has a list in {spot} already; write all its other names there", line.name);
            problems.push(line.document.problem(Fault::error(message).at(line.place)));
            return false;
        }
        let others = line.others.iter().map(|other| other.name.clone()).collect();
        heads.insert(line.name.clone(), (line.spot(line.place), others));
        true
    });
    let mut owners: BTreeMap<String, (String, String)> = BTreeMap::new();
    for line in lines {
        let Line { document, name: head, others, .. } = line;
        others.retain(|Other { name, place }| {
            let message = match (heads.get(name), owners.get(name)) {
                (Some((spot, names)), _) if names.contains(head) => format!(
                    "`{head}` and `{name}` ({spot}) are mapped to each other; write one line with all names of the \
                     field, the vendor's in front"
                ),
                (Some((spot, _)), _) => format!(
                    "`{name}` has other names of its own in {spot}; write one line with all names of the field, the \
                     vendor's in front"
                ),
                (None, Some((owner, spot))) => {
                    format!("`{name}` is another name of `{owner}` ({spot}) already; it can mean one field only")
                }
                (None, None) => {
                    owners.insert(name.clone(), (head.clone(), spot(*document, *place)));
                    return true;
                }
            };
            problems.push(document.problem(Fault::error(message).at(*place)));
            false
        });
    }
}

/// A list without names takes those of a shipped list away, and else says nothing.
fn needless(lines: &[Line<'_>], shipped: &[Line<'_>]) -> Vec<Problem> {
    let lines = lines.iter().filter(|line| line.is_empty && !shipped.iter().any(|other| other.name == line.name));
    let problem = |line: &Line<'_>| {
        let message = format!(
            "`{}` has no other names; write some, or leave the line out: an empty list takes away those that the \
             shipped mapping has for a field",
            line.name
        );
        line.document.problem(Fault::error(message).at(line.place))
    };
    lines.map(problem).collect()
}

/// Takes from the shipped lines what the user's say otherwise: a line for the same field without a word, a name of
/// another field with a warning.
fn give_way(shipped: &mut Vec<Line<'_>>, own: &[Line<'_>], problems: &mut Vec<Problem>) {
    shipped.retain(|line| !own.iter().any(|other| other.name == line.name));
    let mut warn = |line: &Line<'_>, place, message| {
        problems.push(line.document.problem(Fault::warning(message).at(place)));
    };
    shipped.retain(|line| {
        let taken = |own: &&Line<'_>| own.others.iter().any(|other| other.name == line.name);
        let Some(owner) = own.iter().find(taken) else { return true };
        let place = owner.others.iter().find(|other| other.name == line.name).map_or(owner.place, |other| other.place);
        let message = format!(
            "`{}` has other names in the shipped {}, which count no longer; those that shall, write here too",
            line.name,
            line.spot(line.place)
        );
        warn(owner, place, message);
        false
    });
    for line in shipped {
        let Line { document, name: head, others, .. } = line;
        others.retain(|Other { name, place }| {
            let spot = spot(*document, *place);
            for line in own {
                if line.name == *name {
                    let message = format!(
                        "`{name}` is another name of `{head}` in the shipped {spot}, and is taken from there; if it \
                         shall stay one, write its names in a line of `{head}`"
                    );
                    warn(line, line.place, message);
                    return false;
                }
                if let Some(other) = line.others.iter().find(|other| other.name == *name) {
                    let message = format!(
                        "`{name}` is another name of `{head}` in the shipped {spot}, and is taken from there; to say \
                         so, write a line of `{head}` without it"
                    );
                    warn(line, other.place, message);
                    return false;
                }
            }
            true
        });
    }
}

fn spot(document: Document<'_>, place: Place) -> String {
    format!("{}:{}", document.path, place.line)
}

impl Line<'_> {
    fn spot(&self, place: Place) -> String {
        spot(self.document, place)
    }
}
