//! Messages of syslog and lines of JSON, over TCP, TLS, UDP and sockets of this machine.
//!
//! Syslog acknowledges nothing: a sender counts a message as delivered once it has written it. So what was received and is
//! not committed is lost in a crash, and the documents say so. All else is as with any source: while the pipeline is behind,
//! nothing is read, and TCP makes senders wait; a stop hands on what was received first; every limit is told.

mod datagram;
mod frame;
mod listen;
mod message;
mod probe;
mod road;
mod seat;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod zone;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::vec;

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::probe::probe;
use self::road::Heard;
pub use self::tls::Tls;
pub use self::zone::Zone;
use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Gap, Mark, Next, Record, Source, SourceError};
use crate::clock::Clock;

/// The one partition of this source; its position names a run and a batch.
const PARTITION: &str = "syslog";

/// Above it a message in its envelope would be above what one record may have.
const MESSAGE_BYTES_MOST: usize = 960 << 10;

/// A limit below this refuses what every sender sends: RFC 5424 asks receivers for as much.
const MESSAGE_BYTES_LEAST: usize = 2_048;

/// `syslog`: RFC 5424, RFC 3164 and lines of JSON. At least one of `tcp`, `udp`, `unix` and `unix_datagram`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address to listen on by TCP, such as `127.0.0.1:6514`. Beyond loopback it needs `tls` with `client_ca`.
    #[serde(default)]
    pub tcp: Option<SocketAddr>,
    /// Certificate of that address; without it anyone on the way can read and write.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Address to listen on by UDP, such as `127.0.0.1:514`. What comes faster than it is read is dropped by the system,
    /// which becomes an alert.
    #[serde(default)]
    pub udp: Option<SocketAddr>,
    /// Path of a stream socket, for programs of this machine such as Vault.
    #[serde(default)]
    pub unix: Option<PathBuf>,
    /// Path of a datagram socket, as `/dev/log` is one.
    #[serde(default)]
    pub unix_datagram: Option<PathBuf>,
    /// Who may write to these sockets, in octal digits as `chmod` takes them.
    #[serde(default = "unix_mode")]
    pub unix_mode: String,
    /// Zone of times that name none, as those of RFC 3164: `utc`, `local`, or such as `"+02:00"`. Default `utc`.
    #[serde(default)]
    pub zone: Zone,
    /// Longest message in bytes, 2048 to 983040. A longer one is refused alone, with its head kept.
    #[serde(default = "message_bytes_max")]
    pub message_bytes_max: usize,
    /// Connections at a time. When all are taken, the one that has been silent for longest, and for a minute at least,
    /// leaves for a new one; until then the new one waits.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// A connection that brought no message for as long is closed.
    #[serde(with = "humantime_serde", default = "idle")]
    pub idle: Duration,
    /// Listen beyond loopback without asking senders for certificates: anyone who can connect may push events, and UDP
    /// lets them say that they are somebody else.
    #[serde(default)]
    pub listen_without_certificates: bool,
}

fn unix_mode() -> String {
    "660".to_owned()
}

fn message_bytes_max() -> usize {
    256 << 10
}

fn connections_max() -> usize {
    256
}

fn idle() -> Duration {
    Duration::from_secs(86_400)
}

impl Settings {
    /// What cannot be meant, and how to mend it.
    #[must_use]
    pub fn nonsense(&self) -> Option<String> {
        let Self { tcp, tls, udp, unix, unix_datagram, .. } = self;
        if tcp.is_none() && udp.is_none() && unix.is_none() && unix_datagram.is_none() {
            return Some("give at least one of `tcp`, `udp`, `unix` and `unix_datagram` to listen on".to_owned());
        }
        if tls.is_some() && tcp.is_none() {
            return Some("tls: give `tcp` too, as only that speaks TLS".to_owned());
        }
        if unix.is_some() && unix == unix_datagram {
            return Some("unix and unix_datagram: one path cannot be both".to_owned());
        }
        if self.mode().is_none() {
            return Some(format!("unix_mode: {:?} is not such as \"660\", three octal digits", self.unix_mode));
        }
        if !(MESSAGE_BYTES_LEAST..=MESSAGE_BYTES_MOST).contains(&self.message_bytes_max) {
            return Some(format!("message_bytes_max: give {MESSAGE_BYTES_LEAST} to {MESSAGE_BYTES_MOST}"));
        }
        if self.connections_max == 0 || self.idle.is_zero() {
            return Some("connections_max and idle: give more than zero, or nobody is heard".to_owned());
        }
        self.open_to_all()
    }

    /// What anybody could do who can connect.
    fn open_to_all(&self) -> Option<String> {
        if self.listen_without_certificates {
            return None;
        }
        let beyond = |address: &Option<SocketAddr>| address.filter(|address| !address.ip().is_loopback());
        let meant = "or `listen_without_certificates: true` if a network keeps others out";
        if let Some(address) = beyond(&self.udp) {
            return Some(format!(
                "udp: {address} can be reached from outside, and UDP knows no senders: use `tcp`, {meant}"
            ));
        }
        let asks = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let address = beyond(&self.tcp).filter(|_| !asks)?;
        Some(format!("tcp: {address} can be reached from outside: set `tls` with `client_ca`, {meant}"))
    }

    fn mode(&self) -> Option<u32> {
        u32::from_str_radix(&self.unix_mode, 8).ok().filter(|mode| *mode <= 0o777 && self.unix_mode.len() >= 3)
    }
}

/// The source: everything that senders write, as it comes.
#[derive(Debug)]
pub struct Syslog {
    name: String,
    start: String,
    settings: Settings,
    clock: Clock,
    /// What is heard, once it listens.
    heard: Option<mpsc::Receiver<Heard>>,
    /// Addresses of TCP and UDP, once it listens.
    addresses: Vec<SocketAddr>,
    /// The tasks that listen; they end with this.
    tasks: JoinSet<()>,
    stop: CancellationToken,
    /// Messages that came together, each lot with its share of the memory for all.
    waiting: VecDeque<(vec::IntoIter<Record>, OwnedSemaphorePermit)>,
    gaps: Vec<Gap>,
    failure: Option<SourceError>,
    /// Of the last batch.
    sequence: u64,
}

impl Syslog {
    /// The source `name`; it listens from the first [`Source::next`] on. `start` names this run of the process, so that no
    /// position is used twice.
    #[must_use]
    pub fn new(name: &str, settings: &Settings, start: &str, clock: Clock) -> Self {
        Self {
            name: name.to_owned(),
            start: start.to_owned(),
            settings: settings.clone(),
            clock,
            heard: None,
            addresses: Vec::new(),
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
            waiting: VecDeque::new(),
            gaps: Vec::new(),
            failure: None,
            sequence: 0,
        }
    }

    /// Where it listens by TCP and by UDP, once it does: of a port 0 the system has chosen another.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes in what one sender brought.
    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Messages(records, permit) => self.waiting.push_back((records.into_iter(), permit)),
            Heard::Dropped(gap) => self.gaps.push(gap),
            Heard::Failed(error) => self.failure = Some(error),
        }
    }

    /// As much as fits into one batch of what was heard and of what else is there without a wait.
    fn batch(&mut self) -> Result<Option<Batch>, SourceError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
            let Some((lot, _)) = self.waiting.front_mut() else {
                // A failure is told after what came before it.
                match self.heard.as_mut().filter(|_| self.failure.is_none()).and_then(|heard| heard.try_recv().ok()) {
                    Some(next) => self.take(next),
                    None => break,
                }
                continue;
            };
            match lot.next() {
                Some(record) => {
                    bytes += record.body.len();
                    records.push(record);
                }
                None => drop(self.waiting.pop_front()),
            }
        }
        if records.is_empty() && self.gaps.is_empty() {
            return self.failure.take().map_or(Ok(None), Err);
        }
        self.sequence += 1;
        let mark = Mark([(PARTITION.to_owned(), format!("{}.{}", self.start, self.sequence))].into());
        Ok(Some(Batch { records, mark, gaps: std::mem::take(&mut self.gaps), ..Batch::default() }))
    }

    /// All tasks have ended though nobody asked them to: one of them has a fault of ours.
    async fn ended(&mut self) -> Next {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        Next::Exhausted
    }
}

impl Source for Syslog {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(batch) = self.batch()? {
                return Ok(Next::Batch(batch));
            }
            let Some(heard) = &mut self.heard else {
                self.listen()?;
                continue;
            };
            // The only wait, and before anything is taken: dropping it loses nothing.
            match heard.recv().await {
                Some(next) => self.take(next),
                None => return Ok(self.ended().await),
            }
        }
    }

    /// Nobody can be told, and nobody sends again.
    async fn commit(&mut self, _mark: Mark) -> Result<(), SourceError> {
        Ok(())
    }

    fn stop(&mut self) -> bool {
        self.stop.cancel();
        self.heard.is_some()
    }
}
