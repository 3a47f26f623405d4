//! Two simulated providers with limits and faults, and what our layers are told of them.

use std::{sync::Arc, time::Duration};

use tower_quota::{
    Limiter, Money, Tag,
    failover::{ApiKey, Provider, Route, Routes, Target},
    limit::{Limit, Limits},
    pricing::{Price, PriceTable, Rate},
    sim::{FaultRule, SimConfig, SimLimit},
};

use super::{
    ledger::{Defect, Ledger, LedgerStore},
    load::MODEL,
    stack::{BoxError, Parts},
    table::PRICE,
};

/// The providers by name: both are asked for the usage of a stream, and tell it then.
pub(crate) const NAMES: [&str; 2] = ["openai", "azure"];

const PERIOD: Duration = Duration::from_secs(1);
/// How much later than it left an attempt may come: a busy machine is slow.
const MARGIN: Duration = Duration::from_millis(250);
const REQUESTS: u64 = 1_000;
/// The provider's, and how much of it we use: when a caller hangs up the provider is some time behind.
const IN_FLIGHT: u64 = 64;
const OURS_IN_FLIGHT: u64 = 48;

/// What goes wrong at a provider, and with which share of the attempts.
const FAULTS: [(&str, f64); 12] = [
    ("status=429;retry-after-ms=40", 0.03),
    ("status=429", 0.02),
    ("status=503", 0.02),
    ("status=503;retry-after-ms=30", 0.02),
    ("status=529", 0.02),
    ("insufficient-quota", 0.002),
    ("error-event=first", 0.05),
    ("error-event=late", 0.04),
    ("broken-stream", 0.05),
    ("drop", 0.02),
    ("garbage", 0.03),
    ("slow-headers=60", 0.04),
];

pub(crate) fn sim_limits() -> Vec<SimLimit> {
    vec![
        SimLimit::requests(REQUESTS, PERIOD),
        SimLimit::concurrency(IN_FLIGHT),
    ]
}

pub(crate) fn sim_config(seed: u64) -> SimConfig {
    let rule = |(fault, probability): &(&str, f64)| FaultRule {
        fault: fault.parse().unwrap_or_default(),
        probability: *probability,
        nth: None,
    };
    SimConfig {
        limits: sim_limits(),
        latency: Duration::from_millis(5),
        jitter: Duration::from_millis(20),
        chunk_delay: Duration::from_millis(1),
        // A provider that counts what it refuses is the stricter one.
        count_refused: true,
        faults: FAULTS.iter().map(rule).collect(),
        seed,
        ..SimConfig::default()
    }
}

/// What the layers are made of, for providers at these addresses, and their ledger.
pub(crate) fn parts(bases: &[String], defect: Option<Defect>) -> Result<(Parts, Ledger), BoxError> {
    let mut limits = vec![
        // So that there is a budget: nobody comes near it.
        Limit::cost(Money::from_dollars(1_000)).every(Duration::from_secs(3_600)),
        Limit::requests(1_000_000)
            .every(PERIOD * 60)
            .per(Tag::Agent),
    ];
    for name in NAMES {
        let requests = Limit::requests(REQUESTS).every(PERIOD).margin(MARGIN);
        limits.push(requests.when(Tag::Provider, name));
        limits.push(Limit::concurrency(OURS_IN_FLIGHT).when(Tag::Provider, name));
    }
    let (store, ledger) = LedgerStore::new(Limits::new(limits)?, defect);
    let mut prices = PriceTable::new();
    // A rate is for a million tokens.
    let rate = |dollars| Rate::from_nanos(dollars * 1_000_000_000);
    let mut targets = Vec::new();
    for (name, base) in NAMES.iter().zip(bases) {
        prices.insert(name, MODEL, Price::new(rate(PRICE.0), rate(PRICE.1)));
        let provider = Provider::new(*name, base)?
            .auth(tower_quota::failover::Auth::Bearer)
            .key(ApiKey::new("main", format!("key-of-{name}"))?);
        targets.push(Target::new(&provider, MODEL));
    }
    let parts = Parts {
        limiter: Limiter::with_store(store),
        prices: Arc::new(prices),
        routes: Routes::new([(MODEL, Route::ordered(targets))])?,
    };
    Ok((parts, ledger))
}
