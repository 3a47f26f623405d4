//! Other limits while these count.

use super::{Identity, Limit, Limits, Rule, pairs};

impl Limits {
    /// The limits of `new`, where these have counted until now.
    ///
    /// A limit that is among both stays at its place, with all that is said of it now; so does a slice and a share, and
    /// so does a limit that acts now and only watched before, or the other way round. What is new comes behind
    /// everything that there ever was, or where the same stood before: no place is given to another limit, because there
    /// may be names of its counts still. Where a limit is charged otherwise, there is one more place for
    /// [calls in flight](Rule::before).
    pub(crate) fn changed_to(&self, new: &Limits) -> Limits {
        let known = Known::of(self);
        let given: Vec<&Limit> = new.iter().collect();
        let known_at = known.places(&given);
        let given = given.into_iter().zip(known_at);
        let given = given.map(|(limit, place)| self.as_written(limit, place));
        let fresh = Limits::on_wall(given, self.wall().clone()).expect("they were checked");
        let version = self.version() + 1;
        let mut rules = self.rules().to_vec();
        let mut places: Vec<u32> = Vec::new();
        let all: Vec<&Limit> = fresh.rules().iter().map(|rule| &rule.limit).collect();
        for (rule, place) in fresh.rules().iter().zip(known.places(&all)) {
            let mut rule = Rule {
                since: version,
                ..rule.clone()
            };
            places.push(place.unwrap_or_else(|| next(&rules)));
            let Some(place) = place else {
                rules.push(rule);
                continue;
            };
            let old = &mut rules[place as usize];
            let stays = self.hold(place);
            if stays {
                rule.since = old.since;
            }
            let old = std::mem::replace(old, rule);
            if stays && old.limit.charge != rules[place as usize].limit.charge {
                rules.push(Rule {
                    before: Some(place),
                    ..old
                });
            }
        }
        for number in 0..rules.len() {
            let Some(place) = rules[number].before else {
                continue;
            };
            // All but the charge is as it is now.
            let now = &rules[place as usize];
            let limit = Limit {
                charge: rules[number].limit.charge,
                ..now.limit.clone()
            };
            let rule = Rule::new(limit, now.life.clone());
            rules[number] = Rule {
                before: Some(place),
                ..rule
            };
        }
        let given = places[..fresh.iter().count()].to_vec();
        Limits::of(rules, (given, places), version, self.wall().clone())
    }

    /// A limit with its tags in the order in which they stand at its place, if it has one: values are kept in that.
    fn as_written(&self, limit: &Limit, place: Option<u32>) -> Limit {
        let known = place.map(|place| &self.rules()[place as usize].limit);
        let (when, per) = match known {
            Some(known) => (known.when.clone(), known.per.clone()),
            None => return limit.clone(),
        };
        Limit {
            when,
            per,
            ..limit.clone()
        }
    }
}

/// The place of the next one.
fn next(rules: &[Rule]) -> u32 {
    u32::try_from(rules.len()).expect("fewer than 2^32 limits fit into memory")
}

/// The limits that there ever were, with their places: those that hold, and those that hold no more.
struct Known {
    live: (Vec<u32>, Vec<Identity>),
    gone: Vec<(u32, Identity)>,
}

impl Known {
    fn of(limits: &Limits) -> Self {
        let live = limits.live();
        let live = live.map(|(place, rule)| (place, Identity::of(&rule.limit)));
        let rules = (0u32..).zip(limits.rules());
        let gone = rules.filter(|(place, rule)| rule.before.is_none() && !limits.hold(*place));
        let gone = gone.map(|(place, rule)| (place, Identity::of(&rule.limit).sorted()));
        Known {
            live: live.unzip(),
            gone: gone.collect(),
        }
    }

    /// Where each of these limits stands: where it holds, also if it acts there and is only to watch now, or the other
    /// way round; else where the same stood once. No two stand at one place.
    fn places(&self, limits: &[&Limit]) -> Vec<Option<u32>> {
        let (places, live) = &self.live;
        let same: Vec<Identity> = limits.iter().map(|limit| Identity::of(limit)).collect();
        let mut taken: Vec<u32> = Vec::new();
        let mut stood = |same: &Identity| {
            let same = same.clone().sorted();
            let mut gone = self.gone.iter();
            let (place, _) = gone.find(|(place, gone)| *gone == same && !taken.contains(place))?;
            taken.push(*place);
            Some(*place)
        };
        let found = pairs(live, &same).into_iter().zip(&same);
        found
            .map(|(number, same)| match number {
                Some(number) => Some(places[number]),
                None => stood(same),
            })
            .collect()
    }
}
