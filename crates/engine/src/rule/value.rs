//! One line of a detection: a field, its modifiers and its values, as a program.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};

use super::ast::{Item, Scalar, Written};
use super::condition::{Collector, Program};
use super::glob::{self, DASHES, Unit};
use super::matcher::{OneOf, Position, Predicate, Subject, Test};
use super::modifier::{How, Means, encode};
use super::number::Number;
use super::pattern::Pattern;
use super::place::Fault;
use super::placeholder::Placeholders;
use super::text::Case;
use super::timepart::{TimePart, Wanted};
use super::wildcard::{self, Piece};
use crate::field::{self, Fields};

/// Where fields and predicates of all rules come together.
pub(super) struct Names<'n> {
    pub(super) fields: &'n mut Fields,
    pub(super) collector: &'n mut Collector,
    pub(super) placeholders: &'n Placeholders,
    /// How many values the placeholders of the rule at hand have become.
    pub(super) expanded: usize,
}

/// Most values that the placeholders of one rule stand for together.
const EXPANDED_MAX: usize = 100_000;

impl Names<'_> {
    fn expand(&mut self, value: &Written) -> Result<Vec<Written>, Fault> {
        let values = self.placeholders.expand(value)?;
        self.expanded += values.len();
        if self.expanded > EXPANDED_MAX {
            let message = format!("the placeholders of the rule stand for more than {EXPANDED_MAX} values together");
            return Err(Fault::error(message).at(value.place));
        }
        Ok(values)
    }
}

/// The program of one line.
///
/// # Errors
/// What its author can mend, and where.
pub(super) fn compile(item: &Item, names: &mut Names<'_>) -> Result<Program, Fault> {
    let mut how = How::read(&item.modifiers).map_err(|message| Fault::error(message).at(item.place))?;
    let subject = match &item.field {
        Some(name) => Subject::Field(names.fields.intern(name)),
        None => {
            if !matches!(how.means, Means::Text | Means::Regex(_)) {
                return Err(Fault::error("this modifier needs a field").at(item.place));
            }
            Subject::Anywhere
        }
    };
    if subject == Subject::Anywhere && how.position == Position::Whole {
        how.position = Position::Anywhere;
    }
    let mut values = Cow::Borrowed(&item.values);
    let mut parts = Vec::new();
    if how.all {
        for value in &item.values {
            let expanded = if how.expand { names.expand(value)? } else { vec![value.clone()] };
            parts.push(any(subject, &how, &expanded, names)?);
        }
    } else {
        if how.expand {
            let expanded: Result<Vec<_>, _> = values.iter().map(|value| names.expand(value)).collect();
            values = Cow::Owned(expanded?.concat());
        }
        parts.push(any(subject, &how, &values, names)?);
    }
    let program = Program::all(parts);
    Ok(if how.negated { Program::not(program) } else { program })
}

/// A program that is true if any of these values is there.
fn any(subject: Subject, how: &How, values: &[Written], names: &mut Names<'_>) -> Result<Program, Fault> {
    if let Some(part) = how.part {
        return time(subject, part, how, values, names);
    }
    let mut tests = Vec::new();
    for written in values {
        let value = &written.value;
        let at = |message| Fault::error(message).at(written.place);
        match how.means {
            Means::Text => {}
            Means::Regex(flags) => {
                tests.push(Test::Regex(Pattern::new(&text_of(value).map_err(at)?, flags).map_err(at)?))
            }
            Means::Cidr => tests.push(Test::Cidr(vec![net(value).map_err(at)?])),
            Means::Compare(relation) => {
                let bound = number(value).ok_or_else(|| at(format!("`{value}` is no number to compare with")))?;
                tests.push(Test::Compare(relation, bound));
            }
            Means::OtherField => {
                let name = text_of(value).map_err(at)?;
                field::check(&name).map_err(at)?;
                let field = names.fields.intern(&name);
                tests.push(Test::Field(field, how.position, how.case));
            }
            Means::Existence => {
                let (Scalar::Bool(wanted), [_]) = (value, values) else {
                    return Err(at("`exists` takes `true` or `false`".to_owned()));
                };
                let exists = names.collector.ask(Predicate { subject, test: Test::Exists });
                return Ok(if *wanted { exists } else { Program::not(exists) });
            }
        }
    }
    if let Means::Text = how.means {
        tests = texts(subject, how, values)?;
    }
    Ok(Program::any(together(tests).into_iter().map(|test| names.collector.ask(Predicate { subject, test })).collect()))
}

/// A program that is true if this part of a date is one of these values, or compares so with one.
fn time(
    subject: Subject,
    part: TimePart,
    how: &How,
    values: &[Written],
    names: &mut Names<'_>,
) -> Result<Program, Fault> {
    let (least, greatest) = part.range();
    let mut numbers = Vec::new();
    for written in values {
        let found =
            number(&written.value).filter(|found| (Number::Whole(least)..=Number::Whole(greatest)).contains(found));
        // Compared, a half may make sense; no part of a date is one.
        let whole = matches!(how.means, Means::Compare(_)) || found.is_none_or(|found| found.whole().is_some());
        numbers.push(found.filter(|_| whole).ok_or_else(|| {
            let message = format!(
                "`{}` is no part of a date here; it is a whole number from {least} to {greatest}",
                written.value
            );
            Fault::error(message).at(written.place)
        })?);
    }
    let wanted = if let Means::Compare(relation) = how.means {
        numbers.into_iter().map(|bound| Wanted::Compare(relation, bound)).collect()
    } else {
        numbers.sort_unstable();
        numbers.dedup();
        vec![Wanted::OneOf(numbers)]
    };
    let mut ask = |wanted| names.collector.ask(Predicate { subject, test: Test::Time(part, wanted) });
    Ok(Program::any(wanted.into_iter().map(&mut ask).collect()))
}

/// Networks any of which may hold the address are one test.
fn together(tests: Vec<Test>) -> Vec<Test> {
    let (mut nets, mut others) = (Vec::new(), Vec::new());
    for test in tests {
        match test {
            Test::Cidr(found) => nets.extend(found),
            other => others.push(other),
        }
    }
    if !nets.is_empty() {
        nets.sort_unstable();
        nets.dedup();
        others.push(Test::Cidr(nets));
    }
    others
}

/// Tests any of which must hold: one for all whole texts, one for all substrings and so on.
fn texts(subject: Subject, how: &How, values: &[Written]) -> Result<Vec<Test>, Fault> {
    let case = how.case;
    let mut tests = Vec::new();
    let mut exact = OneOf { case, texts: Vec::new(), numbers: Vec::new() };
    let [mut substrings, mut starts, mut ends] = [const { Vec::new() }; 3];
    for written in values {
        let value = &written.value;
        if let Scalar::Null = value {
            if how.position != Position::Whole || !how.encodings.is_empty() || subject == Subject::Anywhere {
                return Err(Fault::error("null can only be compared with a whole field").at(written.place));
            }
            tests.push(Test::Null);
            continue;
        }
        if how.position == Position::Whole && how.encodings.is_empty() {
            exact.numbers.extend(equal_number(value));
        }
        for units in patterns(value, how).map_err(|message| Fault::error(message).at(written.place))? {
            match units.as_slice() {
                [Unit::Many, middle @ .., Unit::Many] if let Some(text) = plain(middle) => substrings.push(text),
                [Unit::Many, tail @ ..]
                    if !tail.is_empty()
                        && let Some(text) = plain(tail) =>
                {
                    ends.push(text)
                }
                [head @ .., Unit::Many]
                    if !head.is_empty()
                        && let Some(text) = plain(head) =>
                {
                    starts.push(text)
                }
                units if let Some(text) = plain(units) => exact.texts.push(text),
                units if units.len() > glob::UNITS_MAX => {
                    let message = format!("a value with wildcards has at most {} characters", glob::UNITS_MAX);
                    return Err(Fault::error(message).at(written.place));
                }
                _ => tests.push(Test::Glob(case, units)),
            }
        }
    }
    if !exact.texts.is_empty() {
        exact.texts = sorted(exact.texts);
        exact.numbers.sort_unstable();
        exact.numbers.dedup();
        tests.push(Test::OneOf(exact));
    }
    if !substrings.is_empty() {
        tests.push(Test::Contains(case, sorted(substrings)));
    }
    if !starts.is_empty() {
        tests.push(Test::StartsWith(case, sorted(starts)));
    }
    if !ends.is_empty() {
        tests.push(Test::EndsWith(case, sorted(ends)));
    }
    Ok(tests)
}

/// The number that a value stands for: quotes change nothing, but a text must be spelt as the number is.
fn equal_number(value: &Scalar) -> Option<Number> {
    let Scalar::Text(text) = value else { return number(value) };
    let number = Number::parse(text)?;
    number.whole().filter(|whole| whole.to_string() == *text).map(|_| number)
}

/// What a value looks like as a pattern over the whole text; several if it is encoded or a number.
fn patterns(value: &Scalar, how: &How) -> Result<Vec<Vec<Unit>>, String> {
    let mut cores = Vec::new();
    match value {
        Scalar::Text(text) if how.encodings.is_empty() => cores.push(units(&wildcard::read(text), how)),
        Scalar::Text(text) => {
            let plain = wildcard::plain(&wildcard::read(text)).ok_or("a value with wildcards cannot be encoded")?;
            cores.extend(encode(&plain, &how.encodings)?.iter().map(|text| literal(text, how.case)));
        }
        Scalar::Number(number, text) if how.encodings.is_empty() => {
            let spellings = match number {
                // JSON and people write 443.0 both ways.
                Number::Real(real) => BTreeSet::from([format!("{real}"), format!("{real:?}"), text.clone()]),
                // `0x1F` and `007` as they are written, too: values are texts.
                Number::Whole(whole) => BTreeSet::from([whole.to_string(), text.clone()]),
            };
            let read = if how.windash { dashed } else { literal };
            cores.extend(spellings.iter().map(|text| read(text, how.case)));
        }
        value => {
            for text in encode(&text_of(value)?, &how.encodings)? {
                cores.push(literal(&text, how.case));
            }
        }
    }
    let (before, after) = match how.position {
        Position::Whole => (false, false),
        Position::Anywhere => (true, true),
        Position::Start => (false, true),
        Position::End => (true, false),
    };
    for core in &mut cores {
        if before {
            core.insert(0, Unit::Many);
        }
        if after {
            core.push(Unit::Many);
        }
        core.dedup_by(|next, last| *next == Unit::Many && *last == Unit::Many);
    }
    Ok(cores)
}

fn units(pieces: &[Piece], how: &How) -> Vec<Unit> {
    let mut units = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Many => units.push(Unit::Many),
            Piece::One => units.push(Unit::One),
            Piece::Text(text) if how.windash => units.extend(dashed(text, how.case)),
            Piece::Text(text) => units.extend(literal(text, how.case)),
        }
    }
    units
}

fn literal(text: &str, case: Case) -> Vec<Unit> {
    case.pattern(text).chars().map(Unit::Char).collect()
}

/// Every dash and slash stands for any of them: "uses all possible permutations".
fn dashed(text: &str, case: Case) -> Vec<Unit> {
    let unit = |char| if DASHES.contains(&char) { Unit::Dash } else { Unit::Char(char) };
    case.pattern(text).chars().map(unit).collect()
}

fn plain(units: &[Unit]) -> Option<Box<str>> {
    let chars = units.iter().map(|unit| match unit {
        Unit::Char(char) => Some(*char),
        Unit::One | Unit::Many | Unit::Dash => None,
    });
    chars.collect::<Option<String>>().map(Into::into)
}

fn sorted(mut texts: Vec<Box<str>>) -> Vec<Box<str>> {
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn text_of(value: &Scalar) -> Result<String, String> {
    match value {
        Scalar::Null => Err("null is no value here".to_owned()),
        other => Ok(other.to_string()),
    }
}

fn number(value: &Scalar) -> Option<Number> {
    match value {
        Scalar::Number(number, _) => Some(*number),
        Scalar::Text(text) => Number::parse(text),
        Scalar::Bool(_) | Scalar::Null => None,
    }
}

fn net(value: &Scalar) -> Result<IpNet, String> {
    let text = text_of(value)?;
    let address = || text.parse().ok().map(|address: std::net::IpAddr| IpNet::from(address));
    let net = text.parse().ok().or_else(address);
    net.map(|net: IpNet| plain_net(net.trunc())).ok_or_else(|| format!("`{text}` is no network such as 10.0.0.0/8"))
}

/// A network of IPv4 addresses written as IPv6 is the network of IPv4. One that holds others too stays as it is.
fn plain_net(net: IpNet) -> IpNet {
    let IpNet::V6(six) = net else { return net };
    let four = six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96));
    four.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(net, IpNet::V4)
}
