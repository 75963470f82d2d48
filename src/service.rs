//! The service: store, pipeline and web server, wired from a configuration.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use connect::source::{http, http::Inlets};
use engine::detect::Caps;
use engine::time::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::api::connections::{self, Limits};
use crate::api::{self, App};
use crate::config::{self, Config};
use crate::connectors;
use crate::coverage::{self, Watch};
use crate::deliver::{Delivery, Mood};
use crate::enrichment;
use crate::feed::Feed;
use crate::ledger::{self, Ledger, Listeners, Settings};
use crate::metrics::METRICS;
use crate::pipeline::Pipeline;
use crate::reload;
use crate::roster::Roster;
use crate::route::Routes;
use crate::rules::{Places, compile_all};
use crate::sources::{self, Sources};
use crate::store::{Reader, Store};
use crate::upkeep::{self, Upkeep};
use connect::clock::Clock;
use connect::secret::Secret;

/// Alert changes that a slow listener may lag behind before it reads them from the store instead.
const LIVE: usize = 1_024;

/// How long answers may take to their callers once everything that was accepted is on disk.
const LINGER: Duration = Duration::from_secs(5);

/// A service that is wired and listens, but does not read yet.
pub(crate) struct Lapwing {
    pipeline: Pipeline,
    router: axum::Router,
    listener: TcpListener,
    roster: Arc<Roster>,
    places: Places,
    configured: Option<reload::Configured>,
    calls: reload::Calls,
    upkeep: Upkeep,
    /// Reads lists of accounts, if something is expected.
    watch: Option<Watch>,
}

impl Lapwing {
    /// Opens everything that the configuration names and listens. `file` is where it stands, to be read again when it
    /// changes.
    ///
    /// # Errors
    /// When something in it cannot work: a broken rule, a port in use, a damaged store.
    pub(crate) async fn open(config: Config, file: Option<&Path>, stop: &CancellationToken) -> anyhow::Result<Self> {
        let clock = Clock::Wall;
        let started = clock.now();
        METRICS.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        METRICS.process_start.set(started.micros() as f64 / 1e6);
        let places = config.places();
        let calls = reload::Calls::listen(&places, file)?;
        let compiled = compile_all(&places)?;
        METRICS.rules.set(i64::try_from(compiled.rules().len()).unwrap_or(i64::MAX));

        let store = Arc::new(Store::open(&config.data)?);
        abandon_others(&store, &config, started)?;
        let recovered = store.recover().context("read what the last run left")?;
        let (changed, configs) = mpsc::channel(sources::CONFIGS_WAITING);
        let sources = Sources::open(&config, store.clone(), &recovered.marks, clock.clone(), configs).await?;
        let deliveries = open_sinks(&config)?;
        let rules = Arc::new(ArcSwap::from_pointee(compiled));
        let roster = sources.roster();
        let settings = remembered(&config)?;
        let ledger = Ledger::open(store.clone(), recovered, rules.clone(), roster.clone(), settings, clock.clone())?;
        let (questions, asked) = mpsc::channel(ledger::WAITING);
        let (ledger, watch) = cover(ledger.answering(asked), &config, &store, &clock)?;
        let upkeep = Upkeep::open(&store, &config, clock.clone())?;
        let listeners = Listeners {
            router: Arc::new(Notify::new()),
            live: broadcast::channel(LIVE).0,
            committing: Arc::new(AtomicBool::new(true)),
        };
        let app = App {
            reader: store.reader()?,
            archive: config.data.join("archive"),
            rules: rules.clone(),
            roster: roster.clone(),
            sinks: deliveries
                .iter()
                .map(|delivery| (delivery.name.clone(), delivery.sink.kind(), delivery.mood.subscribe()))
                .collect(),
            live: listeners.live.clone(),
            questions,
            committing: listeners.committing.clone(),
            public_url: config.public_url.clone(),
            token: token(&config)?,
            metrics_without_token: config.metrics_without_token,
            seats: Arc::new(Semaphore::new(api::SEATS)),
            clock: clock.clone(),
            started,
            stop: stop.clone(),
        };
        let router = api::router(Arc::new(app), ingest(&config, sources.inlets()));
        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("listen on {}", config.listen))?;
        let sinks = config.sinks.keys().cloned().collect();
        let pipeline = Pipeline {
            sources,
            rules,
            workers: workers(&config),
            ledger,
            listeners,
            routes: Arc::new(Routes::new(config.routes, sinks)),
            deliveries,
            store,
            clock,
        };
        let prints = config.prints;
        let configured = file.map(|file| reload::Configured { file: file.to_owned(), prints, changed });
        Ok(Self { pipeline, router, listener, roster, places, configured, calls, upkeep, watch })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// When the system does not know it.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.listener.local_addr().context("read own address")
    }

    /// Its sources.
    pub(crate) fn feeds(&self) -> Vec<Arc<Feed>> {
        self.roster.feeds().to_vec()
    }

    /// A reader of its store.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub(crate) fn reader(&self) -> anyhow::Result<Reader> {
        self.pipeline.store.reader()
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// When a part of it fails as a whole.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let address = self.address()?;
        tracing::info!(%address, "listening");
        let mut server =
            tokio::spawn(connections::serve(self.listener, self.router, Limits::of_system(), stop.clone()));
        let rules = self.pipeline.rules.clone();
        let reload = tokio::spawn(reload::run(self.calls, self.places, rules, self.configured, stop.clone()));
        let upkeep = tokio::spawn(upkeep::run(self.upkeep, stop.clone()));
        let watch = self.watch.map(|watch| tokio::spawn(watch.run(stop.clone())));
        let ran = self.pipeline.run(stop.clone()).await;
        stop.cancel();
        match tokio::time::timeout(LINGER, &mut server).await {
            Ok(served) => served.context("web server")?,
            // Half a request or a reader that does not read: nobody may hold up the stop.
            Err(_) => server.abort(),
        }
        upkeep.await.context("upkeep task")?;
        if let Some(watch) = watch {
            watch.await.context("task that reads lists of accounts")?;
        }
        reload.await.context("reload task")??;
        ran
    }
}

/// Has the ledger look whether what is listed arrives. What an earlier configuration expected is settled, even if this one
/// expects nothing.
fn cover(ledger: Ledger, config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<(Ledger, Option<Watch>)> {
    let known = store.covered()?;
    if config.coverage.expect.is_empty() && known.cells.is_empty() {
        return Ok((ledger, None));
    }
    let (listing, watch) = coverage::watch(&config.coverage, clock.clone()).context("coverage")?;
    Ok((ledger.covering(listing, known, sources::span(config.coverage.grace)), Some(watch)))
}

/// What was queued for sinks that left the configuration is shown as dead letters, not kept in silence.
fn abandon_others(store: &Store, config: &Config, now: Timestamp) -> anyhow::Result<()> {
    let sinks: Vec<&str> = config.sinks.keys().map(String::as_str).collect();
    let messages = store.abandon_others(&sinks, now)?;
    if messages > 0 {
        tracing::error!(messages, "messages given up: their sinks are no longer configured");
    }
    Ok(())
}

/// What callers of the API must show, as a hash: equal hashes are found in constant time.
fn token(config: &Config) -> anyhow::Result<Option<blake3::Hash>> {
    let token = config.token.as_ref().map(Secret::read).transpose().context("token")?;
    Ok(token.map(|token| blake3::hash(token.expose().as_bytes())))
}

/// The door for pushed events.
fn ingest(config: &Config, inlets: Arc<Inlets>) -> axum::Router {
    let limits = http::Limits {
        body_bytes_max: config.ingest.body_mib_max << 20,
        ack_timeout: config.ingest.ack_timeout,
        ..http::Limits::default()
    };
    http::router(inlets, limits, |route: &'static str, status: u16| {
        METRICS.http_requests.with_label_values(&[route, &status.to_string()]).inc();
    })
}

fn workers(config: &Config) -> usize {
    match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

fn remembered(config: &Config) -> anyhow::Result<Settings> {
    let config::State { keys_max, mib_max } = config.state;
    let addresses = enrichment::read(&config.enrichment)?;
    Ok(Settings {
        folder: config.data.clone(),
        caps: Caps { keys_max, bytes_max: mib_max.saturating_mul(1 << 20), ..Caps::default() },
        books: config::books(&config.lineage, &config.deploys, addresses).context("deploys")?,
    })
}

fn open_sinks(config: &Config) -> anyhow::Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    for (name, settings) in &config.sinks {
        deliveries.push(Delivery {
            name: name.clone(),
            sink: connectors::build_sink(settings).with_context(|| format!("sinks.{name}"))?,
            public_url: config.public_url.clone(),
            news: Arc::new(Notify::new()),
            mood: Arc::new(watch::Sender::new(Mood::default())),
        });
    }
    Ok(deliveries)
}
