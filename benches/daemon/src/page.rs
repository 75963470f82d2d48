//! The figures as a page.

use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use lab::histogram::Histogram;
use lab::table;

use crate::run::Figures;
use crate::{BATCH, CONNECTIONS, Corpus, Programs, ROUNDS};

/// One corpus.
pub(crate) struct Row {
    pub(crate) corpus: Corpus,
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    pub(crate) ours: Vec<Figures>,
    pub(crate) theirs: Vec<Figures>,
    /// Ours at half of its best rate.
    pub(crate) eased: Figures,
}

/// The whole page.
pub(crate) fn page(rows: &[Row], programs: &Programs) -> anyhow::Result<String> {
    let mut page = format!(
        "# Beside rsigma's daemon\n\nWritten by the last whole run of `make bench-daemon`: figures of one machine on one day. The ratios\n\
         matter, the rest moves from machine to machine. A run fails if the alerts are not exactly those of\n\
         `lapwing replay` on the same bytes, or if rsigma finds other pairs of event and rule than `lapwing match`.\n\n\
         Both services read the same bytes in the same run, in turn, {ROUNDS} times, with the same rules: SigmaHQ's for clouds,\n\
         identity providers and applications. Client, service and receiver share the machine.\n\n\
         - ours: an empty store on disk, a webhook as sink; an event counts when its request was answered with 200, which\n\
         \x20 is after everything that follows from it is on disk\n\
         - rsigma: `--input http --batch-size {BATCH}`, a file as sink (its webhooks drop what their queue does not hold); an\n\
         \x20 event counts when the daemon's own counter has it, as its answer says only that the event is in a queue; nothing is\n\
         \x20 made durable\n\
         - load: `POST` of {BATCH} records, {CONNECTIONS} connections, the next when one is answered; then ours again at half of its best\n\
         \x20 rate, where delay counts from the moment at which a request was due\n\
         - peer: {}\n- machine: {}\n- commit: {}\n",
        version(programs),
        table::machine(),
        table::commit(),
    );
    for row in rows {
        let mean = row.bytes as f64 / row.events as f64;
        writeln!(
            page,
            "- `{}`: {} CloudTrail records of {mean:.0} bytes on average, {}",
            row.corpus.name(),
            row.events,
            row.corpus.says()
        )?;
    }
    page += "- command: `make bench-daemon`\n\n\
             | corpus | service | events/s | from … to | ours is | per CPU second | ours is | peak, MB | found | `POST` p50, p99 |\n\
             |---|---|---|---|---|---|---|---|---|---|\n";
    for row in rows {
        line(&mut page, row, "lapwing", &row.ours)?;
        if !row.theirs.is_empty() {
            line(&mut page, row, "rsigma", &row.theirs)?;
        }
    }
    page += "\n*Found*: alerts of ours, pairs of event and rule of rsigma.\n\n\
             | at half of that | number | p50 | p90 | p99 | most |\n|---|---|---|---|---|---|\n";
    for row in rows {
        let name = row.corpus.name();
        quantiles(&mut page, &format!("{name}: `POST`"), &row.eased.posts)?;
        quantiles(&mut page, &format!("{name}: event due to alert delivered"), &row.eased.delays)?;
    }
    page.push('\n');
    for row in rows {
        let delivered: Vec<f64> =
            row.ours.iter().filter_map(|run| Some(run.delivered?.as_secs_f64() - run.took.as_secs_f64())).collect();
        let commits = median(&row.ours, |run| run.commits);
        writeln!(
            page,
            "- `{}`: {:.0} events/s at half; {commits:.0} commits at full load, after which the last alert was delivered within {:.1} s; \
             {} answers asked to wait",
            row.corpus.name(),
            row.eased.rate(),
            delivered.iter().copied().fold(0.0, f64::max),
            row.ours.iter().map(|run| run.refused).sum::<usize>(),
        )?;
    }
    Ok(page)
}

fn line(page: &mut String, row: &Row, name: &str, runs: &[Figures]) -> anyhow::Result<()> {
    let ours = name == "lapwing";
    let ratio = |of: fn(&Figures) -> f64| match ours {
        true => String::new(),
        false => format!("**{:.1} ×**", median(&row.ours, of) / median(&row.theirs, of)),
    };
    let rates: Vec<f64> = runs.iter().map(Figures::rate).collect();
    let mut posts: Vec<&Histogram> = runs.iter().map(|run| &run.posts).collect();
    posts.sort_by_key(|posts| posts.quantile(0.99));
    let posts = posts[posts.len() / 2];
    writeln!(
        page,
        "| {} | {name} | {:.0} k | {:.0} k … {:.0} k | {} | {:.0} k | {} | {:.0} | {} | {}, {} |",
        row.corpus.name(),
        median(runs, Figures::rate) / 1e3,
        rates.iter().copied().fold(f64::MAX, f64::min) / 1e3,
        rates.iter().copied().fold(0.0, f64::max) / 1e3,
        ratio(Figures::rate),
        median(runs, Figures::per_processor_second) / 1e3,
        ratio(Figures::per_processor_second),
        median(runs, |run| run.peak_bytes as f64) / 1e6,
        runs[0].found,
        milliseconds(posts.quantile(0.5)),
        milliseconds(posts.quantile(0.99)),
    )?;
    Ok(())
}

fn quantiles(page: &mut String, name: &str, times: &Histogram) -> anyhow::Result<()> {
    let [half, most, nearly] = [0.5, 0.9, 0.99].map(|share| milliseconds(times.quantile(share)));
    let longest = milliseconds(times.longest());
    writeln!(page, "| {name} | {} | {half} | {most} | {nearly} | {longest} |", times.count())?;
    Ok(())
}

fn median(runs: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn version(programs: &Programs) -> String {
    let output = Command::new(&programs.rsigma).arg("--version").output();
    let told = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    told.lines().next().unwrap_or("absent").to_owned()
}
