//! A receiver of webhooks that does nothing but note what came when: it shares the cores too.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::wire::header;

/// One request.
#[derive(Clone, Debug)]
pub struct Caught {
    /// When it had come to its end.
    pub at: Instant,
    /// Its body.
    pub body: Vec<u8>,
}

/// Listens until the process ends; answers each request with 204.
#[derive(Clone, Debug)]
pub struct Catcher {
    address: SocketAddr,
    caught: Arc<Mutex<Vec<Caught>>>,
}

impl Catcher {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let catcher = Self { address: listener.local_addr()?, caught: Arc::default() };
        let caught = Arc::clone(&catcher.caught);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let caught = Arc::clone(&caught);
                // A sender that leaves ends its thread; what it sent whole has been noted.
                thread::spawn(move || drop(serve(&stream, &caught)));
            }
        });
        Ok(catcher)
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.caught.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// All that came so far, in the order of arrival.
    #[must_use]
    pub fn take(&self) -> Vec<Caught> {
        std::mem::take(&mut self.caught.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(stream: &TcpStream, caught: &Mutex<Vec<Caught>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(32 << 10, stream);
    let mut head = String::new();
    loop {
        head.clear();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        head.make_ascii_lowercase();
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let at = Instant::now();
        // First: whoever has its answer may look here.
        caught.lock().unwrap_or_else(PoisonError::into_inner).push(Caught { at, body });
        (&mut &*stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}
