//! The figures as a page.

use lab::table::{self, Row};

/// The whole page.
pub(crate) fn page(rows: &[Row]) -> String {
    let columns = table::COLUMNS;
    let table = table::page(rows, "make bench-peers");
    format!(
        "# Beside rsigma\n\nWritten by the last whole run of `make bench-peers`: figures of one machine on one day. The ratios\n\
         matter, the rest moves from machine to machine. A run fails if the engines find different things and\n\
         `differences.toml` does not say why.\n\n\
         Both engines read the same bytes in the same run, in turn, built by the same profile.\n{columns}\
         rsigma's road is bytes, `serde_json::Value`, its engine; it counts results. *Routed by hand*: its user said which log\n\
         source all events are of. *Schema routing*: it recognises each event's. For windows it has room for all keys and\n\
         gives no results for rules that are only counted.\n\n- peer: rsigma-eval {}\n{table}",
        peer()
    )
}

/// The version that the lock file names.
fn peer() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let after = lock.split_once("name = \"rsigma-eval\"\nversion = \"").map_or("", |(_, after)| after);
    after.split('"').next().unwrap_or_default()
}
