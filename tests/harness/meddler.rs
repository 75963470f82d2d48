//! A broken box between the service and a receiver: it passes requests on, and does with the answers as it likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Chance;

/// Between two pieces of an answer that comes slowly.
const SLOW: Duration = Duration::from_millis(5);

/// What becomes of one request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The answer comes back as it is.
    Pass,
    /// The answer comes back, and the connection is reset.
    AnswerThenReset,
    /// The receiver has it; the connection is reset before it says so.
    Reset,
    /// The receiver never hears of it.
    Swallow,
    /// The answer comes back, a few bytes at a time.
    Trickle,
}

/// A running one.
pub(crate) struct Meddler {
    address: SocketAddr,
    behaves: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

impl Meddler {
    /// Listens on a free port and passes on to `receiver`.
    pub(crate) async fn start(receiver: SocketAddr, mut chance: Chance) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the meddler can listen");
        let address = listener.local_addr().expect("a listener has an address");
        let behaves = Arc::new(AtomicBool::new(false));
        let good = behaves.clone();
        let server = tokio::spawn(async move {
            while let Ok((sender, _)) = listener.accept().await {
                let (chance, good) = (chance.fork(), good.clone());
                // A connection that breaks is what this is for.
                tokio::spawn(async move { drop(meddle(sender, receiver, chance, &good).await) });
            }
        });
        Self { address, behaves, server }
    }

    /// From now on it passes everything.
    pub(crate) fn behave(&self) {
        self.behaves.store(true, Ordering::SeqCst);
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn meddle(
    mut sender: TcpStream,
    receiver: SocketAddr,
    mut chance: Chance,
    behaves: &AtomicBool,
) -> std::io::Result<()> {
    loop {
        let request = message(&mut sender).await?;
        let fate = match chance.below(10) {
            _ if behaves.load(Ordering::SeqCst) => Fate::Pass,
            0 | 1 => Fate::AnswerThenReset,
            2 | 3 => Fate::Reset,
            4 => Fate::Swallow,
            5 => Fate::Trickle,
            _ => Fate::Pass,
        };
        if let Fate::Swallow = fate {
            return sender.set_zero_linger();
        }
        let mut onward = TcpStream::connect(receiver).await?;
        onward.write_all(&request).await?;
        let answer = message(&mut onward).await?;
        match fate {
            Fate::Pass => sender.write_all(&answer).await?,
            Fate::Trickle => {
                for piece in answer.chunks(answer.len().div_ceil(8)) {
                    sender.write_all(piece).await?;
                    tokio::time::sleep(SLOW).await;
                }
            }
            Fate::AnswerThenReset => {
                sender.write_all(&answer).await?;
                return sender.set_zero_linger();
            }
            Fate::Reset | Fate::Swallow => return sender.set_zero_linger(),
        }
    }
}

/// One message with a `content-length`, head and body as they came.
async fn message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if bytes.len() >= end + 4 + length.unwrap_or(0) {
            return Ok(bytes);
        }
    }
}
