//! A service as a child, and what the system and the service itself say about it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use lab::load;

/// Linux counts the time of processes in hundredths of a second.
const TICKS: f64 = 100.0;
/// Longest wait for it to listen.
const START: Duration = Duration::from_secs(30);

/// Killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Daemon {
    /// Starts it and waits until a line of its log holds an address after `marker`.
    pub(crate) fn start(command: &mut Command, marker: &'static str) -> anyhow::Result<Self> {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().context("start the service")?;
        let log = BufReader::new(child.stderr.take().context("read its log")?);
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            let mut said = String::new();
            for line in log.lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line, marker) {
                    if found.send(Ok(address)).is_err() {
                        return;
                    }
                } else if line.contains("WARN") || line.contains("ERROR") {
                    // Shown: a run that warns is no clean run.
                    drop(writeln!(std::io::stderr(), "{line}"));
                }
                said += &line;
                said.push('\n');
                said.truncate(1 << 16);
            }
            drop(found.send(Err(said)));
        });
        let mut service = Self { child, address: ([127, 0, 0, 1], 0).into() };
        let address = address.recv_timeout(START).context("wait until it listens")?;
        service.address = address.map_err(|said| anyhow::anyhow!("it did not start:\n{said}"))?;
        Ok(service)
    }

    pub(crate) fn lives(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait().context("look after the service")?;
        ended.map_or(Ok(()), |status| anyhow::bail!("the service ended: {status}"))
    }

    /// The sum over all series of a metric.
    pub(crate) fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = load::get(self.address, "/metrics")?;
        let values = text.lines().filter_map(|line| {
            let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            (labels.is_empty() || labels.starts_with('{')).then(|| value.parse::<f64>().ok())?
        });
        Ok(values.sum())
    }

    /// Processor time so far, in user and system mode.
    pub(crate) fn seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = stat.rsplit_once(')').context("read its time")?;
        // The state is field 3, the times are 14 and 15.
        let times: Vec<f64> = rest.split_whitespace().skip(11).take(2).filter_map(|time| time.parse().ok()).collect();
        ensure!(times.len() == 2, "no times in {stat}");
        Ok(times.iter().sum::<f64>() / TICKS)
    }

    /// The most memory that it ever held.
    pub(crate) fn peak_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("find its peak memory")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("read its peak memory")?;
        Ok(kibibytes << 10)
    }
}

fn address_in(line: &str, marker: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once(marker)?;
    let end = after.find(|letter: char| !(letter.is_ascii_digit() || letter == '.' || letter == ':'));
    after[..end.unwrap_or(after.len())].parse().ok()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
