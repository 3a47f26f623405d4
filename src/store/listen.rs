//! What the memory store learns from answers.

use std::{sync::Arc, time::Duration};

use super::{
    Grant, MemoryStore, Observation, Store as _,
    entry::{Entries, Entry},
    gates::Gates,
    grants::Part,
    memory::State,
};
use crate::{
    limit::{Charged, Counters, Limit, LimitKey, Limits, Period, Quantity, Refill, Rule, Tick},
    tags::{Tag, Tags},
    wire::{Observed, ObservedQuantity},
};

/// How the name begins that a caller's own key has here.
const CALLERS: &str = "caller-";
/// How many digits of its digest follow.
const DIGITS: usize = 12;

impl Tags {
    /// What a caller's own key with this digest is called, as the tag `api_key`: its account is another than that of others,
    /// and of none that is ours.
    pub(crate) fn callers_key(digest: u64) -> Arc<str> {
        format!("{CALLERS}{:0DIGITS$x}", digest >> 16).into()
    }

    /// Whether the key is a caller's own.
    fn name_callers_key(&self) -> bool {
        let key = self.get(&Tag::ApiKey);
        let digest = key.and_then(|key| key.strip_prefix(CALLERS));
        digest.is_some_and(|digest| {
            digest.len() == DIGITS && digest.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
    }
}

/// What a count has learnt; see [`MemoryStore::learnt`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Learnt {
    /// The limit in words.
    pub limit: String,
    /// How much of it may be used for the time being.
    pub amount: u64,
    /// What is kept free for others who use the same account.
    pub others: u64,
}

impl MemoryStore {
    /// Sets whether the counters in the headers of providers' answers are taken in: others may use the same account,
    /// and room is left for them. True by default.
    #[must_use]
    pub fn absorb_counters(mut self, absorb: bool) -> Self {
        self.absorb = absorb;
        self
    }

    /// Returns what was learnt from answers, for every count that has learnt something: how much may be used for the
    /// time being, and what is kept free for others. Looks at every count.
    #[must_use]
    pub fn learnt(&self) -> Vec<Learnt> {
        let State { counts, limits } = &mut *self.lock();
        let now = self.now();
        counts.learnt(limits, now)
    }

    /// Returns the targets that are to be left alone because a provider told them to wait, in words, and for how much
    /// longer.
    #[must_use]
    pub fn cooldowns(&self) -> Vec<(String, Duration)> {
        let mut state = self.lock();
        let now = self.now();
        let all = state.counts.gates.all(now);
        all.map(|(target, until)| (target.describe_cooldown(), until.since(now)))
            .collect()
    }

    /// Whether this teaches it nothing.
    pub(super) fn is_deaf_to(&self, seen: &Observation) -> bool {
        match seen {
            Observation::Counters { .. } => !self.absorb,
            Observation::Limited { .. } | Observation::Succeeded => !self.limits().adaptive(),
            _ => false,
        }
    }

    /// Takes in what an answer tells. Returns whether there may be room now where there was none.
    pub(super) fn learn(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> bool {
        if self.is_deaf_to(seen) || grant.store != self.id() {
            return false;
        }
        let State { counts, limits } = &mut *self.lock();
        let now = self.now();
        let parts = counts.grants.find(grant.name);
        let heard = Heard {
            limits,
            tags,
            parts: parts.map_or(&[], |open| &open.parts),
            now,
        };
        heard.learn(&mut counts.entries, &mut counts.gates, seen)
    }
}

/// An answer to a grant.
struct Heard<'a> {
    limits: &'a Limits,
    tags: &'a Tags,
    parts: &'a [Part],
    now: Tick,
}

impl Heard<'_> {
    fn learn(&self, entries: &mut Entries, gates: &mut Gates, seen: &Observation) -> bool {
        let target = || LimitKey::cooldown(self.tags);
        match seen {
            Observation::Closed { until } => {
                if let Some(target) = target() {
                    gates.close(target, *until, self.now);
                }
                false
            }
            Observation::Reopened { until } => {
                target().is_some_and(|target| gates.reopen(&target, *until))
            }
            Observation::Counters { shown, refused } => self.absorb(entries, shown, *refused),
            Observation::Limited { quantity, period } => {
                for part in self.limited(*quantity, *period) {
                    let charged = self.charged(part);
                    let rule = self.rule(part);
                    entries.window(part).cut(rule, &charged, self.now);
                }
                false
            }
            Observation::Succeeded => {
                let mut grown = false;
                for part in self.parts {
                    let (charged, rule) = (self.charged(part), self.rule(part));
                    if rule.limit.adaptive.is_some() {
                        grown |= entries.window(part).grow(rule, &charged, self.now);
                    }
                }
                grown
            }
        }
    }

    fn rule(&self, part: &Part) -> &Rule {
        &self.limits.rules()[part.limit as usize]
    }

    fn charged(&self, part: &Part) -> Charged {
        Charged {
            sent: part.sent.unwrap_or(self.now),
            amount: part.amount,
            then: part.then,
        }
    }

    /// The parts whose limit refused.
    fn limited(
        &self,
        quantity: Option<ObservedQuantity>,
        period: Option<Duration>,
    ) -> impl Iterator<Item = &Part> {
        let quantity = quantity.map(of_limits);
        self.parts.iter().filter(move |part| {
            let limit = &self.rule(part).limit;
            let of_quantity = quantity.is_none_or(|quantity| quantity == Some(limit.quantity));
            // Slices are refused in the name of the whole.
            let over = limit.whole.or(limit.period.and_then(Period::length));
            limit.adaptive.is_some()
                && of_quantity
                && (period.is_none() || over.is_none() || over == period)
        })
    }

    /// Each count takes in the counters that are about its limit.
    fn absorb(&self, entries: &mut Entries, shown: &[Observed], refused: bool) -> bool {
        let mut heard = false;
        for part in self.parts {
            let rule = self.rule(part);
            let charged = self.charged(part);
            if !rule.limit.is_shown() {
                continue;
            }
            let now = self.now;
            let Some(published) = self.published(entries.at(part.entry), part) else {
                continue;
            };
            let tightest = self.tightest(shown, rule, published);
            let tightest = tightest.filter(|_| self.is_of_one_account(&rule.limit));
            let window = entries.window(part);
            if refused {
                window.note_refused(rule, &charged, now);
            }
            let Some((seen, remaining)) = tightest else {
                heard |= window.unheard();
                continue;
            };
            let shown = Counters {
                remaining,
                published,
                rounded: rounded(seen, remaining),
                refill: refill(seen, &rule.limit),
            };
            heard |= window.hear(rule, &charged, shown, now);
        }
        heard
    }

    /// Whether what an answer shows may be of all that counts under a limit. Callers with keys of their own have accounts of
    /// their own: what is left in one of them is no news of a count that has them all.
    fn is_of_one_account(&self, limit: &Limit) -> bool {
        !self.tags.name_callers_key() || limit.tags().any(|tag| *tag == Tag::ApiKey)
    }

    /// What is published of the limit that a part was taken from; `None` where its count is shared by many
    /// values.
    fn published(&self, entry: &Entry, part: &Part) -> Option<u64> {
        let limit = &self.limits.rules()[part.limit as usize].limit;
        (!entry.is_shared(limit)).then(|| limit.published_for(entry.values.first()))
    }

    /// Of the counters that are about a limit those that leave least, and what they leave.
    fn tightest<'s>(
        &self,
        shown: &'s [Observed],
        rule: &Rule,
        published: u64,
    ) -> Option<(&'s Observed, u64)> {
        let limit = &rule.limit;
        let of_quantity = |seen: &&Observed| of_limits(seen.quantity) == Some(limit.quantity);
        // More than there is makes no sense.
        let sane = |seen: &&Observed| seen.limit.is_none_or(|most| seen.remaining <= Some(most));
        let about = |seen: &&Observed| match seen.window {
            Some(window) => sliding(limit) == Some(window),
            None => seen.limit == Some(published) || self.is_only(limit),
        };
        // A count over several models may take in what is said of one only where it is that limit.
        let names_model = limit.tags().any(|tag| *tag == Tag::Model);
        let same = |seen: &&Observed| names_model || seen.limit == Some(published);
        let mine = shown.iter().filter(of_quantity).filter(sane);
        let mine = mine.filter(about).filter(same);
        mine.filter_map(|seen| Some((seen, seen.remaining?)))
            .min_by_key(|(_, remaining)| *remaining)
    }

    /// Whether no other limit that the attempt took from could be meant.
    fn is_only(&self, limit: &Limit) -> bool {
        let rules = self.parts.iter().map(|part| &self.rule(part).limit);
        let alike = rules.filter(|other| other.quantity == limit.quantity && other.is_shown());
        alike.count() == 1
    }
}

/// By how much a count of tokens may be rounded: Anthropic rounds to thousands, and others' counts seldom end so.
fn rounded(seen: &Observed, remaining: u64) -> u64 {
    let of_tokens = seen.quantity != ObservedQuantity::Requests;
    if of_tokens && remaining.is_multiple_of(1_000) {
        500
    } else {
        0
    }
}

/// How a limit comes back. Evenly where `reset`, the time until it is whole, is that part of the period which is
/// used of the limit; what is nearly unused, or nearly used up, looks so whatever it is.
fn refill(seen: &Observed, limit: &Limit) -> Refill {
    let (Some(most), Some(remaining), Some(reset)) = (seen.limit, seen.remaining, seen.reset)
    else {
        return Refill::Otherwise;
    };
    let (Some(used), Some(period)) = (most.checked_sub(remaining), sliding(limit)) else {
        return Refill::Otherwise;
    };
    let whole = most.max(1) as f64;
    let part = used as f64 / whole;
    // Anthropic tells whole seconds, and rounds what remains.
    let exact = (period / 50).max((period / 30).min(Duration::from_secs(1)))
        + period.mul_f64(rounded(seen, remaining) as f64 / whole);
    match reset.abs_diff(period.mul_f64(part)) <= exact {
        false => Refill::Otherwise,
        true if (0.05..=0.9).contains(&part) => Refill::Evenly(most),
        true => Refill::Unknown,
    }
}

fn sliding(limit: &Limit) -> Option<Duration> {
    match limit.period {
        Some(Period::Sliding(length)) => Some(length),
        _ => None,
    }
}

fn of_limits(quantity: ObservedQuantity) -> Option<Quantity> {
    match quantity {
        ObservedQuantity::Requests => Some(Quantity::Requests),
        ObservedQuantity::Tokens => Some(Quantity::Tokens),
        ObservedQuantity::InputTokens => Some(Quantity::InputTokens),
        ObservedQuantity::OutputTokens => Some(Quantity::OutputTokens),
        ObservedQuantity::Images => None,
    }
}
