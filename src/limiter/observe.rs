//! What answers tell goes to the store, and those who wait look again where it makes room.

use std::{fmt, sync::Arc};

use super::{Permit, Shared};
use crate::{
    limit::{LimitKey, Tick},
    store::{Answer, Observation},
    tags::Tags,
};

impl Permit {
    /// Takes in what the answer to this call tells of its limits: the provider's counters, that a limit refused the
    /// call, or that the provider is to be left alone for a while.
    ///
    /// The layers of this crate do this by themselves; this is for programs that call by other means than HTTP.
    ///
    /// Report it after the call has left and before the permit ends, once for each answer. Only tags that say where the
    /// call goes (provider, API key, model) matter.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, Tag, Tags, limit::Limits, limiter::Call, store::Observation};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([])?);
    /// let call = |model| Call::new().tags(Tags::new().with(Tag::Model, model));
    /// let permit = limiter.acquire(call("a")).await?;
    /// permit.observe(&Observation::Closed { until: permit.now().after(Duration::from_secs(5)) });
    ///
    /// let refused = limiter.try_acquire(call("a")).await.unwrap_err();
    /// assert_eq!(refused.to_string(), "rate limited here: cooldown of model=a; room in 5.0 s");
    /// assert!(limiter.try_acquire(call("b")).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// None. A store that cannot take this in will take in the next one, and what it counts is right all the same.
    pub fn observe(&self, seen: &Observation) {
        if let Some(observed) = self.hear(seen) {
            observed.see_to();
        }
    }

    /// The same under a lock: what comes of it is to be seen to when that is let go.
    pub(crate) fn hear(&self, seen: &Observation) -> Option<Observed> {
        let grant = self.grant.as_ref()?;
        let answer = self.shared.store.observe(&self.tags, grant, seen);
        let makes_no_room = matches!(&answer, Answer::Now(news) if *news != Ok(true));
        (!makes_no_room).then(|| Observed {
            shared: self.shared.clone(),
            tags: self.tags.clone(),
            answer,
        })
    }

    /// Returns the store's time, by which [observations](Observation) are dated.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.shared.store.now()
    }
}

/// What the store says to an observation. Not to be seen to under a lock: those who wait may be woken.
#[must_use = "those who wait may have room"]
pub(crate) struct Observed {
    shared: Arc<Shared>,
    tags: Arc<Tags>,
    answer: Answer<bool>,
}

impl Observed {
    /// Has those who wait look again, where there may be room now.
    pub(crate) fn see_to(self) {
        let Observed {
            shared,
            tags,
            answer,
        } = self;
        shared.observed(answer, || shared.keys_of_target(&tags));
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observed").field(&self.answer).finish()
    }
}

impl Shared {
    fn keys_of_target(&self, tags: &Tags) -> Vec<LimitKey> {
        let mut keys = self.limits().keys_given_back(tags);
        keys.extend(LimitKey::cooldown(tags));
        keys
    }

    fn observed(self: &Arc<Self>, answer: Answer<bool>, keys: impl FnOnce() -> Vec<LimitKey>) {
        match answer {
            Answer::Now(Ok(true)) => self.look_again(keys),
            Answer::Now(_) => {}
            Answer::Later(answer) => {
                let (shared, keys) = (self.clone(), keys());
                self.post(Box::pin(async move {
                    if answer.await == Ok(true) {
                        shared.kick(keys);
                    }
                }));
            }
        }
    }
}
