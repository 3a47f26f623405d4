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

/// An amount of one quantity per period, `when` tags match, counted separately `per` tag value.
///
/// A limit is checked when a [`Limits`](super::Limits) is made of it, not before.
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

/// What a limit on requests counts where a call has several attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Count {
    /// A call counts once, however often it is repeated. The default where any tag of the limit is the caller's.
    Calls,
    /// Every attempt counts. The default elsewhere, because a provider counts so.
    Attempts,
}

impl Limit {
    /// A limit of `amount` on `quantity`. All but concurrency need a period as well.
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

    /// A limit on requests.
    pub fn requests(amount: u64) -> Self {
        Self::new(Quantity::Requests, amount)
    }

    /// A limit on tokens, input and output together.
    pub fn tokens(amount: u64) -> Self {
        Self::new(Quantity::Tokens, amount)
    }

    /// A limit on input tokens.
    pub fn input_tokens(amount: u64) -> Self {
        Self::new(Quantity::InputTokens, amount)
    }

    /// A limit on output tokens.
    pub fn output_tokens(amount: u64) -> Self {
        Self::new(Quantity::OutputTokens, amount)
    }

    /// A limit on calls in flight: a call holds its place until its response body ended or was dropped.
    pub fn concurrency(amount: u64) -> Self {
        Self::new(Quantity::Concurrency, amount)
    }

    /// A limit on money: a budget. What a call may cost at most is reserved, and what it did cost is charged, when it
    /// ends. A call that says nothing of its cost is not held back.
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

    /// Counts over one hour, day, week or month after the other, in a time zone by its name in the IANA database:
    /// all of it is there again when the next one begins.
    ///
    /// The clock on the wall tells which one it is, and no period begins again when that is set back. A call that is
    /// open when a period ends counts in both, until it ends; then in the one it ends in.
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

    /// Only calls with this tag at this value. Several: all must match.
    ///
    /// A model is known by its plainer names as well, as prices know it: a limit on `gpt-4` is on `gpt-4-0613`,
    /// `openai/gpt-4` and `arn:aws:bedrock:…/us.openai.gpt-4-v1:0` too, never the other way round, and never on
    /// `gpt-4o`. A limit on `gpt-4-0613` beside it adds to it: calls to the snapshot take from both, because one more
    /// limit must never let more through. [`per`](Self::per) counts names as they are written.
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
    pub fn when(self, tag: Tag, value: impl Into<Arc<str>>) -> Self {
        self.when_any(tag, [value.into()])
    }

    /// Only calls with this tag at one of these values, which share the limit: as a family of models does
    /// with many providers.
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
        tag: Tag,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(|value| bounded(value.into()));
        let mut values: Values = values.collect();
        values.sort();
        values.dedup();
        self.when.push((tag, values));
        self
    }

    /// Counts separately for each value of this tag. Calls without the tag share one count.
    pub fn per(mut self, tag: Tag) -> Self {
        self.per.push(tag);
        self
    }

    /// How tokens are charged; by default both kinds, corrected at completion.
    pub fn charge(mut self, charge: Charge) -> Self {
        self.charge = charge;
        self
    }

    /// Whether requests count once a call or at every attempt.
    pub fn count(mut self, count: Count) -> Self {
        self.count = Some(count);
        self
    }

    /// How much later than one period after its send a charge expires: it covers the jitter between our
    /// send and the clock of whoever enforces the limit. Default: 1 % of the period, at most 500 ms.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = Some(margin);
        self
    }

    /// Uses at most this share of the amount, rounded down and at least 1: something is left for programs
    /// that use the same account and are not counted here. More than 0, at most 1, kept to the millionth.
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

    /// Paces: no interval of this length holds more than its share of the amount, `amount * slice / period`,
    /// rounded down and at least 1. For providers that enforce the limit in slices, as most do: of 3 500 a
    /// minute they refuse what comes in one second above 58.
    ///
    /// This is a second exact window beside the first. What holds in *any* interval of a slice's length
    /// holds in each slice of whoever enforces them, wherever theirs begin; a bucket that refills evenly
    /// and holds a burst lets burst and refill through in one slice, which is too much.
    ///
    /// # What it costs
    /// - [`margin`](Self::margin) counts for slices as well, because jitter does not shrink with them: of a
    ///   second with 100 ms of margin a tenth is lost. Without a margin set it is 1 % of the slice, which
    ///   suits a provider near by. Longer slices cost less, if the provider's are as long.
    /// - A call that declares more tokens than a slice holds never fits, as it would not at the provider.
    /// - Tokens that are charged at completion are held in the slice until then. With slices shorter than
    ///   the calls this leaves little room: slice requests, or tokens charged at the send.
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

    /// Another amount for one value of the tag that it counts [`per`](Self::per). Values named here always
    /// have a count of their own.
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

    /// Guarantees a part of this limit to calls with this tag at this value. More than 0, all together at most
    /// 1, kept to the millionth; where the limit is split, that part of each count.
    ///
    /// Others use what the party leaves: nothing lies idle for it. When it wants its share again, it does not
    /// take back what is in use, but what becomes free goes to it first, until what it has in use is its
    /// share. Beyond that its calls wait like all others, by priority and fair share. Where a call has shares of
    /// several limits, it goes first while it is below each of them.
    ///
    /// One thing goes before it: a call that was the first in turn for one of its limits and was passed by
    /// guaranteed ones for a period of that limit (for concurrency, an [aging] span). So nobody waits for ever,
    /// though all of a limit is guaranteed and used.
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
    pub fn share(mut self, tag: Tag, value: impl Into<Arc<str>>, part: f64) -> Self {
        let value = bounded(value.into());
        self.shares.push(Share { tag, value, part });
        self
    }

    /// Only watches: it counts like any other, refuses nothing, and a store says how many of the claims it
    /// granted this limit would have refused. May stand beside a limit on the same thing that acts.
    ///
    /// What it would have refused was sent and counts, so once it is passed the figure is higher than what
    /// the limit in force would refuse.
    pub fn shadow(mut self) -> Self {
        self.shadow = true;
        self
    }

    /// Also counts calls that were refused here, by this limit or another: for limits on those who must not
    /// gain from trying again and again. A call counts once however often it was refused while it waited;
    /// one that gives up waiting by itself was not refused. For requests alone.
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

    /// Learns how much of the amount is allowed, where it is less than was published, or changes without a
    /// word: each flight of attempts that a provider refuses with a 429 cuts what is used to seven tenths of
    /// itself, never below `floor`, a share of the amount; after every quiet period it grows by a twentieth
    /// of the amount, until it is whole again. It never passes the amount.
    ///
    /// Where the 429 names a quantity, or a period, only limits on that are cut; otherwise all that the
    /// attempt took from. A call that is larger than what was learnt, and not than the amount, goes when
    /// nothing else counts. The floor is more than 0 and at most 1, kept to the millionth. For limits on where
    /// calls go; those on who makes them are yours, and no provider refuses because of them.
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
