//! What observers and statistics are told of a claim: what they are told of a call with one attempt, which is the work that is
//! done elsewhere.

use std::sync::Arc;

use super::open::Terms;
use crate::{
    call::Places,
    error::Rejection,
    event::{AttemptOutcome, CallOutcome, Event, ObservedCall, Waiting, Watched},
    limiter::{Limiter, Progress},
    rate_limit::RateLimitLayer,
    store::NotNow,
    tags::Tags,
    usage::Usage,
    wire::Dialect,
};

/// A claim, until it is granted or refused.
pub(super) struct Asking {
    call: Option<Arc<ObservedCall>>,
    statistics: Places,
    tags: Arc<Tags>,
}

/// Work under a claim. Dropped, it counts as what was reserved for it.
#[derive(Debug)]
pub(super) struct Working {
    watched: Option<Box<Watched>>,
    call: Option<Arc<ObservedCall>>,
    statistics: Places,
    tags: Arc<Tags>,
    reserved: Usage,
    has_ended: bool,
}

impl Asking {
    pub(super) fn of(layer: &RateLimitLayer, progress: &Progress, tags: Arc<Tags>) -> Self {
        let (observers, statistics) = layer.watched_by();
        Asking {
            call: observers.begin(Dialect::Generic, &tags, false, Some(progress)),
            statistics,
            tags,
        }
    }

    pub(super) fn waits(&self, limiter: &Limiter, refused: &NotNow) -> Option<Waiting> {
        let call = self.call.clone()?;
        Some(Waiting::begin(call, &limiter.limits(), &refused.key))
    }

    pub(super) fn refused(&self, rejection: &Rejection) {
        for statistics in self.statistics.iter() {
            statistics.record_refusal(&self.tags, rejection);
        }
        if let Some(call) = &self.call {
            let tags = &*self.tags;
            call.tell(&Event::Refused { tags, rejection });
            let kind = rejection.kind();
            call.hands_on(CallOutcome::Refused { kind });
        }
    }

    /// It was granted.
    pub(super) fn begins(self, terms: &Terms) -> Working {
        let Asking {
            call,
            statistics,
            tags,
        } = self;
        let watched = call.clone().map(|call| Watched::new(call, 1, tags.clone()));
        Working {
            watched,
            call,
            statistics,
            tags,
            reserved: terms.reserved(),
            has_ended: false,
        }
    }
}

impl Working {
    /// It used this.
    pub(super) fn settled(mut self, usage: &Usage) {
        for statistics in self.statistics.iter() {
            statistics.record(&self.tags, usage);
        }
        if let Some(watched) = &mut self.watched {
            let (status, error) = (200, None);
            watched.came_to(AttemptOutcome::Answered { status, error });
        }
        self.ends(usage, true);
        if let Some(call) = &self.call {
            call.hands_on(CallOutcome::Answered { status: 200 });
        }
    }

    /// Nothing was done.
    pub(super) fn given_back(mut self) {
        self.has_ended = true;
    }

    fn ends(&mut self, usage: &Usage, is_reported: bool) {
        self.has_ended = true;
        if let Some(watched) = &self.watched {
            watched.ended(Some(usage), is_reported);
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        for statistics in self.statistics.iter() {
            statistics.record_reserved(&self.tags, &self.reserved);
        }
        let reserved = self.reserved;
        self.ends(&reserved, false);
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        limit::{CalendarUnit, Limit, Limits},
        limiter::Call,
        money::Money,
        statistics::{Figures, Report, Statistics},
        tags::Tag,
    };

    /// What is heard of a claim for 1 000 tokens and a dollar that `ends` so, and what is recorded of it.
    fn heard(ends: impl FnOnce(Asking, &Terms)) -> (Vec<String>, Figures) {
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let (hears, statistics) = (said.clone(), Statistics::new());
        let layer = RateLimitLayer::new(Limiter::new(Limits::new([]).unwrap()));
        let layer = layer.statistics(statistics.clone()).observe(
            move |call: &ObservedCall, event: &Event<'_>| {
                let said = match event {
                    Event::Ended(end) => {
                        let tokens = end.usage.map(Usage::total);
                        format!("{:?} {tokens:?} {}", end.outcome, end.is_reported)
                    }
                    Event::Refused { rejection, .. } => rejection.kind().to_owned(),
                    Event::Over(end) => format!("{} after {}", end.outcome.name(), end.attempts),
                    other => format!("{other:?}"),
                };
                assert_eq!(call.tags().get(&Tag::Agent), Some("a"));
                hears.lock().push(said);
            },
        );
        let tags = Tags::new().with(Tag::Agent, "a").into();
        let terms = Terms {
            provider: None,
            model: None,
            input: 900,
            output: 100,
            cost: Some(Money::from_dollars(1)),
        };
        ends(Asking::of(&layer, &Progress::new(), tags), &terms);
        let said = said.lock().clone();
        let reports = statistics.reports(CalendarUnit::Hour, &[]).unwrap();
        let totals = reports.iter().map(Report::total);
        let sum = totals.fold(Figures::default(), |mut sum, total| {
            sum += &total;
            sum
        });
        (said, sum)
    }

    #[test]
    fn one_that_is_settled_was_a_call_that_used_what_it_says() {
        let usage = Usage {
            cost: Some(Money::from_dollars(2)),
            ..Usage::new(7, 1)
        };
        let (said, figures) = heard(|asking, terms| asking.begins(terms).settled(&usage));
        let answered = "Answered { status: 200, error: None } Some(8) true";
        assert_eq!(said, ["Came", answered, "ok after 1"]);
        assert_eq!(figures, Figures::used(&usage, true, true));
    }

    #[test]
    fn one_that_nobody_settles_used_what_it_reserved() {
        let (said, figures) = heard(|asking, terms| drop(asking.begins(terms)));
        assert_eq!(
            said,
            ["Came", "GivenUp Some(1000) false", "given_up after 1"]
        );
        assert_eq!((figures.tokens(), figures.estimated), (1_000, 1));
        assert_eq!(figures.cost, Money::from_dollars(1));
    }

    #[test]
    fn one_that_is_given_back_was_no_attempt() {
        let (said, figures) = heard(|asking, terms| asking.begins(terms).given_back());
        assert_eq!(said, ["Came", "given_up after 0"]);
        assert!(figures.is_empty());
    }

    #[tokio::test]
    async fn one_that_is_refused_says_why() {
        let limits = Limits::new([Limit::concurrency(1)]).unwrap();
        let limiter = Limiter::new(limits);
        let _held = limiter.acquire(Call::new()).await.unwrap();
        let refused = limiter.try_acquire(Call::new()).await.unwrap_err();
        let (said, figures) = heard(|asking, _| asking.refused(&refused));
        assert_eq!(said, ["Came", "rate_limited", "refused after 0"]);
        assert_eq!(figures.all_refused(), 1);
    }
}
