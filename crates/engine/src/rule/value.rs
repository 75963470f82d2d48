//! One line of a detection: a field, its modifiers and its values, as a program.

use ipnet::IpNet;
use rsigma_parser::{DetectionItem, SigmaString, SigmaValue, SpecialChar, StringPart};

use super::condition::{Collector, Program};
use super::glob::Unit;
use super::matcher::{OneOf, Pattern, Position, Predicate, Subject, Test};
use super::modifier::{How, Means, encode};
use super::number::Number;
use super::text::Case;
use crate::field::Fields;

/// Where fields and predicates of all rules come together.
pub(super) struct Names<'n> {
    pub(super) fields: &'n mut Fields,
    pub(super) collector: &'n mut Collector,
}

/// The program of one line.
///
/// # Errors
/// What its author can mend.
pub(super) fn compile(item: &DetectionItem, names: &mut Names<'_>) -> Result<Program, String> {
    let mut how = How::read(&item.field.modifiers)?;
    let subject = match &item.field.name {
        Some(name) => Subject::Field(names.fields.intern(&field_name(name)?)),
        None => {
            if !matches!(how.means, Means::Text | Means::Regex(_)) {
                return Err("this modifier needs a field".to_owned());
            }
            Subject::Anywhere
        }
    };
    if subject == Subject::Anywhere && how.position == Position::Whole {
        how.position = Position::Anywhere;
    }
    if item.values.is_empty() {
        return Err("the list of values is empty".to_owned());
    }
    let mut parts = Vec::new();
    if how.all {
        for value in &item.values {
            parts.push(any(subject, &how, std::slice::from_ref(value), names)?);
        }
    } else {
        parts.push(any(subject, &how, &item.values, names)?);
    }
    let program = Program::all(parts);
    Ok(if how.negated { Program::not(program) } else { program })
}

/// A program that is true if any of these values is there.
pub(super) fn any(
    subject: Subject,
    how: &How,
    values: &[SigmaValue],
    names: &mut Names<'_>,
) -> Result<Program, String> {
    let mut tests = Vec::new();
    match how.means {
        Means::Text => tests = texts(subject, how, values)?,
        Means::Regex(flags) => {
            for value in values {
                tests.push(Test::Regex(Pattern::new(&text_of(value)?, flags)?));
            }
        }
        Means::Cidr => tests.push(Test::Cidr(values.iter().map(net).collect::<Result<_, _>>()?)),
        Means::Compare(relation) => {
            for value in values {
                let bound = number(value).ok_or_else(|| format!("`{value}` is no number to compare with"))?;
                tests.push(Test::Compare(relation, bound));
            }
        }
        Means::OtherField => {
            for value in values {
                let field = names.fields.intern(&field_name(&text_of(value)?)?);
                tests.push(Test::Field(field, how.position, how.case));
            }
        }
        Means::Existence => {
            let [SigmaValue::Bool(wanted)] = values else {
                return Err("`exists` takes `true` or `false`".to_owned());
            };
            let exists = names.collector.ask(Predicate { subject, test: Test::Exists });
            return Ok(if *wanted { exists } else { Program::not(exists) });
        }
    }
    Ok(Program::any(tests.into_iter().map(|test| names.collector.ask(Predicate { subject, test })).collect()))
}

/// Tests any of which must hold: one for all whole texts, one for all substrings and so on.
fn texts(subject: Subject, how: &How, values: &[SigmaValue]) -> Result<Vec<Test>, String> {
    let case = how.case;
    let mut tests = Vec::new();
    let mut exact = OneOf { case, texts: Vec::new(), numbers: Vec::new() };
    let [mut substrings, mut starts, mut ends] = [const { Vec::new() }; 3];
    for value in values {
        if let SigmaValue::Null = value {
            if how.position != Position::Whole || !how.encodings.is_empty() || subject == Subject::Anywhere {
                return Err("null can only be compared with a whole field".to_owned());
            }
            tests.push(Test::Null);
            continue;
        }
        if how.position == Position::Whole && !matches!(value, SigmaValue::String(_)) {
            exact.numbers.extend(number(value));
        }
        for units in patterns(value, how)? {
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

/// What a value looks like as a pattern over the whole text; several if it is encoded or a number.
fn patterns(value: &SigmaValue, how: &How) -> Result<Vec<Vec<Unit>>, String> {
    let mut cores = Vec::new();
    match value {
        SigmaValue::String(text) if how.encodings.is_empty() => cores.push(units(text, how)),
        SigmaValue::String(text) => {
            let plain = text.as_plain().ok_or("a value with wildcards cannot be encoded")?;
            cores.extend(encode(&plain, &how.encodings)?.iter().map(|text| literal(text, how.case)));
        }
        SigmaValue::Float(real) => {
            // JSON and people write 443.0 both ways.
            let spellings = [format!("{real}"), format!("{real:?}")];
            cores.extend(spellings.iter().map(|text| literal(text, how.case)));
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

fn units(text: &SigmaString, how: &How) -> Vec<Unit> {
    let mut units = Vec::new();
    for part in &text.parts {
        match part {
            StringPart::Special(SpecialChar::WildcardMulti) => units.push(Unit::Many),
            StringPart::Special(SpecialChar::WildcardSingle) => units.push(Unit::One),
            StringPart::Plain(text) if how.windash => units.extend(dashed(text, how.case)),
            StringPart::Plain(text) => units.extend(literal(text, how.case)),
        }
    }
    units
}

fn literal(text: &str, case: Case) -> Vec<Unit> {
    case.pattern(text).chars().map(Unit::Char).collect()
}

/// A dash or slash that starts an option, so follows no word and is followed by one, stands for any dash.
fn dashed(text: &str, case: Case) -> Vec<Unit> {
    let word = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    let folded = case.pattern(text);
    let mut units = Vec::new();
    let mut last = None;
    let mut rest = folded.chars().peekable();
    while let Some(char) = rest.next() {
        let option = matches!(char, '-' | '/') && !word(last) && word(rest.peek().copied());
        units.push(if option { Unit::Dash } else { Unit::Char(char) });
        last = Some(char);
    }
    units
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

fn text_of(value: &SigmaValue) -> Result<String, String> {
    match value {
        SigmaValue::String(text) => Ok(text.original.clone()),
        SigmaValue::Null => Err("null is no value here".to_owned()),
        other => Ok(other.to_string()),
    }
}

fn number(value: &SigmaValue) -> Option<Number> {
    match value {
        SigmaValue::Integer(whole) => Some(Number::Whole((*whole).into())),
        SigmaValue::Float(real) if real.is_finite() => Some(Number::Real(*real)),
        SigmaValue::String(text) => Number::parse(&text.original),
        SigmaValue::Float(_) | SigmaValue::Bool(_) | SigmaValue::Null => None,
    }
}

fn net(value: &SigmaValue) -> Result<IpNet, String> {
    let text = text_of(value)?;
    let address = || text.parse().ok().map(|address: std::net::IpAddr| IpNet::from(address));
    let net = text.parse().ok().or_else(address);
    net.map(|net: IpNet| net.trunc()).ok_or_else(|| format!("`{text}` is no network such as 10.0.0.0/8"))
}

/// The parser escapes brackets that select nothing; those that do are refused.
fn field_name(name: &str) -> Result<String, String> {
    if rsigma_parser::fieldpath::first_unescaped(name, b'[').is_some() {
        return Err(format!(
            "field `{name}`: selecting array elements is not supported yet; a plain path means any element"
        ));
    }
    Ok(rsigma_parser::fieldpath::unescape_brackets(name).into_owned())
}
