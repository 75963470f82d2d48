//! Whether the log lets us in, asked by its first page.

use engine::time::Span;

use super::look::Ask;
use super::request::Api;
use super::{Settings, span};
use crate::clock::Clock;
use crate::probe::{Probe, words};

/// Asks for a page of the last hour. Changes nothing; an app's token is asked for as the source does.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    tried(settings, &Clock::Wall).await
}

pub(super) async fn tried(settings: &Settings, clock: &Clock) -> Vec<Probe> {
    let what = format!("audit log of {} by {}", settings.path(), settings.endpoint);
    let api = match Api::new(settings) {
        Ok(api) => api,
        Err(error) => return vec![Probe::bad(what, words(&error))],
    };
    let now = clock.now();
    let since = now.minus(Span::seconds(3_600));
    match api.page(Ask::Since(since), now).await {
        Ok(answered) => {
            let some = if answered.page.next.is_some() { " or more" } else { "" };
            let mut probes = vec![Probe::good(
                what,
                format!("readable, {}{some} entries in the last hour", answered.page.entries.len()),
            )];
            // What one look asks for at the least must fit into the pace.
            let looks = 3_600_000_000 / span(settings.poll).micros().max(1);
            if looks > i64::from(settings.requests_per_hour) {
                let why = format!("{looks} looks an hour are more than requests_per_hour: raise `poll` or the latter");
                probes.push(Probe::bad("pace", why));
            }
            probes
        }
        Err(trouble) => vec![Probe::bad(what, words(&trouble.error()))],
    }
}
