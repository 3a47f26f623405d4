//! What an attempt may cost at most, and what it did cost.

use std::sync::Arc;

use super::{calibrate::Calibration, context::Facts};
use crate::{
    error::Rejection,
    limit::Demand,
    money::Money,
    pricing::{Price, PriceTable, ServiceTier},
    store::Settlement,
    tags::{Tag, Tags},
    usage::Usage,
    wire::{Dialect, Others},
};

/// How a gate prices attempts.
#[derive(Clone, Debug)]
pub(crate) struct Pricing {
    pub(crate) table: Arc<PriceTable>,
    /// Whether a model without a price passes, and counts nothing.
    pub(crate) unknown_passes: bool,
    /// Output tokens that a call may come to which names no cap, where the model's price does not say.
    pub(crate) output_without_cap: u64,
    /// What was learnt of how long tokens are.
    calibration: Arc<Calibration>,
}

/// The most tokens that an attempt can come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) input: u64,
    /// For each of its choices; `None` where the caller named no cap.
    pub(super) output: Option<u64>,
    pub(super) choices: u64,
    /// Whether it is generated to its end, whoever reads it.
    pub(super) goes_on: bool,
}

/// Of a body that was not read: more than anybody has.
pub(super) const UNREAD: u64 = u64::MAX;

impl Bound {
    /// Whether its body was not read, so that nobody knows.
    pub(super) fn is_unread(&self) -> bool {
        self.input > UNREAD / 2
    }
}

/// What the request allows of output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// For each of its choices; `None` where the caller named no cap.
    pub(crate) each: Option<u64>,
    pub(crate) choices: u64,
    /// Whether it is generated to its end, whoever reads it.
    pub(crate) goes_on: bool,
}

impl Pricing {
    /// By these prices: a model without one is refused.
    pub(crate) fn new(table: Arc<PriceTable>, output_without_cap: u64) -> Self {
        Pricing {
            table,
            unknown_passes: false,
            output_without_cap,
            calibration: Arc::default(),
        }
    }

    /// The price of what the tags name; `None` where nobody knows it, and that is allowed.
    pub(super) fn price(&self, tags: &Tags) -> Result<Option<&Price>, Rejection> {
        let provider = tags.get(&Tag::Provider);
        let Some(model) = tags.get(&Tag::Model) else {
            return Ok(None);
        };
        match self.table.find(provider, model) {
            Some(found) => Ok(Some(found.price)),
            None if self.unknown_passes => Ok(None),
            None => Err(Rejection::UnknownPrice {
                model: model.to_owned(),
                provider: provider.map(str::to_owned),
            }),
        }
    }

    /// What is asked for, with what it costs at most.
    pub(super) fn demand(&self, facts: &Facts) -> Result<Demand, Rejection> {
        let Facts {
            dialect,
            demand,
            tags,
            bound,
            ..
        } = facts;
        let is_billed = *dialect != Dialect::Generic;
        if is_billed && tags.get(&Tag::Model).is_none() && !self.unknown_passes {
            return Err(Rejection::UnknownPrice {
                model: String::new(),
                provider: tags.get(&Tag::Provider).map(str::to_owned),
            });
        }
        let Some(price) = self.price(tags)? else {
            return Ok(*demand);
        };
        let each = bound
            .output
            .or(price.max_output)
            .unwrap_or(self.output_without_cap);
        let output = each.saturating_mul(bound.choices);
        // Which tier serves it is told at the end.
        let tiers = price.tiers.iter().map(|(tier, _)| *tier);
        let tiers = tiers.chain([ServiceTier::Standard]);
        let costs = tiers.map(|tier| price.bound(bound.input, output, tier));
        Ok(Demand {
            cost: costs.max().unwrap_or_default().as_nanos(),
            ..*demand
        })
    }

    /// Learns from what was reported.
    pub(super) fn learn(&self, tags: &Tags, ended: &Ended) {
        if let (true, Settlement::Usage(usage)) = (ended.is_final, ended.settlement) {
            let Usage {
                output, reasoning, ..
            } = usage;
            self.calibration.learn(tags, ended.text, output, reasoning);
        }
    }

    /// What it has come to by now; `None` where nobody knows that.
    pub(super) fn cost(&self, tags: &Tags, ended: &Ended) -> Option<Money> {
        self.price(tags).ok().flatten()?;
        match self.settlement(tags, ended) {
            Settlement::Usage(usage) => usage.cost,
            Settlement::Unknown => None,
        }
    }

    /// What was seen of it costs at the least, up to what was allowed.
    pub(super) fn seen(&self, tags: &Tags, ended: &Ended) -> Option<Money> {
        let (Ok(Some(price)), Settlement::Usage(mut usage)) = (self.price(tags), ended.settlement)
        else {
            return None;
        };
        let Allowed {
            each: cap, choices, ..
        } = ended.allowed;
        let most = cap.map_or(u64::MAX, |each| each.saturating_mul(choices));
        usage.output = usage.output.min(most).max(ended.told);
        Some(price.cost(&usage, ended.tier))
    }

    /// Up to how many output tokens so much more money does.
    pub(super) fn output_within(&self, tags: &Tags, ended: &Ended, money: Money) -> u64 {
        let (Ok(Some(price)), Settlement::Usage(usage)) = (self.price(tags), ended.settlement)
        else {
            return u64::MAX;
        };
        let more = price.output_for(money, usage.input, ended.tier);
        // What comes may be as much denser than it looks as what came.
        let dense = self.calibration.tokens(tags, ended.text).max(usage.output);
        let looks = u128::from(more) * u128::from(usage.output.max(1)) / u128::from(dense.max(1));
        usage
            .output
            .saturating_add(u64::try_from(looks).unwrap_or(u64::MAX))
    }

    /// What it may have come to beside its text: reasoning that is told at the end, where that was not reached. Whoever hangs up
    /// just before would have it for nothing. Providers that tell as they go tell of that, too.
    fn hidden(&self, tags: &Tags, ended: &Ended) -> u64 {
        match !ended.is_final && ended.told <= BEGINNING {
            true => self.calibration.hidden(tags),
            false => 0,
        }
    }

    /// Whether it was served in a tier that is dearer by an amount which its price does not say, or another model had a part in
    /// it whose price nobody knows.
    pub(super) fn lacks_rates(&self, tags: &Tags, ended: &Ended) -> bool {
        let Settlement::Usage(usage) = ended.settlement else {
            return false;
        };
        let mut others = ended.others.iter();
        if usage.cost.is_none() && others.any(|(model, _)| self.price_of(tags, model).is_none()) {
            return true;
        }
        if !ended.is_dearer || usage.total() == 0 {
            return false;
        }
        let price = self.price(tags).ok().flatten();
        price.is_some_and(|price| !price.has_rates(usage.input, ended.tier))
    }

    /// The price of another model of the same provider.
    fn price_of(&self, tags: &Tags, model: &str) -> Option<&Price> {
        let found = self.table.find(tags.get(&Tag::Provider), model);
        found.map(|found| found.price)
    }

    /// What so much costs, by the price of the model that was called, and what others used beside it: by their own prices, or by
    /// that one where nobody knows theirs.
    fn with_others(&self, tags: &Tags, price: &Price, usage: &Usage, ended: &Ended) -> Money {
        let others = ended.others.iter().map(|(model, used)| {
            let price = self.price_of(tags, model).unwrap_or(price);
            price.cost(used, ended.tier)
        });
        let others: Money = others.sum();
        price.cost(usage, ended.tier) + others
    }

    /// What the tokens cost that are charged, where these are not those that were used.
    fn billed(&self, tags: &Tags, ended: &Ended) -> Option<Money> {
        let billed = ended.billed?;
        let price = self.price(tags).ok().flatten()?;
        Some(self.with_others(tags, price, &billed, ended))
    }

    /// How it ended, with what it cost: by our price, or more where the provider says that it charges more.
    pub(super) fn settlement(&self, tags: &Tags, ended: &Ended) -> Settlement {
        let Settlement::Usage(mut usage) = ended.settlement else {
            return ended.settlement;
        };
        if !ended.is_final && !ended.failed && !ended.is_all_input && usage.output == 0 {
            // Nothing was seen of it, and nobody knows what was generated: what was reserved.
            return Settlement::Unknown;
        }
        if let Some(billed) = self.billed(tags, ended) {
            let cost = Some(billed).max(usage.cost);
            return Settlement::Usage(Usage { cost, ..usage });
        }
        let price = self.price(tags).ok().flatten();
        let hidden = self.hidden(tags, ended);
        if !ended.is_final && !ended.failed && (ended.text > 0 || hidden > 0) {
            let tokens = self.calibration.tokens(tags, ended.text);
            let tokens = tokens.saturating_add(hidden);
            let Allowed {
                each: cap, choices, ..
            } = ended.allowed;
            let each = cap.or(price.and_then(|price| price.max_output));
            let most = each.map_or(u64::MAX, |each| each.saturating_mul(choices));
            // Whoever gives more than was allowed has given what was seen at the least.
            let most = match cap {
                Some(_) => most,
                None => most.max(usage.output),
            };
            usage.output = tokens.min(most).max(ended.told);
        }
        let ours = price.map(|price| self.with_others(tags, price, &usage, ended));
        Settlement::Usage(Usage {
            cost: ours.max(usage.cost),
            ..usage
        })
    }
}

/// So much at most some say of the output when they begin, and it is none yet (Anthropic's `message_start`).
const BEGINNING: u64 = 8;

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) settlement: Settlement,
    /// Whether its usage is the provider's last word, and no estimate.
    pub(crate) is_final: bool,
    /// The output that was reported, though it is not the last word; 0 where none was.
    pub(crate) told: u64,
    /// Bytes of the text that was seen of it.
    pub(crate) text: u64,
    pub(crate) allowed: Allowed,
    /// Whether it said that it failed, before anything was seen of its output. Its usage is what was reported then, if
    /// anything.
    pub(crate) failed: bool,
    /// What is charged by the price of the model that was called, where that is not what was read and written: Cohere counts it
    /// apart, and it may be others that wrote.
    pub(crate) billed: Option<Usage>,
    /// What other models used that had a part in it, at their own prices.
    pub(crate) others: Others,
    /// How it was served.
    pub(crate) tier: ServiceTier,
    /// Whether that costs more than the standard tier, and the provider does not say what.
    pub(crate) is_dearer: bool,
    /// Whether it is charged for something that is in none of this.
    pub(crate) pays_beside: bool,
    /// Whether nothing was to be generated: what is known of its input is all.
    pub(crate) is_all_input: bool,
    pub(crate) input: Input,
}

/// What is known of the input of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// Nothing was estimated, or nothing became of it.
    Unknown,
    /// It was estimated at so much, which is in the usage.
    Estimated(u64),
    /// It was estimated at so much, and was so much by the provider's last word.
    Reported { estimate: u64, used: u64 },
}

impl Ended {
    /// A settlement that says whether it is an estimate.
    pub(super) fn said(&self, mut settlement: Settlement) -> Settlement {
        if let Settlement::Usage(usage) = &mut settlement {
            usage.estimated = !self.is_final;
        }
        settlement
    }

    /// What the provider says that it charges, where it says so.
    pub(super) fn told_cost(&self) -> Option<Money> {
        match self.settlement {
            Settlement::Usage(usage) => usage.cost,
            Settlement::Unknown => None,
        }
    }

    /// So, for sure.
    pub(crate) fn with(settlement: Settlement) -> Self {
        Ended {
            settlement,
            is_final: true,
            told: 0,
            text: 0,
            allowed: Allowed {
                each: None,
                choices: 1,
                goes_on: false,
            },
            failed: false,
            billed: None,
            others: Others::default(),
            tier: ServiceTier::Standard,
            is_dearer: false,
            pays_beside: false,
            is_all_input: false,
            input: Input::Unknown,
        }
    }
}
