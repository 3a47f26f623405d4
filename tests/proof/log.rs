//! A naive log of everything that was asked and decided: plain vectors, summed up again for every question. It
//! shares nothing with the engine, and judges each of its decisions.
//!
//! A store rounds dates to slots, so that a charge may count a little longer than it must: the log knows the
//! least and the most that may count, and what is decided has to be right by both.

use tower_quota::{
    Tag, Tags, Usage,
    limit::{Quantity, Tick},
    store::{Claim, Decision, NotNow},
};

use crate::plan::{Life, Plan};

#[derive(Debug)]
pub(crate) struct Log {
    plans: Vec<Plan>,
    books: Vec<Book>,
    /// Of each grant, what it wrote.
    grants: Vec<Vec<Entry>>,
    /// Models that were to be left alone, and until when: all that was told and not taken back.
    told: Vec<(String, u64)>,
}

/// What a grant wrote into one book: the rows of what is dated at the send, of what is held, and of what has
/// streamed, the oldest first.
#[derive(Debug)]
struct Entry {
    book: usize,
    early: usize,
    late: usize,
    streamed: Vec<usize>,
    /// How much has streamed, and how much of what is held is held for that.
    total: u64,
    output: u64,
}

/// Everything under one limit and one set of values.
#[derive(Debug)]
struct Book {
    plan: usize,
    key: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    /// What was claimed: 0 where it counts without a claim.
    claimed: u64,
    counts: u64,
    date: Option<u64>,
    ended: bool,
}

/// What may count at one moment.
#[derive(Clone, Copy, Debug)]
struct InUse {
    least: u64,
    most: u64,
    /// Of that, what has no date and stays.
    held: u64,
}

impl Log {
    pub(crate) fn new(plans: Vec<Plan>) -> Self {
        Log {
            plans,
            books: Vec::new(),
            grants: Vec::new(),
            told: Vec::new(),
        }
    }

    /// A provider told to leave a model alone until then.
    pub(crate) fn closed(&mut self, model: &str, until: u64) {
        self.told.push((model.to_owned(), until));
    }

    /// One of those was wrong. Which it is: its model, and until when.
    pub(crate) fn reopened(&mut self, place: usize) -> (String, u64) {
        self.told.swap_remove(place)
    }

    /// How many were told.
    pub(crate) fn told(&self) -> usize {
        self.told.len()
    }

    /// Until when the claim has to leave its model alone; not one that is of no attempt.
    fn closed_for(&self, claim: &Claim, now: u64) -> Option<u64> {
        let model = claim.tags.get(&Tag::Model)?;
        let of_attempt = claim.quantities.contain(Quantity::Requests);
        let told = self.told.iter();
        let told = told.filter(|(other, until)| of_attempt && other == model && *until > now);
        told.map(|(_, until)| *until).max()
    }

    /// How many claims were granted.
    pub(crate) fn granted(&self) -> usize {
        self.grants.len()
    }

    /// Holds a decision against the log, and writes it down. Of a grant: its number.
    pub(crate) fn judge(&mut self, claim: &Claim, decision: &Decision, now: u64) -> Option<usize> {
        let needs = self.needs(claim);
        let closed = self.closed_for(claim, now);
        match decision {
            Decision::Granted(_) => {
                assert_eq!(closed, None, "granted where it was told to wait");
                for (book, need) in &needs {
                    let most = self.most(*book);
                    let in_use = self.in_use(*book, now);
                    let plan = &self.plans[self.books[*book].plan];
                    assert!(
                        plan.shadow || *need == 0 || in_use.least + need <= most,
                        "granted {need} on top of {in_use:?} of {most}: {plan:?}"
                    );
                }
                return Some(self.write(needs, claim));
            }
            Decision::NotNow(refused) => {
                let told = refused.not_before.map(Tick::as_micros);
                assert!(told >= closed, "{refused:?} before {closed:?}");
                if let Some(until) = told.filter(|_| told > closed) {
                    self.judge_certain(&needs, until);
                }
                if refused.key.is_cooldown() {
                    self.judge_cooldown(&needs, refused, (claim, closed), now);
                } else {
                    assert!(refused.at.is_none_or(|at| Some(at.as_micros()) >= closed));
                    self.judge_refusal(&needs, refused, now);
                }
            }
            Decision::Never(refused) => {
                let (book, need) = self.named(&needs, refused);
                let plan = &self.plans[self.books[book].plan];
                let spent = match plan.life {
                    Life::Run => self.in_use(book, now).least - self.in_use(book, now).held,
                    _ => 0,
                };
                assert!(
                    !plan.shadow && spent + need > self.most(book),
                    "there will be room: {spent} and {need}, {plan:?}"
                );
            }
        }
        None
    }

    /// It is told to wait, until then, and no limit has room later.
    fn judge_cooldown(
        &self,
        needs: &[(usize, u64)],
        refused: &NotNow,
        (claim, closed): (&Claim, Option<u64>),
        now: u64,
    ) {
        let at = refused.at.map(Tick::as_micros);
        assert!(closed.is_some() && at == closed, "{refused:?}, {closed:?}");
        assert_eq!((refused.in_use, refused.needed), (0, 0));
        let model = claim.tags.get(&Tag::Model).unwrap_or_default();
        assert!(refused.key.values().iter().any(|value| **value == *model));
        for (book, need) in needs.iter().filter(|(_, need)| *need > 0) {
            let (in_use, most) = (self.in_use(*book, now), self.most(*book));
            let plan = &self.plans[self.books[*book].plan];
            let stays = match plan.life {
                Life::Sliding { .. } => in_use.held,
                Life::Run | Life::Flight => in_use.least,
            };
            assert!(
                plan.shadow || stays + need <= most,
                "nobody knows when there is room: {need} on top of {in_use:?} of {most}: {plan:?}"
            );
        }
    }

    fn judge_refusal(&self, needs: &[(usize, u64)], refused: &NotNow, now: u64) {
        let (book, need) = self.named(needs, refused);
        let (in_use, most) = (self.in_use(book, now), self.most(book));
        let plan = &self.plans[self.books[book].plan];
        let said = refused.in_use;
        assert!(!plan.shadow, "a limit that only watches refuses: {plan:?}");
        assert!(
            (in_use.least..=in_use.most).contains(&said) && said + need > most && need <= most,
            "refused {need} on top of {said} of {most}, which are {in_use:?}: {plan:?}"
        );
        match (refused.at, plan.life) {
            (Some(at), Life::Sliding { .. }) => {
                assert!(at.as_micros() > now && in_use.held + need <= most);
            }
            (Some(_), _) => panic!("an instant for what has none: {plan:?}"),
            (None, Life::Sliding { .. }) => assert!(
                in_use.held + need > most,
                "it expires by itself: {need} on top of {in_use:?} of {most}: {plan:?}"
            ),
            (None, _) => assert!(
                in_use.least - in_use.held + need <= most,
                "there never will be room: {need} on top of {in_use:?} of {most}: {plan:?}"
            ),
        }
        assert!(plan.shrinks() || refused.not_before >= refused.at);
    }

    /// Whatever calls in flight come to, some count has no room a tick before this.
    fn judge_certain(&self, needs: &[(usize, u64)], until: u64) {
        let full = needs.iter().any(|(book, need)| {
            let plan = &self.plans[self.books[*book].plan];
            !plan.shadow && self.certain(*book, until - 1) + need > self.most(*book)
        });
        assert!(full, "there may be room before {until}: {needs:?}");
    }

    /// What is asked of the count that refused.
    fn named(&self, needs: &[(usize, u64)], refused: &NotNow) -> (usize, u64) {
        let (plan, key) = (refused.key.limit(), refused.key.values());
        let same =
            |book: &Book| book.plan == plan && book.key.iter().zip(key).all(|(a, b)| **a == **b);
        let known = needs.iter().find(|(book, _)| same(&self.books[*book]));
        let (book, need) = *known.expect("a limit that the claim touches");
        assert_eq!(refused.needed, need, "{:?}", self.plans[plan]);
        (book, need)
    }

    pub(crate) fn dated(&mut self, grant: usize, now: u64) {
        for entry in &self.grants[grant] {
            self.books[entry.book].rows[entry.early].date = Some(now);
        }
    }

    /// So many output tokens have come by now.
    pub(crate) fn streamed(&mut self, grant: usize, output: u64, now: u64) {
        for entry in &mut self.grants[grant] {
            let book = &mut self.books[entry.book];
            if !self.plans[book.plan].streams() || output <= entry.total {
                continue;
            }
            let came = output - entry.total;
            let held = &mut book.rows[entry.late];
            let out_of_it = came.min(entry.output);
            held.claimed -= out_of_it;
            held.counts -= out_of_it;
            entry.output -= out_of_it;
            entry.total = output;
            entry.streamed.push(book.rows.len());
            book.rows.push(Row {
                claimed: out_of_it,
                counts: came,
                date: Some(now),
                ended: true,
            });
        }
    }

    /// The grant has ended. Without a usage nobody knows it.
    pub(crate) fn settled(&mut self, grant: usize, usage: Option<Usage>, now: u64) {
        for entry in &self.grants[grant] {
            let book = &mut self.books[entry.book];
            let plan = &self.plans[book.plan];
            if let Some(usage) = usage {
                let (early, late) = (
                    book.rows[entry.early].claimed,
                    book.rows[entry.late].claimed,
                );
                let (early, late) = plan.settled(early, late, &usage);
                book.rows[entry.early].counts = early;
                book.rows[entry.late].counts = late.saturating_sub(entry.total);
                // More was seen to stream than came in truth: the newest goes first.
                let mut excess = entry.total.saturating_sub(late);
                for row in entry.streamed.iter().rev() {
                    let back = excess.min(book.rows[*row].counts);
                    book.rows[*row].counts -= back;
                    excess -= back;
                }
            }
            if plan.life == Life::Flight {
                book.rows[entry.late].counts = 0;
            }
        }
        self.end(grant, now);
    }

    pub(crate) fn released(&mut self, grant: usize, now: u64) {
        for entry in &self.grants[grant] {
            let rows = &mut self.books[entry.book].rows;
            for row in [entry.early, entry.late].iter().chain(&entry.streamed) {
                (rows[*row].claimed, rows[*row].counts) = (0, 0);
            }
        }
        self.end(grant, now);
    }

    fn end(&mut self, grant: usize, now: u64) {
        for entry in &self.grants[grant] {
            for row in [entry.early, entry.late] {
                let row = &mut self.books[entry.book].rows[row];
                row.date = row.date.or(Some(now));
                row.ended = true;
            }
        }
    }

    pub(crate) fn recorded(&mut self, tags: &Tags, usage: &Usage, now: u64) {
        self.charge_unclaimed(tags, now, |plan, _| plan.recorded(usage));
    }

    /// A call was refused: some limits count that.
    pub(crate) fn refused(&mut self, claim: &Claim, now: u64) {
        self.charge_unclaimed(&claim.tags, now, |plan, most| {
            let counts = plan.count_refused;
            plan.need(most, claim)
                .filter(|_| counts)
                .unwrap_or_default()
        });
    }

    fn charge_unclaimed(&mut self, tags: &Tags, now: u64, amount: impl Fn(&Plan, u64) -> u64) {
        for number in 0..self.plans.len() {
            if self.plans[number].touches(tags) {
                let book = self.book(number, tags);
                let counts = amount(&self.plans[number], self.most(book));
                self.books[book].rows.push(Row {
                    claimed: 0,
                    counts,
                    date: Some(now),
                    ended: true,
                });
            }
        }
    }

    /// Holds what a store says is in use against the log, for every limit that the claim touches.
    pub(crate) fn judge_in_use(&mut self, claim: &Claim, said: &[u64], now: u64) {
        let needs = self.needs(claim);
        assert_eq!(needs.len(), said.len());
        for ((book, _), said) in needs.into_iter().zip(said) {
            let in_use = self.in_use(book, now);
            let plan = &self.plans[self.books[book].plan];
            assert!(
                (in_use.least..=in_use.most).contains(said),
                "{said} said to be in use, which are {in_use:?}: {plan:?}"
            );
        }
    }

    /// The promise itself, over all that was: no interval of a limit's length holds more than the limit, by what
    /// was claimed and left. And everything has ended.
    pub(crate) fn judge_intervals(&self) {
        for (number, book) in self.books.iter().enumerate() {
            let plan = &self.plans[book.plan];
            assert!(book.rows.iter().all(|row| row.ended), "still in flight");
            let Life::Sliding { stay, .. } = plan.life else {
                continue;
            };
            let charges = book
                .rows
                .iter()
                .map(|row| (row.date.unwrap(), row.claimed.min(row.counts)));
            let mut charges: Vec<(u64, u64)> = charges.collect();
            charges.sort_unstable();
            let (mut first, mut sum) = (0, 0);
            for (date, amount) in &charges {
                sum += amount;
                while charges[first].0 + stay <= *date {
                    sum -= charges[first].1;
                    first += 1;
                }
                assert!(
                    plan.shadow || sum <= self.most(number),
                    "{sum} in one period until {date}: {plan:?}"
                );
            }
        }
    }

    /// The books that a claim takes from, in the order of the limits, and how much.
    fn needs(&mut self, claim: &Claim) -> Vec<(usize, u64)> {
        let touched = (0..self.plans.len()).filter(|plan| self.plans[*plan].touches(&claim.tags));
        let touched: Vec<usize> = touched.collect();
        let mut needs = Vec::new();
        for number in touched {
            let book = self.book(number, &claim.tags);
            let plan = &self.plans[number];
            let key = &self.books[book].key;
            let same = |held: &&tower_quota::limit::LimitKey| {
                held.limit() == number && held.values().iter().zip(key).all(|(a, b)| **a == **b)
            };
            let left_alone = claim.held.iter().any(|held| same(&held));
            if let Some(need) = plan.need(self.most(book), claim).filter(|_| !left_alone) {
                needs.push((book, need));
            }
        }
        needs
    }

    fn write(&mut self, needs: Vec<(usize, u64)>, claim: &Claim) -> usize {
        let entries = needs.into_iter().map(|(book, need)| {
            let (early, late, output) = self.plans[self.books[book].plan].split(need, claim);
            let rows = &mut self.books[book].rows;
            for claimed in [early, late] {
                rows.push(Row {
                    claimed,
                    counts: claimed,
                    date: None,
                    ended: false,
                });
            }
            Entry {
                book,
                early: rows.len() - 2,
                late: rows.len() - 1,
                streamed: Vec::new(),
                total: 0,
                output,
            }
        });
        let entries = entries.collect();
        self.grants.push(entries);
        self.grants.len() - 1
    }

    fn most(&self, book: usize) -> u64 {
        let book = &self.books[book];
        self.plans[book.plan].most(&book.key)
    }

    fn book(&mut self, plan: usize, tags: &Tags) -> usize {
        let key = self.plans[plan].key(tags);
        let same = |book: &Book| book.plan == plan && book.key == key;
        if let Some(known) = self.books.iter().position(same) {
            return known;
        }
        self.books.push(Book {
            plan,
            key,
            rows: Vec::new(),
        });
        self.books.len() - 1
    }

    /// The most that may count at this moment of what calls in flight do not give back.
    fn certain(&self, book: usize, at: u64) -> u64 {
        let book = &self.books[book];
        let plan = &self.plans[book.plan];
        let stays = |row: &&Row| match (row.date, plan.life) {
            (Some(date), Life::Sliding { stay, late }) => at < date + stay + late,
            _ => true,
        };
        let ended = |row: &&Row| row.ended || !plan.shrinks();
        let rows = book.rows.iter().filter(ended).filter(stays);
        rows.map(|row| row.counts).sum()
    }

    fn in_use(&self, book: usize, now: u64) -> InUse {
        let book = &self.books[book];
        let life = self.plans[book.plan].life;
        let mut in_use = InUse {
            least: 0,
            most: 0,
            held: 0,
        };
        for row in &book.rows {
            let (least, most) = match (row.date, life) {
                (None, _) => {
                    in_use.held += row.counts;
                    (true, true)
                }
                (Some(date), Life::Sliding { stay, late }) => {
                    (now < date + stay, now < date + stay + late)
                }
                (Some(_), _) => (true, true),
            };
            in_use.least += if least { row.counts } else { 0 };
            in_use.most += if most { row.counts } else { 0 };
        }
        in_use
    }
}
