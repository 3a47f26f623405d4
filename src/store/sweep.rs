//! What the memory store's table forgets, and when.

use std::time::Duration;

use super::{counts::Counts, entry::Entry};
use crate::limit::{Level, Limits, Period, Tick};

/// Below this many entries nothing is swept.
pub(super) const SWEEP_FROM: usize = 1_024;
/// A full table is swept no more often than this: a sweep looks at every entry.
const SWEEP_AGAIN: Duration = Duration::from_secs(1);

impl Counts {
    /// Forgets idle entries, where their number has doubled since the last time: so it costs each new entry
    /// only a constant. Where they are about as many as there may be, at most once a second; and where there may
    /// be no more, runs that are over too.
    pub(super) fn sweep_if_grown(&mut self, limits: &Limits, now: impl FnOnce() -> Tick) {
        if self.len >= self.sweep_at {
            self.sweep(limits, now());
        }
    }

    fn sweep(&mut self, limits: &Limits, now: Tick) {
        let lately = |swept: Tick| now < swept.after(SWEEP_AGAIN);
        let (full, crowded) = (self.len >= self.most, self.len > self.most / 2);
        if crowded && self.swept.is_some_and(lately) {
            return;
        }
        self.swept = Some(now);
        let Counts {
            tables,
            entries,
            free,
            alone,
            len,
            shared,
            ..
        } = self;
        for (number, (table, shared)) in tables.iter_mut().zip(shared).enumerate() {
            let runs = counts_runs(limits, &limits.levels()[number]);
            let mut keep = |place: u32| {
                let entry = entries.at_mut(place);
                let idle = entry.expire(limits, number, now);
                let over = runs && entry.is_over(limits, number, now);
                let keep = !(idle || over && full);
                if !keep {
                    *entry = Entry::default();
                    free.push(place);
                    alone[number] = None;
                    *len -= 1;
                }
                keep
            };
            table.retain(&mut keep);
            *shared = shared.filter(|place| keep(*place));
        }
        self.sweep_at = (self.len * 2).max(SWEEP_FROM).min(self.most);
    }
}

pub(super) fn is_of_run(limits: &Limits, place: u32) -> bool {
    limits.rules()[place as usize].limit.period == Some(Period::Run)
}

/// Whether any limit of a level is on runs.
fn counts_runs(limits: &Limits, level: &Level) -> bool {
    level.places.iter().any(|place| is_of_run(limits, *place))
}
