//! Who is told: from alert revisions to rows in the outbox, by a durable cursor.

use std::sync::Arc;
use std::time::Duration;

use engine::alert::Alert;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::Route;
use crate::fail::{self, Point};
use crate::store::Store;
use connect::clock::Clock;

/// Revisions in one transaction.
const MOVED_MAX: u32 = 512;
/// Wait before a failed transaction is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The whole decision: which sinks are told of which alerts.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    sinks: Vec<String>,
}

impl Routes {
    /// Without routes every sink is told everything.
    pub(crate) fn new(routes: Vec<Route>, sinks: Vec<String>) -> Self {
        Self { routes, sinks }
    }

    /// The sinks that are told of this alert, each once, in the order of their names.
    pub(crate) fn sinks(&self, alert: &Alert) -> Vec<&str> {
        if self.routes.is_empty() {
            return self.sinks.iter().map(String::as_str).collect();
        }
        let passes = |route: &&Route| {
            alert.severity >= route.severity && (route.kinds.is_empty() || route.kinds.contains(&alert.kind))
        };
        let mut sinks: Vec<&str> =
            self.routes.iter().filter(passes).flat_map(|route| route.sinks.iter().map(String::as_str)).collect();
        sinks.sort_unstable();
        sinks.dedup();
        sinks
    }
}

/// What must stay in order among itself: messages about one key of one rule, or about one actor where the
/// rule has no key.
pub(crate) fn lane(alert: &Alert) -> String {
    let key = if alert.key.is_empty() {
        alert.actor.id.clone().unwrap_or_default()
    } else {
        serde_json::to_string(&alert.key).expect("a map of strings is JSON")
    };
    format!("{} {key}", alert.rule.0)
}

/// Moves revisions into the outbox whenever there are new ones, until told to stop and nothing is left.
pub(crate) async fn run(
    store: Arc<Store>,
    routes: Arc<Routes>,
    (news, deliver): (Arc<Notify>, Vec<Arc<Notify>>),
    clock: Clock,
    stop: CancellationToken,
) {
    loop {
        let (store, routes, now) = (store.clone(), routes.clone(), clock.now());
        fail::point(Point::Routing);
        let moved = tokio::task::spawn_blocking(move || {
            store.route(MOVED_MAX, now, |alert| {
                routes.sinks(alert).into_iter().map(|sink| (sink, lane(alert))).collect()
            })
        })
        .await
        .expect("routing does not panic");
        match moved {
            Ok(0) if stop.is_cancelled() => return,
            Ok(0) => tokio::select! {
                () = news.notified() => {}
                () = stop.cancelled() => {}
            },
            Ok(_) => {
                fail::point(Point::Routed);
                deliver.iter().for_each(|sink| sink.notify_one());
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "routing failed, trying again");
                if stop.is_cancelled() {
                    return;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
