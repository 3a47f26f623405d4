//! The provider, its limits, and ours.

use std::{thread, time::Duration};

use tokio::sync::oneshot;
use tower_quota::{
    Money, Tag,
    limit::{Charge, Limit, LimitError, Limits},
    sim::{Billed, SimConfig, SimLimit, SimServer, Simulator},
};

use crate::{Error, Load};

pub(crate) const MODEL: &str = "gpt-4o";
/// What a token of it costs, in billionths of a dollar: $2.50 and $10 for a million.
const INPUT: u64 = 2_500;
const OUTPUT: u64 = 10_000;

/// What the provider enforces, by its own arithmetic.
pub(crate) fn theirs(load: &Load) -> Vec<SimLimit> {
    vec![
        SimLimit::requests(load.requests, load.window),
        SimLimit::tokens(load.tokens, load.window),
    ]
}

/// What we keep to: the same, and a budget.
pub(crate) fn ours(load: &Load) -> Result<Limits, LimitError> {
    let window = |limit: Limit| limit.every(load.window).margin(load.margin);
    Limits::new([
        window(Limit::requests(load.requests)).when(Tag::Model, MODEL),
        window(Limit::tokens(load.tokens))
            .when(Tag::Model, MODEL)
            .charge(Charge::openai()),
        Limit::cost(Money::from_dollars(100_000)).every(Duration::from_secs(3_600)),
    ])
}

/// What is billed, by the provider's own prices.
pub(crate) fn cost(billed: Billed) -> Money {
    Money::from_nanos(billed.input * INPUT + billed.output * OUTPUT)
}

/// Starts it on a thread and a runtime of its own: it is not slowed by what else this process does.
pub(crate) async fn start(load: &Load) -> Result<SimServer, Error> {
    let config = SimConfig {
        limits: theirs(load),
        latency: Duration::from_millis(30),
        jitter: Duration::from_millis(40),
        chunk_delay: Duration::from_millis(5),
        output_share: 0.02,
        ..SimConfig::default()
    };
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("provider".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                if tell.send(Simulator::start(config).await).is_ok() {
                    std::future::pending::<()>().await;
                }
            });
        })?;
    Ok(told.await??)
}
