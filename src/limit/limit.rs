//! One limit: an amount of one quantity per period, when tags match, counted per tag value.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{CalendarUnit, Charge, Period, Quantity, share::Share};
use crate::{
    money::Money,
    tags::{Tag, bounded},
};

/// The values of one tag, any of which will do.
pub(crate) type Values = SmallVec<[Arc<str>; 1]>;

/// An amount of one quantity per period, for calls `when` tags match, counted separately `per` tag value.
///
/// A limit is not checked until a [`Limits`](super::Limits) is made of it.
///
/// ```
/// use std::time::Duration;
/// use tower_quota::{limit::Limit, Tag};
///
/// let minute = Duration::from_secs(60);
/// let limit = Limit::tokens(90_000).every(minute).when(Tag::Model, "gpt-4o").per(Tag::Agent);
/// assert_eq!(limit.to_string(), "tokens 90000/min for model=gpt-4o per agent");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Limit {
    pub(crate) quantity: Quantity,
    pub(crate) amount: u64,
    pub(crate) period: Option<Period>,
    /// Whose calendar it is, where the period is one of a calendar.
    pub(crate) zone: Option<Arc<str>>,
    /// Of each tag one of these values, sorted.
    pub(crate) when: Vec<(Tag, Values)>,
    pub(crate) per: Vec<Tag>,
    pub(crate) charge: Charge,
    pub(crate) count: Option<Count>,
    pub(crate) margin: Option<Duration>,
    pub(crate) headroom: Option<f64>,
    pub(crate) slice: Option<Duration>,
    /// The period that this limit is a slice of.
    pub(crate) whole: Option<Duration>,
    pub(crate) amounts: Vec<(Arc<str>, u64)>,
    pub(crate) shares: Vec<Share>,
    /// The part that this limit is of another.
    pub(crate) part: Option<f64>,
    pub(crate) shadow: bool,
    pub(crate) count_refused: bool,
    pub(crate) adaptive: Option<f64>,
    /// Shares of a budget to warn of, sorted.
    pub(crate) thresholds: Vec<f64>,
    /// Whether it stops until it is reset.
    pub(crate) circuit: bool,
    /// Whether nothing passes under it at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) paused: bool,
}

/// What a limit on requests counts if a call has several attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Count {
    /// A call counts once, however often it is repeated. If the limit also looks at tags of the target, the call counts
    /// once for each of their values that it goes to. The default if any tag of the limit is one of the caller's.
    Calls,
    /// Every attempt counts. The default otherwise, because providers count like this.
    Attempts,
}

impl Limit {
    /// Creates a limit of `amount` on `quantity`. Every quantity but concurrency also needs a period.
    pub fn new(quantity: Quantity, amount: u64) -> Self {
        Limit {
            quantity,
            amount,
            period: None,
            zone: None,
            when: Vec::new(),
            per: Vec::new(),
            charge: Charge::default(),
            count: None,
            margin: None,
            headroom: None,
            slice: None,
            whole: None,
            amounts: Vec::new(),
            shares: Vec::new(),
            part: None,
            shadow: false,
            thresholds: Vec::new(),
            circuit: false,
            count_refused: false,
            adaptive: None,
            paused: false,
        }
    }

    /// Creates a limit on requests.
    pub fn requests(amount: u64) -> Self {
        Self::new(Quantity::Requests, amount)
    }

    /// Creates a limit on tokens, input and output together.
    ///
    /// They are charged by [`Charge::default`], which gives nothing back earlier than any provider does, and so may let
    /// less through than yours. [`charge`](Self::charge) sets the provider's own way. A configuration takes that by itself
    /// where the limit is for one provider.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Tag, limit::{Charge, Limit}};
    ///
    /// let limit = Limit::tokens(500_000).every(Duration::from_secs(60)).when(Tag::Provider, "openai");
    /// let as_openai_does = limit.charge(Charge::openai());
    /// # assert_eq!(as_openai_does.to_string(), "tokens 500000/min for provider=openai");
    /// ```
    pub fn tokens(amount: u64) -> Self {
        Self::new(Quantity::Tokens, amount)
    }

    /// Creates a limit on input tokens.
    pub fn input_tokens(amount: u64) -> Self {
        Self::new(Quantity::InputTokens, amount)
    }

    /// Creates a limit on output tokens.
    pub fn output_tokens(amount: u64) -> Self {
        Self::new(Quantity::OutputTokens, amount)
    }

    /// Creates a limit on calls in flight. A call holds its slot until its response body has ended or was dropped.
    ///
    /// Calls made inside a call that holds a slot [take none](crate::limiter::Delegation) of the same limit, however
    /// many of them run at once. So a call that fans out can have more calls in flight than the limit allows. To bound
    /// those calls, for example because a provider does, set the limit on a tag that only they have, so that the call
    /// around them holds no slot of it. Or bound the fan-out itself, for example with a semaphore.
    pub fn concurrency(amount: u64) -> Self {
        Self::new(Quantity::Concurrency, amount)
    }

    /// Creates a limit on money: a budget.
    ///
    /// The most that a call may cost is reserved; when the call ends, what it did cost is charged. A call that says
    /// nothing about its cost is not held back.
    ///
    /// ```
    /// use tower_quota::{Money, Tag, limit::{CalendarUnit, Limit}};
    ///
    /// let limit = Limit::cost(Money::from_dollars(100)).every_calendar(CalendarUnit::Day, "Europe/Berlin").per(Tag::Team);
    /// assert_eq!(limit.to_string(), "cost $100.00/calendar day in Europe/Berlin per team");
    /// ```
    pub fn cost(amount: Money) -> Self {
        Self::new(Quantity::Cost, amount.as_nanos())
    }

    /// Counts over successive hours, days, weeks or months of a calendar, in a time zone given by its name in the IANA
    /// database. The whole amount is available again when the next period begins.
    ///
    /// The wall clock tells which period it is, and setting the clock back does not begin a period again. What was counted
    /// while the clock was far ahead is gone after two such periods. A call that is open when a period ends counts in both
    /// periods until it ends, and then only in the one in which it ends.
    pub fn every_calendar(mut self, unit: CalendarUnit, zone: impl Into<Arc<str>>) -> Self {
        self.period = Some(Period::Calendar(unit));
        self.zone = Some(zone.into());
        self
    }

    /// Counts over any interval of this length.
    pub fn every(mut self, length: Duration) -> Self {
        self.period = Some(Period::Sliding(length));
        self
    }

    /// Counts over the life of one run, separately for each value of the tag `run`.
    pub fn every_run(mut self) -> Self {
        self.period = Some(Period::Run);
        if self.per.contains(&Tag::Run) {
            self
        } else {
            self.per(Tag::Run)
        }
    }

    /// Counts for all time: what is spent never comes back, and once the money is spent, every call is refused until the
    /// amount is raised. For limits on cost only.
    ///
    /// ```
    /// use tower_quota::{Limiter, Money, Tags, Usage, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([Limit::cost(Money::from_dollars(10)).in_total()])?);
    /// let mut usage = Usage::default();
    /// usage.cost = Some(Money::from_dollars(10));
    /// limiter.record(&Tags::new(), usage).await?;
    ///
    /// let call = Call::new().cost(Money::from_dollars(1));
    /// let refused = limiter.try_acquire(call).await.unwrap_err();
    /// assert!(refused.to_string().starts_with("budget exceeded: cost $10.00 in total"), "{refused}");
    /// assert_eq!(refused.retry_after(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_total(mut self) -> Self {
        self.period = Some(Period::Total);
        self
    }

    /// Applies the limit only to calls with this tag at this value. If given several times, all must match.
    ///
    /// A model also matches under its plainer names, in the same way as prices do: a limit on `gpt-4` also applies to
    /// `gpt-4-0613`, `openai/gpt-4` and `arn:aws:bedrock:…/us.openai.gpt-4-v1:0`, but never the other way round, and
    /// never to `gpt-4o`. A further limit on `gpt-4-0613` comes on top of it: calls to the snapshot take from both,
    /// because an additional limit must never let more through. [`per`](Self::per) counts names as they are written.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, Tag, Tags, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let limit = Limit::requests(1).every(Duration::from_secs(60)).when(Tag::Model, "gpt-4");
    /// let limiter = Limiter::new(Limits::new([limit]).unwrap());
    /// let call = |model: &str| Call::new().tags(Tags::new().with(Tag::Model, model));
    /// drop(limiter.try_acquire(call("gpt-4-0613")).await.unwrap());
    /// assert!(limiter.try_acquire(call("openai/gpt-4")).await.is_err());
    /// assert!(limiter.try_acquire(call("gpt-4o")).await.is_ok());
    /// # });
    /// ```
    pub fn when(self, tag: impl Into<Tag>, value: impl Into<Arc<str>>) -> Self {
        self.when_any(tag, [value.into()])
    }

    /// Applies the limit only to calls with this tag at one of these values, which share the limit, as a family of
    /// models does with many providers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{limit::Limit, Tag};
    ///
    /// let family = ["claude-opus-4-1", "claude-opus-4-5"];
    /// let limit = Limit::requests(1_000).every(Duration::from_secs(60)).when_any(Tag::Model, family);
    /// assert_eq!(limit.to_string(), "requests 1000/min for model=claude-opus-4-1|claude-opus-4-5");
    /// ```
    pub fn when_any<V: Into<Arc<str>>>(
        mut self,
        tag: impl Into<Tag>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(|value| bounded(value.into()));
        let mut values: Values = values.collect();
        values.sort();
        values.dedup();
        self.when.push((tag.into(), values));
        self
    }

    /// Counts separately for each value of this tag. Calls without the tag share one count.
    pub fn per(mut self, tag: impl Into<Tag>) -> Self {
        self.per.push(tag.into());
        self
    }

    /// Sets how tokens are charged. By default input and output both count, corrected at completion. [`Charge::of`] has
    /// the rules of providers by their names. It changes nothing about limits that do not count tokens.
    pub fn charge(mut self, charge: Charge) -> Self {
        self.charge = charge;
        self
    }

    /// Sets whether requests count once per call or at every attempt. For limits on requests.
    pub fn count(mut self, count: Count) -> Self {
        self.count = Some(count);
        self
    }

    /// Sets how much later than one period after its send a charge expires. Default: 1 % of the period, at most 500 ms.
    ///
    /// The margin covers the jitter between this program's send and the clock of whoever enforces the limit. It is for limits
    /// over any interval of a length.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = Some(margin);
        self
    }

    /// Uses at most this share of the amount, rounded down but at least 1.
    ///
    /// The rest is left for programs that use the same account and are not counted here. The share must be more than 0
    /// and at most 1, and is kept to the millionth.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::limit::Limit;
    ///
    /// let limit = Limit::requests(500).every(Duration::from_secs(60)).headroom(0.9);
    /// assert_eq!(limit.to_string(), "requests 450/min (0.9 of 500)");
    /// ```
    pub fn headroom(mut self, share: f64) -> Self {
        self.headroom = Some(share);
        self
    }

    /// Paces calls: no interval of this length holds more than its share of the amount, which is
    /// `amount * slice / period`, rounded down but at least 1.
    ///
    /// This is for providers that enforce their limit in slices, as most do: with 3 500 a minute they refuse everything
    /// above 58 in one second.
    ///
    /// It is a second exact window beside the first. What holds in *any* interval of a slice's length holds in each
    /// slice of whoever enforces the limit, wherever their slices begin. A bucket that refills evenly and holds a burst
    /// would not do: it lets both the burst and the refill through in one slice, which is too much.
    ///
    /// # What it costs
    /// - [`margin`](Self::margin) applies to slices as well, because jitter does not shrink with them: with a margin of
    ///   100 ms, a tenth of a one-second slice is lost. If no margin is set it is 1 % of the slice, which suits a
    ///   provider near by. Longer slices cost less, if the provider's slices are as long.
    /// - A call that declares more tokens than a slice holds never fits, just as it would not at the provider.
    /// - Tokens that are charged at completion are held in the slice until then. With slices shorter than the calls
    ///   this leaves little room: slice requests, or tokens that are charged at the send.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let second = Duration::from_secs(1);
    /// let limit = Limit::requests(120).every(60 * second).slice(second);
    /// let limiter = Limiter::new(Limits::new([limit]).unwrap());
    /// drop(limiter.acquire(Call::new()).await);
    /// drop(limiter.acquire(Call::new()).await);
    /// assert_eq!(
    ///     limiter.try_acquire(Call::new()).await.unwrap_err().to_string(),
    ///     "rate limited here: requests 2/s (a slice of 120/min): 2 in use, this call needs 1 (would be 3); \
    ///      room in 1.1 s"
    /// );
    /// # });
    /// ```
    pub fn slice(mut self, length: Duration) -> Self {
        self.slice = Some(length);
        self
    }

    /// Sets a different amount for one value of the tag that the limit counts [`per`](Self::per). Values named here
    /// always have a count of their own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Tag, limit::{Limit, Limits}};
    ///
    /// let limit = Limit::requests(5).every(Duration::from_secs(60)).per(Tag::Agent).amount_for("scout", 50);
    /// assert_eq!(limit.to_string(), "requests 5/min per agent (other amounts for 1)");
    /// assert!(Limits::new([limit]).is_ok());
    /// ```
    pub fn amount_for(mut self, value: impl Into<Arc<str>>, amount: u64) -> Self {
        self.amounts.push((bounded(value.into()), amount));
        self
    }

    /// Guarantees a part of this limit to calls with this tag at this value.
    ///
    /// The part must be more than 0, all parts together at most 1, and it is kept to the millionth. If the limit is
    /// split, it is that part of each count.
    ///
    /// Others may use what the party leaves unused: nothing lies idle for it. When the party wants its share again, it
    /// does not take back what is in use, but whatever becomes free goes to it first, until it has its share in use.
    /// Beyond that its calls wait like all others, by priority and fair share. If a call has shares of several limits,
    /// it goes first as long as it is below each of them.
    ///
    /// One kind of call goes before it: a call that was first in turn for one of its limits and was overtaken by
    /// guaranteed calls for a period of that limit (for concurrency, for one [aging] span). So nobody waits forever,
    /// even if all of a limit is guaranteed and in use.
    ///
    /// This is so among the calls that wait at one limiter. If several processes share a store, a call that is below its
    /// share still waits for the first calls of other processes that came before it, whoever makes them. So between
    /// processes a share is not guaranteed, only within each.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Tag, limit::{Limit, LimitError, Limits}};
    ///
    /// let limit = Limit::tokens(90_000).every(Duration::from_secs(60)).share(Tag::Team, "search", 0.3);
    /// assert!(Limits::new([limit.clone()]).is_ok());
    ///
    /// let error = Limits::new([limit.share(Tag::Team, "support", 0.8)]).unwrap_err();
    /// assert!(matches!(error, LimitError::BadShare { .. }));
    /// ```
    ///
    /// [aging]: crate::limiter::QueueOptions::aging
    pub fn share(mut self, tag: impl Into<Tag>, value: impl Into<Arc<str>>, part: f64) -> Self {
        let value = bounded(value.into());
        let tag = tag.into();
        self.shares.push(Share { tag, value, part });
        self
    }

    /// Makes the limit only watch: it counts like any other but refuses nothing, and a store tells how many of the
    /// claims it granted this limit would have refused.
    ///
    /// It may stand beside a limit on the same thing that acts. What it would have refused was sent and counts, so once
    /// the limit is passed, the figure is higher than what the limit would refuse if it were in force.
    pub fn shadow(mut self) -> Self {
        self.shadow = true;
        self
    }

    /// Also counts calls that were refused here, by this limit or another. For requests only.
    ///
    /// This is for limits on callers who must not gain from trying again and again. A call counts once, however often
    /// it was refused while it waited; a call that gave up waiting by itself was not refused. Where a refused call may go
    /// on to another target, it counts as refused once, if no target serves it. Limits that count attempts count each
    /// that is refused, and limits that look at where a call goes count it at each target that it is refused at.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let minute = Duration::from_secs(60);
    /// let limit = Limit::requests(1).every(minute).margin(Duration::ZERO).count_refused();
    /// let limiter = Limiter::new(Limits::new([limit]).unwrap());
    /// drop(limiter.try_acquire(Call::new()).await.unwrap());
    /// tokio::time::advance(minute / 2).await;
    /// assert!(limiter.try_acquire(Call::new()).await.is_err());
    /// // A minute after the first call the refused one still counts.
    /// tokio::time::advance(minute / 2).await;
    /// assert!(limiter.try_acquire(Call::new()).await.is_err());
    /// # });
    /// ```
    pub fn count_refused(mut self) -> Self {
        self.count_refused = true;
        self
    }

    /// Learns how much of the amount is really allowed, for when it is less than was published or changes without
    /// notice.
    ///
    /// Each flight of attempts that a provider refuses with a 429 cuts what is used to seven tenths of itself, but
    /// never below `floor`, a share of the amount. After every quiet period it grows by a twentieth of the amount,
    /// until it is whole again. It never exceeds the amount.
    ///
    /// If the 429 names a quantity or a period, only limits on that are cut, whether the period is one of a calendar or
    /// any interval of that length (a month has 30 days); otherwise, all limits that the attempt took from. A call that is
    /// larger than what was learnt, but not larger than the amount, goes when nothing else counts. The floor must be more
    /// than 0 and at most 1, and is kept to the millionth. This is for limits on where calls go: limits on who makes them
    /// are your own, and no provider refuses because of them.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Tag, limit::{Limit, Limits}};
    ///
    /// let limit = Limit::requests(500).every(Duration::from_secs(60)).adaptive(0.2);
    /// assert_eq!(limit.to_string(), "requests 500/min (adaptive)");
    /// assert!(Limits::new([limit.clone()]).is_ok());
    /// assert!(Limits::new([limit.per(Tag::Agent)]).is_err());
    /// ```
    pub fn adaptive(mut self, floor: f64) -> Self {
        self.adaptive = Some(floor);
        self
    }
}
