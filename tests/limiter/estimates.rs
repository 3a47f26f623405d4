//! Estimates of the input follow what providers report; what was declared, and what money is bounded by, does not.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::sleep;
use tower::{Layer as _, ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tower_quota::{
    BudgetLayer, Limiter, Money, RateLimitLayer, Tag, Tags,
    limit::{Limit, Limits},
    limiter::Call,
    pricing::{Price, PriceTable},
};

const HOUR: Duration = Duration::from_secs(3_600);
/// What a text of four thousand bytes is estimated at, and the word `user`.
const ESTIMATE: u64 = 1_001;

fn limiter() -> Limiter {
    let limits = [
        Limit::input_tokens(1 << 40).every(HOUR),
        Limit::cost(Money::from_dollars(1_000)).every(HOUR),
    ];
    Limiter::new(Limits::new(limits).unwrap())
}

type Client = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, Infallible>;

/// A provider that answers after a second, and says of each call that its input was so many tokens, or says nothing.
fn client(limiter: &Limiter, reports: Option<u64>) -> Client {
    let provider = service_fn(move |_: Request<Full<Bytes>>| async move {
        sleep(Duration::from_secs(1)).await;
        let usage = reports.map_or(String::new(), |input| {
            format!(r#","usage":{{"prompt_tokens":{input},"completion_tokens":1}}"#)
        });
        let body = format!(r#"{{"choices":[{{"message":{{"content":"Yes"}}}}]{usage}}}"#);
        let response = Response::builder().header("content-type", "application/json");
        Ok::<_, Infallible>(response.body(Full::<Bytes>::from(body)).unwrap())
    });
    let mut prices = PriceTable::new();
    for model in ["a", "b"] {
        let price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
        prices.insert("openai", model, price);
    }
    let budget = BudgetLayer::new(limiter.clone(), Arc::new(prices));
    let service = RateLimitLayer::new(limiter.clone())
        .budget(budget)
        .layer(provider);
    BoxCloneSyncService::new(service.and_then(whole))
}

async fn whole<B>(response: Response<B>) -> Result<Response<Bytes>, Infallible>
where
    B: http_body::Body<Data = Bytes, Error = Infallible>,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

fn chat(model: &str, content: &str) -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"model":"{model}","max_tokens":10,"messages":[{{"role":"user","content":{content}}}]}}"#
    );
    let request = Request::post("http://provider/v1/chat/completions");
    request.body(Full::from(body)).unwrap()
}

fn text(model: &str) -> Request<Full<Bytes>> {
    chat(model, &format!("\"{}\"", "word ".repeat(800)))
}

/// What is settled and what is reserved of input tokens, and what is reserved of money.
async fn counted(limiter: &Limiter) -> (u64, u64, u64) {
    let explained = limiter.explain(&Call::new().cost(Money::ZERO)).await;
    let [input, cost] = &explained.unwrap().limits[..] else {
        panic!("two limits");
    };
    (input.in_use - input.reserved, input.reserved, cost.reserved)
}

/// What a call reserves of input tokens and of money while it is in flight.
async fn reserves(limiter: &Limiter, client: &Client, request: Request<Full<Bytes>>) -> (u64, u64) {
    let call = tokio::spawn(client.clone().oneshot(request));
    sleep(Duration::from_millis(500)).await;
    let (_, input, cost) = counted(limiter).await;
    call.await.unwrap().unwrap();
    (input, cost)
}

/// M3: estimates calibrate themselves.
#[tokio::test(start_paused = true)]
async fn what_calls_reserve_comes_to_what_their_model_reports() {
    for (reports, expected) in [(2_000, 1_900..=2_001), (600, 600..=660), (1, 500..=560)] {
        let limiter = limiter();
        let client = client(&limiter, Some(reports));
        let (first, worst) = reserves(&limiter, &client, text("a")).await;
        assert_eq!(first, ESTIMATE);
        for _ in 0..200 {
            client.clone().oneshot(text("a")).await.unwrap();
        }
        let (learnt, still) = reserves(&limiter, &client, text("a")).await;
        assert!(expected.contains(&learnt), "{learnt} for {reports}");
        assert_eq!(still, worst, "what it may cost at most is no estimate");
        let (other, _) = reserves(&limiter, &client, text("b")).await;
        assert_eq!(other, ESTIMATE, "another model");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_reports_nothing_is_settled_at_what_was_learnt_and_teaches_nothing() {
    let limiter = limiter();
    let telling = client(&limiter, Some(2 * ESTIMATE));
    for _ in 0..300 {
        telling.clone().oneshot(text("a")).await.unwrap();
    }
    let silent = client(&limiter, None);
    let (mut before, _, _) = counted(&limiter).await;
    for _ in 0..20 {
        silent.clone().oneshot(text("a")).await.unwrap();
        let (now, _, _) = counted(&limiter).await;
        let charged = now - before;
        assert!((1_950..=2 * ESTIMATE).contains(&charged), "{charged}");
        before = now;
    }
}

#[tokio::test(start_paused = true)]
async fn a_declared_figure_stays_what_it_is() {
    let limiter = limiter();
    let client = client(&limiter, Some(2 * ESTIMATE));
    for _ in 0..200 {
        client.clone().oneshot(text("a")).await.unwrap();
    }
    let tags = Tags::new()
        .with(Tag::Provider, "openai")
        .with(Tag::Model, "a");
    let call = Call::new().tags(tags).tokens(1_000, 0);
    let permit = limiter.acquire(call).await.unwrap();
    assert_eq!(counted(&limiter).await.1, 1_000);
    permit.release();
}

#[tokio::test(start_paused = true)]
async fn a_file_in_base64_is_no_text_and_may_all_the_same_cost_what_it_is_long() {
    let limiter = limiter();
    let client = client(&limiter, Some(1_500));
    let image = "QUJD".repeat(250_000);
    let content = format!(
        r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{image}"}}}}]"#
    );
    let (input, cost) = reserves(&limiter, &client, chat("a", &content)).await;
    assert!((1_000..1_100).contains(&input), "{input} tokens");
    assert!(cost > 1_000_000 * 1_000, "{cost}");
}
