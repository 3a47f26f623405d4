//! Why a call would be held: every limit that it touches, in numbers and in words.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use super::{Call, Limiter, Peek, peek::Look};
use crate::{
    error::{self, Rejection, StoreError, Unit},
    limit::{Limits, Room, Tick},
    store::Standing,
};

/// What would become of a call, and why. Returned by [`Limiter::explain`].
///
/// Its text reads like that of a refusal, and it can be serialized for dashboards; see `explain` for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether the call would have to wait.
    pub held: bool,
    /// The refusal that the call would get instead, if any. In JSON, its text.
    #[serde(serialize_with = "as_text")]
    pub refused: Option<Rejection>,
    /// When there will be room under all its limits together.
    ///
    /// This is the earliest time: what is charged until then, and the calls that came before, are not taken into
    /// account.
    pub room: Outlook,
    /// Every limit that the call touches.
    ///
    /// They come in this order: the limits as they were given; their slices; limits that were added
    /// [later](Limiter::reconfigure); the cooldown of the call's target, while there is one; and last the
    /// [pauses](crate::limit::Limit::paused). Concurrency limits of which a call around this one holds a slot are left
    /// out.
    pub limits: Vec<Explained>,
}

/// How one limit stands with respect to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// The limit in words, such as `tokens 90000/min for model=gpt-4o`, or the cooldown of the call's target, such as
    /// `cooldown of provider=openai, model=gpt-4o`.
    pub limit: String,
    /// How much of it may be used. Zero for a cooldown and for a pause.
    pub amount: u64,
    /// Whether the limit only watches: then it never holds a call up.
    pub shadow: bool,
    /// Whether the limit looks at where the call goes: its provider, model or API key.
    pub of_target: bool,
    /// The unit of the amounts.
    pub unit: Unit,
    /// What counts under it now.
    pub in_use: u64,
    /// The part of `in_use` that is reserved for calls that have not ended.
    pub reserved: u64,
    /// What the call needs of it.
    pub needed: u64,
    /// What would count under it with this call.
    pub would_be: u64,
    /// Whether there is room, or when there will be.
    pub room: Outlook,
    /// How many better-ranked calls wait for it, or have room kept there.
    pub ahead: usize,
}

/// When there is room. In JSON: `"now"`, `{"in_ms": 3200}`, `"when_given_back"` or `"never"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outlook {
    /// Now.
    Now,
    /// After this wait, if nothing else is charged and nothing is given back.
    #[serde(rename = "in_ms")]
    In(#[serde(serialize_with = "as_millis")] Duration),
    /// When a call in flight gives something back; nobody can say when.
    WhenGivenBack,
    /// Never.
    Never,
}

impl Limiter {
    /// Explains whether a call would be held now, by which limits, for how long, and why. Takes nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use tower_quota::{Limiter, Usage, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let minute = Duration::from_secs(60);
    /// let limits = Limits::new([Limit::requests(10).every(minute), Limit::tokens(1_000).every(minute)])?;
    /// let limiter = Limiter::new(limits);
    /// limiter.acquire(Call::new().tokens(900, 0)).await?.settle(Usage::new(900, 0));
    ///
    /// let explanation = limiter.explain(&Call::new().tokens(250, 0)).await?;
    /// assert!(explanation.held);
    /// assert_eq!(
    ///     explanation.to_string(),
    ///     "held by 1 of 2 limits; room in 60.5 s\n\
    ///      - requests 10/min: 1 in use, this call needs 1 (would be 2); room now\n\
    ///      - tokens 1000/min: 900 in use, this call needs 250 (would be 1150); room in 60.5 s"
    /// );
    /// let json = serde_json::to_value(&explanation)?;
    /// assert_eq!(json["limits"][1]["room"]["in_ms"], 60_500);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the store of counts cannot answer. A call that would be refused is explained like any other.
    ///
    /// # Cancel safety
    /// Nothing is taken, so nothing is lost.
    pub async fn explain(&self, call: &Call) -> Result<Explanation, StoreError> {
        let Look {
            claim,
            turn,
            standings,
            answer,
        } = self.look(call).await?;
        let (_, comer) = self.shared.comer_now(&claim, turn).await?;
        let now = self.shared.store.now();
        let queue = self.shared.queue();
        let ahead: Vec<usize> = standings
            .iter()
            .map(|standing| queue.ahead(&standing.key, &comer))
            .collect();
        drop(queue);
        let known = self.limits();
        let limits: Vec<Explained> = standings
            .iter()
            .zip(ahead)
            .map(|(standing, ahead)| explained(&known, standing, now, ahead))
            .collect();
        let acting = limits.iter().filter(|limit| !limit.shadow);
        let room = acting.map(|limit| limit.room).max();
        Ok(Explanation {
            held: matches!(answer, Ok(Peek::Wait(_))),
            refused: answer.err(),
            room: room.unwrap_or(Outlook::Now),
            limits,
        })
    }
}

fn explained(limits: &Limits, standing: &Standing, now: Tick, ahead: usize) -> Explained {
    let Standing {
        key,
        in_use,
        reserved,
        needed,
        room,
        shadow,
        ..
    } = standing;
    Explained {
        limit: limits.describe(key),
        amount: limits.amount_of(key),
        shadow: *shadow,
        of_target: limits.is_of_target(key),
        unit: limits.unit_of(key),
        in_use: *in_use,
        reserved: *reserved,
        needed: *needed,
        would_be: in_use.saturating_add(*needed),
        room: match room {
            Room::Now => Outlook::Now,
            Room::At(at) => Outlook::In(at.since(now)),
            Room::WhenGivenBack => Outlook::WhenGivenBack,
            Room::Never => Outlook::Never,
        },
        ahead,
    }
}

impl Explanation {
    /// Returns the limits that would hold the call: those without room, and those for which better-ranked calls wait.
    pub fn held_by(&self) -> impl Iterator<Item = &Explained> {
        self.limits
            .iter()
            .filter(|limit| !limit.shadow && (limit.room != Outlook::Now || limit.ahead > 0))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.refused, self.limits.len()) {
            (Some(refused), _) => write!(f, "{refused}")?,
            (None, 0) => f.write_str("admitted now: no limit is touched")?,
            (None, all) if self.held => {
                write!(f, "held by {} of {all} limits", self.held_by().count())?;
                if self.room != Outlook::Now {
                    write!(f, "; {}", self.room)?;
                }
            }
            (None, _) => f.write_str("admitted now")?,
        }
        self.limits
            .iter()
            .try_for_each(|limit| write!(f, "\n- {limit}"))
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amount == 0 {
            f.write_str(&self.limit)?;
        } else {
            let in_use = (self.in_use, self.reserved);
            error::counted(f, &self.limit, self.unit, in_use, self.needed)?;
        }
        if self.amount == 0 && self.room == Outlook::Never {
            // A pause: there is no more to say of it.
            return Ok(());
        }
        write!(f, "; {}", self.room)?;
        match self.ahead {
            0 => Ok(()),
            1 => f.write_str("; 1 call that came before waits for it"),
            ahead => write!(f, "; {ahead} calls that came before wait for it"),
        }
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outlook::Now => f.write_str("room now"),
            Outlook::In(wait) => error::room_in(f, *wait),
            Outlook::WhenGivenBack => f.write_str("room when something held is given back"),
            Outlook::Never => f.write_str("never room"),
        }
    }
}

fn as_text<S: Serializer>(refused: &Option<Rejection>, serializer: S) -> Result<S::Ok, S::Error> {
    match refused {
        Some(refused) => serializer.collect_str(refused),
        None => serializer.serialize_none(),
    }
}

/// Rounded up: a wait that is read and obeyed must not come out short.
fn as_millis<S: Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = wait.as_nanos().div_ceil(1_000_000);
    serializer.serialize_u64(u64::try_from(millis).unwrap_or(u64::MAX))
}
