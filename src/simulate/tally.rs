//! Takes down what becomes of calls, as observers are told it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    groups::{Came, Groups, Sums},
    report::{LimitUse, OverTime, Refused, Report},
    series::Series,
};
use crate::{
    error::Rejection,
    event::{AttemptEnd, CallEnd, CallOutcome, Event, ObservedCall, Observer},
    limit::Limits,
    money::Money,
    pricing::{PriceTable, ServiceTier},
    store::CountStanding,
    tags::Tag,
};

/// Clones take down in the same place.
#[derive(Clone, Debug)]
pub(super) struct Tally(Arc<Mutex<Taken>>);

/// What was taken down.
#[derive(Debug)]
struct Taken {
    began: Instant,
    /// For attempts that no budget has priced.
    prices: Arc<PriceTable>,
    limits: Vec<LimitUse>,
    /// Where a limit stands in the list, by its words.
    places: HashMap<String, usize>,
    /// How many limits the configuration has; others were met on the way.
    given: usize,
    waiting: u64,
    all: Sums,
    groups: Groups,
    refusals: BTreeMap<&'static str, Refused>,
    errors: BTreeMap<&'static str, u64>,
    unpriced: u64,
    uncapped: u64,
    series: Series,
    makespan: Duration,
}

impl Tally {
    /// Of calls that come from now on.
    pub(super) fn new(limits: &Limits, prices: Arc<PriceTable>) -> Self {
        let mut taken = Taken {
            began: Instant::now(),
            prices,
            limits: Vec::new(),
            places: HashMap::new(),
            given: 0,
            waiting: 0,
            all: Sums::default(),
            groups: Groups::default(),
            refusals: BTreeMap::new(),
            errors: BTreeMap::new(),
            unpriced: 0,
            uncapped: 0,
            series: Series::new(0),
            makespan: Duration::ZERO,
        };
        for limit in limits.iter() {
            taken.limit(&limit.to_string());
        }
        taken.given = taken.limits.len();
        taken.series = Series::new(taken.given);
        Tally(Arc::new(Mutex::new(taken)))
    }

    /// How long a step of time is by now.
    pub(super) fn step(&self) -> Duration {
        self.0.lock().series.step()
    }

    /// A call that names no cap on its output comes.
    pub(super) fn uncapped(&self) {
        self.0.lock().uncapped += 1;
    }

    /// The counts were looked at: of each limit the fullest.
    pub(super) fn saw(&self, standings: &[CountStanding]) {
        let taken = &mut *self.0.lock();
        let (now, waiting) = (taken.began.elapsed(), taken.waiting);
        // Time goes by where nothing is counted, too: steps grow with it, and so does the time until the next look.
        taken.series.at(now, waiting);
        for one in standings {
            let share = one.share();
            let place = taken.limit(&one.rule);
            let limit = &mut taken.limits[place];
            if share > limit.fullest {
                limit.fullest = share;
                let of = one.of.iter().flatten();
                let of: Vec<String> = of.map(|(tag, value)| format!("{tag}={value}")).collect();
                limit.fullest_of = (!of.is_empty()).then(|| of.join(", "));
            }
            let step = taken.series.at(now, waiting);
            if let Some(fullest) = step.shares.get_mut(place) {
                *fullest = fullest.max(share);
            }
        }
    }

    /// What it comes to; what the store and the load say is still missing.
    pub(super) fn report(&self) -> Report {
        let taken = self.0.lock();
        let all = taken.all.level("");
        let given = taken.limits.iter().take(taken.given);
        Report {
            calls: all.calls,
            answered: all.calls - all.refused - all.failed,
            refused: all.refused,
            failed: all.failed,
            attempts: all.attempts,
            uncapped: taken.uncapped,
            left_out: 0,
            makespan: taken.makespan,
            waits: all.waits,
            input_tokens: all.input_tokens,
            output_tokens: all.output_tokens,
            cost: all.cost,
            unpriced: taken.unpriced,
            over_time: OverTime {
                step: taken.series.step(),
                limits: given.map(|limit| limit.limit.clone()).collect(),
                moments: taken.series.moments(),
            },
            limits: taken.limits.clone(),
            budgets: Vec::new(),
            refusals: taken.refusals.values().cloned().collect(),
            errors: taken
                .errors
                .iter()
                .map(|(kind, many)| ((*kind).to_owned(), *many))
                .collect(),
            by: taken.groups.report(),
        }
    }
}

impl Taken {
    /// Where this limit stands in the list.
    fn limit(&mut self, words: &str) -> usize {
        if let Some(place) = self.places.get(words) {
            return *place;
        }
        let place = self.limits.len();
        self.places.insert(words.to_owned(), place);
        self.limits.push(LimitUse::new(words));
        place
    }

    fn waited(&mut self, rule: &str, span: Duration) {
        self.waiting = self.waiting.saturating_sub(1);
        let place = self.limit(rule);
        let limit = &mut self.limits[place];
        limit.held += 1;
        limit.held_for = limit.held_for.saturating_add(span);
        limit.longest = limit.longest.max(span);
    }

    fn refused(&mut self, rejection: &Rejection) {
        let refused = self.refusals.entry(rejection.kind());
        let refused = refused.or_insert_with(|| Refused::new(rejection));
        refused.attempts += 1;
        if let Some(shortage) = rejection.shortage() {
            let place = self.limit(&shortage.rule);
            self.limits[place].refused += 1;
        }
    }

    fn ended(&mut self, end: &AttemptEnd<'_>) {
        if let Some(error) = end.outcome.error() {
            *self.errors.entry(error).or_default() += 1;
        }
        let cost = self.cost(end);
        self.unpriced += u64::from(cost.is_none());
        let cost = cost.unwrap_or_default();
        self.all.attempt(end.usage, cost);
        self.groups
            .each(end.tags, |sums| sums.attempt(end.usage, cost));
        let now = self.began.elapsed();
        let step = self.series.at(now, self.waiting);
        step.spent = step.spent + cost;
    }

    /// What it cost; `None` where nobody knows a price: a layer that lets such models pass counts nothing.
    fn cost(&self, end: &AttemptEnd<'_>) -> Option<Money> {
        let Some(usage) = end.usage else {
            return Some(Money::default());
        };
        if let Some(cost) = usage.cost.filter(|cost| *cost > Money::default()) {
            return Some(cost);
        }
        let model = end.tags.get(&Tag::Model)?;
        let found = self.prices.find(end.tags.get(&Tag::Provider), model)?;
        let cost = || found.price.cost(usage, ServiceTier::Standard);
        Some(usage.cost.unwrap_or_else(cost))
    }

    fn over(&mut self, call: &ObservedCall, end: &CallEnd) {
        let came = match end.outcome {
            CallOutcome::Answered { .. } => Came::Answered,
            CallOutcome::Refused { kind } => {
                let refused = self.refusals.entry(kind);
                refused.or_insert_with(|| Refused::of(kind)).calls += 1;
                Came::Refused
            }
            CallOutcome::Error { .. } | CallOutcome::Failed | CallOutcome::GivenUp => Came::Failed,
        };
        self.all.call(came, end.waited);
        self.groups
            .each(call.tags(), |sums| sums.call(came, end.waited));
        let now = self.began.elapsed();
        self.makespan = now;
        let step = self.series.at(now, self.waiting);
        step.ended += 1;
        step.refused += u64::from(came == Came::Refused);
        step.waited = step.waited.saturating_add(end.waited);
        step.longest = step.longest.max(end.waited);
    }
}

impl Observer for Tally {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        let taken = &mut *self.0.lock();
        match event {
            Event::Came => {
                let now = taken.began.elapsed();
                taken.series.at(now, taken.waiting).came += 1;
            }
            Event::Waits { .. } => {
                let now = taken.began.elapsed();
                let step = taken.series.at(now, taken.waiting);
                taken.waiting += 1;
                step.waiting = step.waiting.max(taken.waiting);
            }
            Event::Waited { rule, span, .. } => taken.waited(rule, *span),
            Event::Refused { rejection, .. } => taken.refused(rejection),
            Event::Ended(end) => taken.ended(end),
            Event::Over(end) => taken.over(call, end),
            _ => {}
        }
    }
}
