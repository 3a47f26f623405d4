//! The same limits but for one: what operators change.

use std::sync::Arc;

use super::{Identity, Limit, LimitError, Limits, idle::check_idle};
#[cfg(any(test, feature = "config", feature = "redis", feature = "sqlite"))]
use super::{identity::pairs, idle::has_no_margin};

impl Limits {
    /// Returns these limits and one more at the end; or, if the same limit (same quantity, period, `when` and `per`, and as
    /// much of a [shadow](Limit::shadow)) is among them, with the new one in its place.
    ///
    /// # Errors
    /// If the new limit makes no sense.
    pub fn with(&self, limit: Limit) -> Result<Self, LimitError> {
        let mut all: Vec<Limit> = self.iter().cloned().collect();
        let place = all.iter().position(|other| same(other, &limit));
        // The others were taken before, maybe by a version that took more.
        check_idle(place.unwrap_or(all.len()), &limit)?;
        match place {
            Some(place) => all[place] = limit,
            None => all.push(limit),
        }
        Limits::on_wall(all, Arc::default())
    }

    /// Returns these limits without the given one, or all of them if it is not among them. Other settings of it may
    /// differ.
    #[must_use]
    pub fn without(&self, limit: &Limit) -> Self {
        let rest = self.iter().filter(|other| !same(other, limit));
        Limits::on_wall(rest.cloned(), Arc::default()).expect("they were checked")
    }

    /// Returns these limits with another amount for the limit that has this text, or for one value of the tag that it
    /// counts [`per`](Limit::per). Money is in nano-dollars.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Money, Tag, limit::{Limit, LimitError, Limits}};
    ///
    /// let budget = Limit::cost(Money::from_dollars(10)).every(Duration::from_secs(3_600)).per(Tag::Team);
    /// let limits = Limits::new([budget])?;
    /// let more = Money::from_dollars(25).as_nanos();
    /// let raised = limits.with_amount("cost $10.00/hour per team", None, more)?;
    /// assert_eq!(raised.iter().next().unwrap().to_string(), "cost $25.00/hour per team");
    /// let raised = limits.with_amount("cost $10.00/hour per team", Some("search"), more)?;
    /// assert_eq!(raised.iter().next().unwrap().to_string(), "cost $10.00/hour per team (other amounts for 1)");
    ///
    /// let error = limits.with_amount("cost $9.00/hour", None, more).unwrap_err();
    /// assert_eq!(error.to_string(), "there is no limit `cost $9.00/hour`; there are: cost $10.00/hour per team");
    /// # Ok::<(), LimitError>(())
    /// ```
    ///
    /// # Errors
    /// If no limit has this text, or it cannot have that amount.
    pub fn with_amount(
        &self,
        limit: &str,
        value: Option<&str>,
        amount: u64,
    ) -> Result<Self, LimitError> {
        let mut all: Vec<Limit> = self.iter().cloned().collect();
        let reads_so = |other: &&mut Limit| !other.paused && other.to_string() == limit;
        let Some(found) = all.iter_mut().find(reads_so) else {
            let known: Vec<String> = self.iter().map(ToString::to_string).collect();
            return Err(LimitError::Unknown {
                limit: limit.to_owned(),
                known: known.join(", "),
            });
        };
        match value {
            None => found.amount = amount,
            Some(value) => {
                found.amounts.retain(|(other, _)| **other != *value);
                *found = found.clone().amount_for(value, amount);
            }
        }
        Limits::on_wall(all, Arc::default())
    }

    /// The limits that hold where these are given to what was given `given` before, a store that is opened or a configuration
    /// that is read again, and `held` hold: those that are given as they were given then are what they were changed to at run time. Pauses that came at
    /// run time go on.
    #[cfg(any(test, feature = "config", feature = "redis", feature = "sqlite"))]
    pub(crate) fn opened_with(&self, given: &[Limit], held: &Limits) -> Limits {
        // It may act by now, or only watch, and be the same one.
        let each: Vec<&Limit> = held.iter().collect();
        let identities = |all: &Limits| -> Vec<Identity> { all.iter().map(Identity::of).collect() };
        let found = pairs(&identities(held), &identities(self));
        let now = self.iter().zip(found).map(|(limit, found)| {
            let given = given.iter().find(|given| same(given, limit));
            let changed = found.map(|number| each[number]);
            match (given, changed) {
                (Some(given), Some(changed)) if as_kept(given) == as_kept(limit) => changed.clone(),
                _ => limit.clone(),
            }
        });
        let given = |pause: &&Limit| given.iter().any(|given| same(given, pause));
        let known = |pause: &&Limit| self.iter().any(|limit| same(limit, pause));
        let pauses = held.pauses().filter(|pause| !given(pause) && !known(pause));
        let now = Limits::on_wall(now.chain(pauses.cloned()), Arc::default()).ok();
        now.unwrap_or_else(|| self.clone().for_a_store())
    }
}

/// As it comes back when it is written and read: the last digit of a share may differ. And without a margin that changes
/// nothing, as it may have been given once.
#[cfg(any(test, feature = "config", feature = "redis", feature = "sqlite"))]
pub(super) fn as_kept(limit: &Limit) -> Limit {
    let text = serde_json::to_string(limit);
    let kept = text.and_then(|text| serde_json::from_str(&text));
    let mut kept: Limit = kept.unwrap_or_else(|_| limit.clone());
    if has_no_margin(&kept) {
        kept.margin = None;
    }
    kept
}

pub(super) fn same(one: &Limit, other: &Limit) -> bool {
    Identity::of(one).same(&Identity::of(other))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{limit::CalendarUnit, tags::Tag};

    fn words(limits: &Limits) -> Vec<String> {
        limits.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_came_to_act_at_run_time_acts_where_the_same_file_is_read_again() {
        let budget = |amount| Limit::requests(amount).every(Duration::from_secs(60));
        let limits = |one: Limit| Limits::new([one]).unwrap();
        let file = limits(budget(9).shadow());
        let given: Vec<Limit> = file.iter().cloned().collect();
        let held = limits(budget(9));
        assert_eq!(words(&file.opened_with(&given, &held)), words(&held));
        // Whoever changes the file says what holds.
        let other = limits(budget(5).shadow());
        assert_eq!(words(&other.opened_with(&given, &held)), words(&other));
    }

    #[test]
    fn a_margin_that_was_given_once_and_changed_nothing_makes_no_other_limit() {
        let second = Duration::from_secs(1);
        let day = |amount| Limit::requests(amount).every_calendar(CalendarUnit::Day, "UTC");
        let run = |amount| Limit::requests(amount).every_run();
        let before = |limit: Limit| Limit {
            margin: Some(second),
            ..limit
        };
        let taken = |all: [Limit; 2]| Limits::on_wall(all, Arc::default()).unwrap();
        let file = Limits::new([day(9), run(9)]).unwrap();
        let given = [before(day(9)), before(run(9))];
        let held = taken([before(day(20)), before(run(30))]);
        assert_eq!(words(&file.opened_with(&given, &held)), words(&held));
        // Where it means something, another one is another limit.
        let minute = |amount| Limit::requests(amount).every(second * 60);
        let file = Limits::new([minute(9)]).unwrap();
        let held = Limits::new([before(minute(20))]).unwrap();
        let now = file.opened_with(&[before(minute(9))], &held);
        assert_eq!(words(&now), words(&file));
    }

    #[test]
    fn an_idle_setting_that_was_taken_once_is_in_nobodys_way_and_a_new_one_is_refused() {
        let idle = |amount| Limit {
            margin: Some(Duration::from_secs(1)),
            ..Limit::requests(amount).every_calendar(CalendarUnit::Day, "UTC")
        };
        let minute = Limit::requests(5).every(Duration::from_secs(60));
        let limits = Limits::on_wall([idle(9), minute.clone()], Arc::default()).unwrap();
        let text = idle(9).to_string();
        let pause = Limit::paused().when(Tag::Agent, "a");
        assert_eq!(limits.with(pause).unwrap().iter().count(), 3);
        for of in [text, minute.to_string()] {
            assert!(limits.with_amount(&of, None, 7).is_ok(), "{of}");
        }
        let place = |limits: &Limits, limit| match limits.with(limit).map(|_| ()) {
            Err(LimitError::IdleSetting { place, .. }) => place,
            other => panic!("{other:?}"),
        };
        assert_eq!(place(&limits, idle(7)), 0);
        let others = Limits::new([minute]).unwrap();
        assert_eq!(place(&others, idle(9)), 1);
    }

    #[test]
    fn one_comes_changes_and_goes_and_the_others_stay_where_they_are() {
        let requests = |amount| Limit::requests(amount).every(Duration::from_secs(60));
        let limits = Limits::new([requests(5), Limit::concurrency(3)]).unwrap();
        let more = limits.with(requests(7)).unwrap();
        assert_eq!(words(&more), ["requests 7/min", "concurrency 3"]);
        let pause = Limit::paused().when(Tag::Agent, "a");
        let paused = more.with(pause.clone()).unwrap();
        let paused = paused.with(pause.clone()).unwrap();
        assert_eq!(
            words(&paused),
            ["requests 7/min", "concurrency 3", "agent=a is paused"]
        );
        assert_eq!(words(&paused.without(&pause)), words(&more));
        assert_eq!(words(&more.without(&pause)), words(&more));
        assert_eq!(words(&more.without(&requests(1))), ["concurrency 3"]);
        let given: Vec<Limit> = limits.iter().cloned().collect();
        // A pause goes on, and so does what was changed of what is given as before.
        assert_eq!(words(&limits.opened_with(&given, &paused)), words(&paused));
        let other = Limits::new([requests(6), Limit::concurrency(3)]).unwrap();
        let now = words(&other.opened_with(&given, &paused));
        assert_eq!(
            now,
            ["requests 6/min", "concurrency 3", "agent=a is paused"]
        );
    }

    #[test]
    fn an_amount_is_changed_where_the_limit_reads_so_and_makes_sense() {
        let requests = |amount| Limit::requests(amount).every(Duration::from_secs(60));
        let limits = Limits::new([requests(5).per(Tag::Agent), Limit::concurrency(3)]).unwrap();
        let of = "requests 5/min per agent";
        let raised = limits.with_amount(of, Some("a"), 9).unwrap();
        let raised = raised.with_amount(
            "requests 5/min per agent (other amounts for 1)",
            Some("a"),
            8,
        );
        let limit = raised.unwrap().iter().next().cloned().unwrap();
        assert_eq!(limit.published_for(Some("a")), 8);
        assert_eq!(limit.published_for(Some("b")), 5);
        assert!(matches!(
            limits.with_amount(of, None, 0),
            Err(LimitError::ZeroAmount { .. })
        ));
        let of_slots = limits.with_amount("concurrency 3", Some("a"), 9);
        assert!(matches!(of_slots, Err(LimitError::BadAmounts { .. })));
        assert!(matches!(
            limits.with_amount("requests 5/min", None, 9),
            Err(LimitError::Unknown { .. })
        ));
    }

    #[test]
    fn a_pause_has_tags_and_nothing_else_and_reads_from_what_was_written_before_there_were_any() {
        let check = |limit: Limit| Limits::new([limit]).map(|_| ()).unwrap_err().to_string();
        let pause = || Limit::paused().when(Tag::Agent, "a");
        assert_eq!(
            check(Limit::paused()),
            "limit 0 (everything is paused): a pause needs `when`: say whose calls are paused"
        );
        for wrong in [
            pause().per(Tag::User),
            pause().shadow(),
            pause().every(Duration::from_secs(1)),
        ] {
            let error = check(wrong);
            assert!(error.contains("takes `when`, and nothing else"), "{error}");
        }
        let text = serde_json::to_string(&Limit::concurrency(3)).unwrap();
        assert!(!text.contains("paused"), "{text}");
        assert_eq!(
            serde_json::from_str::<Limit>(&text).unwrap(),
            Limit::concurrency(3)
        );
        let text = serde_json::to_string(&pause()).unwrap();
        assert_eq!(serde_json::from_str::<Limit>(&text).unwrap(), pause());
        // Beside a limit on the same calls, in whatever order.
        let slots = Limit::concurrency(3).when(Tag::Agent, "a");
        assert!(Limits::new([slots, pause()]).is_ok());
    }
}
