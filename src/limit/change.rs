//! Other limits while these count.

use super::{Identity, Limit, Limits, Rule};

impl Limits {
    /// The limits of `new`, where these have counted until now.
    ///
    /// A limit that is among both stays at its place, with all that is said of it now; so does a slice and a share. What
    /// is new comes behind everything that there ever was, or where the same stood before: no place is given to another
    /// limit, because there may be names of its counts still. Where a limit is charged otherwise, there is one more
    /// place for [calls in flight](Rule::before).
    pub(crate) fn changed_to(&self, new: &Limits) -> Limits {
        let known = Known::of(self);
        let given = new.iter().map(|limit| known.as_written(limit));
        let fresh = Limits::on_wall(given, self.wall().clone()).expect("they were checked");
        let version = self.version() + 1;
        let mut rules = self.rules().to_vec();
        let mut places: Vec<u32> = Vec::new();
        for rule in fresh.rules() {
            let mut rule = Rule {
                since: version,
                ..rule.clone()
            };
            let place = known.place(&rule.limit, &places);
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
}

/// The place of the next one.
fn next(rules: &[Rule]) -> u32 {
    u32::try_from(rules.len()).expect("fewer than 2^32 limits fit into memory")
}

/// The limits that there ever were, with their places.
struct Known<'a> {
    limits: Vec<(u32, Identity, &'a Limit)>,
}

impl<'a> Known<'a> {
    fn of(limits: &'a Limits) -> Self {
        let rules = (0u32..).zip(limits.rules());
        let rules = rules.filter(|(_, rule)| rule.before.is_none());
        let known = |(place, rule): (u32, &'a Rule)| {
            let limit = &rule.limit;
            (place, Identity::of(limit).sorted(), limit)
        };
        Known {
            limits: rules.map(known).collect(),
        }
    }

    /// Where the same limit stands, unless that is one of these places.
    fn place(&self, limit: &Limit, taken: &[u32]) -> Option<u32> {
        let same = Identity::of(limit).sorted();
        let mut known = self.limits.iter();
        let known = known.find(|(place, known, _)| *known == same && !taken.contains(place));
        known.map(|(place, ..)| *place)
    }

    /// A limit with its tags in the order in which they stand where it is known: values are kept in that.
    fn as_written(&self, limit: &Limit) -> Limit {
        let same = Identity::of(limit).sorted();
        let known = self.limits.iter().find(|(_, known, _)| *known == same);
        let (when, per) = match known {
            Some((_, _, known)) => (known.when.clone(), known.per.clone()),
            None => return limit.clone(),
        };
        Limit {
            when,
            per,
            ..limit.clone()
        }
    }
}
