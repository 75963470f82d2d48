//! What the command line does, one file a command. Machine output goes to stdout, words to stderr.

use std::io::Write;

pub(crate) mod check;
pub(crate) mod coverage;
pub(crate) mod demo;
pub(crate) mod deploys;
pub(crate) mod docs;
mod input;
pub(crate) mod matching;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod store;
pub(crate) mod test;
pub(crate) mod trace;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Done,
    /// It found something wrong.
    Found,
}

/// Prints the version.
pub(crate) fn version() -> anyhow::Result<Outcome> {
    print(&format!("lapwing {}\n", env!("CARGO_PKG_VERSION")))
}

/// Words for people.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell when stderr is gone.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Output for machines. A reader that has left, as `head` does, is a normal end.
fn print(text: &str) -> anyhow::Result<Outcome> {
    written(std::io::stdout().lock().write_all(text.as_bytes()))
}

fn written(result: std::io::Result<()>) -> anyhow::Result<Outcome> {
    match result {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Outcome::Done),
        Err(error) => Err(anyhow::Error::from(error).context("write output")),
    }
}
