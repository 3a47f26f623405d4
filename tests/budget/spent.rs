//! Budgets: what is settled and what is reserved never pass them together, and money comes back with the calendar.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer as _, ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, Rejection, RetryLayer, Tag, Tags,
    limit::{CalendarUnit, Limit, Limits},
    limiter::{Call, QueueOptions},
    pricing::{Price, PriceTable},
    store::MemoryStore,
};

const HOUR: Duration = Duration::from_secs(3_600);
/// What a million tokens cost: in, out.
const PRICE: (&str, &str) = ("1", "10");
/// What a token out costs.
const OUTPUT: u64 = 10_000;

fn prices() -> Arc<PriceTable> {
    let mut table = PriceTable::new();
    let price = Price::new(PRICE.0.parse().unwrap(), PRICE.1.parse().unwrap());
    table.insert("openai", "m", price);
    Arc::new(table)
}

fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

fn cost(nanos: u64) -> Limit {
    Limit::cost(Money::from_nanos(nanos)).every(HOUR)
}

/// A chat of so many tokens out at most, by an agent.
fn chat(agent: &str, max: u64) -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"model":"m","max_tokens":{max},"messages":[{{"role":"user","content":"Hi"}}]}}"#
    );
    Request::post("http://provider/v1/chat/completions")
        .extension(Tags::new().with(Tag::Agent, agent))
        .body(Full::from(body))
        .unwrap()
}

/// What such a chat may cost at most: each byte of it a token in, and all of its cap out.
fn worst(max: u64) -> u64 {
    let body = chat("", max).into_body();
    let bytes = http_body::Body::size_hint(&body).exact().unwrap();
    bytes * 1_000 + max * OUTPUT
}

/// An answer that used so many tokens.
fn answer(input: u64, output: u64) -> Response<Full<Bytes>> {
    let body = format!(
        r#"{{"id":"1","object":"chat.completion","model":"m","choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}}}"#,
        input + output
    );
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap()
}

/// What a chat comes to behind a budget: its status, and the refusal if it is ours.
async fn ask<S, R>(service: &S, request: Request<Full<Bytes>>) -> (StatusCode, Option<Rejection>)
where
    S: tower::Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible> + Clone,
    R: http_body::Body<Data = Bytes>,
{
    let response = service.clone().oneshot(request).await.unwrap();
    let refused = response.extensions().get::<Rejection>().cloned();
    let status = response.status();
    assert!(response.into_body().collect().await.is_ok());
    (status, refused)
}

/// What is settled and what is reserved under the only limit.
async fn in_use(limiter: &Limiter, agent: &str) -> (u64, u64) {
    let call = Call::new()
        .tags(Tags::new().with(Tag::Agent, agent))
        .cost(Money::ZERO);
    let explained = limiter.explain(&call).await.unwrap();
    let limit = &explained.limits[0];
    (limit.in_use - limit.reserved, limit.reserved)
}

type Provider = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, Infallible>;

/// A provider that answers after a second, and how many it has answered.
fn provider(output: u64) -> (Provider, Arc<AtomicU64>) {
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        let count = count.clone();
        async move {
            count.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(answer(10, output))
        }
    });
    (BoxCloneSyncService::new(service), served)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_charged_what_it_cost_and_refused_where_the_rest_does_not_do() {
    let (inner, served) = provider(100);
    let each = 10 * 1_000 + 100 * OUTPUT;
    let limiter = limiter([cost(3 * each + worst(100) - 1).per(Tag::Agent)]);
    let service = BudgetLayer::new(limiter.clone(), prices()).layer(inner);
    for _ in 0..3 {
        assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
    }
    assert_eq!(in_use(&limiter, "a").await, (3 * each, 0));
    let (status, refused) = ask(&service, chat("a", 100)).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    let Some(Rejection::BudgetExceeded(shortage)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((shortage.in_use, shortage.needed), (3 * each, worst(100)));
    let reset = shortage.retry_after.unwrap();
    assert!(reset > HOUR - Duration::from_secs(5) && reset <= HOUR + Duration::from_secs(1));
    assert!(
        shortage
            .to_string()
            .contains("for agent=a: $0.00303 settled, $0.00 reserved")
    );
    // A sibling goes on, and what is smaller still fits.
    assert_eq!(ask(&service, chat("b", 100)).await.0, StatusCode::OK);
    assert_eq!(ask(&service, chat("a", 10)).await.0, StatusCode::OK);
    assert_eq!(served.load(Ordering::Relaxed), 5);
    advance(reset).await;
    assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
}

/// B11: near its end a budget is waited for.
#[tokio::test(start_paused = true)]
async fn for_money_that_is_reserved_a_call_waits_and_for_money_that_is_spent_it_does_not() {
    let (inner, _) = provider(10);
    let limiter = limiter([cost(worst(100) + worst(100) / 2)]);
    let service = BudgetLayer::new(limiter.clone(), prices()).layer(inner);
    let start = Instant::now();
    let (first, second) =
        tokio::join!(ask(&service, chat("a", 100)), ask(&service, chat("a", 100)));
    assert_eq!((first.0, second.0), (StatusCode::OK, StatusCode::OK));
    assert_eq!(
        start.elapsed(),
        Duration::from_secs(2),
        "one after the other"
    );
    // Until so much is settled that the rest cannot do.
    let mut last = StatusCode::OK;
    while last == StatusCode::OK {
        last = ask(&service, chat("a", 100)).await.0;
    }
    let start = Instant::now();
    let (status, _) = ask(&service, chat("a", 100)).await;
    assert_eq!(
        (last, status),
        (StatusCode::PAYMENT_REQUIRED, StatusCode::PAYMENT_REQUIRED)
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_the_refusal_says_that_the_money_is_only_reserved() {
    let limiter = limiter([cost(worst(100))]);
    let service = BudgetLayer::new(limiter.clone(), prices())
        .patience(Duration::from_secs(7))
        .layer(service_fn(async |_: Request<Full<Bytes>>| {
            sleep(HOUR).await;
            Ok::<_, Infallible>(answer(1, 1))
        }));
    let slow = tokio::spawn(service.clone().oneshot(chat("a", 100)));
    tokio::task::yield_now().await;
    let start = Instant::now();
    let (status, refused) = ask(&service, chat("a", 100)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        matches!(refused, Some(Rejection::RateLimited(_))),
        "{refused:?}"
    );
    slow.abort();
}

/// B11: what a call waits for elsewhere is no patience with money.
#[tokio::test(start_paused = true)]
async fn patience_is_not_used_up_by_a_wait_for_other_room() {
    let (inner, _) = provider(10);
    let (money, requests) = (
        limiter([cost(2 * worst(100))]),
        limiter([Limit::requests(1).every(Duration::from_secs(60))]),
    );
    let service = BudgetLayer::new(money.clone(), prices())
        .patience(Duration::from_secs(7))
        .layer(AdmissionLayer::new(requests).layer(inner));
    assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
    let start = Instant::now();
    let waits = tokio::spawn(async move { ask(&service, chat("a", 100)).await.0 });
    sleep(Duration::from_secs(50)).await;
    // Others reserve all the money there is when its minute comes, and for five seconds more.
    let rest = Money::from_nanos(2 * worst(100) - 110_000);
    let held = money.acquire(Call::new().cost(rest)).await.unwrap();
    sleep(Duration::from_secs(14)).await;
    held.release();
    assert_eq!(waits.await.unwrap(), StatusCode::OK);
    assert_eq!(start.elapsed(), Duration::from_secs(65));
}

/// M4: whoever hangs up before the usage is told has the reasoning no more for nothing than the text.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_hung_up_is_charged_for_reasoning_that_is_told_at_its_end() {
    let text = "word ".repeat(160);
    let event = |json: String| format!("data: {json}\n\n");
    let said = event(format!(
        r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#
    ));
    let told = event(
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":8200,"completion_tokens_details":{"reasoning_tokens":8000}}}"#.to_owned(),
    );
    let limiter = limiter([cost(10 * worst(9_000))]);
    let inner = service_fn(move |_: Request<Full<Bytes>>| {
        let parts = [said.clone(), told.clone(), event("[DONE]".to_owned())];
        let parts = parts.map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
        let answer = Response::builder().header("content-type", "text/event-stream");
        let answer = answer.body(StreamBody::new(futures_util::stream::iter(parts)));
        async move { Ok::<_, Infallible>(answer.unwrap()) }
    });
    let service = BudgetLayer::new(limiter.clone(), prices()).layer(inner);
    // It learns from one that is read to its end.
    assert_eq!(ask(&service, chat("a", 9_000)).await.0, StatusCode::OK);
    let (first, _) = in_use(&limiter, "a").await;
    let response = service.oneshot(chat("a", 9_000)).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    drop(body);
    let (both, reserved) = in_use(&limiter, "a").await;
    assert!(
        (8_000 * OUTPUT..9_000 * OUTPUT + worst(0)).contains(&(both - first)),
        "{}",
        both - first
    );
    assert_eq!(reserved, 0);
}

/// M4: an answer in the background is generated to its end, whoever hangs up.
#[tokio::test(start_paused = true)]
async fn a_stream_from_the_background_that_is_hung_up_costs_what_was_reserved() {
    for (background, is_whole) in [(true, true), (false, false)] {
        let limiter = limiter([cost(10 * worst(9_000))]);
        let inner = service_fn(|_: Request<Full<Bytes>>| async {
            let said = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n";
            let parts = [said, "data: [DONE]\n\n"].map(|part| Ok(Frame::data(Bytes::from(part))));
            let answer = Response::builder().header("content-type", "text/event-stream");
            let parts = parts.map(|part: Result<_, Infallible>| part);
            let body = StreamBody::new(futures_util::stream::iter(parts));
            Ok::<_, Infallible>(answer.body(body).unwrap())
        });
        let service = BudgetLayer::new(limiter.clone(), prices()).layer(inner);
        let body = format!(
            r#"{{"model":"m","max_output_tokens":100,"stream":true,"background":{background},"input":"Hi"}}"#
        );
        let request = Request::post("http://provider/v1/responses")
            .extension(Tags::new().with(Tag::Agent, "a"))
            .body(Full::from(body))
            .unwrap();
        let response = service.oneshot(request).await.unwrap();
        let (_, reserved) = in_use(&limiter, "a").await;
        let mut body = response.into_body();
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        drop(body);
        let (settled, _) = in_use(&limiter, "a").await;
        assert_eq!(settled == reserved, is_whole, "{settled} of {reserved}");
    }
}

/// B9: a report of nothing beside an answer that was seen gives no money back.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_said_to_have_used_nothing_is_charged_by_what_was_seen() {
    for (usage, least) in [
        (r#"{"prompt_tokens":0,"completion_tokens":0}"#, 90 * OUTPUT),
        (r#"{"prompt_tokens":5,"completion_tokens":0}"#, 90 * OUTPUT),
    ] {
        let body = format!(
            r#"{{"model":"m","choices":[{{"message":{{"content":"{}"}}}}],"usage":{usage}}}"#,
            "word ".repeat(100)
        );
        let limiter = limiter([cost(10 * worst(1_000))]);
        let inner = service_fn(move |_: Request<Full<Bytes>>| {
            let answer = Response::builder().header("content-type", "application/json");
            let answer = answer.body(Full::from(body.clone())).unwrap();
            async move { Ok::<_, Infallible>(answer) }
        });
        let service = BudgetLayer::new(limiter.clone(), prices()).layer(inner);
        assert_eq!(ask(&service, chat("a", 1_000)).await.0, StatusCode::OK);
        let (settled, reserved) = in_use(&limiter, "a").await;
        assert!(settled >= least, "{usage}: {settled}");
        assert_eq!(reserved, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_without_a_price_is_refused_unless_it_may_pass() {
    let (inner, served) = provider(10);
    let limiter = limiter([cost(1_000_000)]);
    let request = || {
        let body = r#"{"model":"gpt-99","messages":[]}"#;
        Request::post("http://provider/v1/chat/completions")
            .body(Full::from(body))
            .unwrap()
    };
    let layer = BudgetLayer::new(limiter.clone(), prices());
    let (status, refused) = ask(&layer.clone().layer(inner.clone()), request()).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    let said = refused.unwrap().to_string();
    assert!(
        said.contains("`gpt-99` of `openai`") && said.contains("unknown_price"),
        "{said}"
    );
    assert_eq!(served.load(Ordering::Relaxed), 0);
    let (status, _) = ask(&layer.allow_unknown_prices().layer(inner), request()).await;
    assert_eq!(
        (status, served.load(Ordering::Relaxed)),
        (StatusCode::OK, 1)
    );
    assert_eq!(in_use(&limiter, "").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_future_is_dropped_after_the_send_is_charged_all_that_was_reserved() {
    let (inner, _) = provider(10);
    let limiter = limiter([cost(10 * worst(100))]);
    let service = BudgetLayer::new(limiter.clone(), prices()).layer(inner);
    let half = Duration::from_millis(500);
    assert!(
        tokio::time::timeout(half, ask(&service, chat("a", 100)))
            .await
            .is_err()
    );
    assert_eq!(in_use(&limiter, "a").await, (worst(100), 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_attempt_costs_nothing_and_a_repeated_one_only_what_it_used() {
    let busy = Arc::new(Mutex::new(2));
    let inner = service_fn(move |_: Request<Full<Bytes>>| {
        let busy = busy.clone();
        async move {
            let mut left = busy.lock().unwrap();
            if *left == 0 {
                return Ok::<_, Infallible>(answer(10, 10));
            }
            *left -= 1;
            let refused = Response::builder()
                .status(429)
                .header("retry-after-ms", "50");
            Ok(refused.body(Full::default()).unwrap())
        }
    });
    for order in ["retry outside", "retry inside"] {
        let limiter = limiter([cost(worst(100))]);
        let (budget, retry) = (
            BudgetLayer::new(limiter.clone(), prices()),
            RetryLayer::new(),
        );
        let status = if order == "retry outside" {
            ask(&retry.layer(budget.layer(inner.clone())), chat("a", 100))
                .await
                .0
        } else {
            ask(&budget.layer(retry.layer(inner.clone())), chat("a", 100))
                .await
                .0
        };
        assert_eq!(status, StatusCode::OK, "{order}");
        let cost = 10 * 1_000 + 10 * OUTPUT;
        assert_eq!(in_use(&limiter, "a").await, (cost, 0), "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_admission_reserves_no_money_meanwhile_in_any_order() {
    for inside in [false, true] {
        let (inner, served) = provider(10);
        let limiter = limiter([
            cost(worst(100) + worst(10)),
            Limit::requests(1).every(HOUR).margin(Duration::ZERO),
        ]);
        let budget = BudgetLayer::new(limiter.clone(), prices());
        let admission = AdmissionLayer::new(limiter.clone());
        let service = if inside {
            BoxCloneSyncService::new(
                admission
                    .layer(budget.layer(inner))
                    .map_response(|response| response.map(|body| body.boxed_unsync())),
            )
        } else {
            BoxCloneSyncService::new(
                budget
                    .layer(admission.layer(inner))
                    .map_response(|response| response.map(|body| body.boxed_unsync())),
            )
        };
        assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
        let waiting = tokio::spawn({
            let service = service.clone();
            async move { ask(&service, chat("a", 100)).await.0 }
        });
        sleep(Duration::from_secs(60)).await;
        assert_eq!(in_use(&limiter, "a").await.1, 0, "inside: {inside}");
        assert_eq!(waiting.await.unwrap(), StatusCode::OK);
        assert_eq!(served.load(Ordering::Relaxed), 2);
    }
}

/// Beside a budget that is only reserved, and has room later than the other.
#[tokio::test(start_paused = true)]
async fn a_budget_that_is_spent_is_named_whatever_else_is_only_reserved() {
    let all = cost(2 * worst(100) - 1);
    let own = cost(worst(100)).per(Tag::Agent);
    let limiter = limiter([all, own]);
    let (inner, _) = provider(100);
    let service = BudgetLayer::new(limiter.clone(), prices()).layer(inner);
    assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
    let other = tokio::spawn({
        let service = service.clone();
        async move { ask(&service, chat("b", 100)).await.0 }
    });
    tokio::task::yield_now().await;
    let (status, refused) = ask(&service, chat("a", 100)).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    let named = refused.unwrap().shortage().unwrap().limit.clone();
    assert!(named.ends_with("for agent=a"), "{named}");
    assert_eq!(other.await.unwrap(), StatusCode::OK);
}

/// B1: money by calendar periods in a time zone.
#[tokio::test(start_paused = true)]
async fn a_daily_budget_is_there_again_at_midnight_of_its_zone() {
    // 28 March 2026, 22:00 in Berlin; clocks go forward in this night.
    let evening = SystemTime::UNIX_EPOCH + Duration::from_secs(1_774_731_600);
    let start = Instant::now();
    let limit = Limit::cost(Money::from_nanos(worst(100)))
        .every_calendar(CalendarUnit::Day, "Europe/Berlin");
    let store = MemoryStore::new(Limits::new([limit]).unwrap())
        .wall_clock(move || evening + start.elapsed());
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let (inner, _) = provider(100);
    let service = BudgetLayer::new(limiter.clone(), prices())
        .patience(Duration::ZERO)
        .layer(inner);
    assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
    let (status, refused) = ask(&service, chat("a", 100)).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    let wait = refused.unwrap().retry_after().unwrap();
    assert_eq!(wait, 2 * HOUR - Duration::from_secs(1));
    advance(wait - Duration::from_micros(1)).await;
    assert_eq!(
        ask(&service, chat("a", 100)).await.0,
        StatusCode::PAYMENT_REQUIRED
    );
    advance(Duration::from_micros(1)).await;
    assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
    let (_, refused) = ask(&service, chat("a", 100)).await;
    let wait = refused.unwrap().retry_after().unwrap();
    assert_eq!(wait, 23 * HOUR - Duration::from_secs(1), "a short day");
}

/// B7: per run.
#[tokio::test(start_paused = true)]
async fn a_run_that_has_spent_its_money_has_spent_it_for_good() {
    let (inner, _) = provider(100);
    let limiter = limiter([Limit::cost(Money::from_nanos(worst(100))).every_run()]);
    let service = BudgetLayer::new(limiter.clone(), prices()).layer(inner);
    let run = |name: &str| {
        let mut request = chat("a", 100);
        request
            .extensions_mut()
            .insert(Tags::new().with(Tag::Run, name));
        request
    };
    assert_eq!(ask(&service, run("7")).await.0, StatusCode::OK);
    let (status, refused) = ask(&service, run("7")).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    let refused = refused.unwrap();
    assert!(refused.to_string().contains("run=7") && refused.retry_after().is_none());
    assert_eq!(ask(&service, run("8")).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_soft_budget_only_watches() {
    let (inner, served) = provider(100);
    let limits = Limits::new([cost(worst(100)).shadow()]).unwrap();
    let store = Arc::new(MemoryStore::new(limits));
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    let service = BudgetLayer::new(limiter, prices()).layer(inner);
    for _ in 0..3 {
        assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
    }
    assert_eq!(served.load(Ordering::Relaxed), 3);
    assert_eq!(store.would_have_refused()[0].1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_soft_budget_refuses_no_model_whose_price_nobody_knows() {
    let (inner, served) = provider(100);
    let limiter = limiter([cost(1).shadow()]);
    let service = BudgetLayer::new(limiter, Arc::new(PriceTable::new())).layer(inner);
    assert_eq!(ask(&service, chat("a", 100)).await.0, StatusCode::OK);
    assert_eq!(served.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_larger_of_two_caps_is_reserved() {
    let limiter = limiter([cost(worst(50_000) / 2)]);
    let (inner, served) = provider(100);
    let service = BudgetLayer::new(limiter, prices()).layer(inner);
    let body = r#"{"model":"m","max_completion_tokens":1,"max_tokens":50000,"messages":[]}"#;
    let request = Request::post("http://provider/v1/chat/completions").body(Full::from(body));
    let (status, refused) = ask(&service, request.unwrap()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{refused:?}");
    assert_eq!(served.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_reserved_money_goes_when_the_period_ends() {
    let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(3_600 - 10);
    let start = Instant::now();
    let limit =
        Limit::cost(Money::from_nanos(2 * worst(100))).every_calendar(CalendarUnit::Hour, "UTC");
    let store =
        MemoryStore::new(Limits::new([limit]).unwrap()).wall_clock(move || begin + start.elapsed());
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let (quick, _) = provider(100);
    let layer = BudgetLayer::new(limiter.clone(), prices());
    assert_eq!(
        ask(&layer.clone().layer(quick), chat("a", 100)).await.0,
        StatusCode::OK
    );
    let slow = layer.layer(service_fn(async |_: Request<Full<Bytes>>| {
        sleep(HOUR).await;
        Ok::<_, Infallible>(answer(1, 1))
    }));
    // It holds its half for an hour; what the first one cost leaves with the period.
    let held = tokio::spawn(slow.clone().oneshot(chat("a", 100)));
    tokio::task::yield_now().await;
    let waiting = tokio::spawn(slow.oneshot(chat("a", 100)));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(in_use(&limiter, "a").await.1, worst(100));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(
        in_use(&limiter, "a").await,
        (0, 2 * worst(100)),
        "at the turn"
    );
    held.abort();
    waiting.abort();
}
