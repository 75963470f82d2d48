//! Findings in words, with their numbers: what an analyst reads first.

use super::Scene;
use crate::detect::{Counted, Episode, Key, Shape};
use crate::event::{ActorSort, Outcome};

/// `role deploy/ci did StopLogging on trail-1 (account 111122223333, eu-west-1) from 192.0.2.7; it succeeded`
pub(super) fn alone(scene: &Scene) -> String {
    let outcome = match &scene.outcome {
        Outcome::Success => "it succeeded".to_owned(),
        Outcome::Failure(code) => format!("it was refused: {code}"),
    };
    format!("{}; {outcome}", sentence(scene))
}

/// `20 distinct requestParameters.secretId within 10 min for userIdentity.arn=…, the rule asks for 10;
/// 31 events so far. First: …`
pub(super) fn episode(shape: &Shape, field: Option<&str>, key: &Key, episode: &Episode) -> String {
    let group = if key.is_empty() {
        String::new()
    } else {
        let parts: Vec<String> = key.iter().map(|(field, value)| format!("{field}={value}")).collect();
        format!(" for {}", parts.join(", "))
    };
    let peak = episode.peak;
    let (window, least) = (shape.window, shape.at_least);
    let found = match shape.counted {
        Counted::Moments => format!("{} since the first, counted together{group}", events(episode.events_total)),
        Counted::Events => {
            format!(
                "{} within {window}{group}, the rule asks for {least}; {} so far",
                events(peak),
                episode.events_total
            )
        }
        Counted::Values => format!(
            "{peak} distinct {} within {window}{group}, the rule asks for {least}; {} so far",
            field.unwrap_or("values"),
            events(episode.events_total)
        ),
    };
    format!("{found}. First: {}", sentence(&episode.scene))
}

fn events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

fn sentence(scene: &Scene) -> String {
    let sort = match scene.actor.sort {
        ActorSort::Human => "user ",
        ActorSort::Role => "role ",
        ActorSort::Service => "service ",
        ActorSort::App => "app ",
        ActorSort::Unknown => "",
    };
    let actor = scene.actor.name.as_deref().or(scene.actor.id.as_deref()).unwrap_or("somebody unnamed");
    let mut text = format!("{sort}{actor} did {}", scene.action);
    if let Some(target) = scene.target.id.as_deref().or(scene.target.kind.as_deref()) {
        text += &format!(" on {target}");
    }
    let place =
        [scene.target.account.as_deref().map(|account| format!("account {account}")), scene.target.region.clone()];
    let place: Vec<String> = place.into_iter().flatten().collect();
    if !place.is_empty() {
        text += &format!(" ({})", place.join(", "));
    }
    if let Some(ip) = &scene.network.ip {
        text += &format!(" from {ip}");
    }
    text
}
