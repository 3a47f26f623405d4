//! What was sent and spent in each of the last minutes, by model, agent and team: for plots, which hours are too long for.

use std::{cmp::Reverse, collections::VecDeque, mem, sync::Arc, time::UNIX_EPOCH};

use hashbrown::HashMap;
use parking_lot::Mutex;
use serde::Serialize;

use crate::{
    clock::time_of_day,
    event::{Event, ObservedCall, Observer},
    money::Money,
    tags::{Tag, Tags},
};

/// So many minutes are kept.
const KEPT: u64 = 120;
/// So many values have sums of their own in a minute, over all tags; further ones are counted together, of each team.
const VALUES: usize = 500;
/// So many are told.
const ROWS: usize = 50;
/// By these there are sums.
const BY: [Tag; 3] = [Tag::Model, Tag::Agent, Tag::Team];

/// An observer that adds up. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Minutes(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// Those that are over do not change any more: who looks takes them along.
    over: VecDeque<Arc<Minute>>,
    present: Minute,
}

#[derive(Clone, Debug, Default)]
struct Minute {
    /// Since 1970.
    number: u64,
    sums: HashMap<Of, Sum>,
}

/// A value of one of the tags, for one team: teams see their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Of {
    team: Arc<str>,
    by: usize,
    /// `None`: all that have no sum of their own.
    value: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    attempts: u64,
    refused: u64,
    tokens: u64,
    cost: Money,
}

impl Sum {
    fn add(&mut self, more: &Sum) {
        self.attempts += more.attempts;
        self.refused += more.refused;
        self.tokens = self.tokens.saturating_add(more.tokens);
        self.cost = self.cost + more.cost;
    }

    /// What is most comes first: what costs, what is sent, what is refused.
    fn order(&self) -> impl Ord + use<> {
        Reverse((self.cost, self.attempts, self.refused))
    }
}

/// Figures of the last minutes, the oldest first, each list as long as `minutes`.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    /// When each began, in seconds since 1970.
    minutes: Vec<u64>,
    /// Those that come to most, and all others in one.
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    /// Empty for calls without the tag; absent for all that have no row of their own.
    value: Option<Arc<str>>,
    attempts: Vec<u64>,
    refused: Vec<u64>,
    tokens: Vec<u64>,
    cost: Vec<Money>,
}

/// The tag by its name, where there are sums by it.
pub(super) fn place(name: &str) -> Option<usize> {
    BY.iter().position(|tag| tag.name() == name)
}

fn this_minute() -> u64 {
    let since = time_of_day().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() / 60)
}

impl Minutes {
    fn add(&self, tags: &Tags, sum: &Sum) {
        let now = this_minute();
        let value = |tag: &Tag| tags.shared(tag).cloned().unwrap_or_default();
        let team = value(&Tag::Team);
        let kept = &mut *self.0.lock();
        // A clock that is set back counts in the minute that had begun.
        if kept.present.number < now {
            let begun = Minute {
                number: now,
                sums: HashMap::new(),
            };
            let over = mem::replace(&mut kept.present, begun);
            kept.over.push_back(Arc::new(over));
            kept.over.retain(|minute| minute.number + KEPT > now);
        }
        let sums = &mut kept.present.sums;
        for (by, tag) in BY.iter().enumerate() {
            let mut of = Of {
                team: team.clone(),
                by,
                value: Some(value(tag)),
            };
            if sums.len() >= VALUES && !sums.contains_key(&of) {
                // What a team's own values come to together is still its own, unless teams are made up as well.
                of.value = None;
                if sums.len() >= 2 * VALUES && !sums.contains_key(&of) {
                    of.team = Arc::default();
                }
            }
            sums.entry(of).or_default().add(sum);
        }
    }

    /// The last minutes by the tag at this place; of one team, or of all.
    pub(super) fn series(&self, by: usize, team: Option<&str>) -> Series {
        let (over, present) = {
            let kept = self.0.lock();
            (kept.over.clone(), kept.present.clone())
        };
        let now = this_minute();
        let first = now.saturating_sub(KEPT - 1);
        let minutes = over.iter().map(|minute| &**minute).chain([&present]);
        let minutes: Vec<&Minute> = minutes
            .filter(|minute| (first..=now).contains(&minute.number))
            .collect();
        let seen = |of: &Of| of.by == by && team.is_none_or(|team| *of.team == *team);

        let mut all: HashMap<&Arc<str>, Sum> = HashMap::new();
        for (of, sum) in minutes.iter().flat_map(|minute| &minute.sums) {
            if let (true, Some(value)) = (seen(of), &of.value) {
                all.entry(value).or_default().add(sum);
            }
        }
        let mut values: Vec<(&Arc<str>, Sum)> = all.into_iter().collect();
        values.sort_by_key(|(value, sum)| (sum.order(), (*value).clone()));
        values.truncate(ROWS);
        let place: HashMap<&Arc<str>, usize> = values
            .iter()
            .enumerate()
            .map(|(place, (value, _))| (*value, place))
            .collect();

        let length = usize::try_from(now - first).unwrap_or_default() + 1;
        // The last is that of all others.
        let mut rows = vec![vec![Sum::default(); length]; values.len() + 1];
        let mut has_others = false;
        for minute in minutes {
            let at = usize::try_from(minute.number - first).unwrap_or_default();
            for (of, sum) in minute.sums.iter().filter(|(of, _)| seen(of)) {
                let own = of.value.as_ref().and_then(|value| place.get(value));
                has_others |= own.is_none();
                rows[own.copied().unwrap_or(values.len())][at].add(sum);
            }
        }
        let names = values.iter().map(|(value, _)| Some((*value).clone()));
        let rows = names.chain([None]).zip(&rows);
        let rows = rows.filter(|(name, _)| name.is_some() || has_others);
        Series {
            minutes: (first..=now).map(|minute| minute * 60).collect(),
            rows: rows.map(|(name, sums)| row(name, sums)).collect(),
        }
    }
}

fn row(value: Option<Arc<str>>, sums: &[Sum]) -> Row {
    let each = |of: fn(&Sum) -> u64| sums.iter().map(of).collect();
    Row {
        value,
        attempts: each(|sum| sum.attempts),
        refused: each(|sum| sum.refused),
        tokens: each(|sum| sum.tokens),
        cost: sums.iter().map(|sum| sum.cost).collect(),
    }
}

impl Observer for Minutes {
    fn on_event(&self, _: &ObservedCall, event: &Event<'_>) {
        match event {
            Event::Ended(end) => {
                let used = end.usage;
                self.add(
                    end.tags,
                    &Sum {
                        attempts: 1,
                        refused: 0,
                        tokens: used.map_or(0, |used| used.input.saturating_add(used.output)),
                        cost: used.and_then(|used| used.cost).unwrap_or_default(),
                    },
                );
            }
            Event::Refused { tags, .. } => self.add(
                tags,
                &Sum {
                    refused: 1,
                    ..Sum::default()
                },
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tags(model: &str, team: &str) -> Tags {
        Tags::new().with(Tag::Model, model).with(Tag::Team, team)
    }

    fn of<'s>(series: &'s Series, value: &str) -> &'s Row {
        let mut rows = series.rows.iter();
        rows.find(|row| row.value.as_deref() == Some(value))
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn each_minute_has_its_own_and_a_team_sees_no_other() {
        let minutes = Minutes::default();
        let spend = |tags: &Tags, dollars| {
            let cost = Money::from_dollars(dollars);
            minutes.add(
                tags,
                &Sum {
                    cost,
                    ..Sum::default()
                },
            );
        };
        spend(&tags("m", "a"), 1);
        tokio::time::advance(Duration::from_secs(60)).await;
        spend(&tags("m", "b"), 2);
        spend(&tags("n", "b"), 4);

        let model = place("model").unwrap();
        let all = minutes.series(model, None);
        assert_eq!(all.minutes.len(), 120);
        let (m, n) = (of(&all, "m"), of(&all, "n"));
        assert_eq!(m.cost[118..], [1, 2].map(Money::from_dollars));
        assert_eq!(n.cost[118..], [0, 4].map(Money::from_dollars));
        assert_eq!(all.rows[0].value.as_deref(), Some("n"), "the dearest first");

        let own = minutes.series(model, Some("a"));
        assert_eq!(own.rows.len(), 1);
        assert_eq!(of(&own, "m").cost[118..], [1, 0].map(Money::from_dollars));

        tokio::time::advance(Duration::from_secs(7_200)).await;
        spend(&tags("m", "a"), 1);
        let later = minutes.series(model, None);
        assert_eq!(later.rows.len(), 1, "what is older is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn hostile_values_are_counted_together_and_none_is_lost() {
        let minutes = Minutes::default();
        let one = Sum {
            attempts: 1,
            ..Sum::default()
        };
        for number in 0..KEPT * 1_000 {
            if number % 1_000 == 0 {
                tokio::time::advance(Duration::from_secs(60)).await;
            }
            minutes.add(&tags(&format!("m{number}"), "a"), &one);
            minutes.add(&tags("m", &format!("t{number}")), &one);
        }
        let kept = minutes.0.lock();
        assert!(kept.over.len() as u64 <= KEPT);
        let most = kept.over.iter().map(|minute| minute.sums.len()).max();
        assert!(most <= Some(2 * VALUES + BY.len()), "{most:?}");
        drop(kept);
        let sum = |of: &Series| -> u64 { of.rows.iter().flat_map(|row| &row.attempts).sum() };
        let series = minutes.series(place("model").unwrap(), None);
        assert_eq!(series.rows.len(), ROWS + 1);
        assert_eq!(sum(&series), 2 * KEPT * 1_000);
        // What others make up is no loss to a team that was there.
        let own = minutes.series(place("model").unwrap(), Some("a"));
        assert_eq!(sum(&own), KEPT * 1_000);
    }
}
