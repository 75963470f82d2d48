//! One row of the engine's table in one process, for a profiler:
//! `cargo run --release -p lab --example row -- measure lapwing "windows, 3141 rules" RECORDS RULES`. The two files
//! are those that `cargo bench --bench engine` leaves in its folder.

use lab::{apart, speed};

fn main() -> std::io::Result<()> {
    match apart::asked()? {
        Some(asked) => apart::tell(&speed::ours(&asked.case, &asked.rules, &asked.records)?),
        None => Err(std::io::Error::other("measure ENGINE CASE RECORDS RULES")),
    }
}
