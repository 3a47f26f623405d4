//! The instruments that events go into.

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

/// As the conventions have them, in seconds.
const SECONDS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// Waits are longer.
const WAITS: [f64; 14] = [
    0.01, 0.04, 0.16, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 327.68, 1_310.72,
    5_242.88,
];
/// As the conventions have them.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

#[derive(Debug)]
pub(super) struct Instruments {
    pub(super) operation_duration: Histogram<f64>,
    pub(super) first_chunk: Histogram<f64>,
    pub(super) token_usage: Histogram<u64>,
    pub(super) calls: Counter<u64>,
    pub(super) active: UpDownCounter<i64>,
    pub(super) call_duration: Histogram<f64>,
    pub(super) attempts: Counter<u64>,
    pub(super) tokens: Counter<u64>,
    pub(super) cost: Counter<f64>,
    pub(super) refusals: Counter<u64>,
    pub(super) waits: Histogram<f64>,
    pub(super) retries: Counter<u64>,
    pub(super) failovers: Counter<u64>,
    pub(super) cooldowns: Counter<u64>,
    pub(super) budget_events: Counter<u64>,
    pub(super) store_errors: Counter<u64>,
    #[cfg(feature = "gateway")]
    pub(super) alerts: Counter<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, words: &'static str, bounds: [f64; 14]| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            let histogram = histogram.with_description(words);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let counter = |name: &'static str, unit: &'static str, words: &'static str| {
            let counter = meter.u64_counter(name).with_unit(unit);
            counter.with_description(words).build()
        };
        Instruments {
            operation_duration: seconds(
                "gen_ai.client.operation.duration",
                "GenAI operation duration.",
                SECONDS,
            ),
            first_chunk: seconds(
                "gen_ai.client.operation.time_to_first_chunk",
                "Time to receive the first chunk of output, of streams.",
                SECONDS,
            ),
            token_usage: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Number of input and output tokens used.")
                .with_boundaries(TOKENS.to_vec())
                .build(),
            calls: counter(
                "tower_quota.calls",
                "{call}",
                "Calls, by what came of them.",
            ),
            active: meter
                .i64_up_down_counter("tower_quota.calls.active")
                .with_unit("{call}")
                .with_description("Calls that are not over.")
                .build(),
            call_duration: seconds(
                "tower_quota.call.duration",
                "How long calls took, waits and repeats included.",
                WAITS,
            ),
            attempts: counter(
                "tower_quota.attempts",
                "{attempt}",
                "Attempts that left, by status.",
            ),
            tokens: counter(
                "tower_quota.tokens",
                "{token}",
                "Tokens that were used, estimated ones too.",
            ),
            cost: meter
                .f64_counter("tower_quota.cost.usd")
                .with_unit("{USD}")
                .with_description("What attempts cost, in US dollars.")
                .build(),
            refusals: counter(
                "tower_quota.refusals",
                "{refusal}",
                "Attempts and calls that were refused here.",
            ),
            waits: seconds(
                "tower_quota.wait.duration",
                "How long calls waited for room.",
                WAITS,
            ),
            retries: counter(
                "tower_quota.retries",
                "{attempt}",
                "Attempts that were repeated.",
            ),
            failovers: counter(
                "tower_quota.failovers",
                "{attempt}",
                "Targets that did not serve, so that calls went on.",
            ),
            cooldowns: counter(
                "tower_quota.cooldowns",
                "{cooldown}",
                "Waits that providers told.",
            ),
            budget_events: counter(
                "tower_quota.budget.events",
                "{event}",
                "What happened to budgets.",
            ),
            #[cfg(feature = "gateway")]
            alerts: counter(
                "tower_quota.alerts",
                "{alert}",
                "Alerts, by what became of them at a webhook.",
            ),
            store_errors: counter(
                "tower_quota.store.errors",
                "{error}",
                "Questions that no store answered.",
            ),
        }
    }
}
