//! Findings in words, with their numbers: what an analyst reads first.

use super::scene::{Part, Scene};
use crate::detect::{Account, BILLIONTHS, Counted, Key, Shape, Way, decimal_text};
use crate::event::ActorSort;
use crate::rule::{Comparison, Formula};

/// `role deploy/ci did StopLogging on trail-1 (account 111122223333, eu-west-1) from 192.0.2.7; it succeeded`
pub(super) fn alone(scene: &Scene) -> String {
    let mut text = String::with_capacity(128);
    sentence(&mut text, scene);
    match scene.get(Part::Failure) {
        None => text.push_str("; it succeeded"),
        Some(code) => text.extend(["; it was refused: ", code]),
    }
    text
}

/// `20 distinct requestParameters.secretId within 10 min for userIdentity.arn=…, the rule asks for 10;
/// 31 events so far. First: …`
pub(super) fn episode(shape: &Shape, key: &Key, episode: &Account) -> String {
    // Text is pushed and not formatted, piece by piece: a third of the time, and hot keys explain themselves with
    // each event.
    let mut text = String::with_capacity(256);
    if let Some(note) = &episode.note {
        text.push_str(&note.what);
        group(&mut text, key);
        text.extend(["; ", &note.against, "; "]);
        if shape.learning.as_ref().is_some_and(|learning| learning.way == Way::Risk) {
            number(&mut text, episode.events_total);
            text.push_str(" findings so far");
        } else {
            events_so_far(&mut text, episode);
        }
    } else if shape.counted == Counted::Moments {
        events(&mut text, episode.events_total);
        text.push_str(" since the first, counted together");
        group(&mut text, key);
    } else {
        measured(&mut text, shape, episode);
        text.extend([" within ", &shape.window_text]);
        group(&mut text, key);
        asked(&mut text, shape);
        events_so_far(&mut text, episode);
    }
    text.push_str(". First: ");
    sentence(&mut text, &episode.scene);
    text
}

/// `20 distinct requestParameters.secretId`; one arm for each way of counting.
fn measured(text: &mut String, shape: &Shape, episode: &Account) {
    let count = u64::try_from(episode.peak).unwrap_or_default();
    match &shape.counted {
        Counted::Moments | Counted::Unusual | Counted::Events => events(text, count),
        Counted::Values(field) => {
            number(text, count);
            text.extend([" distinct ", field]);
        }
        Counted::Sum(field) => text.extend(["a sum of ", field, " of ", &decimal_text(episode.peak)]),
        Counted::Average(field) => text.extend(["a mean of ", field, " of ", &decimal_text(episode.peak)]),
        Counted::Percentile(field, 50) => {
            text.extend(["a median of ", field, " of ", &decimal_text(episode.peak)]);
        }
        Counted::Percentile(field, rank) => {
            number(text, u64::from(*rank));
            text.extend([" percent of ", field, " at or below ", &decimal_text(episode.peak)]);
        }
        Counted::Rules(_) => rules(text, count, shape, ", "),
        Counted::Sequence => rules(text, count, shape, ", then "),
    }
}

fn rules(text: &mut String, count: u64, shape: &Shape, between: &str) {
    number(text, count);
    text.push_str(" of ");
    number(text, shape.bases.len() as u64);
    text.push_str(" rules matched");
    for (place, title) in shape.bases.iter().enumerate() {
        text.extend([if place == 0 { " (" } else { between }, title]);
    }
    text.push(')');
}

/// `, the rule asks for 10; `
fn asked(text: &mut String, shape: &Shape) {
    text.push_str(", the rule asks for ");
    if let Counted::Rules(Some(formula)) = &shape.counted {
        spell(text, formula, shape);
    } else if !shape.waits {
        let least = if shape.counted.is_number() { shape.at_least } else { shape.at_least * BILLIONTHS };
        text.push_str(&decimal_text(least));
    } else {
        for (place, (comparison, number)) in shape.threshold.asks.iter().enumerate() {
            let words = match comparison {
                Comparison::Above => "more than ",
                Comparison::AtLeast => "at least ",
                Comparison::Below => "less than ",
                Comparison::AtMost => "at most ",
                Comparison::Equal => "exactly ",
                Comparison::Unequal => "anything but ",
            };
            text.extend([if place == 0 { "" } else { " and " }, words, &decimal_text(*number)]);
        }
    }
    text.push_str("; ");
}

/// A condition over rules, by their titles.
fn spell(text: &mut String, formula: &Formula, shape: &Shape) {
    let (parts, between) = match formula {
        Formula::Base(base) => {
            return text.push_str(shape.bases.get(usize::from(*base)).map_or("", String::as_str));
        }
        Formula::Not(part) => {
            text.push_str("not ");
            return spell(text, part, shape);
        }
        Formula::And(parts) => (parts, " and "),
        Formula::Or(parts) => (parts, " or "),
    };
    text.push('(');
    for (place, part) in parts.iter().enumerate() {
        text.push_str(if place == 0 { "" } else { between });
        spell(text, part, shape);
    }
    text.push(')');
}

fn events_so_far(text: &mut String, episode: &Account) {
    events(text, episode.events_total);
    text.push_str(" so far");
}

fn group(text: &mut String, key: &Key) {
    for (place, (field, value)) in key.iter().enumerate() {
        text.extend([if place == 0 { " for " } else { ", " }, field, "=", value]);
    }
}

fn events(text: &mut String, count: u64) {
    number(text, count);
    text.push_str(if count == 1 { " event" } else { " events" });
}

fn number(text: &mut String, mut number: u64) {
    let mut digits = [0; 20];
    let mut place = digits.len();
    loop {
        place -= 1;
        digits[place] = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[place..].iter().map(|&digit| char::from(digit)));
}

fn sentence(text: &mut String, scene: &Scene) {
    let sort = match scene.sort() {
        ActorSort::Human => "user ",
        ActorSort::Role => "role ",
        ActorSort::Service => "service ",
        ActorSort::App => "app ",
        ActorSort::Unknown => "",
    };
    let actor = scene.get(Part::ActorName).or(scene.get(Part::ActorId)).unwrap_or("somebody unnamed");
    text.extend([sort, actor, " did ", scene.action()]);
    if let Some(target) = scene.get(Part::TargetId).or(scene.get(Part::TargetKind)) {
        text.extend([" on ", target]);
    }
    match (scene.get(Part::Account), scene.get(Part::Region)) {
        (Some(account), Some(region)) => text.extend([" (account ", account, ", ", region, ")"]),
        (Some(account), None) => text.extend([" (account ", account, ")"]),
        (None, Some(region)) => text.extend([" (", region, ")"]),
        (None, None) => {}
    }
    if let Some(ip) = scene.get(Part::Ip) {
        text.extend([" from ", ip]);
        if let Some(place) = scene.get(Part::Place) {
            text.extend([" (", place, ")"]);
        }
    }
}
