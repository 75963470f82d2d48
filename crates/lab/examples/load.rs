//! What loading rules costs: `cargo run --release -p lab --example load -- [--check] FOLDER…`.
//!
//! With `--check` lints look at them, too, and what each found is counted.
//! Prints one line: rules, problems, seconds of user CPU for reading and compiling (files are read before), and
//! the most memory that the process held.

use std::collections::BTreeMap;
use std::path::Path;

use engine::rule::{Given, RuleFile, RuleSet, Weight};

fn main() -> std::io::Result<()> {
    let mut files = Vec::new();
    let check = std::env::args().nth(1).is_some_and(|first| first == "--check");
    for folder in std::env::args().skip(1 + usize::from(check)) {
        gather(Path::new(&folder), &mut files)?;
    }
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    let (before, start) = (user_seconds(), std::time::Instant::now());
    let (set, problems) = match check {
        true => RuleSet::check(&files, &Given::default()),
        false => RuleSet::compile(&files),
    };
    let (user, wall) = (user_seconds() - before, start.elapsed().as_secs_f64());
    let errors = problems.iter().filter(|problem| problem.weight == Weight::Error).count();
    let line = format!(
        "{} rules of {bytes} bytes, {errors} errors, {} warnings: {user:.2} s user, {wall:.2} s wall, {} MB at most",
        set.rules().len(),
        problems.len() - errors,
        resident_kilobytes_max() / 1024
    );
    let mut found: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for problem in &problems {
        let lint = found.entry(problem.lint.unwrap_or("-")).or_insert_with(|| (0, problem.to_string()));
        lint.0 += 1;
    }
    let found: String = found.iter().map(|(lint, (count, first))| format!("{count:5} {lint}: {first}\n")).collect();
    std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n{found}").as_bytes())
}

fn gather(path: &Path, files: &mut Vec<RuleFile>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            gather(&entry?.path(), files)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "yml") {
        files.push(RuleFile { path: path.display().to_string(), text: std::fs::read_to_string(path)? });
    }
    Ok(())
}

/// Of this process so far, from the kernel's account in hundredths of a second; 0 where there is none.
fn user_seconds() -> f64 {
    let account = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before it may hold blanks, its bracket ends it.
    let after = account.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().nth(11).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0) / 100.0
}

fn resident_kilobytes_max() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
