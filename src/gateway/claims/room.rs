//! How a claim gets its room: at the gates that calls pass, as an attempt of a call does. Each of them looks at its part, money or
//! all else, and nobody waits there for longer than calls do.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::observed::Asking;
use crate::{
    call::{Gate, next_attempt},
    error::{Rejection, StoreError},
    limit::Demand,
    limiter::{Flight, Limiter, Permit, Progress, Refused, Tried, Turn},
    store::{Claim, NotNow},
    tags::Tags,
    usage::Usage,
};

/// What is held for a claim, one part for each gate. Dropped, it counts as used.
#[derive(Debug)]
pub(super) struct Permits {
    each: Vec<Permit>,
    /// Lives as long as these.
    alive: Arc<()>,
}

/// What is claimed, and whose turn it is.
pub(super) struct Wanted {
    pub(super) tags: Arc<Tags>,
    pub(super) demand: Demand,
    pub(super) turn: Turn,
}

impl Permits {
    pub(super) fn of(each: Vec<Permit>) -> Self {
        Permits {
            each,
            alive: Arc::default(),
        }
    }

    /// Gives everything back: nothing was done.
    pub(super) fn release(self) {
        self.each.into_iter().for_each(Permit::release);
    }

    /// It used this. Waits until that is written down, where it is. To be run to its end.
    ///
    /// # Errors
    /// That of the first store that could not write it down; the others are told all the same.
    pub(super) async fn settled(self, usage: Usage) -> Result<(), StoreError> {
        let mut settled = Ok(());
        for permit in self.each {
            settled = settled.and(permit.settled(usage).await);
        }
        settled
    }

    fn flight(&self) -> Weak<dyn Flight> {
        let alive: Weak<()> = Arc::downgrade(&self.alive);
        alive
    }
}

/// Waits for room at these gates and takes it, dated now. `around` says which told waits are waited out around them.
///
/// # Errors
/// That of a call that is not let in.
///
/// # Cancel safety
/// Dropping the future gives everything back.
pub(super) async fn take(
    (gates, around): (Vec<Arc<Gate>>, Option<Duration>),
    wanted: Wanted,
    (asking, progress): (&Asking, &Progress),
) -> Result<Permits, Rejection> {
    let shown = progress.taken_in();
    let Wanted { tags, demand, turn } = wanted;
    let claim = Claim {
        attempt: next_attempt(),
        ..Claim::new(tags.clone(), demand)
    };
    let mut way = Way {
        claim,
        turn,
        around,
        stops: gates.into_iter().map(Stop::at).collect(),
    };
    while let Some((at, refused)) = way.take_what_there_is().await? {
        let gate = &way.stops[at].gate;
        // Where nobody waits it is turned away.
        let waits = gate.wait.then(|| asking.waits(&gate.limiter, &refused));
        let waiting = waits.flatten();
        way.wait(at, refused, &shown).await?;
        if let Some(waiting) = waiting {
            waiting.has_room();
        }
    }
    let held = way.stops.into_iter().filter_map(|stop| stop.permit);
    let mut permits = Permits::of(held.collect());
    permits.each.iter_mut().for_each(Permit::sent);
    shown.sent(&tags, permits.flight());
    Ok(permits)
}

/// A claim on its way past gates.
struct Way {
    /// For each gate it looks at what that one does.
    claim: Claim,
    turn: Turn,
    around: Option<Duration>,
    stops: Vec<Stop>,
}

/// A gate on that way.
struct Stop {
    gate: Arc<Gate>,
    /// What is held there.
    permit: Option<Permit>,
    /// What it was waited there: its patience is not used up by waits elsewhere.
    waited: Duration,
    /// Where it began in the queue there.
    start: Option<u64>,
}

impl Stop {
    fn at(gate: Arc<Gate>) -> Self {
        Stop {
            gate,
            permit: None,
            waited: Duration::ZERO,
            start: None,
        }
    }
}

impl Way {
    /// Takes what there is room for now, where nothing is held yet. The first gate without room, if there is one.
    async fn take_what_there_is(&mut self) -> Result<Option<(usize, NotNow)>, Rejection> {
        for at in 0..self.stops.len() {
            if self.stops[at].permit.is_some() {
                continue;
            }
            let gate = &self.stops[at].gate;
            let (claim, turn) = (self.claim_at(gate), self.turn_at(gate));
            let holds_nothing = self.stops.iter().all(|stop| stop.permit.is_none());
            let tried = match gate.is_followed && holds_nothing {
                // Of one that holds nothing yet, the gate further in claims later than this one.
                true => gate.limiter.try_claim_ahead(&claim, turn),
                false => gate.limiter.try_claim(&claim, turn),
            };
            let answer = match tried {
                Tried::Now(answer) => answer,
                Tried::Later(answer) => answer.await,
            };
            match answer {
                Ok(permit) => self.stops[at].permit = Some(permit),
                Err(Refused::NotNow(refused)) => return Ok(Some((at, refused))),
                Err(Refused::Rejected(rejection)) => {
                    gate.limiter.count_refused(&claim);
                    return Err(rejection);
                }
            }
        }
        Ok(None)
    }

    /// Waits for room at a gate, and takes it there. Meanwhile nothing is held anywhere.
    async fn wait(
        &mut self,
        at: usize,
        refused: NotNow,
        progress: &Progress,
    ) -> Result<(), Rejection> {
        self.stops.iter_mut().for_each(|stop| stop.permit = None);
        let gate = self.stops[at].gate.clone();
        let claim = self.claim_at(&gate);
        if !gate.wait {
            let rejection = gate.limiter.turn_away(&claim, refused).await;
            gate.limiter.count_refused(&claim);
            return Err(rejection);
        }
        let since = Instant::now();
        let from = since.checked_sub(self.stops[at].waited).unwrap_or(since);
        let turn = gate.turn(self.turn_at(&gate), from);
        let permit = gate.limiter.wait(&claim, turn, refused, Some(progress));
        let permit = permit.await;
        // It goes on nowhere else.
        let permit = permit.inspect_err(|_| gate.limiter.count_refused(&claim))?;
        let start = self.start_in(&gate.limiter).or(permit.start());
        let stop = &mut self.stops[at];
        stop.start = start;
        stop.waited += since.elapsed();
        stop.permit = Some(permit);
        Ok(())
    }

    fn claim_at(&self, gate: &Gate) -> Claim {
        Claim {
            quantities: gate.quantities,
            ..self.claim.clone()
        }
    }

    /// Where it waited before, it goes on from where it began.
    fn turn_at(&self, gate: &Gate) -> Turn {
        Turn {
            start: self.start_in(&gate.limiter),
            longest_told: Some(gate.longest_wait(self.around)),
            ..gate.limiter.bound(self.turn)
        }
    }

    fn start_in(&self, limiter: &Limiter) -> Option<u64> {
        let is_of = |stop: &&Stop| stop.gate.limiter.is(limiter);
        let mut stops = self.stops.iter().filter(is_of);
        stops.find_map(|stop| stop.start)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{
        task::JoinHandle,
        time::{sleep, timeout},
    };

    use super::*;
    use crate::{
        event::{Event, ObservedCall},
        limit::{Limit, Limits, Quantities},
        limiter::Call,
        money::Money,
        rate_limit::RateLimitLayer,
        retry::RetryLayer,
        store::Observation,
        tags::Tag,
    };

    const DAY: Duration = Duration::from_secs(86_400);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Layers with these limits, and ten dollars a day.
    fn layer(limits: impl IntoIterator<Item = Limit>) -> RateLimitLayer {
        let budget = Limit::cost(Money::from_dollars(10)).every(DAY);
        let limits = Limits::new(limits.into_iter().chain([budget]));
        RateLimitLayer::new(Limiter::new(limits.unwrap()))
    }

    /// A claim for so many dollars at most.
    async fn claim(layer: &RateLimitLayer, dollars: u64) -> Result<Permits, Rejection> {
        let tags = Arc::new(Tags::new().with(Tag::Model, "m"));
        let progress = Progress::new();
        let asking = Asking::of(layer, &progress, tags.clone());
        let demand = Demand {
            cost: Money::from_dollars(dollars).as_nanos(),
            ..Demand::default()
        };
        let turn = Turn::new(0, None);
        let wanted = Wanted { tags, demand, turn };
        take(layer.gates(), wanted, (&asking, &progress)).await
    }

    fn waits(layer: &RateLimitLayer, dollars: u64) -> JoinHandle<Result<Permits, Rejection>> {
        let layer = layer.clone();
        tokio::spawn(async move { claim(&layer, dollars).await })
    }

    async fn spend(permits: Permits, dollars: u64) {
        let usage = Usage {
            cost: Some(Money::from_dollars(dollars)),
            ..Usage::new(1, 1)
        };
        permits.settled(usage).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn for_money_that_is_spent_nobody_waits() {
        let layer = layer([]);
        spend(claim(&layer, 9).await.unwrap(), 9).await;
        let start = Instant::now();
        let refused = claim(&layer, 2).await.unwrap_err();
        assert!(
            matches!(refused, Rejection::BudgetExceeded(_)),
            "{refused:?}"
        );
        assert_eq!(start.elapsed(), Duration::ZERO);
        // What is left is there.
        claim(&layer, 1).await.unwrap().release();
    }

    #[tokio::test(start_paused = true)]
    async fn for_money_that_is_reserved_a_claim_waits_as_long_as_calls_do() {
        let layer = layer([]);
        let held = claim(&layer, 9).await.unwrap();
        let start = Instant::now();
        let refused = claim(&layer, 2).await.unwrap_err();
        assert!(matches!(refused, Rejection::RateLimited(_)), "{refused:?}");
        assert_eq!(start.elapsed(), seconds(30));

        let waits = waits(&layer, 2);
        sleep(seconds(20)).await;
        spend(held, 8).await;
        waits.await.unwrap().unwrap().release();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_is_refused_when_the_money_is_spent() {
        let layer = layer([]);
        let held = claim(&layer, 9).await.unwrap();
        let waits = waits(&layer, 2);
        sleep(seconds(20)).await;
        spend(held, 9).await;
        let start = Instant::now();
        let refused = waits.await.unwrap().unwrap_err();
        assert!(
            matches!(refused, Rejection::BudgetExceeded(_)),
            "{refused:?}"
        );
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn for_other_room_it_waits_without_an_end_and_holds_no_money_meanwhile() {
        let layer = layer([Limit::requests(1).every(seconds(60))]);
        let held = claim(&layer, 1).await.unwrap();
        let waits = waits(&layer, 9);
        sleep(seconds(59)).await;
        assert!(!waits.is_finished());
        let limiter = layer.gates().0[0].limiter.clone();
        let explained = limiter.explain(&Call::new()).await.unwrap();
        let mut limits = explained.limits.iter();
        let budget = limits.find(|limit| limit.limit.starts_with("cost"));
        let reserved = budget.unwrap().reserved;
        assert_eq!(reserved, Money::from_dollars(1).as_nanos());
        let granted = waits.await.unwrap().unwrap();
        assert_eq!(granted.each.len(), 2);
        granted.release();
        held.release();
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_told_wait_it_waits_out_what_calls_wait_out() {
        let layer = layer([]).retry(RetryLayer::new().longest_wait(seconds(90)));
        let closed = claim(&layer, 1).await.unwrap();
        let until = closed.each[0].now().after(seconds(300));
        closed.each[0].observe(&Observation::Closed { until });
        let start = Instant::now();
        let refused = claim(&layer, 1).await.unwrap_err();
        assert!(matches!(refused, Rejection::RateLimited(_)), "{refused:?}");
        assert_eq!(refused.retry_after(), Some(seconds(300)));
        assert_eq!(start.elapsed(), Duration::ZERO);
        // Until that is left of it, which is more than they are patient for money.
        sleep(seconds(211)).await;
        claim(&layer, 1).await.unwrap().release();
        assert!(start.elapsed() >= seconds(300));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_refused_counts_where_refused_calls_do_and_once() {
        let limit = Limit::requests(5).every(seconds(60)).count_refused();
        let layer = layer([limit]);
        claim(&layer, 11).await.unwrap_err();
        let limiter = layer.gates().0[0].limiter.clone();
        let explained = limiter.explain(&Call::new()).await.unwrap();
        let mut limits = explained.limits.iter();
        let requests = limits.find(|limit| limit.limit.starts_with("requests"));
        assert_eq!(requests.unwrap().in_use, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_wait_is_told_where_there_is_one() {
        let waits = Arc::new(AtomicUsize::new(0));
        let counted = waits.clone();
        let layer = layer([]).observe(move |_: &ObservedCall, event: &Event<'_>| {
            if matches!(event, Event::Waits { .. }) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let limiter = Limiter::new(Limits::new([Limit::concurrency(1)]).unwrap());
        let _held = limiter.acquire(Call::new()).await.unwrap();
        for wait in [false, true] {
            let (tags, progress) = (Arc::<Tags>::default(), Progress::new());
            let asking = Asking::of(&layer, &progress, tags.clone());
            let gate = Gate::new(limiter.clone(), Quantities::ALL, wait);
            let wanted = Wanted {
                tags,
                demand: Demand::default(),
                turn: Turn::new(0, None),
            };
            let gates = (vec![Arc::new(gate)], None);
            let taken = take(gates, wanted, (&asking, &progress));
            let taken = timeout(seconds(1), taken).await;
            assert_eq!(taken.is_err(), wait, "it waits still, or is refused");
            assert_eq!(waits.load(Ordering::Relaxed), usize::from(wait));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn layers_that_are_off_ask_for_nothing() {
        let layer = layer([]);
        spend(claim(&layer, 9).await.unwrap(), 9).await;
        let layer = layer.off();
        assert!(claim(&layer, 99).await.unwrap().each.is_empty());
    }
}
