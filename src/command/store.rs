//! `lapwing store`: verify, backup, restore, migrate. What was done is said in words on stderr; what `verify` found is its
//! output.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, print, say};
use crate::args::{Place, Upkeep};
use crate::config::Config;
use crate::store::{self, Contents, Migrated, UNREADABLE};
use connect::clock::Clock;

/// Does what is asked with the data folder.
///
/// # Errors
/// When it cannot be done; the folder is as it was then, or the message says what is different.
pub(crate) fn run(what: Upkeep) -> anyhow::Result<Outcome> {
    let bar = bar();
    let mut progress = |words: &'static str, done: u64, all: u64| show(&bar, words, done, all);
    let outcome = match what {
        Upkeep::Verify { place } => {
            let contents = store::verify(&folder(&place)?, &mut progress)?;
            bar.finish_and_clear();
            judged(&contents)?
        }
        Upkeep::Backup { target, place } => {
            let copied = store::backup(&folder(&place)?, &target, &mut progress)?;
            bar.finish_and_clear();
            if copied.left > 0 {
                say(&format!("{} archived events left by retention meanwhile and are not in it", copied.left));
            }
            if copied.contents.windows_unreadable {
                say(&format!("in it, as in the original: {UNREADABLE}"));
            }
            say(&format!("backup: {}: {}", target.display(), numbers(&copied.contents)));
            Outcome::Done
        }
        Upkeep::Restore { from, replace, place } => {
            let folder = folder(&place)?;
            let (copied, aside) = store::restore(&from, &folder, replace, &stamp(), &mut progress)?;
            bar.finish_and_clear();
            if let Some(aside) = aside {
                say(&format!("what was there is in {} now: remove it once you are sure", aside.display()));
            }
            say(&format!("restored: {}: {}", folder.display(), numbers(&copied.contents)));
            read_again(&copied.contents);
            Outcome::Done
        }
        Upkeep::Migrate { forget_windows, place } => {
            let folder = folder(&place)?;
            let migrated = store::migrate(&folder, forget_windows, &stamp(), &mut progress)?;
            bar.finish_and_clear();
            told(&migrated);
            Outcome::Done
        }
    };
    Ok(outcome)
}

/// The data folder that the arguments name.
///
/// # Errors
/// When the configuration cannot be read that would say it.
pub(super) fn folder(place: &Place) -> anyhow::Result<PathBuf> {
    match &place.data {
        Some(folder) => Ok(folder.clone()),
        None => Ok(Config::read(&place.config).context("find the data folder (`--data` names it directly)")?.data),
    }
}

fn judged(contents: &Contents) -> anyhow::Result<Outcome> {
    let (schema, known) = contents.schema;
    if contents.faults.is_empty() && schema == 0 {
        print("wrong: nothing was ever written into this store, or its log lapwing.db-wal was lost\n")?;
        say("if there should be something, bring back a backup: `lapwing store restore --replace FROM`");
        return Ok(Outcome::Found);
    }
    if contents.faults.is_empty() && schema < known {
        return print(&format!(
            "every page is sound, and schema {schema} is older than {known}: what it holds is checked after \
             `lapwing store migrate`, or the next start, has brought it up to date\n"
        ));
    }
    if contents.faults.is_empty() {
        return print(&format!("OK: {}\n", numbers(contents)));
    }
    // A line a fault, whatever SQLite says of one in several.
    let line = |fault: &String| format!("wrong: {}\n", fault.replace('\n', " "));
    let mut found: String = contents.faults.iter().map(line).collect();
    if contents.more > 0 {
        found += &format!("and {} more\n", contents.more);
    }
    print(&found)?;
    if contents.windows_unreadable {
        say(UNREADABLE);
    }
    if contents.unsound().is_some() && schema <= known {
        say("stop the service and bring back a backup: `lapwing store restore --replace FROM`");
    }
    Ok(Outcome::Found)
}

fn numbers(contents: &Contents) -> String {
    let (schema, known) = contents.schema;
    let mib = contents.bytes as f64 / f64::from(1 << 20);
    // Nothing was counted then, and zeros would say that nothing is there.
    if schema < known {
        return format!("store {mib:.1} MiB of the older schema {schema}; every page is sound, more was not looked at");
    }
    let messages = |state: &str| contents.messages.get(state).copied().unwrap_or_default();
    let keys = contents.keys.map_or_else(|| "no snapshot".to_owned(), |keys| format!("{keys} keys"));
    let (events, bytes) = contents.archived;
    format!(
        "{} alerts, {} messages queued, {} delivered, {} given up, {} changes to be routed, {} ids, windows: {keys} and \
         {} journal entries, {events} archived events in {:.1} MiB, store {:.1} MiB, schema {}",
        contents.alerts,
        messages("queued"),
        messages("delivered"),
        messages("dead"),
        contents.revisions,
        contents.seen,
        contents.journal,
        bytes as f64 / f64::from(1 << 20),
        mib,
        schema,
    )
}

/// What a start on the restored folder does, so that nobody is surprised.
fn read_again(contents: &Contents) {
    for (source, partition, position) in &contents.positions {
        say(&format!("  source {source} is read on from {position} of {partition}"));
    }
    say(
        "what came after that is read again: nothing of it is lost, and its messages are sent again under the same ids. \
         A Kafka group goes on where it is, if that is further. What was pushed by HTTP since the backup must be pushed again",
    );
}

fn told(migrated: &Migrated) {
    let (before, now) = migrated.schema;
    if before == now {
        say(&format!("schema {now} is up to date"));
    } else {
        say(&format!("schema {before} is schema {now} now"));
    }
    if migrated.gives_pages_back {
        say("the file was rewritten: it shrinks from now on when old alerts leave");
    }
    if let Some(forgotten) = &migrated.forgotten {
        let keys = forgotten.keys.map_or_else(|| "an unknown number of".to_owned(), |keys| keys.to_string());
        say(&format!(
            "forgotten: {keys} keys in a snapshot of {} bytes, and {} journal entries; windows count from zero. The \
             store as it was is in {}: remove it once you are sure",
            forgotten.snapshot_bytes,
            forgotten.journal,
            forgotten.backup.display()
        ));
    }
    say(&format!("OK: {}", numbers(&migrated.contents)));
}

/// The present, as a part of a file's name.
fn stamp() -> String {
    let now = chrono::DateTime::from_timestamp_micros(Clock::Wall.now().micros()).unwrap_or_default();
    now.format("%Y%m%dT%H%M%SZ").to_string()
}

fn bar() -> ProgressBar {
    if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() }
}

fn show(bar: &ProgressBar, words: &'static str, done: u64, all: u64) {
    let template = if all == 0 { "{spinner} {msg} {elapsed}" } else { "{msg} {wide_bar} {bytes}/{total_bytes} {eta}" };
    if bar.message() != words {
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(words);
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
    }
    bar.set_length(all);
    bar.set_position(done);
}
