//! What an answer used.

use http::StatusCode;

use crate::{
    call::{Allowed, Ended, Input},
    limit::Demand,
    pricing::ServiceTier,
    store::Settlement,
    usage::Usage,
    wire::{Dialect, Meter, Reading, Served},
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
        let mut usage = match reading.usage {
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
            None => seen,
        };
        // Anthropic leaves it out of its sums, and charges it.
        let beside = &reading.extras;
        usage.input = usage.input.saturating_add(beside.compaction_input);
        usage.output = usage.output.saturating_add(beside.compaction_output);
        usage.cost = reading.cost;
        let tier = tier(&reading.served);
        let is_untold = reading.cost.is_none();
        Ended {
            settlement: Settlement::Usage(usage),
            is_final,
            told: reading.usage.map_or(0, |usage| usage.output),
            text: reading.text_bytes,
            allowed: self.allowed,
            failed,
            billed: billed(reading).filter(|_| is_final),
            tier,
            is_dearer: is_untold && is_dearer(tier, self.dialect),
            pays_beside: is_untold && pays_beside(reading),
            input: self.input(reading),
        }
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
fn billed(reading: &Reading) -> Option<(u64, u64)> {
    let extras = &reading.extras;
    let (input, output) = extras.billed_input.zip(extras.billed_output)?;
    (output > 0 || reading.output_seen == 0).then_some((input, output))
}

/// The tier that an answer says it was served in. OpenAI's `fast` has the price of `priority`, as LiteLLM has it; Google's SDK
/// names its tiers in capitals, with what was bought of them in front (`TrafficType`).
fn tier(served: &Served) -> ServiceTier {
    let tier = served.tier.as_deref().unwrap_or_default();
    let tier = tier.strip_prefix("ON_DEMAND_").unwrap_or(tier);
    let is = |name: &str| tier.eq_ignore_ascii_case(name);
    if is("batch") {
        ServiceTier::Batch
    } else if is("flex") {
        ServiceTier::Flex
    } else if is("priority") || is("fast") {
        ServiceTier::Priority
    } else if matches!(served.speed.as_deref(), Some("fast" | "optimized")) {
        ServiceTier::Fast
    } else {
        ServiceTier::Standard
    }
}

/// Whether a tier costs more than the standard one. Anthropic's `priority` is capacity that was bought ahead, of which tokens
/// take as much as they cost otherwise: <https://platform.claude.com/docs/en/api/service-tiers>.
fn is_dearer(tier: ServiceTier, dialect: Dialect) -> bool {
    match tier {
        ServiceTier::Priority => dialect != Dialect::AnthropicMessages,
        tier => tier == ServiceTier::Fast,
    }
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
    ];
    let place = reading.served.geography.as_deref();
    counts.iter().any(|count| *count > 0)
        || place.is_some_and(|place| !matches!(place, "global" | "not_available"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_known_by_the_words_of_each_provider() {
        for (said, speed, expected) in [
            (None, None, ServiceTier::Standard),
            (Some("default"), None, ServiceTier::Standard),
            (Some("standard"), Some("fast"), ServiceTier::Fast),
            (Some("default"), Some("optimized"), ServiceTier::Fast),
            (None, Some("standard"), ServiceTier::Standard),
            (Some("flex"), None, ServiceTier::Flex),
            (Some("priority"), None, ServiceTier::Priority),
            (Some("fast"), None, ServiceTier::Priority),
            (Some("batch"), None, ServiceTier::Batch),
            (Some("ON_DEMAND"), None, ServiceTier::Standard),
            (Some("ON_DEMAND_FLEX"), None, ServiceTier::Flex),
            (Some("ON_DEMAND_PRIORITY"), None, ServiceTier::Priority),
            (Some("PROVISIONED_THROUGHPUT"), None, ServiceTier::Standard),
        ] {
            let served = Served {
                tier: said.map(Into::into),
                speed: speed.map(Into::into),
                ..Served::default()
            };
            assert_eq!(tier(&served), expected, "{said:?} {speed:?}");
        }
    }
}
