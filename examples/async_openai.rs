//! The SDK `async-openai` over the layers: it takes a tower service in place of its HTTP client.
//!
//! What it hands over is a factory of `reqwest` requests; a few lines make one of them, send it through the layers and
//! the bridge to `reqwest`, and hand back the answer. The SDK repeats calls by itself only inside the client that is
//! replaced here, so each call is repeated in one place.
//!
//! ```text
//! cargo run --features sim,reqwest --example async_openai
//! ```

use std::time::Duration;

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    middleware::HttpRequestFactory,
    types::chat::{
        ChatCompletionRequestUserMessage, CreateChatCompletionRequest,
        CreateChatCompletionRequestArgs,
    },
};
use futures_util::{StreamExt as _, future::try_join_all};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    Limiter, RateLimitLayer, Tag,
    limit::{Limit, Limits},
    sim::{SimConfig, SimLimit, Simulator},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let provider = Simulator::start(SimConfig {
        limits: vec![SimLimit::requests(2, SECOND)],
        ..SimConfig::default()
    })
    .await?;
    let limits = Limits::new([
        // What leaves first comes late: it waits for its connection.
        Limit::requests(2)
            .every(SECOND)
            .margin(Duration::from_millis(500)),
        Limit::output_tokens(1_000)
            .every(60 * SECOND)
            .when(Tag::Model, "sim-1"),
    ])?;
    let http =
        RateLimitLayer::new(Limiter::from_env(limits)?).layer(tower_quota::reqwest::Client::new()?);
    let service = service_fn(move |factory: HttpRequestFactory| {
        let http = http.clone();
        async move {
            let request: http::Request<reqwest::Body> = factory.build().await?.try_into()?;
            let response = http.oneshot(request).await?;
            Ok::<_, OpenAIError>(reqwest::Response::from(response.map(reqwest::Body::wrap)))
        }
    });
    let config = OpenAIConfig::new()
        .with_api_base(format!("{}/v1", provider.base_url()))
        .with_api_key("sk-example");
    let client = Client::with_config(config).with_http_service(service);
    let chat = client.chat();

    // Six at once, of which two may leave in any second.
    let start = tokio::time::Instant::now();
    let answers = try_join_all((0..6).map(|_| async { chat.create(request(50)?).await })).await?;
    let tokens = answers.iter().filter_map(|answer| answer.usage.as_ref());
    let tokens: u32 = tokens.map(|usage| usage.total_tokens).sum();
    println!(
        "{} answers in {:.1} s, {tokens} tokens",
        answers.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(tokens > 0 && start.elapsed() >= 2 * SECOND);

    let mut stream = chat.create_stream(request(50)?).await?;
    let mut pieces = 0;
    while let Some(piece) = stream.next().await {
        piece?;
        pieces += 1;
    }
    println!("a stream of {pieces} pieces");
    assert!(pieces > 1);

    // A refusal is an error of the API's own kind.
    match chat.create(request(5_000)?).await {
        Err(OpenAIError::ApiError(refused)) => {
            println!("{}", refused.api_error.message);
            assert_eq!(refused.api_error.code.as_deref(), Some("never_fits"));
        }
        other => return Err(format!("it was not refused: {other:?}").into()),
    }
    let ledger = provider.ledger();
    assert_eq!(
        (ledger.attempts(), ledger.ok()),
        (7, 7),
        "no 429 came, and nothing was repeated"
    );
    Ok(())
}

fn request(max_tokens: u32) -> Result<CreateChatCompletionRequest, OpenAIError> {
    let message = ChatCompletionRequestUserMessage::from("Say something.");
    CreateChatCompletionRequestArgs::default()
        .model("sim-1")
        .max_completion_tokens(max_tokens)
        .messages([message.into()])
        .build()
}
