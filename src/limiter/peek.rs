//! Asking without taking.

use super::{Call, Limiter, Turn};
use crate::{
    error::{Rejection, Shortage, StoreError},
    limit::Room,
    store::{Claim, NotNow, Standing},
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
