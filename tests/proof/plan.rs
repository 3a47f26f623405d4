//! Limits in plain figures, as random as they come, and the same as the engine wants them said.

use std::time::Duration;

use tower_quota::{
    Tag, Tags, Usage,
    limit::{Charge, Limit, Limits, Quantity},
    store::Claim,
};

/// One limit in plain figures. A slice of a limit is one of its own.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) quantity: Quantity,
    pub(crate) amount: u64,
    /// Another amount for one value.
    pub(crate) named: Option<(&'static str, u64)>,
    pub(crate) life: Life,
    pub(crate) when: Option<(Tag, &'static str)>,
    pub(crate) per: Vec<Tag>,
    pub(crate) charge: Rule,
    pub(crate) shadow: bool,
    pub(crate) count_refused: bool,
}

/// How long a charge counts, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Life {
    /// For `stay` after its date (the period and the margin); a store may let it go so much `late`.
    Sliding {
        stay: u64,
        late: u64,
    },
    Run,
    Flight,
}

/// What providers charge tokens by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// The larger of input and output cap, at the send.
    Larger,
    /// Both, at the send.
    Sum,
    /// Both, held until the end, and then what was used.
    Used,
    /// Input at the send, output when it comes; then what was used, but not of a cache.
    Split,
    /// Both at the send, then what was used, but not of a cache, and output three times.
    Weighed,
}

impl Rule {
    fn charge(self) -> Charge {
        match self {
            Rule::Larger => Charge::openai(),
            Rule::Sum => Charge::azure(),
            Rule::Used => Charge::default(),
            Rule::Split => Charge::anthropic(),
            Rule::Weighed => Charge::bedrock(3),
        }
    }
}

impl Plan {
    pub(crate) fn touches(&self, tags: &Tags) -> bool {
        self.when
            .as_ref()
            .is_none_or(|(tag, value)| tags.get(tag) == Some(value))
    }

    /// The values that this limit tells apart.
    pub(crate) fn key(&self, tags: &Tags) -> Vec<String> {
        let value = |tag| tags.get(tag).unwrap_or_default().to_owned();
        self.per.iter().map(value).collect()
    }

    pub(crate) fn most(&self, key: &[String]) -> u64 {
        match self.named {
            Some((value, amount)) if key[0] == value => amount,
            _ => self.amount,
        }
    }

    /// Of what a claim needs: what is dated at the send, and what stays until it comes; and how much of that is
    /// output, which comes while it streams.
    pub(crate) fn split(&self, need: u64, claim: &Claim) -> (u64, u64, u64) {
        let output = claim.demand.output.min(need);
        match (self.quantity, self.charge) {
            (Quantity::Requests, _) => (need, 0, 0),
            (Quantity::Concurrency, _) => (0, need, 0),
            (Quantity::InputTokens, Rule::Used) => (0, need, 0),
            (Quantity::OutputTokens, Rule::Used | Rule::Split) => (0, need, need),
            (Quantity::Tokens, Rule::Used) => (0, need, output),
            (Quantity::Tokens, Rule::Split) => (need - output, output, output),
            _ => (need, 0, 0),
        }
    }

    /// Whether output counts as it streams.
    pub(crate) fn streams(&self) -> bool {
        let counted = matches!(self.quantity, Quantity::OutputTokens | Quantity::Tokens);
        counted && matches!(self.charge, Rule::Used | Rule::Split)
    }

    /// Whether less may count in the end than was claimed.
    pub(crate) fn shrinks(&self) -> bool {
        match self.quantity {
            Quantity::Requests => false,
            Quantity::Concurrency => true,
            _ => !matches!(self.charge, Rule::Larger | Rule::Sum),
        }
    }

    /// What a claim needs of a count that holds `most`; `None`: this limit is not for it.
    pub(crate) fn need(&self, most: u64, claim: &Claim) -> Option<u64> {
        let callers = |tag: &Tag| !matches!(tag, Tag::Provider | Tag::Model | Tag::ApiKey);
        let once_a_call =
            self.per.iter().any(callers) || self.when.as_ref().is_some_and(|(tag, _)| callers(tag));
        if !claim.quantities.contain(self.quantity) {
            return None;
        }
        let demand = &claim.demand;
        let input = (demand.input, demand.input_declared);
        let output = (demand.output, demand.output_declared);
        let sure = |(tokens, declared): (u64, bool)| if declared { tokens } else { 0 };
        let (asked, sure) = match self.quantity {
            Quantity::Requests if claim.repeat && once_a_call => return None,
            Quantity::Requests | Quantity::Concurrency => (1, 1),
            Quantity::InputTokens => (input.0, sure(input)),
            Quantity::OutputTokens => (output.0, sure(output)),
            _ if self.charge == Rule::Larger => {
                (input.0.max(output.0), sure(input).max(sure(output)))
            }
            _ => (input.0 + output.0, sure(input) + sure(output)),
        };
        Some(if sure > most {
            sure
        } else {
            asked.min(most).max(sure)
        })
    }

    /// What counts in the end of a claim that had so much dated at the send and so much held: of both.
    pub(crate) fn settled(&self, early: u64, late: u64, usage: &Usage) -> (u64, u64) {
        let input = match self.charge {
            Rule::Split | Rule::Weighed => usage.input - usage.cache_read,
            _ => usage.input,
        };
        let output = usage.output;
        match (self.quantity, self.charge) {
            (Quantity::Requests | Quantity::Concurrency, _) => (early, late),
            (Quantity::InputTokens, Rule::Used) => (0, input),
            (Quantity::InputTokens, Rule::Split | Rule::Weighed) => (input, 0),
            (Quantity::InputTokens, _) => (early.max(input), 0),
            (Quantity::OutputTokens, Rule::Used | Rule::Split) => (0, output),
            (Quantity::OutputTokens, Rule::Weighed) => (output, 0),
            (Quantity::OutputTokens, _) => (early.max(output), 0),
            (_, Rule::Larger) => (early.max(input), 0),
            (_, Rule::Sum) => (early.max(input + output), 0),
            (_, Rule::Used) => (0, input + output),
            (_, Rule::Split) => (input, output),
            (_, Rule::Weighed) => (input + 3 * output, 0),
        }
    }

    /// What counts of usage that nothing was claimed for.
    pub(crate) fn recorded(&self, usage: &Usage) -> u64 {
        match self.quantity {
            Quantity::Requests => 1,
            Quantity::Concurrency => 0,
            Quantity::InputTokens => usage.input,
            Quantity::OutputTokens => usage.output,
            _ if self.charge == Rule::Larger => usage.input.max(usage.output),
            _ if self.charge == Rule::Weighed => usage.input + 3 * usage.output,
            _ => usage.input + usage.output,
        }
    }
}

/// Random limits. `scale`: a typical period, in microseconds.
pub(crate) fn random_limits(random: &mut fastrand::Rng, scale: u64) -> (Limits, Vec<Plan>) {
    let (mut limits, mut plans, mut slices) = (Vec::<Limit>::new(), Vec::new(), Vec::new());
    for _ in 0..random.usize(1..7) {
        let (limit, plan, slice) = random_limit(random, scale);
        limits.push(limit);
        // Two on the same thing are refused: one is enough.
        if Limits::new(limits.iter().cloned()).is_err() {
            limits.pop();
            continue;
        }
        plans.push(plan);
        slices.extend(slice);
    }
    plans.append(&mut slices);
    (Limits::new(limits).unwrap(), plans)
}

fn random_limit(random: &mut fastrand::Rng, scale: u64) -> (Limit, Plan, Option<Plan>) {
    let quantity = *random
        .choice(&[
            Quantity::Requests,
            Quantity::Requests,
            Quantity::Tokens,
            Quantity::Tokens,
            Quantity::Tokens,
            Quantity::InputTokens,
            Quantity::OutputTokens,
            Quantity::Concurrency,
        ])
        .unwrap();
    let amount = match quantity {
        Quantity::Requests => random.u64(1..60),
        Quantity::Concurrency => random.u64(1..12),
        _ => random.u64(200..9_000),
    };
    let charge = *random
        .choice(&[
            Rule::Larger,
            Rule::Sum,
            Rule::Used,
            Rule::Split,
            Rule::Weighed,
        ])
        .unwrap();
    let mut limit = Limit::new(quantity, amount).charge(charge.charge());
    let mut plan = Plan {
        quantity,
        amount,
        named: None,
        life: Life::Flight,
        when: None,
        per: Vec::new(),
        charge,
        shadow: random.u8(..10) == 0,
        count_refused: quantity == Quantity::Requests && random.u8(..8) == 0,
    };
    if plan.shadow {
        limit = limit.shadow();
    }
    if plan.count_refused {
        limit = limit.count_refused();
    }
    let when = [(Tag::Model, "m"), (Tag::Agent, "a"), (Tag::Run, "r")];
    if random.u8(..4) == 0 {
        let (tag, value) = random.choice(when).unwrap();
        limit = limit.when(tag.clone(), value);
        plan.when = Some((tag, value));
    }
    for tag in [Tag::Agent, Tag::Model] {
        if random.u8(..4) == 0 {
            limit = limit.per(tag.clone());
            plan.per.push(tag);
        }
    }
    let mut millionths = 1_000_000;
    if random.u8(..4) == 0 {
        millionths = *random
            .choice(&[900_000, 290_000, 500_000, 123_456])
            .unwrap();
        limit = limit.headroom(millionths as f64 / 1e6);
    }
    let usable = |published: u64| (published * millionths / 1_000_000).max(1);
    plan.amount = usable(amount);
    let mut slice = None;
    if quantity == Quantity::Concurrency {
    } else if random.u8(..6) == 0 {
        limit = limit.every_run();
        plan.life = Life::Run;
        plan.per.push(Tag::Run);
    } else {
        let period = (scale * random.u64(1..64) / 8).max(1_000);
        limit = limit.every(Duration::from_micros(period));
        let length = (period / random.u64(2..30)).max(1_000);
        let paced = random.u8(..5) == 0 && length < period;
        let most = if paced { length } else { period };
        let margin = match random.u8(..3) {
            0 => None,
            1 => Some(0),
            _ => Some(random.u64(..=most / 4)),
        };
        if let Some(margin) = margin {
            limit = limit.margin(Duration::from_micros(margin));
        }
        let life = |length: u64| Life::Sliding {
            stay: length + margin.unwrap_or(length.div_ceil(100).min(500_000)),
            late: (length / 240).max(1),
        };
        plan.life = life(period);
        if paced {
            limit = limit.slice(Duration::from_micros(length));
            let share = |amount: u64| (usable(amount) * length / period).max(1);
            slice = Some(Plan {
                amount: share(amount),
                life: life(length),
                ..plan.clone()
            });
        }
        if plan.per.len() == 1 && random.u8(..3) == 0 {
            let (value, other) = (
                if plan.per[0] == Tag::Agent { "b" } else { "n" },
                amount * 2,
            );
            limit = limit.amount_for(value, other);
            plan.named = Some((value, usable(other)));
            if let Some(slice) = &mut slice {
                slice.named = Some((value, share_of(usable(other), length, period)));
            }
        }
    }
    (limit, plan, slice)
}

fn share_of(amount: u64, length: u64, period: u64) -> u64 {
    (amount * length / period).max(1)
}
