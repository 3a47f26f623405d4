//! C6: a stack takes another configuration while calls wait and run: no count is lost, and a file that is refused changes
//! nothing.
#![cfg(feature = "config")]

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::{
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};
use tower_quota::{
    Money, Statistics, Tag, Tags, Usage,
    config::{Config, ReloadError, Stack},
    limit::CalendarUnit,
    limiter::Call,
    store::MemoryStore,
};

fn config(text: &str) -> Config {
    Config::from_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// So many requests a minute, tokens a minute and dollars a day.
fn amounts(rpm: u64, tpm: u64, dollars: u64) -> Config {
    config(&format!(
        "rate_limiting:
           margin: 0s
           global: {{ rpm: {rpm}, concurrent_requests: 50 }}
           providers: {{ openai: {{ gpt-4: {{ tpm: {tpm} }} }} }}
           max_daily_spend: {dollars}"
    ))
}

fn call() -> Call {
    let tags = Tags::new()
        .with(Tag::Provider, "openai")
        .with(Tag::Model, "gpt-4");
    Call::new()
        .tags(tags)
        .tokens(100, 0)
        .cost(Money::from_nanos(1_000))
}

fn limits(stack: &Stack) -> Vec<String> {
    let limits = stack.limiter.limits();
    limits.iter().map(ToString::to_string).collect()
}

/// Everything that counts, and who waits.
async fn state(stack: &Stack) -> (Vec<String>, usize, String, String) {
    let budgets = format!("{:?}", stack.limiter.budgets().await.unwrap());
    let counts = format!("{:?}", stack.limiter.explain(&call()).await.unwrap());
    (limits(stack), stack.limiter.waiting(), budgets, counts)
}

#[tokio::test(start_paused = true)]
async fn c6_under_load_no_count_is_lost_before_during_and_after() {
    // So many requests a minute from these seconds on.
    const PLAN: [(u64, u64); 6] = [
        (0, 60),
        (90, 20),
        (150, 100),
        (190, 100),
        (240, 30),
        (330, 60),
    ];
    let (start, first) = (Instant::now(), amounts(PLAN[0].1, 1_000_000, 100));
    // The day does not end while this goes on.
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(43_200);
    let store = MemoryStore::new(first.limits().unwrap());
    let store = store.wall_clock(move || noon + start.elapsed());
    let stack = first.build_on(store).unwrap();
    let sent: Arc<Mutex<Vec<u64>>> = Arc::default();
    let mut calls = Vec::new();
    for number in 0_u64..600 {
        let (limiter, sent) = (stack.limiter.clone(), sent.clone());
        calls.push(tokio::spawn(async move {
            // More than there is room for, some of it at once.
            sleep_until(start + Duration::from_millis(number / 5 * 5 * 600)).await;
            let permit = limiter.acquire(call()).await.unwrap();
            sent.lock()
                .unwrap()
                .push(u64::try_from(start.elapsed().as_millis()).unwrap());
            sleep(Duration::from_secs(7)).await;
            let mut usage = Usage::new(100, 10);
            usage.cost = Some(Money::from_nanos(1_000));
            permit.settle(usage);
        }));
    }
    for (second, rpm) in &PLAN[1..] {
        sleep_until(start + Duration::from_secs(*second)).await;
        let settled = stack.limiter.budgets().await.unwrap()[0].settled;
        let waiting = stack.limiter.waiting();
        stack.reload(&amounts(*rpm, 1_000_000, 100)).await.unwrap();
        assert_eq!(stack.limiter.budgets().await.unwrap()[0].settled, settled);
        assert!(stack.limiter.waiting() <= waiting, "nobody waits anew");
        assert_eq!(limits(&stack)[0], format!("requests {rpm}/min"));
        // Refused ones between: they change nothing.
        let before = state(&stack).await;
        stack
            .reload(&config(
                "rate_limiting: { global: { rpm: 9 }, queue: { aging: 1s } }",
            ))
            .await
            .unwrap_err();
        assert_eq!(state(&stack).await, before);
    }
    for call in calls {
        call.await.unwrap();
    }
    let sent = sent.lock().unwrap().clone();
    assert_eq!(sent.len(), 600, "every call went");
    let amount_at = |millis: u64| {
        let begun = PLAN
            .iter()
            .rev()
            .find(|(second, _)| second * 1_000 <= millis);
        begun.unwrap().1
    };
    let mut most = 0;
    for (number, at) in sent.iter().enumerate() {
        let last_minute = sent[..number]
            .iter()
            .filter(|other| **other + 60_000 > *at)
            .count() as u64;
        // Whoever goes at the very instant of a change may have gone before it.
        let amount = amount_at(*at).max(amount_at(at.saturating_sub(1)));
        assert!(
            last_minute < amount,
            "{at}: {last_minute} in the last minute, of {amount}"
        );
        most = most.max(last_minute + 1);
    }
    assert_eq!(most, 100, "the highest amount was used up");
    let budgets = stack.limiter.budgets().await.unwrap();
    assert_eq!(budgets[0].settled, Money::from_nanos(600 * 1_000));
    assert_eq!(budgets[0].reserved, Money::ZERO);
}

#[tokio::test(start_paused = true)]
async fn c6_calls_in_flight_hold_what_they_took_and_who_waits_is_served_by_the_new_amounts() {
    let places = |n: u64| {
        config(&format!(
            "rate_limiting: {{ global: {{ concurrent_requests: {n} }} }}"
        ))
    };
    let stack = places(3).build().unwrap();
    let mut flying = Vec::new();
    for _ in 0..3 {
        flying.push(stack.limiter.acquire(Call::new()).await.unwrap());
    }
    let limiter = stack.limiter.clone();
    let next = tokio::spawn(async move { limiter.acquire(Call::new()).await });
    yield_now().await;
    stack.reload(&places(2)).await.unwrap();
    drop(flying.pop());
    yield_now().await;
    assert!(!next.is_finished(), "two are in flight of two");
    let reloaded = stack.reload(&places(4)).await.unwrap();
    assert_eq!(reloaded.changed.len(), 1);
    assert_eq!(
        (
            reloaded.changed[0].before.as_str(),
            reloaded.changed[0].now.as_str()
        ),
        ("concurrency 2", "concurrency 4")
    );
    flying.push(next.await.unwrap().unwrap());
    flying.push(stack.limiter.try_acquire(Call::new()).await.unwrap());
    assert!(
        stack.limiter.try_acquire(Call::new()).await.is_err(),
        "four are in flight"
    );
}

#[tokio::test(start_paused = true)]
async fn c6_the_running_layer_goes_by_the_new_amounts_and_money_stays_spent() {
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use tower::{Layer as _, ServiceExt as _, service_fn};
    use tower_quota::{CallOptions, Rejection};

    let stack = amounts(4, 1_000_000, 1).build().unwrap();
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        let usage = r#"{"usage":{"prompt_tokens":0,"completion_tokens":5000}}"#;
        let response = Response::builder().header("content-type", "application/json");
        Ok::<_, std::convert::Infallible>(response.body(Full::<Bytes>::from(usage)).unwrap())
    });
    let service = stack.layer.layer(inner);
    let send = || async {
        let request = Request::post("/v1/chat/completions")
            .extension(CallOptions::new().max_wait(Duration::ZERO))
            .body(Full::from(r#"{"model":"gpt-4","max_tokens":5000}"#))
            .unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        let refused = answer
            .extensions()
            .get::<Rejection>()
            .map(ToString::to_string);
        http_body_util::BodyExt::collect(answer.into_body())
            .await
            .unwrap();
        refused
    };
    // 30 cents each: 5 000 tokens at $60 a million.
    for _ in 0..3 {
        assert_eq!(send().await, None);
    }
    let refused = send().await.expect("the dollar is nearly spent");
    assert!(
        refused.starts_with("budget exceeded: cost $1.00/calendar day"),
        "{refused}"
    );
    stack.reload(&amounts(4, 1_000_000, 2)).await.unwrap();
    assert_eq!(send().await, None);
    let refused = send().await.unwrap();
    assert!(refused.contains("requests 4/min"), "{refused}");
    stack.reload(&amounts(5, 1_000_000, 2)).await.unwrap();
    assert_eq!(send().await, None);
    let budgets = stack.limiter.budgets().await.unwrap();
    assert_eq!(
        budgets[0].settled,
        "1.50".parse().unwrap(),
        "five times 30 cents"
    );
}

#[tokio::test(start_paused = true)]
async fn c6_a_budget_that_comes_is_forecast_and_has_sums_wherever_calls_are_recorded() {
    use tower::Layer as _;

    let stack = config("rate_limiting: {}").build().unwrap();
    let statistics = Statistics::new();
    let recording = stack.layer.clone().statistics(statistics.clone());
    let _service = recording.layer(());
    let by = [Tag::Provider, Tag::Model];
    assert!(statistics.report(CalendarUnit::Day, &by).is_none());
    let budget =
        "{ amount: 10, every: day, when: { provider: openai, model: gpt-4 }, mode: circuit }";
    let budgets = config(&format!("rate_limiting: {{ budgets: [{budget}] }}"));
    stack.reload(&budgets).await.unwrap();
    assert!(statistics.report(CalendarUnit::Day, &by).is_some());
    let budgets = stack.limiter.budgets().await.unwrap();
    assert_eq!(statistics.forecast(&budgets).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn c6_what_cannot_change_is_named_and_nothing_changes() {
    let old =
        "rate_limiting: { global: { rpm: 5 }, agents: { a: { rpm: 2 } }, max_daily_spend: 5 }";
    let stack = config(old).build().unwrap();
    drop(stack.limiter.acquire(call()).await.unwrap());
    let before = state(&stack).await;
    for (more, path) in [
        ("enabled: false", "enabled"),
        ("absorb_counters: false", "absorb_counters"),
        ("max_counts: 7", "max_counts"),
        ("retry: { max_attempts: 9 }", "retry.max_attempts"),
        ("retry: { longest_wait: 1s }", "retry.longest_wait"),
        ("queue: { max_waiting: 9 }", "queue.max_waiting"),
        ("queue: { max_wait: 9s }", "queue.max_wait"),
        ("queue: { aging: 1s }", "queue.aging"),
        ("queue: { share_by: team }", "queue.share_by"),
        ("queue: { weights: { a: 2 } }", "queue.weights"),
        ("cap_output: 9", "cap_output"),
        ("budget_patience: 1s", "budget_patience"),
        ("unknown_price: allow", "unknown_price"),
        ("model_aliases: { ours: openai/gpt-99 }", "model_aliases"),
    ] {
        // What could change does not either.
        let text = old.replace("rpm: 5", &format!("rpm: 50 }}, {more}, global_: {{"));
        let text = text.replace(", global_: { }", "");
        let error = stack.reload(&config(&text)).await.unwrap_err();
        assert_eq!(
            error,
            ReloadError::Fixed {
                paths: vec![format!("rate_limiting.{path}")]
            },
            "{text}"
        );
        assert_eq!(state(&stack).await, before, "{more}");
    }
    for (from, to, says) in [
        (
            "max_daily_spend: 5",
            "max_daily_spend: 0",
            "rate_limiting.max_daily_spend: must be more than 0",
        ),
        (
            "rpm: 5",
            "rpm: 0",
            "rate_limiting.global.requests_per_minute",
        ),
        (
            "max_daily_spend: 5",
            "max_daily_spend: 5, price_file: no/such.json",
            "rate_limiting.price_file",
        ),
    ] {
        let error = stack
            .reload(&config(&old.replace(from, to)))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{to}: {error}");
        assert_eq!(state(&stack).await, before, "{to}");
    }
    assert_eq!(
        stack.reload(&config(old)).await.unwrap().changed,
        [],
        "the same again"
    );
    assert_eq!(state(&stack).await, before);
}

#[tokio::test(start_paused = true)]
async fn c6_everything_that_may_change_does() {
    let text = |rpm: u64, headroom: f64, vip: u64, share: f64, dollars: u64| {
        config(&format!(
            "rate_limiting:
               headroom: {headroom}
               global: {{ rpm: {rpm} }}
               limits:
                 - {{ quantity: requests, amount: 10, every: 1h, per: [agent], amounts: {{ vip: {vip} }} }}
                 - {{ quantity: requests, amount: 10, every: 1d, shares: {{ team: {{ search: {share} }} }} }}
               budgets: [{{ amount: {dollars}, every: month }}]"
        ))
    };
    let stack = text(10, 0.5, 20, 0.2, 5).build().unwrap();
    assert_eq!(
        stack
            .reload(&text(20, 0.5, 20, 0.2, 5))
            .await
            .unwrap()
            .changed
            .len(),
        1
    );
    assert_eq!(
        stack
            .reload(&text(20, 0.6, 20, 0.2, 5))
            .await
            .unwrap()
            .changed
            .len(),
        3
    );
    assert_eq!(
        stack
            .reload(&text(20, 0.6, 30, 0.2, 5))
            .await
            .unwrap()
            .changed
            .len(),
        1
    );
    assert_eq!(
        stack
            .reload(&text(20, 0.6, 30, 0.4, 5))
            .await
            .unwrap()
            .changed
            .len(),
        1
    );
    let last = stack.reload(&text(20, 0.6, 30, 0.4, 7)).await.unwrap();
    assert_eq!(last.changed[0].now, "cost $7.00/calendar month in UTC");
}

#[tokio::test(start_paused = true)]
async fn c6_a_price_file_that_changed_is_taken_and_a_secret_is_not_told() {
    let file = std::env::temp_dir().join(format!("reload-{}.json", std::process::id()));
    let price = |dollars: &str| {
        format!(
            r#"{{"m": {{"litellm_provider": "p", "input_cost_per_token": {dollars}, "output_cost_per_token": 1e-6}}}}"#
        )
    };
    fs::write(&file, price("1e-6")).unwrap();
    let text = format!(
        "rate_limiting: {{ max_daily_spend: 5, price_file: {} }}",
        file.display()
    );
    let stack = config(&text).build().unwrap();
    assert!(stack.reload(&config(&text)).await.is_ok());
    fs::write(&file, price("2e-6")).unwrap();
    let reloaded = stack.reload(&config(&text)).await.unwrap();
    fs::remove_file(&file).unwrap();
    assert!(reloaded.prices && reloaded.changed.is_empty());
    let prices = stack.prices();
    let found = prices.find(Some("p"), "m").unwrap();
    assert_eq!(
        found.price.standard.input.to_string(),
        "$2.00 per million tokens"
    );

    let stack = amounts(5, 5, 5).build().unwrap();
    let named = |amount: u64| {
        let named = Config::from_text(
            &format!(
                "rate_limiting: {{ limits: [{{ quantity: requests, amount: {amount}, every: 1m, \
                 when: {{ tenant: '${{TENANT}}' }} }}] }}"
            ),
            tower_quota::config::Format::Yaml,
            |_| Some("sk-very-secret".to_owned()),
        );
        named.unwrap()
    };
    for (amount, says) in [
        (5, "added: [\"requests 5/min for tenant=${TENANT}\"]"),
        (6, "now: \"requests 6/min for tenant=${TENANT}\""),
    ] {
        let reloaded = format!("{:?}", stack.reload(&named(amount)).await.unwrap());
        assert!(!reloaded.contains("secret"), "{reloaded}");
        assert!(reloaded.contains(says), "{reloaded}");
    }
    let reloaded = format!("{:?}", stack.reload(&amounts(5, 5, 5)).await.unwrap());
    assert!(!reloaded.contains("secret"), "{reloaded}");
    assert!(
        reloaded.contains("removed: [\"requests 6/min for tenant=${TENANT}\"]"),
        "{reloaded}"
    );
    let error = stack.reload(&named(0)).await.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
}
