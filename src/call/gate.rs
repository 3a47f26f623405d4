//! A layer that claims.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Ended, Input, Inspect, Pricing, record::Places};
use crate::{
    limit::{Demand, Quantities, Quantity},
    limiter::{Limiter, Permit, Turn},
    money::Money,
    statistics::Statistics,
    store::Settlement,
    tags::Tags,
};

/// The longest told wait that is waited out where nobody says anything else: as that of the layers that repeat.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A layer that claims: under which limiter, what it looks at, and whether it waits.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) limiter: Limiter,
    pub(crate) quantities: Quantities,
    pub(crate) wait: bool,
    /// Whether a gate stands further in that claims of the same limiter, for every attempt that passes this one.
    pub(crate) is_followed: bool,
    /// For how long at most; `None`: as long as the caller does.
    pub(super) patience: Option<Duration>,
    /// The longest told wait that a call waits out here; `None`: as the layers around it say.
    longest_wait: Option<Duration>,
    /// By which prices, where it looks at cost.
    pub(super) pricing: Option<Arc<Pricing>>,
    /// Where it records what becomes of attempts.
    pub(super) places: Places,
    /// How requests are looked into that come to it first.
    pub(crate) inspect: Inspect,
}

/// A gate that a call has come to.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) gate: Arc<Gate>,
    /// How many of our layers are around it, itself included.
    pub(super) depth: u32,
}

/// What a gate has claimed for an attempt.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) gate: Arc<Gate>,
    /// Where it is recorded what becomes of the attempt: by this gate, and by others that count the same.
    pub(super) places: Places,
    pub(super) reserved: Demand,
    pub(super) permit: Permit,
}

impl Held {
    pub(super) fn new(gate: Arc<Gate>, reserved: Demand, permit: Permit) -> Self {
        Held {
            places: gate.places.clone(),
            gate,
            reserved,
            permit,
        }
    }
}

impl Gate {
    pub(crate) fn new(limiter: Limiter, quantities: Quantities, wait: bool) -> Self {
        Gate {
            limiter,
            quantities,
            wait,
            is_followed: false,
            patience: None,
            longest_wait: None,
            pricing: None,
            places: Places::default(),
            inspect: Inspect::default(),
        }
    }

    /// This gate, which looks into requests so.
    pub(crate) fn inspecting(mut self, inspect: Inspect) -> Self {
        self.inspect = inspect;
        self
    }

    /// This gate, around another one, which claims for every attempt that passes this one.
    pub(crate) fn around(mut self, inside: &Gate, inspect: &Inspect) -> Self {
        self.is_followed = self.limiter.is(&inside.limiter) && !inspect.off;
        self
    }

    /// This gate, waiting for so long at most.
    pub(crate) fn patient(mut self, span: Duration) -> Self {
        self.patience = Some(span);
        self
    }

    /// This gate, at which told waits are waited out of so long at most.
    pub(crate) fn waiting_out(mut self, longest: Duration) -> Self {
        self.longest_wait = Some(longest);
        self
    }

    /// This gate, which looks at cost, by these prices.
    pub(crate) fn priced(mut self, pricing: Arc<Pricing>) -> Self {
        self.pricing = Some(pricing);
        self
    }

    /// This gate, which records there too what becomes of attempts.
    pub(crate) fn recording(mut self, statistics: Statistics) -> Self {
        self.places = self.places.with(statistics);
        self
    }

    /// Where it records.
    #[cfg(feature = "gateway")]
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Whether these are its prices.
    pub(crate) fn is_priced_by(&self, pricing: &Arc<Pricing>) -> bool {
        let ours = self.pricing.as_ref();
        ours.is_some_and(|ours| Arc::ptr_eq(ours, pricing))
    }

    /// Whether it records anywhere.
    pub(crate) fn is_recording(&self) -> bool {
        self.places.are_there()
    }

    /// How an attempt under these tags ended, with what it cost, where this gate looks at that. So much money is `held`
    /// for it: an estimate comes to no more, so that it breaks no budget, unless four bytes a token of what was seen do.
    pub(super) fn settlement(&self, tags: &Tags, ended: &Ended, held: u64) -> Settlement {
        let ended = self.calibrated(tags, *ended);
        let Some(pricing) = &self.pricing else {
            return ended.settlement;
        };
        let mut settlement = pricing.settlement(tags, &ended);
        if let (Settlement::Usage(usage), false) = (&mut settlement, ended.is_final) {
            let most = Money::from_nanos(held).max(pricing.seen(tags, &ended).unwrap_or_default());
            usage.cost = usage.cost.map(|cost| cost.min(most)).max(ended.told_cost());
        }
        settlement
    }

    /// With what estimates come to, where its input was estimated.
    fn calibrated(&self, tags: &Tags, mut ended: Ended) -> Ended {
        if ended.failed && self.pricing.is_none() {
            // Limits count nothing of what came to nothing; whether its input is billed, nobody says.
            return ended;
        }
        if let (Input::Estimated(estimate), Settlement::Usage(usage)) =
            (ended.input, &mut ended.settlement)
        {
            let rest = usage.input.saturating_sub(estimate);
            let calibrated = self.limiter.calibrated(tags, estimate);
            // Money is rather charged for a little more than for a little less.
            let comes_to = match self.pricing {
                Some(_) => calibrated.max(estimate),
                None => calibrated,
            };
            usage.input = rest.saturating_add(comes_to);
        }
        ended
    }

    /// Learns from how an attempt ended what estimates come to, and, where it looks at cost, how long tokens are.
    pub(super) fn learn(&self, tags: &Tags, ended: &Ended) {
        if let Some(pricing) = &self.pricing {
            pricing.learn(tags, ended);
        }
        let counts_input = self.quantities.contain(Quantity::InputTokens);
        if let (true, Input::Reported { estimate, used }) = (counts_input, ended.input) {
            self.limiter.learn_estimate(tags, estimate, used);
        }
    }

    /// Whether an attempt is charged for something that is not in what it costs here.
    pub(super) fn leaves_out(&self, tags: &Tags, ended: &Ended) -> bool {
        let pricing = self.pricing.as_ref();
        ended.pays_beside || pricing.is_some_and(|pricing| pricing.lacks_rates(tags, ended))
    }

    /// Whether it knows what calls with these tags cost.
    pub(super) fn has_price(&self, tags: &Tags) -> bool {
        let pricing = self.pricing.as_ref();
        pricing.is_some_and(|pricing| matches!(pricing.price(tags), Ok(Some(_))))
    }

    /// Whether it looks at budgets that refuse calls with these tags.
    pub(super) fn acts_as_budget(&self, tags: &Tags) -> bool {
        self.pricing.is_some() && self.limiter.limits().have_budgets(tags)
    }

    /// Whether it refuses calls with these tags of which nobody knows what they cost.
    #[cfg(feature = "gateway")]
    pub(crate) fn wants_price(&self, tags: &Tags) -> bool {
        let pricing = self.pricing.as_ref();
        let is_wanted = pricing.is_some_and(|pricing| !pricing.unknown_passes);
        is_wanted && self.acts_as_budget(tags)
    }

    /// A turn of no longer than it waits.
    pub(crate) fn turn(&self, turn: Turn, from: Instant) -> Turn {
        let until = self.patience.and_then(|span| from.checked_add(span));
        Turn {
            deadline: turn.deadline.into_iter().chain(until).min(),
            ..turn
        }
    }

    /// The longest told wait that a call waits out here, around which layers wait out so much, where they say.
    pub(crate) fn longest_wait(&self, around: Option<Duration>) -> Duration {
        self.longest_wait.or(around).unwrap_or(LONGEST_WAIT)
    }

    /// Whether a claim for the one serves the other.
    pub(super) fn same_count(&self, other: &Gate) -> bool {
        self.limiter.is(&other.limiter) && self.quantities == other.quantities
    }
}
