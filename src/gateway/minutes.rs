//! What was sent and spent in each of the last minutes, by model, agent and team: for plots, which hours are too long for.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::UNIX_EPOCH,
};

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
/// So many values have sums of their own in a minute, over all tags; further ones are counted together.
const VALUES: usize = 500;
/// By these there are sums.
const BY: [Tag; 3] = [Tag::Model, Tag::Agent, Tag::Team];

/// An observer that adds up. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Minutes(Arc<Mutex<VecDeque<Minute>>>);

#[derive(Debug)]
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

/// Figures of the last minutes, the oldest first, each list as long as `minutes`.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    /// When each began, in seconds since 1970.
    minutes: Vec<u64>,
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
    fn add(&self, tags: &Tags, add: impl Fn(&mut Sum)) {
        let now = this_minute();
        let minutes = &mut *self.0.lock();
        // A clock that is set back counts in the minute that had begun.
        if minutes.back().is_none_or(|last| last.number < now) {
            minutes.push_back(Minute {
                number: now,
                sums: HashMap::new(),
            });
            minutes.retain(|minute| minute.number + KEPT > now);
        }
        let Some(minute) = minutes.back_mut() else {
            return;
        };
        let value = |tag: &Tag| tags.shared(tag).cloned().unwrap_or_default();
        let team = value(&Tag::Team);
        for (by, tag) in BY.iter().enumerate() {
            let mut of = Of {
                team: team.clone(),
                by,
                value: Some(value(tag)),
            };
            if minute.sums.len() >= VALUES && !minute.sums.contains_key(&of) {
                of.value = None;
                if !minute.sums.contains_key(&of) {
                    of.team = Arc::default();
                }
            }
            add(minute.sums.entry(of).or_default());
        }
    }

    /// The last minutes by the tag at this place; of one team, or of all.
    pub(super) fn series(&self, by: usize, team: Option<&str>) -> Series {
        let now = this_minute();
        let first = now.saturating_sub(KEPT - 1);
        let length = usize::try_from(now - first).unwrap_or_default() + 1;
        let mut rows: HashMap<Option<Arc<str>>, Vec<Sum>> = HashMap::new();
        for minute in &*self.0.lock() {
            let place = usize::try_from(minute.number.wrapping_sub(first)).unwrap_or(usize::MAX);
            if place >= length {
                continue;
            }
            for (of, sum) in &minute.sums {
                if of.by == by && team.is_none_or(|team| *of.team == *team) {
                    let row = rows.entry(of.value.clone());
                    let all = &mut row.or_insert_with(|| vec![Sum::default(); length])[place];
                    all.attempts += sum.attempts;
                    all.refused += sum.refused;
                    all.tokens += sum.tokens;
                    all.cost = all.cost + sum.cost;
                }
            }
        }
        let mut rows: Vec<Row> = rows
            .into_iter()
            .map(|(value, sums)| row(value, &sums))
            .collect();
        rows.sort_by(|one, other| {
            let cost = |row: &Row| row.cost.iter().copied().sum::<Money>();
            (cost(other), &one.value).cmp(&(cost(one), &other.value))
        });
        Series {
            minutes: (first..=now).map(|minute| minute * 60).collect(),
            rows,
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
                let tokens = used.map_or(0, |used| used.input.saturating_add(used.output));
                let cost = used.and_then(|used| used.cost).unwrap_or_default();
                self.add(end.tags, |sum| {
                    sum.attempts += 1;
                    sum.tokens = sum.tokens.saturating_add(tokens);
                    sum.cost = sum.cost + cost;
                });
            }
            Event::Refused { tags, .. } => self.add(tags, |sum| sum.refused += 1),
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
            minutes.add(tags, |sum| {
                sum.cost = sum.cost + Money::from_dollars(dollars)
            });
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
        for number in 0..10_000 {
            minutes.add(&tags(&format!("m{number}"), "a"), |sum| sum.attempts += 1);
        }
        let series = minutes.series(place("model").unwrap(), None);
        assert!(series.rows.len() <= VALUES);
        let sum: u64 = series.rows.iter().flat_map(|row| &row.attempts).sum();
        assert_eq!(sum, 10_000);
    }
}
