//! Opens what the settings name, and gives each connection a task of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::datagram::{self, Datagrams};
use super::road::{Heard, Last, Road};
use super::seat::{Seat, Seats};
use super::stream;
use super::tls::Keys;
use super::{Settings, Syslog};
use crate::source::{Remedy, SourceError};

/// Before a listener that failed is tried again.
const REST: Duration = Duration::from_secs(1);

/// The file of a socket; it goes with this.
#[derive(Debug)]
pub(super) struct Path(PathBuf);

/// Where senders connect.
enum Door {
    Tcp(TcpListener, Option<Arc<Keys>>),
    Unix {
        listener: UnixListener,
        /// The file lasts as long as the socket.
        _path: Path,
    },
}

/// Who connected.
enum Guest {
    Tcp(TcpStream, Option<Arc<Keys>>, IpAddr),
    Unix(UnixStream),
}

/// Everything that was opened.
struct Opened {
    doors: Vec<Door>,
    sockets: Vec<Datagrams>,
    addresses: Vec<SocketAddr>,
}

impl Syslog {
    /// Opens everything, or nothing; from then on it is listened to.
    pub(super) fn listen(&mut self) -> Result<(), SourceError> {
        let Opened { doors, sockets, addresses } = open(&self.settings, &self.name)?;
        let stop = self.stop.clone();
        let (road, heard) = Road::new(&self.name, &self.start, &self.settings, self.clock.clone(), stop);
        let seats = Seats::new(self.settings.connections_max);
        for door in doors {
            self.tasks.spawn(admit(door, road.clone(), seats.clone()));
        }
        for socket in sockets {
            self.tasks.spawn(datagram::read(socket, road.clone()));
        }
        (self.heard, self.addresses) = (Some(heard), addresses);
        Ok(())
    }
}

fn open(settings: &Settings, source: &str) -> Result<Opened, SourceError> {
    let mut opened = Opened { doors: Vec::new(), sockets: Vec::new(), addresses: Vec::new() };
    let mode = settings.mode().unwrap_or(0o660);
    if let Some(address) = settings.tcp {
        let keys = settings.tls.as_ref().map(Keys::open).transpose();
        let keys = keys.map_err(|error| failed("set up TLS".to_owned(), error))?;
        let listener = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        let listener = listener.map_err(|error| not_bound(&format!("{address} by TCP"), error))?;
        let (address, tls) = (listener.local_addr().unwrap_or(address), keys.is_some());
        tracing::info!(%source, transport = "tcp", %address, tls, "syslog listens");
        opened.addresses.push(address);
        opened.doors.push(Door::Tcp(listener, keys.map(Arc::new)));
    }
    if let Some(path) = &settings.unix {
        let listener = fresh(path, mode, |path| UnixListener::bind(path));
        let (listener, path) = listener.map_err(|error| not_bound(&path.display().to_string(), error))?;
        tracing::info!(%source, transport = "unix", path = %path.0.display(), "syslog listens");
        opened.doors.push(Door::Unix { listener, _path: path });
    }
    if let Some(address) = settings.udp {
        let socket = std::net::UdpSocket::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket)
        });
        let socket = socket.map_err(|error| not_bound(&format!("{address} by UDP"), error))?;
        let address = socket.local_addr().unwrap_or(address);
        tracing::info!(%source, transport = "udp", %address, "syslog listens");
        opened.addresses.push(address);
        opened.sockets.push(Datagrams::Udp(socket));
    }
    if let Some(path) = &settings.unix_datagram {
        let socket = fresh(path, mode, |path| UnixDatagram::bind(path));
        let (socket, path) = socket.map_err(|error| not_bound(&path.display().to_string(), error))?;
        tracing::info!(%source, transport = "unix_datagram", path = %path.0.display(), "syslog listens");
        opened.sockets.push(Datagrams::Unix { socket, _path: path });
    }
    Ok(opened)
}

fn failed(doing: String, error: impl std::error::Error + Send + Sync + 'static) -> SourceError {
    SourceError { doing, remedy: Remedy::Person, source: Some(Box::new(error)) }
}

fn not_bound(place: &str, error: io::Error) -> SourceError {
    let advice = advice(&error);
    failed(format!("listen on {place}{advice}"), error)
}

/// What helps against an address or a path that cannot be had.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (somebody else listens there: stop that, or give another)",
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need CAP_NET_BIND_SERVICE, paths a folder that the user of Lapwing may write to)"
        }
        io::ErrorKind::AddrNotAvailable => " (this machine has no such address)",
        io::ErrorKind::NotFound => " (make its folder)",
        _ => "",
    }
}

/// A socket at this path. One that a process left behind which is gone makes room; one that somebody listens to, and
/// whatever else is there, stays.
fn fresh<S>(path: &PathBuf, mode: u32, bind: impl Fn(&PathBuf) -> io::Result<S>) -> io::Result<(S, Path)> {
    match occupied(path)? {
        Occupied::No => {}
        Occupied::Left => std::fs::remove_file(path)?,
        Occupied::Yes => return Err(io::Error::from(io::ErrorKind::AddrInUse)),
        Occupied::File => return Err(io::Error::other("a file that is no socket is there: move it away")),
    }
    let socket = bind(path)?;
    let path = Path(path.clone());
    std::fs::set_permissions(&path.0, std::fs::Permissions::from_mode(mode))?;
    Ok((socket, path))
}

/// What is at a path where a socket is to be.
pub(super) enum Occupied {
    No,
    /// A socket to which nobody listens.
    Left,
    /// A socket to which somebody listens.
    Yes,
    File,
}

pub(super) fn occupied(path: &PathBuf) -> io::Result<Occupied> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Ok(Occupied::File),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupied::No),
        Err(error) => return Err(error),
    }
    let datagram = || std::os::unix::net::UnixDatagram::unbound()?.connect(path);
    let answers = [std::os::unix::net::UnixStream::connect(path).map(drop), datagram()];
    let refused =
        |answer: &io::Result<()>| answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    // Of the two sorts one is the wrong one, and says so; a socket that was left behind refuses the right one.
    Ok(if answers.iter().any(refused) { Occupied::Left } else { Occupied::Yes })
}

impl Drop for Path {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "socket left behind");
        }
    }
}

impl Door {
    async fn accept(&self) -> io::Result<Guest> {
        match self {
            Self::Tcp(listener, keys) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Guest::Tcp(stream, keys.clone(), peer.ip()))
            }
            Self::Unix { listener, .. } => listener.accept().await.map(|(stream, _)| Guest::Unix(stream)),
        }
    }
}

/// Lets senders in until the source ends, and waits for their tasks.
async fn admit(door: Door, road: Road, seats: Arc<Seats>) {
    let mut guests = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = road.stop.cancelled() => break,
            Some(ended) = guests.join_next() => {
                joined(ended);
                continue;
            }
            accepted = door.accept() => accepted,
        };
        let guest = match accepted {
            Ok(guest) => guest,
            Err(error) => {
                let remedy = Remedy::Wait;
                let doing = "let senders of syslog in".to_owned();
                let error = SourceError { doing, remedy, source: Some(Box::new(error)) };
                if road.tell(Heard::Failed(error)).await.is_err() {
                    break;
                }
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        // Further ones wait outside meanwhile, with all that they have to say.
        let seat = tokio::select! {
            biased;
            seat = seats.take(&road.source) => Some(seat),
            () = road.stop.cancelled() => None,
        };
        let Some(seat) = seat else { break };
        guests.spawn(hear(guest, road.clone(), seat));
    }
    // Whoever has connected counts what it has written as delivered.
    let last = Last::now();
    while let Some(Ok(guest)) = last.soon(door.accept()).await {
        let Some(seat) = last.soon(seats.take(&road.source)).await else { break };
        guests.spawn(hear(guest, road.clone(), seat));
    }
    drop(door);
    while let Some(ended) = guests.join_next().await {
        joined(ended);
    }
}

fn joined(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn hear(guest: Guest, road: Road, seat: Seat) {
    match guest {
        Guest::Tcp(stream, Some(keys), peer) => stream::read_tls(stream, &keys, &road, &seat, Some(peer)).await,
        Guest::Tcp(stream, None, peer) => stream::read(stream, &road, &seat, Some(peer)).await,
        Guest::Unix(stream) => stream::read(stream, &road, &seat, None).await,
    }
}
