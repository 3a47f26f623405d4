//! What an attempt costs by the simulator's ledger, and what a budget is to charge for it: by arithmetic of its own.

use tower_quota::sim::{Attempt, Outcome};

use super::plan::{Planned, WITHOUT_CAP};

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
    /// The provider has not; how many tokens have streamed is known.
    Estimated(u64),
    /// Nobody knows what was generated: what was reserved.
    Unknown(u64),
}

impl Charge {
    pub(crate) fn nanos(self) -> u64 {
        match self {
            Charge::Reported(nanos) | Charge::Estimated(nanos) | Charge::Unknown(nanos) => nanos,
        }
    }
}

/// What an attempt that is over is to be charged. `frames`: how many of its answer came to the caller.
pub(crate) fn charge(call: &Planned, price: (u64, u64), attempt: &Attempt, frames: u64) -> Charge {
    let unknown = Charge::Unknown(reserved(call, price));
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
    let whole = attempt.outcome == Outcome::Completed;
    match (whole, is("no-usage")) {
        (true, false) => return Charge::Reported(of(billed.input, billed.output)),
        (true, true) => return Charge::Estimated(of(estimate, billed.output)),
        // It was generated before its first byte came, and nobody has read all of it; or it is no JSON at all.
        (false, _) if !call.stream || is("garbage") => return unknown,
        _ => {}
    }
    // A stream that ended early. Anthropic's says its input in its first frame, and one token of output.
    let told = call.anthropic && !is("no-usage") && frames > 0 && !is("error-event=first");
    let (input, least) = if told { (prompt, 1) } else { (estimate, 0) };
    if billed.output > 0 || told {
        return Charge::Estimated(of(input, billed.output.max(least)));
    }
    if attempt.outcome == Outcome::Spoilt {
        // It said that it failed before it had generated anything.
        return Charge::Estimated(of(input, 0));
    }
    unknown
}
