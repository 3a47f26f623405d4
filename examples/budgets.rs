//! Every kind of budget at work, on a simulated provider over real HTTP: a hard one for a team that warns at half and at
//! four fifths, a soft one over all that only warns, and a circuit for each agent that stops the one which goes over
//! until somebody resets it. Then one is corrected, and one is raised.
//!
//! ```text
//! cargo run --release --features sim --example budgets
//! ```
//!
//! The last line is JSON: what was told of budgets, and how many calls went through and were refused.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    BudgetLayer, Limiter, Money, Rejection, RequestBody, Tag, Tags,
    budget::Budget,
    limit::{CalendarUnit, Limit, Limits},
    pricing::PriceTable,
    sim::{SimConfig, Simulator},
    store::{BudgetChange, BudgetEvent, Correction},
};

type BoxError = Box<dyn Error + Send + Sync>;
type Http = Client<hyper_util::client::legacy::connect::HttpConnector, RequestBody>;

/// Of gpt-4o: a call of this cap comes to $0.05 at most, and to a tenth of that in fact.
const CAP: u64 = 5_000;

fn limits(search: u64) -> Result<Limits, Box<dyn Error + Send + Sync>> {
    let cents = |cents: u64| Money::from_nanos(cents * 10_000_000);
    let day = |limit: Limit| limit.every_calendar(CalendarUnit::Day, "Europe/Berlin");
    Ok(Limits::new([
        day(Limit::cost(cents(search)))
            .when(Tag::Team, "search")
            .thresholds([0.5, 0.8]),
        day(Limit::cost(cents(30))).shadow().thresholds([1.0]),
        Limit::cost(cents(20))
            .every(Duration::from_secs(3_600))
            .per(Tag::Agent)
            .circuit(),
    ])?)
}

struct Calls {
    service: Budget<Http>,
    url: String,
    through: u64,
    refused: u64,
}

impl Calls {
    /// Calls one after another until one is refused, or until there were so many. Returns the refusal.
    async fn make(&mut self, who: &str, tags: &Tags, most: u64) -> Result<bool, BoxError> {
        for number in 0..most {
            let body = json!({
                "model": "gpt-4o", "max_tokens": CAP, "stream": number % 2 == 0,
                "messages": [{ "role": "user", "content": "And again." }],
            });
            let request = Request::post(&self.url)
                .header("content-type", "application/json")
                .extension(tags.clone())
                .body(RequestBody::from(Bytes::from(body.to_string())))?;
            let response = self.service.clone().oneshot(request).await?;
            if let Some(rejection) = response.extensions().get::<Rejection>() {
                println!("  {who}, after {number} calls: {rejection}");
                self.refused += 1;
                return Ok(false);
            }
            response.into_body().collect().await?;
            self.through += 1;
        }
        println!("  {who}: {most} calls");
        Ok(true)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let provider = Simulator::start(SimConfig::default()).await?;
    let client: Http = Client::builder(TokioExecutor::new()).build_http();
    let limiter = Limiter::from_env(limits(40)?)?;
    let told = Arc::new(Mutex::new(BTreeMap::<&str, u64>::new()));
    let counts = told.clone();
    limiter.on_event(move |event: &BudgetEvent| {
        println!("  -> {event}");
        let kind = match event.change {
            BudgetChange::Passed { .. } => "passed",
            BudgetChange::Tripped => "tripped",
            BudgetChange::Reset { .. } => "reset",
            BudgetChange::Corrected { .. } => "corrected",
            BudgetChange::AmountChanged { .. } => "amount_changed",
            _ => "other",
        };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(kind).or_default() += 1;
    });
    let prices = Arc::new(PriceTable::built_in());
    let mut calls = Calls {
        service: BudgetLayer::new(limiter.clone(), prices).layer(client),
        url: format!("{}/v1/chat/completions", provider.base_url()),
        through: 0,
        refused: 0,
    };
    let agent = |name: &str| Tags::new().with(Tag::Agent, name);
    let search = |name: &str| agent(name).with(Tag::Team, "search");

    println!("a circuit for each agent: the crawler goes over and stops, the others go on");
    calls.make("crawler", &agent("crawler"), 100).await?;
    calls.make("crawler again", &agent("crawler"), 1).await?;
    calls.make("scout", &agent("scout"), 5).await?;
    println!("somebody resets it");
    limiter.reset(&agent("crawler"), "it is mended").await?;
    calls.make("crawler", &agent("crawler"), 5).await?;

    println!("a hard budget of a team, by several agents");
    for name in ["one", "two", "three"] {
        calls.make(name, &search(name), 25).await?;
    }
    println!("a call was billed twice: corrected by hand");
    let twice = Correction::Less(Money::from_nanos(50_000_000));
    limiter
        .correct(&search("one"), twice, "billed twice")
        .await?;
    println!("the budget is raised");
    limiter.reconfigure(&limits(100)?).await?;
    calls.make("four", &search("four"), 20).await?;

    let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!(
        "{}",
        json!({ "told": told, "through": calls.through, "refused": calls.refused })
    );
    Ok(())
}
