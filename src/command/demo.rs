//! `lapwing demo`: the service on a sample day with an attack in it.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use anyhow::Context;
use rust_embed::RustEmbed;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::run::{runtime, stop_on_signal};
use super::{Outcome, say};
use crate::config::Config;
use crate::ledger::name;
use crate::service::Lapwing;
use crate::store::{Query, Reader};

/// Alerts that the summary lists.
const SHOWN: u32 = 50;

#[derive(RustEmbed)]
#[folder = "samples/day/"]
#[include = "*.jsonl.gz"]
struct Day;

/// Plays the day, then serves the console.
///
/// # Errors
/// When the folder cannot be written or the address is in use.
pub(crate) fn run(listen: SocketAddr, once: bool) -> anyhow::Result<Outcome> {
    let folder = private_folder().context("create demo folder")?;
    let ended = runtime()?.block_on(play(folder.path(), listen, once));
    folder.close().context("remove demo folder")?;
    ended
}

/// A folder whose name nobody can foresee and that nobody else may look into, as the temporary folder is shared.
fn private_folder() -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix("lapwing-demo-").permissions(Permissions::from_mode(0o700)).tempdir()
}

async fn play(folder: &std::path::Path, listen: SocketAddr, once: bool) -> anyhow::Result<Outcome> {
    let mut sources = String::new();
    for name in Day::iter() {
        let file = Day::get(&name).context("read sample")?;
        let path = folder.join(name.as_ref());
        std::fs::write(&path, file.data).context("write sample")?;
        let kind = if name.starts_with("github") { "github.audit" } else { "aws.cloudtrail" };
        let short = name.split('.').next().unwrap_or("sample");
        sources += &format!("  {short}: {{kind: {kind}, file: {{path: {:?}, follow: false}}}}\n", path.display());
    }
    let text = format!("data: {:?}\nlisten: \"{listen}\"\nsources:\n{sources}", folder.join("data").display());
    let config = Config::parse("the demo", &text, &|_| None)?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let lapwing = Lapwing::open(config, None, &stop).await?;
    let address = lapwing.address()?;
    say(&format!("playing one day of example-org into Lapwing; console: http://{address}/  (Ctrl-C ends)"));
    let watched = stop.clone();
    let (feeds, reader) = (lapwing.feeds(), lapwing.reader()?);
    let watch = tokio::spawn(async move {
        for feed in &feeds {
            tokio::select! {
                () = feed.finished() => {}
                () = watched.cancelled() => return Ok(()),
            }
        }
        summary(&reader)?;
        say(&format!("look at them: http://{address}/   metrics: http://{address}/metrics"));
        if once {
            watched.cancel();
        }
        anyhow::Ok(())
    });
    lapwing.run(stop).await?;
    watch.await.context("summary task")??;
    Ok(Outcome::Done)
}

/// What the day held, oldest first: the story of the attack.
fn summary(reader: &Reader) -> anyhow::Result<()> {
    let mut rows = reader.alerts(&Query { limit: SHOWN, ..Query::default() })?.rows;
    rows.reverse();
    say(&format!("\n{} alerts:", rows.len()));
    for row in rows {
        let alert = row.alert;
        let moment = alert.time.to_string();
        let who = alert.actor.name.or(alert.actor.id).unwrap_or_default();
        say(&format!("  {}  {:<8}  {}  ({who})", &moment[11..19], name(alert.severity), alert.title));
    }
    say("");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_the_demo_is_for_its_owner_alone() {
        let folders = [private_folder().unwrap(), private_folder().unwrap()];
        assert_ne!(folders[0].path(), folders[1].path());
        for folder in folders {
            assert_eq!(folder.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}
