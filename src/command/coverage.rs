//! `lapwing coverage`: what should arrive and whether it does, read from the store.

use connect::clock::Clock;
use engine::time::{Span, Timestamp};

use super::{Outcome, print, say, store};
use crate::api::coverage_row;
use crate::args::Place;
use crate::coverage::{Cell, Spot, State};
use crate::store::{Covered, covered};

/// Prints what is known, the worst first. Something is found if anything is missing or silent.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub(crate) fn run(place: Place, all: bool, as_json: bool) -> anyhow::Result<Outcome> {
    let covered = covered(&store::folder(&place)?)?;
    let mut cells: Vec<&(Spot, Cell)> = covered.cells.iter().collect();
    cells.sort_by_key(|(_, cell)| rank(cell.state));
    let is_bad = cells.iter().any(|(_, cell)| cell.state.is_bad());
    let shown = |cell: &Cell| all || as_json || cell.state != State::Seen;
    let shown: Vec<&(Spot, Cell)> = cells.into_iter().filter(|(_, cell)| shown(cell)).collect();
    let printed = if as_json { lines(&shown) } else { table(&shown, Clock::Wall.now()) };
    print(&printed)?;
    if !as_json {
        say(&summary(&covered));
    }
    Ok(if is_bad { Outcome::Found } else { Outcome::Done })
}

/// What people have to look at stands first.
fn rank(state: State) -> u8 {
    match state {
        State::Missing => 0,
        State::Silent => 1,
        State::Unexpected => 2,
        State::Waiting => 3,
        State::Seen => 4,
    }
}

fn lines(cells: &[&(Spot, Cell)]) -> String {
    cells.iter().map(|(spot, cell)| format!("{}\n", coverage_row(spot, cell))).collect()
}

fn table(cells: &[&(Spot, Cell)], now: Timestamp) -> String {
    if cells.is_empty() {
        return String::new();
    }
    let head = ["state", "kind", "account", "name", "region", "last received"].map(str::to_owned);
    let row = |(spot, cell): &&(Spot, Cell)| {
        let last = cell.heard.map_or_else(|| "never".to_owned(), |heard| ago(now.since(heard.last)));
        let region = if spot.region.is_empty() { "any" } else { &spot.region };
        // Names come from logs and lists: none may speak to the terminal.
        [cell.state.name(), spot.kind.name(), &spot.account, &cell.name, region, &last].map(plain)
    };
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(cells.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Text without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A length of time in the largest unit that it has two of.
fn ago(span: Span) -> String {
    let seconds = span.micros() / 1_000_000;
    let (number, unit) = match seconds {
        ..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{number} {unit} ago")
}

fn summary(covered: &Covered) -> String {
    if covered.cells.is_empty() {
        return "nothing is expected: say in `coverage:` of the configuration what should arrive".to_owned();
    }
    let count = |state: State| covered.cells.iter().filter(|(_, cell)| cell.state == state).count();
    let counts = State::ALL.map(|state| format!("{} {}", count(state), state.name())).join(", ");
    let as_of = covered.looked.map_or_else(String::new, |looked| format!(", as of {looked}"));
    format!("{counts}{as_of}")
}

#[cfg(test)]
mod tests {
    use engine::event::Kind;

    use super::*;

    #[test]
    fn a_table_is_aligned_and_speaks_to_no_terminal() {
        let spot = Spot { kind: Kind::AwsCloudtrail, account: "1\u{1b}[2J".to_owned(), region: String::new() };
        let cell = Cell { name: "web".to_owned(), wanted: None, heard: None, state: State::Missing, told: None };
        let text = table(&[&(spot, cell)], Timestamp::default());
        assert_eq!(
            text,
            "state    kind            account  name  region  last received\n\
             missing  aws.cloudtrail  1\u{fffd}[2J    web   any     never\n"
        );
    }

    #[test]
    fn times_are_told_in_the_largest_unit_of_which_there_are_two() {
        let told = [0, 119, 120, 7_199, 7_200, 172_800].map(|seconds| ago(Span::seconds(seconds)));
        assert_eq!(told, ["0 s ago", "119 s ago", "2 min ago", "119 min ago", "2 h ago", "2 d ago"]);
    }
}
