//! Other limits for counts that there are.

use super::{
    MemoryStore, Store as _,
    counts::Counts,
    entry::Entry,
    grants::{Grants, Part},
    memory::State,
    windows::Windows,
};
use crate::limit::{Level, Limits, Tick, Window};

impl State {
    /// Has other limits hold from now on, which [these were changed to](Limits::changed_to). Of a budget that is less now
    /// more may be spent than was told.
    pub(super) fn change(&mut self, new: Limits, now: Tick) {
        let old = std::mem::replace(&mut self.limits, new);
        let (counts, new) = (&mut self.counts, &self.limits);
        counts.over.resize(new.rules().len(), 0);
        // What acts now may only watch again later: what it would have refused is counted from then on.
        let goes_on = |place: u32, shadow: bool| {
            old.hold(place) && old.rules()[place as usize].limit.shadow == shadow
        };
        let come = new.live();
        let come = come.filter(|(place, rule)| !goes_on(*place, rule.limit.shadow));
        come.for_each(|(place, _)| counts.over[place as usize] = 0);
        counts.let_parts_go(&old, new);
        counts.change_levels(&old, new);
        counts.look_at_budgets(new, now);
    }
}

impl MemoryStore {
    /// Notes what has happened to budgets by other amounts than those of the store that this one goes on for.
    pub(super) fn look_at_budgets(&self) {
        let State { counts, limits } = &mut *self.lock();
        counts.look_at_budgets(limits, self.now());
        self.has_news(counts);
    }
}

impl Counts {
    /// What was taken of limits that are gone ends here. The rest is found where it stands from now on.
    fn let_parts_go(&mut self, old: &Limits, new: &Limits) {
        let Counts {
            grants, entries, ..
        } = self;
        let moves = Moves::between(old, new);
        grants.each_part(|part| {
            let stays = moves.follow(part, new);
            if !stays {
                entries.at_mut(part.entry).open -= 1;
            }
            stays
        });
    }

    /// The entries of each level stand where it stands now, with a count for each limit of it.
    fn change_levels(&mut self, old: &Limits, new: &Limits) {
        let mut tables = std::mem::take(&mut self.tables);
        let mut alone = std::mem::take(&mut self.alone);
        let mut shared = std::mem::take(&mut self.shared);
        for level in new.levels() {
            let before = old.levels().iter();
            let Some(number) = before.clone().position(|old| old.is_of(&level.limit)) else {
                self.tables.push(Default::default());
                self.alone.push(None);
                self.shared.push(None);
                continue;
            };
            let table = std::mem::take(&mut tables[number]);
            let rest = shared[number].take();
            let before = (old, &old.levels()[number]);
            for place in table.iter().chain(rest) {
                self.entries.at_mut(place).change(before, (new, level));
            }
            self.tables.push(table);
            self.alone.push(alone[number].take());
            self.shared.push(rest);
        }
        let gone = tables
            .iter()
            .flat_map(|table| table.iter())
            .chain(shared.into_iter().flatten());
        gone.for_each(|place| self.forget(place));
    }

    /// Notes what has happened to budgets by other amounts.
    fn look_at_budgets(&mut self, limits: &Limits, now: Tick) {
        for (number, level) in limits.levels().iter().enumerate() {
            let terms = (0u32..).zip(&level.terms);
            let watched = terms.filter(|(_, (_, terms))| terms.are_watched());
            for (window, (limit, _)) in watched {
                let rule = &limits.rules()[*limit as usize];
                let places = self.tables[number].iter().chain(self.shared[number]);
                for place in places {
                    let count = &mut self.entries.at_mut(place).windows[window as usize];
                    if !count.may_have_passed(rule) {
                        continue;
                    }
                    // What has left is let go for good only where something has happened: when a program starts, the
                    // clock on the wall may be wrong for a moment.
                    let mut expired = count.clone();
                    expired.expire(rule, now);
                    let happened = expired.after_spending(rule, now);
                    if !happened.is_empty() {
                        *count = expired;
                        let entry = self.entries.at(place);
                        self.events.note(limits, entry, (*limit, window), happened);
                    }
                }
            }
        }
    }
}

impl Entry {
    /// Has a count for each limit of a level as it is now, where there was one for each as it was.
    fn change(&mut self, (old, before): (&Limits, &Level), (new, level): (&Limits, &Level)) {
        let value = self.values.first();
        let rule = |place: u32| &new.rules()[place as usize];
        let go_by = |window: &mut Window, place: u32| {
            let (old, new) = (&old.rules()[place as usize], rule(place));
            window.go_by(old, new, new.amount_for(value));
        };
        if before.places == level.places {
            let windows = self.windows.iter_mut().zip(&level.places);
            return windows.for_each(|(window, place)| go_by(window, *place));
        }
        let known = std::mem::take(&mut self.windows);
        let windows = level.places.iter().map(|place| {
            let number = before.places.iter().position(|known| known == place);
            match number {
                Some(number) => {
                    let mut window = known[number].clone();
                    go_by(&mut window, *place);
                    window
                }
                None => Window::new(rule(*place).amount_for(value)),
            }
        });
        self.windows = windows.collect::<Windows>();
    }
}

/// Where parts of grants go.
struct Moves {
    /// By the place of a limit, that of the rule which its parts are settled by from now on, and the number of its count
    /// in its level.
    to: Vec<Option<(u32, u32)>>,
}

impl Moves {
    fn between(old: &Limits, new: &Limits) -> Self {
        let mut to = vec![None; old.rules().len()];
        for level in new.levels() {
            for (window, place) in (0u32..).zip(&level.places) {
                if old.hold(*place) {
                    to[*place as usize] = Some((*place, window));
                }
            }
        }
        for (place, rule) in (0u32..).zip(new.rules()) {
            let Some(now) = rule.before.and_then(|limit| to[limit as usize]) else {
                continue;
            };
            match to.get_mut(place as usize) {
                // It was there: what it settles goes on.
                Some(known) => *known = Some((place, now.1)),
                None => to[now.0 as usize] = Some((place, now.1)),
            }
        }
        Moves { to }
    }

    /// Has a part stand where its limit does. Returns whether there is one.
    fn follow(&self, part: &mut Part, new: &Limits) -> bool {
        let Some((limit, window)) = self.to[part.limit as usize] else {
            return false;
        };
        (part.limit, part.window) = (limit, window);
        part.terms = new.rules()[limit as usize].terms;
        true
    }
}

impl Grants {
    /// Shows every part of every grant that is open, and drops those that are not to stay.
    fn each_part(&mut self, mut stays: impl FnMut(&mut Part) -> bool) {
        let mut places = Vec::new();
        for open in self.each_open() {
            let mut number = 0u32;
            places.clear();
            open.parts.retain_mut(|part| {
                let stays = stays(part);
                places.push(stays.then_some(number));
                number += u32::from(stays);
                stays
            });
            open.streamed.retain_mut(|streamed| {
                let place = places[streamed.part as usize];
                streamed.part = place.unwrap_or_default();
                place.is_some()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        limit::{Demand, Limit, Limits, Quantities},
        store::{Answer, Claim, Decision, MemoryStore, Reason, Store as _},
        tags::{Tag, Tags},
    };

    /// How many parts are open by the entries, and how many there are.
    fn open(store: &MemoryStore) -> (u32, usize) {
        let mut state = store.lock();
        let entries = state.counts.iter().map(|(_, entry)| entry.open).sum();
        let grants = state.counts.grants.each_open();
        (entries, grants.map(|open| open.parts.len()).sum())
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_knows_how_many_parts_of_it_are_open_whatever_comes_and_goes() {
        let requests = || Limit::requests(50).every(Duration::from_secs(60));
        let of = |limits: Vec<Limit>| Limits::new(limits).unwrap();
        let slots = || Limit::concurrency(9);
        let agents = || requests().per(Tag::Agent);
        let store = MemoryStore::new(of(vec![requests(), slots(), agents()]));
        let claim = |name: &str| Claim {
            quantities: Quantities::ADMISSION,
            ..Claim::new(Tags::new().with(Tag::Agent, name), Demand::default())
        };
        let mut grants = Vec::new();
        for name in ["a", "b", "b"] {
            let Answer::Now(Ok(Decision::Granted(grant))) = store.claim(&claim(name)) else {
                panic!("there is room")
            };
            grants.push(grant);
        }
        assert_eq!(open(&store), (9, 9));
        for (set, left) in [
            (vec![requests(), agents()], 6),
            (vec![agents(), slots(), requests()], 6),
            (vec![slots(), agents()], 3),
            (vec![agents().shadow()], 3),
            (vec![agents(), slots()], 3),
            (vec![slots()], 0),
        ] {
            store
                .reconfigure(&of(set), &Reason::default())
                .get()
                .await
                .unwrap();
            assert_eq!(open(&store), (left, left as usize));
        }
        for grant in grants {
            store.release(grant).get().await.unwrap();
        }
        assert_eq!(open(&store), (0, 0));
    }
}
