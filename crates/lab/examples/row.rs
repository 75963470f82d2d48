//! One row of the engine's table in one process, for a profiler:
//! `cargo run --release -p lab --example row -- measure lapwing "windows, 3141 rules" RECORDS RULES`. The two files
//! are those that `cargo bench --bench engine` leaves in its folder. With `plain` instead of `lapwing` without mappings.

use engine::rule::Given;
use lab::{apart, corpus, speed};

fn main() -> std::io::Result<()> {
    match apart::asked()? {
        Some(asked) => {
            let given = if asked.engine == "plain" { Ok(Given::default()) } else { corpus::given() };
            let given = given.map_err(std::io::Error::other)?;
            apart::tell(&speed::ours(&asked.case, &asked.rules, &given, &asked.records)?)
        }
        None => Err(std::io::Error::other("measure ENGINE CASE RECORDS RULES")),
    }
}
