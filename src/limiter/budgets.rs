//! Budgets: what is done to them by hand, what happens to them, and how they stand.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use super::{Limiter, Shared};
use crate::{
    error::StoreError,
    store::{BudgetEvent, BudgetStanding, Correction, CountStanding, Reason},
    tags::Tags,
};

type Listener = Arc<dyn Fn(&BudgetEvent) + Send + Sync>;

/// Who is to hear what happens to budgets.
#[derive(Default)]
pub(super) struct Listeners {
    all: RwLock<Vec<Listener>>,
    /// Whether there is any.
    any: AtomicBool,
}

impl Limiter {
    /// Registers a listener for what happens to budgets: thresholds that are passed, circuits that open, and every
    /// change by hand.
    ///
    /// It hears of everything from now on, and of what nobody has been told yet. Each event is told once, to every
    /// listener there is.
    ///
    /// The listener is called by whoever settles, refuses or changes something, with no lock held. It must neither
    /// block nor panic: the caller may be a permit that is being dropped. Events of calls that end at the same time may
    /// arrive in any order. While there is no listener, the last 1 024 events are kept. If several limiters share a
    /// store, each hears what it caused itself, or what another caused and has not told yet. A listener stays for as
    /// long as the limiter; one that holds the limiter keeps it alive forever.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use tower_quota::{Limiter, Money, Tags, Usage, limit::{Limit, Limits}, store::{BudgetEvent, Correction}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hour = std::time::Duration::from_secs(3_600);
    /// let budget = Limit::cost(Money::from_dollars(10)).every(hour).thresholds([0.8]);
    /// let limiter = Limiter::new(Limits::new([budget])?);
    /// let heard = Arc::new(Mutex::new(Vec::<BudgetEvent>::new()));
    /// let listener = heard.clone();
    /// limiter.on_event(move |event| listener.lock().unwrap().push(event.clone()));
    ///
    /// let mut usage = Usage::new(1_000, 100);
    /// usage.cost = Some(Money::from_dollars(9));
    /// limiter.record(&Tags::new(), usage).await?;
    /// limiter.correct(&Tags::new(), Correction::Less(Money::from_dollars(2)), "refunded").await?;
    /// let heard = heard.lock().unwrap();
    /// assert_eq!(heard.len(), 2);
    /// assert_eq!(heard[0].budget, "cost $10.00/hour");
    /// assert_eq!(heard[1].settled, Some(Money::from_dollars(7)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_event(&self, listener: impl Fn(&BudgetEvent) + Send + Sync + 'static) {
        let listeners = &self.shared.listeners;
        let all = listeners.all.write();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::new(listener));
        drop(all);
        listeners.any.store(true, Ordering::Release);
        self.shared.tell_events();
    }

    /// Corrects the amount spent of every budget that the tags touch, for when the count and the bill differ.
    ///
    /// What is taken back makes room at once; what is added is never refused, and may become debt. The correction is
    /// recorded in the [audit log](Self::audit).
    ///
    /// # Errors
    /// If the store cannot do this.
    ///
    /// # Cancel safety
    /// Once the future has been polled the correction counts, even if the future is dropped.
    pub async fn correct(
        &self,
        tags: &Tags,
        correction: Correction,
        reason: impl Into<Reason>,
    ) -> Result<(), StoreError> {
        let shared = &self.shared;
        let answer = shared.store.correct(tags, correction, &reason.into());
        shared.get(answer).await?;
        shared.budgets_changed(tags);
        Ok(())
    }

    /// Resets what [went over](crate::limit::Limit::circuit): closes the open circuits of the budgets that the tags
    /// touch, and forgets what was spent of those budgets. Returns how many there were.
    ///
    /// The tags are those of the calls that are stopped; a split budget is reset one value at a time. The reset is
    /// recorded in the [audit log](Self::audit).
    ///
    /// # Errors
    /// If the store cannot do this.
    ///
    /// # Cancel safety
    /// Once the future has been polled the reset counts, even if the future is dropped.
    pub async fn reset(&self, tags: &Tags, reason: impl Into<Reason>) -> Result<u64, StoreError> {
        let shared = &self.shared;
        let reset = shared.get(shared.store.reset(tags, &reason.into())).await?;
        shared.budgets_changed(tags);
        Ok(reset)
    }

    /// Returns how every limit on [cost](crate::limit::Limit::cost) stands, in the order of the limits, with a separate
    /// entry for each value under which something was counted.
    ///
    /// This looks at every count: it is for dashboards, not for decisions.
    ///
    /// ```
    /// use tower_quota::{Limiter, Money, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([Limit::cost(Money::from_dollars(5)).every_run()])?);
    /// let permit = limiter.acquire(Call::new().cost(Money::from_dollars(2))).await?;
    /// let budgets = limiter.budgets().await?;
    /// assert_eq!(budgets[0].reserved, Money::from_dollars(2));
    /// assert_eq!(budgets[0].left(), Money::from_dollars(3));
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the store cannot answer, or does not support this.
    ///
    /// # Cancel safety
    /// Nothing is taken, so nothing is lost.
    pub async fn budgets(&self) -> Result<Vec<BudgetStanding>, StoreError> {
        self.shared.get(self.shared.store.budgets()).await
    }

    /// Returns how the counts of every limit stand, budgets included, in the order of the limits, with a separate entry
    /// for each value under which something was counted.
    ///
    /// Of each limit, the `most` fullest are returned. Of a limit with more than ten thousand values, only the first
    /// ten thousand found are considered. This is for dashboards, not for decisions.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, Tag, Tags, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([Limit::tokens(1_000).every(Duration::from_secs(60)).per(Tag::Agent)])?);
    /// for (agent, input) in [("a", 100), ("b", 700), ("c", 300)] {
    ///     limiter.acquire(Call::new().tags(Tags::new().with(Tag::Agent, agent)).tokens(input, 0)).await?;
    /// }
    /// let counts = limiter.counts(2).await?;
    /// let fullest: Vec<(&str, f64)> = counts.iter().map(|one| (&*one.of.as_ref().unwrap()[0].1, one.share())).collect();
    /// assert_eq!(fullest, [("b", 0.7), ("c", 0.3)]);
    /// assert_eq!(&*counts[0].rule, "tokens 1000/min per agent");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the store cannot answer, or does not support this.
    ///
    /// # Cancel safety
    /// Nothing is taken, so nothing is lost.
    pub async fn counts(&self, most: usize) -> Result<Vec<CountStanding>, StoreError> {
        self.shared.get(self.shared.store.counts(most)).await
    }
}

impl Shared {
    /// Something was spent, or is not any more.
    pub(super) fn budgets_changed(self: &Arc<Self>, tags: &Tags) {
        self.look_again(|| self.limits().keys_given_back(tags));
        self.tell_events();
    }

    /// Tells what has happened to budgets, where anything may have and anybody listens.
    pub(super) fn tell_events(&self) {
        if !self.listeners.any.load(Ordering::Acquire) {
            return;
        }
        let listeners = self.listeners.all.read();
        let listeners = listeners.unwrap_or_else(PoisonError::into_inner).clone();
        for event in self.store.events() {
            listeners.iter().for_each(|listener| listener(&event));
        }
    }
}
