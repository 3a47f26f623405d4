//! What an attempt costs by the simulator's ledger, and what a budget is to charge for it: by arithmetic of its own.

use tower_quota::sim::{Attempt, Outcome};

use super::plan::{Plan, Planned, WITHOUT_CAP};

/// What so many tokens cost, in nano-dollars, rounded up once.
pub(crate) fn cost((input_rate, output_rate): (u64, u64), input: u64, output: u64) -> u64 {
    let (input, output) = (u128::from(input), u128::from(output));
    let all = input * u128::from(input_rate) + output * u128::from(output_rate);
    u64::try_from(all.div_ceil(1_000_000)).unwrap()
}

/// What is reserved for a call: each byte of it a token in, and all of its cap out.
pub(crate) fn reserved(call: &Planned, price: (u64, u64)) -> u64 {
    let bytes = call.body().len() as u64;
    cost(price, bytes, call.cap.unwrap_or(WITHOUT_CAP))
}

/// Why an attempt is charged what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Charge {
    /// The provider has said what it used, or that it did nothing.
    Reported(u64),
    /// The provider has not; how much text has streamed is known.
    Estimated {
        /// Where the length of the model's tokens has been learnt: as many as there were.
        learnt: u64,
        /// Before that: each byte a token, up to what was reserved.
        before: u64,
        /// The same where more was held for it as it came, because the call had no cap.
        beyond: u64,
    },
    /// Nobody knows what was generated: what was reserved.
    Unknown(u64),
}

/// Whether a budget knows by the end of this attempt how long the tokens of its model are, from an answer of some
/// length that ended before; `None`: one ended in the same instant.
pub(crate) fn known(plan: &Plan, ledger: &[Attempt], attempt: &Attempt) -> Option<bool> {
    let teaches = |other: &&Attempt| {
        let number: usize = other.key["call-".len()..].parse().unwrap();
        (other.dialect, &other.model) == (attempt.dialect, &attempt.model)
            && other.seq != attempt.seq
            && other.status == Some(200)
            && other.outcome == Outcome::Completed
            && plan.calls[number].fault != Some("no-usage")
            && other.billed.output * plan.token_bytes >= 64
    };
    let first = ledger
        .iter()
        .filter(teaches)
        .map(|other| other.finish)
        .min();
    match first {
        Some(first) if first < attempt.finish => Some(true),
        Some(first) if first == attempt.finish => None,
        _ => Some(false),
    }
}

/// What an attempt that is over is to be charged: one of these. `frames`: how many of its answer came to the caller.
pub(crate) fn charges(plan: &Plan, call: &Planned, attempt: &Attempt, frames: u64) -> Vec<Charge> {
    // The layers read the beginning of a stream before the caller sees any of it: that much, or none of it if the
    // caller went away before.
    let read = if frames == 0 { &[0, 1][..] } else { &[1] };
    read.iter()
        .map(|frames| charge(plan, call, attempt, *frames))
        .collect()
}

fn charge(plan: &Plan, call: &Planned, attempt: &Attempt, frames: u64) -> Charge {
    let price = plan.prices[call.model];
    let reserved = reserved(call, price);
    let unknown = Charge::Unknown(reserved);
    let of = |input, output| cost(price, input, output);
    match attempt.status {
        // It left, and no answer came: it may have been billed.
        None => return unknown,
        Some(200) => {}
        Some(_) => return Charge::Reported(0),
    }
    let (billed, is) = (attempt.billed, |fault: &str| {
        call.fault.is_some_and(|known| known.starts_with(fault))
    });
    // The word `user` counts as text, and is one token more.
    let (prompt, estimate) = (attempt.prompt, attempt.prompt + 1);
    let estimated = |input, told: u64| {
        let text = billed.output * plan.token_bytes;
        let capped = text.min(call.cap.unwrap_or(u64::MAX));
        Charge::Estimated {
            learnt: of(input, billed.output.max(told)),
            before: of(input, capped.max(told)).min(reserved),
            beyond: match call.cap {
                Some(_) => of(input, capped.max(told)).min(reserved),
                None => of(input, text.max(told)),
            },
        }
    };
    let whole = attempt.outcome == Outcome::Completed;
    match (whole, is("no-usage")) {
        (true, false) => return Charge::Reported(of(billed.input, billed.output)),
        (true, true) => return estimated(estimate, 0),
        // It was generated before its first byte came, and nobody has read all of it; or it is no JSON at all.
        (false, _) if !call.stream || is("garbage") => return unknown,
        _ => {}
    }
    // A stream that ended early. Anthropic's says its input in its first frame, and one token of output.
    let told = call.anthropic && !is("no-usage") && frames > 0 && !is("error-event=first");
    let (input, least) = if told { (prompt, 1) } else { (estimate, 0) };
    if billed.output > 0 || told {
        return estimated(input, least);
    }
    if attempt.outcome == Outcome::Spoilt {
        // It said that it failed before it had generated anything.
        return estimated(input, 0);
    }
    unknown
}
