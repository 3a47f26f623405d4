//! What of a charge stays held from the send to the settlement.

use super::{Charge, ChargedAt, Quantity};

/// What of a charge stays held from the send to the settlement, or until it has streamed. The rest is dated at the
/// send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Nothing,
    /// All of it, and none of it streams.
    All,
    /// All of it, and all of it is output.
    AllOutput,
    /// All of it, of which the output streams.
    AllWithOutput,
    Output,
    Input,
}

impl Hold {
    pub(super) fn of(quantity: Quantity, charge: Charge) -> Self {
        use ChargedAt::{Completion, Send};
        match quantity {
            Quantity::Requests => Hold::Nothing,
            Quantity::Concurrency | Quantity::Cost => Hold::All,
            Quantity::InputTokens if charge.input == Completion => Hold::All,
            Quantity::OutputTokens if charge.output == Completion => Hold::AllOutput,
            Quantity::InputTokens | Quantity::OutputTokens => Hold::Nothing,
            Quantity::Tokens => match (charge.input, charge.output) {
                (Send, Send) => Hold::Nothing,
                (Completion, Completion) => Hold::AllWithOutput,
                (Send, Completion) => Hold::Output,
                (Completion, Send) => Hold::Input,
            },
        }
    }

    /// Whether nothing of it is dated at the send.
    #[inline]
    pub(crate) fn is_all(self) -> bool {
        matches!(self, Hold::All | Hold::AllOutput | Hold::AllWithOutput)
    }

    /// Whether how much of it is for output is to be known later.
    pub(super) fn keeps_output_apart(self) -> bool {
        matches!(self, Hold::AllWithOutput | Hold::Output)
    }

    /// Whether how much of it is for input is to be known later.
    pub(super) fn keeps_input_apart(self) -> bool {
        self == Hold::Input
    }

    /// How much of `amount` is held, and how much of that for output, given what was kept.
    #[inline]
    pub(crate) fn parts(self, amount: u64, apart: u64) -> (u64, u64) {
        match self {
            Hold::Nothing => (0, 0),
            Hold::All => (amount, 0),
            Hold::AllOutput => (amount, amount),
            Hold::AllWithOutput => (amount, apart),
            Hold::Output => (apart, apart),
            Hold::Input => (apart, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Demand, Limit, Terms};

    /// How much of so much is held, and how much of that for output, of 300 tokens in and 1 000 out.
    fn held(charge: Charge, quantity: Quantity, amount: u64) -> (u64, u64) {
        let demand = Demand {
            input: 300,
            output: 1_000,
            ..Demand::default()
        };
        let hold = Hold::of(quantity, charge);
        let terms = Terms::of(&Limit::new(quantity, 1).charge(charge), hold);
        let parts = hold.parts(amount, terms.apart(&demand, amount));
        assert!(!hold.is_all() || parts.0 == amount);
        parts
    }

    #[test]
    fn what_is_charged_at_the_send_is_not_held() {
        for quantity in [
            Quantity::Requests,
            Quantity::InputTokens,
            Quantity::OutputTokens,
            Quantity::Tokens,
        ] {
            assert_eq!(held(Charge::openai(), quantity, 900), (0, 0));
        }
    }

    #[test]
    fn anthropics_input_is_dated_at_the_send_and_its_output_later() {
        let charge = Charge::anthropic();
        assert_eq!(held(charge, Quantity::InputTokens, 300), (0, 0));
        assert_eq!(held(charge, Quantity::OutputTokens, 900), (900, 900));
        assert_eq!(held(charge, Quantity::Tokens, 1_300), (1_000, 1_000));
        assert_eq!(
            held(charge, Quantity::Tokens, 900),
            (900, 900),
            "cut to the limit"
        );
    }

    #[test]
    fn by_the_safe_rule_all_is_held() {
        let charge = Charge::default();
        assert_eq!(held(charge, Quantity::Requests, 1), (0, 0));
        assert_eq!(held(charge, Quantity::Concurrency, 1), (1, 0));
        assert_eq!(held(charge, Quantity::InputTokens, 300), (300, 0));
        assert_eq!(held(charge, Quantity::OutputTokens, 900), (900, 900));
        assert_eq!(held(charge, Quantity::Tokens, 1_300), (1_300, 1_000));
        assert_eq!(
            held(charge, Quantity::Tokens, 700),
            (700, 700),
            "cut to the limit"
        );
    }

    #[test]
    fn input_alone_may_be_held() {
        let charge = Charge {
            output: ChargedAt::Send,
            ..Charge::default()
        };
        assert_eq!(held(charge, Quantity::Tokens, 1_300), (300, 0));
        assert_eq!(
            held(charge, Quantity::Tokens, 200),
            (200, 0),
            "cut to the limit"
        );
        assert_eq!(held(charge, Quantity::OutputTokens, 900), (0, 0));
    }
}
