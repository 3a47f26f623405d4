//! Both ledgers side by side: what the provider has seen and billed, what we have claimed and charged.

use std::collections::HashMap;

use tower_quota::{
    Money,
    sim::{Attempt, Ledger as Billed, Outcome},
};

use super::{
    delivered::Delivered,
    ledger::{Gate, Record, Settled},
    load::{End, call_of, is_silent},
};

/// What a million tokens cost, in and out, in dollars.
pub(crate) const PRICE: (u64, u64) = (3, 12);

/// One provider's side.
pub(crate) struct Provider {
    pub(crate) name: &'static str,
    /// The layers that an attempt has passed when it gets there.
    pub(crate) passed: String,
    pub(crate) ledger: Billed,
    /// How many attempts came over its limits.
    pub(crate) over_limit: usize,
}

/// One line of the table. The last five are 0, or there is no such gate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) order: String,
    pub(crate) calls: usize,
    pub(crate) attempts: usize,
    pub(crate) ok: usize,
    /// Attempts that went wrong, by the provider's account.
    pub(crate) faults: usize,
    pub(crate) over_limit: Option<usize>,
    /// Attempts for which some gate has no claim under the tags that they left with.
    pub(crate) unclaimed: Option<usize>,
    /// Claims that never ended, ended twice, or ended for no attempt; and what is held at the end.
    pub(crate) settle_errors: Option<u64>,
    /// Of calls all of whose attempts were reported: by how much we are off the bill. Nano-dollars under a budget, else
    /// tokens.
    pub(crate) bill: Option<u64>,
    /// Of all other calls, by how much a budget is under it. Of a stream whose caller hung up what had come by then.
    pub(crate) under: Option<u64>,
}

/// What one provider and one call have to do with each other, as one gate has it.
type Key = (Gate, u64, String);

impl Row {
    pub(crate) fn new(
        order: &str,
        ends: &[End],
        providers: &[Provider],
        record: &Record,
        held: u64,
        delivered: &Delivered,
    ) -> Row {
        let all = || {
            providers.iter().flat_map(|provider| {
                provider
                    .ledger
                    .entries()
                    .iter()
                    .map(move |attempt| (provider, attempt))
            })
        };
        let gates = gates(order);
        let mut settled: HashMap<Key, Vec<&Settled>> = HashMap::new();
        for one in &record.settled {
            let key = (one.by, one.call, one.provider.clone());
            settled.entry(key).or_default().push(one);
        }
        let mut sent: HashMap<Key, Vec<&Attempt>> = HashMap::new();
        for (provider, attempt) in all() {
            let call = call_of(attempt.max_tokens).unwrap_or(u64::MAX);
            for gate in self::gates(&provider.passed) {
                let key = (gate, call, provider.name.to_owned());
                sent.entry(key).or_default().push(attempt);
            }
        }
        let mut row = Row {
            order: order.to_owned(),
            calls: ends.len(),
            attempts: all().count(),
            ok: ends
                .iter()
                .filter(|end| matches!(end, End::Answered(status) if status.is_success()))
                .count(),
            faults: all()
                .filter(|(_, attempt)| {
                    attempt.status != Some(200) || attempt.outcome != Outcome::Completed
                })
                .count(),
            ..Row::default()
        };
        if gates.contains(&Gate::Admission) {
            row.over_limit = Some(providers.iter().map(|provider| provider.over_limit).sum());
        }
        if gates.is_empty() {
            return row;
        }
        row.compare(ends, &sent, &settled, delivered);
        let ended = record.settled.len() as u64 + record.released;
        let lost = record.granted.abs_diff(ended).max(record.open());
        let errors = row.settle_errors.get_or_insert_default();
        *errors += record.twice + lost + held;
        row
    }

    fn compare(
        &mut self,
        ends: &[End],
        sent: &HashMap<Key, Vec<&Attempt>>,
        settled: &HashMap<Key, Vec<&Settled>>,
        delivered: &Delivered,
    ) {
        let (mut unclaimed, mut for_nothing, mut bill, mut under) = (0, 0, 0, 0);
        for (key, attempts) in sent {
            let ours = settled.get(key).map_or(&[][..], Vec::as_slice);
            unclaimed += attempts.len().saturating_sub(ours.len());
            let call = key.1;
            let hung_up = is_hung_up(ends, call);
            if ours.len() > attempts.len() && !hung_up {
                for_nothing += (ours.len() - attempts.len()) as u64;
            }
            let measure = Measure::of(key.0);
            let charged: u64 = ours.iter().map(|settled| measure.charged(settled)).sum();
            let reported = |attempt: &&&Attempt| is_reported(attempt, call);
            if !hung_up && attempts.iter().filter(reported).count() == attempts.len() {
                let billed: u64 = attempts.iter().map(|one| measure.billed(one, None)).sum();
                bill += billed.abs_diff(charged);
            } else if key.0 == Gate::Budget {
                let of = |attempt: &&Attempt| {
                    // What its caller left unread may all have been sent by then.
                    let is_cut = attempt.stream && (hung_up || attempt.outcome == Outcome::Aborted);
                    measure.billed(attempt, is_cut.then(|| delivered.tokens(&attempt.key)))
                };
                let billed: u64 = attempts.iter().map(of).sum();
                under += billed.saturating_sub(charged);
            }
        }
        for (key, ours) in settled {
            if !sent.contains_key(key) && !is_hung_up(ends, key.1) {
                for_nothing += ours.len() as u64;
            }
        }
        self.unclaimed = Some(unclaimed);
        self.settle_errors = Some(for_nothing);
        self.bill = Some(bill);
        self.under = self.order.contains('B').then_some(under);
    }

    /// Whether every promise is kept.
    pub(crate) fn is_clean(&self) -> bool {
        let numbers = [self.settle_errors, self.bill, self.under];
        let counts = [self.over_limit, self.unclaimed];
        numbers.iter().flatten().all(|number| *number == 0)
            && counts.iter().flatten().all(|count| *count == 0)
    }

    pub(crate) fn head() -> String {
        format!(
            "{:<6}{:>7}{:>9}{:>7}{:>8}{:>11}{:>11}{:>14}{:>11}{:>13}",
            "order",
            "calls",
            "attempts",
            "ok",
            "faults",
            "over limit",
            "unclaimed",
            "settle errors",
            "bill diff",
            "undercharge"
        )
    }

    pub(crate) fn line(&self) -> String {
        fn show<T: ToString>(number: Option<T>) -> String {
            number.map_or_else(|| "-".to_owned(), |number| number.to_string())
        }
        format!(
            "{:<6}{:>7}{:>9}{:>7}{:>8}{:>11}{:>11}{:>14}{:>11}{:>13}",
            self.order,
            self.calls,
            self.attempts,
            self.ok,
            self.faults,
            show(self.over_limit),
            show(self.unclaimed),
            show(self.settle_errors),
            show(self.bill),
            show(self.under)
        )
    }
}

/// The gates among layers.
fn gates(layers: &str) -> Vec<Gate> {
    let gates = [('A', Gate::Admission), ('B', Gate::Budget)];
    let there = gates.iter().filter(|(letter, _)| layers.contains(*letter));
    there.map(|(_, gate)| *gate).collect()
}

fn is_hung_up(ends: &[End], call: u64) -> bool {
    let end = usize::try_from(call).ok().and_then(|call| ends.get(call));
    end == Some(&End::HungUp)
}

/// Whether the provider has told what the attempt is billed: it was answered whole, or with an error that costs nothing.
fn is_reported(attempt: &Attempt, call: u64) -> bool {
    match attempt.status {
        Some(200) => attempt.outcome == Outcome::Completed && !is_silent(call),
        Some(_) => true,
        None => false,
    }
}

/// What is compared.
#[derive(Clone, Copy)]
enum Measure {
    Tokens,
    Money,
}

impl Measure {
    fn of(gate: Gate) -> Self {
        match gate {
            Gate::Admission => Measure::Tokens,
            Gate::Budget => Measure::Money,
        }
    }

    /// What the attempt is billed; where it was cut off, with what had come of its output.
    fn billed(self, attempt: &Attempt, came: Option<u64>) -> u64 {
        let (input, output) = (attempt.billed.input, attempt.billed.output);
        let output = output.min(came.unwrap_or(u64::MAX));
        match self {
            Measure::Tokens => input + output,
            // Dollars for a million are thousands of billionths for one.
            Measure::Money => (input * PRICE.0 + output * PRICE.1) * 1_000,
        }
    }

    fn charged(self, settled: &Settled) -> u64 {
        match (self, settled.usage) {
            (Measure::Tokens, usage) => usage.map_or(0, |usage| usage.input + usage.output),
            (Measure::Money, Some(usage)) => usage.cost.unwrap_or(Money::ZERO).as_nanos(),
            (Measure::Money, None) => settled.reserved.as_nanos(),
        }
    }
}
