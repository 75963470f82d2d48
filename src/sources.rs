//! The sources: opened from the configuration, and exchanged one by one when it changes.
//!
//! A source that left or whose settings changed stops as at the end of the service: what it handed in is committed first,
//! and whoever takes its place goes on from there. The others do not notice.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use connect::source::http::Inlets;
use connect::source::{Mark, Remedy, SourceError};
use engine::detect::Pace;
use engine::normalise::Format;
use engine::time::Span;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, Print, System};
use crate::connectors::{self, Inflow};
use crate::feed::{Feed, Manners};
use crate::metrics::METRICS;
use crate::roster::Roster;
use crate::store::Store;
use crate::workers::Load;
use connect::clock::Clock;

/// Configurations that wait to be followed; the next one says all that the one before it did.
pub(crate) const CONFIGS_WAITING: usize = 1;

/// Every source of the configuration in force.
pub(crate) struct Sources {
    store: Arc<Store>,
    roster: Arc<Roster>,
    inlets: Arc<Inlets>,
    clock: Clock,
    /// Whether anybody expects something: as of the start, as for the ledger. A reload does not change it.
    is_covered: bool,
    /// Opened, and not yet run.
    opened: Vec<(Arc<Feed>, Inflow)>,
    entered: BTreeMap<String, Entered>,
    /// Configurations to follow.
    changes: mpsc::Receiver<Config>,
}

/// A source that the configuration names.
#[derive(Debug)]
struct Entered {
    /// What its settings and secrets say, to see when they say something else.
    print: Print,
    /// Whether its ids are only remembered, or not, because another source may bring the same events, or none may.
    shares: Option<bool>,
    /// Ends it alone.
    stop: CancellationToken,
    /// Standard input cannot be read from its beginning again.
    is_stdin: bool,
}

impl Sources {
    /// Opens those of the configuration, each where `marks` says that it was left.
    ///
    /// # Errors
    /// When one of them cannot work.
    pub(crate) async fn open(
        config: &Config,
        store: Arc<Store>,
        marks: &BTreeMap<String, Mark>,
        clock: Clock,
        changes: mpsc::Receiver<Config>,
    ) -> anyhow::Result<Self> {
        let (roster, inlets) = (Arc::new(Roster::default()), Arc::new(Inlets::default()));
        let (opened, entered) = (Vec::new(), BTreeMap::new());
        let is_covered = !config.coverage.expect.is_empty();
        let mut sources = Self { store, roster, inlets, clock, is_covered, opened, entered, changes };
        for (name, settings) in &config.sources {
            let mark = marks.get(name).cloned().unwrap_or_default();
            sources.enter(config, name, settings, &mark).await.with_context(|| format!("sources.{name}"))?;
        }
        Ok(sources)
    }

    /// Who there is.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        self.roster.clone()
    }

    /// Who may be pushed to.
    pub(crate) fn inlets(&self) -> Arc<Inlets> {
        self.inlets.clone()
    }

    /// Runs them until told to stop, and returns when all that they handed in is committed.
    ///
    /// # Errors
    /// When one of them panics.
    pub(crate) async fn run(mut self, inbox: mpsc::Sender<Load>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        loop {
            self.start(&mut tasks, &inbox, &stop);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(config) = self.changes.recv() => self.follow(&config, &mut tasks, &stop).await?,
                Some(ended) = tasks.join_next() => drop(ended.context("join task")?),
            }
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("join task")?;
        }
        Ok(())
    }

    fn start(&mut self, tasks: &mut JoinSet<String>, inbox: &mpsc::Sender<Load>, stop: &CancellationToken) {
        for (feed, inflow) in self.opened.drain(..) {
            let ours = stop.child_token();
            if let Some(entered) = self.entered.get_mut(&feed.name) {
                entered.stop = ours.clone();
            }
            let (name, inbox) = (feed.name.clone(), inbox.clone());
            tasks.spawn(async move {
                inflow.run(feed, inbox, ours).await;
                name
            });
        }
    }

    /// Ends what left, exchanges what changed, opens what is new.
    async fn follow(
        &mut self,
        config: &Config,
        tasks: &mut JoinSet<String>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let is_another = |(name, entered): &(&String, &Entered)| {
            config.sources.get(*name).is_none_or(|settings| {
                let shares = || shares_kind(config, name, settings.kind);
                let is_other_road = entered.shares.is_some_and(|before| before != shares());
                entered.print != print(config, name, settings) || is_other_road
            })
        };
        let gone: Vec<String> = self.entered.iter().filter(is_another).map(|(name, _)| name.clone()).collect();
        for name in gone {
            if self.entered[&name].is_stdin {
                tracing::warn!(source = name, "standard input is read on as it is until a restart");
                continue;
            }
            // Of one that is exchanged senders hear to try again, until its successor is there.
            if !config.sources.contains_key(&name) {
                self.inlets.leave(&name);
            }
            if !self.end(&name, tasks, stop).await? {
                return Ok(());
            }
        }
        for (name, settings) in &config.sources {
            if self.entered.contains_key(name) {
                continue;
            }
            // Where it was left is not known as long as the store cannot be read: to begin anew would count twice.
            let entered = match self.store.marks().context("read where it was left") {
                Ok(mut marks) => self.enter(config, name, settings, &marks.remove(name).unwrap_or_default()).await,
                Err(error) => Err(error),
            };
            if let Err(error) = entered {
                tracing::error!(source = name, error = format!("{error:#}"), "source cannot be opened");
                self.enter_failed(config, name, settings, &error);
            }
        }
        Ok(())
    }

    /// Lets a source finish; false if the whole service is to stop before.
    async fn end(&mut self, name: &str, tasks: &mut JoinSet<String>, stop: &CancellationToken) -> anyhow::Result<bool> {
        let is_known = |feed: &&Arc<Feed>| feed.name == name;
        let feed = self.roster.feeds().iter().find(is_known).cloned();
        let Some(entered) = self.entered.remove(name) else { return Ok(true) };
        entered.stop.cancel();
        // It never ran if it could not be opened, and it has ended already if it was at its end.
        while feed.as_ref().is_some_and(|feed| feed.is_running()) {
            let ended = tokio::select! {
                () = stop.cancelled() => return Ok(false),
                ended = tasks.join_next() => ended,
            };
            let Some(ended) = ended else { break };
            ended.context("join task")?;
        }
        self.roster.leave(name);
        METRICS.forget_source(name);
        tracing::info!(source = name, "source ended");
        Ok(true)
    }

    async fn enter(
        &mut self,
        config: &Config,
        name: &str,
        settings: &config::Source,
        mark: &Mark,
    ) -> anyhow::Result<()> {
        let start = self.clock.now().micros().to_string();
        let (inflow, inlet) = connectors::open_source(name, settings, mark, &start).await?;
        let manners = inflow.manners();
        let feed = feed(config, name, settings, inflow.keeps_position(), manners).covered(self.is_covered);
        let feed = Arc::new(feed);
        let shares = (!manners.repeats).then_some(feed.repeats);
        self.note(name, settings, print(config, name, settings), shares);
        self.roster.enter(&feed);
        match inlet {
            Some(inlet) => self.inlets.enter(inlet),
            // It may have been one that is pushed to before.
            None => self.inlets.leave(name),
        }
        self.opened.push((feed, inflow));
        tracing::info!(source = name, "source opened");
        Ok(())
    }

    /// A source that cannot be opened is shown as one that fails; the next reload tries again.
    fn enter_failed(&mut self, config: &Config, name: &str, settings: &config::Source, error: &anyhow::Error) {
        let manners = Manners { delay: crate::feed::PACE.delay, repeats: true, says_idle: true };
        let feed = Arc::new(feed(config, name, settings, true, manners).covered(self.is_covered));
        let doing = format!("open it: {error:#}; mend it and send SIGHUP");
        feed.cannot_open(&SourceError { doing, remedy: Remedy::Person, source: None });
        self.note(name, settings, Print::default(), None);
        self.roster.enter(&feed);
    }

    fn note(&mut self, name: &str, settings: &config::Source, print: Print, shares: Option<bool>) {
        let entered = Entered { print, shares, stop: CancellationToken::new(), is_stdin: settings.stdin.is_some() };
        self.entered.insert(name.to_owned(), entered);
    }
}

fn feed(config: &Config, name: &str, settings: &config::Source, keeps_position: bool, manners: Manners) -> Feed {
    let lateness = span(settings.lateness);
    let pace = Pace { delay: settings.delay.map_or(manners.delay.min(lateness), span), lateness };
    // An event that comes by two roads is one event.
    let repeats = manners.repeats || shares_kind(config, name, settings.kind);
    let feed = Feed::new(name.to_owned(), settings.kind, keeps_position);
    let system = settings.systems().pop().map_or("", System::name);
    feed.with(pace, Manners { repeats, ..manners }).of(system)
}

/// What makes a source another one than before: its settings and its secrets.
fn print(config: &Config, name: &str, settings: &config::Source) -> Print {
    let secrets = settings.systems().into_iter().flat_map(System::secrets);
    let secrets = secrets.filter_map(|(_, secret)| secret.read().ok());
    secrets.fold(config.prints.source(name), |print, secret| print.with(secret.expose().as_bytes()))
}

/// Whether another source may bring logs of this kind, or of one that comes by the same road.
fn shares_kind(config: &Config, name: &str, kind: Format) -> bool {
    let may_meet = |other: Format| kind.kinds().meet(other.kinds());
    config.sources.iter().any(|(other, settings)| other != name && may_meet(settings.kind))
}

/// A setting as a length of time.
pub(crate) fn span(duration: std::time::Duration) -> Span {
    Span::from_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}
