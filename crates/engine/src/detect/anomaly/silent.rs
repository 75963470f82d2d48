//! `silent`: a key that used to speak has stopped.
//!
//! Time is counted in windows. The gap between two in which it spoke is compared with the longest gap of late, and the rank of
//! that ratio among all gaps of the rule says how long a silence has to be to be one.

use serde::{Deserialize, Serialize};

use super::verdict::{Known, Note, Unusual, Weight};
use super::{Learning, Shared};
use crate::detect::evidence::{Evidence, Handle};
use crate::detect::window::Arrival;
use crate::time::{Span, Timestamp};

/// A silence is at least so many times the longest usual gap.
const TIMES_LEAST: f64 = 3.0;

/// A long gap that does not come again counts less: half after this.
const HALF_LIFE: Span = Span::seconds(14 * 86_400);

/// A gap teaches no more than so many times what is usual.
const TEACHES_MAX: f64 = 4.0;

/// One key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Gaps {
    /// Windows in which it spoke and that wait to be looked at, earliest first.
    open: Vec<Window>,
    /// The last one that was looked at.
    last: Option<Window>,
    /// The longest gap of late, in windows.
    usual: f64,
    /// When its silence is one.
    silent_at: Option<Timestamp>,
}

/// What is to be looked at next.
enum Turn {
    /// It spoke in this window.
    Spoke(Window),
    /// It has not spoken since this one, up to this moment.
    Silent(Window, Timestamp),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Window {
    cell: i64,
    due: Timestamp,
    pub(super) time: Timestamp,
    /// Its last event.
    evidence: Handle,
}

impl Gaps {
    pub(super) fn take(&mut self, arrival: &Arrival<'_>, width: Span, wait: Span, evidence: &mut Evidence) {
        let cell = arrival.time.cell(width);
        let at = self.open.partition_point(|window| window.cell < cell);
        let Some(window) = self.open.get_mut(at).filter(|window| window.cell == cell) else {
            evidence.hold(arrival.evidence);
            let due = end(cell, width).plus(wait);
            self.open.insert(at, Window { cell, due, time: arrival.time, evidence: arrival.evidence });
            return;
        };
        let is_later = arrival.time > window.time
            || arrival.time == window.time && evidence.is_before(window.evidence, arrival.uid);
        if is_later {
            evidence.hold(arrival.evidence);
            evidence.release(window.evidence);
            (window.time, window.evidence) = (arrival.time, arrival.evidence);
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open.first().map(|window| window.due).into_iter().chain(self.silent_at).min()
    }

    /// When that window ends which is looked at next; nothing if it is a silence, which is no look.
    pub(super) fn moment(&self, width: Span) -> Option<Timestamp> {
        let first = self.open.first().filter(|window| self.silent_at.is_none_or(|silent| window.due <= silent));
        first.map(|window| end(window.cell, width))
    }

    fn next(&mut self) -> Option<Turn> {
        let first = self.open.first().map(|window| window.due);
        if let (Some(silent), Some(last)) = (self.silent_at, self.last)
            && first.is_none_or(|first| silent < first)
        {
            self.silent_at = None;
            return Some(Turn::Silent(last, silent));
        }
        (!self.open.is_empty()).then(|| Turn::Spoke(self.open.remove(0)))
    }

    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.open.iter().for_each(|window| evidence.release(window.evidence));
    }

    pub(super) fn release_last(&self, evidence: &mut Evidence) {
        self.last.iter().for_each(|window| evidence.release(window.evidence));
    }

    /// Forgets what was learnt.
    pub(super) fn forget(&mut self) {
        (self.last, self.usual, self.silent_at) = (None, 0.0, None);
    }

    pub(super) fn bytes(&self) -> usize {
        self.open.len() * size_of::<Window>()
    }
}

/// Looks at what comes next, and says which moment that belongs to; nothing if nothing more comes at all, which is nobody's silence.
pub(super) fn judge(
    gaps: &mut Gaps,
    clock: Timestamp,
    known: impl FnOnce(Timestamp) -> Known,
    learning: &Learning,
    shared: &mut Shared,
    evidence: &mut Evidence,
) -> Option<(Timestamp, Option<Unusual>)> {
    match gaps.next()? {
        Turn::Spoke(window) => {
            spoke(gaps, window, known(window.time), learning, shared, evidence);
            Some((window.time, None))
        }
        Turn::Silent(_, now) if now > clock => None,
        Turn::Silent(window, now) => Some((window.time, Some(fell_silent(gaps, window, now, learning, evidence)))),
    }
}

/// It spoke: learns the gap, and puts down when the next silence is one.
fn spoke(
    gaps: &mut Gaps,
    window: Window,
    known: Known,
    learning: &Learning,
    shared: &mut Shared,
    evidence: &mut Evidence,
) {
    let width = learning.window;
    if let Some(last) = gaps.last.replace(window) {
        let gap = (window.cell - last.cell).max(1) as f64;
        let times = gap / gaps.usual.max(1.0);
        // The first gaps of a key are longer than any before, each time.
        if known.is_enough(learning) {
            shared.calibration.rank(libm::log10(times).max(0.0), true, learning.limit(), end(window.cell, width));
        }
        let passed = window.time.since(last.time).micros() as f64 / HALF_LIFE.micros() as f64;
        let faded = gaps.usual * libm::exp2(-passed);
        gaps.usual = faded.max(gap.min(gaps.usual.max(1.0) * TEACHES_MAX)).max(1.0);
        evidence.release(last.evidence);
    }
    gaps.silent_at = known.is_enough(learning).then(|| {
        let times = libm::pow(10.0, shared.calibration.score_at(learning.limit())).max(TIMES_LEAST);
        let windows = gaps.usual.max(1.0) * times;
        #[expect(clippy::cast_possible_truncation, reason = "windows of years fit")]
        let silence = Span::from_micros((windows.ceil() * width.micros() as f64) as i64);
        window.due.plus(silence)
    });
}

/// It has not spoken for so long.
fn fell_silent(gaps: &Gaps, window: Window, now: Timestamp, learning: &Learning, evidence: &mut Evidence) -> Unusual {
    // The alert lets go of it, and we keep it.
    evidence.hold(window.evidence);
    let hours = |micros: f64| format!("{:.1} h", micros / 3.6e9);
    let what = format!("no event for {}", hours(now.since(window.time).micros() as f64));
    let against = format!("the longest gap of late is {}", hours(gaps.usual * learning.window.micros() as f64));
    Unusual {
        first: window.time,
        last: now,
        sample: vec![window.evidence],
        events: 1,
        level: 1,
        note: Note { what, against },
        weight: Weight::at_limit(learning, now),
    }
}

fn end(cell: i64, width: Span) -> Timestamp {
    Timestamp::from_micros(cell.saturating_add(1).saturating_mul(width.micros()))
}
