//! One process of the fleet: its own layers, its own limiter, and the store that it shares.

use std::{
    io::{self, BufRead as _},
    sync::Arc,
    time::Duration,
};

use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::task::JoinSet;
use tower::Layer as _;
use tower_quota::{
    BudgetLayer, Limiter, RateLimitLayer, RequestBody, limiter::QueueOptions, pricing::PriceTable,
    store::redis::RedisOptions,
};

use crate::{
    Error, Load,
    calls::{self, Ended},
    provider,
    report::{self, Worked},
};

/// Says that it is ready, sends when it is told to, and says what became of it.
pub(crate) async fn run(
    load: &Load,
    number: usize,
    (lease, each_alone): (Duration, bool),
    provider: &str,
    store: &str,
) -> Result<String, Error> {
    let mut options = RedisOptions::new(store, provider::ours(load)?)?.lease(lease);
    if each_alone {
        options = options.each_alone();
    }
    let store = Arc::new(options.open()?);
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    let budget = BudgetLayer::new(limiter.clone(), Arc::new(PriceTable::built_in()));
    let layer = RateLimitLayer::new(limiter).budget(budget);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, RequestBody>(connector);
    let service = layer.layer(client);
    let uri: http::Uri = format!("{provider}/v1/chat/completions").parse()?;
    let made_up = calls::made_up(load, number);

    println!("ready");
    tokio::task::spawn_blocking(|| io::stdin().lock().read_line(&mut String::new())).await??;
    let mut sent = JoinSet::new();
    for (place, call) in made_up.iter().copied().enumerate() {
        let (service, uri) = (service.clone(), uri.clone());
        sent.spawn(async move { (place, calls::send(service, uri, number, call).await) });
    }
    let mut told = Vec::new();
    let (mut worked, mut waited) = (Worked::default(), vec![None; made_up.len()]);
    while let Some(ended) = sent.join_next().await {
        let (place, answer) = ended?;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                worked.failed += 1;
                told.push(error.to_string());
                continue;
            }
        };
        worked.in_vain += answer.in_vain.len();
        told.extend(answer.in_vain);
        match answer.ended {
            Ended::Ok => {
                worked.ok += 1;
                waited[place] = Some(answer.waited);
            }
            Ended::Refused(why) => {
                worked.refused += 1;
                told.push(why);
            }
            Ended::Failed(status) => {
                worked.failed += 1;
                told.push(status.to_string());
            }
        }
    }
    // The first few.
    for why in told.iter().take(3) {
        eprintln!("\nworker {number}: in vain: {why}");
    }
    report::waits(&mut worked, &made_up, &waited);
    // Everything that was settled is on the server then.
    tokio::task::spawn_blocking(move || store.close()).await??;
    Ok(serde_json::to_string(&worked)?)
}
