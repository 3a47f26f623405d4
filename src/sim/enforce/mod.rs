//! The enforcing state: one counter for each limit and each of its groups.
//!
//! No clock and no lock: instants are arguments, and must not run backwards.

mod bucket;
mod fixed;
mod sliced;
mod sliding;
mod slots;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::limit::{SimLimit, SimQuantity, SimShape};

/// When something that does not fit will. The later, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wait {
    /// After this time, if nothing else is charged meanwhile.
    After(Duration),
    /// When another attempt ends.
    Unknown,
    /// It is more than the limit ever holds.
    Never,
}

/// What one group of a limit has been charged.
pub(crate) trait Counter: fmt::Debug + Send {
    /// `None` if there is room for `need` units at `at`.
    fn wait(&mut self, at: Duration, need: u64) -> Option<Wait>;
    /// Charges, room or not.
    fn charge(&mut self, at: Duration, units: u64);
    /// What the period still has room for, and the time until it has room for everything.
    fn room(&mut self, at: Duration) -> (u64, Duration);
    /// The amount is another one from now on. What was charged stays.
    fn set_amount(&mut self, at: Duration, amount: u64);
    /// An attempt that was charged has ended.
    fn ended(&mut self) {}
}

/// A limit that an attempt is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    limit: usize,
    counter: usize,
    charge: u64,
}

/// Why an attempt did not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    /// The limit that has room last, by its place in the configuration.
    pub(crate) limit: usize,
    pub(crate) amount: u64,
    pub(crate) wait: Wait,
    pub(crate) used: u64,
    pub(crate) requested: u64,
}

/// The state of a limit as the rate headers tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauge {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    pub(crate) full_in: Duration,
}

/// For each quantity, the gauge of the limit with the least room.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) requests: Option<Gauge>,
    pub(crate) tokens: Option<Gauge>,
    pub(crate) input: Option<Gauge>,
    pub(crate) output: Option<Gauge>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Group {
    limit: usize,
    key: Option<Arc<str>>,
    model: Option<Arc<str>>,
}

#[derive(Debug)]
pub(crate) struct Enforcer {
    limits: Vec<SimLimit>,
    groups: HashMap<Group, usize>,
    counters: Vec<Box<dyn Counter>>,
}

impl Enforcer {
    pub(crate) fn new(limits: Vec<SimLimit>) -> Self {
        Self {
            limits,
            groups: HashMap::new(),
            counters: Vec::new(),
        }
    }

    /// Another amount for a limit, and for all its groups.
    pub(crate) fn set_amount(&mut self, at: Duration, place: usize, amount: u64) {
        let Some(limit) = self.limits.get_mut(place) else {
            return;
        };
        limit.amount = amount;
        let (_, of_window) = limit.window();
        let sliced = matches!(limit.shape, SimShape::Sliced { .. });
        for (group, counter) in &self.groups {
            if group.limit == place {
                // A sliced counter shares it out itself.
                let amount = if sliced { amount } else { of_window };
                self.counters[*counter].set_amount(at, amount);
            }
        }
    }

    /// The limits that an attempt touches, with its charge on arrival.
    pub(crate) fn touch(
        &mut self,
        key: &Arc<str>,
        model: &Arc<str>,
        prompt: u64,
        max_tokens: Option<u64>,
    ) -> Vec<Touch> {
        let (groups, counters) = (&mut self.groups, &mut self.counters);
        let touched = self.limits.iter().enumerate();
        touched
            .filter(|(_, rule)| rule.touches(model))
            .map(|(limit, rule)| {
                let group = Group {
                    limit,
                    key: rule.per_key.then(|| Arc::clone(key)),
                    model: rule.per_model.then(|| Arc::clone(model)),
                };
                let counter = *groups.entry(group).or_insert_with(|| {
                    counters.push(counter(rule));
                    counters.len() - 1
                });
                let charge = rule.on_arrival(prompt, max_tokens);
                Touch {
                    limit,
                    counter,
                    charge,
                }
            })
            .collect()
    }

    /// The limit that would have room last, or `None` if all have room.
    pub(crate) fn refusal(&mut self, at: Duration, touched: &[Touch]) -> Option<Refusal> {
        let mut last: Option<Refusal> = None;
        for touch in touched {
            let need = touch.charge.max(1);
            let counter = &mut self.counters[touch.counter];
            let Some(wait) = counter.wait(at, need) else {
                continue;
            };
            if last.is_none_or(|last| last.wait < wait) {
                let amount = self.limits[touch.limit].amount;
                last = Some(Refusal {
                    limit: touch.limit,
                    amount,
                    wait,
                    used: amount.saturating_sub(counter.room(at).0),
                    requested: need,
                });
            }
        }
        last
    }

    /// Charges an attempt on its arrival.
    pub(crate) fn charge(&mut self, at: Duration, touched: &[Touch]) {
        for touch in touched {
            self.counters[touch.counter].charge(at, touch.charge);
        }
    }

    /// Charges a refused attempt: the limits on requests only.
    pub(crate) fn charge_refused(&mut self, at: Duration, touched: &[Touch]) {
        for touch in touched {
            if self.limits[touch.limit].quantity == SimQuantity::Requests {
                self.counters[touch.counter].charge(at, touch.charge);
            }
        }
    }

    /// Ends an attempt that was charged on its arrival.
    pub(crate) fn ended(&mut self, at: Duration, touched: &[Touch], output: u64) {
        for touch in touched {
            let counter = &mut self.counters[touch.counter];
            counter.ended();
            match self.limits[touch.limit].on_finish(output) {
                0 => {}
                late => counter.charge(at, late),
            }
        }
    }

    /// The largest charge on a limit on tokens.
    pub(crate) fn tokens(&self, touched: &[Touch]) -> u64 {
        let of_tokens = |touch: &&Touch| {
            let quantity = self.limits[touch.limit].quantity;
            !matches!(quantity, SimQuantity::Requests | SimQuantity::Concurrency)
        };
        let charges = touched.iter().filter(of_tokens).map(|touch| touch.charge);
        charges.max().unwrap_or(0)
    }

    /// What the rate headers are to tell.
    pub(crate) fn gauges(&mut self, at: Duration, touched: &[Touch]) -> Gauges {
        let mut gauges = Gauges::default();
        for touch in touched {
            let rule = &self.limits[touch.limit];
            let shown = match rule.quantity {
                SimQuantity::Requests => &mut gauges.requests,
                SimQuantity::Tokens => &mut gauges.tokens,
                SimQuantity::InputTokens => &mut gauges.input,
                SimQuantity::OutputTokens => &mut gauges.output,
                SimQuantity::Concurrency => continue,
            };
            let (remaining, full_in) = self.counters[touch.counter].room(at);
            if shown.is_none_or(|shown| remaining < shown.remaining) {
                let limit = rule.amount;
                *shown = Some(Gauge {
                    limit,
                    remaining,
                    full_in,
                });
            }
        }
        gauges
    }
}

/// An empty counter for a group of a limit.
fn counter(limit: &SimLimit) -> Box<dyn Counter> {
    let (window, amount) = limit.window();
    if limit.quantity == SimQuantity::Concurrency {
        return Box::new(slots::Slots::new(limit.amount));
    }
    match limit.shape {
        SimShape::Sliding => Box::new(sliding::SlidingLog::new(window, amount)),
        SimShape::Bucket => Box::new(bucket::Bucket::new(window, amount)),
        SimShape::Fixed => Box::new(fixed::FixedWindow::new(window, amount)),
        SimShape::Sliced { .. } => {
            let slice = fixed::FixedWindow::new(window, amount);
            let period = fixed::FixedWindow::new(limit.period, limit.amount);
            Box::new(sliced::Sliced::new(slice, period, limit.clone()))
        }
    }
}
