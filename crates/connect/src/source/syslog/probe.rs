//! Whether it could listen: certificates that fit their key, addresses and paths that are free.

use std::io;
use std::path::PathBuf;

use super::Settings;
use super::listen::{Occupied, advice, occupied};
use crate::probe::{Probe, words};

/// Reads the certificates, and opens and closes each address; paths are looked at only.
#[must_use]
pub fn probe(settings: &Settings) -> Vec<Probe> {
    let mut probes = Vec::new();
    if let Some(tls) = &settings.tls {
        let what = format!("certificate {}", tls.certificate.display());
        probes.push(match tls.read() {
            Ok(_) if tls.client_ca.is_some() => Probe::good(what, "fits its key; senders must show one too"),
            Ok(_) => Probe::good(what, "fits its key; senders need none of their own"),
            Err(error) => Probe::bad(what, words(&error)),
        });
    }
    if let Some(address) = settings.tcp {
        probes.push(bound(format!("tcp {address}"), std::net::TcpListener::bind(address).map(drop)));
    }
    if let Some(address) = settings.udp {
        probes.push(bound(format!("udp {address}"), std::net::UdpSocket::bind(address).map(drop)));
    }
    probes.extend([&settings.unix, &settings.unix_datagram].into_iter().flatten().map(path));
    probes
}

fn bound(what: String, tried: io::Result<()>) -> Probe {
    match tried {
        Ok(()) => Probe::good(what, "free to listen on"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Probe::good(what, "somebody listens there: good if that is Lapwing, which this cannot see")
        }
        Err(error) => Probe::bad(what, format!("{error}{}", advice(&error))),
    }
}

fn path(path: &PathBuf) -> Probe {
    let what = format!("socket {}", path.display());
    match occupied(path) {
        Ok(Occupied::No) => match path.parent().map(std::fs::metadata) {
            Some(Ok(folder)) if folder.is_dir() && !folder.permissions().readonly() => Probe::good(what, "can be made"),
            Some(Ok(_)) => Probe::bad(what, "its folder cannot be written to"),
            Some(Err(error)) => Probe::bad(what, format!("its folder: {error}{}", advice(&error))),
            None => Probe::bad(what, "it is in no folder"),
        },
        Ok(Occupied::Left) => Probe::good(what, "was left behind by a process that is gone, and can be made anew"),
        Ok(Occupied::Yes) => {
            Probe::good(what, "somebody listens there: good if that is Lapwing, which this cannot see")
        }
        Ok(Occupied::File) => Probe::bad(what, "a file that is no socket is there: move it away"),
        Err(error) => Probe::bad(what, format!("{error}{}", advice(&error))),
    }
}
