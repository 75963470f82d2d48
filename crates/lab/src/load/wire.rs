//! As much of HTTP/1.1 as a client of our own needs: one request at a time over a connection that stays.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Longest wait for more of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that stays open from request to request.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What was read and belongs to the current answer.
    buffer: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The bytes of a `POST`, ready to be sent. `headers` are whole lines without their ends.
#[must_use]
pub fn post(path: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        head += header;
        head += "\r\n";
    }
    head += "\r\n";
    [head.as_bytes(), body].concat()
}

/// What is at `path`, over a connection of its own.
///
/// # Errors
/// When nobody answers, or not with 200.
pub fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let answer = Connection::open(address)?.exchange(request.as_bytes())?;
    if answer.status != 200 {
        return Err(io::Error::other(format!("{path} was answered with {}: {}", answer.status, answer.text())));
    }
    String::from_utf8(answer.body).map_err(io::Error::other)
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no HTTP/1.1.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let head_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("an answer with a head without end"));
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).to_ascii_lowercase();
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("an answer that begins with {head:?}")))?;
        let retry_after = header(&head, "retry-after").and_then(|seconds| seconds.parse().ok());
        let body = if header(&head, "transfer-encoding") == Some("chunked") {
            self.chunks(head_end)?
        } else {
            let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            self.until(head_end + length)?;
            self.buffer[head_end..head_end + length].to_vec()
        };
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body })
    }

    fn chunks(&mut self, mut at: usize) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match find(&self.buffer[at..], b"\r\n") {
                    Some(end) => break at + end,
                    None => self.more()?,
                }
            };
            let length = String::from_utf8_lossy(&self.buffer[at..line]).into_owned();
            let length = usize::from_str_radix(length.trim(), 16).map_err(io::Error::other)?;
            self.until(line + 2 + length + 2)?;
            body.extend_from_slice(&self.buffer[line + 2..line + 2 + length]);
            at = line + 2 + length + 2;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn until(&mut self, bytes: usize) -> io::Result<()> {
        while self.buffer.len() < bytes {
            self.more()?;
        }
        Ok(())
    }

    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        let read = self.stream.read(&mut piece)?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer broke off"));
        }
        self.buffer.extend_from_slice(&piece[..read]);
        Ok(())
    }
}

/// The value of a header of a head in lower case.
pub(super) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

pub(super) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
