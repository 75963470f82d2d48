//! Lapwing: pipeline and cloud audit logs in, explained alerts out. `pipeline.rs` is the place to start.

mod api;
mod archive;
mod args;
mod command;
mod config;
mod connectors;
mod coverage;
mod deliver;
mod docs;
mod enrichment;
mod fail;
mod feed;
mod ledger;
mod metrics;
mod pipeline;
mod reload;
mod roster;
mod route;
mod rules;
#[cfg(test)]
mod sample;
mod service;
mod sources;
mod store;
mod upkeep;
mod workers;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::args::{Arguments, Command};
use crate::command::Outcome;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log();
    abort_on_panic();
    let outcome = match arguments.command {
        Command::Run { config } => command::run::run(&config),
        Command::Demo { listen, once } => command::demo::run(listen, once),
        Command::Check { paths, format, connect, lints, given } => {
            command::check::run(&paths, format, connect, &lints, given)
        }
        Command::Test { paths, regression, format, given } => {
            command::test::run(paths, regression.as_deref(), format, given)
        }
        Command::Match { input, titles } => command::matching::run(&input, titles),
        Command::Replay { input, store } => command::replay::run(&input, store.as_deref()),
        Command::Trace(asked) => command::trace::run(&asked),
        Command::Coverage { place, all, json } => command::coverage::run(place, all, json),
        Command::Deploys(asked) => command::deploys::run(&asked),
        Command::Store(what) => command::store::run(what),
        Command::Docs => command::docs::run(),
        Command::Version => command::version(),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Err(error) => {
            command::say(&format!("lapwing: {error:#}"));
            ExitCode::from(if error.is::<rules::WrongUse>() { 2 } else { 1 })
        }
    }
}

/// A panic is our bug, and half a pipeline would lose things in silence: what is on disk is safe, so end here.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// Logs go to stderr; `LAPWING_LOG` chooses, as in `LAPWING_LOG=debug` or `lapwing=debug,warn`.
fn log() {
    let filter = EnvFilter::try_from_env("LAPWING_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal).init();
}
