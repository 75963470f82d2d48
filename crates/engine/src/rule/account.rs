//! Why a correlation does or does not fire on a handful of events: for people who try a rule.
//!
//! Whether it fires is asked of the engine itself. The rest is worked out again here, group by group and window by
//! window, so it is slow and never on the road of an event.

use std::collections::{BTreeMap, BTreeSet};

use super::why::Explanation;
use super::{Body, Comparison, Correlation, Measure, Named, RuleNumber, RuleSet, Scratch};
use crate::detect::{BILLIONTHS, Caps, Change, Register, State, decimal_text, sight};
use crate::event::{Event, Uid};
use crate::time::{Span, Timestamp};

/// Something that the correlation counts: an event, or a finding of an inner correlation.
struct Point {
    label: String,
    uid: Uid,
    time: Timestamp,
    /// Its rule's place among those that are counted.
    base: usize,
    key: Vec<String>,
    values: Vec<String>,
}

/// Points of one window, and what they come to.
struct Window {
    from: usize,
    to: usize,
    level: i128,
    holds: bool,
}

/// The explanation of a correlation on these events, in their order and each with its name. The first parts are the
/// events, one each; behind them stand the groups. Nothing for a rule that is no correlation.
#[must_use]
pub fn account(rules: &RuleSet, number: RuleNumber, events: &[(String, Event)]) -> Option<Explanation> {
    let Body::Correlation(asked) = &rules.rule(number).body else { return None };
    let changes = played(rules, events);
    let fires = changes.iter().any(|change| change.alert.rule == rules.rule(number).id);
    let (mut parts, mut points, mut newest) = (Vec::new(), Vec::new(), Timestamp::EARLIEST);
    for (label, event) in events {
        let late = event.time.plus(Caps::default().lateness) < newest;
        newest = newest.max(event.time);
        let found = found(rules, asked, label, event);
        let mut part = Explanation::new(format!("{label}, {}", event.time), !found.points.is_empty() && !late);
        part.note = Some(if late { "it is more than 20 minutes late and left out".to_owned() } else { found.note });
        if part.holds {
            let same = |point: &Point| points.iter().find(|known: &&Point| is_repeat(known, point));
            if let Some(known) = found.points.first().and_then(same) {
                part.note = Some(format!("it has the id of {} and is counted once with it", known.label));
            } else {
                points.extend(found.points);
            }
        }
        parts.push(part);
    }
    points.extend(inner(rules, asked, changes));
    points.sort_by_key(|point| (point.time, point.base));
    let mut groups: BTreeMap<Vec<String>, Vec<Point>> = BTreeMap::new();
    for point in points {
        groups.entry(point.key.clone()).or_default().push(point);
    }
    let waits = rules.shape(number).is_some_and(|shape| shape.waits);
    parts.extend(groups.iter().map(|(key, points)| group(asked, waits, key, points)));
    Some(Explanation { parts, ..Explanation::new(question(asked), fires) })
}

/// What the engine makes of the events, rules that are only counted told too.
fn played(rules: &RuleSet, events: &[(String, Event)]) -> Vec<Change> {
    let (mut state, mut changes) = (State::new(Caps::default()).telling_all(), Vec::new());
    let mut scratch = Scratch::default();
    for (_, event) in events {
        if let Some(sighting) = sight(rules, event, &mut scratch) {
            state.apply(rules, &sighting, &mut changes);
        }
    }
    state.finish(rules, &mut changes);
    changes
}

/// What is asked, in one line.
fn question(asked: &Correlation) -> String {
    let of = asked.measure.field().map(|named| format!(" of {}", named.name)).unwrap_or_default();
    let by: Vec<&str> = asked.group_by.iter().map(|named| named.name.as_str()).collect();
    let by = if by.is_empty() { "all together".to_owned() } else { format!("by {}", by.join(", ")) };
    format!("{}{of} {} within {}, {by}", measure(&asked.measure), bound(asked), asked.window)
}

fn measure(measure: &Measure) -> &'static str {
    match measure {
        Measure::Events => "events",
        Measure::Values(_) => "distinct values",
        Measure::Sum(_) => "sum",
        Measure::Average(_) => "mean",
        Measure::Percentile(..) => "percentile",
        Measure::Rules(None) => "rules that match",
        Measure::Rules(Some(_)) => "whether the condition over rules holds",
        Measure::Sequence => "rules that match in their order",
    }
}

fn bound(asked: &Correlation) -> String {
    let ask = |(comparison, number): &(Comparison, i128)| format!("{} {}", comparison.name(), decimal_text(*number));
    asked.threshold.asks.iter().map(ask).collect::<Vec<_>>().join(" and ")
}

struct Found {
    points: Vec<Point>,
    note: String,
}

/// What the correlation counts of an event, or why nothing.
fn found(rules: &RuleSet, asked: &Correlation, label: &str, event: &Event) -> Found {
    let mut scratch = Scratch::default();
    let matched = rules.matches(event, &mut scratch);
    let bases: Vec<usize> = (0..asked.bases.len()).filter(|&base| matched.contains(&asked.bases[base])).collect();
    let (mut points, mut notes) = (Vec::new(), Vec::new());
    for base in bases {
        let title = &rules.rule(asked.bases[base]).title;
        let values = |named: &Named| {
            let mut values = Vec::new();
            rules.recall(event, &mut Scratch::default(), |facts| {
                facts.find(named.fields[base], |value| {
                    values.push(value.to_owned());
                    None::<()>
                })
            });
            values
        };
        let key: Vec<Option<String>> = asked.group_by.iter().map(|named| values(named).into_iter().next()).collect();
        let lacks = asked.group_by.iter().zip(&key).find(|(_, value)| value.is_none());
        let measured = asked.measure.field().map(|named| (named, values(named)));
        match (lacks, &measured) {
            (Some((named, _)), _) => {
                let field = rules.fields().path(named.fields[base]).name();
                notes.push(format!("`{title}` matches, but there is no `{field}`, so it is of no group"));
            }
            (None, Some((named, values))) if values.is_empty() => {
                let field = rules.fields().path(named.fields[base]).name();
                notes.push(format!("`{title}` matches, but there is no `{field}` to be counted"));
            }
            (None, _) => {
                let values = measured.map(|(_, values)| values).unwrap_or_default();
                let key: Vec<String> = key.into_iter().flatten().collect();
                let value = if values.is_empty() { String::new() } else { format!(", value {}", values.join(", ")) };
                notes.push(format!("`{title}` matches, group {}{value}", shown(&key)));
                points.push(Point {
                    label: label.to_owned(),
                    uid: event.uid.clone(),
                    time: event.time,
                    base,
                    key,
                    values,
                });
            }
        }
    }
    if notes.is_empty() {
        notes.push("none of the rules that are counted matches".to_owned());
    }
    Found { points, note: notes.join("; ") }
}

/// Whether the engine takes one for the other.
fn is_repeat(known: &Point, point: &Point) -> bool {
    known.uid == point.uid && known.time == point.time
}

/// The findings of inner correlations that are counted.
fn inner(rules: &RuleSet, asked: &Correlation, changes: Vec<Change>) -> Vec<Point> {
    let mut register = Register::default();
    changes.into_iter().for_each(|change| register.take(change));
    let mut points = Vec::new();
    for alert in register.into_alerts() {
        let base = asked.bases.iter().position(|&base| rules.rule(base).id == alert.rule);
        let Some(base) = base.filter(|&base| matches!(rules.rule(asked.bases[base]).body, Body::Correlation(_))) else {
            continue;
        };
        let of = |named: &Named| alert.key.get(rules.fields().path(named.fields[base]).name()).cloned();
        let Some(key) = asked.group_by.iter().map(of).collect::<Option<Vec<_>>>() else { continue };
        let values = asked.measure.field().and_then(of).into_iter().collect();
        let label = format!("the finding of `{}`", alert.title);
        let uid = Uid { origin: String::new(), id: alert.id.0.clone() };
        points.push(Point { label, uid, time: alert.time, base, key, values });
    }
    points
}

/// What one group comes to, and what lies outside of its best window.
fn group(asked: &Correlation, waits: bool, key: &[String], points: &[Point]) -> Explanation {
    let windows = windows(asked, waits, points);
    let best =
        windows.iter().enumerate().max_by_key(|(place, window)| (window.holds, window.level, usize::MAX - place));
    let Some((_, best)) = best else { return Explanation::new(format!("group {}", shown(key)), false) };
    let (from, to) = (points[best.from].time, points[best.to - 1].time);
    let level = match asked.measure {
        Measure::Rules(Some(_)) => if best.holds { "it holds" } else { "it does not hold" }.to_owned(),
        _ => format!("{} is asked, {} the most there is", bound(asked), decimal_text(best.level)),
    };
    let level = if waits && !matches!(asked.measure, Measure::Rules(Some(_))) {
        let all: Vec<String> = windows.iter().map(|window| decimal_text(window.level)).collect();
        format!("{} is asked, its windows have {}", bound(asked), all.join(", "))
    } else {
        level
    };
    let mut note = format!("{level}, from {from} to {to}");
    let mut outside: Vec<String> = points[..best.from].iter().map(|point| beside(point, from, "before")).collect();
    outside.extend(points[best.to..].iter().map(|point| beside(point, to, "after")));
    if !outside.is_empty() {
        note = format!("{note}; outside of the {}: {}", asked.window, outside.join(", "));
    }
    Explanation { note: Some(note), ..Explanation::new(format!("group {}", shown(key)), best.holds) }
}

fn beside(point: &Point, border: Timestamp, word: &str) -> String {
    let apart = (point.time.micros() - border.micros()).abs();
    format!("{} ({} {word})", point.label, Span::from_micros(apart))
}

fn shown(key: &[String]) -> String {
    if key.is_empty() { "of all".to_owned() } else { format!("`{}`", key.join("`, `")) }
}

/// The windows that the engine would judge: one up to each point, or side by side for a rule that waits.
fn windows(asked: &Correlation, waits: bool, points: &[Point]) -> Vec<Window> {
    let mut windows = Vec::new();
    let window = |from: usize, to: usize| {
        let (level, of) = level(asked, &points[from..to]);
        Window { from, to, level: level / of, holds: asked.threshold.holds(level, of) }
    };
    let mut from = 0;
    while from < points.len() && waits {
        let end = points[from].time.plus(asked.window);
        let to = points.partition_point(|point| point.time < end).max(from + 1);
        windows.push(window(from, to));
        from = to;
    }
    for to in (1..=points.len()).filter(|_| !waits) {
        let start = points[to - 1].time.minus(asked.window);
        windows.push(window(points.partition_point(|point| point.time <= start), to));
    }
    windows
}

/// The measure of these points in billionths, as a fraction.
fn level(asked: &Correlation, points: &[Point]) -> (i128, i128) {
    let whole = |count: usize| (count as i128 * BILLIONTHS, 1);
    let mut numbers: Vec<i128> =
        points.iter().flat_map(|point| &point.values).filter_map(|text| number(text)).collect();
    numbers.sort_unstable();
    match &asked.measure {
        Measure::Events => whole(points.len()),
        Measure::Values(_) => whole(points.iter().flat_map(|point| &point.values).collect::<BTreeSet<_>>().len()),
        Measure::Sum(_) => (numbers.iter().sum(), 1),
        Measure::Average(_) => (numbers.iter().sum(), numbers.len().max(1) as i128),
        Measure::Percentile(_, rank) => {
            let Some(last) = numbers.len().checked_sub(1) else { return (0, 1) };
            let (place, part) = (last * usize::from(*rank) / 100, (last * usize::from(*rank) % 100) as i128);
            let next = numbers[(place + 1).min(last)];
            (numbers[place] * 100 + (next - numbers[place]) * part, 100)
        }
        Measure::Rules(None) => whole(points.iter().map(|point| point.base).collect::<BTreeSet<_>>().len()),
        Measure::Rules(Some(formula)) => {
            let matched = points.iter().fold(0_u64, |matched, point| matched | 1 << point.base);
            whole(usize::from(formula.holds(matched)))
        }
        Measure::Sequence => {
            // By base: the longest row that ends with it. Points of one time stand in the order of the bases.
            let mut rows = vec![0_usize; asked.bases.len()];
            for point in points {
                rows[point.base] = rows[..point.base].iter().max().copied().unwrap_or_default() + 1;
            }
            whole(rows.into_iter().max().unwrap_or_default())
        }
    }
}

fn number(text: &str) -> Option<i128> {
    let number: f64 = text.parse().ok()?;
    // Far beyond all that a person would read here.
    (number.abs() < 1e20).then_some((number * BILLIONTHS as f64).round() as i128)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::event::Kind;
    use crate::rule::RuleFile;

    const BASES: &str = "title: Denied\nid: a\nname: a\nlevel: low\ndetection: {s: {e: no}, condition: s}\n---\n\
        title: Allowed\nid: b\nname: b\nlevel: low\ndetection: {s: {e: yes}, condition: s}\n---\n";

    /// What is said of a correlation with these lines on these events, each with its minute.
    fn told(lines: &str, events: &[(i64, &str)]) -> Explanation {
        let text = format!("{BASES}title: Many\nid: c\nlevel: low\ncorrelation: {{{lines}}}\n");
        let (rules, problems) = RuleSet::compile(&[RuleFile { path: "a.yml".to_owned(), text }]);
        assert_eq!(problems, []);
        let event = |(place, (minute, json)): (usize, &(i64, &str))| {
            let uid = Uid { origin: String::new(), id: place.to_string() };
            let time = Timestamp::from_millis(1_795_000_000_000 + minute * 60_000);
            let event = Event { uid, time, kind: Kind::Json, raw: sonic_rs::from_str(json).unwrap() };
            (format!("event {}", place + 1), event)
        };
        let events: Vec<_> = events.iter().enumerate().map(event).collect();
        let number = rules.number(&super::super::RuleId("c".into()), RuleNumber(2)).unwrap();
        account(&rules, number, &events).unwrap()
    }

    #[test]
    fn each_event_and_each_group_says_what_it_comes_to() {
        let lines = "type: value_count, rules: [a], group-by: [u], timespan: 10m, condition: {gte: 3, field: f}";
        let events = [
            (0, r#"{"e":"no","u":"ana","f":"x"}"#),
            (4, r#"{"e":"yes","u":"ana","f":"x"}"#),
            (5, r#"{"e":"no","u":"ana","f":"y"}"#),
            (6, r#"{"e":"no","f":"y"}"#),
            (6, r#"{"e":"no","u":"eve"}"#),
            (12, r#"{"e":"no","u":"ana","f":"z"}"#),
            (12, r#"{"e":"no","u":"Ana","f":"z"}"#),
        ];
        assert_snapshot!(told(lines, &events), @"
        no  distinct values of f gte 3 within 10 min, by u
          yes event 1, 2026-11-18T11:06:40.000000Z    `Denied` matches, group `ana`, value x
          no  event 2, 2026-11-18T11:10:40.000000Z    none of the rules that are counted matches
          yes event 3, 2026-11-18T11:11:40.000000Z    `Denied` matches, group `ana`, value y
          no  event 4, 2026-11-18T11:12:40.000000Z    `Denied` matches, but there is no `u`, so it is of no group
          no  event 5, 2026-11-18T11:12:40.000000Z    `Denied` matches, but there is no `f` to be counted
          yes event 6, 2026-11-18T11:18:40.000000Z    `Denied` matches, group `ana`, value z
          yes event 7, 2026-11-18T11:18:40.000000Z    `Denied` matches, group `Ana`, value z
          no  group `Ana`    gte 3 is asked, 1 the most there is, from 2026-11-18T11:18:40.000000Z to 2026-11-18T11:18:40.000000Z
          no  group `ana`    gte 3 is asked, 2 the most there is, from 2026-11-18T11:06:40.000000Z to 2026-11-18T11:11:40.000000Z; outside of the 10 min: event 6 (7 min after)
        ");
    }

    #[test]
    fn the_account_agrees_with_the_engine() {
        let denied = |u: &str| format!(r#"{{"e":"no","u":"{u}","n":5}}"#);
        let (ana, allowed) = (denied("ana"), r#"{"e":"yes","u":"ana","n":1.5}"#.to_owned());
        let events = [(0, ana.as_str()), (3, &ana), (9, &allowed), (10, &ana), (25, &allowed), (26, &ana)];
        for (lines, fires) in [
            ("type: event_count, rules: [a], timespan: 10m, condition: {gte: 2}", true),
            ("type: event_count, rules: [a], timespan: 10m, condition: {gte: 3}", false),
            ("type: event_count, rules: [a], timespan: 11m, condition: {gte: 3}", true),
            ("type: event_count, rules: [a], timespan: 10m, condition: {eq: 1}", true),
            ("type: event_count, rules: [a], timespan: 10m, condition: {eq: 7}", false),
            ("type: value_sum, rules: [a, b], timespan: 10m, condition: {gt: 11, field: n}", true),
            ("type: value_sum, rules: [a, b], timespan: 10m, condition: {gt: 11.5, field: n}", false),
            ("type: value_avg, rules: [a, b], timespan: 10m, condition: {lt: 4, field: n}", true),
            ("type: value_avg, rules: [a, b], timespan: 10m, condition: {lt: 3.25, field: n}", false),
            ("type: value_median, rules: [a, b], timespan: 10m, condition: {gte: 5, field: n}", true),
            ("type: temporal, rules: [a, b], group-by: [u], timespan: 5m", true),
            ("type: temporal, rules: [a, b], timespan: 5m, condition: b and not a", false),
            ("type: temporal_ordered, rules: [b, a], timespan: 5m", true),
            ("type: temporal_ordered, rules: [a, b], timespan: 5m", false),
        ] {
            let told = told(lines, &events);
            assert_eq!(told.holds, fires, "{lines}\n{told}");
            assert_eq!(told.parts[events.len()..].iter().any(|group| group.holds), fires, "{lines}\n{told}");
        }
    }
}
