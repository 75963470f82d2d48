//! What black-box tests share: the real binary with a configuration of its own, a webhook receiver that
//! checks signatures and answers by a script, and the records that are fed in.
//!
//! Nothing here looks inside the service: files, signals and HTTP only. Waiting is [`until`]: a condition,
//! a limit, and words for what was awaited.

mod corpus;
mod history;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
mod log;
mod meddler;
#[cfg(feature = "aws")]
pub(crate) mod moto;
mod push;
mod receiver;
mod service;
mod told;
mod wall;
mod web;

use std::io::Write;
use std::time::{Duration, Instant};

pub(crate) use corpus::{Corpus, lines_of, shared};
pub(crate) use history::{Arrival, History};
pub(crate) use log::Log;
pub(crate) use meddler::Meddler;
pub(crate) use push::push;
pub(crate) use receiver::{Receiver, Say};
pub(crate) use service::{Home, Lapwing};
pub(crate) use told::Told;
pub(crate) use wall::{Sets, Wall};
pub(crate) use web::{Heard, github, stopped};

/// Says something that must be seen even when the test passes: the runner hides what `eprintln!` writes.
pub(crate) fn loudly(words: &str) {
    writeln!(std::io::stderr(), "{words}").expect("stderr is there");
}

/// Each test file uses a part of the harness. This names all of it, so that the rest is no dead code.
const _: () = {
    let _ = (loudly, Corpus::open, Corpus::lines, lines_of, shared, Chance::seeded, Chance::fork, Chance::below);
    let _ = (Home::new, Home::sets, Home::path, Home::configure, Home::start, Home::spawn);
    let _ = (
        Lapwing::kill,
        Lapwing::terminate,
        Lapwing::ask_to_stop,
        Lapwing::listens,
        Lapwing::url,
        Lapwing::get,
        Lapwing::rows,
    );
    let _ = (
        Lapwing::replay,
        Lapwing::status,
        Lapwing::has_read,
        Lapwing::everybody_told,
        Lapwing::complaints,
        Lapwing::log_has,
        Lapwing::line,
    );
    let _ = (Receiver::start, Receiver::start_at, Receiver::say::<fn(usize) -> Say>, Receiver::sink, Receiver::address);
    let _ = (Receiver::arrivals, Receiver::messages, Receiver::alerts, Receiver::faults);
    let _ =
        (Home::refusal, Lapwing::signal, Lapwing::still_runs, Lapwing::has_ended, Lapwing::client, Lapwing::address);
    let _ = (Lapwing::hear, Lapwing::push::<String>, Lapwing::metric, Lapwing::has_alerts, Heard::of, Heard::json);
    let _ = (Heard::header, |heard: Heard| heard.status, stopped, github);
    let _ = (Home::spawn_with, Lapwing::comes_up, Lapwing::is_gone, Lapwing::refused_nothing, push);
    let _ = (Lapwing::falls_where_it_halts, Lapwing::kill_where_it_halted);
    let _ = (Log::create, Log::path, Log::left, Log::write, Log::rotate, Chance::of, Receiver::take_any_time);
    let _ = (
        Told::by,
        Told::about,
        Told::is_told_by,
        Told::differences,
        Meddler::start,
        Meddler::behave,
        Meddler::address,
        Receiver::sink_at,
    );
    let _ = (Wall::new, Wall::set, Wall::variables, Sets::Wall, Sets::Everything);
    let _ =
        (Say::After, Say::RetryAfter, Say::Never, Arrival::revision, History::untaken, Told::is_told_in_any_order_by);
    #[cfg(feature = "aws")]
    {
        use moto::Moto;
        let _ =
            (Moto::start, Moto::log_group, Moto::log::<std::vec::IntoIter<(i64, String)>>, Moto::subscribe, Moto::ask);
        let _ = (Moto::stream, Moto::put::<std::vec::IntoIter<String>>, moto::REGION, |moto: Moto| moto.address.len());
    }
    #[cfg(feature = "kafka")]
    {
        use kafka::{Cluster, Door};
        let _ = (
            Cluster::kill,
            Cluster::restart,
            Cluster::create,
            Cluster::delete,
            Cluster::delete_before,
            Cluster::source,
        );
        let _ = (Cluster::produce::<Vec<String>>, Cluster::answers, Cluster::start, Door::Open, Door::Scram);
    }
};

/// What takes longer than this hangs. Generous: a debug build on a busy machine is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Looks again and again until there is something; fails with what was awaited if there never is.
pub(crate) async fn until<T>(awaited: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {awaited}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Random numbers that a seed repeats (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    /// Says its seed; `LAPWING_SEED` repeats a run.
    pub(crate) fn seeded() -> Self {
        let clock = || std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_micros() as u64);
        let seed = std::env::var("LAPWING_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock);
        eprintln!("SEED: LAPWING_SEED={seed} repeats this run's choices");
        Self(seed)
    }

    /// With this seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Another one, for somebody who draws at moments of their own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }

    /// From 0, below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}
