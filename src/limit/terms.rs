//! What each call asks of a limit, in few bytes: a rule is looked at only where these do not say enough.

use std::cell::OnceCell;

use super::{
    Demand, Hold, Limit, NewTarget, Quantities, Quantity, TokenCharge, charge::believed,
    new_target::looked_at,
};
use crate::usage::Usage;

/// What a limit takes of a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Measure {
    // The numbers of the quantities, and one more.
    Requests = Quantity::Requests as u8,
    /// Input and output together.
    Tokens = Quantity::Tokens as u8,
    InputTokens = Quantity::InputTokens as u8,
    OutputTokens = Quantity::OutputTokens as u8,
    Concurrency = Quantity::Concurrency as u8,
    Cost = Quantity::Cost as u8,
    /// The larger of input and output.
    LargerTokens,
    /// Whether it is a request at all, whatever else is looked at.
    Pause,
}

/// As many as there are, so that none is out of bounds.
const MEASURES: usize = 8;

impl Measure {
    pub(super) fn of(limit: &Limit) -> Self {
        match limit.quantity {
            _ if limit.paused => Measure::Pause,
            Quantity::Requests => Measure::Requests,
            Quantity::Tokens if limit.charge.tokens == TokenCharge::Larger => Measure::LargerTokens,
            Quantity::Tokens => Measure::Tokens,
            Quantity::InputTokens => Measure::InputTokens,
            Quantity::OutputTokens => Measure::OutputTokens,
            Quantity::Concurrency => Measure::Concurrency,
            Quantity::Cost => Measure::Cost,
        }
    }
}

/// What each call asks of a limit, as bits: so it is kept with each part of a grant, and asked without a look at
/// the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms(u32);

/// The lowest bits are the measure.
const MEASURE: u32 = 7;
const HOLDS_ALL: u32 = 1 << 3;
const HOLDS_NOTHING: u32 = 1 << 4;
const LISTENS: u32 = 1 << 5;
const COUNTS_REPEATS: u32 = 1 << 6;
/// The output is kept apart, or else the input.
const OUTPUT_APART: u32 = 1 << 7;
const INPUT_APART: u32 = 1 << 8;
const COUNTS_ALL_ONCE: u32 = 1 << 9;
const WATCHED: u32 = 1 << 10;
/// From this bit on: the tags of the target that it looks at.
const LOOKED_AT: u32 = 11;

impl Terms {
    pub(super) fn of(limit: &Limit, hold: Hold) -> Self {
        let bits = [
            (hold.is_all(), HOLDS_ALL),
            (hold == Hold::Nothing, HOLDS_NOTHING),
            (limit.is_shown() || limit.adaptive.is_some(), LISTENS),
            (limit.counts_repeats(), COUNTS_REPEATS),
            (hold.keeps_output_apart(), OUTPUT_APART),
            (hold.keeps_input_apart(), INPUT_APART),
            (limit.charge.counts_all_once(), COUNTS_ALL_ONCE),
            (limit.is_watched(), WATCHED),
        ];
        let bits = bits.iter().map(|(is_so, bit)| u32::from(*is_so) * bit);
        let looked_at = looked_at(limit) << LOOKED_AT;
        Terms(bits.fold(Measure::of(limit) as u32 | looked_at, |all, bit| all | bit))
    }

    #[inline]
    const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// Whether it is what the limit takes of a demand.
    #[inline]
    pub(crate) const fn take(self, measure: Measure) -> bool {
        self.0 & MEASURE == measure as u32
    }

    /// Whether answers may teach anything of it.
    #[inline]
    pub(crate) const fn listen(self) -> bool {
        self.has(LISTENS)
    }

    /// Whether somebody looks at what is spent of it.
    #[inline]
    pub(crate) const fn are_watched(self) -> bool {
        self.has(WATCHED)
    }

    /// Whether nothing of a charge is dated at the send.
    #[inline]
    pub(crate) const fn hold_all(self) -> bool {
        self.has(HOLDS_ALL)
    }

    /// Whether all of a charge is dated at the send.
    #[inline]
    pub(crate) const fn hold_nothing(self) -> bool {
        self.has(HOLDS_NOTHING)
    }

    /// Whether nothing of a charge is dated or noted at the send.
    #[inline]
    pub(crate) const fn wait_for_the_end(self) -> bool {
        self.0 & (HOLDS_ALL | LISTENS) == HOLDS_ALL
    }

    /// What counts of usage in the end, where that is held until then; `None`: the charge has to say it.
    #[inline]
    pub(crate) fn used(self, usage: &Usage) -> Option<u64> {
        if !self.has(COUNTS_ALL_ONCE) {
            return None;
        }
        let (input, output) = (believed(usage.input), believed(usage.output));
        Some(
            if self.take(Measure::Tokens) || self.take(Measure::LargerTokens) {
                input + output
            } else if self.take(Measure::InputTokens) {
                input
            } else if self.take(Measure::OutputTokens) {
                output
            } else {
                return None;
            },
        )
    }

    /// Of `amount`, which was claimed for `demand`, what is to be kept to [know the parts](Hold::parts) later.
    #[inline]
    pub(crate) fn apart(self, demand: &Demand, amount: u64) -> u64 {
        if self.has(OUTPUT_APART) {
            demand.output.min(amount)
        } else if self.has(INPUT_APART) {
            demand.input.min(amount)
        } else {
            0
        }
    }
}

/// What a claim asks of limits.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    demand: &'a Demand,
    /// Which measures are looked at.
    measures: u8,
    repeat: bool,
    new_target: NewTarget,
    /// What is asked for by each measure, and how much of that the caller declared; made for the first limit that is
    /// not on requests.
    amounts: OnceCell<[(u64, u64); MEASURES]>,
}

impl<'a> Asked<'a> {
    #[inline]
    pub(crate) fn of(
        demand: &'a Demand,
        quantities: Quantities,
        (repeat, new_target): (bool, NewTarget),
    ) -> Self {
        Asked {
            demand,
            measures: quantities.measures(),
            repeat,
            new_target,
            amounts: OnceCell::new(),
        }
    }

    /// How much of it a limit reserves that holds `most`; `None`: the limit is not for it. An estimate is cut to what
    /// the limit can hold, a declared figure is not.
    #[inline]
    pub(crate) fn amount(&self, terms: Terms, most: u64) -> Option<u64> {
        let measure = terms.0 & MEASURE;
        if self.measures & (1 << measure) == 0 || (self.repeat && self.was_counted(terms)) {
            return None;
        }
        if terms.take(Measure::Requests) {
            return Some(self.demand.requests);
        }
        let amounts = self.amounts.get_or_init(|| all_amounts(self.demand));
        let (asked, declared) = amounts[measure as usize % MEASURES];
        Some(asked.min(most).max(declared))
    }

    /// Whether a limit counts no more of a call that was counted before.
    #[cold]
    fn was_counted(&self, terms: Terms) -> bool {
        !terms.has(COUNTS_REPEATS) && !self.new_target.is_to(terms.0 >> LOOKED_AT)
    }

    /// All that is asked for by a measure.
    pub(super) fn whole(&self, measure: Measure) -> u64 {
        all_amounts(self.demand)[measure as usize].0
    }
}

/// What is asked for by each measure, and how much of that the caller declared.
#[inline(never)]
fn all_amounts(demand: &Demand) -> [(u64, u64); MEASURES] {
    let declared = |amount, is_declared| if is_declared { amount } else { 0 };
    let Demand { input, output, .. } = *demand;
    let own_input = declared(input, demand.input_declared);
    let own_output = declared(output, demand.output_declared);
    let mut amounts = [(0, 0); MEASURES];
    let mut ask = |measure: Measure, asked, declared| amounts[measure as usize] = (asked, declared);
    ask(Measure::Requests, demand.requests, demand.requests);
    ask(
        Measure::Tokens,
        input.saturating_add(output),
        own_input.saturating_add(own_output),
    );
    ask(Measure::InputTokens, input, own_input);
    ask(Measure::OutputTokens, output, own_output);
    ask(Measure::Concurrency, 1, 1);
    // Whatever it is, it is a bound: a budget is not passed.
    ask(Measure::Cost, demand.cost, demand.cost);
    ask(
        Measure::LargerTokens,
        input.max(output),
        own_input.max(own_output),
    );
    // What goes to a call that is on its way is none.
    let any = demand.requests.min(1);
    ask(Measure::Pause, any, any);
    amounts
}

impl Quantities {
    /// The measures of these quantities, a bit each.
    #[inline]
    const fn measures(self) -> u8 {
        let larger = self.contain(Quantity::Tokens) as u8;
        self.bits() | larger << Measure::LargerTokens as u8 | 1 << Measure::Pause as u8
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{limit::Charge, tags::Tag};

    const DEMAND: Demand = Demand {
        requests: 1,
        input: 300,
        output: 1_000,
        cost: 7,
        input_declared: false,
        output_declared: true,
    };

    fn terms(limit: &Limit) -> Terms {
        Terms::of(limit, Hold::of(limit.quantity, limit.charge))
    }

    fn amount(limit: &Limit, most: u64) -> Option<u64> {
        Asked::of(&DEMAND, Quantities::ALL, (false, NewTarget::default()))
            .amount(terms(limit), most)
    }

    #[test]
    fn openai_reserves_the_larger_and_azure_the_sum() {
        let tokens = |charge| amount(&Limit::tokens(1).charge(charge), u64::MAX);
        assert_eq!(tokens(Charge::openai()), Some(1_000));
        assert_eq!(tokens(Charge::azure()), Some(1_300));
    }

    #[test]
    fn an_estimate_is_cut_to_what_there_is_and_what_was_declared_is_not() {
        assert_eq!(amount(&Limit::input_tokens(1), 200), Some(200));
        assert_eq!(amount(&Limit::output_tokens(1), 200), Some(1_000));
        assert_eq!(amount(&Limit::tokens(1), 1_100), Some(1_100));
        assert_eq!(amount(&Limit::tokens(1), 900), Some(1_000));
        assert_eq!(amount(&Limit::requests(1), 0), Some(1));
        assert_eq!(amount(&Limit::concurrency(1), 5), Some(1));
        assert_eq!(
            amount(&Limit::cost(crate::Money::from_nanos(1)), 5),
            Some(7)
        );
    }

    #[test]
    fn limits_on_what_is_not_looked_at_are_left_alone() {
        let limits = [
            Limit::requests(1),
            Limit::tokens(1),
            Limit::tokens(1).charge(Charge::openai()),
            Limit::input_tokens(1),
            Limit::output_tokens(1),
            Limit::concurrency(1),
            Limit::cost(crate::Money::from_nanos(1)),
        ];
        for only in &limits {
            let quantities = [only.quantity].into_iter().collect();
            let asked = Asked::of(&DEMAND, quantities, (false, NewTarget::default()));
            for limit in &limits {
                let taken = asked.amount(terms(limit), u64::MAX);
                assert_eq!(taken.is_some(), limit.quantity == only.quantity, "{limit}");
            }
        }
    }

    #[test]
    fn a_repeat_is_not_counted_where_calls_are() {
        let again = Asked::of(&DEMAND, Quantities::ALL, (true, NewTarget::default()));
        let minute = |limit: Limit| terms(&limit.every(Duration::from_secs(60)));
        let amount = |limit: &Limit| again.amount(minute(limit.clone()), 10);
        assert_eq!(amount(&Limit::requests(1).per(Tag::Agent)), None);
        assert_eq!(amount(&Limit::requests(1).per(Tag::Model)), Some(1));
        assert_eq!(
            amount(&Limit::output_tokens(1).per(Tag::Agent)),
            Some(1_000)
        );
    }

    #[test]
    fn it_is_where_it_goes_elsewhere_and_that_is_looked_at() {
        let to = |model| {
            crate::tags::Tags::new()
                .with(Tag::Provider, "p")
                .with(Tag::Model, model)
        };
        let new = NewTarget::of(&to("m"), [&to("n")]);
        let again = Asked::of(&DEMAND, Quantities::ALL, (true, new));
        let of_agent = Limit::requests(1)
            .every(Duration::from_secs(60))
            .per(Tag::Agent);
        let amount = |limit: &Limit| again.amount(terms(limit), 10);
        assert_eq!(amount(&of_agent.clone().when(Tag::Model, "m")), Some(1));
        assert_eq!(amount(&of_agent.clone().per(Tag::Model)), Some(1));
        assert_eq!(amount(&of_agent.clone().when(Tag::Provider, "p")), None);
        assert_eq!(amount(&of_agent), None);
    }

    #[test]
    fn usage_counts_the_same_whether_the_bits_say_it_or_the_charge() {
        use crate::limit::{ChargedAt::*, Parts, TokenCharge::*};

        let usages = [(0, 0), (700, 40), (u64::MAX, 3), (5, u64::MAX)].map(|(input, output)| {
            let mut usage = Usage::new(input, output);
            usage.cache_read = input / 3;
            usage.cost = (input == 5).then(|| crate::Money::from_nanos(9));
            usage
        });
        let mut said = 0;
        for bits in 0..64 {
            let bit = |place: u32| bits >> place & 1 == 1;
            let charge = Charge {
                tokens: if bit(0) { Larger } else { Sum },
                input: if bit(1) { Send } else { Completion },
                output: if bit(2) { Send } else { Completion },
                corrected: bit(3),
                cache_reads: bit(4),
                output_weight: 1 + 4 * u32::from(bit(5)),
            };
            for quantity in [
                Quantity::Tokens,
                Quantity::InputTokens,
                Quantity::OutputTokens,
                Quantity::Concurrency,
                Quantity::Cost,
            ] {
                let terms = terms(&Limit::new(quantity, 1).charge(charge));
                if !terms.hold_all() {
                    continue;
                }
                for usage in &usages {
                    let late = Parts {
                        early: 0,
                        late: 300,
                    };
                    let parts = charge.settled(quantity, late, usage);
                    let used = charge.settled_at_the_end(quantity, 300, usage);
                    assert_eq!(
                        (parts.early, parts.late),
                        (0, used),
                        "{charge:?} {quantity}"
                    );
                    let by_bits = terms.used(usage);
                    assert!(by_bits.is_none_or(|by_bits| by_bits == used), "{charge:?}");
                    said += u32::from(by_bits.is_some());
                }
            }
        }
        assert!(said > 0);
    }
}
