//! A grant from its send to its end: when its parts are dated, and what they come to.

use std::sync::atomic::Ordering;

use super::{
    MemoryStore, Settlement, Store as _,
    entry::Entries,
    grants::{Name, Open, Part, Streamed},
    memory::State,
};
use crate::limit::{Measure, Parts, Rule, Tick, Window};

impl MemoryStore {
    /// Dates what counts from the send; where it is dated already it moves to the later instant.
    #[inline]
    pub(super) fn date_parts(&self, name: Name) {
        self.clock.set_calendars();
        // Nobody waits for the lock while the clock is asked; but who waits for it is not dated before that.
        let early = self.now();
        let (mut state, now) = match self.try_lock() {
            Some(state) => (state, early),
            None => (self.lock(), self.now()),
        };
        let State { counts, limits } = &mut *state;
        let rules = limits.rules();
        if let Some(open) = counts.grants.find_mut(name) {
            for part in &mut open.parts {
                if part.terms.wait_for_the_end() {
                    part.sent = Some(now);
                } else {
                    let rule = part.rule(rules);
                    part.date(&mut counts.entries, rule, now);
                }
            }
        }
    }

    /// Dates what has streamed since the last time: `output` tokens in all.
    pub(super) fn date_output(&self, name: Name, output: u64) {
        if !self.dates_at_the_end.load(Ordering::Relaxed) {
            return;
        }
        let State { counts, limits } = &mut *self.lock();
        let rules = limits.rules();
        let Some(Open {
            parts, streamed, ..
        }) = counts.grants.find_mut(name)
        else {
            return;
        };
        let mut now = None;
        for (number, part) in (0u32..).zip(parts) {
            let rule = part.rule(rules);
            let total = rule.limit.charge.streamed(rule.limit.quantity, output);
            if total == 0 {
                continue;
            }
            let place = streamed.iter().position(|streamed| streamed.part == number);
            let place = place.unwrap_or_else(|| {
                streamed.push(Streamed {
                    part: number,
                    ..Streamed::default()
                });
                streamed.len() - 1
            });
            let now = *now.get_or_insert_with(|| self.now());
            let (_, output) = part.held(rule);
            let window = counts.entries.window(part);
            streamed[place].date(window, rule, output, total, now);
        }
    }

    /// Ends a grant: of each part counts what the settlement says; without one, nothing.
    #[inline]
    pub(super) fn end(&self, name: Name, settlement: Option<&Settlement>) {
        // The clock is asked only where something may be to be dated: it is a good part of what a call costs.
        let dates = self.dates_at_the_end.load(Ordering::Relaxed);
        let mut now = (settlement.is_some() && dates).then(|| self.now());
        self.clock.set_calendars();
        let State { counts, limits } = &mut *self.lock();
        let rules = limits.rules();
        let Some(Open {
            parts, streamed, ..
        }) = counts.grants.find_mut(name)
        else {
            return;
        };
        for (number, part) in (0u32..).zip(&*parts) {
            let window = counts.entries.close(part);
            if part.terms.take(Measure::Requests) && part.sent.is_some() && settlement.is_some() {
                // It was dated, and is what it was.
                continue;
            }
            let undated = if part.terms.hold_all() && streamed.is_empty() {
                // As a rule.
                window.unhold(part.amount);
                match settlement {
                    Some(settlement) if !part.terms.take(Measure::Concurrency) => {
                        part.used_at_the_end(part.rule(rules), settlement)
                    }
                    _ => 0,
                }
            } else {
                let stream = streamed.iter_mut().find(|stream| stream.part == number);
                part.end(window, part.rule(rules), settlement, stream)
            };
            if undated > 0 {
                let now = *now.get_or_insert_with(|| self.now());
                if part.terms.are_watched() {
                    // What has left by now is not spent any more.
                    window.expire(part.rule(rules), now);
                }
                window.book(part.rule(rules), undated, now);
                if part.terms.are_watched() {
                    let happened = window.after_spending(part.rule(rules), now);
                    let entry = counts.entries.at(part.entry);
                    let at = (part.limit, part.window);
                    counts.events.note(limits, entry, at, happened);
                }
            }
        }
        counts.grants.end(name);
        self.has_news(counts);
    }
}

impl Part {
    /// The rule that it is charged by.
    #[inline]
    pub(super) fn rule<'a>(&self, rules: &'a [Rule]) -> &'a Rule {
        &rules[self.limit as usize]
    }

    /// Dates what is not held any more from the send on, and notes what counts by then.
    #[inline]
    fn date(&mut self, entries: &mut Entries, rule: &Rule, now: Tick) {
        let window = entries.window(self);
        let mut sent = now;
        if !self.terms.hold_all() {
            let early = match self.terms.hold_nothing() {
                true => self.amount,
                false => self.amount - self.held(rule).0,
            };
            match self.sent {
                None => {
                    window.unhold(early);
                    self.opens(window, rule);
                }
                Some(earlier) => window.rebook(rule, earlier, early, 0),
            }
            sent = window.book(rule, early, now);
        }
        if self.terms.listen() {
            self.then = window.ours(rule, now);
        }
        self.sent = Some(sent);
    }

    /// Takes back or corrects what is held and dated of it; what is left to be dated.
    #[inline(never)]
    fn end(
        &self,
        window: &mut Window,
        rule: &Rule,
        settlement: Option<&Settlement>,
        stream: Option<&mut Streamed>,
    ) -> u64 {
        let seen = stream.as_ref().map_or(0, |stream| stream.total);
        let used = settlement.map_or(Parts::default(), |settlement| {
            self.used(rule, settlement, seen)
        });
        let (late, output) = self.held(rule);
        let early = self.amount - late;
        match self.sent {
            Some(date) => {
                window.rebook(rule, date, early, used.early);
                if rule.may_shrink() {
                    window.closes(early);
                }
            }
            None => window.unhold(early),
        }
        window.unhold(late.saturating_sub(output.min(seen)));
        if self.terms.take(Measure::Concurrency) {
            return 0;
        }
        if let Some(stream) = stream {
            stream.correct(window, rule, used.late);
        }
        // What was not dated before is dated now.
        let early = self.sent.map_or(used.early, |_| 0);
        early.saturating_add(used.late.saturating_sub(seen))
    }

    /// What is dated of it at the send may be given back until it ends, where that is so.
    #[inline]
    pub(super) fn opens(&self, window: &mut Window, rule: &Rule) {
        if rule.may_shrink() {
            window.opens(self.amount - self.held(rule).0);
        }
    }

    /// How much of it is held until the settlement, or until it has streamed; and how much of that for output.
    #[inline]
    fn held(&self, rule: &Rule) -> (u64, u64) {
        rule.hold.parts(self.amount, self.apart)
    }

    /// What this part counts in the end; `seen` of it has streamed.
    #[inline]
    pub(super) fn used(&self, rule: &Rule, settlement: &Settlement, seen: u64) -> Parts {
        let (late, output) = self.held(rule);
        let early = self.amount - late;
        let limit = &rule.limit;
        match settlement {
            Settlement::Usage(usage) => {
                limit
                    .charge
                    .settled(limit.quantity, Parts { early, late }, usage)
            }
            Settlement::Unknown => Parts {
                early,
                late: late.saturating_add(seen.saturating_sub(output)),
            },
        }
    }

    /// The same of one that is held until the end, and of which nothing has streamed.
    #[inline]
    fn used_at_the_end(&self, rule: &Rule, settlement: &Settlement) -> u64 {
        let Settlement::Usage(usage) = settlement else {
            return self.amount;
        };
        self.terms.used(usage).unwrap_or_else(|| {
            let limit = &rule.limit;
            let charge = limit.charge;
            charge.settled_at_the_end(limit.quantity, self.amount, usage)
        })
    }
}

impl Streamed {
    /// Dates what came since the last time, so that `total` is dated of it: out of what is held for it,
    /// `output` in the beginning, and beyond that as debt.
    pub(super) fn date(
        &mut self,
        window: &mut Window,
        rule: &Rule,
        output: u64,
        total: u64,
        now: Tick,
    ) {
        let came = total.saturating_sub(self.total);
        if came == 0 {
            return;
        }
        window.unhold(came.min(output.saturating_sub(self.total)));
        let date = window.book(rule, came, now);
        self.total = total;
        match self.dated.last_mut() {
            Some((last, amount)) if window.same_slot(rule, *last, date) => {
                *last = date;
                *amount += came;
            }
            _ => self.dated.push((date, came)),
        }
    }

    /// Takes back what was dated beyond `used`, the newest first: what streamed was estimated.
    pub(super) fn correct(&mut self, window: &mut Window, rule: &Rule, used: u64) {
        let mut excess = self.total.saturating_sub(used);
        while let Some((date, amount)) = self.dated.pop().filter(|_| excess > 0) {
            let back = amount.min(excess);
            window.rebook(rule, date, back, 0);
            excess -= back;
        }
    }
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
