//! Whether files can be read.

use std::io::ErrorKind;

use super::Settings;
use super::content::Content;
use crate::probe::Probe;

/// Opens each file and reads its first byte.
#[must_use]
pub fn probe(settings: &Settings) -> Vec<Probe> {
    let look = |path: &std::path::PathBuf| {
        let what = format!("file {}", path.display());
        let opened = Content::open(path).and_then(|mut content| {
            let size = content.length()?;
            content.read(&mut [0]).map(|_| size)
        });
        match opened {
            Ok(size) => Probe::good(what, format!("readable, {size} bytes")),
            Err(error) if error.kind() == ErrorKind::NotFound && settings.follow => {
                Probe::bad(what, "it is not there: it is waited for, so nothing of it is watched until it comes")
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Probe::bad(what, format!("{error}: let the user that Lapwing runs as read it and its folders"))
            }
            Err(error) => Probe::bad(what, error.to_string()),
        }
    };
    settings.path.iter().map(look).collect()
}
