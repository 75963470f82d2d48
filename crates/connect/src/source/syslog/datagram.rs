//! Sockets on which every message is a datagram.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{UdpSocket, UnixDatagram};

use super::listen::Path;
use super::road::{Closed, Heard, Last, Road, Sender};
use crate::source::lines::within;
use crate::source::{BATCH_RECORDS_MAX, Gap, Record};

/// The longest datagram.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;

/// Bytes handed on together, above which no further datagram is added.
const LOT_BYTES: usize = 64 << 10;

/// Between two looks at what the system has dropped.
const LOOK: Duration = Duration::from_secs(10);

/// The same after some was: each time is an alert.
const LOOK_AFTER_LOSS: Duration = Duration::from_secs(60);

/// A socket of either sort.
#[derive(Debug)]
pub(super) enum Datagrams {
    Udp(UdpSocket),
    Unix {
        socket: UnixDatagram,
        /// The file lasts as long as the socket.
        _path: Path,
    },
}

impl Datagrams {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.readable().await,
            Self::Unix { socket, .. } => socket.readable().await,
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<IpAddr>)> {
        match self {
            Self::Udp(socket) => socket.try_recv_from(buffer).map(|(length, peer)| (length, Some(peer.ip()))),
            Self::Unix { socket, .. } => socket.try_recv(buffer).map(|length| (length, None)),
        }
    }
}

/// Reads until the source ends, and then what the system has received already.
pub(super) async fn read(socket: Datagrams, road: Road) {
    let mut sender = road.sender();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut drops = Drops::of(&socket);
    loop {
        tokio::select! {
            biased;
            () = road.stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
            ready = socket.readable() => {
                if let Err(error) = ready {
                    tracing::warn!(source = %road.source, %error, "a socket cannot be read");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
        let read = read_lot(&socket, &mut buffer, &mut sender, &road).await;
        let gap = if Instant::now() >= drops.due { drops.look(&road.start) } else { None };
        let told = match gap {
            Some(gap) if read.is_ok() => road.tell(Heard::Dropped(gap)).await,
            Some(_) | None => read,
        };
        if told.is_err() {
            return;
        }
    }
    let last = Last::now();
    while last.soon(socket.readable()).await.is_some() {
        if read_lot(&socket, &mut buffer, &mut sender, &road).await.is_err() {
            return;
        }
    }
    if let Some(gap) = drops.look(&road.start)
        && road.tell(Heard::Dropped(gap)).await.is_err()
    {
        tracing::debug!(source = %road.source, "nobody hears of what was dropped last");
    }
}

/// What is here, as much as is handed on together: a sender that never pauses must not keep its caller from all else.
async fn read_lot(socket: &Datagrams, buffer: &mut [u8], sender: &mut Sender, road: &Road) -> Result<(), Closed> {
    let (mut records, mut bytes) = (Vec::<Record>::new(), 0);
    while records.len() < BATCH_RECORDS_MAX && bytes < LOT_BYTES {
        // Nothing more, or a message of the system about what was sent before.
        let Ok((length, peer)) = socket.receive(buffer) else { break };
        bytes += length;
        let body = within(buffer[..length].trim_ascii_end(), road.bytes_max);
        records.extend(road.record(sender, body, peer));
    }
    road.hand(records).await
}

/// What the system has dropped of a socket's datagrams because nobody read them in time.
#[derive(Debug)]
struct Drops {
    address: Option<SocketAddr>,
    known: u64,
    due: Instant,
}

impl Drops {
    fn of(socket: &Datagrams) -> Self {
        let address = match socket {
            Datagrams::Udp(socket) => socket.local_addr().ok(),
            // Who writes to one of these waits while it is full.
            Datagrams::Unix { .. } => None,
        };
        // The socket is ours from its beginning.
        Self { address, known: 0, due: Instant::now() }
    }

    /// What was dropped since the last look.
    fn look(&mut self, start: &str) -> Option<Gap> {
        self.due = Instant::now() + LOOK;
        let address = self.address?;
        let counted = counted(address)?;
        let dropped = counted.checked_sub(self.known).filter(|dropped| *dropped > 0)?;
        (self.known, self.due) = (counted, Instant::now() + LOOK_AFTER_LOSS);
        Some(Gap {
            id: format!("udp {address} {start}.{counted}"),
            what: format!(
                "the system dropped {dropped} datagrams to {address}, because they came faster than they were read; use \
                 TCP, which makes senders wait, or raise net.core.rmem_default"
            ),
        })
    }
}

/// How many of its datagrams the system has dropped since the socket was opened, if it says so.
fn counted(address: SocketAddr) -> Option<u64> {
    let table = if address.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    in_table(&std::fs::read_to_string(table).ok()?, address)
}

fn in_table(table: &str, address: SocketAddr) -> Option<u64> {
    // Each word of an address in the order of the machine's own bytes.
    let words: Vec<u8> = match address.ip() {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    };
    let hex = |word: &[u8]| format!("{:08X}", u32::from_ne_bytes(word.try_into().unwrap_or_default()));
    let wanted = format!("{}:{:04X}", words.chunks(4).map(hex).collect::<String>(), address.port());
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&wanted))?;
    line.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_systems_table_says_what_was_dropped() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            \x20 317: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 5001 2 0000000000000000 0\n\
            \x20 318: 00000000:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 5002 2 0000000000000000 42\n";
        assert_eq!(in_table(table, "0.0.0.0:514".parse().unwrap()), Some(42));
        assert_eq!(in_table(table, "127.0.0.1:514".parse().unwrap()), Some(0));
        assert_eq!(in_table(table, "127.0.0.1:515".parse().unwrap()), None);
        let six = "   1: 00000000000000000000000001000000:0202 0:0 07 0:0 0:0 0 0 0 5003 2 0 7\n";
        assert_eq!(in_table(six, "[::1]:514".parse().unwrap()), Some(7));
    }
}
