//! reqwest under a limit of two calls a second: the third of three waits until there is room.
//!
//! ```text
//! cargo run --features sim,reqwest --example reqwest_client
//! ```

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    Limiter, RateLimitLayer,
    limit::{Limit, Limits},
    reqwest::Client,
    sim::{SimConfig, Simulator},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let provider = Simulator::start(SimConfig::default()).await?;

    let limits = Limits::new([Limit::requests(2).every(Duration::from_secs(1))])?;
    let client = Client::new()?;
    let client = RateLimitLayer::new(Limiter::from_env(limits)?).layer(client);

    let begun = Instant::now();
    for stream in [false, true, false] {
        let body = format!(
            r#"{{"model":"sim-1","max_tokens":50,"stream":{stream},"messages":[{{"role":"user","content":"Hi"}}]}}"#
        );
        let request = Request::post(format!("{}/v1/chat/completions", provider.base_url()))
            .header("content-type", "application/json")
            .body(reqwest::Body::from(body))?;
        let response = client.clone().oneshot(request).await?;
        println!("{} after {:?}", response.status(), begun.elapsed());
        assert!(response.status().is_success());
        let text = response.into_body().collect().await?.to_bytes();
        println!("{}", String::from_utf8_lossy(&text));
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
    Ok(())
}
