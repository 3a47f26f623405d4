//! Calls that are refused until somebody takes it back.

use super::{Around, Limit, LimitError, LimitKey, Limits, Quantity};
use crate::tags::Tags;

impl Limit {
    /// Creates a pause: while it is among the limits, no attempt with these tags leaves.
    ///
    /// It needs at least one [`when`](Self::when) and accepts nothing else. Calls that arrive or wait are refused at
    /// once with [`Rejection::Paused`](crate::Rejection::Paused), whatever else they lack, and are not repeated; if the
    /// pause looks at the target, another target is tried. An attempt that has left runs to its end, and a call whose
    /// provider has answered gets that answer. Neither a pause nor its end touches any count.
    ///
    /// Add it to the limits and remove it with [`Limiter::change`](crate::Limiter::change). A store in a file keeps it
    /// across restarts, and processes that share a server share it. [Setting](crate::Limiter::reconfigure) other limits
    /// ends the pause unless they include it; reading a configuration again leaves it in place.
    ///
    /// ```
    /// use tower_quota::{Limiter, Tag, Tags, limit::{Limit, LimitError, Limits}, limiter::Call, store::Reason};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([Limit::concurrency(4)])?);
    /// let scout = || Call::new().tags(Tags::new().with(Tag::Agent, "scout"));
    /// let pause = Limit::paused().when(Tag::Agent, "scout");
    ///
    /// let put = pause.clone();
    /// limiter.change(Reason::new("it loops").by("ada"), move |limits| limits.with(put)).await?;
    /// let refused = limiter.acquire(scout()).await.unwrap_err();
    /// assert_eq!(refused.to_string(), "agent=scout is paused");
    /// drop(limiter.acquire(Call::new()).await?);
    ///
    /// let took = limiter.change("mended", move |limits| Ok::<_, LimitError>(limits.without(&pause)));
    /// took.await?;
    /// drop(limiter.acquire(scout()).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn paused() -> Self {
        Limit {
            paused: true,
            ..Limit::new(Quantity::Concurrency, 0)
        }
    }

    /// Returns whether this is a [pause](Self::paused).
    #[must_use]
    pub fn is_pause(&self) -> bool {
        self.paused
    }

    /// Whose calls it is on, in words: `model=gpt-4o|gpt-5, agent=scout`.
    pub(crate) fn whose(&self) -> String {
        let when = self.when.iter();
        let when = when.map(|(tag, values)| format!("{tag}={}", values.join("|")));
        when.collect::<Vec<_>>().join(", ")
    }
}

impl Limits {
    /// Returns the pauses among the limits.
    pub fn pauses(&self) -> impl Iterator<Item = &Limit> {
        self.iter().filter(|limit| limit.paused)
    }

    /// The pause that a call with these tags falls under.
    pub(crate) fn pause_of(&self, tags: &Tags) -> Option<LimitKey> {
        if !self.have_pauses() {
            return None;
        }
        let mut pauses = self.live().filter(|(_, rule)| rule.limit.paused);
        let around = Around::of(tags);
        let (place, rule) = pauses.find(|(_, rule)| around.touch(&rule.limit))?;
        Some(LimitKey::of(place, &rule.limit, tags))
    }
}

/// A pause has tags, and nothing else.
pub(super) fn check_pause(place: usize, limit: &Limit) -> Result<(), LimitError> {
    if !limit.paused {
        return Ok(());
    }
    let bare = Limit {
        when: limit.when.clone(),
        ..Limit::paused()
    };
    let reason = match () {
        () if limit.when.is_empty() => "needs `when`: say whose calls are paused",
        () if *limit != bare => "takes `when`, and nothing else",
        () => return Ok(()),
    };
    Err(LimitError::BadPause {
        place,
        limit: limit.to_string(),
        reason,
    })
}
