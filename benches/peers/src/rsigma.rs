//! rsigma, used as its own command line program uses it, without what that spends on lines and output.

use std::path::Path;

use anyhow::{Context, bail};
use engine::event::LogSource;
use engine::rule::RuleFile;
use lab::case::{Case, KEYS};
use lab::speed::{Figures, Start, timed};
use rsigma_eval::result::MatchDetailLevel;
use rsigma_eval::schema::{RoutingConfig, RoutingPlan, SchemaClassifier};
use rsigma_eval::{CorrelationConfig, CorrelationEngine, Engine, JsonEvent, LogSourceExtractor, SchemaRouter};
use rsigma_parser::SigmaCollection;
use serde_json::Value;

/// How it finds the rules for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routing {
    /// Not at all: every rule is for every event. Its default.
    Off,
    /// The user says which log source all events are of.
    ByHand,
    /// It recognises the schema of each event (`--schema-routing --logsource-routing`).
    BySchema,
}

impl Routing {
    /// Each that makes sense for a case, the default first.
    pub(crate) fn of(case: &Case) -> &'static [Self] {
        match (case.events.log_source(), case.counts()) {
            (_, true) => &[Self::Off],
            (Some(_), false) => &[Self::Off, Self::ByHand],
            (None, false) if case.name.starts_with("mixed") => &[Self::Off, Self::BySchema],
            (None, false) => &[Self::Off],
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Off, Self::ByHand, Self::BySchema].into_iter().find(|routing| routing.name() == name)
    }

    /// What the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Off => "rsigma",
            Self::ByHand => "rsigma, routed by hand",
            Self::BySchema => "rsigma, schema routing",
        }
    }
}

/// All rules, read.
pub(crate) fn collection(rules: &[RuleFile]) -> anyhow::Result<SigmaCollection> {
    let mut all = SigmaCollection::new();
    for file in rules {
        let read = rsigma_parser::parse_sigma_yaml(&file.text).with_context(|| format!("read {}", file.path))?;
        if let Some(error) = read.errors.first() {
            bail!("rsigma cannot read {}: {error}", file.path);
        }
        all.rules.extend(read.rules);
        all.correlations.extend(read.correlations);
        all.filters.extend(read.filters);
    }
    Ok(all)
}

/// Our log source in its words.
pub(crate) fn log_source(ours: &LogSource) -> rsigma_parser::LogSource {
    rsigma_parser::LogSource {
        product: ours.product.clone(),
        service: ours.service.clone(),
        category: ours.category.clone(),
        ..rsigma_parser::LogSource::default()
    }
}

/// One run over one case.
pub(crate) fn run(case: &Case, routing: Routing, rules: &[RuleFile], records: &Path) -> anyhow::Result<Figures> {
    let start = Start::now();
    if case.counts() {
        return correlations(&start, rules, records);
    }
    let read = collection(rules)?;
    if routing == Routing::BySchema {
        return by_schema(&start, &read, records);
    }
    let mut engine = Engine::new();
    engine.add_collection(&read)?;
    drop(read);
    let figures = start.loaded(engine.rule_count());
    let source = case.events.log_source().map(|source| log_source(&source));
    let mut found = 0;
    let pass = match (routing, source) {
        (Routing::ByHand, Some(source)) => timed(records, |record| {
            let document = parse(record);
            found += engine.evaluate_pruned(&JsonEvent::borrow(&document), &source).len() as u64;
        })?,
        _ => timed(records, |record| {
            let document = parse(record);
            found += engine.evaluate(&JsonEvent::borrow(&document)).len() as u64;
        })?,
    };
    Ok(Figures { events: pass.events, bytes: pass.bytes, found, run: pass.took, peak_bytes: start.peak(), ..figures })
}

/// Its own defaults but two: room for all keys, as it would drop most of them, and no results for the rules
/// that are only counted.
fn correlations(start: &Start, rules: &[RuleFile], records: &Path) -> anyhow::Result<Figures> {
    let room = 2 * usize::try_from(KEYS)?;
    let config = CorrelationConfig { max_state_entries: room, emit_detections: false, ..CorrelationConfig::default() };
    let mut engine = CorrelationEngine::new(config);
    engine.add_collection(&collection(rules)?)?;
    let figures = start.loaded(engine.detection_rule_count() + engine.correlation_rule_count());
    let mut found = 0;
    let pass = timed(records, |record| {
        let document = parse(record);
        let results = engine.process_event(&JsonEvent::borrow(&document));
        found += results.iter().filter(|result| result.is_correlation()).count() as u64;
    })?;
    Ok(Figures { events: pass.events, bytes: pass.bytes, found, run: pass.took, peak_bytes: start.peak(), ..figures })
}

fn by_schema(start: &Start, rules: &SigmaCollection, records: &Path) -> anyhow::Result<Figures> {
    let plan = RoutingPlan::from_config(&RoutingConfig::default());
    let sets = plan.pipeline_sets().iter().map(|_| Vec::new()).collect();
    let (classifier, config) = (SchemaClassifier::builtin(), CorrelationConfig::default());
    let detail = MatchDetailLevel::Off;
    let extractor = Some(LogSourceExtractor::new());
    let mut router = SchemaRouter::build(rules, classifier, plan, sets, config, false, detail, extractor, false)?;
    let figures = start.loaded(router.detection_rule_count());
    let mut found = 0;
    let pass = timed(records, |record| {
        let document = parse(record);
        found += router.route(&JsonEvent::borrow(&document)).results.len() as u64;
    })?;
    Ok(Figures { events: pass.events, bytes: pass.bytes, found, run: pass.took, peak_bytes: start.peak(), ..figures })
}

/// As its command line program does; straight from the bytes, without the copy that makes.
fn parse(record: &[u8]) -> Value {
    serde_json::from_slice(record).expect("our engine has read the same bytes")
}
