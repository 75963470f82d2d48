use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::alert::Scene;
use crate::detect::progress::Borders;
use crate::detect::shape::Counted;
use crate::detect::{BILLIONTHS, Sighting, decimal};
use crate::event::{Kind, Uid};
use crate::rule::{Comparison, Threshold};

const MINUTE: Span = Span::seconds(60);

fn shape(counted: Counted, asks: Comparison, value: i128) -> Shape {
    Shape {
        counted,
        window: MINUTE,
        window_text: MINUTE.to_string(),
        at_least: 0,
        waits: true,
        threshold: Threshold { asks: vec![(asks, value * BILLIONTHS)] },
        quiet: MINUTE,
        key: Vec::new(),
        bases: Vec::new(),
        learning: None,
        chained: false,
        reading: 0,
        asked: 0,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

/// One key.
struct Bench {
    shape: Shape,
    window: Closed,
    evidence: Evidence,
    borders: Borders,
}

impl Bench {
    fn new(shape: Shape) -> Self {
        let borders =
            Borders { watermark: Timestamp::EARLIEST, slowest: Timestamp::LATEST, lateness: MINUTE, delay: MINUTE };
        Self { shape, window: Closed::default(), evidence: Evidence::default(), borders }
    }

    fn with<T>(
        &mut self,
        time: Timestamp,
        id: &str,
        mark: u64,
        act: impl FnOnce(&mut Closed, &Arrival<'_>, &Shape, Borders, &mut Evidence) -> T,
    ) -> T {
        let uid = Uid { origin: String::new(), id: id.to_owned() };
        let (kind, scene, findings) = (Kind::Json, Scene::default(), Vec::new());
        let sighting = Sighting { uid: uid.clone(), time, clamped: false, kind, scene, findings };
        let arrival = Arrival {
            time,
            uid: &uid,
            evidence: self.evidence.keep(&sighting),
            marks: &[mark],
            values: &[],
            group: None,
        };
        act(&mut self.window, &arrival, &self.shape, self.borders, &mut self.evidence)
    }

    fn insert(&mut self, time: Timestamp, id: &str, mark: u64) -> Result<(), TooLate> {
        self.with(time, id, mark, |window, arrival, shape, borders, evidence| {
            window.insert(arrival, Asked { shape, borders }, evidence, &mut Vec::new())
        })
    }

    fn remove(&mut self, time: Timestamp, id: &str, mark: u64) {
        self.with(time, id, mark, |window, arrival, shape, _, evidence| {
            window.remove(arrival, shape, evidence, &mut Vec::new());
        });
    }

    /// The watermark has come here: judges all windows that end by then.
    fn pass(&mut self, watermark: Timestamp) {
        self.borders.watermark = self.borders.watermark.max(watermark);
        let Self { shape, window, evidence, borders } = self;
        while window.deadline(shape.window).is_some_and(|deadline| deadline <= borders.watermark) {
            window.judge(Asked { shape, borders: *borders }, evidence, &mut Vec::new());
        }
    }

    fn restart(&mut self) {
        self.window = postcard::from_bytes(&postcard::to_stdvec(&self.window).unwrap()).unwrap();
    }

    /// What is found, and what the plainest way finds: all windows of the events that are here laid out anew.
    fn both_ways(&self) -> (Vec<Episode>, Vec<Episode>) {
        let Self { shape, window, .. } = self;
        let mut plain: Vec<Episode> = window.settled.iter().cloned().collect();
        for window in Layout::of(&window.events, window.judged_to, shape).windows {
            read(&mut plain, &window, &self.window.events, shape);
        }
        let untold = |episode: &Episode| {
            let mut episode = episode.clone();
            (episode.told, episode.revision) = (0, 1);
            episode
        };
        (window.episodes.iter().map(untold).collect(), plain.iter().map(untold).collect())
    }
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let name = || "value".to_owned();
    let counted = vec![
        Counted::Events,
        Counted::Values(name()),
        Counted::Sum(name()),
        Counted::Average(name()),
        Counted::Percentile(name(), 80),
        Counted::Rules(None),
        Counted::Sequence,
    ];
    let asks = vec![Comparison::Below, Comparison::AtLeast, Comparison::Unequal];
    (select(counted), select(asks), 1i128..5).prop_map(|(counted, asks, value)| shape(counted, asks, value))
}

/// What may happen to a key.
#[derive(Clone, Debug)]
enum Move {
    Insert(i64, u64),
    Remove(Index),
    Pass(i64),
    Restart,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        12 => (0i64..600, 0u64..4).prop_map(|(second, mark)| Move::Insert(second, mark)),
        2 => any::<Index>().prop_map(Move::Remove),
        2 => (0i64..600).prop_map(Move::Pass),
        1 => Just(Move::Restart),
    ];
    proptest::collection::vec(one, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn late_events_that_come_and_go_leave_what_laying_all_windows_out_anew_would(
        shape in any_shape(),
        moves in moves(),
        lateness in select(vec![0u32, 60, 300, 1_000]),
    ) {
        let mut bench = Bench::new(shape);
        bench.borders.lateness = Span::seconds(lateness);
        let is_number = bench.shape.counted.is_number();
        let marks = |mark: u64| if is_number { decimal::packed(&mark.to_string()).unwrap() } else { mark };
        let mut here: Vec<(i64, String)> = Vec::new();
        for (step, of) in moves.into_iter().enumerate() {
            match of {
                Move::Insert(second, mark) => {
                    // Some events come again with another mark.
                    let id = (mark % 2).to_string();
                    if bench.insert(at(second), &id, marks(mark)).is_ok() {
                        here.push((second, id));
                    }
                }
                Move::Remove(which) if !here.is_empty() => {
                    let (second, id) = here.swap_remove(which.index(here.len()));
                    bench.remove(at(second), &id, 0);
                }
                Move::Remove(_) => {}
                Move::Pass(second) => bench.pass(at(second)),
                Move::Restart => bench.restart(),
            }
            let (found, plain) = bench.both_ways();
            prop_assert_eq!(&found, &plain, "after move {}", step);
            let judged = bench.window.events.between(Timestamp::EARLIEST, bench.window.judged_to).count();
            prop_assert_eq!(bench.window.judged, judged);
        }
    }
}

/// How many events a late one looks at on the average, of so many that come in this order into what was judged.
fn looks(shape: Shape, times: impl Iterator<Item = i64>) -> usize {
    let mut bench = Bench::new(shape);
    bench.borders.lateness = Span::seconds(600);
    bench.insert(at(599), "last", 0).unwrap();
    bench.pass(at(700));
    let mut count = 0;
    for (number, millis) in times.enumerate() {
        bench.insert(Timestamp::from_millis(millis), &number.to_string(), number as u64 % 1_000).unwrap();
        count += 1;
    }
    bench.window.events.looks.get() / count
}

#[test]
fn a_late_event_of_a_hot_key_looks_at_few_others() {
    let distinct = || shape(Counted::Values("value".to_owned()), Comparison::Below, 2);
    // Ten windows at most fit into the lateness, and an alert names fifty events.
    let most = 2 * 10 * 50;
    for (length, reason) in [(2_000, "some"), (20_000, "ten times as many")] {
        let into_one_window = looks(distinct(), (0..length).map(|number| 599_000 + number * 7_919 % 60_000));
        assert!(into_one_window < 100, "{reason} in one window: {into_one_window}");
        let backwards = looks(distinct(), (1..length).map(|number| 599_000 - number * 400_000 / length));
        assert!(backwards < most, "{reason}, each before all others, so that all windows move: {backwards}");
    }
}
