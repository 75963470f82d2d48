//! The pipeline. Read this first:
//!
//! > source → normalise → detect → alert → deliver
//!
//! Channels between the stages are bounded, so a slow stage holds back the ones before it and nothing
//! piles up. A source is told that its records are safe only after everything that follows from them is on
//! disk. A stop runs through in the same order: sources first, sinks last.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use engine::normalise::Limits;
use engine::rule::RuleSet;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::deliver::{self, Delivery};
use crate::ledger::{Ledger, Listeners};
use crate::route::{self, Routes};
use crate::sources::Sources;
use crate::store::Store;
use crate::workers;
use connect::clock::Clock;

/// Batches between the sources and the workers: 8 × about 1 MiB.
const INBOX: usize = 8;
/// How long a stop waits for commits of what is in flight.
const GRACE: Duration = Duration::from_secs(30);

/// Everything that flows, wired but not yet running.
pub(crate) struct Pipeline {
    /// Where records come from.
    pub sources: Sources,
    /// What they are matched against; swapped on reload.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// Threads that match.
    pub workers: usize,
    /// What is remembered.
    pub ledger: Ledger,
    /// Who hears of commits.
    pub listeners: Listeners,
    /// Who is told of what.
    pub routes: Arc<Routes>,
    /// Where alerts go.
    pub deliveries: Vec<Delivery>,
    /// What is on disk.
    pub store: Arc<Store>,
    /// The present.
    pub clock: Clock,
}

impl Pipeline {
    /// Runs until `stop`, then finishes in order.
    ///
    /// # Errors
    /// When a thread cannot be started or ends in a panic.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { sources, rules, workers, ledger, listeners, routes, deliveries, store, clock } = self;
        let (inbox, records) = mpsc::channel(INBOX);
        let (routing, delivering) = (CancellationToken::new(), CancellationToken::new());
        let called = deliveries.iter().map(|delivery| delivery.news.clone()).collect();
        let news = listeners.router.clone();

        // source: raw records with marks
        let mut reading = tokio::spawn(sources.run(inbox, stop.clone()));
        // normalise, and all of detect that needs no memory
        let (matched, mut threads) = workers::start(workers, records, rules, Limits::default(), ledger.readers())?;
        // detect and alert: windows, episodes, one durable commit a group of batches
        let stopping = stop.clone();
        threads.push(workers::thread("ledger".to_owned(), move || ledger.run(matched, &listeners, &stopping))?);
        // deliver: route into the outbox, then tell each sink
        let router = tokio::spawn(route::run(store.clone(), routes, (news, called), clock.clone(), routing.clone()));
        let mut sinks = JoinSet::new();
        for delivery in deliveries {
            sinks.spawn(deliver::run(delivery, store.clone(), clock.clone(), delivering.clone()));
        }

        stop.cancelled().await;
        if let Ok(joined) = tokio::time::timeout(GRACE, &mut reading).await {
            joined.context("sources task")??;
        } else {
            tracing::error!("the disk took nothing in time: what was not accepted is read again");
            reading.abort();
            // Its end is what was asked for.
            drop(reading.await);
        }
        tokio::task::spawn_blocking(|| join(threads)).await.context("join threads")??;
        routing.cancel();
        router.await.context("router task")?;
        delivering.cancel();
        join_all(&mut sinks).await?;
        // Nobody writes any more, so the next start need not look at every page.
        if let Err(error) = store.close_cleanly() {
            tracing::warn!(error = format!("{error:#}"), "stop not noted as clean: the next start checks the store");
        }
        Ok(())
    }
}

async fn join_all(tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    while let Some(task) = tasks.join_next().await {
        task.context("join task")?;
    }
    Ok(())
}

fn join(threads: Vec<std::thread::JoinHandle<()>>) -> anyhow::Result<()> {
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked: see its message above"))?;
    }
    Ok(())
}
