//! Writes a synthetic world to standard output, a line a record, or says how fast it is made: `world [DAYS] [benign] [count]`.

use std::io::Write;

use lab::world::{Attacks, Plan, World};

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let says = |word: &str| words.iter().any(|said| said == word);
    let days = words.first().and_then(|days| days.parse().ok()).unwrap_or(30);
    let attacks = if says("benign") { Attacks::None } else { Attacks::All };
    let world = World::new(&Plan { days, attacks, ..Plan::default() });
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if !says("count") {
        for record in world {
            out.write_all(&record.raw)?;
            out.write_all(b"\n")?;
        }
        return out.flush();
    }
    let stories = world.stories().len();
    let start = std::time::Instant::now();
    let (records, bytes) =
        world.fold((0_u64, 0_u64), |(records, bytes), record| (records + 1, bytes + record.raw.len() as u64));
    let seconds = start.elapsed().as_secs_f64();
    writeln!(
        out,
        "synthetic world of {days} days: {records} records, {bytes} bytes, {stories} stories, {:.0} records/s",
        records as f64 / seconds
    )
}
