use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    BudgetLayer, Limiter, Money, RateLimitLayer, Tags,
    limit::{Limit, Limits},
    pricing::PriceTable,
    wire,
};
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

fn to_come(model: &str, provider: Option<&str>) -> ToCome {
    let tags = match provider {
        Some(provider) => Tags::new().with(Tag::Provider, provider),
        None => Tags::new(),
    };
    ToCome {
        at: Duration::ZERO,
        model: model.into(),
        tags: Arc::new(tags),
        size: Size {
            input: 5_000,
            cached: 1_000,
            written: 500,
            output: 300,
            max_tokens: Some(400),
            latency: Duration::ZERO,
        },
        priority: 0,
        max_wait: None,
    }
}

/// What is claimed while a request is answered: tokens, and money.
async fn claimed(request: Request<Full<Bytes>>) -> (u64, u64) {
    let day = Duration::from_secs(86_400);
    let limits = Limits::new([
        Limit::input_tokens(1_000_000).every(day),
        Limit::cost(Money::from_dollars(1_000)).every(day),
    ]);
    let limiter = Limiter::new(limits.unwrap());
    let inside = limiter.clone();
    let client = service_fn(move |_: Request<Full<Bytes>>| {
        let limiter = inside.clone();
        async move {
            let counts = limiter.counts(1).await.unwrap();
            let seen = (counts[0].in_use, counts[1].in_use);
            Ok::<_, std::convert::Infallible>(Response::new(Full::from(format!("{seen:?}"))))
        }
    });
    let budget = BudgetLayer::new(limiter.clone(), Arc::new(PriceTable::built_in()));
    let client = RateLimitLayer::new(limiter).budget(budget).layer(client);
    let response = client.oneshot(request).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&text).unwrap().trim_matches(['(', ')']);
    let (tokens, money) = text.split_once(", ").unwrap();
    (tokens.parse().unwrap(), money.parse().unwrap())
}

/// What stands for a long text is held for as much as that, by every gate.
#[tokio::test(start_paused = true)]
async fn a_request_that_stands_for_a_text_is_held_as_that_is() {
    let call = to_come("claude-sonnet-4-5", None);
    let standing = request(&call);
    let text = " the".repeat(4_999);
    let body = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 400,
        "messages": [{ "role": "user", "content": text }],
    });
    let mut whole = Request::new(Full::from(body.to_string()));
    *whole.method_mut() = http::Method::POST;
    *whole.uri_mut() = standing.uri().clone();
    *whole.headers_mut() = standing.headers().clone();
    let (tokens, money) = claimed(standing).await;
    let (true_tokens, true_money) = claimed(whole).await;
    assert_eq!((tokens, true_tokens), (5_000, 5_000));
    // What is around the text differs by some bytes.
    assert!(
        money.abs_diff(true_money) < true_money / 100,
        "{money} and {true_money}"
    );
}

/// Whichever API it is asked in.
#[tokio::test(start_paused = true)]
async fn without_a_cap_what_the_model_answers_at_most_is_held() {
    for model in ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"] {
        let mut call = to_come(model, None);
        let (_, capped) = claimed(request(&call)).await;
        assert!(!is_uncapped(&call));
        call.size.max_tokens = None;
        let (_, money) = claimed(request(&call)).await;
        assert!(is_uncapped(&call) && money > 3 * capped, "{model}: {money}");
    }
    let mut embedding = to_come("text-embedding-3-small", None);
    embedding.size.max_tokens = None;
    assert!(!is_uncapped(&embedding), "it has no output");
}

#[test]
fn each_model_is_asked_in_its_api_and_answers_in_it() {
    for (model, provider, dialect) in [
        ("gpt-4o", None, Dialect::OpenAiChat),
        ("claude-sonnet-4-5", None, Dialect::AnthropicMessages),
        ("claude-sonnet-4-5", Some("openrouter"), Dialect::OpenAiChat),
        ("anything", Some("anthropic"), Dialect::AnthropicMessages),
        ("gemini-2.5-flash", None, Dialect::Gemini),
        ("gemini-2.5-flash", Some("google"), Dialect::Gemini),
        ("text-embedding-3-small", None, Dialect::OpenAiEmbeddings),
        ("llama/3 large", None, Dialect::OpenAiChat),
    ] {
        let call = to_come(model, provider);
        let request = request(&call);
        assert_eq!(spoken(request.uri(), request.headers()), dialect, "{model}");
        let answer = answer(dialect, &call.size);
        let mut meter = wire::Meter::new(dialect, StatusCode::OK, answer.headers());
        meter.push(&answer.into_body().into_inner().unwrap());
        meter.end();
        let usage = meter.reading().usage.unwrap();
        let output = if dialect == Dialect::OpenAiEmbeddings {
            0
        } else {
            300
        };
        let cached = if dialect == Dialect::OpenAiEmbeddings {
            0
        } else {
            1_000
        };
        assert_eq!(
            (usage.input, usage.cache_read, usage.output),
            (5_000, cached, output),
            "{model}"
        );
        let says = matches!(dialect, Dialect::AnthropicMessages | Dialect::OpenAiChat);
        assert_eq!(usage.cache_write, if says { 500 } else { 0 }, "{model}");
    }
}

#[test]
fn names_of_models_are_no_paths() {
    let request = request(&to_come("gemini/../x y", Some("gemini")));
    let facts = wire::inspect_call(Dialect::Gemini, request.uri().path(), b"{}").unwrap();
    assert_eq!(facts.model.as_deref(), Some("gemini/../x y"));
}
