//! Chaos: the real binary, fed by a followed log and by a client that repeats what was not answered, is killed, frozen
//! and lied to, and tells the same as one that nothing happened to.
//!
//! **0 alerts lost, 0 counted twice, 0 new ids**: ids, counts, event ids, kept evidence and the body of every message
//! are compared. `LAPWING_SEED` repeats the choices of a run; `LAPWING_LIVES` says how many lives are ended by SIGKILL
//! (`make chaos`: 500).

mod harness;

#[path = "chaos/episode.rs"]
mod episode;
#[path = "chaos/world.rs"]
mod world;

use std::process::Command;
use std::time::Duration;

use episode::{End, Episode, ends, tally};
use harness::{Chance, Home, Lapwing, Meddler, Receiver, Say, Sets, Wall, loudly, stopped, until};

/// Lives on one data folder.
const LIVES: usize = 40;

#[tokio::test]
async fn kills_at_every_step_and_at_random_lose_no_alert_and_count_nothing_twice() {
    let lives = std::env::var("LAPWING_LIVES").map_or(LIVES, |lives| lives.parse().expect("LAPWING_LIVES is a number"));
    let mut chance = Chance::seeded();
    let bar = indicatif::ProgressBar::new(lives as u64);
    let (mut ended, mut repeats) = (Vec::new(), 0);
    while ended.len() < lives {
        let (seed, count) = (chance.below(u64::MAX), LIVES.min(lives - ended.len()));
        let mut episode = Episode::new(seed, count).await;
        episode.moody();
        for end in ends(&mut chance, count) {
            episode.live(end.clone()).await;
            ended.push(end);
            bar.inc(1);
        }
        let episode = episode.finish(seed, count).await;
        repeats += episode.receiver.arrivals().len() - episode.receiver.messages().len();
    }
    bar.finish();
    loudly(&format!(
        "{} lives ended by SIGKILL, {repeats} messages came again; ends: {:?}",
        ended.len(),
        tally(&ended)
    ));
}

#[tokio::test]
async fn a_service_that_lay_frozen_for_minutes_of_its_clock_tells_the_same_in_order() {
    const FREEZES: usize = 12;
    let seed = Chance::seeded().below(u64::MAX);
    let mut episode = Episode::new(seed, FREEZES).await;
    episode.moody();
    // A sink's timeout is ten seconds, the wait for an HTTP answer thirty.
    let wall = Wall::new(episode.home.path("clock"));
    let mut ahead = 0;
    episode.receiver.take_any_time();
    episode.variables = wall.iter().flat_map(|wall| wall.variables(Sets::Everything)).collect();
    episode.between = Some(Box::new(move |chance, lapwing| {
        lapwing.signal("STOP");
        ahead += 60 + i64::try_from(chance.below(600)).expect("minutes fit");
        if let Some(wall) = &wall {
            wall.set(ahead);
        }
        // What lay in its sockets meanwhile is answered by others while it cannot.
        std::thread::sleep(Duration::from_micros(chance.below(20_000)));
        lapwing.signal("CONT");
    }));
    for life in 0..FREEZES {
        let end = if life % 4 == 3 { End::Anywhere } else { End::Stopped };
        episode.live(end).await;
    }
    episode.finish(seed, FREEZES).await;
}

#[tokio::test]
async fn clocks_set_forward_and_back_an_hour_lose_no_alert_and_hold_none_up() {
    const LIVES: usize = 16;
    let seed = Chance::seeded().below(u64::MAX);
    let mut episode = Episode::new(seed, LIVES).await;
    episode.moody();
    let Some(wall) = Wall::new(episode.home.path("clock")) else { return };
    episode.receiver.take_any_time();
    episode.variables = wall.variables(Sets::Wall);
    episode.between = Some(Box::new(move |chance, _| {
        let hours = [-3_600, 0, 3_600][usize::try_from(chance.below(3)).expect("three hours")];
        wall.set(hours);
    }));
    for life in 0..LIVES {
        episode.live(if life % 2 == 0 { End::Anywhere } else { End::Stopped }).await;
    }
    // The last setting is whichever it was: an hour behind what the store holds, perhaps.
    episode.finish(seed, LIVES).await;
}

#[tokio::test]
async fn a_road_to_the_sink_that_resets_swallows_and_trickles_costs_repeats_and_no_alert() {
    const LIVES: usize = 8;
    let mut chance = Chance::seeded();
    let seed = chance.below(u64::MAX);
    let mut episode = Episode::new(seed, LIVES).await;
    let meddler = Meddler::start(episode.receiver.address(), chance.fork()).await;
    episode.configure(&episode.receiver.sink_at(meddler.address()));
    for life in 0..LIVES {
        episode.live(if life % 2 == 0 { End::Anywhere } else { End::Stopped }).await;
    }
    meddler.behave();
    let episode = episode.finish(seed, LIVES).await;
    let (arrivals, messages) = (episode.receiver.arrivals().len(), episode.receiver.messages().len());
    assert!(arrivals > messages, "no message had to come again: the road did nothing");
    loudly(&format!("{messages} messages arrived {arrivals} times"));
}

/// Compiles `src/fail.rs` as a release and as a test build do, and looks for what arms a point.
#[test]
fn a_release_build_holds_no_fail_point() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let source = folder.path().join("main.rs");
    let text = format!(
        "#[path = {:?}] mod fail;\nfn main() {{ fail::point(fail::Point::Committing); }}",
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/fail.rs")
    );
    std::fs::write(&source, text).expect("the source can be written");
    let holds = |flags: &[&str], name: &str| {
        let binary = folder.path().join(name);
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let compiled = Command::new(rustc)
            .args(["--edition=2024", "-Adead_code"])
            .args(flags)
            .arg("-o")
            .arg(&binary)
            .arg(&source)
            .status();
        assert!(compiled.is_ok_and(|status| status.success()), "src/fail.rs stands alone");
        armed(&binary)
    };
    assert!(holds(&["-Cdebug-assertions=on"], "test"), "the search finds what is there");
    assert!(!holds(&["-Copt-level=3", "-Cdebug-assertions=off"], "release"), "a release can be made to fail");
    // And the real thing, where somebody built it.
    let built = Lapwing::binary().with_file_name("../release/lapwing");
    match built.exists() {
        true => assert!(!armed(&built), "{} can be made to fail", built.display()),
        false => loudly("no release build is here to look into"),
    }
}

fn armed(binary: &std::path::Path) -> bool {
    let bytes = std::fs::read(binary).expect("the binary can be read");
    bytes.windows(12).any(|bytes| bytes == b"LAPWING_FAIL")
}

#[tokio::test]
async fn a_message_that_waits_for_its_next_attempt_is_not_held_up_by_a_clock_set_back_an_hour() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let Some(wall) = Wall::new(home.path("clock")) else { return };
    receiver.take_any_time();
    receiver.say(|number| Say::Now(if number < 2 { 503 } else { 200 }));
    home.configure(&format!(
        "sources:\n  push: {{kind: aws.cloudtrail, http: {{}}}}\nsinks:\n  soc: {}",
        receiver.sink()
    ));
    let mut lapwing = home.spawn_with(&wall.variables(Sets::Wall));
    lapwing.listens().await;
    assert_eq!(lapwing.push("push", stopped("one", "ana")).await.status, 200);
    until("a first attempt", async || (!receiver.arrivals().is_empty()).then_some(())).await;
    // The next attempt is written down for a moment that is now more than an hour ahead.
    until("its verdict on disk", async || {
        let row = lapwing.rows().await.pop()?;
        let alert = lapwing.get(&format!("/api/v1/alerts/{}", row["id"].as_str()?)).await;
        (alert["deliveries"][0]["attempts"] == 1).then_some(())
    })
    .await;
    wall.set(-3_600);
    lapwing.everybody_told(&receiver).await;
}
