//! Asking without taking.

use super::{Call, Limiter, Turn};
use crate::{
    error::{Rejection, Shortage, StoreError, Unit},
    limit::Room,
    store::{Claim, NotNow, Standing},
    tags::Tags,
};

/// What [`Limiter::peek`] says about a call that would not be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Peek {
    /// It would be admitted at once.
    Room,
    /// It would wait for this limit; if for several, the one that has room last.
    Wait(Shortage),
}

/// What was found without taking anything.
pub(super) struct Look {
    pub(super) claim: Claim,
    pub(super) turn: Turn,
    pub(super) standings: Vec<Standing>,
    pub(super) answer: Result<Peek, Rejection>,
}

/// How full a limit is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    /// The share of it that is in use; 1 of one under which nothing passes.
    pub(crate) share: f64,
    /// Whether it is a budget.
    pub(crate) is_money: bool,
}

impl Limiter {
    /// Returns what [`acquire`](Self::acquire) would do with this call now.
    ///
    /// It takes nothing and no place in the queue: another call may take the room in between.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::{Call, Peek}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limits = Limits::new([Limit::requests(1).every(Duration::from_secs(60))])?;
    /// let limiter = Limiter::new(limits);
    /// let call = Call::new();
    /// assert_eq!(limiter.peek(&call).await?, Peek::Room);
    /// assert_eq!(limiter.peek(&call).await?, Peek::Room, "it took nothing");
    ///
    /// let permit = limiter.acquire(call).await?;
    /// let Peek::Wait(shortage) = limiter.peek(&Call::new()).await? else { panic!("no room") };
    /// assert_eq!(shortage.in_use, 1);
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The [`Rejection`] that `acquire` would return at once.
    ///
    /// # Cancel safety
    /// Nothing is taken, so nothing is lost.
    pub async fn peek(&self, call: &Call) -> Result<Peek, Rejection> {
        self.look(call).await?.answer
    }

    /// Whether the store can take claims at present.
    ///
    /// # Errors
    /// Why it cannot.
    #[cfg(feature = "gateway")]
    pub(crate) async fn health(&self) -> Result<(), StoreError> {
        self.shared.get(self.shared.store.health()).await
    }

    /// How full the limits are that a call with these tags touches and that do not only watch; nothing where nobody can say.
    /// For decisions, which each call waits for: by what is known here, where the store knows, and without a look at those
    /// who wait.
    pub(crate) async fn fills(&self, tags: Tags) -> Vec<Fill> {
        let (claim, _) = self.parts(Call::new().tags(tags));
        let standings = self.shared.get(self.shared.store.look(&claim)).await;
        let limits = self.limits();
        let acting = standings.iter().flatten().filter(|count| !count.shadow);
        let fill = |count: &Standing| Fill {
            share: share(count.in_use, limits.amount_of(&count.key)),
            is_money: limits.unit_of(&count.key) == Unit::NanoDollar,
        };
        acting.map(fill).collect()
    }

    /// Whether a limit that looks at where a call goes holds one with these tags up, as far as anybody can say.
    pub(crate) async fn is_held_up_by_target(&self, tags: Tags) -> bool {
        let (claim, turn) = self.parts(Call::new().tags(tags));
        let Ok(standings) = self.shared.get(self.shared.store.look(&claim)).await else {
            return false;
        };
        let limits = self.limits();
        let counts = standings.iter();
        let counts = counts.filter(|count| !count.shadow && limits.is_of_target(&count.key));
        let of_target: Vec<&Standing> = counts.collect();
        if of_target.iter().any(|count| count.room != Room::Now) {
            return true;
        }
        if of_target.is_empty() || self.waiting() == 0 {
            return false;
        }
        let Ok((_, comer)) = self.shared.comer_now(&claim, turn).await else {
            return false;
        };
        let queue = self.shared.queue();
        let mut counts = of_target.iter();
        counts.any(|count| queue.is_behind(&count.key, &comer))
    }

    pub(super) async fn look(&self, call: &Call) -> Result<Look, StoreError> {
        let (claim, turn) = self.parts(call.clone());
        let standings = self.shared.get(self.shared.store.peek(&claim)).await?;
        let (mut behind, mut late) = (None, None);
        if self.waiting() > 0 {
            behind = self.behind(&claim, turn, false).await?;
            let (keys, comer) = self.shared.comer(&claim, turn);
            late = match turn.deadline {
                Some(_) => {
                    let of = (keys.as_slice(), &comer);
                    self.shared.too_late_behind(&claim, of, turn).await?
                }
                None => None,
            };
        }
        let answer = self.foretell(behind, late, turn, &standings);
        Ok(Look {
            claim,
            turn,
            standings,
            answer,
        })
    }

    /// A refusal with the store's figures, also of a claim that was not tried because others wait before it; and whether
    /// there never is room.
    pub(crate) async fn in_figures(
        &self,
        claim: &Claim,
        refused: NotNow,
    ) -> Result<(bool, NotNow), StoreError> {
        if refused.needed > 0 {
            return Ok((false, refused));
        }
        let standings = self.shared.get(self.shared.store.peek(claim)).await?;
        let known = Standing::refusal(&standings);
        Ok(known.map_or((false, refused), |(room, known)| {
            (room == Room::Never, known)
        }))
    }

    fn foretell(
        &self,
        behind: Option<NotNow>,
        late_behind: Option<Rejection>,
        turn: Turn,
        standings: &[Standing],
    ) -> Result<Peek, Rejection> {
        let shared = &self.shared;
        let last = match Standing::refusal(standings) {
            Some((Room::Never, refused)) => return Err(shared.never(&refused)),
            Some((_, refused)) => Some(refused),
            None => None,
        };
        let Some(refused) = behind.or(last) else {
            return Ok(Peek::Room);
        };
        let figures = Standing::refusal(standings).map_or(refused.clone(), |(_, known)| known);
        let late = shared.too_late(&figures, turn.deadline);
        if let Some(late) = late.or(late_behind) {
            return Err(late);
        }
        let (waiting, shortage) = (self.waiting(), shared.shortage(&refused));
        if waiting >= shared.options.max_waiting {
            return Err(Rejection::QueueFull { waiting, shortage });
        }
        Ok(Peek::Wait(shortage))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
fn share(in_use: u64, amount: u64) -> f64 {
    match amount {
        // A cooldown, or a pause.
        0 => 1.0,
        amount => in_use as f64 / amount as f64,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        limit::{Limit, Limits},
        limiter::Outlook,
        tags::Tag,
    };

    fn at(provider: &str) -> Tags {
        Tags::new().with(Tag::Provider, provider)
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_on_a_target_holds_up_those_who_stand_behind_others_there() {
        let tokens = Limit::tokens(100).every(Duration::from_secs(60));
        let limits = Limits::new([tokens.when(Tag::Provider, "a")]).unwrap();
        let limiter = Limiter::new(limits);
        let call = || Call::new().tags(at("a"));
        let held = limiter.acquire(call().tokens(60, 0)).await.unwrap();
        assert!(!limiter.is_held_up_by_target(at("a")).await);
        let fills = limiter.fills(at("a")).await;
        assert_eq!(fills.len(), 1);
        assert!((fills[0].share - 0.6).abs() < 1e-9 && !fills[0].is_money);

        let waits = limiter.clone();
        let waits = tokio::spawn(async move {
            let call = Call::new().tags(at("a")).tokens(60, 0);
            waits.acquire(call).await.map(drop)
        });
        while limiter.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        let seen = &limiter.explain(&call()).await.unwrap().limits[0];
        assert_eq!((seen.room, seen.ahead), (Outlook::Now, 1));
        assert!(limiter.is_held_up_by_target(at("a")).await);
        assert!(!limiter.is_held_up_by_target(at("b")).await);
        drop((held, waits));
    }
}
