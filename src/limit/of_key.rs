//! What limits say of one count, by its name.

use std::time::Duration;

use super::{Life, LimitKey, Limits, Period, Quantity, Rule};
use crate::error::Unit;

impl Limits {
    /// How much may be used of a count; of a cooldown nothing.
    pub(crate) fn amount_of(&self, key: &LimitKey) -> u64 {
        let rule = self.rule_of(key);
        rule.map_or(0, |rule| {
            rule.amount_for(key.values().first().map(AsRef::as_ref))
        })
    }

    /// The rule that a count is kept by, or was; a cooldown has none, nor has one that came after these limits.
    pub(crate) fn rule_of(&self, key: &LimitKey) -> Option<&Rule> {
        self.rules().get(key.limit())
    }

    /// In which time that much may be used; of a cooldown in none.
    pub(crate) fn period_of(&self, key: &LimitKey) -> Option<Duration> {
        match self.rule_of(key)?.limit.period {
            Some(Period::Sliding(length)) => Some(length),
            _ => None,
        }
    }

    /// How long a charge stays in a count after its send, where it leaves by itself, in ticks. Nothing is charged
    /// to a cooldown.
    pub(crate) fn stay(&self, key: &LimitKey) -> Option<u64> {
        match self.rule_of(key)?.life {
            Life::Sliding { stay, .. } => Some(stay),
            Life::Calendar(_) | Life::Run | Life::Flight => None,
        }
    }

    /// Whether a count goes by the clock on the wall, which may be set, and goes on while a machine is suspended.
    pub(crate) fn is_by_calendar(&self, key: &LimitKey) -> bool {
        let life = self.rule_of(key).map(|rule| &rule.life);
        matches!(life, Some(Life::Calendar(_)))
    }

    /// Whether a count looks at where calls go, as every cooldown does.
    pub(crate) fn is_of_target(&self, key: &LimitKey) -> bool {
        self.rule_of(key)
            .is_none_or(|rule| rule.limit.is_of_target())
    }

    /// What the amounts of a count are of.
    pub(crate) fn unit_of(&self, key: &LimitKey) -> Unit {
        match self.rule_of(key).map(|rule| rule.limit.quantity) {
            Some(Quantity::Cost) => Unit::NanoDollar,
            _ => Unit::Number,
        }
    }

    /// The limit of a count as it was given, in words: one for all of its counts.
    pub(crate) fn name_rule(&self, key: &LimitKey) -> String {
        match self.rule_of(key) {
            Some(rule) => rule.limit.to_string(),
            None => "cooldown".to_owned(),
        }
    }

    /// A count in words.
    pub(crate) fn describe(&self, key: &LimitKey) -> String {
        match self.rule_of(key) {
            Some(rule) => key.describe(&rule.limit),
            None if key.is_cooldown() => key.describe_cooldown(),
            None => key.to_string(),
        }
    }
}
