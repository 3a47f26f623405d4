//! What an answer used.

mod shares;
mod tier;

use http::StatusCode;

use self::shares::Shares;
use crate::{
    call::{Allowed, Ended, Input},
    limit::Demand,
    store::Settlement,
    usage::Usage,
    wire::{Dialect, Meter, Reading},
};

/// An answer, besides its body.
pub(super) struct Answer {
    pub(super) dialect: Dialect,
    pub(super) status: StatusCode,
    /// What was asked for.
    pub(super) demand: Demand,
    pub(super) allowed: Allowed,
}

impl Answer {
    /// What the answer used, by the best that is known of it: what was reported; else what was seen of
    /// the output and estimated of the input; of an error, nothing but the request and what was reported of it.
    pub(super) fn ended(&self, meter: &Meter) -> Ended {
        self.ended_by(meter, &meter.reading_to_count())
    }

    /// The same of one of which no more is read.
    pub(super) fn over(&self, meter: &Meter, reading: Option<Reading>) -> Ended {
        let reading = reading.unwrap_or_else(|| meter.reading_to_count());
        let tells = reading.usage_is_final || reading.error.is_some();
        let ended = self.ended_by(meter, &reading);
        match self.allowed.goes_on && self.status.is_success() && !tells {
            // It is generated to its end and billed, and can be read later: what was reserved.
            true => Ended::with(Settlement::Unknown),
            false => ended,
        }
    }

    /// The same, where it was read already.
    fn ended_by(&self, meter: &Meter, reading: &Reading) -> Ended {
        if !self.status.is_success() {
            return Ended::with(Settlement::Usage(Usage::default()));
        }
        if self.dialect == Dialect::Generic {
            return Ended::with(Settlement::Unknown);
        }
        if !meter.is_stream() && !reading.complete && !reading.usage_is_final {
            // It was generated whole before its first byte came, and nobody read how much it was.
            return Ended::with(Settlement::Unknown);
        }
        let failed = reading.error.is_some() && reading.output_seen == 0;
        let is_final = is_last_word(reading);
        let seen = Usage::new(self.demand.input, reading.output_seen);
        let whole = match reading.usage {
            // What was reported before it failed, and no estimate: it has generated nothing.
            reported if failed => reported.unwrap_or_default(),
            Some(usage) if is_final => usage,
            // A report that is not the last word: the input is, the output is at least what was seen.
            Some(mut usage) => {
                usage.input = if usage.input == 0 {
                    seen.input
                } else {
                    usage.input
                };
                usage.output = usage.output.max(seen.output);
                usage
            }
            // Google leaves it out only where a caller has it left out, and then nobody knows what was billed.
            None if self.dialect == Dialect::Gemini && reading.complete => {
                return Ended::with(Settlement::Unknown);
            }
            None => seen,
        };
        let shares = Shares::of(reading, self.dialect, whole, is_final);
        let mut usage = shares.used;
        usage.cost = reading.cost;
        let tier = tier::tier(&reading.served);
        let is_untold = reading.cost.is_none();
        Ended {
            settlement: Settlement::Usage(usage),
            is_final,
            told: reading.usage.map_or(0, |usage| usage.output),
            text: reading.text_bytes,
            allowed: self.allowed,
            failed,
            billed: billed(reading).filter(|_| is_final).or(shares.charged),
            others: shares.others,
            tier,
            is_dearer: is_untold && tier::is_dearer(tier, self.dialect),
            pays_beside: is_untold && (shares.is_mixed || pays_beside(reading)),
            is_all_input: self.is_all_input(reading),
            input: self.input(reading),
        }
    }

    /// Whether nothing was to be generated, and what was read is charged by something else than tokens: images, of which their
    /// number is told.
    fn is_all_input(&self, reading: &Reading) -> bool {
        let is_told = reading.complete && reading.extras.images > 0;
        is_told && reading.usage.is_none() && self.dialect == Dialect::CohereEmbed
    }

    /// What is known of its input.
    fn input(&self, reading: &Reading) -> Input {
        let Demand {
            input: estimate,
            input_declared,
            ..
        } = self.demand;
        match reading.usage {
            _ if input_declared => Input::Unknown,
            Some(usage) if is_last_word(reading) => Input::Reported {
                estimate,
                used: usage.input,
            },
            Some(usage) if usage.input > 0 => Input::Unknown,
            _ => Input::Estimated(estimate),
        }
    }
}

/// Whether nothing is to be known better than by what was reported. Nothing for output that was seen is no report: it would be the
/// whole answer for free.
fn is_last_word(reading: &Reading) -> bool {
    let says_nothing = |usage: Usage| usage.output == 0 && reading.output_seen > 0;
    reading.usage_is_final && !reading.usage.is_some_and(says_nothing)
}

/// The tokens that an answer says are billed, both sides of them. As above, nothing for output that was seen is no report.
fn billed(reading: &Reading) -> Option<Usage> {
    let extras = &reading.extras;
    let (input, output) = extras.billed_input.zip(extras.billed_output)?;
    (output > 0 || reading.output_seen == 0).then_some(Usage::new(input, output))
}

/// Whether an answer is charged for what its tokens do not show. Of tools of the provider, fetching costs nothing:
/// <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool>; where it was computed matters
/// where the caller chose it: <https://platform.claude.com/docs/en/about-claude/pricing>.
fn pays_beside(reading: &Reading) -> bool {
    let extras = &reading.extras;
    let counts = [
        extras.web_searches,
        extras.file_searches,
        extras.code_runs,
        extras.images,
        extras.sources,
        extras.search_units,
        extras.audio_input,
        extras.audio_output,
        extras.image_output,
        extras.image_input,
    ];
    let place = reading.served.geography.as_deref();
    counts.iter().any(|count| *count > 0)
        || tier::is_unknown(&reading.served)
        || place.is_some_and(|place| !matches!(place, "global" | "not_available"))
}
