//! One measurement of one row of the engine's table, for profilers: what the benches start a process for.
//!
//! `row measure lapwing "windows, 3141 rules" target/bench/windows-40000.jsonl target/bench/rules-all.jsonl`

use std::io;

fn main() -> io::Result<()> {
    let asked = lab::apart::asked().map_err(io::Error::other)?;
    let usage = "row measure lapwing ROW RECORDS RULES; `make bench` writes both files";
    let asked = asked.ok_or_else(|| io::Error::other(usage))?;
    lab::apart::tell(&lab::speed::ours(&asked.case, &asked.rules, &asked.records)?)
}
