//! How a figure is taken on a noisy machine, and how it is printed.

use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region};

/// A figure beside what was promised, and whether it is kept.
pub(crate) struct Verdicts {
    missed: bool,
}

impl Verdicts {
    pub(crate) fn new() -> Self {
        println!(
            "{:<50} {:>10} {:>10}   {:>7}    promised",
            "", "ours", "peer", "ratio"
        );
        Verdicts { missed: false }
    }

    pub(crate) fn missed(&self) -> bool {
        self.missed
    }

    /// Costs of ours and of the peer, in nanoseconds or in what the name says.
    pub(crate) fn ratio(&mut self, name: &str, ours: f64, peer: f64, promised: f64) {
        self.told(name, (ours, peer), ours / peer, promised);
    }

    /// The same where the ratio is not that of these two.
    pub(crate) fn told(&mut self, name: &str, (ours, peer): (f64, f64), ratio: f64, promised: f64) {
        let word = self.word(ratio <= promised);
        println!("{name:<50} {ours:>10.1} {peer:>10.1}   {ratio:>7.3} <= {promised:<7}  {word}");
    }

    /// The same where nothing is promised.
    pub(crate) fn shown(&self, name: &str, ours: f64, peer: f64) {
        let ratio = ours / peer;
        println!("{name:<50} {ours:>10.1} {peer:>10.1}   {ratio:>7.3}");
    }

    /// A figure of ours that has no peer.
    pub(crate) fn most(&mut self, name: &str, ours: f64, promised: f64) {
        let word = self.word(ours <= promised);
        println!(
            "{name:<50} {ours:>10.1} {:>10}   {:>7} <= {promised:<7}  {word}",
            "", ""
        );
    }

    /// A count that has to be just this.
    pub(crate) fn exactly(&mut self, name: &str, ours: usize, promised: usize) {
        let word = self.word(ours == promised);
        println!(
            "{name:<50} {ours:>10} {:>10}   {:>7} == {promised:<7}  {word}",
            "", ""
        );
    }

    fn word(&mut self, kept: bool) -> &'static str {
        self.missed |= !kept;
        if kept { "OK" } else { "MISS" }
    }
}

/// What is promised nothing, for the reader to compare with.
pub(crate) fn beside(name: &str, figure: impl std::fmt::Display) {
    println!("{name:<50} {:>10} {figure:>10.3}", "");
}

#[expect(clippy::disallowed_methods, reason = "a bench asks the real clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = now();
    work();
    start.elapsed()
}

/// Nanoseconds a round of `work`.
pub(crate) fn nanos(rounds: u32, mut work: impl FnMut()) -> f64 {
    let time = timed(|| (0..rounds).for_each(|_| work()));
    time.as_secs_f64() * 1e9 / f64::from(rounds)
}

/// Measures several by turns, in many short rounds, so that whatever else the machine does meets all of them.
/// Of each the least: noise only ever adds.
pub(crate) fn by_turns<const N: usize>(
    rounds: u32,
    mut measures: [&mut dyn FnMut() -> f64; N],
) -> [f64; N] {
    let mut least = [f64::INFINITY; N];
    for _ in 0..rounds {
        for (least, measure) in least.iter_mut().zip(&mut measures) {
            *least = least.min(measure());
        }
    }
    least
}

/// What `work` gives, and the bytes still allocated of what it allocated.
pub(crate) fn kept<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    let result = work();
    let change = region.change();
    let bytes = change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated);
    (result, bytes)
}

/// What half of the values are no more than.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
