//! Money that other calls have reserved: a target that costs less may do with what is left, and else it is waited for.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_quota::{
    Limiter, Money,
    failover::{Route, Target, Trigger},
    limit::Limit,
    limiter::{Call, Permit},
};

use crate::providers::{Providers, failover, limiter, provider, request, send, stack};

const DEAR: &str = "gpt-5.5";
const CHEAP: &str = "gpt-5.4-mini";

/// The call may cost less than a cent there, and a seventh of that.
fn route() -> Route {
    let openai = provider("openai", &["main"]);
    Route::ordered([DEAR, CHEAP].map(|model| Target::new(&openai, model)))
}

/// A budget of $0.01, of which another call has reserved so many billionths of a dollar.
async fn reserved(nanos: u64) -> (Limiter, Permit) {
    let hour = Duration::from_secs(3_600);
    let limiter = limiter([Limit::cost(Money::from_nanos(10_000_000)).every(hour)]);
    let call = Call::new().cost(Money::from_nanos(nanos));
    let held = limiter.acquire(call).await.unwrap();
    (limiter, held)
}

/// The models that were asked.
fn models(providers: &Providers) -> Vec<String> {
    let ledger = providers.at("openai").ledger();
    let entries = ledger.entries().iter();
    entries.map(|entry| entry.model.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_left_may_do_for_another_target() {
    let (providers, (limiter, held)) = (Providers::new(["openai"]), reserved(3_000_000).await);
    let service = stack(failover(route()), limiter, &providers);
    let began = Instant::now();
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.status, 200, "{}", came.body);
    assert_eq!(models(&providers), [CHEAP]);
    let span = began.elapsed();
    assert!(span < Duration::from_secs(3), "{span:?}");
    held.release();
}

#[tokio::test(start_paused = true)]
async fn where_it_does_for_none_it_is_waited_for() {
    let (providers, (limiter, held)) = (Providers::new(["openai"]), reserved(9_900_000).await);
    let service = stack(failover(route()), limiter, &providers);
    let call = tokio::spawn(async move { send(&service, request()).await });
    sleep(Duration::from_secs(10)).await;
    assert_eq!(models(&providers), [""; 0]);
    held.release();
    let came = call.await.unwrap().unwrap();
    assert_eq!(came.status, 200, "{}", came.body);
    assert_eq!(models(&providers), [DEAR]);
}

/// The not: patience for money is the call's, however many targets there are.
#[tokio::test(start_paused = true)]
async fn it_is_not_waited_for_at_each_target_anew() {
    let (providers, (limiter, held)) = (Providers::new(["openai"]), reserved(9_900_000).await);
    let service = stack(failover(route()), limiter, &providers);
    let began = Instant::now();
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.status, 429, "{}", came.body);
    assert!(came.body.contains("rate limited here"), "{}", came.body);
    // A second for each, and half a minute for one of them.
    let span = began.elapsed().as_secs_f64();
    assert!((30.0..33.0).contains(&span), "{span}");
    assert_eq!(models(&providers), [""; 0]);
    held.release();
}

#[tokio::test(start_paused = true)]
async fn it_is_waited_for_where_that_is_no_reason_to_go_on() {
    let (providers, (limiter, held)) = (Providers::new(["openai"]), reserved(3_000_000).await);
    let layer = failover(route()).not_on(Trigger::OverBudget);
    let service = stack(layer, limiter, &providers);
    let call = tokio::spawn(async move { send(&service, request()).await });
    sleep(Duration::from_secs(10)).await;
    held.release();
    assert_eq!(call.await.unwrap().unwrap().status, 200);
    assert_eq!(models(&providers), [DEAR]);
}
