//! A service as a child, and what the system and the service itself say about it.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::load;

/// Linux counts the time of processes in hundredths of a second.
const TICKS: f64 = 100.0;
/// Longest wait for it to listen.
const START: Duration = Duration::from_secs(120);
/// Lines of its log that are shown if it does not start.
const LINES_SHOWN: usize = 100;

/// A service that listens. Killed when dropped: it must bear that anyway.
#[derive(Debug)]
pub struct Child {
    process: Process,
    address: SocketAddr,
}

/// Killed when dropped, also while it starts.
#[derive(Debug)]
struct Process(std::process::Child);

impl Child {
    /// Starts it and waits until a line of its log holds an address after `marker`. From then on warnings and errors in its
    /// log are shown on stderr: a run that warns is no clean run.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it listens: then with what it said.
    pub fn start(command: &mut Command, marker: &'static str) -> io::Result<Self> {
        let mut process = Process(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?);
        let log = process.0.stderr.take().ok_or_else(|| io::Error::other("its log is not there"))?;
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            let (mut said, mut waits) = (Vec::new(), true);
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if waits && let Some(address) = address_in(&line, marker) {
                    // Whoever asked may have stopped waiting; the log is read to its end all the same.
                    drop(found.send(Ok(address)));
                    waits = false;
                } else if ["WARN", "ERROR"].iter().any(|word| line.contains(word)) {
                    drop(writeln!(io::stderr(), "{line}"));
                }
                if waits && said.len() < LINES_SHOWN {
                    said.push(line);
                }
            }
            if waits {
                drop(found.send(Err(said.join("\n"))));
            }
        });
        match address.recv_timeout(START) {
            Ok(Ok(address)) => Ok(Self { process, address }),
            Ok(Err(said)) => Err(io::Error::other(format!("the service did not start:\n{said}"))),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the service does not say where it listens")),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number among the processes of this machine.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When it has ended.
    pub fn lives(&mut self) -> io::Result<()> {
        let ended = self.process.0.try_wait()?;
        ended.map_or(Ok(()), |status| Err(io::Error::other(format!("the service ended: {status}"))))
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end with success.
    pub fn stop(mut self) -> io::Result<()> {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status()?;
        let ended = self.process.0.wait()?;
        if sent.success() && ended.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("SIGTERM: {sent}; the service ended: {ended}")))
    }

    /// The sum over all series of a metric, as it says itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metric(&self, name: &str) -> io::Result<f64> {
        Ok(sum(&load::get(self.address, "/metrics")?, name))
    }

    /// Processor time so far, in user and system mode.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn seconds(&self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        let (_, ticks) = name_and_ticks(&stat).ok_or_else(|| io::Error::other(format!("no times in {stat}")))?;
        Ok(ticks / TICKS)
    }

    /// Processor time in seconds by name of thread, numbers at the end of a name left out.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn threads(&self) -> io::Result<std::collections::BTreeMap<String, f64>> {
        let mut threads = std::collections::BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            // A thread may end between being listed and being read.
            let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
            let (name, ticks) = name_and_ticks(&stat).ok_or_else(|| io::Error::other(format!("no times in {stat}")))?;
            let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
            *threads.entry(name.to_owned()).or_default() += ticks / TICKS;
        }
        let ended = self.seconds()? - threads.values().sum::<f64>();
        threads.insert("threads that have ended".to_owned(), ended.max(0.0));
        Ok(threads)
    }

    /// The most memory that it ever held.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn peak_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        kibibytes.map(|kibibytes| kibibytes << 10).ok_or_else(|| io::Error::other("no peak memory in /proc"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The sum over all series of a metric in the text of `/metrics`.
fn sum(text: &str, name: &str) -> f64 {
    series(text, name).map(|(_, value)| value).sum()
}

/// Labels and value of each series of this name in the text of `/metrics`.
pub fn series<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = (&'t str, f64)> {
    text.lines().filter_map(move |line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then_some((labels, value.parse().ok()?))
    })
}

fn address_in(line: &str, marker: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once(marker)?;
    let end = after.find(|letter: char| !(letter.is_ascii_digit() || letter == '.' || letter == ':'));
    after[..end.unwrap_or(after.len())].parse().ok()
}

/// Name, and time in user and system mode, of a line of `/proc/…/stat`.
fn name_and_ticks(stat: &str) -> Option<(&str, f64)> {
    let (begin, rest) = stat.rsplit_once(')')?;
    let (_, name) = begin.split_once('(')?;
    // The state is field 3, the times are 14 and 15.
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((name, user + system))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_service_says_where_it_listens_and_stops_in_order() {
        let mut child = Child::start(
            &mut shell("trap 'exit 0' TERM; echo at=127.0.0.1:7 >&2; while :; do sleep 0.01; done"),
            "at=",
        )
        .unwrap();
        assert_eq!(child.address(), "127.0.0.1:7".parse().unwrap());
        child.lives().unwrap();
        assert!(child.peak_bytes().unwrap() > 0 && child.seconds().unwrap() >= 0.0);
        child.stop().unwrap();
    }

    #[test]
    fn one_that_ends_before_it_listens_is_quoted() {
        let error = Child::start(&mut shell("echo no room >&2; exit 1"), "at=").unwrap_err();
        assert!(error.to_string().ends_with("did not start:\nno room"), "{error}");
    }

    #[test]
    fn series_of_a_longer_name_are_others() {
        let text = "rows 1\nrows{sink=\"a\"} 2\nrows_dead 4\n";
        assert_eq!(sum(text, "rows"), 3.0);
    }
}
