//! Findings in words, with their numbers: what an analyst reads first.

use super::Scene;
use crate::detect::{Account, Counted, Key, Shape};
use crate::event::{ActorSort, Outcome};

/// `role deploy/ci did StopLogging on trail-1 (account 111122223333, eu-west-1) from 192.0.2.7; it succeeded`
pub(super) fn alone(scene: &Scene) -> String {
    let mut text = String::with_capacity(128);
    sentence(&mut text, scene);
    match &scene.outcome {
        Outcome::Success => text.push_str("; it succeeded"),
        Outcome::Failure(code) => text.extend(["; it was refused: ", code]),
    }
    text
}

/// `20 distinct requestParameters.secretId within 10 min for userIdentity.arn=…, the rule asks for 10;
/// 31 events so far. First: …`
pub(super) fn episode(shape: &Shape, key: &Key, episode: &Account) -> String {
    // Text is pushed and not formatted, piece by piece: a third of the time, and hot keys explain themselves with
    // each event.
    let mut text = String::with_capacity(256);
    match &shape.counted {
        Counted::Moments => {
            events(&mut text, episode.events_total);
            text.push_str(" since the first, counted together");
            group(&mut text, key);
        }
        Counted::Events => {
            events(&mut text, episode.peak);
            asked(&mut text, shape, key);
            events_so_far(&mut text, episode);
        }
        Counted::Values(field) => {
            number(&mut text, episode.peak);
            text.extend([" distinct ", field]);
            asked(&mut text, shape, key);
            events_so_far(&mut text, episode);
        }
    }
    text.push_str(". First: ");
    sentence(&mut text, &episode.scene);
    text
}

fn asked(text: &mut String, shape: &Shape, key: &Key) {
    text.extend([" within ", &shape.window_text]);
    group(text, key);
    text.push_str(", the rule asks for ");
    number(text, shape.at_least);
    text.push_str("; ");
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
    let sort = match scene.actor.sort {
        ActorSort::Human => "user ",
        ActorSort::Role => "role ",
        ActorSort::Service => "service ",
        ActorSort::App => "app ",
        ActorSort::Unknown => "",
    };
    let actor = scene.actor.name.as_deref().or(scene.actor.id.as_deref()).unwrap_or("somebody unnamed");
    text.extend([sort, actor, " did ", &scene.action]);
    if let Some(target) = scene.target.id.as_deref().or(scene.target.kind.as_deref()) {
        text.extend([" on ", target]);
    }
    match (&scene.target.account, &scene.target.region) {
        (Some(account), Some(region)) => text.extend([" (account ", account, ", ", region, ")"]),
        (Some(account), None) => text.extend([" (account ", account, ")"]),
        (None, Some(region)) => text.extend([" (", region, ")"]),
        (None, None) => {}
    }
    if let Some(ip) = &scene.network.ip {
        text.extend([" from ", ip]);
    }
}
