//! Limits as data that outlives them, with every place there ever was: counts that are kept, and what was done to them,
//! name limits by these.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

#[cfg(feature = "redis")]
use super::revise::as_kept;
use super::{Limit, Limits, Rule, life::life};

/// All of some limits: those that hold, and what is left of those that hold no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptLimits {
    /// By place.
    rules: Vec<KeptRule>,
    given: Vec<u32>,
    live: Vec<u32>,
    version: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptRule {
    limit: Limit,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<u32>,
    since: u32,
}

impl Limits {
    /// All of these.
    pub(crate) fn kept(&self) -> KeptLimits {
        let rules = self.rules().iter().map(|rule| KeptRule {
            limit: rule.limit.clone(),
            before: rule.before,
            since: rule.since,
        });
        KeptLimits {
            rules: rules.collect(),
            given: self.given().to_vec(),
            live: self.live().map(|(place, _)| place).collect(),
            version: self.version(),
        }
    }

    /// Limits that were kept, for a store with a clock of its own: each stands where it stood. `None`, where they make no
    /// sense.
    pub(crate) fn of_kept(kept: &KeptLimits) -> Option<Self> {
        // What holds is checked as what is given is.
        let limits = kept
            .given
            .iter()
            .map(|place| kept.rules.get(*place as usize));
        let limits: Option<Vec<Limit>> = limits.map(|rule| Some(rule?.limit.clone())).collect();
        let fresh = Limits::taken_before(limits?).ok()?;
        let wall = Arc::default();
        let rules = kept.rules.iter().enumerate().map(|(place, rule)| {
            let life = life(place, &rule.limit, &wall).ok()?;
            Some(Rule {
                before: rule.before,
                since: rule.since,
                ..Rule::new(rule.limit.clone(), life)
            })
        });
        let rules: Vec<Rule> = rules.collect::<Option<_>>()?;
        let there = |place: &u32| (*place as usize) < rules.len();
        let named = rules.iter().filter_map(|rule| rule.before.as_ref());
        let sound = named.chain(&kept.live).all(there)
            && kept.live.len() == fresh.rules().len()
            && kept.given.iter().all(|place| kept.live.contains(place));
        let places = (kept.given.clone(), kept.live.clone());
        sound.then(|| Limits::of(rules, places, kept.version, wall))
    }

    /// Whether a store was opened with these.
    #[cfg(feature = "redis")]
    pub(crate) fn are_as_given(&self, given: &[Limit]) -> bool {
        self.iter().map(as_kept).eq(given.iter().map(as_kept))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        limit::{CalendarUnit, Charge},
        money::Money,
        tags::Tag,
    };

    fn of(limits: impl IntoIterator<Item = Limit>) -> Limits {
        Limits::new(limits).unwrap()
    }

    fn again(limits: &Limits) -> Limits {
        let text = serde_json::to_string(&limits.kept()).unwrap();
        Limits::of_kept(&serde_json::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn each_stands_where_it_stood_and_so_does_what_comes_then() {
        let minute = Duration::from_secs(60);
        let tokens = || Limit::tokens(100).every(minute).share(Tag::Team, "a", 0.25);
        let sliced = || Limit::requests(60).every(minute).slice(minute / 6);
        let day = Limit::cost(Money::from_dollars(9)).every_calendar(CalendarUnit::Day, "UTC");
        let sets = [
            vec![tokens(), sliced()],
            vec![Limit::concurrency(3), tokens().charge(Charge::openai())],
            vec![day.clone(), sliced()],
            vec![tokens(), day, Limit::concurrency(3)],
        ];
        let mut limits = of(sets[0].clone());
        for set in sets.iter().chain(&sets) {
            let set = of(set.clone());
            let (one, other) = (limits.changed_to(&set), again(&limits).changed_to(&set));
            assert_eq!(one.kept(), other.kept());
            let levels = |limits: &Limits| -> Vec<Vec<u32>> {
                let levels = limits.levels().iter();
                levels.map(|level| level.places.clone()).collect()
            };
            assert_eq!(levels(&one), levels(&other));
            assert_eq!(one.dates_at_the_end(), other.dates_at_the_end());
            limits = one;
        }
        assert!(limits.kept().rules.len() > limits.kept().live.len());
        assert!(limits.kept().rules.iter().any(|rule| rule.before.is_some()));
    }

    #[test]
    fn a_setting_that_was_taken_once_and_changes_nothing_is_no_reason_to_lose_them() {
        let slots = Limit::concurrency(3);
        let mut kept = of([slots.clone()]).kept();
        kept.rules[0].limit.margin = Some(Duration::from_secs(1));
        let limits = Limits::of_kept(&kept).unwrap();
        assert!(Limits::new(limits.iter().cloned()).is_err(), "not any more");
        assert_eq!(limits.without(&slots).iter().count(), 0);
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_margin_that_was_given_once_and_changed_nothing_is_as_good_as_none() {
        let day = || Limit::requests(9).every_calendar(CalendarUnit::Day, "UTC");
        let minute = || Limit::requests(9).every(Duration::from_secs(60));
        let before = |limit: Limit| limit.margin(Duration::from_secs(1));
        assert!(of([day()]).are_as_given(&[before(day())]));
        assert!(!of([minute()]).are_as_given(&[before(minute())]));
    }

    #[test]
    fn what_names_places_that_are_not_there_is_none() {
        let limits = of([Limit::concurrency(3)]);
        let wrong = |change: fn(&mut KeptLimits)| {
            let mut kept = limits.kept();
            change(&mut kept);
            Limits::of_kept(&kept).is_none()
        };
        assert!(wrong(|kept| kept.given = vec![1]));
        assert!(wrong(|kept| kept.live = vec![1]));
        assert!(wrong(|kept| kept.live = Vec::new()));
        assert!(wrong(|kept| kept.rules[0].before = Some(7)));
        assert!(wrong(|kept| kept.rules[0].limit.amount = 0));
        assert!(!wrong(|kept| kept.rules[0].since = 7));
    }
}
